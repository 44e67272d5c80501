"""Implement `client.responses`: openai's resource, with a default model and any iterable as input.

Each method completes the parameters and calls the method of openai, which builds the request options and calls `_post`.
`_request` later shapes the body for the backend, for every request.

At run time the methods have openai's signatures and docstrings (`functools.wraps`). Type checkers see the inherited
methods, with two exceptions: the overloads of `create` add `dropped_parameters` and `restarts` to what it returns, and
`parse` has the additional parameter `validation_retries`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_origin, overload

import openai
from openai.resources.responses import AsyncResponses as OfficialAsyncResponses
from openai.resources.responses import Responses as OfficialResponses

from .._exceptions import OutputValidationError
from .._request.argument_hints import RESPONSES_HINTS, ArgumentHints
from .._request.request_body import PreparedInput
from .._request.shaping import is_absent
from .._request.validation_retries import ParseAttempts
from .._upstream import is_official

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Unpack

    import httpx2
    from openai._types import Body, Headers, Query
    from openai.types.responses import ParsedResponse, Response
    from openai.types.responses.response_create_params import ResponseCreateParamsBase
    from openai.types.responses.tool_param import ParseableToolParam

    from .._streaming.streams import AsyncResponseEventStream, ResponseEventStream

    class CreateParams(ResponseCreateParamsBase, total=False):
        """openai's parameters of `create`, except `stream`."""

        extra_headers: Headers | None
        extra_query: Query | None
        extra_body: Body | None
        timeout: float | httpx2.Timeout | openai.NotGiven | None

    class ParseParams(CreateParams, total=False):
        """openai's parameters of `parse`, except those that determine the type of its result."""

        tools: Iterable[ParseableToolParam]  # type: ignore[misc]  # pyright: ignore[reportIncompatibleVariableOverride]
        verbosity: Literal["low", "medium", "high"] | None

    class CodexResponse(Response):
        """openai's `Response` for type checkers, with the attribute that `unsupported="drop"` adds."""

        dropped_parameters: list[str]


__all__ = ["AsyncResponses", "Responses"]

_FormatT = TypeVar("_FormatT")
_FunctionT = TypeVar("_FunctionT", bound="Callable[..., Any]")

# Parameters that bypass openai's parameter transform, in `extra_body`. The transform compares every field of every item
# with openai's types, which takes 0.5 ms for each item of `input` and up to 75 µs for each of the others.
# `to_json_data` makes the same changes. Tracers see all parameters: `_post` puts them back into the body before
# `client.request()`, and nothing bypasses a method of openai that a tracer has replaced.
_BYPASS_OF_CREATE: Final = (
    "input",
    "tools",
    "model",
    "instructions",
    "include",
    "parallel_tool_calls",
    "prompt_cache_key",
    "store",
)
_BYPASS_OF_COMPACT: Final = ("input", "tools")
_BYPASS_OF_PARSE: Final = ("input",)  # the method of openai needs `tools`
# None is a value of these parameters. For all others it means that the parameter is not given.
_NULLABLE: Final = ("timeout", "parse_as")

_create_hints = ArgumentHints(OfficialResponses.create, hints=RESPONSES_HINTS)
_parse_hints = ArgumentHints(OfficialResponses.parse, hints=RESPONSES_HINTS)
_compact_hints = ArgumentHints(OfficialResponses.compact, hints=RESPONSES_HINTS)
_stream_hints = ArgumentHints(OfficialResponses.stream, hints=RESPONSES_HINTS)

_VALIDATION_RETRIES: Final = """

validation_retries: How often to send the request again if the text, or the arguments of a strict tool, do not match.
  The input of a retry ends with the output of the last response, an output for each of its calls that says that the
  call was not run, and a user message with the errors. After the last retry, a text that does not match raises
  OutputValidationError, and a call that does not match has `parsed_arguments` None. Each retry is a call of its own for
  `max_retries` and the timeouts, and counts for the limits; `response.usage` is that of the last attempt. An incomplete
  response is returned without a retry.
"""


def _wraps_parse(official: Callable[..., Any]) -> Callable[[_FunctionT], _FunctionT]:
    """Give a method the name of openai's `parse`, and its signature and docstring with `validation_retries`."""

    def decorate(function: _FunctionT) -> _FunctionT:
        signature = inspect.signature(official)
        added = inspect.Parameter("validation_retries", inspect.Parameter.KEYWORD_ONLY, default=0, annotation="int")
        wrapped: Any = wraps(official)(function)
        wrapped.__signature__ = signature.replace(parameters=[*signature.parameters.values(), added])
        wrapped.__doc__ = (official.__doc__ or "Parse the output.").rstrip() + _VALIDATION_RETRIES
        return function

    return decorate


