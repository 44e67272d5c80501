"""The streams and the histories of the benchmark. They are the same on every run.

The streams have the shape of the Codex backend's: an `event:` line and a `data:` line, `type` first, no `[DONE]`, and
an empty `output` in `response.completed`. Except in `codex`, all events are valid by the official types, which is the
faster case for the official client. `chat` is a stream of the public API: the chunks of a chat completion.
"""

from __future__ import annotations

import base64
import json
import random
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "AGENT_INSTRUCTIONS",
    "AGENT_TOOL",
    "CIPHER_MARK",
    "DELTA_TYPES",
    "ID_MARK",
    "MODEL",
    "STAMP_MARK",
    "Stream",
    "cipher",
    "history",
    "short_input",
    "stream",
    "tool_output",
    "user_message",
]

MODEL = "gpt-5.5"
DELTA_TYPES = frozenset(
    {
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.reasoning_summary_text.delta",
    }
)
FOUR_MEGABYTES = 4_000_000
# The end of all ids in a stream, and the encrypted reasoning of `agent`. A server may replace them by others of the
# same length, so that each response of an agent is different.
ID_MARK = b"_0a1"
CIPHER_MARK = b"gAAAA" + b"x" * 760
# Each delta of `stamped`. The server replaces it by the time at which it sends the event, in nanoseconds.
STAMP_MARK = b"0" * 20

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
    """A recorded stream: its SSE frames, the number of characters in its deltas, and the number of output items."""

    frames: list[bytes]
    characters: int
    items: int


def stream(kind: str, deltas: int) -> Stream:
    """Return the stream of this kind with this many deltas."""
    events = list(_KINDS[kind](deltas))
    frames = [_frame(number, event) for number, event in enumerate(events)]
    characters = sum(len(text) for event in events if (text := event.get("delta") or _content(event)))
    items = sum(event.get("type") == "response.output_item.done" for event in events)
    return Stream([*frames, *([b"data: [DONE]\n\n"] if kind == "chat" else [])], characters, items)


def _content(chunk: dict[str, Any]) -> str:
    text: str = chunk["choices"][0]["delta"].get("content", "") if "choices" in chunk else ""
    return text


def _frame(number: int, event: dict[str, Any]) -> bytes:
    if "choices" in event:
        return b"data: " + json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
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
        "model": MODEL,
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
    return _text_of(list(_words(deltas)))


def _stamped(deltas: int) -> Iterator[dict[str, Any]]:
    return _text_of([f" {STAMP_MARK.decode()}"] * deltas)


def _text_of(words: list[str]) -> Iterator[dict[str, Any]]:
    place = {"item_id": "msg_0a1", "output_index": 0, "content_index": 0}
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


def _chat(deltas: int) -> Iterator[dict[str, Any]]:
    head = {"id": "chatcmpl-0a1", "object": "chat.completion.chunk", "created": 1795326400, "model": MODEL}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]}

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for word in _words(deltas):
        yield chunk({"content": word})
    yield chunk({}, "stop")


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
    yield {"type": "codex.response.metadata", "headers": {"openai-model": MODEL}, "request_id": "req_0a1"}
    for event in _text(deltas):
        if "response" in event:
            kept = {name: event["response"][name] for name in ("id", "object", "created_at", "status", "output")}
            usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
            event["response"] = {**kept, "model": MODEL, "usage": usage}
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


def _agent(deltas: int) -> Iterator[dict[str, Any]]:
    """Yield the response of an agent: reasoning, then the call of a tool. The usage is that of a medium history."""
    item = {"type": "reasoning", "id": "rs_0a1", "summary": [], "encrypted_content": CIPHER_MARK.decode()}
    reasoning = [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]
    usage = {**_USAGE, "input_tokens": 40_000, "total_tokens": 40_010}
    for number, event in enumerate(_arguments(deltas)):
        if number == 2:
            yield from reasoning
        if number >= 2 and "output_index" in event:
            event["output_index"] = 1
        if event["type"] == "response.completed":
            event["response"]["usage"] = usage
        yield event


_KINDS: dict[str, Callable[[int], Iterator[dict[str, Any]]]] = {
    "text": _text,
    "arguments": _arguments,
    "reasoning": _reasoning,
    "codex": _codex,
    "huge": _huge,
    "agent": _agent,
    "chat": _chat,
    "stamped": _stamped,
}

# The agent's settings, which every request repeats.
AGENT_INSTRUCTIONS = "You are a coding agent. Use the tool until the task is done."
AGENT_TOOL: dict[str, Any] = {
    "type": "function",
    "name": "shell",
    "description": "Run a command and return its output.",
    "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    "strict": False,
}


def short_input() -> list[dict[str, Any]]:
    """Return a short input, for rows that do not measure the input."""
    return [{"role": "user", "content": "Explain quicksort in one paragraph."}]


@cache
def _prose(words: int, seed: int) -> str:
    return "".join(_words(words, seed)).strip()


@cache
def cipher(seed: int) -> str:
    """Return encrypted reasoning: 760 characters that cannot be compressed well."""
    return base64.b64encode(random.Random(seed).randbytes(570)).decode()


def user_message(text: str) -> dict[str, Any]:
    """Return the first input of an agent."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def tool_output(call_id: str, seed: int, characters: int) -> dict[str, Any]:
    """Return the output of a tool with this many characters, a different text for each seed."""
    text = "".join(_words(characters // 5, seed))[:characters].strip()
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def history(items: int) -> list[dict[str, Any]]:
    """Return the history of an agent as plain JSON data: `items` items of 570 bytes on average."""
    turns: list[dict[str, Any]] = []
    for number in range((items + 4) // 5):
        call = f"call_{number:08d}"
        turns += [
            {"type": "message", "role": "user", "content": [_part("input_text", 75, number % 97)]},
            {"type": "reasoning", "summary": [], "encrypted_content": f"gAAAA{number:08d}" + cipher(number % 1009)},
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
