"""Turn every failure into an error of the OpenAI API: a status, headers, and a body `{"error": {...}}`.

`api_error_of` maps the exceptions of the client with one table, `_ERRORS`. The first row whose class matches counts. A
row without a status keeps the one of the exception, which is the real status, also if the backend sent the error within
a stream. The server raises `ApiError` for its own errors. Where the OpenAI API has a code for the error, such as
`model_not_found`, the server uses it. Otherwise the code begins with `local_`, so that users do not look for the cause
in the backend.

Clients decide by three things: the status, the code (`context_length_exceeded` starts a compaction), and the header
`x-should-retry`, which the official clients obey. It is `false` for a status that they would retry in vain.

This module has no I/O, clock or randomness.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import openai

from .. import _exceptions as exceptions
from .._errors.advice import Interface, advise
from .._errors.error_text import error_message
from .._redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["INTERNAL_ERROR", "SHUTTING_DOWN", "ApiError", "api_error_of", "argument_error"]

# The code of an unexpected exception: a bug.
INTERNAL_ERROR: Final = "local_internal_error"
# The code of a request that the end of the server ends.
SHUTTING_DOWN: Final = "local_shutting_down"

_INVALID_REQUEST: Final = "invalid_request_error"
_NO_RETRY: Final = {"x-should-retry": "false"}
# The statuses that the official clients retry: 408, 409, 429 and from 500 on.
_RETRIED_STATUSES: Final = frozenset({408, 409, 429})


class ApiError(Exception):
    """An error response of the server.

    `type`, `code` and `param` are those of the OpenAI API, `details` are further members of the error object.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = _INVALID_REQUEST,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.headers = dict(headers or {})
        self.details = dict(details or {})

    @property
    def error(self) -> dict[str, Any]:
        """The error object, as it is in a body, or in an event of a stream that has begun."""
        return {"message": self.message, "type": self.type, "param": self.param, "code": self.code, **self.details}

    @property
    def body(self) -> dict[str, Any]:
        """The body of the response."""
        return {"error": self.error}


class _Row(NamedTuple):
    """The error for a class of exceptions.

    `status` None keeps the exception's. `code` is used if the backend sent none. `message` replaces the exception's.
    """

    exception: type[BaseException]
    status: int | None
    type: str
    code: str | None = None
    message: str | None = None


_LOG_IN: Final = (
    "codex-backend serve has no valid login. Run `codex-backend login` on the machine of the server. "
    "It does not have to be restarted."
)
_ERRORS: Final = (
    # Status 401 is never retried. The code tells it from a wrong key of the server.
    _Row(exceptions.LoginRequiredError, 401, "authentication_error", "login_required", _LOG_IN),
    _Row(exceptions.TokenRefreshError, 503, "server_error", "token_refresh_failed"),
    _Row(exceptions.CredentialStoreError, 500, "server_error", "credential_store_error"),
    _Row(exceptions.UsageLimitError, 429, "usage_limit_reached", "usage_limit_reached"),
    _Row(exceptions.UsageNotIncludedError, 429, "usage_not_included", "usage_not_included"),
    _Row(exceptions.QuotaExceededError, 429, "insufficient_quota", "insufficient_quota"),
    _Row(exceptions.TooManyRequestsError, 429, "rate_limit_error", "rate_limit_exceeded"),
    _Row(exceptions.ServerOverloadedError, 503, "server_error", "server_is_overloaded"),
    _Row(exceptions.ContextLengthExceededError, 400, _INVALID_REQUEST, "context_length_exceeded"),
    _Row(exceptions.ModelNotAvailableError, 404, _INVALID_REQUEST, "model_not_found"),
    _Row(exceptions.InvalidEncryptedContentError, 400, _INVALID_REQUEST, "invalid_encrypted_content"),
    _Row(exceptions.PolicyViolationError, 400, _INVALID_REQUEST, "invalid_prompt"),
    _Row(exceptions.CodexBackendUnsupportedParameterError, 400, _INVALID_REQUEST, "unsupported_parameter"),
    _Row(exceptions.UnsupportedEndpointError, 404, _INVALID_REQUEST, "unsupported_endpoint"),
    _Row(exceptions.InvalidChatRequestError, 400, _INVALID_REQUEST, "invalid_value"),
    _Row(exceptions.HistoryError, 400, _INVALID_REQUEST, "invalid_value"),
    _Row(exceptions.ToolDefinitionError, 400, _INVALID_REQUEST, "invalid_value"),
    _Row(exceptions.CloudflareBlockedError, 403, "permission_error", "cloudflare_blocked"),
    _Row(exceptions.RegionNotSupportedError, 403, "permission_error", "unsupported_country_region_territory"),
    # The response began, so status 200 may have been sent: then these are an event of the stream.
    _Row(openai.APITimeoutError, 504, "server_error", "timeout"),
    _Row(exceptions.StreamInterruptedError, 502, "server_error", "stream_interrupted"),
    _Row(exceptions.ResponseFailedError, 500, "server_error", "server_error"),
    _Row(exceptions.UnexpectedResponseError, 502, "server_error", "invalid_backend_response"),
    _Row(openai.APIConnectionError, 502, "server_error", "backend_unreachable"),
    _Row(openai.APIStatusError, None, _INVALID_REQUEST),
)

