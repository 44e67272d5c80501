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
        ├── UnsupportedEndpoint (NotImplementedError)    the Codex backend has no such resource
        ├── ModelNotFound (openai.NotFoundError, LookupError)
        ├── UsageLimitReached (openai.RateLimitError)    the plan is used up until `resets_at`
        │   try again
        ├── TokenRefreshError (ConnectionError)          the issuer could not be reached or is overloaded
        ├── StreamInterrupted (openai.APIConnectionError)   the answer was cut; `partial` holds what had arrived
        ├── ResponseFailed (openai.APIError)             the backend gave the answer up; `code` says why
        │   report it
        └── UnexpectedAnswer (openai.APIResponseValidationError)   the backend sent something that is no answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import httpx2
    from openai.types.responses import Response

__all__ = [
    "CodexBackendUnsupportedParameterError",
    "CodexError",
    "CredentialStoreError",
    "LoginFailed",
    "LoginRequired",
    "ModelNotFound",
    "ResponseFailed",
    "StreamInterrupted",
    "TokenRefreshError",
    "UnexpectedAnswer",
    "UnsupportedEndpoint",
    "UsageLimitReached",
]


class CodexError(openai.OpenAIError):
    """The base of every exception that this package adds to the official ones."""


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


class ModelNotFound(CodexError, openai.NotFoundError, LookupError):
    """The catalogue of this account has no model of that id."""


class UsageLimitReached(CodexError, openai.RateLimitError):
    """The plan's usage is spent. Not retried: it would fail until `resets_at`.

    `plan` is the plan's name as the backend spells it, `resets_at` an aware datetime; both None when not told.
    """

    def __init__(
        self,
        message: str,
        *,
        response: httpx2.Response,
        body: object | None,
        plan: str | None = None,
        resets_at: datetime | None = None,
    ) -> None:
        super().__init__(message, response=response, body=body)
        self.plan = plan
        self.resets_at = resets_at


class StreamInterrupted(CodexError, openai.APIConnectionError):
    """The answer ended before its terminal event, so it is not complete.

    `partial` is the response as far as it had arrived (status `in_progress`), or None when nothing had.
    """

    def __init__(self, message: str, *, request: httpx2.Request, partial: Response | None = None) -> None:
        super().__init__(message=message, request=request)
        self.partial = partial


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
