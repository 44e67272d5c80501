"""`client.codex`: what only the Codex backend has."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from .._routing.resolver import ACCOUNTS, known_routing
from .._routing.workspace_parsing import read_workspaces
from ..limits.limit_parsing import parse_usage_report

if TYPE_CHECKING:
    import openai

    from ..limits.limit_types import RateLimits, UsageReport
    from ..limits.tracker import LimitsTracker
    from ..types import Routing, Workspace
    from .explanation import Explanation
    from .reset_credits import AsyncResetCreditsResource, ResetCreditsResource

__all__ = ["AsyncCodex", "Codex"]

_USAGE = "/wham/usage"


class Codex:
    """The Codex-only endpoints."""

    def __init__(self, client: openai.OpenAI, *, limits: LimitsTracker) -> None:
        self._client = client
        self._limits = limits

    @property
    def limits(self) -> RateLimits | None:
        """How much of the plan is used, as the newest answer to this client or a copy said; None before there was one.

        Nothing is asked: every model answer says it, and so does a refusal. `refresh_limits()` asks.
        """
        return self._limits.newest

    def refresh_limits(self) -> RateLimits:
        """Ask how much of the plan is used, and return it."""
        return self.usage_report().limits

    def usage(self) -> dict[str, Any]:
        """Return the plan's usage as the backend tells it.

        Members: `plan_type`, `rate_limit` (with `primary_window` and `secondary_window`: `used_percent`,
        `limit_window_seconds`, `reset_at` in unix seconds), `additional_rate_limits`, `credits`, and others.
        """
        return cast("dict[str, Any]", self._client.get(_USAGE, cast_to=object))

    def explain(self, **params: Any) -> Explanation:
        """Say what `client.responses.create()` would do with these parameters, without a request. Print it to read it.

        What is refused or likely to be, left out and changed, how the call fits its model (by the catalogue, if
        `client.models.list()` was called), and the request itself without its secrets. An iterator is used up.
        TypeError where `create()` raises it before it looks at the parameters: `extra_headers` that are no mapping.
        """
        from .explain import explain

        return explain(cast("Any", self._client), params)

    def usage_report(self) -> UsageReport:
        """Return the plan's usage, typed: limits, the models that can be used, reset credits."""
        return parse_usage_report(self.usage(), seen_at=self._limits.now())

    @cached_property
    def reset_credits(self) -> ResetCreditsResource:
        """Credits that fill the limits up again before their time."""
        from .reset_credits import ResetCreditsResource

        return ResetCreditsResource(self._client)

    def workspaces(self) -> list[Workspace]:
        """Return the accounts (workspaces) that the login belongs to."""
        return read_workspaces(self._client.get(ACCOUNTS, cast_to=object))

    @property
    def routing(self) -> Routing | None:
        """Where the model requests of this login go, without a request; None while it is not known."""
        return known_routing(self._client)


class AsyncCodex:
    """The Codex-only endpoints."""

    def __init__(self, client: openai.AsyncOpenAI, *, limits: LimitsTracker) -> None:
        self._client = client
        self._limits = limits

    @property
    def limits(self) -> RateLimits | None:
        """How much of the plan is used, as the newest answer to this client or a copy said; None before there was one.

        Nothing is asked: every model answer says it, and so does a refusal. `refresh_limits()` asks.
        """
        return self._limits.newest

    async def refresh_limits(self) -> RateLimits:
        """Ask how much of the plan is used, and return it."""
        return (await self.usage_report()).limits

    async def usage(self) -> dict[str, Any]:
        """Return the plan's usage as the backend tells it.

        Members: `plan_type`, `rate_limit` (with `primary_window` and `secondary_window`: `used_percent`,
        `limit_window_seconds`, `reset_at` in unix seconds), `additional_rate_limits`, `credits`, and others.
        """
        return cast("dict[str, Any]", await self._client.get(_USAGE, cast_to=object))

    async def explain(self, **params: Any) -> Explanation:
        """Say what `client.responses.create()` would do with these parameters, without a request. Print it to read it.

        What is refused or likely to be, left out and changed, how the call fits its model (by the catalogue, if
        `client.models.list()` was called), and the request itself without its secrets. An iterator is used up.
        TypeError where `create()` raises it before it looks at the parameters: `extra_headers` that are no mapping.
        """
        from .explain import explain

        return explain(cast("Any", self._client), params)

    async def usage_report(self) -> UsageReport:
        """Return the plan's usage, typed: limits, the models that can be used, reset credits."""
        return parse_usage_report(await self.usage(), seen_at=self._limits.now())

    @cached_property
    def reset_credits(self) -> AsyncResetCreditsResource:
        """Credits that fill the limits up again before their time."""
        from .reset_credits import AsyncResetCreditsResource

        return AsyncResetCreditsResource(self._client)

    async def workspaces(self) -> list[Workspace]:
        """Return the accounts (workspaces) that the login belongs to."""
        return read_workspaces(await self._client.get(ACCOUNTS, cast_to=object))

    @property
    def routing(self) -> Routing | None:
        """Where the model requests of this login go, without a request; None while it is not known."""
        return known_routing(self._client)
