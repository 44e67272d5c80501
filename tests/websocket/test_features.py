"""Test that features of a call work over the WebSocket, and that it uses the network as HTTP does."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import openai
import pytest
import trustme
from pydantic import BaseModel
from support.scripted_backend import OVER_HTTP, ScriptedServer, Session, reply, response_events
from support.tunnels import serve_proxy

from codex_backend_sdk import OpenAI, StreamInterruptedError
from codex_backend_sdk._request.request_body import PreparedInput
from codex_backend_sdk.auth import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Answer(BaseModel):
    value: int


def test_parse_returns_the_model(client: Any, server: ScriptedServer) -> None:
    server.script(reply('{"value": 7}'))
    response = client.responses.parse(input="a", text_format=Answer)
    assert response.output_parsed == Answer(value=7)
    assert server.messages[0]["text"]["format"]["type"] == "json_schema"


def test_stream_helper_returns_the_final_response(client: Any, server: ScriptedServer) -> None:
    with client.responses.stream(input="a") as stream:
        types = [event.type for event in stream]
        assert stream.get_final_response().output_text == "hello"
    assert types[0] == "response.created"
    assert len(server.messages) == 1


@pytest.mark.parametrize("transport", ["auto", "websocket"])
def test_explain_shows_the_body_and_sends_nothing(
    new_client: Callable[..., Any], server: ScriptedServer, transport: str
) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}
    conversation = PreparedInput([item], history="h", generation=1)
    explanation = new_client(transport=transport).codex.explain(input=conversation, model="gpt-5.5")
    assert explanation.prepared_request is not None
    assert explanation.prepared_request.body["input"][-1] == item
    assert server.upgrades == server.messages == server.posts == []


def test_explanation_names_the_transport() -> None:
    client = OpenAI(credentials=MemoryStore(), transport="websocket")
    explanation = client.codex.explain(input="hi")
    assert explanation.prepared_request is not None
    assert explanation.prepared_request.transport == "websocket"
    assert "or a message on the WebSocket" in " ".join(str(explanation).split())
    assert "WebSocket" not in str(client.with_options(transport="http").codex.explain(input="hi"))


def test_retry_is_reported(new_client: Callable[..., Any], server: ScriptedServer) -> None:
    retries: list[Any] = []
    server.script(Session.abort)
    assert new_client(on_retry=retries.append).responses.create(input="a").output_text == "hello"
    assert len(retries) == 1


@pytest.mark.parametrize("is_delivered", [True, False])
def test_codex_events_are_delivered_if_requested(
    new_client: Callable[..., Any], server: ScriptedServer, is_delivered: bool
) -> None:
    events = [{"type": "codex.rate_limits", "rate_limits": {}}, *response_events("hello", "resp_1")]
    server.script(lambda session: session.send(*events))
    client = new_client(codex_events=is_delivered)
    types = [event.type for event in client.responses.create(input="a", stream=True)]
    assert ("codex.rate_limits" in types) is is_delivered
    assert types[-1] == "response.completed"


def test_interrupted_response_ends_and_keeps_its_connection(client: Any, server: ScriptedServer) -> None:
    def turn(session: Session) -> None:
        created, *events = response_events("half", "resp_1")
        session.send(created, *events[:2])
        request = session.next_message()
        assert request == {
            "type": "response.interrupt",
            "response_id": "resp_1",
            "mode": "discard_partial_items",
        }
        response = {**created["response"], "status": "incomplete", "incomplete_details": {"reason": "interrupted"}}
        session.send({"type": "response.incomplete", "response": response})

    server.script(turn)
    stream = client.responses.create(input="a", prompt_cache_key="k", stream=True)
    events = iter(stream)
    next(events)
    stream.interrupt()
    assert [event.type for event in events][-1] == "response.incomplete"
    stream.interrupt()  # has no effect on a finished response
    assert client.responses.create(input="a", prompt_cache_key="k").output_text == "hello"
    assert len(server.sessions) == 1


def lose_all(server: ScriptedServer) -> None:
    server.script(*[Session.abort] * 3)


def refuse_all(server: ScriptedServer) -> None:
    server.refuse(403, {"detail": "no"}, times=3)


def lose_in_the_response(server: ScriptedServer) -> None:
    def turn(session: Session) -> None:
        session.send(*response_events("half", "resp_1")[:3])
        session.abort()

    server.script(*[turn] * 3)


@pytest.mark.parametrize("fail", [lose_all, refuse_all, lose_in_the_response])
def test_no_token_in_errors_and_logs(
    client: Any, server: ScriptedServer, caplog: pytest.LogCaptureFixture, fail: Callable[[ScriptedServer], None]
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "websockets.server")  # the log of the test's own server
    fail(server)
    with pytest.raises((openai.APIError, StreamInterruptedError)) as caught:
        client.responses.create(input="a")
    text = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert server.upgrades[0]["authorization"] == "Bearer the-access-token-0"
    assert "the-access-token" not in text
    assert "the-access-token" not in caplog.text


# --- the network -------------------------------------------------------------------------------------------------


@pytest.fixture
def tls_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """A server with a certificate of an authority that only `CODEX_CA_CERTIFICATE` names."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("CODEX_CA_CERTIFICATE", str(tmp_path / "ca.pem"))
    with ScriptedServer(authority.issue_cert("127.0.0.1", "backend.example")) as server:
        yield server


