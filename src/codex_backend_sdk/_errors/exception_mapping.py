"""Turn failures into exceptions, and keep in each exception what the failure means for a retry.

Failures come from three places: an error status (`from_status`), an error event within a stream (`from_stream`), and
the HTTP client, whose exceptions upstream wraps without address or reason (`add_connection_details`). `attach_failure` sets the
members that all of them share: `is_retryable`, `retry_after`, `request_id`, `cf_ray`, and the `Failure` itself, which
`failure_of` returns to the retry loop.
"""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai

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
_LIMIT_MEMBERS: Final = ("plan", "resets_at", "window_length", "limit_name", "reached_type", "limits")

# A connection error is described by the first row whose exception is in its chain of causes and whose text is in the
# last one: `httpx2` reports everything that its HTTP parser rejects as `RemoteProtocolError`.
_CONNECTION_ERRORS: Final[tuple[tuple[type[BaseException], str, str], ...]] = (
    (
        ssl.SSLCertVerificationError,
        "",
        "the certificate of {} is not accepted ({}). Behind a TLS-inspecting proxy or private CA? Set "
        "`CODEX_CA_CERTIFICATE` or `SSL_CERT_FILE` to the CA's PEM file.",
    ),
    (ssl.SSLError, "", "the TLS handshake with {} failed ({}). Check the proxy and `base_url`."),
    (httpx2.RemoteProtocolError, "buffer too long", "{} sent a header that is too long ({})."),
    (httpx2.RemoteProtocolError, "illegal", "{} did not respond in HTTP ({}). Check the proxy and `base_url`."),
    (
        httpx2.DecodingError,
        "",
        "the response of {} cannot be decompressed ({}). Check whether a proxy changes it.",
    ),
    (BaseException, "", "{} could not be reached ({}). Check the network, the proxy and `base_url`."),
)

# By the exception of the HTTP client: the name of the limit in the request's timeouts, what did not happen, and the
# argument of the client that changes the limit. The first match counts.
_TIMEOUTS: Final = (
    (httpx2.ConnectTimeout, "connect", "no connection to {} was made", "connect_timeout"),
    (httpx2.PoolTimeout, "pool", "all connections to {} stayed in use", "http_client"),
    (httpx2.WriteTimeout, "write", "the request to {} could not be sent", "timeout"),
    (httpx2.TimeoutException, "read", "{} did not begin to respond", "first_byte_timeout"),
)


def from_status(
    failure: Failure, response: httpx2.Response, *, official: Callable[[], openai.APIStatusError]
) -> openai.APIStatusError:
    """Return the exception for an error status. `official` makes openai's own, for kinds without a class of ours."""
    error = _api_error(failure, response) if failure.kind in _EXCEPTION_CLASSES else official()
    attach_failure(error, failure, response=response)
    return error


def from_stream(failure: Failure, response: httpx2.Response, *, partial: Response | None) -> openai.APIError:
    """Return the exception for an error event within a stream. `partial` is the response received so far."""
    error: Any
    if failure.kind in _EXCEPTION_CLASSES:
        error = _api_error(failure, response)
        error.status_code = failure.status  # that of the response is 200
    else:
        error = ResponseFailedError(failure.message, request=response.request, body=failure.body)
        error.status_code = response.status_code
    error.partial = partial
    attach_failure(error, failure, response=response)
    return error  # type: ignore[no-any-return]


def _api_error(failure: Failure, response: httpx2.Response) -> openai.APIStatusError:
    error: Any = _EXCEPTION_CLASSES[failure.kind](failure.message, response=response, body=failure.body)
    # openai's constructor reads both from the body; classification finds them in more places.
    error.code = error.code if error.code is not None else failure.code
    error.param = error.param if error.param is not None else failure.param
    if isinstance(error, ModelNotAvailableError):
        error.available = failure.available_models
    if failure.limit is not None:
        for member in _LIMIT_MEMBERS:
            setattr(error, member, getattr(failure.limit, member))
    return error  # type: ignore[no-any-return]


