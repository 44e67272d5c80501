"""Convert the events of a response to events of `llm`, which writes text to stdout and reasoning to stderr.

- Commentary, which a model writes between its tool calls, is shown as reasoning: it is not part of the response text,
  and would make JSON that follows a schema invalid.
- Each output item has parts of its own. `llm` would merge the reasoning of two items into one part, and lose the
  encrypted content of the first.
- The name of a called tool is reported as soon as the call begins.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import llm
from llm.parts import StreamEvent
from llm.utils import simplify_usage_dict

from .. import history
from .llm_input import METADATA_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.types.responses import Response

__all__ = ["ResponseTranslator"]

_TEXT_DELTAS: Final = ("response.output_text.delta", "response.refusal.delta")
_REASONING_DELTAS: Final = ("response.reasoning_summary_text.delta", "response.reasoning_text.delta")
# Members of items that the next request sends back, beside those that the parts of llm have.
_MESSAGE_MEMBERS: Final = ("id", "phase")
_SEARCH_MEMBERS: Final = ("type", "id", "status", "action")


class ResponseTranslator:
    """Translate one response. `model` and `account_id` are those of the request; they can read its reasoning."""

    def __init__(self, response: Any, *, model: str | None, account_id: str | None) -> None:
        self._response = response
        self._model = model
        self._account_id = account_id
        self._part_indexes: dict[tuple[int, str], int] = {}
        self._commentary: set[int] = set()
        self._streamed: set[int] = set()  # output indexes of items whose text or arguments were streamed
        self._shown: int | None = None  # output index of the reasoning that was shown last

    def events(self, event: Any) -> Iterator[StreamEvent]:
        """Yield the events of llm for an official event. Raises `llm.ModelError` for an incomplete response."""
        if event.type == "response.output_item.added":
            yield from self._begin(event.output_index, event.item)
        elif event.type in _TEXT_DELTAS:
            self._streamed.add(event.output_index)
            yield self._text(event.output_index, event.delta)
        elif event.type in _REASONING_DELTAS:
            self._streamed.add(event.output_index)
            yield self._reasoning(event.output_index, event.delta)
        elif event.type == "response.reasoning_summary_part.added" and event.summary_index:
            yield self._reasoning(event.output_index, "\n\n")
        elif event.type == "response.function_call_arguments.delta":
            self._streamed.add(event.output_index)
            yield self._part(event.output_index, "tool_call_args", event.delta)
        elif event.type == "response.output_item.done":
            yield from self._end(event.output_index, event.item)
        elif event.type in ("response.completed", "response.incomplete"):
            self._finish(event.response)

    def response_events(self, response: Response) -> Iterator[StreamEvent]:
        """Yield the events of llm for a response that was not streamed. Raises as `events`."""
        for index, item in enumerate(response.output):
            yield from self._begin(index, item)
            yield from self._end(index, item)
        self._finish(response)

    # --- items

    def _begin(self, index: int, item: Any) -> Iterator[StreamEvent]:
        if item.type == "message" and getattr(item, "phase", None) == "commentary":
            self._commentary.add(index)
        elif item.type == "function_call":
            yield self._part(index, "tool_call_name", item.name, tool_call_id=item.call_id)

    def _end(self, index: int, item: Any) -> Iterator[StreamEvent]:
        data = history.stamp([item], model=self._model or "", account_id=self._account_id)[0]
        is_streamed = index in self._streamed
        if item.type == "message":
            yield from self._end_message(index, data, is_streamed=is_streamed)
        elif item.type == "reasoning":
            texts = [part["text"] for name in ("summary", "content") for part in data.get(name) or []]
            yield self._reasoning(index, "" if is_streamed else "\n\n".join(texts), metadata=data)
        elif item.type == "function_call":
            yield self._end_call(index, data, is_streamed=is_streamed)
        else:
            yield from self._server_tool(index, data)

    def _end_message(self, index: int, data: dict[str, Any], *, is_streamed: bool) -> Iterator[StreamEvent]:
        text = "".join(part.get("text") or part.get("refusal") or "" for part in data["content"])
        metadata = {name: data[name] for name in _MESSAGE_MEMBERS if data.get(name)}
        if index in self._commentary:  # it becomes a part of reasoning, whose text is not sent back
            content = [{"type": "output_text", "text": text}]
            metadata = {"type": "message", "role": "assistant", **metadata, "content": content}
        yield self._text(index, "" if is_streamed else text, metadata=metadata)

    def _end_call(self, index: int, data: dict[str, Any], *, is_streamed: bool) -> StreamEvent:
        arguments, call_id = data["arguments"], data["call_id"]
        try:
            parsed = json.loads(arguments or "{}")
        except ValueError:
            parsed = {"_raw": arguments}  # as the models of llm do; the tool then reports the wrong arguments
        self._response.add_tool_call(llm.ToolCall(tool_call_id=call_id, name=data["name"], arguments=parsed))
        metadata = {name: data[name] for name in ("id", "arguments") if data.get(name)}
        chunk = "" if is_streamed else arguments
        return self._part(index, "tool_call_args", chunk, tool_call_id=call_id, metadata=metadata)

    def _server_tool(self, index: int, data: dict[str, Any]) -> Iterator[StreamEvent]:
        """Yield the events of a call that the backend has executed, such as a web search."""
        name = str(data["type"]).removesuffix("_call")
        common: dict[str, Any] = {"tool_call_id": data.get("id"), "server_executed": True}
        metadata: dict[str, Any] | None = None
        if data["type"] == "web_search_call":
            metadata = {each: data[each] for each in _SEARCH_MEMBERS if each in data}
        arguments = data.get("action") or {}
        result = json.dumps(data["results"]) if data.get("results") else str(data.get("status") or "completed")
        yield self._part(index, "tool_call_name", name, **common)
        yield self._part(index, "tool_call_args", json.dumps(arguments), metadata=metadata, **common)
        yield self._part(index, "tool_result", result, tool_name=name, **common)

    # --- parts

    def _text(self, index: int, chunk: str, *, metadata: dict[str, Any] | None = None) -> StreamEvent:
        if index in self._commentary:
            return self._reasoning(index, chunk, metadata=metadata)
        return self._part(index, "text", chunk, metadata=metadata)

    def _reasoning(self, index: int, chunk: str, *, metadata: dict[str, Any] | None = None) -> StreamEvent:
        if chunk:
            if self._shown not in (None, index):
                chunk = f"\n\n{chunk}"
            self._shown = index
        return self._part(index, "reasoning", chunk, metadata=metadata)

    def _part(
        self, index: int, event_type: str, chunk: str, *, metadata: dict[str, Any] | None = None, **members: Any
    ) -> StreamEvent:
        family = "call" if event_type in ("tool_call_name", "tool_call_args") else event_type
        part_index = self._part_indexes.setdefault((index, family), len(self._part_indexes))
        provider_metadata = None if metadata is None else {METADATA_KEY: metadata}
        return StreamEvent(
            type=event_type, chunk=chunk, part_index=part_index, provider_metadata=provider_metadata, **members
        )

    # --- the end

    def _finish(self, response: Response) -> None:
        data = response.to_dict(mode="json", warnings=False)
        self._response.response_json = data
        self._response.set_resolved_model(response.model)
        usage = data.get("usage")
        if isinstance(usage, dict):
            details = {name: value for name, value in usage.items() if name.endswith("_details")}
            self._response.set_usage(
                input=usage.get("input_tokens"),
                output=usage.get("output_tokens"),
                details=simplify_usage_dict(details),
            )
        if response.status == "incomplete":
            reason = getattr(response.incomplete_details, "reason", None) or "no reason was given"
            raise llm.ModelError(f"The response is incomplete: {reason}. Change the prompt, or send it again.")
