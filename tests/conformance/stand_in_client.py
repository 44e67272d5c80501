"""Mode `client`: our clients in the place of the official ones.

So that the official tests reach what they are about, the stand-ins differ from our clients in this:
- The login is the API key that a test gives.
- What our clients refuse for want of a route, or of WebSockets, goes the official way: the tests try the request
  machinery on paths like `/foo`.
- The tests answer a call of `responses.create` with one JSON document, the backend answers it with events only. The
  document arrives as the last event of a stream, and so passes through all that reads one.
- A `base_url` may be plain http: nothing leaves the tests.
- Nobody waits between two attempts.
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
from codex_backend_sdk._request import backend_url
from codex_backend_sdk._request.context import context_of
from codex_backend_sdk._request.routes import Route
from codex_backend_sdk.types import Login, Secret

Official, AsyncOfficial = openai.OpenAI, openai.AsyncOpenAI


class KeyAsLogin:
    """A source of credentials whose access token is the API key that its client has at the time."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def ready(self) -> Login | None:
        """The login, without any I/O."""
        return self.current()

    def current(self) -> Login:
        """The login."""
        # "My API Key" is none of ours: a token has no spaces.
        return Login(access_token=Secret(self._client.api_key.replace(" ", "-")), account_id=None)

    def renew(self, rejected: Login) -> Login:
        """The login; a key does not change."""
        return rejected


class Impatient(SystemClock):
    """A clock by which every wait is over at once."""

    def sleep(self, seconds: float) -> None:
        """Wait for nothing."""

    async def sleep_async(self, seconds: float) -> None:
        """Wait for nothing."""


def is_document(request: httpx2.Request, response: httpx2.Response) -> bool:
    """Whether a response is one JSON document where the backend would send events."""
    context = context_of(request)
    is_json = response.headers.get("content-type", "").startswith("application/json")
    return context is not None and context.route is Route.RESPONSES and response.is_success and is_json


def as_events(response: httpx2.Response) -> httpx2.Response:
    """The same answer as a stream whose only event is the final one."""
    event = {"type": "response.completed", "sequence_number": 0, "response": json.loads(response.content)}
    headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
    return httpx2.Response(
        response.status_code,
        headers={**headers, "content-type": "text/event-stream"},
        content=f"event: response.completed\ndata: {json.dumps(event)}\n\n".encode(),
        request=response.request,
    )


class Wire(Official):
    """Below our client: what it sees of the answers."""

    def _send_request(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        response = super()._send_request(request, **how)
        if not is_document(request, response):
            return response
        response.read()
        return as_events(response)


class AsyncWire(AsyncOfficial):
    """The same for coroutines."""

    async def _send_request(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        response = await super()._send_request(request, **how)
        if not is_document(request, response):
            return response
        await response.aread()
        return as_events(response)


class OpenAI(codex_backend_sdk.OpenAI, Wire):
    """Our client, signing with the key it was given, on any route."""

    _auth_headers = Official._auth_headers
    _validate_headers = Official._validate_headers

    @wraps(codex_backend_sdk.OpenAI.__init__)
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**(arguments | {"credentials": KeyAsLogin(self), "clock": Impatient()}))

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
    """The same for coroutines."""

    _auth_headers = AsyncOfficial._auth_headers
    _validate_headers = AsyncOfficial._validate_headers

    @wraps(codex_backend_sdk.AsyncOpenAI.__init__)
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**(arguments | {"credentials": KeyAsLogin(self), "clock": Impatient()}))

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
    """Rebind the names by which the tests import the clients."""
    vars(backend_url).update(require_backend_url=lambda url, *, what: None)
    for place in (openai, import_module("openai._client")):
        vars(place).update(OpenAI=OpenAI, AsyncOpenAI=AsyncOpenAI, Client=OpenAI, AsyncClient=AsyncOpenAI)
