"""Tell an answer as the events of a stream, in the backend's order.

The final event's `output` is empty, as the backend's is: the items are those of `response.output_item.done`
(Codex CLI: codex-api/src/sse/responses.rs).
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..backend.parsed_request import ParsedRequest
    from .answers import Item

__all__ = ["Event", "as_sse", "told", "usage_of"]

Event = dict[str, Any]

# What the response object repeats of the request, and what stands there when the request says nothing.
_ECHOED: tuple[tuple[str, Any], ...] = (
    ("instructions", None),
    ("parallel_tool_calls", True),
    ("prompt_cache_key", None),
    ("reasoning", {"effort": None, "summary": None}),
    ("service_tier", "default"),
    ("text", {"format": {"type": "text"}, "verbosity": "medium"}),
    ("tool_choice", "auto"),
    ("tools", []),
)


def told(
    request: ParsedRequest,
    items: Sequence[Item],
    *,
    response_id: str,
    created_at: int,
    ending: str = "completed",
    final: Mapping[str, Any] | None = None,
) -> list[Event]:
    """Return the events from `response.created` to the terminal one, `response.<ending>`.

    `final` has what the terminal event's response says besides: its usage, error or incomplete details.
    """
    skeleton = _response(request, response_id, created_at)
    first = {**skeleton, "status": "in_progress"}
    last = {**skeleton, "status": ending, "usage": usage_of(request, items), **(final or {})}
    if ending == "completed":
        last = {"completed_at": created_at, "end_turn": True, **last}
    events: list[Event] = [
        {"type": "response.created", "response": first},
        {"type": "response.in_progress", "response": first},
    ]
    for index, item in enumerate(items):
        events += _item_events(item, index)
    events.append({"type": f"response.{ending}", "response": last})
    numbers = itertools.count()
    return [{"type": event["type"], "sequence_number": next(numbers), **event} for event in events]


def as_sse(event: Event) -> bytes:
    """Return an event as it goes over the wire."""
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event.get('type', 'message')}\ndata: {data}\n\n".encode()


def usage_of(request: ParsedRequest, items: Sequence[Item]) -> dict[str, Any]:
    """Return usage figures: a token for every four characters, which is about right for English."""
    given = [request.body.get(name) for name in ("instructions", "input", "tools")]
    input_tokens = _tokens(given)
    reasoning_tokens = sum(_tokens(item) for item in items if item["type"] == "reasoning")
    output_tokens = reasoning_tokens + sum(_tokens(item) for item in items if item["type"] != "reasoning")
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": input_tokens + output_tokens,
    }


def _tokens(value: Any) -> int:
    return (len(json.dumps(value, ensure_ascii=False)) + 3) // 4


def _response(request: ParsedRequest, response_id: str, created_at: int) -> dict[str, Any]:
    body = request.body
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": request.model,
        "output": [],
        "previous_response_id": None,
        "store": False,
        "temperature": 1.0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        **{name: default if body.get(name) is None else body[name] for name, default in _ECHOED},
    }


# The events of one item, by its type


def _item_events(item: Item, index: int) -> Iterator[Event]:
    """Yield `added`, what comes between, and `done`."""
    emptied, between = _KINDS.get(item["type"], (dict, _nothing))
    yield {"type": "response.output_item.added", "output_index": index, "item": emptied(item)}
    place = {"item_id": item.get("id"), "output_index": index}
    for event in between(item):
        kind = event.pop("type")
        yield {"type": kind, **place, **event}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _pieces(text: str) -> list[str]:
    """Split text into words, each with the space after it."""
    return re.findall(r"\s*\S+\s*", text) or ([text] if text else [])


def _message(item: Item) -> Iterator[Event]:
    for number, part in enumerate(item["content"]):
        at = {"content_index": number}
        text = part.get("text", "")
        yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
        for piece in _pieces(text):
            yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
        yield {"type": "response.output_text.done", **at, "text": text, "logprobs": []}
        yield {"type": "response.content_part.done", **at, "part": part}


def _reasoning(item: Item) -> Iterator[Event]:
    for number, part in enumerate(item["summary"]):
        at = {"summary_index": number}
        kind = "response.reasoning_summary"
        yield {"type": f"{kind}_part.added", **at, "part": {**part, "text": ""}}
        for piece in _pieces(part["text"]):
            yield {"type": f"{kind}_text.delta", **at, "delta": piece}
        yield {"type": f"{kind}_text.done", **at, "text": part["text"]}
        yield {"type": f"{kind}_part.done", **at, "part": part}


def _function_call(item: Item) -> Iterator[Event]:
    arguments = item["arguments"]
    for piece in _pieces(arguments):
        yield {"type": "response.function_call_arguments.delta", "delta": piece}
    yield {"type": "response.function_call_arguments.done", "name": item["name"], "arguments": arguments}


def _custom_call(item: Item) -> Iterator[Event]:
    for piece in _pieces(item["input"]):
        yield {"type": "response.custom_tool_call_input.delta", "delta": piece}
    yield {"type": "response.custom_tool_call_input.done", "input": item["input"]}


def _web_search(item: Item) -> Iterator[Event]:
    for stage in ("in_progress", "searching", "completed"):
        yield {"type": f"response.web_search_call.{stage}"}


def _nothing(item: Item) -> Iterator[Event]:
    return iter(())


# How an item looks when it is added, and the events between that and its end.
_KINDS: dict[str, tuple[Callable[[Item], Item], Callable[[Item], Iterator[Event]]]] = {
    "message": (lambda item: {**item, "status": "in_progress", "content": []}, _message),
    "reasoning": (lambda item: {**item, "summary": []}, _reasoning),
    "function_call": (lambda item: {**item, "status": "in_progress", "arguments": ""}, _function_call),
    "custom_tool_call": (lambda item: {**item, "status": "in_progress", "input": ""}, _custom_call),
    "web_search_call": (lambda item: {**item, "status": "in_progress"}, _web_search),
}
