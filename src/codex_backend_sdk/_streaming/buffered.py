"""Read a response to its end and return it in the form that the official client expects.

The official client expects a JSON body. The backend sends an event stream even for a call without `stream=True`, and
JSON of another form for the model catalog. This module reads such responses within the attempt, so that an interrupted
response can be retried, and returns an `httpx2.Response` with the JSON of the official API.

Error bodies are read for at most 10 s, and may be incomplete, damaged or too large: the status is sufficient for the
error.
"""

from __future__ import annotations

import contextlib
import time
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Final

import httpx2

from .._body_buffer import BodyBuffer, BodyTooLargeError
from .._catalog import find_model, to_official_list
from .._chat.chat_completion import build_completion
from .._coerce import as_count
from .._errors.classify import AVAILABLE_MODELS_MEMBER
from .._errors.error_text import describe_body
from .._exceptions import UnexpectedResponseError
from .._json import decode, encode
from .._redaction import sent_secrets
from .._request.compression import plain_content
from .._request.routes import Route
from .._upstream import set_body, timeout_exceptions
from .body import (
    async_close_chunks,
    async_iterate_until_deadline,
    async_read_chunks,
    iterate_until_deadline,
    read_chunks,
)
from .reader import ResponseReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._request.context import RequestContext

__all__ = ["async_buffer", "buffer", "is_event_stream"]

_STREAMED_ROUTES: Final = (Route.RESPONSES, Route.COMPACT)
_COMPACTION_ITEMS: Final = ("compaction", "compaction_summary")
# Headers that describe the body of the backend, not the JSON that replaces it.
_BODY_HEADERS: Final = (b"content-type", b"content-length", b"content-encoding", b"transfer-encoding")
_ERROR_BODY_SECONDS: Final = 10.0
_INVALID_BODY_ERRORS: Final[tuple[type[Exception], ...]] = (httpx2.DecodingError, BodyTooLargeError)


def is_event_stream(response: httpx2.Response, context: RequestContext) -> bool:
    """Return whether this is the event stream of a model response, and not an error or the page of a proxy."""
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return context.route in _STREAMED_ROUTES and response.is_success and content_type == "text/event-stream"


def buffer(response: httpx2.Response, context: RequestContext) -> httpx2.Response:
    """Read a response to its end and return the response for the official client.

    Raises StreamInterruptedError if an event stream was interrupted, the exception of the failure if the response
    failed, and UnexpectedResponseError if a successful response has another content than the route returns.
    """
    if not is_event_stream(response, context):
        _read_body(response, context)
        return _official_response(response, context)
    reader = ResponseReader(response, context)
    with closing(read_chunks(reader, response, context.deadline)) as chunks:
        for chunk in chunks:
            reader.collect(chunk)
    return _model_response(response, context, reader.final_response())


async def async_buffer(response: httpx2.Response, context: RequestContext) -> httpx2.Response:
    """Read an async response to its end, as `buffer` does."""
    if not is_event_stream(response, context):
        await _async_read_body(response, context)
        return _official_response(response, context)
    reader = ResponseReader(response, context)
    async with aclosing(async_read_chunks(reader, response, context.deadline)) as chunks:
        async for chunk in chunks:
            reader.collect(chunk)
    return _model_response(response, context, reader.final_response())


# Bodies other than event streams


def _read_body(response: httpx2.Response, context: RequestContext) -> None:
    body = BodyBuffer()
    try:
        for chunk in iterate_until_deadline(response, response.iter_bytes(), _body_deadline(response, context)):
            body.add(chunk)
    except (*timeout_exceptions(), *_INVALID_BODY_ERRORS) as error:
        _require_partial_is_sufficient(response, context, error)
    finally:
        response.close()
    set_body(response, bytes(body))


async def _async_read_body(response: httpx2.Response, context: RequestContext) -> None:
    body = BodyBuffer()
    chunks = async_iterate_until_deadline(response.aiter_bytes(), _body_deadline(response, context))
    try:
        async for chunk in chunks:
            body.add(chunk)
    except (*timeout_exceptions(), *_INVALID_BODY_ERRORS) as error:
        _require_partial_is_sufficient(response, context, error)
    finally:
        await async_close_chunks(chunks)
        await response.aclose()
    set_body(response, bytes(body))


def _body_deadline(response: httpx2.Response, context: RequestContext) -> float | None:
    if response.is_success:
        return context.deadline
    error_deadline = time.monotonic() + _ERROR_BODY_SECONDS
    return error_deadline if context.deadline is None else min(context.deadline, error_deadline)


