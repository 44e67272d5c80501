"""The exceptions of this package, grouped by the action of the user: act, retry or report.

Every exception is an `openai.OpenAIError`. One that comes from an HTTP response also derives from openai's class for
its status, so `except openai.NotFoundError` and the like keep working. The class is the same whether the backend sent
the error as an HTTP status or as an event within a stream of status 200.

    openai.OpenAIError
    └── CodexError
        │   act: the same request would fail again
        ├── LoginRequiredError (RuntimeError)                    there is no login, or it cannot be refreshed
        │   └── LoginRejectedError (openai.AuthenticationError)  the backend rejects the login, refreshed or not
        ├── LoginFailedError (RuntimeError)                      the login was denied, cancelled or timed out
        ├── CredentialStoreError (RuntimeError)                  the stored login is damaged or cannot be written
        ├── CodexBackendUnsupportedParameterError (NotImplementedError)   detected before sending
        │   └── UnsupportedParameterError (openai.BadRequestError)        reported by the backend
        ├── UnsupportedEndpointError (NotImplementedError)       the Codex backend has no such resource
        ├── HistoryError (ValueError)                            items of a history that the backend would reject
        ├── ConversationError (RuntimeError)                     the conversation cannot make this call now
        │   └── CompactionError                                  the history cannot be made shorter
        ├── BatchInputError (ValueError)                         the lines of a batch are invalid, or have changed
        ├── BatchStoppedError (RuntimeError)                     a batch ended before its last line
        ├── JournalError (RuntimeError)                          the file of a conversation is damaged or not writable
        │   └── JournalLockedError                               another process writes to it
        ├── ModelNotAvailableError (openai.NotFoundError, openai.BadRequestError, LookupError)
        ├── ContextLengthExceededError (openai.BadRequestError)  the input is too long for the model
        ├── InvalidEncryptedContentError (openai.BadRequestError)         reasoning items of another account or model
        ├── PolicyViolationError (openai.BadRequestError, openai.PermissionDeniedError)
        ├── CloudflareBlockedError (openai.PermissionDeniedError)         Cloudflare rejects the request
        ├── RegionNotSupportedError (openai.PermissionDeniedError)
        ├── UsageLimitError (openai.RateLimitError)              the usage limit is exhausted until `resets_at`
        ├── UsageNotIncludedError (openai.RateLimitError)        the plan does not include Codex
        ├── QuotaExceededError (openai.RateLimitError)           the workspace is out of credits
        ├── ToolDefinitionError (TypeError)                      a function cannot be a tool
        ├── ToolResultError (TypeError)                          a tool returned a value that cannot be sent
        ├── RunStoppedError (RuntimeError)                       `conversation.run()` ended before the final response
        │   ├── MaxTurnsError                                    the limit of requests is reached
        │   ├── RepeatedCallError                                the model repeats the same call
        │   └── RunPausedError                                   `on_call` paused; `conversation.resume()` continues
        ├── TotalTimeoutError                                    below StreamInterruptedError
        │   retry: the same request may succeed in a moment
        ├── TooManyRequestsError (openai.RateLimitError)         after `retry_after` seconds
        ├── ServerOverloadedError (openai.InternalServerError)
        ├── TokenRefreshError (ConnectionError)                  the issuer could not be reached or is overloaded
        ├── StreamInterruptedError (openai.APIConnectionError)   `partial` holds the response received so far
        │   ├── IdleTimeoutError (openai.APITimeoutError)        no data arrived for `idle_timeout`
        │   └── TotalTimeoutError (openai.APITimeoutError)       the whole call exceeded `total_timeout`
        ├── ResponseFailedError (openai.APIError)                the backend ended the response; `code` has the reason
        ├── OutputValidationError (ValueError)                   the text does not match the format of `parse()`
        │   report: a bug in the backend, in a proxy, or in this package
        └── UnexpectedResponseError (openai.APIResponseValidationError)   a success without a valid response
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai

from ._safe_errors import PicklableError, redact_error

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    import httpx2
    from openai.types.responses import Response

    from .limits.limit_types import RateLimits

__all__ = [
    "BatchInputError",
    "BatchStoppedError",
    "CloudflareBlockedError",
    "CodexBackendUnsupportedParameterError",
    "CodexError",
    "CompactionError",
    "ContextLengthExceededError",
    "ConversationError",
    "CredentialStoreError",
    "HistoryError",
    "IdleTimeoutError",
    "InvalidChatRequestError",
    "InvalidEncryptedContentError",
    "JournalError",
    "JournalLockedError",
    "LoginFailedError",
    "LoginRejectedError",
    "LoginRequiredError",
    "MaxTurnsError",
    "ModelNotAvailableError",
    "OutputValidationError",
    "PolicyViolationError",
    "QuotaExceededError",
    "RegionNotSupportedError",
    "RepeatedCallError",
    "ResponseFailedError",
    "RunPausedError",
    "RunStoppedError",
    "ServerOverloadedError",
    "StreamInterruptedError",
    "TokenRefreshError",
    "TooManyRequestsError",
    "ToolDefinitionError",
    "ToolResultError",
    "TotalTimeoutError",
    "UnexpectedResponseError",
    "UnsupportedEndpointError",
    "UnsupportedParameterError",
    "UsageLimitError",
    "UsageNotIncludedError",
]


class CodexError(PicklableError, openai.OpenAIError):
    """The base class of the exceptions of this package.

    Every exception has these attributes. Those that do not apply are None. The message and the other texts contain no
    token of the request, even if the server repeats it; `body`, `response` and `request` are unchanged, so do not log
    them. An exception can be pickled and copied. The copy has no headers and no body of the request, no cookies, and of
    `body` only the error object.

    Attributes:
        is_retryable: Whether the same request may succeed when it is sent again soon. The client has already retried
            up to `max_retries` times. It does not retry a failed token refresh, a stream that has delivered events, or
            a wait longer than `max_retry_after`. openai's exceptions also have this attribute if the client raises
            them.
        status_code: The HTTP status of the error, even if the backend sent the error within a stream.
        body: The error object of the response, or its whole body.
        code: The error code of the backend or the issuer.
        request_id: The backend's ID of the request, for a support case.
        cf_ray: Cloudflare's ID of the request.
        partial: The response received before the error.
        retry_after: The seconds to wait before a retry, if the backend sent them.
    """

    # The default for exceptions without a failure of the backend, and for exceptions that a test constructs. For all
    # others the client sets the value of `FailureKind` (`_errors/classify.py`); a test compares both.
    is_retryable: bool = False
    status_code: Any = None
    body: object | None = None
    code: str | None = None
    request_id: str | None = None
    cf_ray: str | None = None
    partial: Response | None = None
    retry_after: float | None = None


class LoginRequiredError(CodexError, RuntimeError):
    """There is no usable login. The message has the call or command that logs in."""


class LoginRejectedError(LoginRequiredError, openai.AuthenticationError):
    """The backend rejects the access token, even after a token refresh. The user must log in again."""


class LoginFailedError(CodexError, RuntimeError):
    """A login was denied, cancelled, rejected by the issuer, or timed out.

    `code` is the error code of the issuer or of the callback, for example `access_denied`, or None.
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class CredentialStoreError(CodexError, RuntimeError):
    """The stored login cannot be read or written. The message names the store."""


