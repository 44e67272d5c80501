"""Translate the events of a response to the chunks of a chat completion. Pure.

The rules, each of which programs rely on:

- The first chunk has the role and an empty content, and no later one has a role. All have the same `id`, `created` and
  `model`. An empty member is left out: `""`, `null` and `[]` confuse programs that test for the presence of a member.
- Calls are numbered from 0 in the order in which they begin. `output_index` counts reasoning and messages, too. The
  first chunk of a call has its id and name, and the later ones only further arguments.
- A value may arrive in deltas, in the event that finishes it, or in both, depending on the gateway. Only the suffix
  that was not streamed yet is sent.
- Exactly one chunk has a finish reason, after the last delta, with an empty delta. A chunk without choices is sent only
  for the usage, and only if the caller asked for it. A failed response has no finish reason: the reader raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from .._coerce import as_count, as_mapping
from .chat_completion import (
    REASONING_SEPARATOR,
    ChatSettings,
    FinalMessage,
    call_of,
    completion_id,
    find_stop,
    is_commentary,
    message_text,
    model_of,
    read_message,
    reasoning_details,
    service_tier,
    usage_of,
)

__all__ = ["ChunkBuilder"]

Chunk = dict[str, Any]
Event = Mapping[str, Any]

# The kinds of items, by the member of a chunk that has their text.
_CONTENT, _REFUSAL, _REASONING, _CALL, _OTHER = "content", "refusal", "reasoning_content", "call", ""
_TEXT_DELTA: Final = "response.output_text.delta"
_CALL_ITEMS: Final = ("function_call", "custom_tool_call")


class _Item:
    """An output item: its kind, the number of the call, and the text that was sent."""

    __slots__ = ("chunks", "data", "index", "is_open", "kind")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.index = 0
        self.is_open = False  # whether the name of a call was sent
        self.data: Mapping[str, Any] = {}
        self.chunks: list[str] = []

    def suffix(self, text: str) -> str:
        """Return what follows the text that was sent. A text that differs from it is not sent again."""
        sent = "".join(self.chunks)
        return text[len(sent) :] if text.startswith(sent) else ""


class ChunkBuilder:
    """Builder of the chunks of one completion, which may be read from several responses after restarts.

    Attributes:
        account_id: The account of the current response, for its encrypted reasoning.
        has_output: Whether a chunk other than the first one was built, so that no other response can follow.
        is_complete: Whether no further event is needed: a stop sequence has ended the text.
    """

    def __init__(self, settings: ChatSettings) -> None:
        self.account_id: str | None = None
        self.has_output = False
        self.is_complete = False
        self._settings = settings
        self._head: Chunk | None = None
        self._has_finished = False
        self._sent: dict[str, list[str]] = {member: [] for member in (_CONTENT, _REFUSAL, _REASONING)}
        self._held = ""  # the end of the text, which may begin a stop sequence
        self._held_length = max(map(len, settings.stop), default=1) - 1
        self._last_reasoning: object = None
        self.begin()

    def begin(self) -> None:
        """Begin to read a response. Call it before each restart, which is possible while `has_output` is False."""
        self._items: dict[object, _Item] = {}
        self._calls: list[_Item] = []
        self._kept: list[Mapping[str, Any]] = []

    def chunks(self, events: Iterable[Event]) -> Iterator[Chunk]:
        """Yield the chunks for events. Both are JSON data."""
        for event in events:
            event_type = event.get("type")
            if event_type == _TEXT_DELTA and (chunk := self._text_chunk(event)) is not None:
                yield chunk
                continue
            handler = _HANDLERS.get(event_type) if isinstance(event_type, str) else None
            if self._head is None and (handler is not None or "response" in event):
                yield self._first_chunk(event)
            if handler is not None and (not self._has_finished or handler is ChunkBuilder._end):
                yield from handler(self, event)

    # Chunks

    def _text_chunk(self, event: Event) -> Chunk | None:
        """Return the chunk for nearly all events of a long response, None if the event is another one."""
        index, text = event.get("output_index"), event.get("delta")
        item = self._items.get(index) if isinstance(index, int) else None
        if item is None or item.kind is not _CONTENT or self._settings.stop or self._has_finished:
            return None
        if not isinstance(text, str) or not text:
            return None
        self.has_output = True
        item.chunks.append(text)
        self._sent[_CONTENT].append(text)
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        return {**(self._head or {}), "choices": [choice]}

    def _first_chunk(self, event: Event) -> Chunk:
        response = as_mapping(event.get("response"))
        tier = service_tier(response)
        self._head = {
            "id": completion_id(response),
            "object": "chat.completion.chunk",
            "created": as_count(response.get("created_at")) or 0,
            "model": model_of(response, self._settings),
            **({"service_tier": tier} if tier else {}),
        }
        return self._chunk({"role": "assistant", "content": ""})

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> Chunk:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return {**(self._head or {}), "choices": [choice]}

    def _delta(self, member: str, text: str) -> Iterator[Chunk]:
        if text:
            self.has_output = True
            self._sent[member].append(text)
            yield self._chunk({member: text})

    # Events

    def _item_of(self, event: Event, kind: str) -> _Item:
        """Return the item that an event belongs to: the one with its id, or else at its index."""
        keys = event.get("item_id"), event.get("output_index")
        return self._find(*keys) or self._register(_Item(kind), *keys)

    def _find(self, *keys: Any) -> _Item | None:
        found = (self._items.get(key) for key in keys if isinstance(key, (str, int)))
        return next((item for item in found if item is not None), None)

    def _register(self, item: _Item, *keys: Any) -> _Item:
        self._items |= {key: item for key in keys if isinstance(key, (str, int))}
        return item

    def _item_added(self, event: Event) -> Iterator[Chunk]:
        data = as_mapping(event.get("item"))
        item = self._register(_Item(self._kind(data)), data.get("id"), event.get("output_index"))
        item.data = data
        if item.kind == _CALL:
            yield from self._call_text(item, data)

    def _kind(self, data: Mapping[str, Any]) -> str:
        item_type = data.get("type")
        if item_type in _CALL_ITEMS:
            return _CALL
        if item_type == "reasoning" or is_commentary(data):
            return _REASONING
        return _CONTENT if item_type == "message" else _OTHER

    def _text_delta(self, event: Event) -> Iterator[Chunk]:
        item, text = self._item_of(event, _CONTENT), _text(event.get("delta"))
        if item.kind == _REASONING:
            return self._reasoning_text(item, event, text)
        item.chunks.append(text)
        return self._content(text)

    def _content(self, text: str) -> Iterator[Chunk]:
        if not self._settings.stop:
            return self._delta(_CONTENT, text)
        return self._content_before_stop(text)

    def _content_before_stop(self, text: str) -> Iterator[Chunk]:
        text = self._held + text
        position = find_stop(text, self._settings.stop)
        if position is not None:
            self._held = ""
            yield from self._delta(_CONTENT, text[:position])
            calls = [call for item in self._calls if (call := call_of(item.data)) is not None]
            final = FinalMessage(is_stopped=True, calls=calls)
            yield from self._missing_calls(final)
            yield from self._finish(final)
            self.is_complete = not self._settings.includes_usage
            return
        end = max(len(text) - self._held_length, 0)
        self._held = text[end:]
        yield from self._delta(_CONTENT, text[:end])

    def _refusal_delta(self, event: Event) -> Iterator[Chunk]:
        return self._delta(_REFUSAL, _text(event.get("delta")))

    def _reasoning_delta(self, event: Event) -> Iterator[Chunk]:
        return self._reasoning_text(self._item_of(event, _REASONING), event, _text(event.get("delta")))

    def _reasoning_text(self, item: _Item, event: Event, text: str) -> Iterator[Chunk]:
        if not self._settings.shows_reasoning or not text:
            return
        # The texts of different items and summaries are separated as in a completion that is not streamed.
        place: tuple[object, ...] = (item,)
        if item.data.get("type") != "message":
            indexes = (event.get(name) for name in ("type", "summary_index", "content_index"))
            place = (item, *indexes)
        if self._last_reasoning not in (None, place):
            text = REASONING_SEPARATOR + text
        self._last_reasoning = place
        yield from self._delta(_REASONING, text)

    def _arguments_delta(self, event: Event) -> Iterator[Chunk]:
        item = self._item_of(event, _CALL)
        if item.is_open:  # else the name is unknown until the item is done
            yield from self._arguments(item, _text(event.get("delta")))

    def _arguments_done(self, event: Event) -> Iterator[Chunk]:
        item = self._item_of(event, _CALL)
        if item.is_open:
            yield from self._arguments(item, item.suffix(_text(event.get("arguments") or event.get("input"))))

    def _item_done(self, event: Event) -> Iterator[Chunk]:
        data = as_mapping(event.get("item"))
        kind = self._kind(data)
        item = self._find(data.get("id"), event.get("output_index"))
        if item is None or item.kind != kind:
            item = self._register(_Item(kind), data.get("id"), event.get("output_index"))
        if kind == _CALL:
            yield from self._call_text(item, data)
        elif kind == _CONTENT:
            text = item.suffix(message_text(data))
            item.chunks.append(text)
            yield from self._content(text)
        elif kind == _REASONING:
            self._kept.append(data)

    # Calls

    def _call_text(self, item: _Item, data: Mapping[str, Any]) -> Iterator[Chunk]:
        """Yield the beginning of a call if it is new, and the arguments that were not sent yet."""
        call = call_of(data)
        if call is None or not (call["id"] and call[call["type"]]["name"]):
            return
        item.data = data
        if not item.is_open:
            yield from self._open_call(item, call)
        yield from self._arguments(item, item.suffix(_text(data.get("arguments") or data.get("input"))))

    def _open_call(self, item: _Item, call: dict[str, Any]) -> Iterator[Chunk]:
        item.index = len(self._calls)
        self._calls.append(item)
        item.is_open = self.has_output = True
        kind, member = _call_members(item)
        details = {"name": call[kind]["name"], member: ""}
        if self._settings.uses_functions:
            if item.index == 0:
                yield self._chunk({"function_call": details})
        else:
            yield self._chunk({"tool_calls": [{"index": item.index, "id": call["id"], "type": kind, kind: details}]})

    def _arguments(self, item: _Item, text: str) -> Iterator[Chunk]:
        if not text:
            return
        item.chunks.append(text)
        kind, member = _call_members(item)
        if not self._settings.uses_functions:
            yield self._chunk({"tool_calls": [{"index": item.index, kind: {member: text}}]})
        elif item.index == 0:
            yield self._chunk({"function_call": {member: text}})

    # The end

    def _end(self, event: Event) -> Iterator[Chunk]:
        response = as_mapping(event.get("response"))
        if not self._has_finished:
            final = read_message(response, self._settings, account_id=self.account_id)
            for member, text in (
                (_REASONING, final.reasoning),
                (_CONTENT, final.content),
                (_REFUSAL, final.refusal),
            ):
                sent = "".join(self._sent[member])
                if text.startswith(sent):
                    yield from self._delta(member, text[len(sent) :])
            yield from self._missing_calls(final)
            yield from self._finish(final)
        usage = usage_of(response)
        if usage is not None and self._settings.includes_usage:
            yield {**(self._head or {}), "choices": [], "usage": usage}

    def _missing_calls(self, final: FinalMessage) -> Iterator[Chunk]:
        """Yield what no earlier event had of the calls: whole calls, and `{}` for a call without arguments."""
        opened = {as_mapping(call_of(item.data)).get("id"): item for item in self._calls}
        for call in final.calls:
            item = opened.get(call["id"])
            if item is None:
                item = _Item(_CALL)
                item.data = {"type": _CALL_ITEMS[call["type"] == "custom"]}
                yield from self._open_call(item, call)
            member = _call_members(item)[1]
            yield from self._arguments(item, item.suffix(call[call["type"]][member]))

    def _finish(self, final: FinalMessage) -> Iterator[Chunk]:
        self._has_finished = True
        details = final.details
        if final.is_stopped and self._settings.returns_details:
            details = reasoning_details(self._kept, self._settings, account_id=self.account_id)
        delta = {"annotations": final.annotations, "reasoning_details": details}
        delta = {name: value for name, value in delta.items() if value}
        if delta:
            yield self._chunk(delta)
        yield self._chunk({}, final.finish_reason(self._settings))


_HANDLERS: Final = {
    "response.output_item.added": ChunkBuilder._item_added,
    "response.output_item.done": ChunkBuilder._item_done,
    _TEXT_DELTA: ChunkBuilder._text_delta,
    "response.refusal.delta": ChunkBuilder._refusal_delta,
    "response.reasoning_summary_text.delta": ChunkBuilder._reasoning_delta,
    "response.reasoning_text.delta": ChunkBuilder._reasoning_delta,
    "response.function_call_arguments.delta": ChunkBuilder._arguments_delta,
    "response.custom_tool_call_input.delta": ChunkBuilder._arguments_delta,
    "response.function_call_arguments.done": ChunkBuilder._arguments_done,
    "response.custom_tool_call_input.done": ChunkBuilder._arguments_done,
    "response.completed": ChunkBuilder._end,
    "response.incomplete": ChunkBuilder._end,
}


def _call_members(item: _Item) -> tuple[str, str]:
    """Return the type of a call in a chat message, and its member for the arguments."""
    return ("function", "arguments") if item.data.get("type") == "function_call" else ("custom", "input")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
