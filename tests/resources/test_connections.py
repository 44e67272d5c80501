"""Test `client.responses.connect()`: openai's connection, logged in, with messages that the backend accepts."""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.tunnels import serve_proxy, serve_tls
from support.websocket_server import websocket_server

import codex_backend_sdk as sdk
from codex_backend_sdk import Routing
from codex_backend_sdk.auth import MemoryStore
from codex_backend_sdk.testing import SimulatedAccount, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.websocket_server import WebSocketServer

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server() -> Iterator[WebSocketServer]:
    with websocket_server() as running:
        yield running


@pytest.fixture
def connecting_client(new_client: Any, server: WebSocketServer) -> Any:
    return new_client(base_url=server.base_url, workspace_routing=False)


def complete(connection: Any) -> Any:
    """Return the response in the next terminal event."""
    return next(event.response for event in connection if event.type == "response.completed")


def test_response_is_received(connecting_client: Any, server: WebSocketServer) -> None:
    with connecting_client.responses.connect() as connection:
        connection.response.create(input="hi")
        response = complete(connection)
        assert response.output_text == "hello"
        connection.response.create(
            input=[{"role": "system", "content": "Rhyme."}, *response.output], previous_response_id=response.id
        )
        assert complete(connection).id == "resp_2"
        connection.send({"type": "response.interrupt", "response_id": "resp_2", "mode": "discard_partial_items"})
        connection.response.create(previous_response_id="resp_2")
        complete(connection)
    first, second, interrupt, third = server.messages
    assert first["input"] == [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]
    assert first["store"] is False
    assert first["stream"] is True
    assert first["include"] == ["reasoning.encrypted_content"]
    assert (first["model"], first["instructions"]) == ("gpt-6.1-terra", "You are a helpful assistant.")
    assert second["previous_response_id"] == "resp_1"
    assert [item["role"] for item in second["input"]] == ["developer", "assistant"]
    assert interrupt == {"type": "response.interrupt", "response_id": "resp_2", "mode": "discard_partial_items"}
    assert third["input"] == []


def test_handshake_is_signed(connecting_client: Any, server: WebSocketServer, sim: Simulator) -> None:
    connect = connecting_client.responses.connect
    with connect(extra_headers={"x-mine": "yes", "Authorization": "Bearer other"}, extra_query={"q": "1"}):
        pass
    (request,) = server.handshakes
    login = connecting_client.credentials.ready()
    assert request.path == "/backend-api/codex/responses?q=1"
    assert request.headers.get_all("authorization") == [f"Bearer {login.access_token.reveal()}"]
    assert request.headers["chatgpt-account-id"] == login.account_id
    assert request.headers["originator"] == "codex_backend_sdk"
    assert request.headers["user-agent"].startswith("codex_backend_sdk codex-backend-sdk/")
    assert request.headers["openai-beta"] == "responses_websockets=2026-02-06"
    assert request.headers["x-mine"] == "yes"
    assert "openai-organization" not in request.headers


def test_rejected_handshake_refreshes_the_login(
    connecting_client: Any, server: WebSocketServer, sim: Simulator
) -> None:
    server.statuses = [401]
    with connecting_client.responses.connect() as connection:
        connection.response.create(input="hi")
        assert complete(connection).output_text == "hello"
    first, second = (request.headers["authorization"] for request in server.handshakes)
    assert first != second


def test_second_rejection_is_raised(connecting_client: Any, server: WebSocketServer) -> None:
    from websockets.exceptions import InvalidStatus

    server.statuses = [401, 401]
    with pytest.raises(InvalidStatus), connecting_client.responses.connect():
        pass
    server.statuses = [503]
    with pytest.raises(InvalidStatus), connecting_client.responses.connect():
        pass
    assert len(server.handshakes) == 3


