"""Turn failures into exceptions, and attach the data that callers and the retry loop need.

Failures have three sources: an error status (`from_status`), an error event within a stream (`from_stream`), and the
HTTP client, whose exceptions openai wraps without address or reason (`add_connection_details`). `attach_failure` sets
the attributes that all of them share: `is_retryable`, `retry_after`, `request_id`, `cf_ray`, and the `Failure` itself,
which `failure_of` returns to the retry loop.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai

from .._catalog import similar_model
from .._connections import DeadlineExceededError
from .._exceptions import (
    CloudflareBlockedError,
    ContextLengthExceededError,
    InvalidEncryptedContentError,
    LoginRejectedError,
    ModelNotAvailableError,
    PolicyViolationError,
    QuotaExceededError,
    RegionNotSupportedError,
    ResponseFailedError,
    ServerOverloadedError,
    TooManyRequestsError,
    TotalTimeoutError,
    UnsupportedParameterError,
    UsageLimitError,
    UsageNotIncludedError,
)
from .._redaction import redact_data, sent_secrets
from .._safe_errors import make_picklable, redact_error
from .classify import NO_RESPONSE_FAILURE, TOTAL_TIMEOUT_FAILURE, Failure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from openai.types.responses import Response

__all__ = [
    "add_available_models",
    "add_connection_details",
    "attach_failure",
    "failure_of",
    "from_status",
    "from_stream",
    "total_timeout_error",
]

# Other kinds raise openai's class for their status, or `ResponseFailedError` within a stream.
_EXCEPTION_CLASSES: Final[dict[FailureKind, type[openai.APIStatusError]]] = {
    FailureKind.USAGE_LIMIT: UsageLimitError,
    FailureKind.USAGE_NOT_INCLUDED: UsageNotIncludedError,
    FailureKind.QUOTA_EXCEEDED: QuotaExceededError,
    FailureKind.FLEX_UNAVAILABLE: TooManyRequestsError,
    FailureKind.TOO_MANY_REQUESTS: TooManyRequestsError,
    FailureKind.OVERLOADED: ServerOverloadedError,
    FailureKind.CONTEXT_LENGTH: ContextLengthExceededError,
    FailureKind.MODEL_NOT_AVAILABLE: ModelNotAvailableError,
    FailureKind.UNSUPPORTED_PARAMETER: UnsupportedParameterError,
    FailureKind.ENCRYPTED_CONTENT: InvalidEncryptedContentError,
    FailureKind.POLICY_VIOLATION: PolicyViolationError,
    FailureKind.CLOUDFLARE_BLOCKED: CloudflareBlockedError,
    FailureKind.REGION_NOT_SUPPORTED: RegionNotSupportedError,
    FailureKind.LOGIN_REJECTED: LoginRejectedError,
}
_LIMIT_ATTRIBUTES: Final = ("plan", "resets_at", "window_length", "limit_name", "reached_type", "limits")

# Exception type, text and message of connection errors. The first row applies whose type is in the cause chain and
# whose text is in the message of the direct cause: `httpx2` raises `RemoteProtocolError` for everything that its HTTP
# parser rejects.
_CONNECTION_ERRORS: Final[tuple[tuple[type[BaseException], str, str], ...]] = (
    (
        ssl.SSLCertVerificationError,
        "",
        "certificate verification failed for {} ({}). If you use a TLS-inspecting proxy or a private CA, set "
        "`CODEX_CA_CERTIFICATE` or `SSL_CERT_FILE` to the CA's PEM file.",
    ),
    (ssl.SSLError, "", "the TLS handshake with {} failed ({}). Check the proxy and `base_url`."),
    (
        httpx2.RemoteProtocolError,
        "buffer too long",
        "{} sent a header that is too long ({}). Check the proxy and `base_url`.",
    ),
    (httpx2.RemoteProtocolError, "illegal", "{} sent an invalid HTTP response ({}). Check the proxy and `base_url`."),
    (httpx2.DecodingError, "", "the response of {} cannot be decompressed ({}). Check whether a proxy changes it."),
    (BaseException, "", "{} could not be reached ({}). Check the network, the proxy and `base_url`."),
)

# Exception type, httpx2's name of the timeout, message and remedy. The first row with the type applies.
_TIMEOUTS: Final = (
    (httpx2.ConnectTimeout, "connect", "could not connect to {}", "Increase `connect_timeout`."),
    (
        httpx2.PoolTimeout,
        "pool",
        "all connections to {} stayed in use",
        "Pass an `http_client` with a larger connection pool.",
    ),
    (httpx2.WriteTimeout, "write", "the request to {} could not be sent", "Increase `timeout`."),
    (httpx2.TimeoutException, "read", "{} did not begin to respond", "Increase `first_byte_timeout`."),
)


def from_status(
    failure: Failure, response: httpx2.Response, *, official: Callable[[], openai.APIStatusError]
) -> openai.APIStatusError:
    """Return the exception for an error status. `official` builds openai's own, for kinds without a class here."""
    failure = _redacted(failure, response)
    error = _api_error(failure, response) if failure.kind in _EXCEPTION_CLASSES else official()
    attach_failure(error, failure, response=response)
    return error


