"""Translate a final response to a chat completion. Pure.

The text of the completion is that of `response.output_text`, without commentary: the texts of all messages of the final
phase, joined. Everything that Chat Completions has no member for is left out, except reasoning:

- `reasoning_content` is the text of the reasoning summaries and of the commentary, if the caller asked for summaries.
- `reasoning_details` has the encrypted reasoning and the commentary in the form of OpenRouter's API. `messages` reads
  it when the caller sends the message back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .._coerce import as_count, as_list, as_mapping
from .chat_messages import DETAILS_FORMAT

__all__ = [
    "REASONING_SEPARATOR",
    "ChatSettings",
    "FinalMessage",
    "account_digest",
    "build_completion",
    "call_of",
    "completion_id",
    "find_stop",
    "is_commentary",
    "message_text",
    "model_of",
    "read_message",
    "reasoning_details",
    "service_tier",
    "usage_of",
]

# The official types accept these only. The backend has others.
_SERVICE_TIERS: Final = ("auto", "default", "flex", "scale", "priority")
REASONING_SEPARATOR: Final = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    """What the reader of a response must know of the chat request.

    Attributes:
        model: The requested model.
        stop: The stop sequences, at which the client cuts the text.
        includes_usage: Whether a stream ends with a chunk that has the usage.
        shows_reasoning: Whether the text of reasoning summaries and of commentary is returned.
        returns_details: Whether the encrypted reasoning is returned.
        uses_functions: Whether the request has `functions`, so that a call is returned as `function_call`.
        accounts: Encrypted content of a reasoning item of the request → the digest of its account.
    """

    model: str
    stop: tuple[str, ...] = ()
    includes_usage: bool = False
    shows_reasoning: bool = False
    returns_details: bool = True
    uses_functions: bool = False
    accounts: Mapping[str, str] = field(default_factory=dict, repr=False)


def find_stop(text: str, stop: tuple[str, ...]) -> int | None:
    """Return where to cut the text: at the stop sequence that is complete first. None if there is none."""
    ends = [(start + len(each), start) for each in stop if (start := text.find(each)) >= 0]
    return min(ends)[1] if ends else None


@dataclass(slots=True)
class FinalMessage:
    """The content of a response: its text, refusal, calls, annotations and reasoning.

    `calls` are the entries of `tool_calls`, in the order of the response.
    """

    content: str = ""
    refusal: str = ""
    reasoning: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    details: list[dict[str, Any]] = field(default_factory=list)
    is_stopped: bool = False
    incomplete_reason: str | None = None

    def finish_reason(self, settings: ChatSettings) -> str:
        """Return one of the five official reasons."""
        if self.incomplete_reason == "content_filter":
            return "content_filter"
        if self.incomplete_reason is not None and not self.is_stopped:
            return "length"  # the text, or the arguments of a call, are cut off
        if self.calls:
            return "function_call" if settings.uses_functions else "tool_calls"
        return "stop"


def build_completion(response: dict[str, Any], settings: ChatSettings, *, account_id: str | None) -> dict[str, Any]:
    """Return the JSON of a `chat.completion` for the JSON of a final response.

    `account_id` is the account that made the response, which its encrypted reasoning belongs to.
    """
    final = read_message(response, settings, account_id=account_id)
    has_other = bool(final.calls or final.refusal)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": final.content if final.content or not has_other else None,
        "refusal": final.refusal or None,
    }
    if final.calls and settings.uses_functions:
        message["function_call"] = final.calls[0].get("function")
    elif final.calls:
        message["tool_calls"] = final.calls
    if final.annotations:
        message["annotations"] = final.annotations
    if final.reasoning:
        message["reasoning_content"] = final.reasoning
    if final.details:
        message["reasoning_details"] = final.details
    choice = {"index": 0, "message": message, "finish_reason": final.finish_reason(settings), "logprobs": None}
    usage, tier = usage_of(response), service_tier(response)
    return {
        "id": completion_id(response),
        "object": "chat.completion",
        "created": as_count(response.get("created_at")) or 0,
        "model": model_of(response, settings),
        "choices": [choice],
        **({"service_tier": tier} if tier else {}),
        **({"usage": usage} if usage else {}),
        **({"dropped_parameters": response["dropped_parameters"]} if "dropped_parameters" in response else {}),
    }


def read_message(response: Mapping[str, Any], settings: ChatSettings, *, account_id: str | None) -> FinalMessage:
    """Return the content of a response up to the first stop sequence in its text."""
    final = FinalMessage()
    if response.get("status") == "incomplete":
        final.incomplete_reason = str(as_mapping(response.get("incomplete_details")).get("reason"))
    kept: list[Mapping[str, Any]] = []
    for item in map(as_mapping, as_list(response.get("output"))):
        if item.get("type") == "reasoning" or is_commentary(item):
            kept.append(item)
        elif item.get("type") == "message":
            _read_parts(item, final)
            if (position := find_stop(final.content, settings.stop)) is not None:
                final.content, final.is_stopped = final.content[:position], True
                break
        elif (call := call_of(item)) is not None:
            final.calls.append(call)
    length = len(final.content)
    final.annotations = [each for each in final.annotations if each["url_citation"]["end_index"] <= length]
    if settings.shows_reasoning:
        final.reasoning = REASONING_SEPARATOR.join(text for item in kept for text in _reasoning_texts(item))
    if settings.returns_details:
        final.details = reasoning_details(kept, settings, account_id=account_id)
    return final


def is_commentary(item: Mapping[str, Any]) -> bool:
    """Return whether an output item is a remark of the model during its work, not a part of its answer."""
    return item.get("type") == "message" and item.get("phase") == "commentary"


def _read_parts(item: Mapping[str, Any], final: FinalMessage) -> None:
    for part in map(as_mapping, as_list(item.get("content"))):
        offset = len(final.content)
        final.content += _text(part.get("text"))
        final.refusal += _text(part.get("refusal"))
        annotations = map(as_mapping, as_list(part.get("annotations")))
        final.annotations += [citation for each in annotations if (citation := _citation(each, offset)) is not None]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _citation(annotation: Mapping[str, Any], offset: int) -> dict[str, Any] | None:
    """Return a URL citation with the indexes in the whole text, None for another annotation."""
    start, end = as_count(annotation.get("start_index")), as_count(annotation.get("end_index"))
    if annotation.get("type") != "url_citation" or start is None or end is None:
        return None
    source = {name: _text(annotation.get(name)) for name in ("title", "url")}
    indexes = {"start_index": offset + start, "end_index": offset + end}
    return {"type": "url_citation", "url_citation": {**indexes, **source}}


def call_of(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the entry of `tool_calls` for an output item, None for an item that is no call of the caller's tools."""
    head = {"id": _text(item.get("call_id")) or _text(item.get("id"))}
    name = _text(item.get("name"))
    if item.get("type") == "function_call":
        function = {"name": name, "arguments": _text(item.get("arguments")) or "{}"}
        return {**head, "type": "function", "function": function}
    if item.get("type") == "custom_tool_call":
        return {**head, "type": "custom", "custom": {"name": name, "input": _text(item.get("input"))}}
    return None