def test_messages_queued_before_connecting_are_shaped(connecting_client: Any, server: WebSocketServer) -> None:
    manager = connecting_client.responses.connect()
    manager.send({"type": "response.create", "model": "gpt-5.5", "input": "hi"})
    with manager as connection:
        complete(connection)
    (message,) = server.messages
    assert (message["store"], message["model"], message["input"][0]["role"]) == (False, "gpt-5.5", "user")


def test_connection_has_one_cache_key(new_client: Any, server: WebSocketServer) -> None:
    client = new_client(base_url=server.base_url, workspace_routing=False)
    with client.responses.connect() as connection:
        for parameters in ({"input": "a"}, {"input": "b"}, {"input": "c", "prompt_cache_key": "mine"}):
            connection.response.create(**parameters)
            complete(connection)
    with client.responses.connect(extra_headers={"Session-Id": "own"}) as connection:
        connection.response.create(input="a")
        complete(connection)
    with client.with_options(prompt_cache=False).responses.connect() as connection:
        connection.response.create(input="a")
        complete(connection)
    session, own, none = (request.headers.get("session-id") for request in server.handshakes)
    assert [message.get("prompt_cache_key") for message in server.messages] == [session, session, "mine", "own", None]
    assert (len(session), own, none) == (36, "own", None)


def test_instructions_begin_the_input_once(connecting_client: Any, server: WebSocketServer) -> None:
    with connecting_client.responses.connect() as connection:
        connection.response.create(model="gpt-6.2-sol", input="a", instructions="Be kind.")
        response = complete(connection)
        connection.response.create(model="gpt-6.2-sol", input="b", previous_response_id=response.id)
        complete(connection)
    roles = [[item["role"] for item in message["input"]] for message in server.messages]
    assert roles == [["developer", "user"], ["user"]]
    assert not any("instructions" in message for message in server.messages)


def test_unsupported_parameters_follow_the_policy(new_client: Any, server: WebSocketServer) -> None:
    client = new_client(base_url=server.base_url, workspace_routing=False)
    with client.responses.connect() as connection:
        for parameter in ({"temperature": 0}, {"store": True}, {"background": True}):
            with pytest.raises(sdk.CodexBackendUnsupportedParameterError):
                connection.response.create(input="a", **parameter)
        with pytest.raises(TypeError, match="`input` is required"):
            connection.response.create(model="gpt-5.5")
    assert server.messages == []
    with client.with_options(unsupported="drop").responses.connect() as connection:
        connection.response.create(input="a", temperature=0)
        complete(connection)
    assert "temperature" not in server.messages[0]


