"""Print one line for each request, and the totals of each program when the server stops.

The routes fill the `RequestRecord` of a request, which is `request.state.record`. On a WebSocket, each response has a
record of its own; that of the connection has status 101. A line shows one header, the first word of `User-Agent`, and
no query, no prompt and no key. What a client sends is cut and has no control characters.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import Headers

from .._redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["RequestLog", "RequestLogMiddleware", "RequestRecord"]

_MAX_LENGTH: Final = 60  # of a text of the client
_MAX_PROGRAMS: Final = 50
_OTHER_PROGRAMS: Final = "other programs"


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """What the log shows of a request.

    `status` is None if no response began. `seconds` is the time to the end of the response. `input_tokens` includes
    `cached_tokens`; they are None without usage. `changes` are those of the header `x-codex-backend-changes`. `note` is
    a short remark, such as `client left`.
    """

    method: str
    path: str
    program: str
    model: str | None = None
    status: int | None = None
    seconds: float = 0.0
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    changes: Sequence[str] = ()
    note: str | None = None


@dataclass(slots=True)
class _Totals:
    requests: int = 0
    tokens: Counter[str] = field(default_factory=Counter)


class RequestLog:
    """Prints the lines with `echo`, which gets a line and whether it is about a problem.

    Changes of requests are printed once for each program and change, not for each request. `key` is the one of the
    server, which may be in a field for another value, and has any form if the owner chose it.
    """

    def __init__(
        self,
        echo: Callable[[str, bool], object],
        *,
        key: str = "",
        now: Callable[[], datetime] = datetime.now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._echo = echo
        self._secrets = (key,)
        self._now = now
        self._monotonic = monotonic
        self._totals: dict[str, _Totals] = {}
        self._known_changes = set[tuple[str, str]]()

    @contextmanager
    def timed(self, record: RequestRecord) -> Iterator[None]:
        """Print the line of a request at the end of the block, with the time that the block took."""
        started = self._monotonic()
        try:
            yield
        finally:
            record.seconds = self._monotonic() - started
            self.add(record)

    def add(self, record: RequestRecord) -> None:
        """Print the line of a finished request."""
        self._print(f"{self._now():%H:%M:%S} {_line(record)}", record.status is None or record.status >= 400)
        program = self._add_to_totals(record)
        for change in record.changes:
            if (program, change) not in self._known_changes and len(self._known_changes) < 20 * _MAX_PROGRAMS:
                self._known_changes.add((program, change))
                self._print(_safe(f"         {program}: {change} (not shown again)", 200), False)

    def _print(self, line: str, is_problem: bool) -> None:
        self._echo(redact(line, self._secrets), is_problem)

    def _add_to_totals(self, record: RequestRecord) -> str:
        is_new = record.program not in self._totals
        program = _OTHER_PROGRAMS if is_new and len(self._totals) >= _MAX_PROGRAMS else record.program
        if record.model is None:  # not a request to a model
            return program
        totals = self._totals.setdefault(program, _Totals())
        totals.requests += 1
        totals.tokens.update(
            {"in": record.input_tokens or 0, "cached": record.cached_tokens or 0, "out": record.output_tokens or 0}
        )
        return program

    def print_totals(self) -> None:
        """Print a line for each program that has sent requests to a model."""
        for program, totals in self._totals.items():
            tokens = _tokens(totals.tokens["in"], totals.tokens["cached"], totals.tokens["out"])
            self._print(f"{_safe(program)}: {totals.requests:,} requests, {tokens}", False)


class RequestLogMiddleware:
    """ASGI middleware: give each request its record, and add it to the log when the response has ended."""

    def __init__(self, app: ASGIApp, log: RequestLog) -> None:
        self.app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and log the request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        record = RequestRecord(
            method=scope.get("method", "WS"), path=scope["path"], program=_program(Headers(scope=scope))
        )
        scope.setdefault("state", {})["record"] = record

        async def recorded_send(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                record.status = message["status"]
            elif message["type"] == "websocket.accept":
                record.status = 101
            await send(message)

        with self._log.timed(record):
            await self.app(scope, receive, recorded_send)


def _program(headers: Headers) -> str:
    """Return the name of a program: the first word of its `User-Agent`, such as `opencode/1.2`."""
    return next(iter(headers.get("user-agent", "").split()), "unknown")[:_MAX_LENGTH]


def _line(record: RequestRecord) -> str:
    parts: list[Any] = [
        record.method.ljust(4),
        record.path,
        "-" if record.status is None else record.status,
        record.program,
        record.model,
        f"{record.seconds:.2f} s",
        None
        if record.input_tokens is None
        else _tokens(record.input_tokens, record.cached_tokens or 0, record.output_tokens or 0),
        record.note,
    ]
    return " ".join(_safe(str(part)) for part in parts if part)


def _tokens(input_tokens: int, cached_tokens: int, output_tokens: int) -> str:
    share = f" ({100 * cached_tokens // input_tokens} % cached)" if input_tokens else ""
    return f"{input_tokens:,} tokens in{share}, {output_tokens:,} out"


def _safe(text: str, length: int = _MAX_LENGTH) -> str:
    redacted = redact(text[: 4 * length])[:length]
    return "".join(character if character.isprintable() else "?" for character in redacted)
