"""Mode `client`: our clients in place of the official ones.

The official tests were written for the official client on the official API. So that they reach the code that they
test, the clients here differ from ours in these points:

- The access token is the API key that a test sets.
- A route that our client rejects, or a WebSocket, takes the official way: the tests use paths like `/foo`.
- The tests respond to `responses.create` with one JSON document; the backend sends events only. The document is turned
  into the last event of a stream, and so passes through the code that reads streams.
- `base_url` may be plain http, because no request leaves the tests.
- The clock does not wait between two attempts.
"""

from __future__ import annotations

import json
from functools import wraps
from importlib import import_module
from typing import Any

import httpx2
import openai

import codex_backend_sdk
from codex_backend_sdk._errors.retrying import SystemClock
from codex_backend_sdk._exceptions import UnsupportedEndpointError
from codex_backend_sdk._request import prepare
from codex_backend_sdk._request.context import context_of
from codex_backend_sdk._request.routes import Route
from codex_backend_sdk.types import Login, Secret

Official, AsyncOfficial = openai.OpenAI, openai.AsyncOpenAI


class KeyAsLogin:
    """A credential source whose access token is the current API key of its client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def ready(self) -> Login | None:
        """Return the login, without I/O."""
        return self.current()

    def current(self) -> Login:
        """Return the login."""
        # A token has no spaces, but "My API Key" in the tests has.
        return Login(access_token=Secret(self._client.api_key.replace(" ", "-")), account_id=None)

    def refresh(self, rejected: Login) -> Login:
        """Return the same login: a key does not change."""
        return rejected


class NoWaitClock(SystemClock):
    """A clock that does not wait."""

    def sleep(self, seconds: float) -> None:
        """Return at once."""

    async def sleep_async(self, seconds: float) -> None:
        """Return at once."""


def is_document(request: httpx2.Request, response: httpx2.Response) -> bool:
    """Whether this is one JSON document, where the backend would send events."""
    context = context_of(request)
    is_json = response.headers.get("content-type", "").startswith("application/json")
    return context is not None and context.route is Route.RESPONSES and response.is_success and is_json


def as_events(response: httpx2.Response) -> httpx2.Response:
    """Return the same response as a stream that has only the terminal event."""
    event = {"type": "response.completed", "sequence_number": 0, "response": json.loads(response.content)}
    headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
    return httpx2.Response(
        response.status_code,
        headers={**headers, "content-type": "text/event-stream"},
        content=f"event: response.completed\ndata: {json.dumps(event)}\n\n".encode(),
        request=response.request,
    )


class Wire(Official):
    """The layer below our client, which turns documents into event streams."""

    def _send_request(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        response = super()._send_request(request, **how)
        if not is_document(request, response):
            return response
        response.read()
        return as_events(response)


class AsyncWire(AsyncOfficial):
    """The same for the async client."""

    async def _send_request(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        response = await super()._send_request(request, **how)
        if not is_document(request, response):
            return response
        await response.aread()
        return as_events(response)


class OpenAI(codex_backend_sdk.OpenAI, Wire):
    """Our client, which signs with its API key and accepts any route."""

    _auth_headers = Official._auth_headers
    _validate_headers = Official._validate_headers

    @wraps(codex_backend_sdk.OpenAI.__init__)
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**(arguments | {"credentials": KeyAsLogin(self), "clock": NoWaitClock()}))

    def request(self, cast_to: Any, options: Any, **how: Any) -> Any:
        try:
            return super().request(cast_to, options, **how)
        except UnsupportedEndpointError:
            return Official.request(self, cast_to, options, **how)

    def _prepare_options(self, options: Any) -> Any:
        try:
            return super()._prepare_options(options)
        except UnsupportedEndpointError:
            return Official._prepare_options(self, options)


class AsyncOpenAI(codex_backend_sdk.AsyncOpenAI, AsyncWire):
    """The same for the async client."""

    _auth_headers = AsyncOfficial._auth_headers
    _validate_headers = AsyncOfficial._validate_headers

    @wraps(codex_backend_sdk.AsyncOpenAI.__init__)
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**(arguments | {"credentials": KeyAsLogin(self), "clock": NoWaitClock()}))

    async def request(self, cast_to: Any, options: Any, **how: Any) -> Any:
        try:
            return await super().request(cast_to, options, **how)
        except UnsupportedEndpointError:
            return await AsyncOfficial.request(self, cast_to, options, **how)

    async def _prepare_options(self, options: Any) -> Any:
        try:
            return await super()._prepare_options(options)
        except UnsupportedEndpointError:
            return await AsyncOfficial._prepare_options(self, options)


def install() -> None:
    """Rebind the names that the tests import."""
    vars(prepare).update(require_backend_url=lambda url, *, what: None)
    for place in (openai, import_module("openai._client")):
        vars(place).update(OpenAI=OpenAI, AsyncOpenAI=AsyncOpenAI, Client=OpenAI, AsyncClient=AsyncOpenAI)
