"""Build the output items of a reply and the events that stream them.

The events have the order of the backend: `response.created`, `response.in_progress`, the events of each item, and the
terminal event. The events of an item are `response.output_item.added`, the deltas, and `response.output_item.done`. As
on the backend, the `output` of the terminal event is empty: clients read the items from the
`response.output_item.done` events (Codex CLI: codex-api/src/sse/responses.rs).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .simulated_cache import count_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..id_generator import IdGenerator
    from ..parsed_request import ParsedRequest
    from .simulated_cache import InputTokens

__all__ = [
    "Event",
    "Item",
    "build_events",
    "custom_tool_call",
    "function_call",
    "message",
]

Item = dict[str, Any]
Event = dict[str, Any]

# The members of the request that the response object repeats, with their values if the request does not have them.
_REPEATED_MEMBERS: tuple[tuple[str, Any], ...] = (
    ("instructions", None),
    ("parallel_tool_calls", True),
    ("prompt_cache_key", None),
    ("reasoning", {"effort": None, "summary": None}),
    ("service_tier", "default"),
    ("text", {"format": {"type": "text"}, "verbosity": "medium"}),
    ("tool_choice", "auto"),
    ("tools", []),
)


# Output items


def message(text: str, ids: IdGenerator) -> Item:
    """Return a message item of the assistant."""
    return {
        "type": "message",
        "id": ids.new("msg"),
        "role": "assistant",
        "status": "completed",
        "phase": "final_answer",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    }


def function_call(
    name: str, arguments: str, ids: IdGenerator, *, call_id: str | None = None, namespace: str | None = None
) -> Item:
    """Return a function call item. `arguments` is JSON text."""
    return {
        "type": "function_call",
        "id": ids.new("fc"),
        "call_id": call_id or ids.new("call"),
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "arguments": arguments,
        "status": "completed",
    }


def custom_tool_call(
    name: str, text: str, ids: IdGenerator, *, call_id: str | None = None, namespace: str | None = None
) -> Item:
    """Return a custom tool call item with the input `text`."""
    return {
        "type": "custom_tool_call",
        "id": ids.new("ctc"),
        "call_id": call_id or ids.new("call"),
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "input": text,
        "status": "completed",
    }


# The stream


def build_events(
    request: ParsedRequest,
    items: Sequence[Item],
    *,
    response_id: str,
    created_at: int,
    input_tokens: InputTokens,
    final_status: str = "completed",
    final_members: Mapping[str, Any] | None = None,
) -> list[Event]:
    """Return the events from `response.created` to the terminal event, `response.<final_status>`.

    `final_members` replaces members of the terminal event's response, such as `usage` or `error`.
    """
    response = _response_object(request, response_id, created_at)
    initial_response = {**response, "status": "in_progress"}
    final_response = {
        **response,
        "status": final_status,
        "usage": _token_usage(input_tokens, items),
        **(final_members or {}),
    }
    if final_status == "completed":
        final_response = {"completed_at": created_at, "end_turn": True, **final_response}
    events: list[Event] = [
        {"type": "response.created", "response": initial_response},
        {"type": "response.in_progress", "response": initial_response},
    ]
    for index, item in enumerate(items):
        events += _item_events(item, index)
    events.append({"type": f"response.{final_status}", "response": final_response})
    return [{"type": event["type"], "sequence_number": number, **event} for number, event in enumerate(events)]


def _token_usage(input_tokens: InputTokens, items: Sequence[Item]) -> dict[str, Any]:
    """Return the usage. The token counts are estimates: one token for four characters of JSON."""
    reasoning_tokens = sum(count_tokens(item) for item in items if item["type"] == "reasoning")
    output_tokens = reasoning_tokens + sum(count_tokens(item) for item in items if item["type"] != "reasoning")
    return {
        "input_tokens": input_tokens.total,
        "input_tokens_details": {"cached_tokens": input_tokens.cached, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": input_tokens.total + output_tokens,
    }


def _response_object(request: ParsedRequest, response_id: str, created_at: int) -> dict[str, Any]:
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
        "previous_response_id": request.previous_response_id,
        "store": False,
        "temperature": 1.0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        **{name: default if body.get(name) is None else body[name] for name, default in _REPEATED_MEMBERS},
    }


def _item_events(item: Item, index: int) -> Iterator[Event]:
    """Yield the events of an item. An item of an unknown type has no events between `added` and `done`."""
    initial_members, content_events = _ITEM_TYPES.get(item["type"], ({}, lambda item: iter(())))
    yield {"type": "response.output_item.added", "output_index": index, "item": {**item, **initial_members}}
    for event in content_events(item):
        yield {"type": event["type"], "item_id": item.get("id"), "output_index": index, **event}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _split_into_deltas(text: str) -> list[str]:
    """Split text into words and keep the whitespace around each word."""
    return re.findall(r"\s*\S+\s*", text) or ([text] if text else [])


def _message_events(item: Item) -> Iterator[Event]:
    for index, part in enumerate(item["content"]):
        position = {"content_index": index}
        text = part.get("text", "")
        yield {"type": "response.content_part.added", **position, "part": {**part, "text": ""}}
        for delta in _split_into_deltas(text):
            yield {"type": "response.output_text.delta", **position, "delta": delta, "logprobs": []}
        yield {"type": "response.output_text.done", **position, "text": text, "logprobs": []}
        yield {"type": "response.content_part.done", **position, "part": part}


def _reasoning_events(item: Item) -> Iterator[Event]:
    prefix = "response.reasoning_summary"
    for index, part in enumerate(item["summary"]):
        position = {"summary_index": index}
        yield {"type": f"{prefix}_part.added", **position, "part": {**part, "text": ""}}
        for delta in _split_into_deltas(part["text"]):
            yield {"type": f"{prefix}_text.delta", **position, "delta": delta}
        yield {"type": f"{prefix}_text.done", **position, "text": part["text"]}
        yield {"type": f"{prefix}_part.done", **position, "part": part}


def _function_call_events(item: Item) -> Iterator[Event]:
    arguments = item["arguments"]
    for delta in _split_into_deltas(arguments):
        yield {"type": "response.function_call_arguments.delta", "delta": delta}
    yield {"type": "response.function_call_arguments.done", "name": item["name"], "arguments": arguments}


def _custom_tool_call_events(item: Item) -> Iterator[Event]:
    for delta in _split_into_deltas(item["input"]):
        yield {"type": "response.custom_tool_call_input.delta", "delta": delta}
    yield {"type": "response.custom_tool_call_input.done", "input": item["input"]}


def _web_search_events(item: Item) -> Iterator[Event]:
    for status in ("in_progress", "searching", "completed"):
        yield {"type": f"response.web_search_call.{status}"}


# By item type: the members of the item in the `added` event, and the events between `added` and `done`.
_ITEM_TYPES: dict[str, tuple[dict[str, Any], Callable[[Item], Iterator[Event]]]] = {
    "message": ({"status": "in_progress", "content": []}, _message_events),
    "reasoning": ({"summary": []}, _reasoning_events),
    "function_call": ({"status": "in_progress", "arguments": ""}, _function_call_events),
    "custom_tool_call": ({"status": "in_progress", "input": ""}, _custom_tool_call_events),
    "web_search_call": ({"status": "in_progress"}, _web_search_events),
}