class TokenRefreshError(CodexError, ConnectionError):
    """A token refresh failed temporarily. The stored login is unchanged, and a later call may succeed."""

    is_retryable = True


class CodexBackendUnsupportedParameterError(CodexError, NotImplementedError):
    """The call has parameters that the Codex backend rejects. Nothing was sent.

    `parameters` has their names, in the order of the call.
    """

    def __init__(self, message: str, *, parameters: Iterable[str]) -> None:
        super().__init__(message)
        self.parameters = tuple(parameters)


class UnsupportedEndpointError(CodexError, NotImplementedError):
    """The Codex backend does not have this resource. Nothing was sent. `resource` is its name."""

    def __init__(self, message: str, *, resource: str) -> None:
        super().__init__(message)
        self.resource = resource


class InvalidChatRequestError(CodexError, ValueError):
    """A call of `chat.completions` cannot be sent: the message names the place and the remedy. Nothing was sent.

    `param` is the place in the request, for example `messages[3].tool_calls[0].id`.
    """

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message)
        self.param = param


class HistoryError(CodexError, ValueError):
    """Items of a history cannot be sent. The message names each by index, type and call id, and the remedy.

    `indexes` has the positions of these items in the list that was passed.
    """

    def __init__(self, message: str, *, indexes: Iterable[int]) -> None:
        super().__init__(message)
        self.indexes = tuple(indexes)


