"""The streams and the histories of the benchmark. They are the same on every run.

The streams have the shape of the Codex backend's: an `event:` line and a `data:` line, `type` first, no `[DONE]`, and
an empty `output` in `response.completed`. Except in `codex`, all events are valid by the official types, which is the
faster case for the official client.
"""

from __future__ import annotations

import base64
import json
import random
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Stream", "history", "short_input", "stream"]

FOUR_MEGABYTES = 4_000_000

_SYLLABLES = (
    "ab", "cd", "ef", "gh", "ij", "kl", "mn", "op", "qr", "st", "uv", "wx", "yz", "ka", "lo", "mi", "ré", "to",
)  # fmt: skip
_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
    "output_tokens": 10,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 110,
}


class Stream(NamedTuple):
    """A recorded stream: its SSE frames, and the total number of characters in its deltas."""

    frames: list[bytes]
    characters: int


def stream(kind: str, deltas: int) -> Stream:
    """Return the stream of this kind with this many deltas."""
    events = list(_KINDS[kind](deltas))
    frames = [_frame(number, event) for number, event in enumerate(events)]
    return Stream(frames, sum(len(event["delta"]) for event in events if "delta" in event))


def _frame(number: int, event: dict[str, Any]) -> bytes:
    kind: str = event["type"]
    numbered = {"type": kind, "sequence_number": number, **event}
    data = json.dumps(numbered, ensure_ascii=False, separators=(",", ":")).encode()
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def _words(count: int, seed: int = 1) -> Iterator[str]:
    generator = random.Random(seed)
    for _ in range(count):
        yield " " + generator.choice(_SYLLABLES) + generator.choice(_SYLLABLES)


def _response(status: str, **members: Any) -> dict[str, Any]:
    return {
        "id": "resp_0a1",
        "object": "response",
        "created_at": 1795326400,
        "status": status,
        "model": "gpt-5.5",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **members,
    }


def _response_events(
    item: dict[str, Any], finished: dict[str, Any], between: Iterator[dict[str, Any]]
) -> Iterator[Any]:
    yield {"type": "response.created", "response": _response("in_progress")}
    yield {"type": "response.in_progress", "response": _response("in_progress")}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield from between
    yield {"type": "response.output_item.done", "output_index": 0, "item": {**item, **finished}}
    yield {"type": "response.completed", "response": _response("completed", usage=_USAGE)}


def _text(deltas: int) -> Iterator[dict[str, Any]]:
    place = {"item_id": "msg_0a1", "output_index": 0, "content_index": 0}
    words = list(_words(deltas))
    text = "".join(words)
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}

    def between() -> Iterator[dict[str, Any]]:
        yield {"type": "response.content_part.added", **place, "part": empty}
        for word in words:
            yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
        yield {"type": "response.output_text.done", **place, "text": text, "logprobs": []}
        yield {"type": "response.content_part.done", **place, "part": {**empty, "text": text}}

    item = {"type": "message", "id": "msg_0a1", "role": "assistant", "status": "in_progress", "content": []}
    return _response_events(item, {"status": "completed", "content": [{**empty, "text": text}]}, between())


def _arguments(deltas: int) -> Iterator[dict[str, Any]]:
    place = {"item_id": "fc_0a1", "output_index": 0}
    words = list(_words(deltas))
    arguments = json.dumps({"command": "".join(words)}, ensure_ascii=False)

    def between() -> Iterator[dict[str, Any]]:
        for word in words:
            yield {"type": "response.function_call_arguments.delta", **place, "delta": word}
        done = {"name": "shell", "arguments": arguments}
        yield {"type": "response.function_call_arguments.done", **place, **done}

    item = {"type": "function_call", "id": "fc_0a1", "call_id": "call_0a1", "name": "shell", "arguments": ""}
    return _response_events(item, {"status": "completed", "arguments": arguments}, between())


