"""The three ways to make a call; each returns the text of the response."""

from __future__ import annotations

from typing import Any

__all__ = ["collected", "drained", "helped"]


def collected(client: Any) -> str:
    """Without streaming."""
    return str(client.responses.create(input="hi").output_text)


def drained(client: Any) -> str:
    """With a stream of events."""
    events = client.responses.create(input="hi", stream=True)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def helped(client: Any) -> str:
    """With `responses.stream()`."""
    with client.responses.stream(input="hi") as stream:
        return str(stream.get_final_response().output_text)
