"""Implement `client.responses.connect()`: openai's WebSocket connection, logged in, with requests for the backend.

openai's code opens the connection, sends the messages, and parses the received ones. These classes add three things:

- A handshake that the backend rejects with 401 refreshes the login and is sent again, once. The client signs the
  handshake in `_prepare_options`, which openai's code calls for it.
- The messages `response.create` have the same form as requests over HTTP (`prepare_message`).
- The certificates of the environment variables apply, as over HTTP.

Anything else is up to the caller: a connection that breaks, a response that fails, and the limit of 60 minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from openai import BaseModel
from openai.resources.responses.responses import (
    AsyncResponsesConnection,
    AsyncResponsesConnectionManager,
    ResponsesConnection,
    ResponsesConnectionManager,
)

from .._constants import INSTALL_EXTRA
from .._exceptions import CodexError
from .._request.prepare import prepare_message
from .._request.prompt_cache import cache_headers
from ..auth._http import tls_context
from .authentication import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from websockets.asyncio.client import ClientConnection as AsyncWebSocket
    from websockets.sync.client import ClientConnection as WebSocket

__all__ = ["AsyncConnectionManager", "ConnectionManager"]

_NOT_INSTALLED: Final = (
    "`responses.connect()` needs the package websockets, which is not installed. " + INSTALL_EXTRA.format("websocket")
)
_UNAUTHORIZED: Final = 401


class _Session:
    """What the messages of one connection share: the client, and a key of the prompt cache."""

    def __init__(self, client: Any, arguments: Mapping[str, Any]) -> None:
        self.client = client
        own_headers: Mapping[str, Any] = arguments.get("extra_headers") or {}
        own_key = next((value for name, value in own_headers.items() if name.lower() == "session-id"), None)
        self._cache_key = own_key or (str(uuid4()) if client._codex.prompt_cache else None)

    def headers(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return the headers of the handshake. A connection is a conversation."""
        return {**cache_headers(self._cache_key), **own}

    def prepare(self, event: Any) -> Any:
        """Return a `response.create` message in the form that the backend accepts, and any other message unchanged."""
        data = event.to_dict(mode="json", exclude_unset=True) if isinstance(event, BaseModel) else event
        if not isinstance(data, dict) or data.get("type") != "response.create":
            return event
        return prepare_message(data, self.client._codex, self.client._instructions, cache_key=self._cache_key)


class _Connection(ResponsesConnection):
    _session: _Session

    def send(self, event: Any) -> None:
        super().send(self._session.prepare(event))


class _AsyncConnection(AsyncResponsesConnection):
    _session: _Session

    async def send(self, event: Any) -> None:
        await super().send(self._session.prepare(event))


class ConnectionManager(ResponsesConnectionManager):
    """Official context manager for a `ResponsesConnection` to the backend."""

    def __init__(self, client: Any, arguments: Mapping[str, Any]) -> None:
        super().__init__(client=client, **_with_certificates(client, arguments))
        self._session = _Session(client, arguments)

    def send(self, event: Any) -> None:
        """Queue a message for the connection."""
        super().send(self._session.prepare(event))

    def __enter__(self) -> ResponsesConnection:
        connection: Any = super().__enter__()
        connection.__class__ = _Connection
        connection._session = self._session
        return connection  # type: ignore[no-any-return]

    enter = __enter__

    def _connect_ws(self, extra_query: Any, extra_headers: Any) -> WebSocket:
        is_rejection = _rejection_check()
        credentials = self._session.client.credentials
        login = credentials.current()
        headers = self._session.headers(extra_headers)
        try:
            return super()._connect_ws(extra_query, headers)
        except Exception as error:
            if not is_rejection(error):
                raise
        credentials.refresh(login)
        return super()._connect_ws(extra_query, headers)


class AsyncConnectionManager(AsyncResponsesConnectionManager):
    """The async counterpart of `ConnectionManager`."""

    def __init__(self, client: Any, arguments: Mapping[str, Any]) -> None:
        super().__init__(client=client, **_with_certificates(client, arguments))
        self._session = _Session(client, arguments)

    def send(self, event: Any) -> None:
        """Queue a message for the connection."""
        super().send(self._session.prepare(event))

    async def __aenter__(self) -> AsyncResponsesConnection:
        connection: Any = await super().__aenter__()
        connection.__class__ = _AsyncConnection
        connection._session = self._session
        return connection  # type: ignore[no-any-return]

    enter = __aenter__

    async def _connect_ws(self, extra_query: Any, extra_headers: Any) -> AsyncWebSocket:
        is_rejection = _rejection_check()
        credentials = self._session.client.credentials
        login = credentials.ready() or await run_in_thread(credentials.current)
        headers = self._session.headers(extra_headers)
        try:
            return await super()._connect_ws(extra_query, headers)
        except Exception as error:
            if not is_rejection(error):
                raise
        await run_in_thread(lambda: credentials.refresh(login))
        return await super()._connect_ws(extra_query, headers)


def _rejection_check() -> Callable[[Exception], bool]:
    """Return a function that recognizes a handshake rejected with 401. Raises CodexError without websockets."""
    try:
        from websockets.exceptions import InvalidStatus
    except ImportError as error:
        raise CodexError(_NOT_INSTALLED) from error
    return lambda error: isinstance(error, InvalidStatus) and error.response.status_code == _UNAUTHORIZED


def _with_certificates(client: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Add the certificates of the environment variables to the options of the connection."""
    options = arguments.get("websocket_connection_options") or {}
    base_url = client.base_url if client.websocket_base_url is None else client.websocket_base_url
    if "ssl" not in options and str(base_url).startswith(("https:", "wss:")):
        options = {"ssl": tls_context(), **options}
    return {**arguments, "websocket_connection_options": options}
