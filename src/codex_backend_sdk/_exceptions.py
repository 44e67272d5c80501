"""The exceptions, split first by what the reader should do.

Every one is an `openai.OpenAIError`; one that is born of an HTTP answer is also the official class for it, so
`except openai.NotFoundError` and the like keep working.

    openai.OpenAIError
    └── CodexError
        │   act yourself
        ├── LoginRequiredError (RuntimeError)                 there is no login, or it cannot be renewed
        ├── LoginFailedError (RuntimeError)                   a sign-in was denied, cancelled or ran out of time
        ├── CredentialStoreError (RuntimeError)          the stored login is damaged or cannot be written
        ├── CodexBackendUnsupportedParameterError (NotImplementedError)
        │   └── UnsupportedParameterError (openai.BadRequestError)     the same, found out by the backend
        ├── UnsupportedEndpointError (NotImplementedError)    the Codex backend has no such resource
        ├── ModelNotAvailableError (openai.NotFoundError, openai.BadRequestError, LookupError)
        │                                                `available` are those that are
        ├── ContextLengthExceededError (openai.BadRequestError)        the input is too long for the model
        ├── InvalidEncryptedContentError (openai.BadRequestError)      reasoning of another account or model
        ├── PolicyViolationError (openai.BadRequestError, openai.PermissionDeniedError)
        ├── CloudflareBlockedError (openai.PermissionDeniedError)      stopped on the way to the backend
        ├── RegionNotSupportedError (openai.PermissionDeniedError)
        ├── UsageLimitError (openai.RateLimitError)    the plan is used up until `resets_at`
        ├── UsageNotIncludedError (openai.RateLimitError)     the plan has no Codex
        ├── QuotaExceededError (openai.RateLimitError)        the credit is spent
        │   try again
        ├── TooManyRequestsError (openai.RateLimitError)          too many requests; `retry_after` says for how long
        ├── ServerOverloadedError (openai.InternalServerError)
        ├── TokenRefreshError (ConnectionError)          the issuer could not be reached or is overloaded
        ├── StreamInterruptedError (openai.APIConnectionError)   the answer was cut; `partial` holds what had arrived
        │   ├── IdleTimeoutError (openai.APITimeoutError)     the answer fell silent
        │   └── TotalTimeoutError (openai.APITimeoutError)    the whole call took too long
        ├── ResponseFailedError (openai.APIError)             the backend gave the answer up; `code` says why
        │   report it
        └── UnexpectedResponseError (openai.APIResponseValidationError)   the backend sent something that is no answer

Each is the same whether the backend said it by the status of its answer or inside of an answer that had begun.
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

    All have these members, None where there is nothing to tell: `status_code` (what the error means over HTTP, also
    when it came inside of an answer), `body` (the error object, or what was sent in its place), `code`, `request_id`,
    `cf_ray` (Cloudflare's name for the request), `partial` (the response as far as it had arrived) and `retry_after`
    (seconds, when the backend told them).
    """

    status_code: Any = None
    body: object | None = None
    code: str | None = None
    request_id: str | None = None
    cf_ray: str | None = None
    partial: Response | None = None
    retry_after: float | None = None


class LoginRequiredError(CodexError, RuntimeError):
    """There is no usable login; the message names the call or command that mends it."""


