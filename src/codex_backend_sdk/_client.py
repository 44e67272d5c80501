"""Clients for the Codex backend: subclasses of the official sync and async clients.

Every resource method of the official client calls `request()`. A call then runs these hooks:

    request()           validate the route and the parameters, and shape the body; raise before anything is sent
    _prepare_options()  get the login, refresh it if it is about to expire, and look up the backend of the workspace
    _build_request()    sign the request, set its timeouts and attach its `RequestContext`           (BaseCodexClient)
    _send_request()     run the auth flow; return a stream unread, and buffer any other response
    request()           after a failure, wait and continue with `_prepare_options()`, or raise the error
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import httpx2
import openai

from ._base_client import BaseCodexClient
from ._catalog import first_listed_id
from ._connections import async_deadline, async_exchange, call_before, exchange, track
from ._constants import DEFAULT_MODEL
from ._errors.exception_mapping import add_available_models, add_connection_details
from ._exceptions import ModelNotAvailableError
from ._pools import AsyncPooledClient, PooledClient
from ._request.auth_flow import RefreshLogin, auth_flow
from ._request.context import PreparedOptions, RequestContext, context_of, is_placeholder, is_traced_call
from ._request.prepare import has_automatic_model, prepare, reject_websocket, use_backend_path, with_model
from ._request.routes import Route
from ._request.timeouts import set_idle_timeout
from ._streaming.body import async_discard, discard
from ._streaming.buffered import async_buffer, buffer, is_event_stream
from ._streaming.streams import (
    AsyncChatCompletionStream,
    AsyncEventStream,
    AsyncResponseEventStream,
    ChatCompletionStream,
    EventStream,
    ResponseEventStream,
    with_reader,
)
from ._upstream import AsyncAPIClient, FinalRequestOptions, SyncAPIClient, is_official
from .resources.authentication import AsyncAuthentication, Authentication, run_in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from ._errors.retrying import CallRetries
    from ._websocket.transport import AsyncWebSocketTransport, WebSocketTransport
    from .resources.codex import AsyncCodex, Codex
    from .resources.models import AsyncModels, Models
    from .resources.responses import AsyncResponses, Responses
    from .resources.unsupported import AsyncBeta, Beta
    from .types import Login

    # For type checkers, the official clients declare their resources as properties, so these must be properties, too.
    cached_property = property
else:
    from functools import cached_property

__all__ = ["AsyncOpenAI", "OpenAI"]


class OpenAI(  # type: ignore[misc]  # `copy` has more parameters than the official method
    BaseCodexClient["httpx2.Client", "Callable[[], str]"], Authentication, openai.OpenAI
):
    """An `openai.OpenAI` client for the ChatGPT Codex backend, logged in with your own ChatGPT plan."""

    _http_client_class = PooledClient

    # Resources are imported on first use, as in openai, because importing all of them takes half a second.

    @cached_property
    def beta(self) -> Beta:
        """The beta resources, which are unsupported: their methods raise UnsupportedEndpointError."""
        from .resources.unsupported import Beta

        return Beta(self)

    @cached_property
    def responses(self) -> Responses:
        """Model responses."""
        from .resources.responses import Responses

        return Responses(self)

    @cached_property
    def models(self) -> Models:
        """The models that this account may use."""
        from .resources.models import Models

        return Models(self)

    @property
    def _websocket(self) -> WebSocketTransport:
        """The WebSocket connections of this client and its copies."""
        from ._websocket.transport import WebSocketTransport  # few programs use it

        if "websocket" not in self._shared_transport:
            self._shared_transport.setdefault("websocket", WebSocketTransport(monotonic=self._clock.monotonic))
        transport: WebSocketTransport = self._shared_transport["websocket"]
        return transport

    def _close_websocket(self, history: Hashable) -> None:
        """Close the connections of a conversation, which has ended."""
        if "websocket" in self._shared_transport:
            self._websocket.close(history)

    def close(self) -> None:
        """Close the connections, as the official method does."""
        if "websocket" in self._shared_transport:
            self._websocket.close()
        super().close()

    @cached_property
    def codex(self) -> Codex:
        """Endpoints that only the Codex backend has."""
        from .resources.codex import Codex

        return Codex(self, limits=self._limits)

    def request(
        self, cast_to: Any, options: FinalRequestOptions, *, stream: bool = False, stream_cls: Any = None
    ) -> Any:
        """Send a request as the official method does.

        Raises UnsupportedEndpointError or CodexBackendUnsupportedParameterError, before anything is sent, for a request
        that the Codex backend does not support.
        """
        if not isinstance(options, PreparedOptions):
            options = self._prepare_call(options, stream=stream)
        if options.context.is_streamed:
            is_chat = options.context.chat is not None
            stream_cls = with_reader(stream_cls, ChatCompletionStream if is_chat else ResponseEventStream)
        call_retries = self._call_retries(options)
        if not is_official(super().request):
            options.run_call = partial(self._run_call, call_retries)
            return super().request(cast_to, options, stream=stream, stream_cls=stream_cls)
        return self._run_call(call_retries, cast_to, options, stream=stream, stream_cls=stream_cls)

    def _prepare_call(self, options: FinalRequestOptions, *, stream: bool) -> PreparedOptions:
        """Check and shape a request, and return the options for `request`. Raises the errors of `prepare`."""
        if has_automatic_model(options, self._codex):
            options = with_model(options, self._first_listed_model())
        return prepare(
            options,
            self._codex,
            self._compression,
            self._instructions,
            login=self.credentials.ready(),
            is_streamed=stream,
            models=self._catalog.get_current(self.credentials.ready()),
        )

    def _run_call(
        self, call_retries: CallRetries, cast_to: Any, options: PreparedOptions, *, stream: bool, stream_cls: Any
    ) -> Any:
        """Make the attempts of a call with openai's own method, and return the response.

        A tracer may have replaced `request` of the official class. It then sees one request, whatever the number of
        attempts: `_process_response` calls this method at the end of that request.
        """
        attempt = partial(SyncAPIClient.request, self, cast_to, options, stream=stream, stream_cls=stream_cls)
        response = self._send_with_retries(attempt, options, call_retries)
        if isinstance(response, EventStream):
            response._set_retry(partial(self._send_with_retries, attempt, options, call_retries))
        return response

    def _send_with_retries(
        self,
        attempt: Callable[[], Any],
        options: PreparedOptions,
        call_retries: CallRetries,
        error: openai.APIError | None = None,
        *,
        can_restart: bool = True,
    ) -> Any:
        """Make attempts until one attempt succeeds. `error` is the error of an earlier attempt.

        Raises the error of the last attempt.
        """
        wait = call_retries.wait_before_first() if error is None else None
        if wait is not None:
            self._clock.sleep(wait)
        while True:
            if error is not None:
                wait = call_retries.wait_after(error) if can_restart else None
                if wait is None:
                    if isinstance(error, ModelNotAvailableError):
                        self._add_available_models(error, call_retries.deadline)
                    self._add_fallback_note(error, options)
                    raise error from error.__cause__
                self._clock.sleep(wait)
                options.retries_taken = call_retries.retries_taken
            try:
                return attempt()
            except openai.APIError as failure:
                is_moved = self._moves_instructions(options, failure)
                error = None if is_moved else add_connection_details(failure, deadline=call_retries.deadline)

    def _first_listed_model(self) -> str:
        """Return the first model of the account's catalog, which is requested unless a current one is cached."""
        models = self._catalog.get_current(self.credentials.ready())
        if models is None:
            models = [{"id": model.id, "visibility": model.visibility} for model in self.models.list().data]
        return first_listed_id(models) or DEFAULT_MODEL

    def _add_available_models(self, error: ModelNotAvailableError, deadline: float | None) -> None:
        context = context_of(error.response.request)
        if context is None or context.route is not Route.RESPONSES or error.available is not None:
            return
        if self._cached_models(context) is None:
            with contextlib.suppress(openai.OpenAIError):  # the error is complete without the list
                self._for_catalog(deadline).models.list()
        add_available_models(error, self._cached_models(context), requested=context.requested_model)

    def _prepare_options(self, options: FinalRequestOptions) -> FinalRequestOptions:
        if is_traced_call(options):
            return options
        reject_websocket(options.url)
        use_backend_path(options)
        options = super()._prepare_options(options)
        with self._total_timeout(options) as deadline:
            login = self.credentials.ready()
            if login is None:
                with self._hint_at_unused_api_key():
                    login = call_before(deadline, self.credentials.current)
            lookup = self._routing.lookup_for(options, login, backend=self._checked_backend_url().base_url_text)
            if lookup is not None:
                login = call_before(deadline, partial(lookup.run, self._send_once, self.credentials.refresh))
        return self._set_login(options, login)

    def _send_once(self, options: PreparedOptions) -> httpx2.Response:
        """Sign and send a request without retries, token refresh or redirects; the body is not read."""
        send = partial(self._client.send, stream=True, follow_redirects=False)
        return self._exchange(self._build_request(options), options.context.deadline, send)

    def _probe_websocket(self) -> int:
        """Send the upgrade request of a WebSocket once and return the status of its response. For `doctor`."""
        from ._websocket.transport import upgrade_request

        options = FinalRequestOptions.construct(method="post", url="/responses")
        prepared = PreparedOptions.from_options(options, RequestContext(route=Route.RESPONSES))
        request = self._build_request(cast("PreparedOptions", self._prepare_options(prepared)))
        response = self._exchange(upgrade_request(request), None, partial(self._client.send, stream=True))
        response.close()
        return response.status_code

    def _send_request(self, request: httpx2.Request, *, stream: bool, **kwargs: Any) -> httpx2.Response:
        context = context_of(request)
        if is_placeholder(request):
            return httpx2.Response(200, request=request)
        if context is None:
            return super()._send_request(request, stream=stream, **kwargs)
        response = self._send_authenticated(request, context, partial(super()._send_request, stream=True, **kwargs))
        self._record_headers(response, context)
        set_idle_timeout(response.request, context)
        if context.is_streamed and is_event_stream(response, context):
            return response
        response = buffer(response, context)
        if not stream:
            response.read()
        return response

    def _exchange(
        self, request: httpx2.Request, deadline: float | None, send: Callable[[httpx2.Request], httpx2.Response]
    ) -> httpx2.Response:
        """Send a request, and return its response before the body is read. Raises a timeout at the deadline."""

        def limited_send() -> httpx2.Response:
            with exchange(request, deadline):
                response = send(request)
            track(response.extensions.get("network_stream"))
            return response

        if deadline is None or isinstance(self._client, PooledClient):
            return limited_send()
        # The caller's own HTTP client may run any code, which only another thread can abandon.
        return call_before(deadline, limited_send, discard=lambda response: response.close())

    def _send_attempt(
        self, request: httpx2.Request, context: RequestContext, send: Callable[[httpx2.Request], httpx2.Response]
    ) -> httpx2.Response:
        """Send a signed request, over the WebSocket if the call uses it and it is available."""
        if context.uses_websocket and context.body is not None:
            upgrade = partial(self._exchange, deadline=context.deadline, send=send)
            is_required = self._codex.transport == "websocket"
            response = self._websocket.send(
                request, context, upgrade, is_required=is_required, http_client=self._client
            )
            if response is not None:
                return response
            request = context.body.add_to(request)
        return self._exchange(request, context.deadline, send)

    def _send_authenticated(
        self, request: httpx2.Request, context: RequestContext, send: Callable[[httpx2.Request], httpx2.Response]
    ) -> httpx2.Response:
        """Run the auth flow: send the requests that it yields, and refresh the login when it yields `RefreshLogin`."""
        flow = auth_flow(request, context, signer=self._signer, compression=self._compression)
        step: httpx2.Request | RefreshLogin = next(flow)
        response: httpx2.Response | None = None
        while True:
            if response is not None:
                discard(response)
            result: httpx2.Response | Login
            if isinstance(step, RefreshLogin):
                result = call_before(context.deadline, partial(self.credentials.refresh, step.rejected))
            else:
                result = response = self._send_attempt(step, context, send)
            try:
                step = flow.send(result)
            except StopIteration as end:
                final: httpx2.Response = end.value
                return final