def attach_failure(
    error: openai.APIError, failure: Failure | None = None, *, response: httpx2.Response | None = None
) -> None:
    """Set the members of an exception that come from its failure and its response.

    Without a failure the exception is one of no response at all, or of an interrupted one.
    """
    if failure is None:
        failure = TOTAL_TIMEOUT_FAILURE if isinstance(error, TotalTimeoutError) else NO_RESPONSE_FAILURE
    members: Any = error
    members._codex_failure = failure
    members.is_retryable = failure.is_retryable
    members.retry_after = failure.retry_after
    if response is not None:
        members.request_id = response.headers.get("x-request-id") or response.headers.get("x-oai-request-id")
        members.cf_ray = response.headers.get("cf-ray")


def failure_of(error: openai.APIError) -> Failure | None:
    """Return the failure attached to an exception. An exception without one (damaged data) is never retried."""
    failure: Failure | None = getattr(error, "_codex_failure", None)
    return failure


def add_connection_details(error: openai.APIError, *, deadline: float | None) -> openai.APIError:
    """Return the exception to raise for one that an attempt raised.

    Upstream reports that a connection failed or timed out, but neither the address nor the reason, nor which limit was
    reached. `deadline` is the monotonic time at which the whole call had to be over.
    """
    if isinstance(error, openai.APITimeoutError):
        error = _timeout_error(error, deadline)
    elif type(error) is openai.APIConnectionError and error.__cause__ is not None:
        error = _connection_error(error, error.__cause__)
    if failure_of(error) is None:
        if isinstance(error, openai.APIConnectionError):
            attach_failure(error)
        else:
            members: Any = error
            members.is_retryable = False
    return error


def _connection_error(error: openai.APIConnectionError, cause: BaseException) -> openai.APIConnectionError:
    address = error.request.url.copy_with(query=None)
    if isinstance(cause, httpx2.LocalProtocolError):
        # Its text and its frames hold the header that cannot be sent, which may be the token: drop it.
        error.__cause__ = error.__context__ = None
        unsendable = openai.APIConnectionError(
            message=f"The request to {address} could not be sent: it is not valid HTTP. Check the headers "
            "(`default_headers`, `extra_headers`, your own credentials) for line breaks and other control characters.",
            request=error.request,
        )
        attach_failure(
            unsendable,
            Failure(kind=FailureKind.CLIENT_ERROR, status=0, message=unsendable.message, is_retryable=False),
        )
        return unsendable
    chain = list(_chain(cause))
    template = next(
        template
        for kind, text, template in _CONNECTION_ERRORS
        if text in str(cause) and any(isinstance(link, kind) for link in chain)
    )
    explained = openai.APIConnectionError(
        message=f"Connection error: {template.format(address, str(cause) or type(cause).__name__)}",
        request=error.request,
    )
    explained.__cause__ = cause
    return explained


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _timeout_error(error: openai.APITimeoutError, deadline: float | None) -> openai.APITimeoutError:
    """Name the limit that was reached, for a timeout that openai raised before there was a response."""
    if type(error) is not openai.APITimeoutError:
        return error
    if deadline is not None and time.monotonic() >= deadline:
        message = "The call took longer than `total_timeout` allows, including all attempts and waits."
        return TotalTimeoutError(message, request=error.request)
    address = error.request.url.copy_with(query=None)
    limits = error.request.extensions.get("timeout", {})
    for kind, limit, message, argument in _TIMEOUTS:
        if isinstance(error.__cause__, kind):
            seconds = limits.get(limit)
            within = f" within {seconds:g} s" if seconds is not None else " in time"
            error.message = f"Request timed out: {message.format(address)}{within} (`{argument}`)."
            error.args = (error.message,)
            break
    return error


def add_available_models(error: ModelNotAvailableError, models: Iterable[Mapping[str, Any]] | None) -> None:
    """Add the models that the account can use to an error about another one; None if they are unknown."""
    if models is None:
        return
    error.available = tuple(model["id"] for model in models if model.get("visibility") != "hide")
    error.message += f" Available models: {', '.join(error.available) or 'none'}."
    error.args = (error.message,)
