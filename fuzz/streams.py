"""Fuzz targets for event streams: recorded streams with mutations.

A mutated stream gives the same events, final response or documented error, streamed or collected, in any chunks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import openai

from codex_backend_sdk._json import decode, encode
from codex_backend_sdk._request.context import RequestContext
from codex_backend_sdk._request.routes import Route
from codex_backend_sdk._streaming.accumulator import TERMINAL_EVENTS, Accumulator
from codex_backend_sdk._streaming.events import build_event, build_response, read_events
from codex_backend_sdk._streaming.reader import ResponseReader
from codex_backend_sdk._streaming.sse import EventDecoder

from .choices import Choices
from .sse import decode_whole

if TYPE_CHECKING:
    from collections.abc import Callable

_RECORDED = [
    [frame for frame in path.read_bytes().split(b"\n\n") if frame]
    for path in sorted((Path(__file__).parent / "corpus").glob("*.sse"))
]
_MEMBER_NAMES = (
    "type", "delta", "output_index", "content_index", "item", "response", "id", "output", "error", "status", "text",
    "content", "usage", "code", "message", "sequence_number", "arguments", "summary", "headers", "_fields_set", "cls",
)  # fmt: skip
_EVENT_TYPES = (
    *sorted(TERMINAL_EVENTS), "response.created", "response.output_item.done", "response.output_item.added",
    "response.output_text.delta", "response.output_text.done", "response.function_call_arguments.delta",
    "response.content_part.done", "response.refusal.delta", "response.reasoning_summary_text.delta",
    "response.function_call_arguments.done", "response.output_text.annotation.added", "codex.rate_limits",
    "response.new", "",
)  # fmt: skip
_ODD_FRAMES = (
    b": comment", b"data: [DONE]", b"data", b"data: ", b"id: 1", b"retry: 9", b"event: x", b"data: null", b"data: [1]",
    b'data: {"type":"error"}', b'data: {"type":"response.completed","response":{}}', b"data: " + b"[" * 500,
    b'data: {"type":"response.completed","response":{"id":"r","output":[{"type":"message"}]}}',
    b'data: {"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"in 1.5s"}}}',
    b'data: {"type":"response.output_text.delta"},{"type":"response.completed"}',
)  # fmt: skip


# Mutations


def _mutate_value(choices: Choices, frame: bytes) -> bytes:
    """Change, add or remove one member in the data of a frame."""
    before, mark, data = frame.partition(b"data: ")
    try:
        node = payload = json.loads(data)
    except ValueError:
        return frame
    while isinstance(node, (dict, list)) and node:
        keys: Any = list(node) if isinstance(node, dict) else range(len(node))
        key = choices.one_of(keys)
        if isinstance(node[key], (dict, list)) and node[key] and choices.number(3):
            node = node[key]
            continue
        change = choices.number(6)
        if change == 0:
            del node[key]
        elif change == 1 and isinstance(node, dict):
            node[choices.one_of(_MEMBER_NAMES)] = choices.value(_MEMBER_NAMES)
        elif change == 2 and isinstance(node, dict):
            node["type"] = choices.one_of(_EVENT_TYPES)
        else:
            node[key] = choices.value(_MEMBER_NAMES)
        break
    return before + mark + json.dumps(payload, ensure_ascii=bool(choices.number(2))).encode("utf-8", "surrogatepass")


def _change(choices: Choices, frames: list[bytes], index: int) -> None:
    frames[index] = _mutate_value(choices, frames[index])


def _remove(choices: Choices, frames: list[bytes], index: int) -> None:
    del frames[index]


def _repeat(choices: Choices, frames: list[bytes], index: int) -> None:
    frames[index:index] = [frames[index]] * (1 + choices.number(3))


def _move(choices: Choices, frames: list[bytes], index: int) -> None:
    frames.insert(choices.number(len(frames)), frames.pop(index))


def _truncate(choices: Choices, frames: list[bytes], index: int) -> None:
    frames[index] = frames[index][: choices.number(len(frames[index]) + 1)]


def _split_frame(choices: Choices, frames: list[bytes], index: int) -> None:
    """Split a frame into two frames with the same prefix."""
    head, mark, data = frames[index].partition(b"data: ")
    position = choices.number(len(data) + 1)
    frames[index : index + 1] = [head + mark + data[:position], head + mark + data[position:]]


def _add_event(choices: Choices, frames: list[bytes], index: int) -> None:
    """Add another event before or after the event of a frame."""
    head, mark, data = frames[index].partition(b"data: ")
    other = choices.one_of(frames).partition(b"data: ")[2]
    comma = choices.one_of((b",", b", ", b"\t,", b" "))
    frames[index] = head + mark + (other + comma + data if choices.number(2) else data + comma + other)


def _split_line(choices: Choices, frames: list[bytes], index: int) -> None:
    position = choices.number(len(frames[index]) + 1)
    frames[index] = (
        frames[index][:position] + choices.one_of((b"\ndata: ", b"\n", b"\r", b"\r\ndata:")) + frames[index][position:]
    )


def _insert_odd(choices: Choices, frames: list[bytes], index: int) -> None:
    frames.insert(index, choices.one_of(_ODD_FRAMES))


def _strip(choices: Choices, frames: list[bytes], index: int) -> None:
    """Remove the event line, or the spaces after the colon."""
    stripped = frames[index].replace(b"data: ", b"data:") if choices.number(2) else frames[index].partition(b"\n")[2]
    frames[index] = stripped


def _replace_bytes(choices: Choices, frames: list[bytes], index: int) -> None:
    position = choices.number(len(frames[index]) + 1)
    frames[index] = frames[index][:position] + choices.take(6) + frames[index][position + choices.number(3) :]


_MUTATIONS: tuple[Callable[[Choices, list[bytes], int], None], ...] = (
    _change, _change, _change, _remove, _repeat, _move, _truncate, _split_frame, _add_event,
    _split_line, _insert_odd, _strip,
    _replace_bytes,
)  # fmt: skip


def _stream(choices: Choices) -> bytes:
    frames = list(choices.one_of(_RECORDED))
    for _ in range(choices.number(6)):
        if frames:
            choices.one_of(_MUTATIONS)(choices, frames, choices.number(len(frames)))
    blank_line = choices.one_of((b"\n\n", b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\n\n"))
    stream = blank_line.join(frames) + choices.one_of((blank_line, b"", b"\n"))
    return stream[: choices.number(len(stream) + 1)] if choices.number(8) == 7 else stream


# Properties


def _reader() -> ResponseReader:
    request = httpx2.Request("POST", "http://127.0.0.1/responses")
    return ResponseReader(httpx2.Response(200, request=request), RequestContext(route=Route.RESPONSES))


def _to_text(event: Any) -> str:
    """Return all data of an object as text, because a NaN is not equal to itself."""
    declared = sorted(event.model_fields_set & type(event).model_fields.keys())
    members = declared, sorted(event.__dict__.items()), event.__pydantic_extra__
    return f"{type(event).__name__} {members!r}"


def _error(error: openai.OpenAIError) -> str:
    partial = getattr(error, "partial", None)
    return f"{type(error).__name__} {error} {partial if partial is None else _to_text(partial)}"


def _streamed(chunks: list[bytes]) -> tuple[list[str], Any, str | None]:
    """Return the events as text, the last event as an object, and the error."""
    reader = _reader()
    events: list[Any] = []
    error = None
    try:
        for chunk in chunks:
            events.extend(reader.events(chunk))
            if reader.has_terminal_event:
                break
        events.extend(reader.last_events())
    except openai.OpenAIError as caught:
        error = _error(caught)
    return [_to_text(event) for event in events], events[-1] if events else None, error


def _collected(chunks: list[bytes]) -> tuple[Any, str | None]:
    """Return the final response and the error."""
    reader = _reader()
    try:
        for chunk in chunks:
            reader.collect(chunk)
            if reader.has_terminal_event:
                break
        final = reader.final_response()
        encode(final)  # the official client receives it as JSON
    except openai.OpenAIError as caught:
        return None, _error(caught)
    return final, None


def _terminal_types(stream: bytes) -> list[str]:
    """Return the types of the terminal events in a stream."""
    types = []
    for name, data in decode_whole(stream):
        try:
            event = decode(data)
            event_type = event.get("type") or name.decode(errors="replace")
        except (ValueError, AttributeError):
            continue
        if not isinstance(event_type, str) or event_type not in TERMINAL_EVENTS:
            continue
        response = event.get("response")
        if event_type != "response.done" or (isinstance(response, dict) and response):
            types.append(event_type)
    return types


def check_responses(data: bytes) -> None:
    """Check that a streamed and a collected response are equal, and do not depend on the chunks."""
    choices = Choices(data)
    stream = _stream(choices)
    chunks = choices.chunks(stream)
    events, last, error = _streamed([stream])
    chunked_events, _, chunked_error = _streamed(chunks)
    assert chunked_events == events, "the events depend on the chunks"
    assert chunked_error == error, f"the error depends on the chunks: {chunked_error} / {error}"
    final, collected_error = _collected([stream])
    assert collected_error == error, f"the collected response has another error: {collected_error} / {error}"
    assert repr(_collected(chunks)) == repr((final, collected_error)), "the response depends on the chunks"
    if error is None:
        assert last is not None
        assert _to_text(build_response(final)) == _to_text(last.response), (
            "the collected response differs from the streamed one"
        )
        terminal_types = _terminal_types(stream)
        assert terminal_types, "a response was completed without a terminal event"
        assert terminal_types[0] in ("response.completed", "response.incomplete", "response.done"), terminal_types
        assert terminal_types[0] != "response.incomplete" or final["status"] == "incomplete", (
            "an incomplete response is reported as completed"
        )
        assert last.type == f"response.{'incomplete' if final['status'] == 'incomplete' else 'completed'}"
        assert final["status"] not in ("failed", "cancelled", "in_progress", "queued"), final["status"]
        assert not any((final.get("error") or {}).values()), "a response with an error is reported as completed"


def check_batches(data: bytes) -> None:
    """Check that frames read in one batch give the same events as frames read one by one."""
    choices = Choices(data)
    frames = [frame for frame in choices.one_of(_RECORDED) if b".delta" in frame or not choices.number(4)]
    frames = [choices.one_of(frames)] * (1 + choices.number(4))
    for _ in range(choices.number(4)):
        if frames:
            choices.one_of(_MUTATIONS)(choices, frames, choices.number(len(frames)))
    batch = EventDecoder().feed(b"\n\n".join(frames) + b"\n\n")
    events = read_events(batch)
    accumulator = Accumulator()
    count = len(accumulator.add_deltas(batch))
    if events is None and not count:
        return
    payloads = [decode(event) for _, event in decode_whole(batch + b"\n\n")]
    if events is not None:
        assert list(map(_to_text, events)) == [_to_text(build_event(payload)) for payload in payloads]
    if count:
        assert count == len(payloads)
        single = Accumulator()
        for payload in payloads:
            single.add(payload)
        assert accumulator.partial == single.partial
