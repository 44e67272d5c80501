"""Track the connections of this process: release them in a forked child, and end their I/O at a deadline.

httpcore reports each step of a request to the function in `request.extensions["trace"]`, also for a caller's own
`http_client` and through proxies. `exchange` and `async_exchange` set that function for one request. It has two tasks.

Fork. Parent and child would share every open connection, and each would read responses of the other. The function
records each new connection. In a child, the file descriptor of each recorded connection is replaced by a socket whose
peer is closed: nothing is written to the connection of the parent, no later `close()` can hit another file, and a pool
finds the connection disconnected. The pools that this package opens are replaced in the child as well (`_pools`).

Deadlines. httpcore's timeouts restart with every read, write and address, so a server that sends single bytes can hold
a call indefinitely. Three deadlines end a request: that of the whole call (`total_timeout`), and those of two phases:

    connecting   from the name lookup to the end of the TLS handshake, including a proxy      `connect_timeout`
    the head     from the end of the upload to the last header of the final response          `first_byte_timeout`

In async code they are the deadline of a cancel scope. In sync code a thread cannot be interrupted, so every read and
write is limited to the time that remains (`_DeadlineStream`). The connection finds the deadlines in a thread-local
variable, because another thread may use it next. A name lookup has no timeout, so it runs in a thread that the deadline
abandons. The addresses of a name share the time for connecting.
"""

from __future__ import annotations

import contextlib
import contextvars
import ipaddress
import math
import os
import socket
import stat
import threading
import time
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import anyio
import httpcore2
import httpx2

from ._threads import reset_in_child, start_in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

__all__ = [
    "DeadlineExceededError",
    "async_deadline",
    "async_exchange",
    "call_before",
    "exchange",
    "fork_generation",
    "io_deadline",
    "track",
]

_T = TypeVar("_T")
_ResponseT = TypeVar("_ResponseT")


class DeadlineExceededError(httpx2.TimeoutException):
    """The deadline of the whole call has passed. The client raises TotalTimeoutError instead of it."""

    def __init__(self) -> None:
        super().__init__("The call exceeded its deadline.")


# --- forks -------------------------------------------------------------------------------------------------------


class _Socket(NamedTuple):
    """A socket: its file descriptor, its inode, and the object to close in a child."""

    descriptor: int
    inode: int
    own: socket.socket | None


class _Registry:
    """The open connections of this process."""

    def __init__(self) -> None:
        self.generation = 0
        # network stream → its socket
        self.sockets: WeakKeyDictionary[Any, _Socket] = WeakKeyDictionary()
        reset_in_child(self, _Registry.release)

    def add(self, stream: Any) -> None:
        connection = stream.get_extra_info("socket")
        if connection is not None and (descriptor := connection.fileno()) >= 0:
            # An event loop closes its own sockets.
            own = connection if isinstance(connection, socket.socket) else None
            self.sockets[stream] = _Socket(descriptor, os.fstat(descriptor).st_ino, own)

    def release(self) -> None:
        """Release all connections of the parent, in a child."""
        self.generation += 1
        sockets, self.sockets = list(self.sockets.values()), WeakKeyDictionary()
        if not sockets:
            return
        disconnected, peer = socket.socketpair()
        peer.close()
        with disconnected:
            for descriptor, inode, own in sockets:
                # A closed connection may still be recorded, and its number may belong to another file.
                with contextlib.suppress(OSError):
                    status = os.fstat(descriptor)
                    if stat.S_ISSOCK(status.st_mode) and status.st_ino == inode:
                        os.dup2(disconnected.fileno(), descriptor, inheritable=False)
                        if own is not None:
                            own.close()  # without this, Python warns about it


_registry: Final = _Registry()


def fork_generation() -> int:
    """Return how many forks are between this process and the one that imported this package."""
    return _registry.generation


# --- deadlines of sync code --------------------------------------------------------------------------------------


