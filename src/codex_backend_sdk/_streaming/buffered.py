"""Answers that the official client can read as it reads any JSON answer.

The backend only streams. For a call that wants no stream, the events are collected while the body is read: at once for
an ordinary call, so that it can be tried again, and only when asked for with `with_streaming_response`.
"""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any, Final

import httpx2

from .._catalog import find_model, to_official_list
from .._errors.classify import AVAILABLE_MODELS_MEMBER
from .._errors.error_text import describe_body
from .._exceptions import UnexpectedResponseError
from .._json import decode, encode
from .._request.routes import Route
from .._request.timeouts import async_within, within
from .._upstream import request_exceptions, timeout_exceptions
from .drain import async_drain, drain
from .reader import ResponseReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .._request.context import RequestContext

__all__ = ["async_collected", "collected", "is_stream_to_read", "read_whole"]

_STREAMED: Final = (Route.RESPONSES, Route.COMPACT)
_OF_THE_STREAM: Final = (b"content-type", b"content-length", b"content-encoding", b"transfer-encoding")


def is_stream_to_read(response: httpx2.Response, context: RequestContext) -> bool:
    """Whether this is the event stream that a request for a response promises, and not an error or something else."""
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return context.route in _STREAMED and response.is_success and content_type == "text/event-stream"


def read_whole(response: httpx2.Response, context: RequestContext) -> httpx2.Response:
    """Return a read answer that is no event stream as the official client expects it, or raise what it really is."""
    if not response.is_success:
        return response
    if context.route in _STREAMED:
        raise _unexpected(response, "an event stream")
    if context.route in (Route.ACCOUNT, Route.USAGE, Route.RESET):
        answer = _json_object(response, "a JSON object")
        if context.route is Route.USAGE and context.limits is not None:
            context.limits.record_usage(answer, account_id=context.account_id)
        return response
    return _official_models(response, context)


def _unexpected(response: httpx2.Response, expected: str) -> UnexpectedResponseError:
    found = describe_body(response.headers.get("content-type", ""), response.text)
    return UnexpectedResponseError(
        f"The backend answered {response.status_code} with {found} instead of {expected}. "
        "The usual cause is a proxy or a login page between here and the backend, or a wrong `base_url`.",
        response=response,
        body=response.text,
    )


def _json_object(response: httpx2.Response, expected: str) -> dict[str, Any]:
    try:
        found = decode(response.content)
    except (ValueError, RecursionError) as error:
        raise _unexpected(response, expected) from error
    if not isinstance(found, dict):
        raise _unexpected(response, expected)
    return found


def collected(response: httpx2.Response, context: RequestContext) -> httpx2.Response:
    """Return a response whose JSON body is the final response of an event stream, collected when it is read."""
    return _with_body(response, _CollectedBody(response, context))


def async_collected(response: httpx2.Response, context: RequestContext) -> httpx2.Response:
    """Return what `collected` does, for a response of an async client."""
    return _with_body(response, _AsyncCollectedBody(response, context))


def _with_body(response: httpx2.Response, body: _CollectedBody | _AsyncCollectedBody) -> httpx2.Response:
    target = httpx2.Response(
        response.status_code,
        headers=_json_headers(response),
        stream=body,
        request=response.request,
        extensions=response.extensions,
    )
    body.target = weakref.ref(target)
    return target


def _copy_elapsed(source: httpx2.Response, target: httpx2.Response | None) -> None:
    if target is not None:
        with contextlib.suppress(RuntimeError):  # a response that was made whole was never timed
            target.elapsed = source.elapsed


def _official_models(response: httpx2.Response, context: RequestContext) -> httpx2.Response:
    catalogue = _json_object(response, "its model catalogue")
    try:
        answer = to_official_list(catalogue)
    except ValueError as error:
        raise _unexpected(response, "its model catalogue") from error
    if context.model_id is not None:
        model = find_model(catalogue, context.model_id)
        if model is None:
            return _no_such_model(response, context.model_id, answer["data"])
        answer = model
    return _json_response(response, response.status_code, answer)


