"""The part of the seam that `responses.stream()` stands on: loaded on first use, it takes 50 ms."""

from __future__ import annotations

from typing import Final

from openai.lib._parsing._responses import parse_response
from openai.lib.streaming.responses import (
    AsyncResponseStream,
    AsyncResponseStreamManager,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseStream,
    ResponseStreamManager,
    ResponseStreamState,
    ResponseTextDeltaEvent,
)

__all__ = [
    "HOOKS",
    "AsyncResponseStream",
    "AsyncResponseStreamManager",
    "ResponseFunctionCallArgumentsDeltaEvent",
    "ResponseStream",
    "ResponseStreamManager",
    "ResponseStreamState",
    "ResponseTextDeltaEvent",
    "parse_response",
]

# As in `_seam`.
HOOKS: Final[dict[tuple[type, str], tuple[str, ...]]] = {
    (ResponseStreamState, "handle_event"): ("event",),
    (ResponseStreamState, "_get_output_item"): ("output_index",),
}