class _ThreadDeadlines(threading.local):
    """The deadlines for the I/O of one thread, in monotonic seconds."""

    call = math.inf
    phase = math.inf
    phase_error: type[httpx2.TimeoutException] = httpx2.ReadTimeout
    earliest = math.inf

    def set_call(self, deadline: float) -> None:
        self.call = deadline
        self.earliest = min(deadline, self.phase)

    def set_phase(self, phase: _Phase) -> None:
        self.phase = math.inf if phase.seconds is None else time.monotonic() + phase.seconds
        self.phase_error = phase.error
        self.earliest = min(self.call, self.phase)

    def remaining(self, timeout: float | None = None) -> float:
        """Return the seconds until the earliest deadline, at most `timeout`. Raises the error of a passed deadline."""
        seconds = self.earliest - time.monotonic()
        if seconds <= 0:
            raise self.error()
        return seconds if timeout is None else min(seconds, timeout)

    def error(self) -> httpx2.TimeoutException:
        """Return the error for the earliest deadline."""
        return DeadlineExceededError() if self.call <= self.phase else self.phase_error("The timeout expired.")

    @contextmanager
    def convert_timeouts(self) -> Iterator[None]:
        """Raise the error of the deadline instead of the transport's timeout, if the deadline has passed."""
        try:
            yield
        except Exception as error:
            if isinstance(error, _TRANSPORT_TIMEOUTS) and time.monotonic() >= self.earliest:
                raise self.error() from error
            raise


_TRANSPORT_TIMEOUTS: Final = (httpcore2.TimeoutException, httpx2.TimeoutException)
_deadlines: Final = _ThreadDeadlines()


class io_deadline:  # a context manager, entered for every chunk of a body
    """Limit all I/O of this thread on recorded connections: it raises a timeout at `deadline` (monotonic seconds).

    The context is not nested: it replaces the deadline of the thread and removes it at the end. Ctrl-C may prevent the
    removal, and a deadline that was restored from an outer context would then apply to all later calls.
    """

    __slots__ = ("_deadline",)

    def __init__(self, deadline: float | None) -> None:
        self._deadline = math.inf if deadline is None else deadline

    def __enter__(self) -> None:
        _deadlines.set_call(self._deadline)

    def __exit__(self, *error: object) -> None:
        _deadlines.set_call(math.inf)


# One write is sent in parts of this size, because the timeout applies to each.
_WRITE_BYTES: Final = 1 << 16


class _DeadlineStream:
    """Mixin for a sync network stream of httpcore: the deadlines of the calling thread limit its reads and writes."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if _deadlines.earliest == math.inf:
            return super().read(max_bytes, timeout)  # type: ignore[misc,no-any-return]
        with _deadlines.convert_timeouts():
            return super().read(max_bytes, _deadlines.remaining(timeout))  # type: ignore[misc,no-any-return]

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if _deadlines.earliest == math.inf:
            super().write(buffer, timeout)  # type: ignore[misc]
            return
        view = memoryview(buffer)
        with _deadlines.convert_timeouts():
            for start in range(0, len(view), _WRITE_BYTES):
                super().write(view[start : start + _WRITE_BYTES], _deadlines.remaining(timeout))  # type: ignore[misc]

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        if _deadlines.earliest == math.inf:
            return super().start_tls(ssl_context, server_hostname, timeout)  # type: ignore[misc]
        try:
            with _deadlines.convert_timeouts():
                return super().start_tls(ssl_context, server_hostname, _deadlines.remaining(timeout))  # type: ignore[misc]
        except BaseException:
            self.close()  # type: ignore[attr-defined]
            raise


@cache
def _deadline_class(stream_class: type[Any]) -> type:
    return type(stream_class.__name__, (_DeadlineStream, stream_class), {})


def track(stream: Any) -> None:
    """Record a connection: an httpcore network stream, or None. Limit its I/O if it is a sync one.

    HTTP/2 connections are not limited, because several calls share them, and neither are the streams of other
    transports than httpcore's: their reads end with httpcore's own timeouts.
    """
    if stream is None or isinstance(stream, _DeadlineStream):
        return
    with contextlib.suppress(AttributeError, TypeError, OSError):  # the stream of a caller's own transport
        _registry.add(stream)
        tls = stream.get_extra_info("ssl_object")
        if hasattr(type(stream), "read") and hasattr(type(stream), "close") and _is_http1(tls):
            stream.__class__ = _deadline_class(stream.__class__)  # an attribute would be a cycle, and delay its closing


def _is_http1(tls: Any) -> bool:
    return tls is None or tls.selected_alpn_protocol() != "h2"


def _require_remaining(deadline: float) -> float:
    """Return the seconds until a deadline. Raises DeadlineExceededError if it has passed."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise DeadlineExceededError
    return remaining