def test_tls_with_a_custom_authority(new_client: Callable[..., Any], tls_server: ScriptedServer) -> None:
    client = new_client(base_url=tls_server.base_url)
    for _ in range(2):
        assert client.responses.create(input="a", prompt_cache_key="k").output_text == "hello"
    assert len(tls_server.sessions) == 1


def test_unknown_authority_is_an_error(
    new_client: Callable[..., Any], tls_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CODEX_CA_CERTIFICATE")
    with pytest.raises(openai.APIConnectionError, match="certificate"):
        new_client(base_url=tls_server.base_url, max_retries=0).responses.create(input="a")
    assert tls_server.upgrades == []


def test_proxy_tunnels_the_websocket(
    new_client: Callable[..., Any], tls_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_lines: list[str] = []
    port = urlsplit(tls_server.base_url).port or 0
    with serve_proxy(request_lines, local_ports={"backend.example": port}) as proxy_url:
        monkeypatch.setenv("HTTPS_PROXY", proxy_url)
        client = new_client(base_url="https://backend.example/backend-api/codex")
        for _ in range(2):
            assert client.responses.create(input="a", prompt_cache_key="k").output_text == "hello"
        client.close()
    assert request_lines == ["CONNECT backend.example:443 HTTP/1.1"]
    assert len(tls_server.sessions) == 1


FORK = """
import asyncio, json, os, sys
from codex_backend_sdk import AsyncOpenAI, OpenAI
from codex_backend_sdk.types import Login, Secret

url, kind = sys.argv[1:]

class FixedLogin:
    login = Login(access_token=Secret("token"), account_id="account", plan="plus")
    def ready(self):
        return self.login
    current = ready
    def refresh(self, rejected):
        return self.login

client = (OpenAI if kind == "sync" else AsyncOpenAI)(
    base_url=url, credentials=FixedLogin(), workspace_routing=False, transport="websocket", total_timeout=60
)

def ask(loop):
    call = client.responses.create(input="a", prompt_cache_key="k")
    return (call if kind == "sync" else loop.run_until_complete(call)).output_text

loop = asyncio.new_event_loop()
texts = [ask(loop)]
reader, writer = os.pipe()
if os.fork() == 0:
    try:
        os.write(writer, ask(asyncio.new_event_loop()).encode())
    finally:
        os._exit(0)
os.close(writer)
with open(reader) as file:
    texts.append(file.read())
texts.append(ask(loop))
print(json.dumps(texts))
os._exit(0 if sys.stdout.flush() is None else 1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="os.fork is not available")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_forked_child_opens_a_connection_of_its_own(server: ScriptedServer, kind: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORK, server.base_url, kind]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.stderr == ""
    assert json.loads(result.stdout) == ["hello", "hello", "hello"]
    assert [len(session.messages) for session in server.sessions] == [2, 1]


def test_threads_share_a_client(server: ScriptedServer, client_options: dict[str, Any]) -> None:
    texts: list[str] = []
    with OpenAI(**client_options) as client:

        def ask(key: str) -> None:
            for _ in range(5):
                texts.append(client.responses.create(input="a", prompt_cache_key=key).output_text)

        threads = [threading.Thread(target=ask, args=(key,)) for key in "aabb"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert texts == ["hello"] * 20
    assert OVER_HTTP not in texts
    assert 2 <= len(server.sessions) <= 4