_INVALID_RESPONSE: Final = next(row for row in _ERRORS if row.exception is exceptions.UnexpectedResponseError)

# How the official exceptions begin.
_OPENAI_PREFIX: Final = re.compile(r"^Error code: (\d+)(?: - |$)")


def api_error_of(error: BaseException, *, now: datetime) -> ApiError:
    """Return the error response for an exception. `now` is an aware time, for the seconds of `Retry-After`.

    The message of an unknown exception is not shown, because it may contain a part of the prompt.
    """
    if isinstance(error, ApiError):
        return error
    row = next((row for row in _ERRORS if isinstance(error, row.exception)), None)
    if row is None:
        return ApiError(
            500,
            f"codex-backend serve failed with an unexpected {type(error).__name__}. Its output has the traceback. "
            "Report it as a bug.",
            type="server_error",
            code=INTERNAL_ERROR,
            headers=_NO_RETRY,
        )
    untyped_error: Any = error
    status = row.status or int(untyped_error.status_code)
    if status < 400:  # a redirect or 304, which would mean something else for the client of the server
        row, status = _INVALID_RESPONSE, 502
    details = _limit_details(error, now) if isinstance(error, exceptions.UsageLimitError) else {}
    return ApiError(
        status,
        row.message or _message(error),
        type="server_error" if row.status is None and status >= 500 else row.type,
        code=row.code if row.message else _text(untyped_error, "code") or row.code,
        param=_param(error),
        headers=_headers(error, status, details),
        details=details,
    )


def argument_error(error: TypeError | ValueError) -> ApiError:
    """Return the error response for an exception that the client raised for the arguments of a call.

    Call this only for exceptions of `_prepare_call`: elsewhere, a TypeError or ValueError is a bug.
    """
    return ApiError(400, _message(error), code="invalid_type" if isinstance(error, TypeError) else "invalid_value")


def _text(error: Any, name: str) -> str | None:
    value = getattr(error, name, None)
    return value if isinstance(value, str) else None


def _param(error: BaseException) -> str | None:
    if isinstance(error, exceptions.CodexBackendUnsupportedParameterError):
        return next(iter(error.parameters), None)
    return "input" if isinstance(error, exceptions.HistoryError) else _text(error, "param")


def _message(error: BaseException) -> str:
    if isinstance(error, exceptions.ContextLengthExceededError):
        # Programs look for the backend's own words, in order to compact the history.
        sent = error_message({"error": error.body})
        if sent is not None:
            return redact(sent)
    text = str(getattr(error, "message", None) or error) or type(error).__name__
    text = advise(text, Interface.SERVER)
    return redact(_OPENAI_PREFIX.sub(r"The backend responded with status \1. ", text).rstrip())


def _limit_details(error: exceptions.UsageLimitError, now: datetime) -> dict[str, Any]:
    """Return the members that the backend sends with a used-up limit. `resets_at` is in seconds since 1970."""
    details: dict[str, Any] = {} if error.plan is None else {"plan_type": error.plan}
    if error.resets_at is not None:
        details["resets_at"] = int(error.resets_at.timestamp())
        details["resets_in_seconds"] = max(0, math.ceil((error.resets_at - now).total_seconds()))
    return details


def _headers(error: Any, status: int, details: Mapping[str, Any]) -> dict[str, str]:
    headers = {}
    retry_after = getattr(error, "retry_after", None)
    seconds = details.get("resets_in_seconds") if retry_after is None else math.ceil(retry_after)
    if seconds is not None:
        headers["retry-after"] = str(seconds)
    if (status in _RETRIED_STATUSES or status >= 500) and not getattr(error, "is_retryable", False):
        headers |= _NO_RETRY
    request_id = _text(error, "request_id")
    if request_id is not None and request_id.isascii() and request_id.isprintable():
        headers["x-request-id"] = request_id
    return headers
