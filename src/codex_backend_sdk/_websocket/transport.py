"""Send a model request over the WebSocket of the backend and return its response as an HTTP response.

The result is an `httpx2.Response`: an event stream, or an error with its status, headers and body. Everything above it
(the refresh of the login after a 401, the classification of errors, retries, timeouts, limits, the reader of events) is
that of HTTP. `exchange_steps` is a generator without I/O, used by both clients. It yields steps and receives results:

    Open        send the upgrade request; receives its response, which may be an error
    Send        send a message
    Receive     receives the next messages
    Discard     close connections

Its return value is the response, or None: the client then sends the same request over HTTP. It sends the message again
on a new connection, with the whole input, if the connection was idle and had been closed, or if the backend reports
that the connection is too old or does not know the previous response. In every case no event was delivered. After an
event was delivered, the interruption is an error, as over HTTP, and `on_interrupt` decides.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx2

from .._connections import DeadlineExceededError, async_deadline, io_deadline
from .._constants import WEBSOCKET_BETA_HEADERS
from .._json import encode
from .._pools import running_loop
from .._request.prompt_cache import TURN_STATE_HEADER
from .._streaming.reader import EventTooLargeError
from .._streaming.streams import INTERRUPT_EXTENSION
from .connection import AsyncConnection, BaseConnection, Connection, ConnectionLostError, Key, Timing
from .frames import COMPRESSION_OFFER, CompressionParameters, FrameError
from .incremental import CreateMessage, create_message
from .pool import Availability, ConnectionPool, keep_alive, keep_alive_async
from .response_messages import ResponseMessages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Hashable, Iterator

    from .._request.context import RequestContext

__all__ = ["AsyncWebSocketTransport", "WebSocketTransport", "sent_message_of", "upgrade_request"]

_log = logging.getLogger("codex_backend_sdk")

# Codex CLI: model-provider-info.
_CONNECT_SECONDS: Final = 15.0
# Headers of the POST request that do not belong to the upgrade request. The Codex CLI sends no cookies with it.
_POST_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "host",
        TURN_STATE_HEADER,  # each message has it
    }
)
# The upgrade failed for a reason that HTTP shares: the login is refreshed, or the error is raised.
_SHARED_STATUSES: Final = (401, 429)
_UPGRADE_REQUIRED: Final = 426
_SWITCHING_PROTOCOLS: Final = 101
_ACCEPT_SUFFIX: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NOT_AVAILABLE: Final = (
    "The backend, or a proxy before it, does not offer the WebSocket (status 426). Pass `transport='auto'` or "
    "`transport='http'` to the client."
)
_MAX_CONNECTIONS_PER_CALL: Final = 3
_EXTENSION: Final = "codex_backend_sdk.websocket"


class Open(NamedTuple):
    """Send the upgrade request."""

    request: httpx2.Request
    key: Key


class Send(NamedTuple):
    """Send a message. On a connection that had a response, discard what arrived after it."""

    connection: Any
    message: bytes
    timeout_seconds: float | None
    is_reused: bool


class Receive(NamedTuple):
    """Receive messages."""

    connection: Any
    timeout_seconds: float | None


class Discard(NamedTuple):
    """Close connections."""

    connections: list[Any]


_Step = Open | Send | Receive | Discard


@dataclass(slots=True)
class _Exchange:
    """The result of an exchange: a connection on which a response is in flight."""

    connection: Any
    messages: ResponseMessages
    sent: CreateMessage
    first_chunk: bytes


class MessageSize(NamedTuple):
    """The message that was sent for a response, for statistics.

    Attributes:
        items_sent: The number of input items in the message.
        full_replay: Why the whole input was sent, or None if only its new items were.
    """

    items_sent: int
    full_replay: str | None


def exchange_steps(
    request: httpx2.Request,
    context: RequestContext,
    pool: ConnectionPool[Any],
    availability: Availability,
    *,
    is_required: bool,
    owner: Hashable,
    http_client: Hashable,
) -> Generator[_Step, Any, httpx2.Response | _Exchange | None]:
    """Yield the steps of one attempt. Return the result, or None if the request must be sent over HTTP.

    With `is_required`, failures are raised or returned instead.
    """
    assert context.body is not None
    if is_required and not isinstance(request, httpx2.Request):
        raise httpx2.UnsupportedProtocol(
            "The WebSocket needs an HTTP client of httpx2. Pass `http_client=openai.DefaultHttpxClient(...)` or the "
            "async class, or `transport='http'`."
        )
    if not is_required and not (availability.is_available() and isinstance(request, httpx2.Request)):
        return None
    body = context.body
    key = _key(request, context, owner, http_client)
    first_byte_seconds = request.extensions.get("timeout", {}).get("read")
    for opened in range(_MAX_CONNECTIONS_PER_CALL):
        connection, unusable = (
            pool.take(key) if opened == 0 else (None, pool.remove_all(owner, lambda other: other == key))
        )
        if unusable:
            yield Discard(unusable)
        is_new = connection is None
        if connection is None:
            try:
                connection = yield Open(upgrade_request(request), key)
            except httpx2.TransportError as error:
                if is_required or isinstance(error, DeadlineExceededError):
                    raise
                availability.record_refusal(_log_fallback(f"{type(error).__name__}: {error}"))
                return None
            if isinstance(connection, httpx2.Response):
                refusal = connection
                if is_required and refusal.status_code == _SWITCHING_PROTOCOLS:
                    yield Discard([refusal])
                    raise httpx2.RemoteProtocolError("The server accepted a WebSocket that was not requested.")
                if is_required and refusal.status_code == _UPGRADE_REQUIRED:
                    yield Discard([refusal])
                    return _error(request, _UPGRADE_REQUIRED, "websocket_not_available", _NOT_AVAILABLE)
                if is_required or refusal.status_code in _SHARED_STATUSES:
                    return refusal
                reason = f"the response to the upgrade has status {refusal.status_code}"
                availability.record_refusal(_log_fallback(reason), for_good=refusal.status_code == _UPGRADE_REQUIRED)
                yield Discard([refusal])
                return None
        try:
            sent = create_message(body, connection.baseline, context.turn)
        except (TypeError, ValueError):  # the body cannot be encoded
            yield Discard(pool.put(connection))
            raise
        if len(sent.text) > connection.max_message_bytes:
            problem = f"the message has {len(sent.text):,} bytes, and the limit is {connection.max_message_bytes:,}"
            yield Discard(pool.put(connection))
            _log_fallback(problem)
            return _too_large(request, problem) if is_required else None
        connection.baseline = None  # until this response is completed
        messages, chunk = ResponseMessages(previous_id=connection.last_response_id), b""
        try:
            yield Send(connection, sent.text, first_byte_seconds, is_reused=not is_new)
            while messages.head is None and messages.lost_because is None:
                chunk += messages.feed((yield Receive(connection, first_byte_seconds)))
        except ConnectionLostError as error:
            yield Discard([connection])
            if error.is_message_too_big:
                _log_fallback(str(error))
                return _too_large(request, str(error)) if is_required else None
            if not is_new and not chunk:
                continue  # the server had closed the idle connection
            availability.record_loss(str(error))
            raise
        except EventTooLargeError:
            messages.begin()  # the reader of the body raises the error again, and reports it as over HTTP
        except httpx2.TransportError as error:
            yield Discard([connection])
            availability.record_loss(str(error))
            raise
        if messages.lost_because is None:
            error_response = _error_response(request, messages)
            if error_response is None:
                return _Exchange(connection, messages, sent, chunk)
            yield Discard(pool.put(connection))
            return error_response
        _log.info("The WebSocket connection cannot be continued (%s). Opening another one.", messages.lost_because)
        yield Discard([connection])
    raise ConnectionLostError(f"The backend rejected {_MAX_CONNECTIONS_PER_CALL} WebSocket connections in a row.")


def _log_fallback(reason: str) -> str:
    _log.info("The WebSocket cannot be used: %s", reason)
    return reason


def _too_large(request: httpx2.Request, problem: str) -> httpx2.Response:
    """Return an error response, because sending the same message again would fail again."""
    message = (
        f"The request is too large for the WebSocket: {problem}. Pass `transport='http'` for this call "
        "(`client.with_options`), or shorten the input."
    )
    return _error(request, 413, "message_too_large", message)


def _error(request: httpx2.Request, status: int, code: str, message: str) -> httpx2.Response:
    return httpx2.Response(status, json={"error": {"message": message, "code": code}}, request=request)


# Headers of a request that may differ between two requests on one connection. The login is a part of the key itself.
_VOLATILE_HEADERS: Final = _POST_HEADERS | {"authorization"}
_VOLATILE_HEADER_PREFIX: Final = "x-stainless-"


def _key(request: httpx2.Request, context: RequestContext, owner: Hashable, http_client: Hashable) -> Key:
    """Return the key of the connections that a call may use.

    Only the upgrade request has headers, so a call with others needs another connection.
    """
    body = context.body
    assert body is not None
    login = context.login
    # Without ids, only the token tells two accounts apart. A refresh of it then opens another connection.
    user: Hashable = None if login is None else (login.account_id, login.user_id)
    if login is None or login.account_id is None:
        token = request.headers.get("authorization", "").encode()
        user = (user, hashlib.sha256(token).digest())
    headers = frozenset(
        (name.lower(), value)
        for name, value in request.headers.multi_items()
        if name.lower() not in _VOLATILE_HEADERS and not name.lower().startswith(_VOLATILE_HEADER_PREFIX)
    )
    conversation = body.members.get("prompt_cache_key") if body.prepared_input is None else body.prepared_input.history
    return owner, http_client, str(request.url), user, headers, conversation


def upgrade_request(request: httpx2.Request) -> httpx2.Request:
    """Return the upgrade request for a POST request, with the same login."""
    headers = [pair for pair in request.headers.multi_items() if pair[0].lower() not in _POST_HEADERS]
    timeouts = {
        name: _CONNECT_SECONDS if seconds is None else min(seconds, _CONNECT_SECONDS)
        for name, seconds in request.extensions.get("timeout", {}).items()
    }
    return httpx2.Request(
        "GET",
        request.url,
        headers=[
            *headers,
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode()),
            ("Sec-WebSocket-Extensions", COMPRESSION_OFFER),
            *WEBSOCKET_BETA_HEADERS.items(),
        ],
        extensions={**request.extensions, "timeout": timeouts},
    )


def _is_accepted(request: httpx2.Request, response: httpx2.Response) -> bool:
    """Return whether the server accepted this upgrade with nothing that was not offered (RFC 6455, 4.1)."""
    digest = hashlib.sha1(
        request.headers["sec-websocket-key"].encode() + _ACCEPT_SUFFIX, usedforsecurity=False
    ).digest()
    if response.headers.get("sec-websocket-accept") != base64.b64encode(digest).decode():
        return False
    try:
        CompressionParameters.from_header(response.headers.get("sec-websocket-extensions"))
    except FrameError:
        return False
    return response.status_code == _SWITCHING_PROTOCOLS


def _error_response(request: httpx2.Request, messages: ResponseMessages) -> httpx2.Response | None:
    """Return the response for an error message, or None if the response has begun."""
    head = messages.head
    assert head is not None
    if head.error_body is None:
        return None
    return httpx2.Response(head.status, headers=head.headers, content=head.error_body, request=request)


def _streamed_response(request: httpx2.Request, exchange: _Exchange, body: Any) -> httpx2.Response:
    head = exchange.messages.head
    assert head is not None
    shared = {
        name: exchange.connection.headers[name] for name in _SHARED_HEADERS if name in exchange.connection.headers
    }
    return httpx2.Response(
        head.status,
        headers={**shared, **head.headers},
        stream=body,
        request=request,
        extensions={
            "http_version": b"HTTP/1.1",
            "network_stream": exchange.connection.stream,
            INTERRUPT_EXTENSION: body.interrupt,
            _EXTENSION: body,
        },
    )


# Headers of the upgrade response that apply to the responses on the connection. Codex CLI:
# codex-api/src/endpoint/responses_websocket.rs.
_SHARED_HEADERS: Final = ("openai-model", "x-models-etag", "x-reasoning-included", "cf-ray")


def sent_message_of(response: httpx2.Response) -> MessageSize | None:
    """Return what was sent for this response, or None if it came over HTTP."""
    body = response.extensions.get(_EXTENSION)
    return None if body is None else MessageSize(body.exchange.sent.items_sent, body.exchange.sent.full_replay)


class _Body:
    """The body of a streamed response, without I/O."""

    def __init__(
        self, exchange: _Exchange, pool: ConnectionPool[Any], availability: Availability, context: RequestContext
    ) -> None:
        self.exchange = exchange
        self._pool = pool
        self._availability = availability
        self._idle_seconds = context.idle_timeout
        self._is_ended = False

    def _interrupt_message(self) -> bytes | None:
        response_id = self.exchange.messages.response_id
        if self._is_ended or response_id is None:
            return None
        # Codex CLI: codex-api/src/endpoint/responses_websocket.rs
        return encode({"type": "response.interrupt", "response_id": response_id, "mode": "discard_partial_items"})

    def _expects_more(self) -> bool:
        """Return whether the response has more messages. Raises ConnectionLostError if they cannot arrive."""
        messages = self.exchange.messages
        if messages.lost_because is not None:
            raise ConnectionLostError(f"The backend ended the connection: {messages.lost_because}.")
        return not messages.is_finished

    def _release(self) -> list[BaseConnection]:
        """Make the connection available after the last message. Return the connections to close."""
        self._is_ended = True
        messages, connection = self.exchange.messages, self.exchange.connection
        self._availability.record_success()
        connection.last_response_id = messages.response_id
        if messages.is_completed and messages.response_id is not None:
            connection.baseline = self.exchange.sent.completed(messages.response_id, messages.output)
        return self._pool.put(connection)

    def _record_loss(self, error: httpx2.TransportError) -> None:
        self._is_ended = True
        if not isinstance(error, EventTooLargeError):
            self._availability.record_loss(str(error))


class _SyncBody(_Body, httpx2.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        messages, connection = self.exchange.messages, self.exchange.connection
        yield self.exchange.first_chunk
        try:
            while self._expects_more():
                chunk = messages.feed(connection.receive(timeout_seconds=self._idle_seconds))
                if chunk:
                    yield chunk
        except httpx2.TransportError as error:
            self._record_loss(error)
            connection.close()
            raise
        _close_all(self._release())

    def interrupt(self) -> None:
        message = self._interrupt_message()
        if message is not None:
            self.exchange.connection.send(message, timeout_seconds=self._idle_seconds)

    def close(self) -> None:
        if not self._is_ended:  # the response is abandoned, so the connection cannot be used for another one
            self._is_ended = True
            self.exchange.connection.close()


class _AsyncBody(_Body, httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        messages, connection = self.exchange.messages, self.exchange.connection
        yield self.exchange.first_chunk
        try:
            while self._expects_more():
                chunk = messages.feed(await connection.receive(timeout_seconds=self._idle_seconds))
                if chunk:
                    yield chunk
        except httpx2.TransportError as error:
            self._record_loss(error)
            await connection.close()
            raise
        await _close_all_async(self._release())

    async def interrupt(self) -> None:
        message = self._interrupt_message()
        if message is not None:
            await self.exchange.connection.send(message, timeout_seconds=self._idle_seconds)

    async def aclose(self) -> None:
        if not self._is_ended:
            self._is_ended = True
            await self.exchange.connection.close()


class _BaseTransport:
    """The state of a transport, without I/O. A client and its copies share it.

    Attributes:
        availability: Whether the WebSocket may be used.
    """

    def __init__(self, *, monotonic: Callable[[], float], timing: Timing = Timing()) -> None:  # noqa: B008  (immutable)
        self.availability = Availability(monotonic=monotonic)
        self.timing = timing


class WebSocketTransport(_BaseTransport):
    """The WebSocket connections of a sync client."""

    def __init__(self, *, monotonic: Callable[[], float], timing: Timing = Timing()) -> None:  # noqa: B008
        super().__init__(monotonic=monotonic, timing=timing)
        self._pool: ConnectionPool[Connection] = ConnectionPool()

    def send(
        self,
        request: httpx2.Request,
        context: RequestContext,
        open_connection: Callable[[httpx2.Request], httpx2.Response],
        *,
        is_required: bool,
        http_client: Hashable,
    ) -> httpx2.Response | None:
        """Send the body of the context. Return the response, or None if it must be sent over HTTP.

        `open_connection` sends the upgrade request and returns its response before the body is read. `http_client` is
        the client that it uses: a connection of another one may have other certificates, or another proxy.
        """
        steps = exchange_steps(
            request,
            context,
            self._pool,
            self.availability,
            is_required=is_required,
            owner=None,
            http_client=http_client,
        )
        step: _Step | None = None
        result: Any = None
        error: httpx2.TransportError | None = None
        try:
            while True:
                step = steps.send(result) if error is None else steps.throw(error)
                result = error = None
                try:
                    result = self._run(step, context, open_connection)
                except httpx2.TransportError as failure:
                    error = failure
        except StopIteration as end:
            result = end.value
        except BaseException:  # also Ctrl-C, which may have left half a frame
            if isinstance(step, (Send, Receive)):
                step.connection.close()
            raise
        if not isinstance(result, _Exchange):
            return result  # type: ignore[no-any-return]
        return _streamed_response(request, result, _SyncBody(result, self._pool, self.availability, context))

    def _run(
        self,
        step: _Step,
        context: RequestContext,
        open_connection: Callable[[httpx2.Request], httpx2.Response],
    ) -> Any:
        """Do the I/O of a step and return its result."""
        if isinstance(step, Open):
            response = open_connection(step.request)
            is_accepted = _is_accepted(step.request, response)
            return self._new_connection(response, step.key, context) if is_accepted else response
        if isinstance(step, Discard):
            _close_all(step.connections)
            return None
        with io_deadline(context.deadline):
            if isinstance(step, Send):
                if step.is_reused:
                    step.connection.discard_messages()
                return step.connection.send(step.message, timeout_seconds=step.timeout_seconds)
            return step.connection.receive(timeout_seconds=step.timeout_seconds)

    def close(self, history: Hashable = None) -> None:
        """Close the idle connections, or only those of one history."""
        _close_all(self._pool.remove_all(None, _matcher(history)))

    def _new_connection(self, response: httpx2.Response, key: Key, context: RequestContext) -> Connection:
        connection = Connection(response, key=key, max_event_bytes=context.max_event_bytes, timing=self.timing)
        keep_alive(connection)
        return connection


class AsyncWebSocketTransport(_BaseTransport):
    """The WebSocket connections of an async client."""

    def __init__(self, *, monotonic: Callable[[], float], timing: Timing = Timing()) -> None:  # noqa: B008
        super().__init__(monotonic=monotonic, timing=timing)
        self._pool: ConnectionPool[AsyncConnection] = ConnectionPool()

    async def send(
        self,
        request: httpx2.Request,
        context: RequestContext,
        open_connection: Callable[[httpx2.Request], Awaitable[httpx2.Response]],
        *,
        is_required: bool,
        http_client: Hashable,
    ) -> httpx2.Response | None:
        """Send the body of the context, as `WebSocketTransport.send` does."""
        steps = exchange_steps(
            request,
            context,
            self._pool,
            self.availability,
            is_required=is_required,
            owner=running_loop(),
            http_client=http_client,
        )
        step: _Step | None = None
        result: Any = None
        error: httpx2.TransportError | None = None
        try:
            while True:
                step = steps.send(result) if error is None else steps.throw(error)
                result = error = None
                try:
                    result = await self._run(step, context, open_connection)
                except httpx2.TransportError as failure:
                    error = failure
        except StopIteration as end:
            result = end.value
        except BaseException:
            if isinstance(step, (Send, Receive)):
                await step.connection.close()
            raise
        if not isinstance(result, _Exchange):
            return result  # type: ignore[no-any-return]
        return _streamed_response(request, result, _AsyncBody(result, self._pool, self.availability, context))

    async def _run(
        self,
        step: _Step,
        context: RequestContext,
        open_connection: Callable[[httpx2.Request], Awaitable[httpx2.Response]],
    ) -> Any:
        """Do the I/O of a step and return its result."""
        if isinstance(step, Open):
            response = await open_connection(step.request)
            is_accepted = _is_accepted(step.request, response)
            return self._new_connection(response, step.key, context) if is_accepted else response
        if isinstance(step, Discard):
            await _close_all_async(step.connections)
            return None
        with async_deadline(context.deadline):
            if isinstance(step, Send):
                if step.is_reused:
                    await step.connection.discard_messages()
                return await step.connection.send(step.message, timeout_seconds=step.timeout_seconds)
            return await step.connection.receive(timeout_seconds=step.timeout_seconds)

    async def close(self, history: Hashable = None) -> None:
        """Close the idle connections, or only those of one history."""
        await _close_all_async(self._pool.remove_all(running_loop(), _matcher(history)))

    def _new_connection(self, response: httpx2.Response, key: Key, context: RequestContext) -> AsyncConnection:
        connection = AsyncConnection(response, key=key, max_event_bytes=context.max_event_bytes, timing=self.timing)
        keep_alive_async(connection)
        return connection


def _matcher(history: Hashable) -> Callable[[Key], bool]:
    return lambda key: history is None or key[-1] == history


def _close_all(connections: list[Any]) -> None:
    """Close connections, or responses to an upgrade request."""
    for connection in connections:
        connection.close()


async def _close_all_async(connections: list[Any]) -> None:
    for connection in connections:
        await (connection.aclose() if isinstance(connection, httpx2.Response) else connection.close())