def _reasoning(deltas: int) -> Iterator[dict[str, Any]]:
    place = {"item_id": "rs_0a1", "output_index": 0, "summary_index": 0}
    words = list(_words(deltas))
    part = {"type": "summary_text", "text": "".join(words)}

    def between() -> Iterator[dict[str, Any]]:
        yield {"type": "response.reasoning_summary_part.added", **place, "part": {**part, "text": ""}}
        for word in words:
            yield {"type": "response.reasoning_summary_text.delta", **place, "delta": word}
        yield {"type": "response.reasoning_summary_text.done", **place, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **place, "part": part}

    item = {"type": "reasoning", "id": "rs_0a1", "summary": [], "encrypted_content": "gAAAA" + "x" * 900}
    return _response_events(item, {"summary": [part]}, between())


def _codex(deltas: int) -> Iterator[dict[str, Any]]:
    """Yield a text as the Codex backend sends it: with its own events, without some members of the official types."""
    window = {"used_percent": 42, "window_minutes": 300, "reset_after_seconds": 3600, "reset_at": 1795330000}
    limits = {"allowed": True, "limit_reached": False, "primary": window, "secondary": None}
    yield {"type": "codex.rate_limits", "plan_type": "plus", "rate_limits": limits}
    yield {"type": "codex.response.metadata", "headers": {"openai-model": "gpt-5.5"}, "request_id": "req_0a1"}
    for event in _text(deltas):
        if "response" in event:
            kept = {name: event["response"][name] for name in ("id", "object", "created_at", "status", "output")}
            usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
            event["response"] = {**kept, "model": "gpt-5.5", "usage": usage}
        yield event
        if event["type"] == "response.in_progress":
            yield {"type": "keepalive"}


def _huge(_deltas: int) -> Iterator[dict[str, Any]]:
    """Yield one event of 4 MB. Only partial images are that long in practice."""
    image = random.Random(2).randbytes(FOUR_MEGABYTES // 2).hex()
    yield {
        "type": "response.image_generation_call.partial_image",
        "item_id": "ig_0a1",
        "output_index": 0,
        "partial_image_index": 0,
        "partial_image_b64": image,
    }
    yield {"type": "response.completed", "response": _response("completed", usage=_USAGE)}


_KINDS: dict[str, Callable[[int], Iterator[dict[str, Any]]]] = {
    "text": _text,
    "arguments": _arguments,
    "reasoning": _reasoning,
    "codex": _codex,
    "huge": _huge,
}


def short_input() -> list[dict[str, Any]]:
    """Return a short input, for rows that do not measure the input."""
    return [{"role": "user", "content": "Explain quicksort in one paragraph."}]


@cache
def _prose(words: int, seed: int) -> str:
    return "".join(_words(words, seed)).strip()


@cache
def _cipher(seed: int) -> str:
    return base64.b64encode(random.Random(seed).randbytes(570)).decode()


def history(items: int) -> list[dict[str, Any]]:
    """Return the history of an agent as plain JSON data: `items` items of 570 bytes on average."""
    turns: list[dict[str, Any]] = []
    for number in range((items + 4) // 5):
        call = f"call_{number:08d}"
        turns += [
            {"type": "message", "role": "user", "content": [_part("input_text", 75, number % 97)]},
            {"type": "reasoning", "summary": [], "encrypted_content": f"gAAAA{number:08d}" + _cipher(number % 1009)},
            {
                "type": "function_call",
                "call_id": call,
                "name": "shell",
                "arguments": json.dumps({"command": ["bash", "-lc", f"sed -n {number},200p src/module.py"]}),
            },
            {"type": "function_call_output", "call_id": call, "output": f"{number}: " + _prose(170, number % 89)},
            {"type": "message", "role": "assistant", "content": [_part("output_text", 90, number % 83)]},
        ]
    return turns[:items]


def _part(kind: str, words: int, seed: int) -> dict[str, Any]:
    return {"type": kind, "text": _prose(words, seed)}
