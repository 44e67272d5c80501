"""The table of what the server changes in a body."""

from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk import InvalidChatRequestError
from codex_backend_sdk.server.adaptation import AdaptedBody, adapt_body, session_of, split_model
from codex_backend_sdk.server.api_errors import ApiError

LEVELS = [{"effort": effort} for effort in ("low", "medium", "high")]
MODELS = [
    {"id": "gpt-5.5", "supported_reasoning_levels": LEVELS},
    {"id": "gpt-5.5-high", "supported_reasoning_levels": LEVELS},
    {"id": "plain"},
]
HI = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "1"}
LONG = "call_" + "x" * 60


def adapt(body: dict[str, Any], *, is_chat: bool = False, **options: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    body = {"messages" if is_chat else "input": [HI], **body}
    adapted = adapt_body(body, is_chat=is_chat, models=options.pop("models", MODELS), **options)
    body = {name: value for name, value in adapted.body.items() if value != [HI]}
    return body, texts(adapted)


def texts(adapted: AdaptedBody) -> tuple[str, ...]:
    return tuple(" ".join(change) for change in adapted.changes)


NAMES = [
    ("gpt-5.5-low", ("gpt-5.5", "low")),
    ("gpt-5.5-high", ("gpt-5.5-high", None)),  # an exact name wins
    ("gpt-5.5-high-low", ("gpt-5.5-high", "low")),
    ("gpt-5.5-ultra", ("gpt-5.5", "ultra")),
    ("gpt-5.5-mini", ("gpt-5.5-mini", None)),
    ("other-low", ("other-low", None)),
    ("low", ("low", None)),
]


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_effort_in_the_name_of_a_model(name: str, expected: tuple[str, str | None]) -> None:
    assert split_model(name, MODELS) == expected
    assert split_model(name, []) == (name, None)


EFFORTS: list[tuple[dict[str, Any], Any, tuple[str, ...]]] = [
    # members of a body for Responses, the effort, the changes
    ({"model": "gpt-5.5-low"}, "low", ()),
    ({"model": "gpt-5.5-low", "reasoning": {"effort": "high"}}, "high", ()),
    ({"model": "gpt-5.5-low", "reasoning": {"effort": None}}, "low", ()),
    ({"model": "gpt-5.5-max"}, "high", ("replaced reasoning.effort max by high",)),
    ({"model": "gpt-5.5", "reasoning_effort": "minimal"}, "low", ("replaced reasoning.effort minimal by low",)),
    ({"model": "gpt-5.5", "reasoningEffort": "none"}, "low", ("replaced reasoning.effort none by low",)),
    ({"model": "gpt-5.5", "reasoning": {"effort": ["a"]}}, "medium", ("replaced reasoning.effort ['a'] by medium",)),
    ({"model": "plain", "reasoning": {"effort": "ultra"}}, "max", ("replaced reasoning.effort ultra by max",)),
    ({"model": "unknown", "reasoning": {"effort": "none"}}, "none", ()),
    ({"reasoning": {"effort": "minimal"}}, "low", ("replaced reasoning.effort minimal by low",)),
]


@pytest.mark.parametrize(("members", "effort", "changes"), EFFORTS)
def test_effort_is_replaced_by_the_nearest(members: dict[str, Any], effort: Any, changes: tuple[str, ...]) -> None:
    body, named = adapt(members)
    assert (body["reasoning"]["effort"], named) == (effort, changes)
    chat, named_in_chat = adapt(members, is_chat=True)
    given = chat.get("reasoning_effort") or chat["reasoning"]["effort"]
    assert given == effort
    assert named_in_chat == tuple(name.replace("reasoning.effort", "reasoning_effort") for name in changes)


def test_effort_is_refused_if_nothing_is_dropped() -> None:
    with pytest.raises(InvalidChatRequestError, match="low, medium, high") as caught:
        adapt({"model": "gpt-5.5-max"}, drops=False)
    assert caught.value.param == "reasoning.effort"
    assert adapt({"model": "gpt-5.5-low"}, drops=False)[0]["reasoning"] == {"effort": "low"}


RESPONSES: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ({"store": True}, {}, ("dropped store",)),
    ({"store": False}, {"store": False}, ()),
    ({"unheard_of": 1, "top_k": 5}, {}, ("dropped unheard_of", "dropped top_k")),
    ({"temperature": 0.1, "max_tokens": 5}, {"temperature": 0.1, "max_tokens": 5}, ()),  # the client drops them
    ({"client_metadata": {"a": "b"}, "include": []}, {"client_metadata": {"a": "b"}, "include": []}, ()),
    ({"verbosity": "low"}, {"text": {"verbosity": "low"}}, ()),
    (
        {"textVerbosity": "low", "text": {"verbosity": "high", "format": {"type": "text"}}},
        {"text": {"verbosity": "high", "format": {"type": "text"}}},
        (),
    ),
    ({"reasoningSummary": "auto"}, {"reasoning": {"summary": "auto"}}, ()),
    ({"promptCacheKey": "k", "serviceTier": "flex"}, {"prompt_cache_key": "k", "service_tier": "flex"}, ()),
    ({"promptCacheKey": "k", "prompt_cache_key": "own"}, {"prompt_cache_key": "own"}, ()),
    ({"tools": [], "tool_choice": "auto"}, {}, ()),
    ({"tools": [{"type": "web_search"}]}, {"tools": [{"type": "web_search"}]}, ()),
    ({"metadata": None}, {}, ()),
]