def call_before(
    deadline: float | None, action: Callable[[], _T], *, discard: Callable[[_T], object] | None = None
) -> _T:
    """Run a blocking action, in another thread if there is a deadline (monotonic seconds).

    Raises DeadlineExceededError at the deadline. The abandoned action continues, because other callers may share it
    (a token refresh). `discard` receives its late result.
    """
    if deadline is None:
        return action()
    remaining = _require_remaining(deadline)
    context = contextvars.copy_context()
    outcome = start_in_thread(lambda: context.run(action), name="codex-call", daemon=True)
    try:
        is_done = bool(wait([outcome], remaining).done)
    except BaseException:  # Ctrl-C
        _discard_later(outcome, discard)
        raise
    if not is_done:
        _discard_later(outcome, discard)
        raise DeadlineExceededError
    return outcome.result()


def _discard_later(outcome: Future[_T], discard: Callable[[_T], object] | None) -> None:
    if discard is not None:
        outcome.add_done_callback(lambda future: None if future.exception() else discard(future.result()))


# --- requests ----------------------------------------------------------------------------------------------------


class _Phase(NamedTuple):
    """A phase of a request: its timeout in seconds, or None, and the error at its end."""

    seconds: float | None
    error: type[httpx2.TimeoutException] = httpx2.ReadTimeout


_UNLIMITED: Final = _Phase(None)
# The trace events that are handled. A call on an open connection has seven others.
_HANDLED_EVENTS: Final = frozenset(
    {
        "connect_tcp.started",
        "connect_tcp.complete",
        "connect_unix_socket.started",
        "connect_unix_socket.complete",
        "start_tls.complete",
        "send_request_headers.started",
        "receive_response_headers.started",
        "receive_response_headers.complete",
    }
)


def _phase_after(event: str, info: dict[str, Any], current: type[httpx2.TimeoutException]) -> _Phase | None:
    """Return the phase that begins with a trace event, or None if the phase does not change.

    The requests to a proxy belong to the phase of connecting, and so do further attempts to connect.
    """
    if event in ("connect_tcp.started", "connect_unix_socket.started"):
        return None if current is httpx2.ConnectTimeout else _Phase(info.get("timeout"), httpx2.ConnectTimeout)
    if event == "receive_response_headers.complete":
        return None if current is httpx2.ConnectTimeout else _UNLIMITED
    if event in ("send_request_headers.started", "receive_response_headers.started"):
        request = info.get("request")
        if request is None or request.method == b"CONNECT":
            return None
        is_head = event == "receive_response_headers.started"
        return _Phase(request.extensions.get("timeout", {}).get("read")) if is_head else _UNLIMITED
    return None


def _record_connection(event: str, info: dict[str, Any]) -> None:
    if event in ("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete"):
        track(info["return_value"])


def _trace(name: str, info: dict[str, Any]) -> None:
    """Handle a trace event of a sync request."""
    event = name.partition(".")[2]
    if event not in _HANDLED_EVENTS:
        return
    phase = _phase_after(event, info, _deadlines.phase_error)
    if phase is not None:
        _deadlines.set_phase(phase)
    if event == "connect_tcp.started":
        _prepare_connect(info)
    else:
        _record_connection(event, info)


