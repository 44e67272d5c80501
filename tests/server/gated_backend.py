"""A backend whose responses continue when the test says so, for tests with many streams at once."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["GatedBackend"]

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
_SECONDS = 30.0
_FIRST_DELTA = 3  # its position among the events


class GatedBackend:
    """A context with a backend at `base_url`. Each response has `events` deltas of `size` letters.

    The first delta is sent at once, the others after `open_gate`. Attributes:
        arrived: The number of model requests.
        running: The number of responses that are not over: sent, or their connection closed.
        most_running: The highest value of `running`.
        broken: The number of responses whose connection was closed before their end.
        sent_bytes: For each response, in order, the bytes that were written so far.
    """

    def __init__(self, *, events: int = 5, size: int = 10) -> None:
        self.arrived = self.running = self.most_running = self.broken = 0
        self.sent_bytes: list[int] = []
        self.base_url = ""
        self.text = "x" * (events * size)
        self._delta = "x" * size
        self._events = events
        self._loop = asyncio.new_event_loop()
        self._gate = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gated-backend", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._handle, "127.0.0.1", 0, backlog=512), self._loop
        ).result(_SECONDS)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/backend-api/codex"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    def open_gate(self) -> None:
        """Let all responses continue."""
        self._loop.call_soon_threadsafe(self._gate.set)

    async def _close(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            fields = dict(line.lower().split(b": ", 1) for line in head.strip().split(b"\r\n")[1:])
            await reader.readexactly(int(fields[b"content-length"]))
            await self._respond(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.arrived
        self.arrived += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.sent_bytes.append(0)
        sending = asyncio.ensure_future(self._send(number, writer))
        left = asyncio.ensure_future(reader.read(1))  # returns when the client closes the connection
        try:
            await asyncio.wait({sending, left}, return_when=asyncio.FIRST_COMPLETED)
            self.broken += not sending.done() or sending.exception() is not None
        finally:
            self.running -= 1
            for each in (sending, left):
                each.cancel()
            await asyncio.gather(sending, left, return_exceptions=True)

    async def _send(self, number: int, writer: asyncio.StreamWriter) -> None:
        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()
            self.sent_bytes[number] += len(data)

        await write(_HEAD)
        for position, event in enumerate(self._all_events()):
            if event["type"] == "response.output_text.delta" and position > _FIRST_DELTA:
                await self._gate.wait()
            await write(b"data: " + json.dumps({**event, "sequence_number": position}).encode() + b"\n\n")

    def _all_events(self) -> list[dict[str, Any]]:
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        response = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5.5", "output": []}
        item = {"type": "message", "id": "msg_1", "role": "assistant"}
        part = {"type": "output_text", "annotations": []}
        done = {**item, "status": "completed", "content": [{**part, "text": self.text}]}
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        delta = {"type": "response.output_text.delta", **place, "delta": self._delta}
        return [
            {"type": "response.created", "response": {**response, "status": "in_progress"}},
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
            {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
            *([delta] * self._events),
            {"type": "response.output_item.done", "output_index": 0, "item": done},
            {"type": "response.completed", "response": {**response, "status": "completed", "usage": usage}},
        ]