class AsyncOpenAI(  # type: ignore[misc]  # `copy` has more parameters than the official method
    BaseCodexClient["httpx2.AsyncClient", "Callable[[], Awaitable[str]]"], AsyncAuthentication, openai.AsyncOpenAI
):
    """An `openai.AsyncOpenAI` client for the ChatGPT Codex backend, logged in with your own ChatGPT plan."""

    _http_client_class = AsyncPooledClient

    # Imported on first use, as in `OpenAI`.

    @cached_property
    def beta(self) -> AsyncBeta:
        """The beta resources, which are unsupported: their methods raise UnsupportedEndpointError."""
        from .resources.unsupported import AsyncBeta

        return AsyncBeta(self)

    @cached_property
    def responses(self) -> AsyncResponses:
        """Model responses."""
        from .resources.responses import AsyncResponses

        return AsyncResponses(self)

    @cached_property
    def models(self) -> AsyncModels:
        """The models that this account may use."""
        from .resources.models import AsyncModels

        return AsyncModels(self)

    @property
    def _websocket(self) -> AsyncWebSocketTransport:
        """The WebSocket connections of this client and its copies."""
        from ._websocket.transport import AsyncWebSocketTransport  # few programs use it

        if "websocket" not in self._shared_transport:
            self._shared_transport.setdefault("websocket", AsyncWebSocketTransport(monotonic=self._clock.monotonic))
        transport: AsyncWebSocketTransport = self._shared_transport["websocket"]
        return transport

    async def _close_websocket(self, history: Hashable) -> None:
        """Close the connections of a conversation, which has ended."""
        if "websocket" in self._shared_transport:
            await self._websocket.close(history)

    async def close(self) -> None:
        """Close the connections, as the official method does."""
        if "websocket" in self._shared_transport:
            await self._websocket.close()
        await super().close()

    @cached_property
    def codex(self) -> AsyncCodex:
        """Endpoints that only the Codex backend has."""
        from .resources.codex import AsyncCodex

        return AsyncCodex(self, limits=self._limits)

    async def request(
        self, cast_to: Any, options: FinalRequestOptions, *, stream: bool = False, stream_cls: Any = None
    ) -> Any:
        """Send a request as the official method does.

        Raises UnsupportedEndpointError or CodexBackendUnsupportedParameterError, before anything is sent, for a request
        that the Codex backend does not support.
        """
        if not isinstance(options, PreparedOptions):
            options = await self._prepare_call(options, stream=stream)
        if options.context.is_streamed:
            is_chat = options.context.chat is not None
            stream_cls = with_reader(stream_cls, AsyncChatCompletionStream if is_chat else AsyncResponseEventStream)
        call_retries = self._call_retries(options)
        if not is_official(super().request):
            options.run_call = partial(self._run_call, call_retries)
            return await super().request(cast_to, options, stream=stream, stream_cls=stream_cls)
        return await self._run_call(call_retries, cast_to, options, stream=stream, stream_cls=stream_cls)

    async def _prepare_call(self, options: FinalRequestOptions, *, stream: bool) -> PreparedOptions:
        """Check and shape a request, and return the options for `request`. Raises the errors of `prepare`."""
        if has_automatic_model(options, self._codex):
            options = with_model(options, await self._first_listed_model())
        return prepare(
            options,
            self._codex,
            self._compression,
            self._instructions,
            login=self.credentials.ready(),
            is_streamed=stream,
            models=self._catalog.get_current(self.credentials.ready()),
        )

    async def _run_call(
        self, call_retries: CallRetries, cast_to: Any, options: PreparedOptions, *, stream: bool, stream_cls: Any
    ) -> Any:
        """Make the attempts of a call with openai's own method, and return the response.

        A tracer may have replaced `request` of the official class. It then sees one request, whatever the number of
        attempts: `_process_response` calls this method at the end of that request.
        """
        attempt = partial(AsyncAPIClient.request, self, cast_to, options, stream=stream, stream_cls=stream_cls)
        response = await self._send_with_retries(attempt, options, call_retries)
        if isinstance(response, AsyncEventStream):
            response._set_retry(partial(self._send_with_retries, attempt, options, call_retries))
        return response

    async def _send_with_retries(
        self,
        attempt: Callable[[], Any],
        options: PreparedOptions,
        call_retries: CallRetries,
        error: openai.APIError | None = None,
        *,
        can_restart: bool = True,
    ) -> Any:
        """Make attempts until one attempt succeeds. `error` is the error of an earlier attempt.

        Raises the error of the last attempt.
        """
        wait = call_retries.wait_before_first() if error is None else None
        if wait is not None:
            await self._clock.sleep_async(wait)
        while True:
            if error is not None:
                wait = call_retries.wait_after(error) if can_restart else None
                if wait is None:
                    if isinstance(error, ModelNotAvailableError):
                        await self._add_available_models(error, call_retries.deadline)
                    self._add_fallback_note(error, options)
                    raise error from error.__cause__
                await self._clock.sleep_async(wait)
                options.retries_taken = call_retries.retries_taken
            try:
                return await attempt()
            except openai.APIError as failure:
                is_moved = self._moves_instructions(options, failure)
                error = None if is_moved else add_connection_details(failure, deadline=call_retries.deadline)

    async def _first_listed_model(self) -> str:
        """Return the first model of the account's catalog, which is requested unless a current one is cached."""
        models = self._catalog.get_current(self.credentials.ready())
        if models is None:
            models = [{"id": model.id, "visibility": model.visibility} for model in (await self.models.list()).data]
        return first_listed_id(models) or DEFAULT_MODEL

    async def _add_available_models(self, error: ModelNotAvailableError, deadline: float | None) -> None:
        context = context_of(error.response.request)
        if context is None or context.route is not Route.RESPONSES or error.available is not None:
            return
        if self._cached_models(context) is None:
            with contextlib.suppress(openai.OpenAIError):  # the error is complete without the list
                await self._for_catalog(deadline).models.list()
        add_available_models(error, self._cached_models(context), requested=context.requested_model)

    async def _prepare_options(self, options: FinalRequestOptions) -> FinalRequestOptions:
        if is_traced_call(options):
            return options
        reject_websocket(options.url)
        use_backend_path(options)
        options = await super()._prepare_options(options)
        with self._total_timeout(options) as deadline, async_deadline(deadline):
            login = self.credentials.ready()
            if login is None:
                with self._hint_at_unused_api_key():
                    login = await run_in_thread(self.credentials.current)
            lookup = self._routing.lookup_for(options, login, backend=self._checked_backend_url().base_url_text)
            if lookup is not None:
                login = await lookup.run_async(self._send_once, self._refresh_login)
        return self._set_login(options, login)

    async def _send_once(self, options: PreparedOptions) -> httpx2.Response:
        """Sign and send a request without retries, token refresh or redirects; the body is not read."""
        send = partial(self._client.send, stream=True, follow_redirects=False)
        return await self._exchange(self._build_request(options), options.context.deadline, send)

    async def _refresh_api_key(self) -> str:
        """Load the login for `auth_headers`. The Agents SDK calls this before it opens a WebSocket."""
        if self.credentials.ready() is None:
            await run_in_thread(self.credentials.current)
        return await super()._refresh_api_key()

    async def _refresh_login(self, rejected: Login) -> Login:
        return await run_in_thread(lambda: self.credentials.refresh(rejected))

    async def _send_request(self, request: httpx2.Request, *, stream: bool, **kwargs: Any) -> httpx2.Response:
        context = context_of(request)
        if is_placeholder(request):
            return httpx2.Response(200, request=request)
        if context is None:
            return await super()._send_request(request, stream=stream, **kwargs)
        send = partial(super()._send_request, stream=True, **kwargs)
        response = await self._send_authenticated(request, context, send)
        self._record_headers(response, context)
        set_idle_timeout(response.request, context)
        if context.is_streamed and is_event_stream(response, context):
            return response
        response = await async_buffer(response, context)
        if not stream:
            await response.aread()
        return response

    async def _exchange(
        self,
        request: httpx2.Request,
        deadline: float | None,
        send: Callable[[httpx2.Request], Awaitable[httpx2.Response]],
    ) -> httpx2.Response:
        """Send a request, and return its response before the body is read. Raises a timeout at the deadline."""
        response = await async_exchange(send, request, deadline)
        track(response.extensions.get("network_stream"))
        return response

    async def _send_attempt(
        self,
        request: httpx2.Request,
        context: RequestContext,
        send: Callable[[httpx2.Request], Awaitable[httpx2.Response]],
    ) -> httpx2.Response:
        """Send a signed request, over the WebSocket if the call uses it and it is available."""
        if context.uses_websocket and context.body is not None:
            upgrade = partial(self._exchange, deadline=context.deadline, send=send)
            is_required = self._codex.transport == "websocket"
            response = await self._websocket.send(
                request, context, upgrade, is_required=is_required, http_client=self._client
            )
            if response is not None:
                return response
            request = context.body.add_to(request)
        return await self._exchange(request, context.deadline, send)

    async def _send_authenticated(
        self,
        request: httpx2.Request,
        context: RequestContext,
        send: Callable[[httpx2.Request], Awaitable[httpx2.Response]],
    ) -> httpx2.Response:
        """Run the auth flow: send the requests that it yields, and refresh the login when it yields `RefreshLogin`."""
        flow = auth_flow(request, context, signer=self._signer, compression=self._compression)
        step: httpx2.Request | RefreshLogin = next(flow)
        response: httpx2.Response | None = None
        while True:
            if response is not None:
                await async_discard(response)
            result: httpx2.Response | Login
            if isinstance(step, RefreshLogin):
                with async_deadline(context.deadline):
                    result = await self._refresh_login(step.rejected)
            else:
                result = response = await self._send_attempt(step, context, send)
            try:
                step = flow.send(result)
            except StopIteration as end:
                final: httpx2.Response = end.value
                return final
