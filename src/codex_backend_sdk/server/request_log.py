"""Print one line for each request, and the totals of each program when the server stops.

The routes fill the `RequestRecord` of a request, which is `request.state.record`. On a WebSocket, each response has a
record of its own; that of the connection has status 101. A line shows one header, the first word of `User-Agent`, and
no query, no prompt and no key. Text of the client is cut and has no control characters. A line that exceeds the width
of the terminal is wrapped between two of its parts, so that no word is cut.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import anyio
from starlette.datastructures import Headers

from .._redaction import redact
from .api_errors import SHUTTING_DOWN
from .changes import Change, changes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .api_errors import ApiError

__all__ = ["CLIENT_LEFT", "RequestLog", "RequestLogMiddleware", "RequestRecord"]

CLIENT_LEFT: Final = "client left"

_MAX_LENGTH: Final = 60  # of a text of the client
_MAX_PROGRAMS: Final = 50
_OTHER_PROGRAMS: Final = "other programs"
_INDENT: Final = " " * 9  # the width of the time


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """The data of a request that the log shows.

    `model` is the requested one, `response_model` the one of the response. `status` is None if no response began.
    `seconds` is the time to the end of the response. `input_tokens` includes `cached_tokens`; they are None without
    usage. `changes` are those of the header `x-codex-backend-changes`. `note` is a short remark, such as `client left`
    or the code of an error.
    """

    method: str
    path: str
    program: str
    model: str | None = None
    response_model: str | None = None
    status: int | None = None
    seconds: float = 0.0
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    changes: Sequence[Change] = ()
    note: str | None = None

    def note_error(self, error: ApiError) -> None:
        """Note the code of an error. Call this for each error that is sent, in a response or in its events."""
        self.note = error.code or error.type

    def note_end(self, reason: str) -> None:
        """Note why the request ended early, unless an error is noted already."""
        self.note = self.note or reason


@dataclass(slots=True)
class _Totals:
    requests: int = 0
    tokens: Counter[str] = field(default_factory=Counter)


class RequestLog:
    """Prints the lines with `echo`, which gets a line and whether it is about a problem.

    Changes of requests are printed once for each program and change, not for each request. `key` is the key of
    the server. The log redacts it, because a client may send it in any field, and `redact` does not recognize a key
    that the user chose. `width` returns the number of columns of the terminal.
    """

    def __init__(
        self,
        echo: Callable[[str, bool], object],
        *,
        key: str = "",
        now: Callable[[], datetime] = datetime.now,
        monotonic: Callable[[], float] = time.monotonic,
        width: Callable[[], int] = lambda: sys.maxsize,
    ) -> None:
        self._echo = echo
        self._secrets = (key,)
        self._now = now
        self._monotonic = monotonic
        self._width = width
        self._totals: dict[str, _Totals] = {}
        self._known_changes = set[tuple[str, Change]]()

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
        """Print the line of a finished request, and its changes that are new."""
        is_problem = record.status is None or record.status >= 400
        self._print([f"{self._now():%H:%M:%S}", *_parts(record)], is_problem)
        program = self._add_to_totals(record)
        new = [change for change in record.changes if (program, change) not in self._known_changes]
        new = new[: max(0, 20 * _MAX_PROGRAMS - len(self._known_changes))]
        if new:
            remark = "" if self._known_changes else " (not shown again)"  # explained once
            self._known_changes.update((program, change) for change in new)
            text = _safe(f"{program}: {changes_text(new)}", 200)
            self._print([" " * (len(_INDENT) - 1), *f"{text}{remark}".split(" ")], False)

    def _print(self, parts: list[str], is_problem: bool) -> None:
        """Print parts as a line, wrapped between two of them if it exceeds the width of the terminal."""
        width, lines = self._width(), parts[:1]
        for part in parts[1:]:
            if len(lines[-1]) + 1 + len(part) <= width:
                lines[-1] += f" {part}"
            else:
                lines.append(f"{_INDENT}{part}")
        self._echo(redact("\n".join(lines), self._secrets), is_problem)

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
            requests = f"{totals.requests:,} request{'' if totals.requests == 1 else 's'}"
            self._print([f"{_safe(program)}:", f"{requests},", "tokens:", tokens], False)


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
            try:
                await self.app(scope, receive, recorded_send)
            except anyio.get_cancelled_exc_class():  # only the stop of the server cancels the whole application
                record.note_end(SHUTTING_DOWN)
                raise


def _program(headers: Headers) -> str:
    """Return the name of a program: the first word of its `User-Agent`, such as `opencode/1.2`."""
    return next(iter(headers.get("user-agent", "").split()), "unknown")[:_MAX_LENGTH]


def _parts(record: RequestRecord) -> list[str]:
    """Return the parts of a line after the time, always in this order."""
    parts: list[Any] = [
        record.method.ljust(4),
        record.path,
        "-" if record.status is None else record.status,
        record.program,
        _models(record),
        f"{record.seconds:.2f} s",
        None
        if record.input_tokens is None
        else _tokens(record.input_tokens, record.cached_tokens or 0, record.output_tokens or 0),
        record.note,
    ]
    return [_safe(str(part)) for part in parts if part]


def _models(record: RequestRecord) -> str | None:
    """Return the requested model, and the one of the response if it is another, such as `auto → gpt-5.5`."""
    if record.model is None or record.response_model in (None, record.model):
        return record.model
    return f"{record.model} → {record.response_model}"


def _tokens(input_tokens: int, cached_tokens: int, output_tokens: int) -> str:
    share = f" ({100 * cached_tokens // input_tokens} % cached)" if input_tokens else ""
    return f"{input_tokens:,} in{share} {output_tokens:,} out"


def _safe(text: str, length: int = _MAX_LENGTH) -> str:
    redacted = redact(text[: 4 * length])[:length]
    return "".join(character if character.isprintable() else "?" for character in redacted)
