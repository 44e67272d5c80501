"""The exceptions, by what the reader of the error should do: act, retry or report.

Every exception is an `openai.OpenAIError`. One that comes from an HTTP response also derives from openai's class for
its status, so `except openai.NotFoundError` and the like keep working. The class is the same whether the backend sent
the error as the status of its response or within a stream that had begun with status 200.

    openai.OpenAIError
    └── CodexError
        │   act: the same request fails again
        ├── LoginRequiredError (RuntimeError)                    there is no login, or it cannot be refreshed
        │   └── LoginRejectedError (openai.AuthenticationError)  the backend rejects the login, refreshed or not
        ├── LoginFailedError (RuntimeError)                      a login attempt was denied, canceled or timed out
        ├── CredentialStoreError (RuntimeError)                  the stored login is damaged or cannot be written
        ├── CodexBackendUnsupportedParameterError (NotImplementedError)   found before anything was sent
        │   └── UnsupportedParameterError (openai.BadRequestError)        found by the backend
        ├── UnsupportedEndpointError (NotImplementedError)       the Codex backend has no such resource
        ├── ModelNotAvailableError (openai.NotFoundError, openai.BadRequestError, LookupError)
        ├── ContextLengthExceededError (openai.BadRequestError)  the input is too long for the model
        ├── InvalidEncryptedContentError (openai.BadRequestError)         reasoning of another account or model
        ├── PolicyViolationError (openai.BadRequestError, openai.PermissionDeniedError)
        ├── CloudflareBlockedError (openai.PermissionDeniedError)         blocked on the way to the backend
        ├── RegionNotSupportedError (openai.PermissionDeniedError)
        ├── UsageLimitError (openai.RateLimitError)              the plan is exhausted until `resets_at`
        ├── UsageNotIncludedError (openai.RateLimitError)        the plan does not include Codex
        ├── QuotaExceededError (openai.RateLimitError)           the workspace is out of credits
        ├── TotalTimeoutError                                    below StreamInterruptedError
        │   retry: the same request may succeed in a moment
        ├── TooManyRequestsError (openai.RateLimitError)         after `retry_after` seconds
        ├── ServerOverloadedError (openai.InternalServerError)
        ├── TokenRefreshError (ConnectionError)                  the issuer could not be reached or is overloaded
        ├── StreamInterruptedError (openai.APIConnectionError)   `partial` holds the response received so far
        │   ├── IdleTimeoutError (openai.APITimeoutError)        no data came for `idle_timeout`
        │   └── TotalTimeoutError (openai.APITimeoutError)       the whole call exceeded `total_timeout`
        ├── ResponseFailedError (openai.APIError)                the backend ended the response; `code` says why
        │   report: a bug of the backend, of a proxy, or of this package
        └── UnexpectedResponseError (openai.APIResponseValidationError)   a success without a valid response
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    import httpx2
    from openai.types.responses import Response

    from .limits.limit_types import RateLimits

__all__ = [
    "CloudflareBlockedError",
    "CodexBackendUnsupportedParameterError",
    "CodexError",
    "ContextLengthExceededError",
    "CredentialStoreError",
    "IdleTimeoutError",
    "InvalidEncryptedContentError",
    "LoginFailedError",
    "LoginRejectedError",
    "LoginRequiredError",
    "ModelNotAvailableError",
    "PolicyViolationError",
    "QuotaExceededError",
    "RegionNotSupportedError",
    "ResponseFailedError",
    "ServerOverloadedError",
    "StreamInterruptedError",
    "TokenRefreshError",
    "TooManyRequestsError",
    "TotalTimeoutError",
    "UnexpectedResponseError",
    "UnsupportedEndpointError",
    "UnsupportedParameterError",
    "UsageLimitError",
    "UsageNotIncludedError",
]


class CodexError(openai.OpenAIError):
    """The base of every exception that this package adds to the official ones.

    Every exception has these members; they are None where they do not apply.

    Attributes:
        is_retryable: Whether the same request may succeed when it is sent again soon. The client retries such errors
            itself, up to `max_retries`. Official exceptions raised by the client have this member too.
        status_code: The HTTP status of the error, also if the error arrived within a stream.
        body: The error object of the response, or its whole body.
        code: The error code of the backend or the issuer.
        request_id: The backend's id of the request, for a support case.
        cf_ray: Cloudflare's id of the request.
        partial: The response received before the error.
        retry_after: The seconds to wait before a retry, if the backend sent them.
    """

    # The default for exceptions without a failure of the backend, and for those made by hand in tests. For all others
    # the client sets the value of the failure table (`_errors/classify.py`, `FailureKind`); a test compares both.
    is_retryable: bool = False
    status_code: Any = None
    body: object | None = None
    code: str | None = None
    request_id: str | None = None
    cf_ray: str | None = None
    partial: Response | None = None
    retry_after: float | None = None


class LoginRequiredError(CodexError, RuntimeError):
    """There is no usable login. The message names the call or command that logs in."""


class LoginRejectedError(LoginRequiredError, openai.AuthenticationError):
    """The backend still responds with 401 after the token was refreshed. The user must log in again."""


class LoginFailedError(CodexError, RuntimeError):
    """A login attempt ended without a login: denied, canceled, rejected by the issuer, or timed out.

    `code` is the error code of the issuer or of the callback, for example `access_denied`, or None.
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class CredentialStoreError(CodexError, RuntimeError):
    """The stored login cannot be read or written. The message names the store."""


