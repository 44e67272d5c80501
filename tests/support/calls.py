"""The ways to ask for an answer; each returns its text."""

from __future__ import annotations

from typing import Any

__all__ = ["collected", "drained", "helped"]


def collected(client: Any) -> str:
    """As a whole."""
    return str(client.responses.create(input="hi").output_text)


def drained(client: Any) -> str:
    """As a stream of events."""
    events = client.responses.create(input="hi", stream=True)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def helped(client: Any) -> str:
    """With the stream helper."""
    with client.responses.stream(input="hi") as stream:
        return str(stream.get_final_response().output_text)
