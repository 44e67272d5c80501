"""`client.codex`: what only the Codex backend has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import openai

    from .._core.explanation import Explanation

__all__ = ["AsyncCodex", "Codex"]

_USAGE = "/wham/usage"


class Codex:
    """The Codex-only endpoints."""

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

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
        """
        from .explaining import explain

        return explain(cast("Any", self._client), params)


class AsyncCodex:
    """The Codex-only endpoints."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client

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
        """
        from .explaining import explain

        return explain(cast("Any", self._client), params)
