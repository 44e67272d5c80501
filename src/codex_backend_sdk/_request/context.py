"""What is known when a request is prepared and needed when its response is read.

`prepare` puts a `RequestContext` into `PreparedOptions`, which travel through openai's request pipeline; each attempt
attaches it to its request, in the extensions, because the pipeline passes nothing else from one end to the other.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict

from .._upstream import FinalRequestOptions

if TYPE_CHECKING:
    import httpx2

    from ..limits.tracker import LimitsTracker
    from ..types import Login
    from .routes import Route

__all__ = ["PreparedOptions", "RequestContext", "context_of", "context_of_response"]

_EXTENSION: Final = "codex_backend_sdk.context"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """How the response to one request is read.

    Attributes:
        is_streamed: The caller receives events.
        dropped_parameters: The parameters that were dropped from the request; None if dropping is off.
        model_id: The model to pick from the catalog.
        kept_items: The input items that a compaction keeps.
        restarts_on_interrupt: A broken stream starts again although events were delivered.
        deadline: The monotonic time at which the whole call must be over.
        idle_timeout: The longest silence within the response, in seconds.
        login: The login that signed this attempt.
        limits: Where the usage limits in the response are recorded.
    """

    route: Route
    is_streamed: bool = False
    dropped_parameters: tuple[str, ...] | None = None
    model_id: str | None = None
    kept_items: tuple[Any, ...] = field(default=(), repr=False)
    restarts_on_interrupt: bool = False
    idle_timeout: float | None = None
    deadline: float | None = None
    login: Login | None = field(default=None, repr=False)
    limits: LimitsTracker | None = field(default=None, repr=False)

    @property
    def account_id(self) -> str | None:
        """The account of the login that signed this attempt, if known."""
        return None if self.login is None else self.login.account_id

    def attach(self, request: httpx2.Request, **attempt: Any) -> httpx2.Request:
        """Attach this context to a request, completed with what is known of this attempt only."""
        request.extensions[_EXTENSION] = replace(self, **attempt)
        return request


def context_of(request: httpx2.Request) -> RequestContext | None:
    """Return the context of a request, or None for a request that this package did not prepare."""
    context: RequestContext | None = request.extensions.get(_EXTENSION)
    return context


def context_of_response(response: httpx2.Response) -> RequestContext | None:
    """Return the context of the request behind a response; a response made by hand has no request."""
    try:
        return context_of(response.request)
    except RuntimeError:  # httpx's error for a response without a request
        return None


class PreparedOptions(FinalRequestOptions):  # type: ignore[misc]  # final for type checkers; the class itself allows it
    """Request options that carry the context of the request, its login, and the number of retries before this attempt."""

    # Instances are copies of validated options, so no validator is needed; building one takes 3 ms.
    model_config = ConfigDict(defer_build=True)

    context: Any = None
    login: Any = None
    retries_taken: int = 0

    @classmethod
    def of(cls, options: FinalRequestOptions, context: object, **changes: Any) -> PreparedOptions:
        """Return a copy of the options with changes and the context. Redirects are never followed."""
        prepared: Any = copy(options)  # constructing a new object takes five times as long
        prepared.__class__ = cls
        # A redirect would take the prompt and the account id to another host.
        vars(prepared).update(context=context, login=None, retries_taken=0, follow_redirects=False, **changes)
        assert isinstance(prepared, cls)
        return prepared
