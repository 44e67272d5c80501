from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st
from openai import NotGiven

from codex_backend_sdk.resources.explain_parameters import Examined, examine
from codex_backend_sdk.resources.explanation import Explanation, PreparedRequest
from codex_backend_sdk.resources.known_refusals import known_refusals
from codex_backend_sdk.resources.model_fit import context_window, fit
from codex_backend_sdk.resources.token_estimate import estimate


def look(*unknown: str, drops: bool = False, **given: Any) -> Examined:
    return examine(given, unknown=unknown, model="m", instructions="Be brief.", drops=drops)


def levels(examined: Examined) -> list[tuple[str, str]]:
    return [(finding.level, finding.what) for finding in examined.findings]


def test_a_call_that_is_sent_as_it_is() -> None:
    given = {"model": "x", "instructions": "y", "input": [{"role": "user", "content": "hi"}], "store": None}
    assert look(**given, user=NotGiven()) == Examined((), False, {k: v for k, v in given.items() if v is not None})


def test_every_offender_is_named_at_once_and_the_rest_can_be_sent() -> None:
    found = look("temprature", input="hi", temperature=0, max_output_tokens=9, previous_response_id="r")
    assert [what for level, what in levels(found) if level == "refused"] == [
        "`responses.create()` has no parameter `temprature`.",
        "The backend does not take `previous_response_id`.",
        "The backend does not take `temperature`.",
        "The backend does not take `max_output_tokens`.",
    ]
    assert found.is_refused
    assert found.accepted == {"input": "hi"}
    remedies = [str(finding.remedy) for finding in found.findings if finding.level == "refused"]
    assert remedies[1] == "Instead: the backend keeps no responses; pass the earlier items in `input`."
    assert remedies[2] == "Leave it out, or let `OpenAI(unsupported='drop')` leave it out."
    assert remedies[3].endswith(
        "Or: an answer's length cannot be limited; pass `text={'verbosity': 'low'}` for a short one."
    )


def test_a_client_that_drops_is_not_refused() -> None:
    found = look(drops=True, input="hi", temperature=0, max_output_tokens=9)
    dropped = [finding for finding in found.findings if finding.level == "dropped"]
    assert [finding.what for finding in dropped] == ["`temperature` is left out.", "`max_output_tokens` is left out."]
    assert [bool(finding.remedy) for finding in dropped] == [False, True]
    assert not found.is_refused
    assert look(drops=True, input="hi", store=True).is_refused


@pytest.mark.parametrize("given", [{}, {"input": 7}, {"input": [7]}, {"input": {"object": "response", "output": []}}])
def test_an_input_that_cannot_be_sent(given: dict[str, Any]) -> None:
    found = look(**given)
    assert (found.is_refused, found.accepted) == (True, None)
    assert "`input`" in found.findings[-1].why


def test_what_the_client_adds_is_told() -> None:
    assert [what for _, what in levels(look(input=[]))] == [
        "No model is given: this client's own, `m`, is asked.",
        "No instructions are given: this client's own are sent.",
    ]
    found = examine({"input": [], "model": "x"}, model="m", instructions="", drops=False)
    assert found.findings == ()


def test_a_value_without_effect_is_told() -> None:
    assert ("note", "`temperature` is left out: its value asks for what happens anyway.") in levels(
        look(input=[], temperature=1, instructions="")
    )
    assert not any("`instructions`" in what for _, what in levels(look(input=[], instructions="")))


SYSTEM = {"role": "system", "content": "x"}
REASONING: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": []}
SEALED = {**REASONING, "encrypted_content": "gAAAA"}

INPUTS: list[tuple[Any, list[tuple[str, str]]]] = [
    ("hi", [("changed", "The input is a text: it is sent as a message of the user.")]),
    ({"role": "user", "content": "x"}, []),
    (["a", "b"], [("changed", "2 texts in the input: sent as messages of the user.")]),
    ([SYSTEM], [("changed", "1 message of the role `system`: sent with the role `developer`.")]),
    ([SYSTEM, SYSTEM], [("changed", "2 messages of the role `system`: sent with the role `developer`.")]),
    ([{**SEALED, "status": None}], [("changed", "1 reasoning item with a status: sent without.")]),
    ([REASONING], [("dropped", "1 reasoning item without the encrypted content: left out.")]),
    (
        [{**REASONING, "status": "completed"}],
        [("dropped", "1 reasoning item without the encrypted content: left out.")],
    ),
    ([SEALED, {"type": "message", "role": "user", "content": [], "status": "completed"}], []),
]


@pytest.mark.parametrize(("given", "expected"), INPUTS)
def test_what_changes_in_the_input(given: Any, expected: list[tuple[str, str]]) -> None:
    assert levels(look(model="m", instructions="x", input=given)) == expected


def test_an_iterator_is_read_once() -> None:
    found = look(input=(text for text in ("a", "b")))
    assert found.accepted == {"input": ["a", "b"]}


WORDS = st.sampled_from(
    [
        "additionalProperties",
        "anyOf",
        "array",
        "call_id",
        "content",
        "custom",
        "encrypted_content",
        "format",
        "function",
        "function_call",
        "function_call_output",
        "input_image",
        "items",
        "json_schema",
        "message",
        "name",
        "namespace",
        "object",
        "output",
        "parameters",
        "properties",
        "reasoning",
        "required",
        "role",
        "schema",
        "strict",
        "text",
        "tools",
        "type",
        "user",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)
THINGS = st.dictionaries(WORDS, VALUES, max_size=6)
BODIES = st.fixed_dictionaries(
    {"input": st.lists(THINGS | VALUES, max_size=4)},
    optional={
        name: VALUES | THINGS | st.lists(THINGS, max_size=2)
        for name in ("instructions", "prompt_cache_key", "reasoning", "service_tier", "text", "tool_choice", "tools")
    },
)
ENTRIES = st.fixed_dictionaries(
    {"id": st.just("m")},
    optional=dict.fromkeys(
        ("context_window", "input_modalities", "service_tiers", "supported_reasoning_levels"), VALUES
    ),
)


@settings(max_examples=300, deadline=None)
@for_any(BODIES, ENTRIES)
def test_no_body_and_no_catalogue_breaks_it(given: dict[str, Any], entry: dict[str, Any]) -> None:
    """What is looked at has to be explained because something may be wrong with it."""
    body = {"model": "m", **given}
    tokens = estimate(body)
    findings = (*known_refusals(body, {}), *fit(body, [entry], tokens=tokens))
    sent = PreparedRequest(method="POST", url="u", headers={}, body=body, plain_bytes=1, sent_bytes=1)
    window = context_window("m", [entry])
    assert str(Explanation(model="m", prepared_request=sent, findings=findings, tokens=tokens, context_window=window))


def test_a_number_that_is_no_json_is_refused_and_not_raised() -> None:
    examined = look(temperature=float("nan"))
    assert examined.is_refused
    assert examined.accepted is None
    assert "nan" in examined.findings[0].why
