"""Test `client.codex.explain()`: the prepared request, and the findings about parameters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import NotGiven

import codex_backend_sdk as sdk
from codex_backend_sdk._options import ClientOptions, RetryOptions, TimeoutOptions
from codex_backend_sdk.resources.explain import apply_policy
from codex_backend_sdk.resources.explain_report import Explanation, Finding, PreparedRequest, estimate_tokens
from codex_backend_sdk.testing import SimulatedAccount, Simulator

# --- a call on a client ----------------------------------------------------------------------------------------------


def test_prepared_request_equals_the_sent_one(client: Any, bodies: Any, sim: Simulator) -> None:
    client.models.list()
    call = {
        "input": ["hi", {"role": "system", "content": "x" * 9000}],
        "reasoning": {"effort": "low"},
        "prompt_cache_key": "key",
        "extra_headers": {"X-Own": "1", "Cookie": "c"},
    }
    explanation = client.codex.explain(**call)
    assert [request.path for request in sim.requests] == ["/backend-api/codex/models"]
    client.responses.create(**call)
    prepared, sent = explanation.prepared_request, sim.requests[-1]
    assert prepared is not None
    assert prepared.body == bodies()[-1]
    assert (prepared.method, prepared.url) == ("POST", f"{sim.base_url}/responses")
    shown = {name: value for name, value in prepared.headers.items() if value != "…"}
    assert prepared.headers["x-own"] == "…"
    assert shown == {name: sent.headers[name] for name in shown}
    assert {"chatgpt-account-id", "user-agent", "session-id", "content-encoding", "host"} <= shown.keys()
    assert set(prepared.headers) == set(sent.headers)
    assert prepared.encoding == "zstd"
    assert prepared.plain_bytes > prepared.sent_bytes
    assert prepared.headers["content-length"] == str(prepared.sent_bytes)
    assert (explanation.model, explanation.context_window) == ("gpt-6.1-terra", 500000)


def test_explanation_contains_no_secret(new_client: Any, sim: Simulator) -> None:
    client = new_client(
        default_headers={"X-Api-Key": "hush", "Cookie": "hush"}, default_query={"key": "hush"}, api_key="hush"
    )
    client.models.list()
    token = sim.requests[-1].headers["authorization"].removeprefix("Bearer ")
    explanation = client.codex.explain(input="hi", extra_headers={"Proxy-Authorization": "hush"})
    for text in (str(explanation), repr(explanation), repr(explanation.prepared_request.headers)):
        assert "hush" not in text
        assert token not in text
    assert explanation.prepared_request.headers["authorization"] == "…"
    assert explanation.prepared_request.url.endswith("/responses?…")


def test_explanation_before_the_first_call_sends_nothing(client: Any, sim: Simulator) -> None:
    explanation = client.codex.explain(model="nonsense", input="hi")
    assert sim.requests == []
    assert [finding.what for finding in explanation.findings if finding.level == "note"] == [
        "No login is loaded yet. The headers have no account ID, and the derived prompt cache key is not final."
    ]
    assert "chatgpt-account-id" not in explanation.prepared_request.headers
    assert explanation.context_window is None


def test_rejected_call_has_no_prepared_request(client: Any, sim: Simulator) -> None:
    explanation = client.codex.explain(input="hi", temperature=0, store=True, nonsense=1)
    assert explanation.is_refused
    assert explanation.prepared_request is None
    assert [finding.level for finding in explanation.findings].count("refused") == 3
    assert client.codex.explain().model == "gpt-6.1-terra"
    assert client.codex.explain().tokens is None
    assert sim.requests == []


def test_dropped_parameter_is_reported_without_a_log_line(new_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    explanation = new_client(unsupported="drop").codex.explain(input="hi", temperature=0)
    assert [finding.level for finding in explanation.findings if "temperature" in finding.what] == ["dropped"]
    assert "temperature" not in explanation.prepared_request.body
    assert not [record for record in caplog.records if record.name == "codex_backend_sdk"]


def test_stream_parameter_is_in_the_prepared_body(client: Any) -> None:
    assert client.codex.explain(input="hi", stream=True).prepared_request.body["stream"] is True


def test_too_long_input_is_a_warning(client: Any) -> None:
    client.models.list()
    explanation = client.codex.explain(input="x" * 2_000_000)
    (warning,) = [finding for finding in explanation.findings if finding.level == "warning"]
    assert warning.what == "The input is probably too long for `gpt-6.1-terra`."
    assert "the context window has 500,000" in warning.why
    assert not explanation.is_refused
    assert all(finding.level != "warning" for finding in client.codex.explain(input="hi").findings)


def test_copies_share_the_catalog_of_one_account(client: Any, sim: Simulator) -> None:
    client.models.list()
    assert client.with_options(timeout=5).codex.explain(input="hi").context_window == 500000
    document = sim.login_document()
    document["tokens"]["account_id"] = "acc-other"
    other = sdk.auth.Credentials(sdk.auth.MemoryStore(document), issuer=sim.issuer)
    other.current()
    assert client.with_options(credentials=other).codex.explain(input="hi").context_window is None


def test_workspace_routing_is_reported(new_client: Any) -> None:
    with Simulator(account=SimulatedAccount(plan="enterprise")) as sim:
        client = new_client(base_url=sim.base_url, issuer=sim.issuer, credentials=sim.credentials())
        client.codex.usage()
        findings_before = [finding.what for finding in client.codex.explain(input="hi").findings]
        assert "The first call requests the backend URL of the workspace." in findings_before
        with Simulator(accepts_logins_of=sim) as dedicated_backend:
            sim.routing = sdk.Routing(origin=dedicated_backend.url)
            client.responses.create(input="hi")
            findings_after = [finding.what for finding in client.codex.explain(input="hi").findings]
            assert f"The requests of this workspace go to {dedicated_backend.url}." in findings_after
        assert "The first call requests the backend URL of the workspace." not in findings_after


# --- the parameters --------------------------------------------------------------------------------------------------

OPTIONS = ClientOptions("m", "Be brief.", "tests", "raise", RetryOptions(), TimeoutOptions())
DROPPING_OPTIONS = OPTIONS._replace(unsupported="drop")


def level_and_text(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.what) for finding in findings]


def test_unchanged_call_has_no_findings() -> None:
    call = {"model": "x", "instructions": "y", "input": [{"role": "user", "content": "hi"}]}
    assert apply_policy({**call, "store": None, "user": NotGiven()}, OPTIONS) == ([], call)


def test_all_rejected_parameters_are_reported_at_once() -> None:
    call = {"input": "hi", "seed": 0, "max_output_tokens": 9, "previous_response_id": "r"}
    findings, accepted = apply_policy(call, OPTIONS, unknown_names=["temprature"])
    rejections = [finding for finding in findings if finding.level == "refused"]
    assert [finding.what for finding in rejections] == [
        "`responses.create()` has no parameter `temprature`.",
        "The backend does not accept `previous_response_id`.",
        "The backend does not accept `seed`.",
        "The backend does not accept `max_output_tokens`.",
    ]
    assert accepted == {"input": "hi"}
    remedies = [finding.remedy or "" for finding in rejections]
    assert "earlier items in `input`" in remedies[1]
    assert remedies[2] == "Drop it, or let the client drop it with `OpenAI(unsupported='drop')`."
    assert remedies[3].startswith(remedies[2])
    assert "`text={'verbosity': 'low'}`" in remedies[3]


def test_dropping_client_rejects_only_what_changes_the_call() -> None:
    findings, _ = apply_policy({"input": "hi", "seed": 0, "max_output_tokens": 9}, DROPPING_OPTIONS)
    dropped = [finding for finding in findings if finding.level == "dropped"]
    assert [finding.what for finding in dropped] == [
        "The client drops `seed`.",
        "The client drops `max_output_tokens`.",
    ]
    assert [bool(finding.remedy) for finding in dropped] == [False, True]
    assert "refused" not in dict(level_and_text(findings))
    assert "refused" in dict(level_and_text(apply_policy({"input": "hi", "store": True}, DROPPING_OPTIONS)[0]))


@pytest.mark.parametrize("call", [{}, {"input": 7}, {"input": [7]}, {"input": {"object": "response", "output": []}}])
def test_invalid_input_is_rejected(call: dict[str, Any]) -> None:
    findings, accepted = apply_policy(call, OPTIONS)
    assert (findings[-1].level, accepted) == ("refused", None)
    assert "`input" in findings[-1].why


def test_number_that_json_cannot_represent_is_rejected() -> None:
    findings, accepted = apply_policy({"input": "hi", "temperature": float("nan")}, OPTIONS)
    assert (findings[-1].level, accepted) == ("refused", None)
    assert "nan" in findings[0].why


def test_defaults_of_the_client_are_reported() -> None:
    assert [text for _, text in level_and_text(apply_policy({"input": []}, OPTIONS)[0])] == [
        "The client uses its default model: `m`.",
        "The client sends its default instructions.",
    ]
    assert apply_policy({"input": [], "model": "x"}, OPTIONS._replace(instructions=""))[0] == []


def test_default_value_is_a_note() -> None:
    note = ("note", "The client drops `temperature`, because its value is the default.")
    findings, _ = apply_policy({"input": [], "temperature": 1, "instructions": ""}, OPTIONS)
    assert note in level_and_text(findings)
    assert not any("`instructions`" in finding.what for finding in findings)


SYSTEM_MESSAGE = {"role": "system", "content": "x"}
REASONING: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": []}
ENCRYPTED_REASONING = {**REASONING, "encrypted_content": "gAAAA"}
STRINGS = "The client sends strings in `input` as user messages (items: {})."
SYSTEM_MESSAGES = "The client sends system messages with the role `developer` (items: {})."
DROPPED_REASONING = [("dropped", "The client drops reasoning items without encrypted content (items: 1).")]

INPUTS: list[tuple[Any, list[tuple[str, str]]]] = [
    ("hi", [("changed", STRINGS.format(1))]),
    ({"role": "user", "content": "x"}, []),
    (["a", "b"], [("changed", STRINGS.format(2))]),
    ([SYSTEM_MESSAGE], [("changed", SYSTEM_MESSAGES.format(1))]),
    ([SYSTEM_MESSAGE, SYSTEM_MESSAGE], [("changed", SYSTEM_MESSAGES.format(2))]),
    (
        [{**ENCRYPTED_REASONING, "status": "completed"}],
        [("changed", "The client removes the status and the content of reasoning items (items: 1).")],
    ),
    (
        [{**ENCRYPTED_REASONING, "content": [{"type": "reasoning_text", "text": "x"}]}],
        [("changed", "The client removes the status and the content of reasoning items (items: 1).")],
    ),
    (
        [{"type": "web_search_call", "action": {"type": "other"}}],
        [("dropped", "The client drops web searches without an action that the backend accepts (items: 1).")],
    ),
    ([REASONING], DROPPED_REASONING),
    ([{**REASONING, "status": "completed"}], DROPPED_REASONING),
    ([ENCRYPTED_REASONING, {"type": "message", "role": "user", "content": [], "status": "completed"}], []),
]


@pytest.mark.parametrize(("input_value", "expected"), INPUTS)
def test_changes_of_the_input_are_reported(input_value: Any, expected: list[tuple[str, str]]) -> None:
    findings, _ = apply_policy({"model": "m", "instructions": "x", "input": input_value}, OPTIONS)
    assert level_and_text(findings) == expected


def test_iterator_input_is_read_once() -> None:
    assert apply_policy({"input": (text for text in ("a", "b"))}, OPTIONS)[1] == {"input": ["a", "b"]}


# --- any parameters --------------------------------------------------------------------------------------------------

WORDS = st.sampled_from((
    "call_id", "content", "encrypted_content", "format", "function", "function_call", "function_call_output", "input",
    "input_audio", "input_image", "items", "json_schema", "message", "name", "object", "output", "parameters",
    "reasoning", "role", "schema", "status", "text", "tools", "type", "user",
))  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(WORDS, VALUES, max_size=6)
CALLS = st.fixed_dictionaries(
    {"input": st.lists(OBJECTS | VALUES, max_size=4)},
    optional={
        name: VALUES | OBJECTS | st.lists(OBJECTS, max_size=2)
        for name in ("instructions", "prompt_cache_key", "reasoning", "service_tier", "text", "tool_choice", "tools")
    },
)


@settings(max_examples=300, deadline=None)
@given(CALLS)
def test_any_call_can_be_explained_and_printed(call: dict[str, Any]) -> None:
    findings, _ = apply_policy(call, OPTIONS)
    tokens = estimate_tokens(call)
    assert 0 <= tokens.low <= tokens.likely <= tokens.high
    request = PreparedRequest(method="POST", url="u", headers={}, body=call, plain_bytes=1, sent_bytes=1)
    assert str(Explanation(model="m", prepared_request=request, findings=tuple(findings), tokens=tokens))


def test_parameter_that_replaces_the_input_needs_no_input() -> None:
    findings, accepted = apply_policy({"previous_response_id": "resp_1"}, OPTIONS)
    assert findings[0].level == "refused"
    assert "`previous_response_id`" in findings[0].what
    assert accepted is None