def _prepare_connect(arguments: dict[str, Any]) -> None:
    """Look up the addresses before httpcore does, within the deadline, and divide the remaining time among them.

    `arguments` are those that httpcore then passes to its backend: `host`, `port`, `timeout` and others.
    """
    if _deadlines.earliest == math.inf:
        return
    host, port = arguments["host"], arguments["port"]
    if not _is_address(host):
        lookup = start_in_thread(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), name="codex-lookup", daemon=True
        )
        if not wait([lookup], _deadlines.remaining()).done:
            raise _deadlines.error()
        if (error := lookup.exception()) is not None:
            raise httpx2.ConnectError(str(error)) from error
        addresses = [address[4][0] for address in lookup.result()]
        if len(addresses) == 1:
            arguments["host"] = addresses[0]
        arguments["timeout"] = _deadlines.remaining(arguments["timeout"]) / len(addresses)
    else:
        arguments["timeout"] = _deadlines.remaining(arguments["timeout"])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@contextmanager
def exchange(request: httpx2.Request, deadline: float | None) -> Iterator[None]:
    """Send a sync request in this context: record its connection, and limit it by `deadline` and its own timeouts.

    Raises DeadlineExceededError if the deadline has passed.
    """
    _shorten_timeouts(request, deadline)
    request.extensions["trace"] = _trace
    _deadlines.set_phase(_UNLIMITED)  # Ctrl-C may have left one of an earlier call
    with io_deadline(deadline):
        try:
            yield
        finally:
            _deadlines.set_phase(_UNLIMITED)
            request.extensions.pop("trace", None)  # httpcore would report each step of the body


class _AsyncTrace:
    """The trace function of an async request. The deadline of `scope` is the earlier of the call's and the phase's."""

    def __init__(self, scope: anyio.CancelScope, deadline: float | None) -> None:
        self._scope = scope
        self._call = math.inf if deadline is None else anyio.current_time() + deadline - time.monotonic()
        self._phase = math.inf
        self._error: type[httpx2.TimeoutException] = httpx2.ReadTimeout
        self._unfinished: Any = None
        scope.deadline = self._call

    async def __call__(self, name: str, info: dict[str, Any]) -> None:
        event = name.partition(".")[2]
        if event not in _HANDLED_EVENTS:
            return
        phase = _phase_after(event, info, self._error)
        if phase is not None:
            self._error = phase.error
            self._phase = math.inf if phase.seconds is None else anyio.current_time() + phase.seconds
            self._scope.deadline = min(self._call, self._phase)
            self._unfinished = None
        _record_connection(event, info)
        if event == "connect_tcp.complete":
            self._unfinished = info["return_value"]

    async def close_unfinished(self) -> None:
        """Close a connection whose TLS handshake was cancelled. httpcore closes it only after other errors."""
        if self._unfinished is not None:
            with anyio.CancelScope(shield=True):
                await self._unfinished.aclose()

    def error(self) -> httpx2.TimeoutException:
        """Return the error for the earlier deadline."""
        return DeadlineExceededError() if self._call <= self._phase else self._error("The timeout expired.")


async def async_exchange(
    send: Callable[[httpx2.Request], Awaitable[_ResponseT]], request: httpx2.Request, deadline: float | None
) -> _ResponseT:
    """Send an async request and return its response before the body is read; as `exchange` does."""
    _shorten_timeouts(request, deadline)
    scope = anyio.CancelScope()
    trace = request.extensions["trace"] = _AsyncTrace(scope, deadline)
    with scope:
        try:
            return await send(request)
        except BaseException:
            await trace.close_unfinished()
            raise
        finally:
            request.extensions.pop("trace", None)  # httpcore would report each step of the body
    raise trace.error()


def _shorten_timeouts(request: httpx2.Request, deadline: float | None) -> None:
    """Limit the timeouts of a request to the remaining time. Raises DeadlineExceededError if there is none."""
    if deadline is None:
        return
    remaining = _require_remaining(deadline)
    timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
    for name, seconds in timeouts.items():
        timeouts[name] = remaining if seconds is None else min(seconds, remaining)


@contextmanager
def async_deadline(deadline: float | None) -> Iterator[None]:
    """Cancel the async code in this context at `deadline` (monotonic seconds), and raise DeadlineExceededError."""
    if deadline is None:
        yield
        return
    remaining = _require_remaining(deadline)
    with anyio.move_on_after(remaining) as scope:
        yield
    if scope.cancelled_caught:
        raise DeadlineExceededError