def _reasoning_texts(item: Mapping[str, Any]) -> list[str]:
    """Return the text of each summary of a reasoning item, or the text of commentary."""
    if item.get("type") == "message":
        return [message_text(item)]
    parts = map(as_mapping, (*as_list(item.get("summary")), *as_list(item.get("content"))))
    return [text for part in parts if (text := _text(part.get("text")))]


def message_text(item: Mapping[str, Any]) -> str:
    """Return the text of a message item, without refusals."""
    return "".join(_text(as_mapping(part).get("text")) for part in as_list(item.get("content")))


def reasoning_details(
    items: list[Mapping[str, Any]], settings: ChatSettings, *, account_id: str | None
) -> list[dict[str, Any]]:
    """Return the encrypted reasoning and the commentary among output items, with the model and account that made it."""
    details: list[dict[str, Any]] = []
    for item in items:
        common = {"index": len(details), "format": DETAILS_FORMAT, "model": settings.model}
        data = item.get("encrypted_content")
        if item.get("type") == "message":
            details.append({"type": "reasoning.text", "phase": "commentary", "text": message_text(item), **common})
        elif isinstance(data, str) and data:
            account = {} if account_id is None else {"account": account_digest(account_id)}
            details.append({"type": "reasoning.encrypted", "data": data, **common, **account})
    return details


def account_digest(account_id: str) -> str:
    """Return a short digest of an account id. Programs store and trace messages, so the id itself is not in them."""
    return hashlib.sha256(f"codex_backend_sdk/{account_id}".encode()).hexdigest()[:16]


def completion_id(response: Mapping[str, Any]) -> str:
    """Return the id of the completion: that of the response with another prefix."""
    return "chatcmpl-" + str(response.get("id") or "").removeprefix("resp_")


def model_of(response: Mapping[str, Any], settings: ChatSettings) -> str:
    """Return the model that made the response, or else the requested one."""
    return _text(response.get("model")) or settings.model


def service_tier(response: Mapping[str, Any]) -> str | None:
    """Return the service tier if the official types know it."""
    tier = response.get("service_tier")
    return tier if tier in _SERVICE_TIERS else None


def usage_of(response: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the usage in the form of Chat Completions, None if the response has none."""
    usage = as_mapping(response.get("usage"))
    if not usage:
        return None
    prompt, completion = (as_count(usage.get(name)) or 0 for name in ("input_tokens", "output_tokens"))
    cached = as_mapping(usage.get("input_tokens_details"))
    reasoning = as_mapping(usage.get("output_tokens_details"))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": as_count(usage.get("total_tokens")) or prompt + completion,
        "prompt_tokens_details": {
            name: as_count(cached.get(name)) or 0 for name in ("cached_tokens", "cache_write_tokens")
        },
        "completion_tokens_details": {"reasoning_tokens": as_count(reasoning.get("reasoning_tokens")) or 0},
    }
