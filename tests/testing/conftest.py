"""Fixtures: a running simulator and a plain HTTP client for it. These tests do not use the client of the package."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
def raw_client(start_raw_client: Callable[..., RawClient]) -> RawClient:
    return start_raw_client()