class Responses(OfficialResponses):
    """Model responses, with openai's methods `create`, `parse`, `stream`, `compact` and `connect`."""

    def __init__(self, client: openai.OpenAI) -> None:
        super().__init__(client)
        self._post = partial(_post, client)

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # the parameters are keyword-only and the same
        def create(
            self, *, stream: Literal[False] | openai.Omit | None = ..., **params: Unpack[CreateParams]
        ) -> CodexResponse: ...
        @overload
        def create(self, *, stream: Literal[True], **params: Unpack[CreateParams]) -> ResponseEventStream: ...
        @overload
        def create(self, *, stream: bool, **params: Unpack[CreateParams]) -> CodexResponse | ResponseEventStream: ...
        def create(  # pyright: ignore[reportIncompatibleMethodOverride]  # the parameters are keyword-only and the same
            self, **params: Any
        ) -> Any: ...

        @overload  # type: ignore[override]  # as above
        def parse(
            self,
            *,
            parse_as: type[_FormatT] | None,
            text_format: type | openai.Omit = ...,
            validation_retries: int = ...,
            **params: Unpack[ParseParams],
        ) -> ParsedResponse[_FormatT]: ...
        @overload
        def parse(
            self,
            *,
            text_format: type[_FormatT] | openai.Omit = ...,  # pyright: ignore[reportInvalidTypeVarUse]  # as openai's
            validation_retries: int = ...,
            **params: Unpack[ParseParams],
        ) -> ParsedResponse[_FormatT]: ...
        def parse(  # pyright: ignore[reportIncompatibleMethodOverride]  # as above
            self, **params: Any
        ) -> Any: ...

    else:

        @wraps(OfficialResponses.create)
        def create(self, **params: Any) -> Any:
            with _create_hints:
                return super().create(**_complete(self._client, params, super().create, _BYPASS_OF_CREATE))

        @_wraps_parse(OfficialResponses.parse)
        def parse(self, *, validation_retries: int = 0, **params: Any) -> Any:
            attempts = ParseAttempts(params, validation_retries)
            while True:
                params = _complete(self._client, attempts.params, super().parse, _BYPASS_OF_PARSE)
                try:
                    with _parse_hints, attempts:
                        response = super().parse(**params)
                except OutputValidationError as error:
                    if not attempts.add_errors(error.response_object, error.__cause__):
                        raise
                else:
                    if not attempts.add_errors(response):
                        return response

        @wraps(OfficialResponses.compact)
        def compact(self, **params: Any) -> Any:
            with _compact_hints:
                params = _complete(self._client, params, super().compact, _BYPASS_OF_COMPACT)
                return super().compact(**_with_model(self._client, params))

        @wraps(OfficialResponses.stream)
        def stream(self, **params: Any) -> Any:
            from .response_stream import StreamManager  # few programs use this method

            with _stream_hints:
                return StreamManager(super().stream(**_complete(self._client, params)))

        @wraps(OfficialResponses.connect)
        def connect(self, *args: Any, **arguments: Any) -> Any:
            from .connections import ConnectionManager  # few programs use this method

            return ConnectionManager(self._client, _bind(super().connect, *args, **arguments))


