"""Build the output items of a reply and the events that stream them.

The events have the order of the backend: `response.created`, `response.in_progress`, the events of each item, and the
terminal event. The events of an item are `response.output_item.added`, the deltas, and `response.output_item.done`. As
on the backend, the `output` of the terminal event is empty: clients read the items from the
`response.output_item.done` events (Codex CLI: codex-api/src/sse/responses.rs).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from .images import IMAGE_SIZE, png_image
from .simulated_cache import count_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..id_generator import IdGenerator
    from ..parsed_request import ParsedRequest
    from .simulated_cache import InputTokens

__all__ = [
    "Event",
    "Item",
    "Source",
    "build_events",
    "cited_message",
    "custom_tool_call",
    "function_call",
    "image_generation_call",
    "message",
    "reasoning",
    "web_search_call",
]

Item = dict[str, Any]
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """A page that a web search found."""

    url: str
    title: str


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


def message(text: str, ids: IdGenerator, *, annotations: Sequence[Item] = ()) -> Item:
    """Return a message item of the assistant. The annotations must have the order of their positions in the text."""
    return {
        "type": "message",
        "id": ids.new("msg"),
        "role": "assistant",
        "status": "completed",
        "phase": "final_answer",
        "content": [{"type": "output_text", "text": text, "annotations": list(annotations), "logprobs": []}],
    }


def cited_message(parts: Sequence[str | Source], ids: IdGenerator) -> Item:
    """Return a message item of texts and sources. As on the backend, a source is a link in parentheses.

    The `url_citation` of a source covers the link and its parentheses.
    """
    text, annotations = "", []
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        host = part.url.partition("://")[2].partition("/")[0]
        link = f"([{host}]({part.url}))"
        position = {"start_index": len(text), "end_index": len(text) + len(link)}
        annotations.append({"type": "url_citation", **position, "title": part.title, "url": part.url})
        text += link
    return message(text, ids, annotations=annotations)


def reasoning(summaries: Sequence[str], ids: IdGenerator) -> Item:
    """Return a reasoning item with these summary parts."""
    return {
        "type": "reasoning",
        "id": ids.new("rs"),
        "summary": [{"type": "summary_text", "text": text} for text in summaries],
    }


def web_search_call(query: str, ids: IdGenerator, *, sources: Sequence[Source] = ()) -> Item:
    """Return a web search item. `sources` are the pages in its action, which the backend adds only on request."""
    action: Item = {"type": "search", "query": query, "queries": [query]}
    if sources:
        action["sources"] = [{"type": "url", "url": source.url} for source in sources]
    return {"type": "web_search_call", "id": ids.new("ws"), "status": "completed", "action": action}


def image_generation_call(prompt: str, ids: IdGenerator) -> Item:
    """Return an image generation item with a small PNG image."""
    return {
        "type": "image_generation_call",
        "id": ids.new("ig"),
        "status": "completed",
        "background": "opaque",
        "output_format": "png",
        "quality": "low",
        "size": f"{IMAGE_SIZE}x{IMAGE_SIZE}",
        "revised_prompt": prompt,
        "result": base64.b64encode(png_image(prompt)).decode(),
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
    partial_images = max((tool.partial_images for tool in request.tools()), default=0)
    for index, item in enumerate(items):
        events += _item_events(item, index, partial_images=partial_images)
    events.append({"type": f"response.{final_status}", "response": final_response})
    return [{"type": event["type"], "sequence_number": number, **event} for number, event in enumerate(events)]


def _token_usage(input_tokens: InputTokens, items: Sequence[Item]) -> dict[str, Any]:
    """Return the usage. The output tokens are estimates: one token for four bytes of JSON."""
    reasoning_tokens = sum(count_tokens(item) for item in items if item["type"] == "reasoning")
    # A generated image is not text of the model.
    others = [{**item, "result": None} if "result" in item else item for item in items if item["type"] != "reasoning"]
    output_tokens = reasoning_tokens + sum(map(count_tokens, others))
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


def _item_events(item: Item, index: int, *, partial_images: int) -> Iterator[Event]:
    """Yield the events of an item. An item of an unknown type has no events between `added` and `done`."""
    initial_members, content_events = _ITEM_TYPES.get(item["type"], ({}, lambda item: iter(())))
    if item["type"] == "image_generation_call":
        content_events = partial(_image_events, partial_images=partial_images)
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
        yield {"type": "response.content_part.added", **position, "part": {**part, "text": "", "annotations": []}}
        annotations = [
            {"type": "response.output_text.annotation.added", "annotation_index": number, "annotation": annotation}
            for number, annotation in enumerate(part.get("annotations") or ())
        ]
        length = 0
        for delta in _split_into_deltas(text):
            yield {"type": "response.output_text.delta", **position, "delta": delta, "logprobs": []}
            length += len(delta)
            # An annotation follows the delta that contains its end.
            while annotations and annotations[0]["annotation"].get("end_index", 0) <= length:
                yield {**annotations.pop(0), **position}
        for event in annotations:
            yield {**event, **position}
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


def _image_events(item: Item, *, partial_images: int = 0) -> Iterator[Event]:
    prefix = "response.image_generation_call"
    yield {"type": f"{prefix}.in_progress"}
    yield {"type": f"{prefix}.generating"}
    members: dict[str, Any] = {
        name: item[name] for name in ("background", "output_format", "quality", "size") if name in item
    }
    for index in range(partial_images):
        preview = png_image(str(item.get("revised_prompt")), completeness=(index + 1) / (partial_images + 1))
        data = base64.b64encode(preview).decode()
        yield {"type": f"{prefix}.partial_image", "partial_image_index": index, "partial_image_b64": data, **members}
    yield {"type": f"{prefix}.completed"}


# By item type: the members of the item in the `added` event, and the events between `added` and `done`.
_ITEM_TYPES: dict[str, tuple[dict[str, Any], Callable[[Item], Iterator[Event]]]] = {
    "message": ({"status": "in_progress", "content": []}, _message_events),
    "reasoning": ({"summary": []}, _reasoning_events),
    "function_call": ({"status": "in_progress", "arguments": ""}, _function_call_events),
    "custom_tool_call": ({"status": "in_progress", "input": ""}, _custom_tool_call_events),
    "web_search_call": ({"status": "in_progress"}, _web_search_events),
    "image_generation_call": ({"status": "in_progress", "result": None}, _image_events),
}
