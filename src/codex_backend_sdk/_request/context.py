"""What is known of a request when it is shaped and needed when its answer is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import httpx2

    from ..limits.tracker import LimitsTracker
    from ..types import Login
    from .routes import Route

__all__ = ["RequestContext", "context_of", "context_of_response"]

_EXTENSION: Final = "codex_backend_sdk.plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """How one request's answer is to be read.

    `streamed`: the caller wants events. `dropped`: parameters that were left out, None when none may be.
    `model_id`: the model to pick from the catalogue. `kept`: the input items that a compaction keeps.
    `restarts`: a broken answer is asked for anew, although events of it were handed out.
    `until`: the monotonic time at which the whole call ends. `idle_timeout`: the longest silence inside of the
    answer, in seconds. `login`: what this attempt is signed with. `limits`: where the limits go
    that the answer tells.
    """

    route: Route
    streamed: bool = False
    dropped: tuple[str, ...] | None = None
    model_id: str | None = None
    kept: tuple[Any, ...] = field(default=(), repr=False)
    restarts: bool = False
    idle_timeout: float | None = None
    until: float | None = None
    login: Login | None = field(default=None, repr=False)
    limits: LimitsTracker | None = field(default=None, repr=False)

    @property
    def account_id(self) -> str | None:
        """The account that this attempt is signed for, if known."""
        return None if self.login is None else self.login.account_id

    def attach(self, request: httpx2.Request, **of_this_attempt: Any) -> httpx2.Request:
        """Let the request carry this context to its response."""
        request.extensions[_EXTENSION] = replace(self, **of_this_attempt)
        return request


def context_of(request: httpx2.Request) -> RequestContext | None:
    """Return the context that a request carries, or None for one that is not ours."""
    context: RequestContext | None = request.extensions.get(_EXTENSION)
    return context


def context_of_response(response: httpx2.Response) -> RequestContext | None:
    """Return the context of the request that was answered; an answer that was made by hand has no request."""
    try:
        return context_of(response.request)
    except RuntimeError:
        return None
