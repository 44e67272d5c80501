"""Replace the official clients by the clients of this package, adapted to openai's tests (mode `client`).

The tests were written for the official client and the official API. The adapted clients differ in these points:

- The access token is the API key that a test sets.
- The official client handles a WebSocket, and a route that this package rejects: the tests use paths like `/foo`.
- The tests return one JSON document for `responses.create`, but the backend sends only events. It is converted
  to the terminal event of a stream, so that the code that reads streams is tested.
- A chat completion is requested from `/chat/completions`, for which the tests have responses, and these are converted
  to events (`chat_documents`). A message is added to requests without messages, which this package refuses.
- `base_url` may use plain http, because the tests send no request over the network.
- The clock does not wait between two attempts.
"""

from __future__ import annotations

import json
from functools import wraps
from importlib import import_module
from typing import Any

import httpx2
import openai
from chat_documents import events_of

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
        # A token must not contain spaces, and the tests use "My API Key".
        return Login(access_token=Secret(self._client.api_key.replace(" ", "-")), account_id=None)

    def refresh(self, rejected: Login) -> Login:
        """Return the same login, because a key does not change."""
        return rejected


class NoWaitClock(SystemClock):
    """A clock that does not wait."""

    def sleep(self, seconds: float) -> None:
        """Return at once."""

    async def sleep_async(self, seconds: float) -> None:
        """Return at once."""


def with_message(options: Any) -> Any:
    """Return the options with a message if they are those of a chat completion without messages."""
    if options.url == "/chat/completions" and isinstance(options.json_data, dict) and not options.json_data["messages"]:
        options.json_data = {**options.json_data, "messages": [{"role": "user", "content": "hi"}]}
    return options


def is_chat(request: httpx2.Request) -> bool:
    """Return whether this is the request of a chat completion."""
    context = context_of(request)
    return context is not None and context.chat is not None


def addressed(request: httpx2.Request) -> httpx2.Request:
    """Return the request, sent to the path for which the test has a response."""
    if is_chat(request) and request.url.path.endswith("/responses"):  # not yet, when it is sent again
        path = request.url.path.removesuffix("/responses") + "/chat/completions"
        request.url = request.url.copy_with(path=path)
    return request


def is_converted(request: httpx2.Request, response: httpx2.Response) -> bool:
    """Return whether this is a JSON document, or a stream of chunks, in place of the events of the backend."""
    context = context_of(request)
    is_json = response.headers.get("content-type", "").startswith("application/json")
    is_model_response = context is not None and context.route is Route.RESPONSES and response.is_success
    return is_model_response and (is_json or is_chat(request))


def as_events(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """Return the same response as a stream of events: for a document, only the terminal event."""
    if is_chat(request):
        events = events_of(response.headers.get("content-type", ""), response.content)
    else:
        events = [{"type": "response.completed", "sequence_number": 0, "response": json.loads(response.content)}]
    headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
    return httpx2.Response(
        response.status_code,
        headers={**headers, "content-type": "text/event-stream"},
        content="".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode(),
        request=response.request,
    )


class Wire(Official):
    """Base class of `OpenAI` that converts documents to event streams."""

    def _send_request(self, request: httpx2.Request, **arguments: Any) -> httpx2.Response:
        response = super()._send_request(addressed(request), **arguments)
        if not is_converted(request, response):
            return response
        response.read()
        return as_events(request, response)


class AsyncWire(AsyncOfficial):
    """Base class of `AsyncOpenAI` that converts documents to event streams."""

    async def _send_request(self, request: httpx2.Request, **arguments: Any) -> httpx2.Response:
        response = await super()._send_request(addressed(request), **arguments)
        if not is_converted(request, response):
            return response
        await response.aread()
        return as_events(request, response)


class OpenAI(codex_backend_sdk.OpenAI, Wire):
    """The client of this package, which signs with its API key and accepts any route."""

    auth_headers = Official.auth_headers
    _auth_headers = Official._auth_headers
    _validate_headers = Official._validate_headers

    @wraps(codex_backend_sdk.OpenAI.__init__)
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**(arguments | {"credentials": KeyAsLogin(self), "clock": NoWaitClock()}))

    def request(self, cast_to: Any, options: Any, **arguments: Any) -> Any:
        try:
            return super().request(cast_to, with_message(options), **arguments)
        except UnsupportedEndpointError:
            return Official.request(self, cast_to, options, **arguments)

    def _prepare_options(self, options: Any) -> Any:
        try:
            return super()._prepare_options(options)
        except UnsupportedEndpointError:
            return Official._prepare_options(self, options)


class AsyncOpenAI(codex_backend_sdk.AsyncOpenAI, AsyncWire):
    """The async counterpart of `OpenAI`."""

    auth_headers = AsyncOfficial.auth_headers
    _auth_headers = AsyncOfficial._auth_headers
    _validate_headers = AsyncOfficial._validate_headers

    @wraps(codex_backend_sdk.AsyncOpenAI.__init__)
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**(arguments | {"credentials": KeyAsLogin(self), "clock": NoWaitClock()}))

    async def request(self, cast_to: Any, options: Any, **arguments: Any) -> Any:
        try:
            return await super().request(cast_to, with_message(options), **arguments)
        except UnsupportedEndpointError:
            return await AsyncOfficial.request(self, cast_to, options, **arguments)

    async def _prepare_options(self, options: Any) -> Any:
        try:
            return await super()._prepare_options(options)
        except UnsupportedEndpointError:
            return await AsyncOfficial._prepare_options(self, options)


def install() -> None:
    """Rebind the names that the tests import."""
    vars(prepare).update(require_backend_url=lambda url, *, name: None)
    for module in (openai, import_module("openai._client")):
        vars(module).update(OpenAI=OpenAI, AsyncOpenAI=AsyncOpenAI, Client=OpenAI, AsyncClient=AsyncOpenAI)
