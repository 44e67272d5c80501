"""The three ways to request a response, and the paths that were requested.

Each call returns the text of the response. A streamed call also appends its events to `events`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

__all__ = ["CALLS", "STREAM_CALLS", "create", "requested_paths", "stream", "use_stream_helper"]


def create(client: Any, events: list[Any] | None = None) -> str:
    """Request a response without streaming."""
    return str(client.responses.create(model="gpt-5.5", input="Say hello").output_text)


def stream(client: Any, events: list[Any] | None = None) -> str:
    """Request a stream of events."""
    events = [] if events is None else events
    for event in client.responses.create(model="gpt-5.5", input="Say hello", stream=True):
        events.append(event)
    return str(events[-1].response.output_text)


def use_stream_helper(client: Any, events: list[Any] | None = None) -> str:
    """Request a stream with `responses.stream()` of openai."""
    with client.responses.stream(model="gpt-5.5", input="Say hello") as response_stream:
        for event in response_stream:
            if events is not None:
                events.append(event)
        return str(response_stream.get_final_response().output_text)


CALLS = (create, stream, use_stream_helper)
STREAM_CALLS = (stream, use_stream_helper)


def requested_paths(sim: Simulator) -> list[str]:
    """Return the last segment of each requested path."""
    return [request.path.rpartition("/")[2] for request in sim.requests]