def from_stream(failure: Failure, response: httpx2.Response, *, partial: Response | None) -> openai.APIError:
    """Return the exception for an error event within a stream. `partial` is the response received so far."""
    failure = _redacted(failure, response)
    error: Any
    if failure.kind in _EXCEPTION_CLASSES:
        error = _api_error(failure, response)
        error.status_code = failure.status  # the HTTP status is 200
    else:
        error = ResponseFailedError(failure.message, request=response.request, body=failure.body)
        error.status_code = response.status_code
    if partial is not None:
        partial.error = None  # the exception has it, redacted
    error.partial = partial
    attach_failure(error, failure, response=response)
    return error  # type: ignore[no-any-return]


def _redacted(failure: Failure, response: httpx2.Response) -> Failure:
    """Return the failure without the secrets of the request, except in `body`, which is what the server sent."""
    secrets = sent_secrets(response.request.headers.multi_items())
    redacted: Failure = redact_data(replace(failure, body=None), secrets)
    return replace(redacted, body=failure.body)


def _api_error(failure: Failure, response: httpx2.Response) -> openai.APIStatusError:
    error: Any = _EXCEPTION_CLASSES[failure.kind](failure.message, response=response, body=failure.body)
    # openai's constructor reads both from the body; `classify` also reads them from other places.
    error.code = error.code if error.code is not None else failure.code
    error.param = error.param if error.param is not None else failure.param
    if isinstance(error, ModelNotAvailableError):
        error.available = failure.available_models
    if failure.limit is not None:
        for name in _LIMIT_ATTRIBUTES:
            setattr(error, name, getattr(failure.limit, name))
    return error  # type: ignore[no-any-return]


def attach_failure(
    error: openai.APIError, failure: Failure | None = None, *, response: httpx2.Response | None = None
) -> None:
    """Set the attributes of an exception that describe its failure and its response. Redact its texts.

    If `failure` is None, derive it from the exception: a total timeout, or a missing or interrupted response.
    """
    if failure is None:
        failure = TOTAL_TIMEOUT_FAILURE if isinstance(error, TotalTimeoutError) else NO_RESPONSE_FAILURE
    untyped_error: Any = error  # openai's classes do not declare these attributes
    untyped_error._codex_failure = failure
    untyped_error.is_retryable = failure.is_retryable
    untyped_error.retry_after = failure.retry_after
    if response is not None:
        untyped_error.request_id = response.headers.get("x-request-id") or response.headers.get("x-oai-request-id")
        untyped_error.cf_ray = response.headers.get("cf-ray")
    make_picklable(error)
    redact_error(error)


def failure_of(error: openai.APIError) -> Failure | None:
    """Return the failure attached to an exception. One without a failure (invalid response data) is never retried."""
    failure: Failure | None = getattr(error, "_codex_failure", None)
    return failure