class TokenRefreshError(CodexError, ConnectionError):
    """The access token could not be refreshed at the moment. The stored login is kept; a later call may succeed."""

    is_retryable = True


class CodexBackendUnsupportedParameterError(CodexError, NotImplementedError):
    """Parameters were given that the Codex backend rejects. Nothing was sent.

    `parameters` has the names of all of them, in the order given.
    """

    def __init__(self, message: str, *, parameters: Iterable[str]) -> None:
        super().__init__(message)
        self.parameters = tuple(parameters)


class UnsupportedEndpointError(CodexError, NotImplementedError):
    """The Codex backend does not have this resource. Nothing was sent. `resource` names it."""

    def __init__(self, message: str, *, resource: str) -> None:
        super().__init__(message)
        self.resource = resource


class UnsupportedParameterError(CodexBackendUnsupportedParameterError, openai.BadRequestError):
    """The backend rejected a parameter or its value. `param` and `parameters` name it, if the backend did."""

    def __init__(self, message: str, *, response: httpx2.Response, body: object | None) -> None:
        openai.BadRequestError.__init__(self, message, response=response, body=body)

    @property
    def parameters(self) -> tuple[str, ...]:  # type: ignore[override]  # follows `param`, which is set after __init__
        """The rejected parameter, if the backend named one."""
        return () if self.param is None else (self.param,)


class ModelNotAvailableError(CodexError, openai.NotFoundError, openai.BadRequestError, LookupError):
    """This account cannot use the model.

    `available` has the ids of the models that it can use, without hidden ones; None if the catalog is unknown.
    """

    available: tuple[str, ...] | None = None


class ContextLengthExceededError(CodexError, openai.BadRequestError):
    """The input does not fit the model's context window. `client.responses.compact(...)` shortens it."""


class InvalidEncryptedContentError(CodexError, openai.BadRequestError):
    """A reasoning item in `input` belongs to another account or model. Remove such items."""


class PolicyViolationError(CodexError, openai.BadRequestError, openai.PermissionDeniedError):
    """The backend refused the request under its usage policy; `code` names the policy."""


class CloudflareBlockedError(CodexError, openai.PermissionDeniedError):
    """Cloudflare blocked the request before it reached the backend. The message names remedies."""


class RegionNotSupportedError(CodexError, openai.PermissionDeniedError):
    """The backend is not available in the country from which the request seems to come."""


class UsageNotIncludedError(CodexError, openai.RateLimitError):
    """The plan does not include Codex."""


class QuotaExceededError(CodexError, openai.RateLimitError):
    """The account or its workspace is out of credits, or has reached its spending limit."""


class TooManyRequestsError(CodexError, openai.RateLimitError):
    """Too many requests in a short time, or no flex capacity (then `is_retryable` is False).

    `retry_after` is in seconds, None if the backend did not send it.
    """

    is_retryable = True


class ServerOverloadedError(CodexError, openai.InternalServerError):
    """The model is at capacity."""

    is_retryable = True


class UsageLimitError(CodexError, openai.RateLimitError):
    """A usage limit of the plan is exhausted. The client does not retry, but can wait: see `wait_for_limit`.

    The message says how to continue. Each attribute is None if the backend did not report it.

    Attributes:
        plan: The plan, as the backend spells it.
        resets_at: The time of the reset, with a time zone.
        window_length: The length of the exhausted window.
        limit_name: The name of the limit, if it is that of a single model.
        reached_type: What a workspace ran out of, in the backend's words.
        limits: All limits in the headers of the response.
    """

    plan: str | None = None
    resets_at: datetime | None = None
    window_length: timedelta | None = None
    limit_name: str | None = None
    reached_type: str | None = None
    limits: RateLimits | None = None


class StreamInterruptedError(CodexError, openai.APIConnectionError):
    """The stream ended before its terminal event, so the response is not complete.

    `partial` is the response received so far (status `in_progress`), or None if there was none yet. `events_seen` is the
    number of events received.
    """

    is_retryable = True

    def __init__(
        self, message: str, *, request: httpx2.Request, partial: Response | None = None, events_seen: int = 0
    ) -> None:
        openai.APIConnectionError.__init__(self, message=message, request=request)
        self.partial = partial
        self.events_seen = events_seen


class IdleTimeoutError(StreamInterruptedError, openai.APITimeoutError):
    """No data came for longer than `idle_timeout`, within a response."""


class TotalTimeoutError(StreamInterruptedError, openai.APITimeoutError):
    """The whole call, including its retries, took longer than `total_timeout`.

    `is_retryable` is False, although the next call could be faster: the limit is the caller's own, and a loop that
    retries it would exceed it.
    """

    is_retryable = False


class ResponseFailedError(CodexError, openai.APIError):
    """The backend ended the response with `response.failed` or `error`.

    `code`, `param` and `type` are the backend's. `partial` is the response received so far, or None.
    """

    is_retryable = True

    def __init__(
        self,
        message: str,
        *,
        request: httpx2.Request,
        body: dict[str, Any] | None,
        partial: Response | None = None,
    ) -> None:
        super().__init__(message, request, body=body)
        self.partial = partial


class UnexpectedResponseError(CodexError, openai.APIResponseValidationError):
    """The response has a success status, but not the expected content: HTML, other JSON, a damaged event."""

    def __init__(self, message: str, *, response: httpx2.Response, body: object | None = None) -> None:
        super().__init__(response, body, message=message)
