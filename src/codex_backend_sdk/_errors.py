"""The exceptions, split first by what the reader should do.

Every one is an `openai.OpenAIError`; one that is born of an HTTP answer is also the official class for it, so
`except openai.NotFoundError` and the like keep working.

    openai.OpenAIError
    └── CodexError
        │   act yourself
        ├── LoginRequired (RuntimeError)                 there is no login, or it cannot be renewed
        ├── LoginFailed (RuntimeError)                   a sign-in was denied, cancelled or ran out of time
        ├── CredentialStoreError (RuntimeError)          the stored login is damaged or cannot be written
        ├── CodexBackendUnsupportedParameterError (NotImplementedError)
        │   └── UnsupportedParameter (openai.BadRequestError)     the same, found out by the backend
        ├── UnsupportedEndpoint (NotImplementedError)    the Codex backend has no such resource
        ├── ModelNotAvailable (openai.NotFoundError, openai.BadRequestError, LookupError)
        │                                                `available` are those that are
        ├── ContextLengthExceeded (openai.BadRequestError)        the input is too long for the model
        ├── InvalidEncryptedContent (openai.BadRequestError)      reasoning of another account or model
        ├── PolicyViolation (openai.BadRequestError, openai.PermissionDeniedError)
        ├── CloudflareBlocked (openai.PermissionDeniedError)      stopped on the way to the backend
        ├── RegionNotSupported (openai.PermissionDeniedError)
        ├── UsageLimitReached (openai.RateLimitError)    the plan is used up until `resets_at`
        ├── UsageNotIncluded (openai.RateLimitError)     the plan has no Codex
        ├── QuotaExceeded (openai.RateLimitError)        the credit is spent
        │   try again
        ├── RateLimited (openai.RateLimitError)          too many requests; `retry_after` says for how long
        ├── ServerOverloaded (openai.InternalServerError)
        ├── TokenRefreshError (ConnectionError)          the issuer could not be reached or is overloaded
        ├── StreamInterrupted (openai.APIConnectionError)   the answer was cut; `partial` holds what had arrived
        │   ├── IdleTimeout (openai.APITimeoutError)     the answer fell silent
        │   └── TotalTimeout (openai.APITimeoutError)    the whole call took too long
        ├── ResponseFailed (openai.APIError)             the backend gave the answer up; `code` says why
        │   report it
        └── UnexpectedAnswer (openai.APIResponseValidationError)   the backend sent something that is no answer

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

    from ._limit_types import RateLimits

__all__ = [
    "CloudflareBlocked",
    "CodexBackendUnsupportedParameterError",
    "CodexError",
    "ContextLengthExceeded",
    "CredentialStoreError",
    "IdleTimeout",
    "InvalidEncryptedContent",
    "LoginFailed",
    "LoginRequired",
    "ModelNotAvailable",
    "PolicyViolation",
    "QuotaExceeded",
    "RateLimited",
    "RegionNotSupported",
    "ResponseFailed",
    "ServerOverloaded",
    "StreamInterrupted",
    "TokenRefreshError",
    "TotalTimeout",
    "UnexpectedAnswer",
    "UnsupportedEndpoint",
    "UnsupportedParameter",
    "UsageLimitReached",
    "UsageNotIncluded",
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


class LoginRequired(CodexError, RuntimeError):
    """There is no usable login; the message names the call or command that mends it."""


class LoginFailed(CodexError, RuntimeError):
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


class UnsupportedEndpoint(CodexError, NotImplementedError):
    """The Codex backend has no such resource; nothing was sent. `resource` names it."""

    def __init__(self, message: str, *, resource: str) -> None:
        super().__init__(message)
        self.resource = resource


class UnsupportedParameter(CodexBackendUnsupportedParameterError, openai.BadRequestError):
    """The backend refused a parameter, or its value; `param` and `parameters` name it, as far as it told."""

    def __init__(self, message: str, *, response: httpx2.Response, body: object | None) -> None:
        openai.BadRequestError.__init__(self, message, response=response, body=body)

    @property
    def parameters(self) -> tuple[str, ...]:  # type: ignore[override]  # what `param` says, whenever that is found out
        """The parameter, if the backend named one."""
        return () if self.param is None else (self.param,)


class ModelNotAvailable(CodexError, openai.NotFoundError, openai.BadRequestError, LookupError):
    """This account has no such model.

    `available` has the ids of those it is offered, hidden ones left out, None when the catalogue could not be asked.
    """

    available: tuple[str, ...] | None = None


class ContextLengthExceeded(CodexError, openai.BadRequestError):
    """The input does not fit the model's context window; `client.responses.compact(...)` shortens it."""


class InvalidEncryptedContent(CodexError, openai.BadRequestError):
    """A reasoning item of `input` came from another account or model; leave such items out."""


class PolicyViolation(CodexError, openai.BadRequestError, openai.PermissionDeniedError):
    """The backend does not answer this request by its usage policy; `code` names it."""


class CloudflareBlocked(CodexError, openai.PermissionDeniedError):
    """The request was stopped before it reached the backend; the message says what to try."""


class RegionNotSupported(CodexError, openai.PermissionDeniedError):
    """The backend is not available where this request seemed to come from."""


class UsageNotIncluded(CodexError, openai.RateLimitError):
    """The plan does not include Codex."""


class QuotaExceeded(CodexError, openai.RateLimitError):
    """The credit of the account or its workspace is spent."""


class RateLimited(CodexError, openai.RateLimitError):
    """Too many requests in a short time, or no flex capacity; `retry_after` is in seconds, None when not told."""


class ServerOverloaded(CodexError, openai.InternalServerError):
    """The model is at capacity."""


class UsageLimitReached(CodexError, openai.RateLimitError):
    """The plan's usage is spent. Not retried, unless the client was told to `wait_for_limit`.

    `plan` is the plan's name as the backend spells it, `resets_at` an aware datetime, `window` the length of the
    window that is full, `limit_name` the name of a limit that is one model's own, `reached` the backend's word for
    what a workspace ran out of, `limits` all that the answer's headers told; each None when not told. The message says
    what helps.
    """

    plan: str | None = None
    resets_at: datetime | None = None
    window: timedelta | None = None
    limit_name: str | None = None
    reached: str | None = None
    limits: RateLimits | None = None


class StreamInterrupted(CodexError, openai.APIConnectionError):
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


class IdleTimeout(StreamInterrupted, openai.APITimeoutError):
    """Nothing came for longer than `idle_timeout`, in the middle of an answer."""


class TotalTimeout(StreamInterrupted, openai.APITimeoutError):
    """The whole call took longer than `total_timeout`; it is not tried again."""


class ResponseFailed(CodexError, openai.APIError):
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


class UnexpectedAnswer(CodexError, openai.APIResponseValidationError):
    """The backend answered with success, but not with what was asked for: HTML, plain JSON, a damaged event."""

    def __init__(self, message: str, *, response: httpx2.Response, body: object | None = None) -> None:
        super().__init__(response, body, message=message)
