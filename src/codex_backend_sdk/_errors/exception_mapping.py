"""What went wrong → the exception that tells it, and back: what an exception means to the retry policy."""

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
from .classify import NO_ANSWER, Failure, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from openai.types.responses import Response

__all__ = ["add_available_models", "failure_of", "marked", "status_error", "stream_error", "with_cause"]

# The kinds that have a class of their own. The others have the official one of their status, or `ResponseFailedError`.
_CLASSES: Final[dict[Kind, type[openai.APIStatusError]]] = {
    Kind.USAGE_LIMIT: UsageLimitError,
    Kind.USAGE_NOT_INCLUDED: UsageNotIncludedError,
    Kind.QUOTA: QuotaExceededError,
    Kind.FLEX_UNAVAILABLE: TooManyRequestsError,
    Kind.RATE_LIMITED: TooManyRequestsError,
    Kind.OVERLOADED: ServerOverloadedError,
    Kind.CONTEXT_LENGTH: ContextLengthExceededError,
    Kind.MODEL: ModelNotAvailableError,
    Kind.PARAMETER: UnsupportedParameterError,
    Kind.ENCRYPTED_CONTENT: InvalidEncryptedContentError,
    Kind.POLICY: PolicyViolationError,
    Kind.CLOUDFLARE: CloudflareBlockedError,
    Kind.REGION: RegionNotSupportedError,
}
_OF_A_LIMIT: Final = ("plan", "resets_at", "window_length", "limit_name", "reached_type", "limits")
# By an exception in the chain of causes and a word of the last: what happened, and what to look at. The first counts.
_SAYS: Final[tuple[tuple[type[BaseException], str, str], ...]] = (
    (
        ssl.SSLCertVerificationError,
        "",
        "the certificate of {} is not accepted ({}). If a proxy of your network breaks TLS up, or the server is your "
        "own, name the certificate of its authority in `CODEX_CA_CERTIFICATE` or `SSL_CERT_FILE`.",
    ),
    (ssl.SSLError, "", "{} was reached, but not by TLS ({}). Is the proxy or `base_url` right?"),
    (httpx2.RemoteProtocolError, "buffer too long", "{} answered with a header that is too long ({})."),
    (httpx2.RemoteProtocolError, "illegal", "{} did not answer in HTTP ({}). Is the proxy or `base_url` right?"),
    (
        httpx2.DecodingError,
        "",
        "the answer of {} cannot be decompressed ({}). Something between here and there may change it.",
    ),
    (BaseException, "", "{} could not be reached ({}). Is the network up, and the proxy or `base_url` right?"),
)


# By the exception of the HTTP client: the name of the limit in the request's timeouts, what did not happen, and the
# argument of the client that changes the limit. The first match counts.
_TIMEOUTS: Final = (
    (httpx2.ConnectTimeout, "connect", "no connection to {} was made", "connect_timeout"),
    (httpx2.PoolTimeout, "pool", "all connections to {} stayed in use", "http_client"),
    (httpx2.WriteTimeout, "write", "the request to {} could not be sent", "timeout"),
    (httpx2.TimeoutException, "read", "{} did not begin to respond", "first_byte_timeout"),
)


def status_error(
    failure: Failure, response: httpx2.Response, *, official: Callable[[], openai.APIStatusError]
) -> openai.APIStatusError:
    """Return the exception for an error that came as the status of an answer."""
    made = _made(failure, response) if failure.kind in _CLASSES else official()
    return marked(made, response, failure)  # type: ignore[no-any-return]


def stream_error(failure: Failure, response: httpx2.Response, *, partial: Response | None) -> openai.APIError:
    """Return the exception for an error that came inside of an answer."""
    error: Any
    if failure.kind in _CLASSES:
        error = _made(failure, response)
        error.status_code = failure.status
    else:
        error = ResponseFailedError(failure.message, request=response.request, body=failure.error)
        error.status_code = response.status_code
    error.partial = partial
    return marked(error, response, failure)  # type: ignore[no-any-return]


def _made(failure: Failure, response: httpx2.Response) -> openai.APIStatusError:
    error: Any = _CLASSES[failure.kind](failure.message, response=response, body=failure.error)
    error.code = error.code if error.code is not None else failure.code
    error.param = error.param if error.param is not None else failure.param
    if isinstance(error, ModelNotAvailableError):
        error.available = failure.available
    if failure.limit is not None:
        for name in _OF_A_LIMIT:
            setattr(error, name, getattr(failure.limit, name))
    return error  # type: ignore[no-any-return]


def marked(error: Any, response: httpx2.Response, failure: Failure = NO_ANSWER) -> Any:
    """Let an exception name the answer that it came from, and what it means to the retry policy."""
    headers = response.headers
    error.request_id = headers.get("x-request-id") or headers.get("x-oai-request-id")
    error.cf_ray = headers.get("cf-ray")
    error.retry_after = failure.retry_after
    error._codex_failure = failure
    return error


def failure_of(error: openai.APIError) -> Failure | None:
    """Return what an exception means, None for one that no other attempt can mend."""
    failure: Failure | None = getattr(error, "_codex_failure", None)
    if failure is None and isinstance(error, openai.APIConnectionError) and not isinstance(error, TotalTimeoutError):
        return NO_ANSWER
    return failure


def with_cause(error: openai.APIError, *, until: float | None) -> openai.APIError:
    """Say which address could not be reached and why, or which limit ran out, where upstream only says that it was so.

    `until` is the monotonic time at which the whole call had to be over.
    """
    if isinstance(error, openai.APITimeoutError):
        return _timeout_error(error, until)
    cause = error.__cause__
    if type(error) is not openai.APIConnectionError or cause is None:
        return error
    address = error.request.url.copy_with(query=None)
    if isinstance(cause, httpx2.LocalProtocolError):
        # Its text and its frames have the header that cannot be sent, which may be the token's.
        error.__cause__ = error.__context__ = None
        return _unsendable(
            f"The request to {address} could not be sent: it breaks the rules of HTTP. Is there a line break "
            "or another control character in a header (`default_headers`, `extra_headers`, your own credentials)?",
            request=error.request,
        )
    chain = list(_chain(cause))
    says = next(says for kind, word, says in _SAYS if word in str(cause) and any(isinstance(e, kind) for e in chain))
    told = openai.APIConnectionError(
        message=f"Connection error: {says.format(address, str(cause) or type(cause).__name__)}", request=error.request
    )
    told.__cause__ = cause
    return told


def _timeout_error(error: openai.APITimeoutError, until: float | None) -> openai.APITimeoutError:
    """Name the limit that was reached, for a timeout that openai raised before there was a response."""
    if type(error) is not openai.APITimeoutError:
        return error
    if until is not None and time.monotonic() >= until:
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


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def add_available_models(error: ModelNotAvailableError, models: Iterable[Mapping[str, Any]] | None) -> None:
    """Let the error say which models this account is offered, if that is known."""
    if models is None:
        return
    error.available = tuple(model["id"] for model in models if model.get("visibility") != "hide")
    error.message += f" This account has: {', '.join(error.available) or 'none'}."
    error.args = (error.message,)


def _unsendable(message: str, *, request: httpx2.Request) -> openai.APIConnectionError:
    error: Any = openai.APIConnectionError(message=message, request=request)
    error._codex_failure = Failure(kind=Kind.REFUSED, status=0, message=message, may_repeat=False)
    return error  # type: ignore[no-any-return]
