"""Recorded event streams with mutations in critical places.

However a stream is mutated and cut, it is read in the same way, streamed or collected, or it ends in a known error.
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
_NAMES = (
    "type", "delta", "output_index", "content_index", "item", "response", "id", "output", "error", "status", "text",
    "content", "usage", "code", "message", "sequence_number", "arguments", "summary", "headers", "_fields_set", "cls",
)  # fmt: skip
_KINDS = (
    *sorted(TERMINAL_EVENTS), "response.created", "response.output_item.done", "response.output_item.added",
    "response.output_text.delta", "response.output_text.done", "response.function_call_arguments.delta",
    "codex.rate_limits", "response.new", "",
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
    """Change, add or remove a member somewhere in the data of a frame."""
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
        what = choices.number(6)
        if what == 0:
            del node[key]
        elif what == 1 and isinstance(node, dict):
            node[choices.one_of(_NAMES)] = choices.value(_NAMES)
        elif what == 2 and isinstance(node, dict):
            node["type"] = choices.one_of(_KINDS)
        else:
            node[key] = choices.value(_NAMES)
        break
    return before + mark + json.dumps(payload, ensure_ascii=bool(choices.number(2))).encode("utf-8", "surrogatepass")


def _change(choices: Choices, frames: list[bytes], at: int) -> None:
    frames[at] = _mutate_value(choices, frames[at])


def _remove(choices: Choices, frames: list[bytes], at: int) -> None:
    del frames[at]


def _repeat(choices: Choices, frames: list[bytes], at: int) -> None:
    frames[at:at] = [frames[at]] * (1 + choices.number(3))


def _move(choices: Choices, frames: list[bytes], at: int) -> None:
    frames.insert(choices.number(len(frames)), frames.pop(at))


def _cut(choices: Choices, frames: list[bytes], at: int) -> None:
    frames[at] = frames[at][: choices.number(len(frames[at]) + 1)]


def _halve(choices: Choices, frames: list[bytes], at: int) -> None:
    """Cut a frame in two; the second half begins as the first."""
    head, mark, data = frames[at].partition(b"data: ")
    place = choices.number(len(data) + 1)
    frames[at : at + 1] = [head + mark + data[:place], head + mark + data[place:]]


def _glue(choices: Choices, frames: list[bytes], at: int) -> None:
    """Put another event before or after that of a frame."""
    head, mark, data = frames[at].partition(b"data: ")
    other = choices.one_of(frames).partition(b"data: ")[2]
    comma = choices.one_of((b",", b", ", b"\t,", b" "))
    frames[at] = head + mark + (other + comma + data if choices.number(2) else data + comma + other)


def _split_line(choices: Choices, frames: list[bytes], at: int) -> None:
    place = choices.number(len(frames[at]) + 1)
    frames[at] = frames[at][:place] + choices.one_of((b"\ndata: ", b"\n", b"\r", b"\r\ndata:")) + frames[at][place:]


def _insert_odd(choices: Choices, frames: list[bytes], at: int) -> None:
    frames.insert(at, choices.one_of(_ODD_FRAMES))


def _strip(choices: Choices, frames: list[bytes], at: int) -> None:
    """Remove the event line, or the spaces after the colon."""
    stripped = frames[at].replace(b"data: ", b"data:") if choices.number(2) else frames[at].partition(b"\n")[2]
    frames[at] = stripped


def _replace_bytes(choices: Choices, frames: list[bytes], at: int) -> None:
    place = choices.number(len(frames[at]) + 1)
    frames[at] = frames[at][:place] + choices.take(6) + frames[at][place + choices.number(3) :]


_MUTATIONS: tuple[Callable[[Choices, list[bytes], int], None], ...] = (
    _change, _change, _change, _remove, _repeat, _move, _cut, _halve, _glue, _split_line, _insert_odd, _strip,
    _replace_bytes,
)  # fmt: skip


def _stream(choices: Choices) -> bytes:
    frames = list(choices.one_of(_RECORDED))
    for _ in range(choices.number(6)):
        if frames:
            choices.one_of(_MUTATIONS)(choices, frames, choices.number(len(frames)))
    blank = choices.one_of((b"\n\n", b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\n\n"))
    stream = blank.join(frames) + choices.one_of((blank, b"", b"\n"))
    return stream[: choices.number(len(stream) + 1)] if choices.number(8) == 7 else stream


# Properties


def _reader() -> ResponseReader:
    request = httpx2.Request("POST", "http://127.0.0.1/responses")
    return ResponseReader(httpx2.Response(200, request=request), RequestContext(route=Route.RESPONSES))


def _shown(event: Any) -> str:
    """Return everything in an object, as text, because a NaN is not equal to itself."""
    given = sorted(event.model_fields_set & type(event).model_fields.keys())
    members = given, sorted(event.__dict__.items()), event.__pydantic_extra__
    return f"{type(event).__name__} {members!r}"


def _error(error: openai.OpenAIError) -> str:
    partial = getattr(error, "partial", None)
    return f"{type(error).__name__} {error} {partial if partial is None else _shown(partial)}"


def _streamed(pieces: list[bytes]) -> tuple[list[str], Any, str | None]:
    """Return the events, the last of them as an object, and the error at the end."""
    reader = _reader()
    events: list[Any] = []
    error = None
    try:
        for piece in pieces:
            events.extend(reader.events(piece))
            if reader.has_terminal_event:
                break
        events.extend(reader.last_events())
    except openai.OpenAIError as caught:
        error = _error(caught)
    return [_shown(event) for event in events], events[-1] if events else None, error


def _collected(pieces: list[bytes]) -> tuple[Any, str | None]:
    """Return the final response and the error at the end."""
    reader = _reader()
    try:
        for piece in pieces:
            reader.collect(piece)
            if reader.has_terminal_event:
                break
        final = reader.final_response()
        encode(final)  # the official client receives it as JSON
    except openai.OpenAIError as caught:
        return None, _error(caught)
    return final, None


def _ends(stream: bytes) -> list[str]:
    """Return the types of the terminal events in a stream."""
    found = []
    for data in decode_whole(stream):
        try:
            kind = decode(data).get("type")
        except (ValueError, RecursionError, AttributeError):
            continue
        if isinstance(kind, str) and kind in TERMINAL_EVENTS:
            found.append(kind)
    return found


def check_responses(data: bytes) -> None:
    """Compare the streamed and the collected reading of a response with each other and with those of another cut."""
    choices = Choices(data)
    stream = _stream(choices)
    pieces = choices.pieces(stream)
    events, last, error = _streamed([stream])
    cut_events, _, cut_error = _streamed(pieces)
    assert cut_events == events, "the events depend on how the stream is cut"
    assert cut_error == error, f"the error depends on how the stream is cut: {cut_error} / {error}"
    final, collected_error = _collected([stream])
    assert collected_error == error, f"collected, it ends in another error: {collected_error} / {error}"
    assert repr(_collected(pieces)) == repr((final, collected_error)), "the response depends on how the stream is cut"
    if error is None:
        assert last is not None
        assert _shown(build_response(final)) == _shown(last.response), (
            "the collected response differs from the streamed one"
        )
        ends = _ends(stream)
        assert ends, "a response ended well without a terminal event"
        assert final["status"] == "completed" or ends[0] != "response.completed" or "status" in final
        assert ends[0] in ("response.completed", "response.incomplete"), ends
        assert ends[0] == "response.completed" or final["status"] == "incomplete", (
            "an incomplete response passes for a complete one"
        )


def check_batches(data: bytes) -> None:
    """Compare frames that are read in one batch with the same frames read one by one."""
    choices = Choices(data)
    frames = [frame for frame in choices.one_of(_RECORDED) if b".delta" in frame or not choices.number(4)]
    frames = [choices.one_of(frames)] * (1 + choices.number(4))
    for _ in range(choices.number(4)):
        if frames:
            choices.one_of(_MUTATIONS)(choices, frames, choices.number(len(frames)))
    text = EventDecoder().feed(b"\n\n".join(frames) + b"\n\n")
    events = read_events(text)
    accumulator = Accumulator()
    count = accumulator.add_deltas(text)
    if events is None and not count:
        return
    payloads = [decode(event) for event in decode_whole(text + b"\n\n")]
    if events is not None:
        assert list(map(_shown, events)) == [_shown(build_event(each)) for each in payloads]
    if count:
        assert count == len(payloads)
        alone = Accumulator()
        for payload in payloads:
            alone.add(payload)
        assert accumulator.partial == alone.partial