def add_connection_details(error: openai.APIError, *, deadline: float | None) -> openai.APIError:
    """Return a connection or timeout error whose message has the address, the reason and the timeout.

    openai reports only that a connection failed or timed out. Return other errors unchanged. `deadline` is the deadline
    of the whole call in monotonic seconds, or None.
    """
    if error.__suppress_context__ and error.__cause__ is None:
        error.__context__ = None  # an exception of httpx2 with the request, which Dask pickles although openai hides it
    if isinstance(error, openai.APITimeoutError):
        error = _timeout_error(error, deadline)
    elif type(error) is openai.APIConnectionError and error.__cause__ is not None:
        error = _connection_error(error, error.__cause__)
    if failure_of(error) is None:
        if isinstance(error, openai.APIConnectionError):
            attach_failure(error)
        else:
            untyped_error: Any = error
            untyped_error.is_retryable = False
            make_picklable(error)
            redact_error(error)
    return error


def _connection_error(error: openai.APIConnectionError, cause: BaseException) -> openai.APIConnectionError:
    address = error.request.url.copy_with(query=None)
    if isinstance(cause, httpx2.LocalProtocolError):
        # The message and the traceback of the cause contain the invalid header, which may be the token.
        error.__cause__ = error.__context__ = None
        request_error = openai.APIConnectionError(
            message=f"The request to {address} could not be sent: it is not valid HTTP. Check the headers "
            "(`default_headers`, `extra_headers`, those of a custom `credentials` object) for control characters.",
            request=error.request,
        )
        attach_failure(
            request_error,
            Failure(kind=FailureKind.CLIENT_ERROR, status=None, message=request_error.message, is_retryable=False),
        )
        return request_error
    causes = list(_cause_chain(cause))
    template = next(
        template
        for exc_type, text, template in _CONNECTION_ERRORS
        if text in str(cause) and any(isinstance(error_in_chain, exc_type) for error_in_chain in causes)
    )
    detailed_error = openai.APIConnectionError(
        message=f"Connection error: {template.format(address, str(cause) or type(cause).__name__)}",
        request=error.request,
    )
    detailed_error.__cause__ = cause
    return detailed_error


def _cause_chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = set[int]()  # a transport that raises one object several times makes a cycle
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _timeout_error(error: openai.APITimeoutError, deadline: float | None) -> openai.APITimeoutError:
    """Name the timeout that expired, for an error that openai raised before the response began."""
    if type(error) is not openai.APITimeoutError:
        return error
    is_past_deadline = deadline is not None and time.monotonic() >= deadline
    if is_past_deadline or isinstance(error.__cause__, DeadlineExceededError):
        return total_timeout_error(error.request)
    address = error.request.url.copy_with(query=None)
    timeouts = error.request.extensions.get("timeout", {})
    for exc_type, timeout_name, message, remedy in _TIMEOUTS:
        if isinstance(error.__cause__, exc_type):
            seconds = timeouts.get(timeout_name)
            within = f" within {seconds:g} s" if seconds is not None else " in time"
            error.message = f"Request timed out: {message.format(address)}{within}. {remedy}"
            error.args = (error.message,)
            break
    return error


def total_timeout_error(request: httpx2.Request) -> TotalTimeoutError:
    """Return the error for a call whose `total_timeout` passed before its response began."""
    error = TotalTimeoutError(
        "The call, including all attempts and waits, took longer than `total_timeout`. Increase `total_timeout`, or "
        "send a shorter request.",
        request=request,
    )
    attach_failure(error)
    return error


def add_available_models(
    error: ModelNotAvailableError, models: Iterable[Mapping[str, Any]] | None, *, requested: Any
) -> None:
    """Add the available models to the error, first the one that is similar to the requested model.

    Do nothing if `models` is None.
    """
    if models is None:
        return
    # The Codex CLI does not offer models with the visibility `hide` either: protocol/src/openai_models.rs.
    error.available = tuple(model["id"] for model in models if model.get("visibility") != "hide")
    similar = similar_model(requested, error.available) if isinstance(requested, str) else None
    if similar is not None:
        error.message += f" Did you mean {similar}?"
    error.message += f" Available models: {', '.join(error.available) or 'none'}."
    error.args = (error.message,)
    redact_error(error)