class AsyncResponses(OfficialAsyncResponses):
    """Model responses, with openai's methods `create`, `parse`, `stream`, `compact` and `connect`."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        super().__init__(client)
        self._post = partial(_post, client)

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # as above
        async def create(
            self, *, stream: Literal[False] | openai.Omit | None = ..., **params: Unpack[CreateParams]
        ) -> CodexResponse: ...
        @overload
        async def create(
            self, *, stream: Literal[True], **params: Unpack[CreateParams]
        ) -> AsyncResponseEventStream: ...
        @overload
        async def create(
            self, *, stream: bool, **params: Unpack[CreateParams]
        ) -> CodexResponse | AsyncResponseEventStream: ...
        async def create(  # pyright: ignore[reportIncompatibleMethodOverride]  # as above
            self, **params: Any
        ) -> Any: ...

        @overload  # type: ignore[override]  # as above
        async def parse(
            self,
            *,
            parse_as: type[_FormatT] | None,
            text_format: type | openai.Omit = ...,
            validation_retries: int = ...,
            **params: Unpack[ParseParams],
        ) -> ParsedResponse[_FormatT]: ...
        @overload
        async def parse(
            self,
            *,
            text_format: type[_FormatT] | openai.Omit = ...,  # pyright: ignore[reportInvalidTypeVarUse]  # as openai's
            validation_retries: int = ...,
            **params: Unpack[ParseParams],
        ) -> ParsedResponse[_FormatT]: ...
        async def parse(  # pyright: ignore[reportIncompatibleMethodOverride]  # as above
            self, **params: Any
        ) -> Any: ...

    else:

        @wraps(OfficialAsyncResponses.create)
        async def create(self, **params: Any) -> Any:
            with _create_hints:
                return await super().create(**_complete(self._client, params, super().create, _BYPASS_OF_CREATE))

        @_wraps_parse(OfficialAsyncResponses.parse)
        async def parse(self, *, validation_retries: int = 0, **params: Any) -> Any:
            attempts = ParseAttempts(params, validation_retries)
            while True:
                params = _complete(self._client, attempts.params, super().parse, _BYPASS_OF_PARSE)
                try:
                    with _parse_hints, attempts:
                        response = await super().parse(**params)
                except OutputValidationError as error:
                    if not attempts.add_errors(error.response_object, error.__cause__):
                        raise
                else:
                    if not attempts.add_errors(response):
                        return response

        @wraps(OfficialAsyncResponses.compact)
        async def compact(self, **params: Any) -> Any:
            with _compact_hints:
                params = _complete(self._client, params, super().compact, _BYPASS_OF_COMPACT)
                return await super().compact(**_with_model(self._client, params))

        @wraps(OfficialAsyncResponses.stream)
        def stream(self, **params: Any) -> Any:
            from .response_stream import AsyncStreamManager  # few programs use this method

            with _stream_hints:
                return AsyncStreamManager(super().stream(**_complete(self._client, params)))

        @wraps(OfficialAsyncResponses.connect)
        def connect(self, *args: Any, **arguments: Any) -> Any:
            from .connections import AsyncConnectionManager  # few programs use this method

            return AsyncConnectionManager(self._client, _bind(super().connect, *args, **arguments))


def _complete(client: Any, params: dict[str, Any], method: Any = None, bypass: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the parameters for a method of openai, with those in `bypass` moved to `extra_body`.

    Parameters that are None are dropped, because openai's client would send them as null. An iterator of tools becomes
    a list, because `parse` reads it twice. A value in the caller's `extra_body` has precedence. If
    `method` is not openai's own, nothing is moved, and the default model is added: a tracer records the arguments.
    """
    params = {name: value for name, value in params.items() if value is not None or name in _NULLABLE}
    _require_text_format(params.get("text_format"))
    if isinstance(params.get("tools"), Iterator):
        params["tools"] = list(params["tools"])
    if not is_official(method):
        if isinstance(params.get("input"), PreparedInput):  # openai's transform makes a plain list of the argument
            params["extra_body"] = {"input": params["input"], **(params.get("extra_body") or {})}
        return _with_model(client, params)
    bypassed = {name: params.pop(name) for name in bypass if not is_absent(params.get(name))}
    if bypassed:
        params["extra_body"] = {**bypassed, **(params.get("extra_body") or {})}
    return params


def _require_text_format(text_format: Any) -> None:
    """Raise TypeError for two formats that openai's method rejects without a remedy."""
    if isinstance(text_format, Mapping):
        raise TypeError(
            "`text_format` must be a pydantic model, not a JSON schema. Pass a schema in `text={'format': {...}}`."
        )
    if get_origin(text_format) is not None:
        raise TypeError(
            f"`text_format` must be a pydantic model, not {text_format}. Define a model with a field of this type."
        )


def _bind(function: Callable[..., Any], *args: Any, **arguments: Any) -> dict[str, Any]:
    """Return all arguments of a call, with the defaults. Raises TypeError as the call would."""
    bound = inspect.signature(function).bind(*args, **arguments)
    bound.apply_defaults()
    return bound.arguments


def _post(client: Any, path: str, *, body: Any = None, options: Any = None, **arguments: Any) -> Any:
    """Call `client.post` with one body, which has the default model and the parameters of `extra_body`."""
    if path in ("/responses", "/responses/compact"):
        options = dict(options or {})
        body = {"model": client._codex.model, **body, **(options.pop("extra_json", None) or {})}
    return client.post(path, body=body, options=options, **arguments)


def _with_model(client: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Add the client's default model for a method that requires one, unless it continues an existing response."""
    if is_absent(params.get("model")) and is_absent(params.get("response_id")):
        params["model"] = client._codex.model
    return params