def _require_partial_is_sufficient(response: httpx2.Response, context: RequestContext, error: Exception) -> None:
    """Raise, unless this is an error response before the deadline of the call."""
    if not response.is_success and (context.deadline is None or time.monotonic() < context.deadline):
        return
    if isinstance(error, BodyTooLargeError):
        raise UnexpectedResponseError(
            f"The body of the response {error}, the limit for every response but an event stream. "
            "Check `base_url`, and whether a proxy intercepts the requests.",
            response=response,
        ) from None
    raise error


def _official_response(response: httpx2.Response, context: RequestContext) -> httpx2.Response:
    """Return the response for the official client, after the body was read."""
    if not response.is_success:
        return response  # the official client raises an exception for it
    if context.route in _STREAMED_ROUTES:
        raise _unexpected(response, "an event stream")
    if context.route in (Route.MODELS, Route.MODEL):
        return _catalog_response(response, context)
    body = _json_object(response, "a JSON object")
    if context.route is Route.USAGE and context.limits_tracker is not None:
        context.limits_tracker.record_usage(body, account_id=context.account_id)
    return response


def _unexpected(response: httpx2.Response, expected: str) -> UnexpectedResponseError:
    body = describe_body(response.headers.get("content-type", ""), response.text, sent=_sent_texts(response.request))
    return UnexpectedResponseError(
        f"The backend responded {response.status_code} with {body} instead of {expected}. "
        "Check `base_url`, and whether a proxy or a login page intercepts the requests.",
        response=response,
        body=response.text,
    )


def _sent_texts(request: httpx2.Request) -> tuple[str, ...]:
    """Return the texts of a request, which an unexpected body may repeat but no message may show."""
    try:
        body = decode(plain_content(request)) if request.content else None
    except (httpx2.RequestNotRead, ValueError):  # a caller's `auth` has replaced the body
        body = None
    return sent_secrets(request.headers.multi_items(), _texts(body))


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in JSON data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _texts(member)


def _json_object(response: httpx2.Response, expected: str) -> dict[str, Any]:
    try:
        body = decode(response.content)
    except ValueError as error:
        raise _unexpected(response, expected) from error
    if not isinstance(body, dict):
        raise _unexpected(response, expected)
    return body


def _catalog_response(response: httpx2.Response, context: RequestContext) -> httpx2.Response:
    """Return the official list of models, or one model, because the backend has no route for a single model."""
    catalog = _json_object(response, "its model catalog")
    try:
        models = to_official_list(catalog)
    except ValueError as error:
        raise _unexpected(response, "its model catalog") from error
    if context.model_id is None:
        return _with_json(response, models)
    model = find_model(catalog, context.model_id)
    if model is not None:
        return _with_json(response, model)
    available = [model["id"] for model in models["data"] if model.get("visibility") != "hide"]
    message = (
        f"The model {context.model_id!r} is not in the model catalog of this account. "
        f"Use an available model: {', '.join(available) or 'none'}."
    )
    body = {
        "error": {"code": "model_not_found", "message": message, "param": "model", AVAILABLE_MODELS_MEMBER: available}
    }
    return _with_json(response, body, status=404)


# Event streams


def _model_response(response: httpx2.Response, context: RequestContext, body: dict[str, Any]) -> httpx2.Response:
    if context.route is Route.COMPACT:
        body = _compacted_body(body, context, response)
    elif context.chat is not None:
        body = build_completion(body, context.chat, account_id=context.account_id)
    buffered = _with_json(response, body)
    with contextlib.suppress(RuntimeError):  # a response that a transport constructed has no elapsed time
        buffered.elapsed = response.elapsed
    return buffered


def _compacted_body(body: dict[str, Any], context: RequestContext, response: httpx2.Response) -> dict[str, Any]:
    """Return the body of the official compacted response: the user messages of the input, then the compaction item."""
    output = body.get("output") or ()
    items = [item for item in output if isinstance(item, dict) and item.get("type") in _COMPACTION_ITEMS]
    if len(items) != 1:
        raise UnexpectedResponseError(
            f"The backend returned {len(items)} compaction items instead of one. The input is unchanged. "
            "Call `compact` again, or continue without it.",
            response=response,
        )
    return {
        "id": body.get("id"),
        "object": "response.compaction",
        "created_at": as_count(body.get("created_at")) or 0,
        "output": [*context.kept_items, items[0]],
        "usage": body.get("usage"),
        **{name: body[name] for name in ("dropped_parameters", "input_transformations") if name in body},
    }


def _with_json(response: httpx2.Response, body: Any, *, status: int | None = None) -> httpx2.Response:
    """Return the same response with a JSON body."""
    # Raw headers, because httpx cannot encode a decoded header that is not ASCII.
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _BODY_HEADERS]
    return httpx2.Response(
        response.status_code if status is None else status,
        headers=[*headers, (b"content-type", b"application/json")],
        # A stream, because `with_streaming_response` returns a response that was not read.
        stream=httpx2.ByteStream(encode(body)),
        request=response.request,
        extensions=response.extensions,
    )
