from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.resources.responses import Responses
from testing.test_refusals import ROWS

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import Account, Simulator

NAMES = frozenset(inspect.signature(Responses.create).parameters)


def params(given: dict[str, Any]) -> dict[str, Any]:
    """Put what is no official parameter where it belongs."""
    return {
        **{name: value for name, value in given.items() if name in NAMES},
        "extra_body": {name: value for name, value in given.items() if name not in NAMES},
    }


def test_it_says_what_is_sent_then(client: Any, bodies: Callable[[], list[dict[str, Any]]], sim: Simulator) -> None:
    client.models.list()
    call = {"input": ["hi", {"role": "system", "content": "x" * 9000}], "reasoning": {"effort": "low"}}
    explanation = client.codex.explain(**call, prompt_cache_key="key", extra_headers={"X-Own": "1", "Cookie": "c"})
    assert [request.path for request in sim.requests] == ["/backend-api/codex/models"]
    client.responses.create(**call, prompt_cache_key="key", extra_headers={"X-Own": "1", "Cookie": "c"})
    sent, request = explanation.prepared_request, sim.requests[-1]
    assert sent is not None
    assert sent.body == bodies()[-1]
    assert (sent.method, sent.url) == ("POST", f"{sim.base_url}/responses")
    headers = {name: value for name, value in sent.headers.items() if value != "…"}
    assert sent.headers["x-own"] == "…"
    assert headers == {name: request.headers[name] for name in headers}
    assert {"chatgpt-account-id", "user-agent", "session-id", "content-encoding", "host"} <= headers.keys()
    assert set(sent.headers) == set(request.headers)
    assert (sent.encoding, sent.plain_bytes > sent.sent_bytes) == ("zstd", True)
    assert sent.headers["content-length"] == str(sent.sent_bytes)
    assert (explanation.model, explanation.context_window) == ("gpt-6.1-sol", 272000)
    assert not explanation.is_doubtful


def test_no_secret_is_in_it(new_client: Any, sim: Simulator) -> None:
    client = new_client(
        default_headers={"X-Api-Key": "hush", "Cookie": "hush"}, default_query={"key": "hush"}, api_key="hush"
    )
    client.models.list()
    tokens = sim.requests[-1].headers["authorization"].removeprefix("Bearer ")
    explanation = client.codex.explain(input="hi", extra_headers={"Proxy-Authorization": "hush"})
    for text in (str(explanation), repr(explanation), repr(explanation.prepared_request.headers)):
        assert "hush" not in text
        assert tokens not in text
    assert explanation.prepared_request.headers["authorization"] == "…"
    assert explanation.prepared_request.url.endswith("/responses?…")


def test_before_anything_is_known_it_asks_nobody(client: Any, sim: Simulator) -> None:
    explanation = client.codex.explain(model="nonsense", input="hi")
    assert sim.requests == []
    notes = [finding.what for finding in explanation.findings if finding.level == "note"]
    assert len(notes) == 2
    assert "is not known" in notes[0]
    assert "no login is loaded yet" in notes[1]
    assert "chatgpt-account-id" not in explanation.prepared_request.headers
    assert not explanation.is_doubtful


def test_a_refused_call_is_explained_as_a_whole(client: Any, sim: Simulator) -> None:
    explanation = client.codex.explain(input="hi", temperature=0, store=True, tools=[{"type": "mcp"}], nonsense=1)
    assert explanation.is_refused
    assert explanation.is_doubtful
    assert explanation.prepared_request is None
    assert [finding.level for finding in explanation.findings].count("refused") == 3
    assert client.codex.explain().model == "gpt-6.1-sol"
    assert client.codex.explain().tokens is None
    assert sim.requests == []


def test_dropping_logs_nothing_here(new_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    explanation = new_client(unsupported="drop").codex.explain(input="hi", temperature=0)
    assert [finding.level for finding in explanation.findings if "temperature" in finding.what] == ["dropped"]
    assert "temperature" not in explanation.prepared_request.body
    assert not [record for record in caplog.records if record.name == "codex_backend_sdk"]


def test_a_copy_knows_the_catalogue_and_another_account_does_not(client: Any, sim: Simulator) -> None:
    client.models.list()
    assert client.with_options(timeout=5).codex.explain(model="nonsense", input="hi").is_doubtful
    document = sim.login_document()
    document["tokens"]["account_id"] = "acc-other"
    other = sdk.auth.Credentials(sdk.auth.MemoryStore(document), issuer=sim.issuer)
    other.current()
    assert not client.with_options(credentials=other).codex.explain(model="nonsense", input="hi").is_doubtful


def test_a_stream_is_explained_as_one(client: Any) -> None:
    assert client.codex.explain(input="hi", stream=True).prepared_request.body["stream"] is True


def test_a_workspace_that_was_not_asked_yet(new_client: Any) -> None:
    with Simulator(account=Account(plan="enterprise")) as sim:
        client = new_client(base_url=sim.base_url, issuer=sim.issuer, credentials=sim.credentials())
        client.codex.usage()
        told = [finding.what for finding in client.codex.explain(input="hi").findings]
        assert any("may have a backend of its own" in what for what in told)
        with Simulator(workspace_of=sim) as own:
            sim.routing = sdk.Routing(origin=own.url)
            client.responses.create(input="hi")
            told = [finding.what for finding in client.codex.explain(input="hi").findings]
            assert f"The requests of this workspace go to {own.url}." in told
        assert not any("may have a backend" in what for what in told)


# What can be known only by asking is whether a blob was given to this account and this model. The JSON types of the
# official parameters are left to type checkers.
UNTOLD = {"encrypted_content", "wrong_type"}


@pytest.mark.parametrize(("rule", "change"), [(rule, change) for rule, change, _ in ROWS if rule not in UNTOLD])
def test_it_foretells_every_refusal_of_the_simulator(client: Any, rule: str, change: dict[str, Any]) -> None:
    """What is neither refused here nor doubtful is taken, and what is refused by anyone was foretold."""
    given = params({"model": "gpt-6.1-sol", "input": [{"role": "user", "content": "hi"}], **change})
    client.models.list()
    explanation = client.codex.explain(**given)
    is_foretold = explanation.is_refused or explanation.is_doubtful
    error = outcome(client, given)
    assert is_foretold == (error is not None), str(explanation)
    is_refused_here = isinstance(error, (sdk.CodexBackendUnsupportedParameterError, TypeError))
    assert explanation.is_refused == (is_refused_here and not isinstance(error, openai.APIError))


def outcome(client: Any, given: dict[str, Any]) -> Exception | None:
    try:
        client.responses.create(**given)
    except (openai.OpenAIError, TypeError) as error:
        return error
    return None
