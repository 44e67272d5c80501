"""Pass information from the preparation of a request to the reader of its response.

`prepare` stores a `RequestContext` in the `PreparedOptions` that it gives to openai's request pipeline. Each attempt
stores its own copy in `request.extensions`, the only data that the pipeline passes through unchanged.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import httpx2
from pydantic import ConfigDict

from .._constants import DEFAULT_MAX_EVENT_BYTES
from .._upstream import FinalRequestOptions

if TYPE_CHECKING:
    from .._chat.chat_completion import ChatSettings
    from ..limits.tracker import LimitsTracker
    from ..types import Login
    from .prompt_cache import TurnState
    from .request_body import RequestBody
    from .routes import Route

__all__ = [
    "PreparedOptions",
    "RequestContext",
    "context_of",
    "context_of_response",
    "is_placeholder",
    "is_traced_call",
    "placeholder_request",
]

_EXTENSION: Final = "codex_backend_sdk.context"
_PLACEHOLDER_EXTENSION: Final = "codex_backend_sdk.placeholder"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """Settings and state for reading the response to one request.

    Attributes:
        route: The purpose of the request.
        chat: The settings of a chat completion, whose request and response are translated; None for other requests.
        is_streamed: Whether the caller receives events.
        dropped_parameters: The parameters that were dropped from the request; None with `unsupported="raise"`.
        repaired_parameters: Those of the dropped parameters that were replaced or repaired instead.
        model_id: The model to return from the catalog (`models.retrieve`).
        kept_items: The input items that a compacted response repeats.
        cache_seed: The hash for a prompt cache key that is derived when the login is known; None if no key is missing.
        turn: The turn that the call belongs to.
        can_move_instructions: Whether the instructions are a message, and may be sent as the parameter instead.
        body: The body of a model request.
        uses_websocket: Whether to send the body over the WebSocket of the backend.
        restarts_on_interrupt: Whether an interrupted stream is restarted after events were delivered.
        delivers_codex_events: Whether a stream includes the events that only the Codex backend has.
        max_event_bytes: The largest event of a stream, in bytes.
        idle_timeout: The longest time without data within the response, in seconds.
        deadline: The request deadline: the monotonic time at which the whole call ends.
        login: The login that signed this attempt.
        limits_tracker: The tracker that records the usage limits in the response.
        fork_generation: The `_connections.fork_generation()` of the process that sent this attempt; None if unknown.
    """

    route: Route
    chat: ChatSettings | None = None
    is_streamed: bool = False
    dropped_parameters: tuple[str, ...] | None = None
    repaired_parameters: tuple[str, ...] = ()
    model_id: str | None = None
    kept_items: tuple[Any, ...] = field(default=(), repr=False)
    cache_seed: bytes | None = field(default=None, repr=False)
    turn: TurnState | None = field(default=None, repr=False)
    can_move_instructions: bool = False
    body: RequestBody | None = field(default=None, repr=False)
    uses_websocket: bool = False
    restarts_on_interrupt: bool = False
    delivers_codex_events: bool = False
    max_event_bytes: float = DEFAULT_MAX_EVENT_BYTES
    idle_timeout: float | None = None
    deadline: float | None = None
    login: Login | None = field(default=None, repr=False)
    limits_tracker: LimitsTracker | None = field(default=None, repr=False)
    fork_generation: int | None = None

    @property
    def requested_model(self) -> Any:
        """The model in the body, or None."""
        return None if self.body is None else self.body.members.get("model")

    @property
    def account_id(self) -> str | None:
        """The account of the login that signed this attempt, if known."""
        return None if self.login is None else self.login.account_id

    def attach(self, request: httpx2.Request, **changes: Any) -> httpx2.Request:
        """Attach a copy of this context to a request, with the values that apply to this attempt only."""
        request.extensions[_EXTENSION] = replace(self, **changes)
        return request


def context_of(request: httpx2.Request) -> RequestContext | None:
    """Return the context of a request, or None for a request that this package did not prepare."""
    context: RequestContext | None = request.extensions.get(_EXTENSION)
    return context


def context_of_response(response: httpx2.Response) -> RequestContext | None:
    """Return the context of a response's request, or None for a response that was constructed without a request."""
    try:
        return context_of(response.request)
    except RuntimeError:  # httpx's error for a response without a request
        return None


class PreparedOptions(FinalRequestOptions):  # type: ignore[misc]  # openai marks it @final, for type checkers only
    """Request options with the context of the request, its login, and the number of retries before this attempt.

    `content` is the encoded body of all attempts. `json_data` holds the same body for programs that trace `request()`,
    and is not sent: openai accepts only one of the two. For a chat completion, `url` and `json_data` are those of the
    official request. A tracer of the official `request()` receives options with `run_call`, which makes the attempts.
    """

    # Instances are copies of validated options, so no validator is needed. Building one takes 3 ms.
    model_config = ConfigDict(defer_build=True)

    context: Any = None
    login: Any = None
    retries_taken: int = 0
    run_call: Any = None

    @classmethod
    def from_options(cls, options: FinalRequestOptions, context: object, **changes: Any) -> PreparedOptions:
        """Return a copy of `options` with `context` and the given changes. Redirects are never followed."""
        prepared: Any = copy(options)  # constructing an object takes five times as long
        prepared.__class__ = cls
        # A redirect would take the prompt and the account id to another host.
        defaults = {"login": None, "retries_taken": 0, "run_call": None, "follow_redirects": False}
        vars(prepared).update({"context": context, **defaults, **changes})
        assert isinstance(prepared, cls)
        return prepared

    def with_encoded_body(self) -> PreparedOptions:
        """Return a copy that sends the encoded body of the context, or no body if the WebSocket will send it."""
        body: RequestBody = self.context.body
        content, headers = (b"", {}) if self.context.uses_websocket else body.encoded
        options = copy(self)
        options.content, options.json_data = content, None
        options.headers = {**headers, **self.headers}  # type: ignore[dict-item]  # `prepare` has set a dict
        return options


# A traced call is one request of openai's pipeline, with a placeholder instead of an HTTP request. Its attempts are
# requests of their own, which are made when the pipeline processes the response to the placeholder.


def is_traced_call(options: FinalRequestOptions) -> TypeGuard[PreparedOptions]:
    """Return whether these are the options that a tracer of `request()` received, not those of an attempt."""
    return isinstance(options, PreparedOptions) and options.run_call is not None


def placeholder_request(method: str, url: httpx2.URL) -> httpx2.Request:
    """Return the placeholder of a traced call, which is not sent."""
    return httpx2.Request(method, url, extensions={_PLACEHOLDER_EXTENSION: True})


def is_placeholder(request: httpx2.Request) -> bool:
    """Return whether this request is the placeholder of a traced call."""
    return _PLACEHOLDER_EXTENSION in request.extensions
