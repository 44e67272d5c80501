from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st
from openai import NotGiven

import codex_backend_sdk as sdk
from codex_backend_sdk.resources.explain import Examined, examine
from codex_backend_sdk.resources.explanation import Explanation, PreparedRequest, estimate_tokens
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
    assert (explanation.model, explanation.context_window) == ("gpt-6.1-sol", 272000)


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
        "The headers have no account id, because no login is loaded yet."
    ]
    assert "chatgpt-account-id" not in explanation.prepared_request.headers
    assert explanation.context_window is None


def test_refused_call_has_no_prepared_request(client: Any, sim: Simulator) -> None:
    explanation = client.codex.explain(input="hi", temperature=0, store=True, nonsense=1)
    assert explanation.is_refused
    assert explanation.prepared_request is None
    assert [finding.level for finding in explanation.findings].count("refused") == 3
    assert client.codex.explain().model == "gpt-6.1-sol"
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
    assert warning.what == "The input is probably too long for `gpt-6.1-sol`."
    assert "the context window has 272,000" in warning.why
    assert not explanation.is_refused
    assert all(finding.level != "warning" for finding in client.codex.explain(input="hi").findings)


def test_copies_share_the_catalog_of_one_account(client: Any, sim: Simulator) -> None:
    client.models.list()
    assert client.with_options(timeout=5).codex.explain(input="hi").context_window == 272000
    document = sim.login_document()
    document["tokens"]["account_id"] = "acc-other"
    other = sdk.auth.Credentials(sdk.auth.MemoryStore(document), issuer=sim.issuer)
    other.current()
    assert client.with_options(credentials=other).codex.explain(input="hi").context_window is None


def test_workspace_routing_is_reported(new_client: Any) -> None:
    with Simulator(account=SimulatedAccount(plan="enterprise")) as sim:
        client = new_client(base_url=sim.base_url, issuer=sim.issuer, credentials=sim.credentials())
        client.codex.usage()
        before = [finding.what for finding in client.codex.explain(input="hi").findings]
        assert "The workspace may have a backend of its own." in before
        with Simulator(accepts_logins_of=sim) as own:
            sim.routing = sdk.Routing(origin=own.url)
            client.responses.create(input="hi")
            after = [finding.what for finding in client.codex.explain(input="hi").findings]
            assert f"The requests of this workspace go to {own.url}." in after
        assert "The workspace may have a backend of its own." not in after


# --- the parameters --------------------------------------------------------------------------------------------------


def examined(*unknown: str, drops: bool = False, **given: Any) -> Examined:
    return examine(given, unknown=unknown, model="m", instructions="Be brief.", drops=drops)


def summary(result: Examined) -> list[tuple[str, str]]:
    return [(finding.level, finding.what) for finding in result.findings]


def test_unchanged_call_has_no_findings() -> None:
    given = {"model": "x", "instructions": "y", "input": [{"role": "user", "content": "hi"}]}
    assert examined(**given, store=None, user=NotGiven()) == Examined((), False, given)


def test_all_refused_parameters_are_reported_at_once() -> None:
    result = examined("temprature", input="hi", temperature=0, max_output_tokens=9, previous_response_id="r")
    assert [what for level, what in summary(result) if level == "refused"] == [
        "`responses.create()` has no parameter `temprature`.",
        "The backend does not accept `previous_response_id`.",
        "The backend does not accept `temperature`.",
        "The backend does not accept `max_output_tokens`.",
    ]
    assert result.is_refused
    assert result.accepted == {"input": "hi"}
    remedies = [finding.remedy or "" for finding in result.findings if finding.level == "refused"]
    assert remedies[1].startswith("Instead: ")
    assert remedies[2] == "Leave it out, or let the client drop it with `OpenAI(unsupported='drop')`."
    assert remedies[3].startswith(remedies[2] + " Or: ")


def test_client_that_drops_refuses_only_what_changes_the_call() -> None:
    result = examined(drops=True, input="hi", temperature=0, max_output_tokens=9)
    dropped = [finding for finding in result.findings if finding.level == "dropped"]
    assert [finding.what for finding in dropped] == [
        "The client drops `temperature`.",
        "The client drops `max_output_tokens`.",
    ]
    assert [bool(finding.remedy) for finding in dropped] == [False, True]
    assert not result.is_refused
    assert examined(drops=True, input="hi", store=True).is_refused


@pytest.mark.parametrize("given", [{}, {"input": 7}, {"input": [7]}, {"input": {"object": "response", "output": []}}])
def test_invalid_input_is_refused(given: dict[str, Any]) -> None:
    result = examined(**given)
    assert (result.is_refused, result.accepted) == (True, None)
    assert "`input`" in result.findings[-1].why


def test_number_that_json_cannot_hold_is_refused() -> None:
    result = examined(input="hi", temperature=float("nan"))
    assert (result.is_refused, result.accepted) == (True, None)
    assert "nan" in result.findings[0].why


def test_defaults_of_the_client_are_reported() -> None:
    assert [what for _, what in summary(examined(input=[]))] == [
        "The call names no model. The client uses its own: `m`.",
        "The call has no instructions. The client sends its own.",
    ]
    assert examine({"input": [], "model": "x"}, model="m", instructions="", drops=False).findings == ()


def test_default_value_is_a_note() -> None:
    note = ("note", "The client leaves `temperature` out, because its value is the default.")
    assert note in summary(examined(input=[], temperature=1, instructions=""))
    assert not any("`instructions`" in what for _, what in summary(examined(input=[], instructions="")))


SYSTEM = {"role": "system", "content": "x"}
REASONING: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": []}
ENCRYPTED = {**REASONING, "encrypted_content": "gAAAA"}
DROPPED = [("dropped", "1 reasoning item without encrypted content: dropped.")]

INPUTS: list[tuple[Any, list[tuple[str, str]]]] = [
    ("hi", [("changed", "The input is a string. It is sent as a user message.")]),
    ({"role": "user", "content": "x"}, []),
    (["a", "b"], [("changed", "2 strings in the input: sent as user messages.")]),
    ([SYSTEM], [("changed", "1 message with the role `system`: sent with the role `developer`.")]),
    ([SYSTEM, SYSTEM], [("changed", "2 messages with the role `system`: sent with the role `developer`.")]),
    ([{**ENCRYPTED, "status": None}], [("changed", "1 reasoning item with a status: sent without it.")]),
    ([REASONING], DROPPED),
    ([{**REASONING, "status": "completed"}], DROPPED),
    ([ENCRYPTED, {"type": "message", "role": "user", "content": [], "status": "completed"}], []),
]


@pytest.mark.parametrize(("given", "expected"), INPUTS)
def test_changes_of_the_input_are_reported(given: Any, expected: list[tuple[str, str]]) -> None:
    assert summary(examined(model="m", instructions="x", input=given)) == expected


def test_iterator_input_is_read_once() -> None:
    assert examined(input=(text for text in ("a", "b"))).accepted == {"input": ["a", "b"]}


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
@for_any(CALLS)
def test_any_call_can_be_explained_and_printed(given: dict[str, Any]) -> None:
    result = examine(given, model="m", instructions="", drops=False)
    tokens = estimate_tokens(given)
    assert 0 <= tokens.low <= tokens.likely <= tokens.high
    request = PreparedRequest(method="POST", url="u", headers={}, body=given, plain_bytes=1, sent_bytes=1)
    assert str(Explanation(model="m", prepared_request=request, findings=result.findings, tokens=tokens))
