"""Fixtures: a running simulator, and plain clients for HTTP and WebSockets.

These tests do not use the client of the package.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from websockets.sync.client import connect

from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from websockets.sync.client import ClientConnection

REQUIRED_MEMBERS = {"model": "gpt-6.1-sol", "store": False, "stream": True}


class ManualClock:
    """A clock that a test can advance."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class RawClient:
    """A client that sends authorized requests and parses event streams without the code of the package."""

    def __init__(self, sim: Simulator, http: httpx2.Client) -> None:
        self.sim = sim
        self.http = http
        self.tokens = sim.login_document()["tokens"]
        self.headers = {
            "authorization": f"Bearer {self.tokens['access_token']}",
            "chatgpt-account-id": self.tokens["account_id"],
        }

    def get(self, path: str, **kwargs: Any) -> httpx2.Response:
        return self.http.get(self.sim.chatgpt_url + path, headers=self.headers, **kwargs)

    def post(self, body: dict[str, Any], **headers: str) -> httpx2.Response:
        return self.http.post(f"{self.sim.base_url}/responses", json=body, headers={**self.headers, **headers})

    def body(self, *items: Any, **members: Any) -> dict[str, Any]:
        return {
            **REQUIRED_MEMBERS,
            "input": [user_message(item) if isinstance(item, str) else item for item in items],
            **members,
        }

    def create(self, *items: Any, **members: Any) -> httpx2.Response:
        """Send a model request. A string is a user message. `members` are added to the body."""
        return self.post(self.body(*items, **members))

    def events(self, *items: Any, **members: Any) -> list[dict[str, Any]]:
        response = self.create(*items, **members)
        assert response.status_code == 200, response.text
        return parse_events(response.text)

    def items(self, *items: Any, **members: Any) -> list[dict[str, Any]]:
        events = self.events(*items, **members)
        return [event["item"] for event in events if event["type"] == "response.output_item.done"]

    def text(self, *items: Any, **members: Any) -> str:
        message = self.items(*items, **members)[-1]
        assert message["type"] == "message", message
        return "".join(part["text"] for part in message["content"])


TERMINAL_TYPES = ("response.completed", "response.failed", "response.incomplete", "error")


class SocketClient:
    """A WebSocket to the simulator, by `websockets`."""

    def __init__(self, raw_client: RawClient, connection: ClientConnection) -> None:
        self.raw_client = raw_client
        self.connection = connection

    def send(self, *items: Any, **members: Any) -> None:
        """Send `response.create`. A string is a user message. `members` are added to the message."""
        self.connection.send(json.dumps({"type": "response.create", **self.raw_client.body(*items, **members)}))

    def receive(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.connection.recv(timeout=10))
        return event

    def events(self) -> list[dict[str, Any]]:
        """Receive events up to the end of the response."""
        events = [self.receive()]
        while events[-1]["type"] not in TERMINAL_TYPES:
            events.append(self.receive())
        return events

    def create(self, *items: Any, **members: Any) -> list[dict[str, Any]]:
        self.send(*items, **members)
        return self.events()

    def error(self, *items: Any, **members: Any) -> dict[str, Any]:
        """Create a response that fails with an `error` event, and return this event."""
        (event,) = self.create(*items, **members)
        assert event["type"] == "error", event
        return event

    def text(self, *items: Any, **members: Any) -> str:
        return event_text(self.create(*items, **members))


def event_text(events: list[dict[str, Any]]) -> str:
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


def user_message(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def parse_events(text: str) -> list[dict[str, Any]]:
    blocks = [block.split("\n") for block in text.split("\n\n") if block]
    events = [json.loads(block[-1].removeprefix("data: ")) for block in blocks]
    assert [block[0] for block in blocks] == [f"event: {event['type']}" for event in events]
    return events


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def start_raw_client() -> Iterator[Callable[..., RawClient]]:
    """Return a function that starts a simulator with the given options. Stop all simulators after the test."""
    started: list[tuple[Simulator, httpx2.Client]] = []

    def start(**options: Any) -> RawClient:
        sim = Simulator(**options).start()
        http = httpx2.Client(trust_env=False, verify=False, timeout=10)
        started.append((sim, http))
        return RawClient(sim, http)

    yield start
    for sim, http in started:
        http.close()
        sim.stop()


@pytest.fixture
def open_socket() -> Iterator[Callable[..., SocketClient]]:
    """Return a function that opens a WebSocket to the simulator of a raw client. Close all of them after the test."""
    connections: list[ClientConnection] = []

    def open_socket(raw_client: RawClient, **options: Any) -> SocketClient:
        headers = {**raw_client.headers, **options.pop("headers", {})}
        url = f"{raw_client.sim.base_url}/responses".replace("http://", "ws://")
        connections.append(connect(url, additional_headers=headers, proxy=None, **options))
        return SocketClient(raw_client, connections[-1])

    yield open_socket
    for connection in connections:
        connection.close()


@pytest.fixture
def socket_client(raw_client: RawClient, open_socket: Callable[..., SocketClient]) -> SocketClient:
    return open_socket(raw_client)


@pytest.fixture
def raw_client(start_raw_client: Callable[..., RawClient]) -> RawClient:
    return start_raw_client()
