"""`client.codex`: the endpoints that only the Codex backend has.

The ChatGPT endpoints under `/wham` report usage, workspaces and reset credits. Codex CLI: backend-client/src/client.rs.
The requests go through the client's own `get` and `post`, so they are signed, retried and reported like any other call.
The async classes have the methods of the sync ones, to be awaited; the sync docstrings have the details.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import openai

from .._routing.resolver import ACCOUNTS_CHECK_PATH, cached_routing
from .._routing.workspace_parsing import parse_workspaces
from ..limits.limit_parsing import parse_reset_credits, parse_reset_result, parse_usage_report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._routing.resolver import RoutedClient
    from ..limits.limit_types import RateLimits, ResetCredits, ResetResult, UsageReport
    from ..limits.tracker import LimitsTracker
    from ..types import Routing, Workspace
    from .explain_report import Explanation

__all__ = ["AsyncCodex", "AsyncResetCreditsResource", "Codex", "ResetCreditsResource"]

_ClientT = TypeVar("_ClientT", openai.OpenAI, openai.AsyncOpenAI)

_USAGE: Final = "/wham/usage"
_RESET_CREDITS: Final = "/wham/rate-limit-reset-credits"
_CONSUME: Final = f"{_RESET_CREDITS}/consume"


class _BaseCodex(Generic[_ClientT]):
    """The members that need no request."""

    def __init__(self, client: _ClientT, *, limits: LimitsTracker) -> None:
        self._client: _ClientT = client
        self._limits = limits

    @property
    def limits(self) -> RateLimits | None:
        """The usage of the plan as the newest response reported it, None before the first response.

        Every response of the model and every usage-limit error reports it, so this sends no request. A client shares
        it with its copies. `refresh_limits()` requests it.
        """
        return self._limits.newest

    @property
    def routing(self) -> Routing | None:
        """Where the model requests of this login go, None while that is unknown. Sends no request."""
        return cached_routing(cast("RoutedClient", self._client))


class Codex(_BaseCodex[openai.OpenAI]):
    """Usage, limits, workspaces and reset credits of the account, and explanations of calls."""

    @cached_property
    def reset_credits(self) -> ResetCreditsResource:
        """Credits that reset the plan's limits early."""
        return ResetCreditsResource(self._client)

    def usage(self) -> dict[str, Any]:
        """Request the plan's usage and return the JSON object of the backend.

        Its members are `plan_type`, `rate_limit` (with `primary_window` and `secondary_window`, each with
        `used_percent`, `limit_window_seconds` and `reset_at` in unix seconds), `additional_rate_limits`, `credits` and
        others. `usage_report()` returns the same as typed values.
        """
        return cast("dict[str, Any]", self._client.get(_USAGE, cast_to=object))

    def usage_report(self) -> UsageReport:
        """Request the plan's usage and return it as typed values: limits, usable models, number of reset credits."""
        return parse_usage_report(self.usage(), received_at=self._limits.now())

    def refresh_limits(self) -> RateLimits:
        """Request the usage of the plan's limits and return it."""
        return self.usage_report().limits

    def workspaces(self) -> list[Workspace]:
        """Request the workspaces (ChatGPT accounts) that the login belongs to."""
        return parse_workspaces(self._client.get(ACCOUNTS_CHECK_PATH, cast_to=object))

    def explain(self, **params: Any) -> Explanation:
        """Explain what `client.responses.create()` would do with these parameters. Sends no request.

        The explanation lists what the client refuses, drops and changes, estimates the input's tokens, and shows the
        prepared request without its secrets. Print it for a summary. An iterator among the parameters is consumed.

        Raises TypeError for what `create()` rejects before it looks at the parameters, for example `extra_headers=7`.
        """
        from .explain import explain  # the only method that needs the official resource, which is slow to import

        return explain(self._client, params)


