"""How a turn is delivered: the methods of a turn that give another one, which is delivered differently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from .faults import stream_faults
from .http.delivery import Pause, SimulatedResponse, as_chunks, body_encoder
from .replies.reply_events import as_sse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .backend.turn_context import TurnContext
    from .faults.stream_faults import Change

__all__ = ["Delivered"]

_LENGTH = "content-length"


@dataclass(frozen=True, slots=True)
class Delivered:
    """A turn, seen as something that is sent.

    `play` makes the answer. `is_own` tells that it starts from what the simulator would answer by itself.
    """

    play: Callable[[TurnContext], SimulatedResponse]
    is_own: bool = False

    # Ended before its time

    def cut_after_bytes(self, count: int) -> Self:
        """Send the head and so many bytes of the body, then close the connection."""
        return self._changed(stream_faults.first_bytes(count), keeps_length=True, ending="cut")

    def cut_after_events(self, count: int) -> Self:
        """Send the head and so many events, then close the connection."""
        return self._changed(stream_faults.first_events(count), keeps_length=True, ending="cut")

    def ended_after_events(self, count: int) -> Self:
        """Send so many events and end the answer properly: a stream without its last event."""
        return self._changed(stream_faults.first_events(count))

    def reset(self, after_bytes: int | None = None) -> Self:
        """Reset the connection after so many bytes of the body; without a number before anything is sent."""
        if after_bytes is None:
            return self._altered(lambda answer: replace(answer, chunks=as_chunks(()), is_bare=True, ending="reset"))
        return self._changed(stream_faults.first_bytes(after_bytes), keeps_length=True, ending="reset")

    # Slow

    def delayed(self, seconds: float) -> Self:
        """Send nothing at all for so long."""
        return self._changed(stream_faults.followed_after(0, Pause(seconds)), keeps_length=True)

    def stalled(self, after_events: int = 0, seconds: float | None = None) -> Self:
        """Send the head and so many events, nothing for so long (until the client gives up), and then the rest."""
        # An empty chunk is no part of the body, but has the head sent.
        return self._changed(stream_faults.followed_after(after_events, b"", Pause(seconds)), keeps_length=True)

    def throttled(self, bytes_at_a_time: int = 16, delay: float = 0.01) -> Self:
        """Send the body in small parts, each after `delay` seconds."""
        if bytes_at_a_time < 1:
            raise ValueError(f"bytes_at_a_time has to be 1 or more, not {bytes_at_a_time}")
        return self._changed(stream_faults.divided(bytes_at_a_time, delay), keeps_length=True)

    def byte_by_byte(self) -> Self:
        """Send each byte of the body on its own."""
        return self.throttled(1, 0)

    def kept_alive(self, seconds: float, every: float = 0.05) -> Self:
        """Send comments and keepalive events for so long, and then the answer."""
        ticks = max(1, round(seconds / every))
        keepalive = b': keepalive\n\nevent: keepalive\ndata: {"type":"keepalive"}\n\n'
        beats = [part for _ in range(ticks) for part in (keepalive, Pause(every))]
        return self._changed(stream_faults.followed_after(0, *beats))

    # Another head

    def with_headers(self, headers: Mapping[str, str] | None = None, /, **named: str) -> Self:
        """Add headers, or replace them; an underscore of a keyword stands for a hyphen."""
        new = {**(headers or {}), **{name.replace("_", "-"): value for name, value in named.items()}}
        names = {name.lower() for name in new}

        def change(answer: SimulatedResponse) -> SimulatedResponse:
            kept = [(name, value) for name, value in answer.headers if name.lower() not in names]
            return replace(answer, headers=(*kept, *new.items()))

        return self._altered(change)

    def with_status(self, status: int) -> Self:
        """Say another status above the same body."""
        return self._altered(lambda answer: replace(answer, status=status))

    def content_type(self, media_type: str) -> Self:
        """Call the body something else."""
        return self.with_headers(content_type=media_type)

    def huge_header(self, size: int = 100_000) -> Self:
        """Add a header of so many bytes."""
        return self.with_headers(x_simulator_padding="x" * size)

    def informational(self, status: int = 103, times: int = 1) -> Self:
        """Send answers of a status below 200 before this one (RFC 9110, 15.2)."""
        before = f"HTTP/1.1 {status} Informational\r\nx-simulator: not the answer\r\n\r\n".encode() * times
        return self._altered(lambda answer: replace(answer, before=answer.before + before))

    def compressed(self, encoding: str = "gzip") -> Self:
        """Compress the body: `gzip`, `zstd` or `br`; what is done to it afterwards is done to the compressed one."""
        body_encoder(encoding)
        return self.with_headers(content_encoding=encoding)._changed(stream_faults.compressed(encoding))

    # Another body

    def huge_event(self, size: int = 1_000_000) -> Self:
        """Put an event of so many bytes, of a type that nobody knows, before the last one."""
        event = {"type": "simulator.padding", "padding": "x" * size}
        return self._changed(stream_faults.end_preceded_by(as_sse(event)))

    def repeated_end(self, times: int = 2) -> Self:
        """Send the last event so many times in all."""
        return self._changed(stream_faults.end_repeated(times))

    def data_after_end(self, data: bytes | None = None) -> Self:
        """Send something behind the last event: these bytes, or text of another answer."""
        late = {"type": "response.output_text.delta", "item_id": "msg_late", "output_index": 0, "content_index": 0}
        return self._changed(stream_faults.end_followed_by(data or as_sse({**late, "delta": "Too late."})))

    def garbage(self, after_events: int = 3) -> Self:
        """Put bytes into the stream that are no event and no UTF-8."""
        noise = b'data: {"type":"response.output_te\n\n' + bytes(range(128, 256)) + b"\n\ndata: 42\n\n"
        return self._changed(stream_faults.followed_after(after_events, noise))

    def bytes_after_answer(self, data: bytes = b"\x00garbage\r\n\r\n") -> Self:
        """Send bytes behind the end of the answer, where the connection's next one would begin."""
        return self._altered(lambda answer: replace(answer, after=answer.after + data))

    # How a turn is made of another one

    def _altered(self, change: Callable[[SimulatedResponse], SimulatedResponse]) -> Self:
        return replace(self, play=lambda context: change(self.play(context)))

    def _changed(self, change: Change, *, keeps_length: bool = False, **members: Any) -> Self:
        def altered(answer: SimulatedResponse) -> SimulatedResponse:
            kept = tuple(pair for pair in answer.headers if keeps_length or pair[0].lower() != _LENGTH)
            return replace(answer, chunks=change(answer.chunks), headers=kept, **members)

        return self._altered(altered)
