"""The clients: openai's own, on the Codex backend.

`_Codex` stands before the official class and overrides the hooks that the official Azure client overrides too. It
decides; the two shells below it, sync first, do the I/O that differs. What happens to a call, in order:

    request()           is there such a route? shape the body, once            (nothing is sent when it is refused)
    _prepare_options()  get the login, renewed first when it runs out          (for every attempt)
                        ask, once, where the requests of its workspace go
    _build_request()    sign, and attach the context by which the answer will be read
    _send_request()     401: renew the login and send once more; collect the events of a call that wants no stream
    request()           what failed: wait and try again, or raise what it means
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai
from openai.types.responses import CompactedResponse, Response

from ._base_client import BaseCodexClient
from ._errors.classify import classify
from ._errors.exception_mapping import add_available_models, status_error, with_cause
from ._errors.retrying import RetryLoop
from ._exceptions import ModelNotAvailableError
from ._request.backend_url import Backend
from ._request.context import context_of, context_of_response
from ._request.identity import user_agent
from ._request.prepare import in_plain, prepare, refuse_websocket
from ._request.routes import Route
from ._request.signing import Signer
from ._request.timeouts import require_timeout, set_idle_limit, set_limits
from ._streaming.buffered import async_collected, collected, is_stream_to_read, read_whole
from ._streaming.events import build_item, build_response
from ._streaming.streams import AsyncCodexStream, CodexStream
from ._streaming.whole_body import async_discard, async_read_body, discard, read_body
from ._upstream import AsyncHttpxClientWrapper, PreparedOptions, SyncHttpxClientWrapper
from .resources.authentication import AsyncAuthentication, Authentication, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ._request.context import RequestContext
    from ._upstream import FinalRequestOptions
    from .resources.codex import AsyncCodex, Codex
    from .resources.models import AsyncModels, Models
    from .resources.responses import AsyncResponses, Responses
    from .resources.unsupported import AsyncBeta, Beta
    from .types import Login

__all__ = ["AsyncOpenAI", "OpenAI"]


_Error = openai.APIError | None
# For the catalogue that an error about a model shows.
_CATALOGUE_SECONDS: Final = 10.0


class _Codex(BaseCodexClient):
    """What both clients are, apart from I/O."""

    # What the official client would say of itself and sign with is replaced by `_build_request` and `user_agent`.

    @property
    def user_agent(self) -> str:
        """The program's name, this package's name and version, and the system."""
        return user_agent(self._codex.originator)

    def platform_headers(self) -> dict[str, str]:
        return {}

    def _auth_headers(self, security: object) -> dict[str, str]:
        return {}

    def _validate_headers(self, headers: object, custom_headers: object) -> None:
        return None

    def _idempotency_key(self) -> str:
        # A random one is made for every request, and sent only where a header is named for it.
        is_sent = self._official._idempotency_header is not None
        return super()._idempotency_key() if is_sent else ""  # type: ignore[misc]

    # Requests

    @cached_property
    def _signer(self) -> Signer:
        return Signer(self._codex.originator)

    def _build_request(self, options: FinalRequestOptions, *, retries_taken: int = 0) -> httpx2.Request:
        if not isinstance(options, PreparedOptions):
            return super()._build_request(options, retries_taken=retries_taken)  # type: ignore[misc,no-any-return]
        require_timeout(options.timeout)
        request: httpx2.Request = super()._build_request(options, retries_taken=options.retries_taken)  # type: ignore[misc]
        context: RequestContext = options.context
        is_of_call = not isinstance(options.timeout, openai.NotGiven)
        idle_timeout = set_limits(request, self._codex.timeouts, is_of_call=is_of_call, until=context.until)
        self._signer.sign(request, options.login)
        return context.attach(request, login=options.login, limits=self._limits, idle_timeout=idle_timeout)

    def _prepare_url(self, url: str) -> httpx2.URL:
        return self._backend().url(url, merged=super()._prepare_url)  # type: ignore[misc]

    def _backend(self) -> Backend:
        """Return the backend. Its address can be assigned at any time, so a new one is checked."""
        base = self._official.base_url
        if base is not self._known_backend.base:
            self._known_backend = Backend(base)
        return self._known_backend

    def _with_login(self, options: FinalRequestOptions, login: Login) -> FinalRequestOptions:
        backend = self._backend()
        if isinstance(options, PreparedOptions):
            options.login = login
            self._routing.lead(options, login, backend=backend.address)
        else:
            options.follow_redirects = False
        return options

    # Answers

    def _process_response_data(self, *, data: Any, cast_to: Any, response: httpx2.Response) -> Any:
        context = context_of_response(response)
        if context is not None and context.route is Route.MODELS:
            self._catalog.put(data["data"], login=context.login, at=self._clock.monotonic())
        if cast_to is Response and not self._official._strict_response_validation:
            return build_response(data)
        built = super()._process_response_data(data=data, cast_to=cast_to, response=response)  # type: ignore[misc]
        if cast_to is CompactedResponse and isinstance(data, dict):
            built.output = [build_item(item) for item in data.get("output") or ()]
        return built

    def _process_response(self, *, options: FinalRequestOptions, retries_taken: int = 0, **answer: Any) -> Any:
        if isinstance(options, PreparedOptions):
            retries_taken = options.retries_taken
        return super()._process_response(options=options, retries_taken=retries_taken, **answer)  # type: ignore[misc]

    def _offered(self, context: RequestContext) -> Sequence[Mapping[str, Any]] | None:
        return self._catalog.get_fresh(context.login, now=self._clock.monotonic())

    def _make_status_error(self, err_msg: str, *, body: Any, response: httpx2.Response) -> openai.APIStatusError:
        failure = classify(response.status_code, body, response.headers, now=self._clock.now())
        official = super()._make_status_error  # type: ignore[misc]
        return status_error(failure, response, official=lambda: official(failure.message, body=body, response=response))

    def _retrying(self, options: PreparedOptions) -> RetryLoop:
        """Take the retries over from upstream, which repeats what nobody should and forgets what it was told."""
        max_retries = options.get_max_retries(self._official.max_retries)
        if isinstance(max_retries, int) and max_retries >= 0:  # anything else is upstream's to refuse
            options.max_retries = 0
        if options.idempotency_key is None and options.method.lower() != "get":
            options.idempotency_key = self._official._idempotency_key()
        what = f"{options.method.upper()} {options.url}"
        retrying = RetryLoop(what, self._codex, self._clock, max_retries=max_retries)
        if retrying.until is not None:
            options.context = replace(options.context, until=retrying.until)
        return retrying


class OpenAI(_Codex, Authentication, openai.OpenAI):
    """`openai.OpenAI` on the ChatGPT Codex backend, signed in with your own ChatGPT plan."""

    _http_client_class = SyncHttpxClientWrapper

    # The resources are loaded on first use, as the official ones are: all of them take half a second.

    @cached_property
    def beta(self) -> Beta:
        """Not there, apart from its names."""
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

    @cached_property
    def codex(self) -> Codex:
        """The endpoints that only the Codex backend has."""
        from .resources.codex import Codex

        return Codex(self, limits=self._limits)

    def request(
        self, cast_to: Any, options: FinalRequestOptions, *, stream: bool = False, stream_cls: Any = None
    ) -> Any:
        """Send a request as the official method does, unless the Codex backend could only refuse it."""
        options = prepare(options, self._codex, self._compression, streamed=stream)
        stream_cls = CodexStream[Any] if options.context.streamed else stream_cls
        retrying = self._retrying(options)
        attempt = partial(super().request, cast_to, options, stream=stream, stream_cls=stream_cls)
        answer = self._send_with_retries(attempt, options, retrying)
        if isinstance(answer, CodexStream):
            answer.repeat_with(partial(self._send_with_retries, attempt, options, retrying))
        return answer

    def _send_with_retries(
        self,
        attempt: Callable[[], Any],
        options: PreparedOptions,
        retrying: RetryLoop,
        error: openai.APIError | None = None,
        *,
        may_repeat: bool = True,
    ) -> Any:
        """Make attempts until one succeeds, or raise the error of the last; `error` is of the attempt before."""
        while True:
            if error is not None:
                wait = retrying.wait_after(error) if may_repeat else None
                if wait is None:
                    if isinstance(error, ModelNotAvailableError):
                        self._add_available_models(error)
                    raise error from error.__cause__
                self._clock.sleep(wait)
                options.retries_taken = retrying.taken
            try:
                return attempt()
            except openai.APIError as failed:
                error = with_cause(failed, until=retrying.until)

    def _prepare_options(self, options: FinalRequestOptions) -> FinalRequestOptions:
        refuse_websocket(options.url)
        options = super()._prepare_options(options)
        login = self.credentials.ready()
        if login is None:
            with self._key_is_named():
                login = self.credentials.current()
        question = self._routing.question(self, options, login, backend=self._backend().address)
        return self._with_login(options, login if question is None else question.ask(self.credentials.renew))

    def _add_available_models(self, error: ModelNotAvailableError) -> None:
        context = context_of(error.response.request)
        if context is not None and context.route is Route.RESPONSES and error.available is None:
            if self._offered(context) is None:
                with contextlib.suppress(openai.OpenAIError):  # it is an error without this, too
                    self.with_options(max_retries=0, timeout=_CATALOGUE_SECONDS).models.list()
            add_available_models(error, self._offered(context))

    def _send_request(self, request: httpx2.Request, *, stream: bool, **kwargs: Any) -> httpx2.Response:
        context = context_of(request)
        if context is None:
            return super()._send_request(request, stream=stream, **kwargs)
        response = super()._send_request(request, stream=True, **kwargs)
        if response.status_code == 401 and (rejected := context.login) is not None:
            discard(response)
            login = self.credentials.renew(rejected)
            response = super()._send_request(self._signer.sign(request, login), stream=True, **kwargs)
        if self._compression.is_doubted(request, response):
            refused = response.status_code
            discard(response)
            response = super()._send_request(in_plain(request, self._client), stream=True, **kwargs)
            self._compression.judge(response, refused=refused)
        self._limits.record_headers(response.headers, account_id=context.account_id)
        set_idle_limit(response.request, context)
        if not is_stream_to_read(response, context):
            read_body(response, context)
            return read_whole(response, context)
        if context.streamed:
            return response
        response = collected(response, context)
        if not stream:
            response.read()
        return response


class AsyncOpenAI(_Codex, AsyncAuthentication, openai.AsyncOpenAI):
    """`openai.AsyncOpenAI` on the ChatGPT Codex backend, signed in with your own ChatGPT plan."""

    _http_client_class = AsyncHttpxClientWrapper

    # As above, loaded on first use.

    @cached_property
    def beta(self) -> AsyncBeta:
        """Not there, apart from its names."""
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

    @cached_property
    def codex(self) -> AsyncCodex:
        """The endpoints that only the Codex backend has."""
        from .resources.codex import AsyncCodex

        return AsyncCodex(self, limits=self._limits)

    async def request(
        self, cast_to: Any, options: FinalRequestOptions, *, stream: bool = False, stream_cls: Any = None
    ) -> Any:
        """Send a request as the official method does, unless the Codex backend could only refuse it."""
        options = prepare(options, self._codex, self._compression, streamed=stream)
        stream_cls = AsyncCodexStream[Any] if options.context.streamed else stream_cls
        retrying = self._retrying(options)
        attempt = partial(super().request, cast_to, options, stream=stream, stream_cls=stream_cls)
        answer = await self._send_with_retries(attempt, options, retrying)
        if isinstance(answer, AsyncCodexStream):
            answer.repeat_with(partial(self._send_with_retries, attempt, options, retrying))
        return answer

    async def _send_with_retries(
        self,
        attempt: Callable[[], Any],
        options: PreparedOptions,
        retrying: RetryLoop,
        error: openai.APIError | None = None,
        *,
        may_repeat: bool = True,
    ) -> Any:
        """Make attempts until one succeeds, or raise the error of the last; `error` is of the attempt before."""
        while True:
            if error is not None:
                wait = retrying.wait_after(error) if may_repeat else None
                if wait is None:
                    if isinstance(error, ModelNotAvailableError):
                        await self._add_available_models(error)
                    raise error from error.__cause__
                await self._clock.sleep_async(wait)
                options.retries_taken = retrying.taken
            try:
                return await attempt()
            except openai.APIError as failed:
                error = with_cause(failed, until=retrying.until)

    async def _prepare_options(self, options: FinalRequestOptions) -> FinalRequestOptions:
        refuse_websocket(options.url)
        options = await super()._prepare_options(options)
        login = self.credentials.ready()
        if login is None:
            with self._key_is_named():
                login = await in_thread(self.credentials.current)
        question = self._routing.question(self, options, login, backend=self._backend().address)
        return self._with_login(options, login if question is None else await question.ask_async(self._renewed))

    async def _renewed(self, rejected: Login) -> Login:
        return await in_thread(lambda: self.credentials.renew(rejected))

    async def _add_available_models(self, error: ModelNotAvailableError) -> None:
        context = context_of(error.response.request)
        if context is not None and context.route is Route.RESPONSES and error.available is None:
            if self._offered(context) is None:
                with contextlib.suppress(openai.OpenAIError):  # it is an error without this, too
                    await self.with_options(max_retries=0, timeout=_CATALOGUE_SECONDS).models.list()
            add_available_models(error, self._offered(context))

    async def _send_request(self, request: httpx2.Request, *, stream: bool, **kwargs: Any) -> httpx2.Response:
        context = context_of(request)
        if context is None:
            return await super()._send_request(request, stream=stream, **kwargs)
        response = await super()._send_request(request, stream=True, **kwargs)
        if response.status_code == 401 and (rejected := context.login) is not None:
            await async_discard(response)
            login = await self._renewed(rejected)
            response = await super()._send_request(self._signer.sign(request, login), stream=True, **kwargs)
        if self._compression.is_doubted(request, response):
            refused = response.status_code
            await async_discard(response)
            response = await super()._send_request(in_plain(request, self._client), stream=True, **kwargs)
            self._compression.judge(response, refused=refused)
        self._limits.record_headers(response.headers, account_id=context.account_id)
        set_idle_limit(response.request, context)
        if not is_stream_to_read(response, context):
            await async_read_body(response, context)
            return read_whole(response, context)
        if context.streamed:
            return response
        response = async_collected(response, context)
        if not stream:
            await response.aread()
        return response