def _no_such_model(response: httpx2.Response, wanted: str, catalogue: list[dict[str, Any]]) -> httpx2.Response:
    known = [model["id"] for model in catalogue if model.get("visibility") != "hide"]
    message = f"The model {wanted!r} is not in this account's catalogue, which offers: {', '.join(known) or 'none'}."
    error = {"code": "model_not_found", "message": message, "param": "model", AVAILABLE_MODELS_MEMBER: known}
    return _json_response(response, 404, {"error": error})


def _json_response(response: httpx2.Response, status: int, body: Any) -> httpx2.Response:
    return httpx2.Response(
        status,
        headers=_json_headers(response),
        content=encode(body),
        request=response.request,
        extensions=response.extensions,
    )


def _json_headers(response: httpx2.Response) -> list[tuple[bytes, bytes]]:
    # As they came: text that is not ASCII could not be written again.
    kept = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_STREAM]
    return [*kept, (b"content-type", b"application/json")]


def _final_json(answer: ResponseReader, context: RequestContext, source: httpx2.Response) -> bytes:
    response = answer.collected()
    return encode(response if context.route is not Route.COMPACT else _compacted(response, context, source))


def _compacted(response: dict[str, Any], context: RequestContext, source: httpx2.Response) -> dict[str, Any]:
    """Return the official compacted response: what was kept of the input, then the one compaction item."""
    items = [
        item for item in response.get("output") or () if isinstance(item, dict) and item.get("type") in _COMPACTIONS
    ]
    if len(items) != 1:
        raise UnexpectedResponseError(
            f"A compaction has to answer with one compaction item, this one had {len(items)}. The input is unchanged; "
            "call `compact` again, or go on without.",
            response=source,
        )
    return {
        "id": response.get("id"),
        "object": "response.compaction",
        "created_at": int(response.get("created_at") or 0),
        "output": [*context.kept, items[0]],
        "usage": response.get("usage"),
        **{name: response[name] for name in ("dropped_parameters",) if name in response},
    }


_COMPACTIONS: Final = ("compaction", "compaction_summary")


class _CollectedBody(httpx2.SyncByteStream):
    target: weakref.ref[httpx2.Response]  # weak: a cycle would keep the connection until the next collection

    def __init__(self, source: httpx2.Response, context: RequestContext) -> None:
        self._source = source
        self._context = context

    def __iter__(self) -> Iterator[bytes]:
        answer = ResponseReader(self._source)
        try:
            chunks = within(answer.until, self._source.iter_bytes(), self._source)
            for chunk in chunks:
                answer.collect(chunk)
                if answer.is_over:
                    drain(chunks, self._source)
                    break
        except (*timeout_exceptions(), *request_exceptions()) as error:
            broken = answer.broken_by(error)
            if broken is not None:
                raise broken from error
        yield _final_json(answer, self._context, self._source)

    def close(self) -> None:
        self._source.close()
        _copy_elapsed(self._source, self.target())


class _AsyncCollectedBody(httpx2.AsyncByteStream):
    target: weakref.ref[httpx2.Response]  # weak: a cycle would keep the connection until the next collection

    def __init__(self, source: httpx2.Response, context: RequestContext) -> None:
        self._source = source
        self._context = context

    async def __aiter__(self) -> AsyncIterator[bytes]:
        answer = ResponseReader(self._source)
        try:
            chunks = async_within(answer.until, self._source.aiter_bytes(), self._source)
            async for chunk in chunks:
                answer.collect(chunk)
                if answer.is_over:
                    await async_drain(chunks)
                    break
        except (*timeout_exceptions(), *request_exceptions()) as error:
            broken = answer.broken_by(error)
            if broken is not None:
                raise broken from error
        yield _final_json(answer, self._context, self._source)

    async def aclose(self) -> None:
        await self._source.aclose()
        _copy_elapsed(self._source, self.target())