class AsyncCodex(_BaseCodex[openai.AsyncOpenAI]):
    """Usage, limits, workspaces and reset credits of the account, and explanations of calls."""

    @cached_property
    def reset_credits(self) -> AsyncResetCreditsResource:
        """Credits that reset the plan's limits early."""
        return AsyncResetCreditsResource(self._client)

    async def usage(self) -> dict[str, Any]:
        """Request the plan's usage and return the JSON object of the backend; see `Codex.usage`."""
        return cast("dict[str, Any]", await self._client.get(_USAGE, cast_to=object))

    async def usage_report(self) -> UsageReport:
        """Request the plan's usage and return it as typed values: limits, usable models, number of reset credits."""
        return parse_usage_report(await self.usage(), received_at=self._limits.now())

    async def refresh_limits(self) -> RateLimits:
        """Request the usage of the plan's limits and return it."""
        return (await self.usage_report()).limits

    async def workspaces(self) -> list[Workspace]:
        """Request the workspaces (ChatGPT accounts) that the login belongs to."""
        return parse_workspaces(await self._client.get(ACCOUNTS_CHECK_PATH, cast_to=object))

    async def explain(self, **params: Any) -> Explanation:
        """Explain what `client.responses.create()` would do with these parameters; see `Codex.explain`."""
        from .explain import explain  # as above

        return explain(self._client, params)


class ResetCreditsResource:
    """The account's reset credits. The backend offers them to some plans only."""

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    def list(self) -> ResetCredits:
        """Request the reset credits. Raises openai.NotFoundError for an account that has none to offer."""
        with _explained_errors():
            return parse_reset_credits(self._client.get(_RESET_CREDITS, cast_to=object))

    def consume(self, credit_id: str | None = None, *, redeem_request_id: str | None = None) -> ResetResult:
        """Use up a reset credit now: the one with this id, or one that the backend chooses.

        `redeem_request_id` makes the request idempotent: a second call with the same value uses no second credit.
        Without it, every call creates its own; all attempts of a call share it, and a note of the exception names it
        when the call fails. Raises openai.NotFoundError as `list` does.
        """
        key = redeem_request_id or str(uuid.uuid4())
        with _explained_errors(key):
            result = self._client.post(_CONSUME, body=_consume_body(credit_id, key), cast_to=object)
            return parse_reset_result(result, redeem_request_id=key)


class AsyncResetCreditsResource:
    """The account's reset credits. The backend offers them to some plans only."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client

    async def list(self) -> ResetCredits:
        """Request the reset credits. Raises openai.NotFoundError for an account that has none to offer."""
        with _explained_errors():
            return parse_reset_credits(await self._client.get(_RESET_CREDITS, cast_to=object))

    async def consume(self, credit_id: str | None = None, *, redeem_request_id: str | None = None) -> ResetResult:
        """Use up a reset credit now: the one with this id, or one that the backend chooses; see the sync `consume`."""
        key = redeem_request_id or str(uuid.uuid4())
        with _explained_errors(key):
            result = await self._client.post(_CONSUME, body=_consume_body(credit_id, key), cast_to=object)
            return parse_reset_result(result, redeem_request_id=key)


def _consume_body(credit_id: str | None, key: str) -> dict[str, str]:
    return {"redeem_request_id": key} | ({} if credit_id is None else {"credit_id": credit_id})


@contextmanager
def _explained_errors(key: str | None = None) -> Iterator[None]:
    """Add to an error what it means for reset credits. `key` is the `redeem_request_id` of a call that uses one up."""
    try:
        yield
    except openai.NotFoundError as error:
        error.message = (
            f"The backend has no reset credits for this account, or not this one ({error.message}). "
            "Check `client.codex.usage_report().reset_credits`."
        )
        error.args = (error.message,)
        raise
    except openai.APIError as error:
        if key is not None:
            error.add_note(
                "The credit may have been used. Call "
                f"`consume(redeem_request_id={key!r})` to try again: it uses no second credit."
            )
        raise
