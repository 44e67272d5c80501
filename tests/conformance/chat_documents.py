"""Convert the chat completions in openai's tests to the event streams of the backend.

A test returns a document, or the chunks of a stream, for `POST /chat/completions`. The client of this package requests
`/responses` instead and reads events. What Responses has no member for, such as log probabilities, is lost.
"""

from __future__ import annotations

import json
from typing import Any

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def completion_events(completion: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the only event of a response for a chat completion."""
    choice = completion["choices"][0] if completion.get("choices") else {}
    message = choice.get("message") or {}
    output: list[dict[str, Any]] = []
    parts = [
        *([{"type": "output_text", "text": message["content"], "annotations": []}] if message.get("content") else []),
        *([{"type": "refusal", "refusal": message["refusal"]}] if message.get("refusal") else []),
    ]
    if parts:
        output.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": parts})
    for call in message.get("tool_calls") or ():
        output.append({"type": "function_call", "id": f"fc_{call['id']}", "call_id": call["id"], **call["function"]})
    return [_terminal_event(completion, choice.get("finish_reason"), output)]


def chunk_events(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events of a response for the chunks of a chat completion."""
    first = chunks[0] if chunks else {}
    events = [{"type": "response.created", "response": {**_head(first), "status": "in_progress", "output": []}}]
    finish_reason, usage = None, None
    calls: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or ():
            finish_reason = choice.get("finish_reason") or finish_reason
            delta = choice.get("delta") or {}
            place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
            for member, kind in (("content", "output_text"), ("refusal", "refusal")):
                if delta.get(member):
                    events.append({"type": f"response.{kind}.delta", **place, "delta": delta[member]})
            for part in delta.get("tool_calls") or ():
                function = part.get("function") or {}
                index = part["index"] + 1
                if index not in calls:
                    calls[index] = {"type": "function_call", "id": f"fc_{index}", "call_id": part.get("id")}
                    calls[index] |= {"name": function.get("name"), "arguments": ""}
                    events.append(
                        {"type": "response.output_item.added", "output_index": index, "item": {**calls[index]}}
                    )
                events.append(
                    {
                        "type": "response.function_call_arguments.delta",
                        "output_index": index,
                        "delta": function.get("arguments") or "",
                    }
                )
    return [*events, _terminal_event({**first, "usage": usage}, finish_reason, [])]


def _head(completion: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(completion.get("id")).replace("chatcmpl-", "resp_"),
        "object": "response",
        "created_at": completion.get("created", 0),
        "model": completion.get("model"),
    }


def _terminal_event(completion: dict[str, Any], finish_reason: Any, output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = completion.get("usage") or {}
    tokens = {
        "input_tokens": usage.get("prompt_tokens"),
        "output_tokens": usage.get("completion_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "output_tokens_details": usage.get("completion_tokens_details"),
    }
    reason = _INCOMPLETE.get(finish_reason)
    response = {
        **_head(completion),
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": output,
        "usage": tokens if usage else None,
    }
    return {"type": f"response.{response['status']}", "response": response}


def events_of(content_type: str, body: bytes) -> list[dict[str, Any]]:
    """Return the events for a document or a stream of chunks."""
    if content_type.startswith("application/json") and not body.startswith(b"data:"):
        return completion_events(json.loads(body))
    lines = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: ")]
    return chunk_events([json.loads(line) for line in lines if line != b"[DONE]"])