@pytest.mark.parametrize(("given", "expected", "changes"), RESPONSES)
def test_parameters_of_a_response(given: dict[str, Any], expected: dict[str, Any], changes: tuple[str, ...]) -> None:
    assert adapt(given) == (expected, changes)


def test_parameters_are_kept_if_nothing_is_dropped() -> None:
    assert adapt({"store": True, "top_k": 5}, drops=False) == ({"store": True, "top_k": 5}, ())


def test_parameters_of_a_chat_are_left_to_the_client() -> None:
    given = {"store": True, "top_k": 5, "verbosity": "low", "tools": []}
    assert adapt(given, is_chat=True) == (given, ())
    assert adapt({"textVerbosity": "low"}, is_chat=True) == ({"verbosity": "low"}, ())


def test_reasoning_of_a_chat_can_be_hidden() -> None:
    body, changes = adapt({"reasoning": {"summary": "auto"}}, is_chat=True, shows_reasoning=False)
    assert (body, changes) == ({"reasoning": {"summary": "auto", "exclude": True}}, ())


INPUTS: list[tuple[list[Any], list[Any], tuple[str, ...]]] = [
    ([HI, CALL, OUTPUT], [HI, CALL, OUTPUT], ()),
    ([HI, OUTPUT], [HI], ("repaired input[1]",)),
    (
        [HI, {**CALL, "call_id": LONG}, {**OUTPUT, "call_id": LONG}],
        [HI, {**CALL, "call_id": "hashed"}, {**OUTPUT, "call_id": "hashed"}],
        (),
    ),
    ([7], [7], ()),
    (["text"], [{"role": "user", "content": "text"}], ()),
]


@pytest.mark.parametrize(("given", "expected", "changes"), INPUTS)
def test_input_is_repaired(given: list[Any], expected: list[Any], changes: tuple[str, ...]) -> None:
    adapted = adapt_body({"input": given}, is_chat=False, models=[])
    items = [
        {**item, "call_id": "hashed"} if isinstance(item, dict) and len(item.get("call_id", "")) > 1 else item
        for item in adapted.body["input"]
    ]
    assert (items, texts(adapted)) == (expected, changes)
    assert adapt_body({"input": given}, is_chat=False, models=[], drops=False).body["input"] == given


def test_call_without_output_gets_one_that_says_so() -> None:
    adapted = adapt_body({"input": [HI, CALL]}, is_chat=True, models=[])
    assert texts(adapted) == ("repaired input[1]",)
    assert "no output" in adapted.body["input"][2]["output"]


@pytest.mark.parametrize("body", [{"messages": [HI]}, {"input": "hi", "response_format": {"type": "json_object"}}])
def test_wrong_shape_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        adapt_body(body, is_chat=False, models=[])
    assert caught.value.status == 400
    assert adapt_body(body, is_chat=True, models=[]).body == body


def test_body_without_a_prompt_is_left_to_the_client() -> None:
    assert adapt_body({"model": "plain"}, is_chat=False, models=MODELS).body == {"model": "plain"}


SESSIONS = [
    ({}, None),
    ({"session-id": "  "}, None),
    ({"session-id": "a", "x-session-id": "b"}, "a"),
    ({"x-session-affinity": "b"}, "b"),
    ({"session_id": "c" * 64}, "c" * 64),
]


@pytest.mark.parametrize(("headers", "session"), SESSIONS)
def test_session_is_that_of_a_header(headers: dict[str, str], session: str | None) -> None:
    assert session_of(headers) == session


@pytest.mark.parametrize("name", ["c" * 65, "ä"])
def test_session_is_hashed_if_it_is_no_key(name: str) -> None:
    assert (session_of({"session-id": name}) or "").startswith("call_")
    assert session_of({"session-id": name}) == session_of({"session-id": name})


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "s"),
        ({"prompt_cache_key": "own"}, "own"),
        ({"promptCacheKey": "own"}, "own"),
        ({"promptCacheKey": ""}, "s"),
    ],
)
def test_session_is_the_key_of_a_body_without_one(body: dict[str, Any], key: str | None) -> None:
    assert adapt(body, is_chat=True, session_id="s")[0].get("prompt_cache_key") == key


@pytest.mark.parametrize("name", ["prompt_cache_key", "promptCacheKey"])
@pytest.mark.parametrize("is_chat", [False, True])
@pytest.mark.parametrize("key", ["k" * 65, "k" * 300_000, "café", "\ud800", "a\r\nb: c" * 20])
def test_key_that_is_no_header_is_hashed(name: str, is_chat: bool, key: str) -> None:
    body, changes = adapt({name: key}, is_chat=is_chat, session_id="s")
    assert body == {"prompt_cache_key": session_of({"session-id": key})}
    assert changes == ("replaced prompt_cache_key by its hash",)


@pytest.mark.parametrize(("key", "drops"), [("k" * 64, True), ("k" * 65, False), (["k"], True)])
def test_other_keys_are_those_of_the_client(key: Any, drops: bool) -> None:
    assert adapt({"prompt_cache_key": key}, drops=drops) == ({"prompt_cache_key": key}, ())