class ConversationError(CodexError, RuntimeError):
    """A conversation cannot make this call: another one is running, or it was closed."""


class CompactionError(ConversationError):
    """The history of a conversation is too long and cannot be compacted. The message lists the options."""


class BatchInputError(CodexError, ValueError):
    """The lines of a batch are invalid, repeat an ID, or differ from those of the journal. Nothing was sent.

    `changed` is the number of lines whose request differs from the one in the journal. It is None for other errors.
    """

    def __init__(self, message: str, *, changed: int | None = None) -> None:
        super().__init__(message)
        self.changed = changed


class BatchStoppedError(CodexError, RuntimeError):
    """A batch ended before its last line. The finished lines are in the journal, and the next run continues.

    The cause (`__cause__`) is the error that ended it, if there is one.

    Attributes:
        reason: `usage_limit`: the backend rejects requests until `resets_at`. `stop_at`: the percentage
            `stop_at` of a limit is used. `failures`: many requests failed in a row. `stopped`: `stop()` was called.
        resets_at: The time of the reset, as an aware datetime, or None.
        progress: The `BatchProgress` at the end.
    """

    def __init__(self, message: str, *, reason: str, resets_at: datetime | None = None, progress: Any = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.resets_at = resets_at
        self.progress = progress


class JournalError(CodexError, RuntimeError):
    """The file of a conversation or batch is damaged, of an unknown format, or cannot be written.

    The message has the remedy.
    """


class JournalLockedError(JournalError):
    """Another process or object has the file of a conversation open for writing. `pid` is the process id, or None.

    Open the file with `read_only=True`, or `fork()` it.
    """

    def __init__(self, message: str, *, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class UnsupportedParameterError(CodexBackendUnsupportedParameterError, openai.BadRequestError):
    """The backend rejected a parameter or its value. `param` and `parameters` have its name, if the backend sent it."""

    def __init__(self, message: str, *, response: httpx2.Response, body: object | None) -> None:
        openai.BadRequestError.__init__(self, message, response=response, body=body)

    @property
    def parameters(self) -> tuple[str, ...]:  # type: ignore[override]  # follows `param`, which is set after __init__
        """The rejected parameter, if the backend reported its name."""
        return () if self.param is None else (self.param,)


class ModelNotAvailableError(CodexError, openai.NotFoundError, openai.BadRequestError, LookupError):
    """This account cannot use the model.

    `available` has the IDs of the available models, without hidden ones. It is None if the catalog could not be loaded.
    """

    available: tuple[str, ...] | None = None


class ContextLengthExceededError(CodexError, openai.BadRequestError):
    """The input does not fit the model's context window. `client.responses.compact(...)` shortens it."""


class InvalidEncryptedContentError(CodexError, openai.BadRequestError):
    """A reasoning item in `input` belongs to another account or model. Remove such items."""


class PolicyViolationError(CodexError, openai.BadRequestError, openai.PermissionDeniedError):
    """The backend rejected the request under its usage policy. `code` is the name of the policy."""


class CloudflareBlockedError(CodexError, openai.PermissionDeniedError):
    """Cloudflare blocked the request before it reached the backend. The message has remedies."""


class RegionNotSupportedError(CodexError, openai.PermissionDeniedError):
    """The backend does not support requests from this country or region."""


class ToolDefinitionError(CodexError, TypeError):
    """A function cannot be a tool, or the tools of a run do not fit together. Nothing was sent."""


class ToolResultError(CodexError, TypeError):
    """A tool returned a value that cannot be sent to the model. The message names the type and the remedy.

    The output of the call is this message, and the other calls are finished before this is raised.
    """


class RunStoppedError(CodexError, RuntimeError):
    """A run of tools ended before the final response. The conversation remains usable.

    Attributes:
        conversation: The conversation, with all responses and outputs so far. None in a pickled copy.
        partial: The last response.
    """

    conversation: Any = None


class MaxTurnsError(RunStoppedError):
    """The run has sent `max_turns` requests, and the model still calls tools.

    The outputs of the last calls are in the conversation. `conversation.resume()` continues.
    """


class RepeatedCallError(RunStoppedError):
    """The model made the same calls with the same arguments `max_repeats` times in a row.

    The last repetition was not run, and its outputs report this. `conversation.resume()` or the next message continues.
    """


class RunPausedError(RunStoppedError):
    """`on_call` returned `Pause`, so no call of the response was started.

    The calls are in the history without outputs. `conversation.resume(decisions)` continues, also in another process.

    Attributes:
        calls: The calls that wait for a decision: dicts with `call_id`, `name` and `arguments`.
    """

    def __init__(self, message: str, *, calls: Iterable[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.calls = list(calls)


class UsageNotIncludedError(CodexError, openai.RateLimitError):
    """The plan does not include Codex."""


class QuotaExceededError(CodexError, openai.RateLimitError):
    """The account or its workspace is out of credits, or has reached its spending limit."""


class TooManyRequestsError(CodexError, openai.RateLimitError):
    """Too many requests were sent in a short time, or there is no flex capacity (then `is_retryable` is False).

    `retry_after` is in seconds, None if the backend did not send it.
    """

    is_retryable = True


class ServerOverloadedError(CodexError, openai.InternalServerError):
    """The model is at capacity."""

    is_retryable = True


class OutputValidationError(CodexError, ValueError):
    """The text of a complete response does not match the format that was passed to `parse()` or `stream()`.

    The cause (`__cause__`) is the error of the validation: pydantic.ValidationError or json.JSONDecodeError. The client
    does not retry, but another response may match when the request is sent again.
    """

    is_retryable = True

    def __init__(self, message: str, *, response_object: Response) -> None:
        super().__init__(message)
        self.partial = response_object
        self.request_id = getattr(response_object, "_request_id", None)

    @property
    def response_object(self) -> Response:
        """The whole response, with its text, status and usage. `partial` is the same."""
        response = self.partial
        assert response is not None
        return response


class UsageLimitError(CodexError, openai.RateLimitError):
    """A usage limit of the plan is exhausted. The client does not retry, but can wait: see `wait_for_limit`.

    The message has the remedy. Each attribute is None if the backend did not report it.

    Attributes:
        plan: The plan, as the backend spells it.
        resets_at: The time of the reset, as an aware datetime.
        window_length: The length of the exhausted window.
        limit_name: The name of the limit, if the limit applies to a single model.
        reached_type: The backend's code for the exhausted workspace limit, for example
            `workspace_member_credits_depleted`.
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

    `partial` is the response received so far (status `in_progress`), or None if no event was received. `events_seen` is
    the number of events received.
    """

    is_retryable = True

    def __init__(
        self, message: str, *, request: httpx2.Request, partial: Response | None = None, events_seen: int = 0
    ) -> None:
        openai.APIConnectionError.__init__(self, message=message, request=request)
        self.partial = partial
        self.events_seen = events_seen


class IdleTimeoutError(StreamInterruptedError, openai.APITimeoutError):
    """No data arrived for `idle_timeout` seconds during a response."""


class TotalTimeoutError(StreamInterruptedError, openai.APITimeoutError):
    """The whole call, including its retries, took longer than `total_timeout`.

    `is_retryable` is False, although the next call could be faster: the caller set this deadline, and a loop of retries
    would exceed it.
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
    """The response has a success status, but invalid content, for example HTML, other JSON, or a damaged event."""

    def __init__(self, message: str, *, response: httpx2.Response, body: object | None = None) -> None:
        super().__init__(response, body, message=message)
        redact_error(self)