class LoginFailedError(CodexError, RuntimeError):
    """A sign-in ended without a login: denied, cancelled, refused by the issuer, or out of time.

    `code` is the issuer's or the callback's error code, for example `access_denied`, or None.
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class CredentialStoreError(CodexError, RuntimeError):
    """The stored login cannot be read or written; the message names the place."""


class TokenRefreshError(CodexError, ConnectionError):
    """The login could not be renewed just now; the stored login is kept and a later try may succeed."""


class CodexBackendUnsupportedParameterError(CodexError, NotImplementedError):
    """Official parameters that the Codex backend refuses were given; nothing was sent.

    `parameters` has the names of all of them, in the order given.
    """

    def __init__(self, message: str, *, parameters: Iterable[str]) -> None:
        super().__init__(message)
        self.parameters = tuple(parameters)


class UnsupportedEndpointError(CodexError, NotImplementedError):
    """The Codex backend has no such resource; nothing was sent. `resource` names it."""

    def __init__(self, message: str, *, resource: str) -> None:
        super().__init__(message)
        self.resource = resource


class UnsupportedParameterError(CodexBackendUnsupportedParameterError, openai.BadRequestError):
    """The backend refused a parameter, or its value; `param` and `parameters` name it, as far as it told."""

    def __init__(self, message: str, *, response: httpx2.Response, body: object | None) -> None:
        openai.BadRequestError.__init__(self, message, response=response, body=body)

    @property
    def parameters(self) -> tuple[str, ...]:  # type: ignore[override]  # what `param` says, whenever that is found out
        """The parameter, if the backend named one."""
        return () if self.param is None else (self.param,)


class ModelNotAvailableError(CodexError, openai.NotFoundError, openai.BadRequestError, LookupError):
    """This account has no such model.

    `available` has the ids of those it is offered, hidden ones left out, None when the catalogue could not be asked.
    """

    available: tuple[str, ...] | None = None


class ContextLengthExceededError(CodexError, openai.BadRequestError):
    """The input does not fit the model's context window; `client.responses.compact(...)` shortens it."""


class InvalidEncryptedContentError(CodexError, openai.BadRequestError):
    """A reasoning item of `input` came from another account or model; leave such items out."""


class PolicyViolationError(CodexError, openai.BadRequestError, openai.PermissionDeniedError):
    """The backend does not answer this request by its usage policy; `code` names it."""


class CloudflareBlockedError(CodexError, openai.PermissionDeniedError):
    """The request was stopped before it reached the backend; the message says what to try."""


class RegionNotSupportedError(CodexError, openai.PermissionDeniedError):
    """The backend is not available where this request seemed to come from."""


class UsageNotIncludedError(CodexError, openai.RateLimitError):
    """The plan does not include Codex."""


class QuotaExceededError(CodexError, openai.RateLimitError):
    """The credit of the account or its workspace is spent."""


class TooManyRequestsError(CodexError, openai.RateLimitError):
    """Too many requests in a short time, or no flex capacity; `retry_after` is in seconds, None when not told."""


class ServerOverloadedError(CodexError, openai.InternalServerError):
    """The model is at capacity."""


class UsageLimitError(CodexError, openai.RateLimitError):
    """The plan's usage is spent. Not retried, unless the client was told to `wait_for_limit`.

    `plan` is the plan's name as the backend spells it, `resets_at` an aware datetime, `window` the length of the
    window that is full, `limit_name` the name of a limit that is one model's own, `reached` the backend's word for
    what a workspace ran out of, `limits` all that the answer's headers told; each None when not told. The message says
    what helps.
    """

    plan: str | None = None
    resets_at: datetime | None = None
    window_length: timedelta | None = None
    limit_name: str | None = None
    reached_type: str | None = None
    limits: RateLimits | None = None


class StreamInterruptedError(CodexError, openai.APIConnectionError):
    """The answer ended before its terminal event, so it is not complete.

    `partial` is the response as far as it had arrived (status `in_progress`), or None when nothing had;
    `events_seen` is the number of events that had.
    """

    def __init__(
        self, message: str, *, request: httpx2.Request, partial: Response | None = None, events_seen: int = 0
    ) -> None:
        openai.APIConnectionError.__init__(self, message=message, request=request)
        self.partial = partial
        self.events_seen = events_seen


class IdleTimeoutError(StreamInterruptedError, openai.APITimeoutError):
    """Nothing came for longer than `idle_timeout`, in the middle of an answer."""


class TotalTimeoutError(StreamInterruptedError, openai.APITimeoutError):
    """The whole call took longer than `total_timeout`; it is not tried again."""


class ResponseFailedError(CodexError, openai.APIError):
    """The backend ended the answer with `response.failed` or `error`.

    `code`, `param` and `type` are the backend's; `partial` is the response as far as it had arrived, or None.
    """

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
    """The backend answered with success, but not with what was asked for: HTML, plain JSON, a damaged event."""

    def __init__(self, message: str, *, response: httpx2.Response, body: object | None = None) -> None:
        super().__init__(response, body, message=message)