def test_missing_package_is_named(connecting_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.exceptions", None)
    with pytest.raises(sdk.CodexError, match=r"pip install '\.\[websocket\]'"):
        connecting_client.responses.connect().__enter__()


def test_missing_login_is_reported(server: WebSocketServer) -> None:
    client = sdk.OpenAI(base_url=server.base_url, credentials=MemoryStore())
    with pytest.raises(sdk.LoginRequiredError), client.responses.connect():
        pass
    assert server.handshakes == []


@pytest.mark.parametrize("url", ["ws://example.com/v1", "http://example.com/v1", "wss://api.openai.com/v1"])
def test_login_is_not_sent_to_another_place(new_client: Any, sim: Simulator, url: str) -> None:
    client = new_client(websocket_base_url=url)
    with pytest.raises(ValueError, match="websocket_base_url"):
        client.responses.connect().__enter__()


def test_own_websocket_url_is_used(new_client: Any, server: WebSocketServer) -> None:
    client = new_client(websocket_base_url=server.base_url.replace("http", "ws"), workspace_routing=False)
    with client.responses.connect() as connection:
        connection.response.create(input="hi")
        assert complete(connection).output_text == "hello"


def test_arguments_are_those_of_the_official_method(connecting_client: Any) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        connecting_client.responses.connect(headers={})


# --- code that opens a WebSocket itself ------------------------------------------------------------------------------


def test_auth_headers_are_those_of_the_login(sim: Simulator) -> None:
    with sim.client() as client:
        assert client.auth_headers == {}
        client.responses.create(input="hi")
        login = client.credentials.ready()
        assert login is not None
        assert client.auth_headers["Authorization"] == f"Bearer {login.access_token.reveal()}"
        assert client.auth_headers["ChatGPT-Account-ID"] == login.account_id
        assert "Authorization" not in client.default_headers
        client.base_url = "http://example.com"
        with pytest.raises(ValueError, match="base_url must be an https URL"):
            _ = client.auth_headers


def test_async_client_loads_the_login_for_its_headers(sim: Simulator) -> None:
    async def load() -> dict[str, str]:
        async with sim.async_client() as client:
            await client._refresh_api_key()
            return client.auth_headers

    assert asyncio.run(load())["Authorization"].startswith("Bearer ")


# --- routing, certificates and proxies -------------------------------------------------------------------------------


def test_connection_goes_to_the_backend_of_the_workspace(new_client: Any, server: WebSocketServer) -> None:
    with Simulator(account=SimulatedAccount(plan="enterprise")) as simulator:
        simulator.routing = Routing(origin=f"http://127.0.0.1:{server.port}", override="us")
        client = new_client(base_url=simulator.base_url, credentials=simulator.credentials())
        with client.responses.connect(extra_query={"q": "1"}) as connection:
            connection.response.create(input="hi")
            complete(connection)
        assert [request.path for request in simulator.requests] == ["/backend-api/wham/accounts/check"]
    (request,) = server.handshakes
    assert request.path == "/backend-api/codex/responses?q=1"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["x-openai-account-routing-override"] == "us"


@pytest.fixture
def certificate_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    authority = pytest.importorskip("trustme").CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for scheme in ("HTTP", "HTTPS", "ALL", "NO"):
        monkeypatch.delenv(f"{scheme}_PROXY", raising=False)
        monkeypatch.delenv(f"{scheme.lower()}_proxy", raising=False)
    monkeypatch.setenv("CODEX_CA_CERTIFICATE", str(tmp_path / "ca.pem"))
    return authority


def test_certificates_of_the_environment_apply(
    new_client: Any, server: WebSocketServer, certificate_authority: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_tls(certificate_authority.issue_cert("localhost"), server.port) as url:
        client = new_client(base_url=f"{url}/backend-api/codex", workspace_routing=False)
        with client.responses.connect() as connection:
            connection.response.create(input="hi")
            assert complete(connection).output_text == "hello"
        monkeypatch.delenv("CODEX_CA_CERTIFICATE")
        with pytest.raises(ssl.SSLCertVerificationError):
            client.responses.connect().__enter__()


def test_proxy_of_the_environment_applies(
    new_client: Any, server: WebSocketServer, certificate_authority: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    with serve_tls(certificate_authority.issue_cert("backend.example"), server.port) as url:
        ports = {"backend.example": int(url.rpartition(":")[2])}
        with serve_proxy(lines, local_ports=ports) as proxy_url:
            monkeypatch.setenv("HTTPS_PROXY", proxy_url)
            client = new_client(base_url="https://backend.example/backend-api/codex", workspace_routing=False)
            with client.responses.connect() as connection:
                connection.response.create(input="hi")
                assert complete(connection).output_text == "hello"
    assert lines == ["CONNECT backend.example:443 HTTP/1.1"]


def test_simulator_accepts_the_connection(client: Any, sim: Simulator) -> None:
    with client.responses.connect() as connection:
        connection.response.create(model="gpt-6.2-sol", input="Say one")
        first = complete(connection)
        connection.response.create(model="gpt-6.2-sol", input="Say two", previous_response_id=first.id)
        assert complete(connection).status == "completed"
    assert [len(frame.json()["input"]) for frame in sim.websocket_frames] == [2, 1]
    (socket,) = sim.websockets
    assert socket.request.headers["session-id"] == sim.websocket_frames[0].json()["prompt_cache_key"]
