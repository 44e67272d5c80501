"""Model requests to the local server over both routes, with one form for what they return."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

__all__ = ["ROUTES", "Route", "data_of", "open_connections"]


@dataclass(frozen=True)
class Route:
    """One of the two routes. `path` is below `/v1`."""

    name: str
    path: str

    def body(self, prompt: str = "hi", **members: Any) -> dict[str, Any]:
        """Return the body of a request."""
        messages = [{"role": "user", "content": prompt}]
        return {"model": "gpt-5.5", "input" if self.name == "responses" else "messages": messages, **members}

    def text(self, body: dict[str, Any]) -> str:
        """Return the text of a final response."""
        if self.name == "chat":
            return str(body["choices"][0]["message"]["content"])
        messages = [item for item in body["output"] if item["type"] == "message"]
        return "".join(part["text"] for item in messages for part in item["content"])

    def streamed_text(self, response: httpx2.Response) -> str:
        """Return the text of a stream."""
        if self.name == "chat":
            choices = [choice for chunk in data_of(response) for choice in chunk.get("choices", ())]
            return "".join(choice["delta"].get("content") or "" for choice in choices)
        events = data_of(response)
        return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


RESPONSES = Route("responses", "/responses")
CHAT = Route("chat", "/chat/completions")
ROUTES = [RESPONSES, CHAT]


def data_of(response: httpx2.Response) -> list[Any]:
    """Return the data of the events of a stream, without `[DONE]`."""
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def open_connections(client: Any) -> int:
    """Return the number of connections to the backend, in all event loops, that are neither closed nor free."""
    pools = list(client._client._pools._by_owner.values())
    connections = [each for pool in pools for each in pool.transport._pool.connections]
    return sum(not (connection.is_closed() or connection.is_idle()) for connection in connections)
