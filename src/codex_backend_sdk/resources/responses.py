"""`client.responses`: the official resource with a default model, any iterable as input, and true endings.

The signatures are the official ones, overloads included: type checkers see the inherited methods, and at run time the
few below pass everything on.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from openai import NotGiven, Omit
from openai.resources.responses import AsyncResponses as OfficialAsyncResponses
from openai.resources.responses import Responses as OfficialResponses

from .._core.shaping import plain
from .helper import AsyncStreamManager, StreamManager

if TYPE_CHECKING:
    from .._types import Settings

__all__ = ["AsyncResponses", "Responses"]

# These two are handed over past upstream's parameter transform, which walks every member of every item against the
# official types: 0.5 ms an item. For these types it changes nothing that `plain` does not do.
_BULK: Final = ("input", "tools")
_NONE_HAS_A_MEANING: Final = ("timeout", "parse_as")


class Responses(OfficialResponses):
    """Model responses. `create`, `parse`, `stream` and `compact` are the official methods."""

    if not TYPE_CHECKING:

        @wraps(OfficialResponses.create)
        def create(self, **params: Any) -> Any:
            return super().create(**_past_transform(self._client, _present(self._client, params), _BULK))

        @wraps(OfficialResponses.parse)
        def parse(self, **params: Any) -> Any:
            return super().parse(**_past_transform(self._client, _present(self._client, params), ("input",)))

        @wraps(OfficialResponses.compact)
        def compact(self, **params: Any) -> Any:
            return super().compact(
                **_past_transform(self._client, _with_model(self._client, _present(self._client, params)), _BULK)
            )

        @wraps(OfficialResponses.stream)
        def stream(self, **params: Any) -> Any:
            manager = super().stream(**_with_model(self._client, _present(self._client, params)))
            return manager if _settings(self._client) is None else StreamManager(manager)


class AsyncResponses(OfficialAsyncResponses):
    """Model responses. `create`, `parse`, `stream` and `compact` are the official methods."""

    if not TYPE_CHECKING:

        @wraps(OfficialAsyncResponses.create)
        async def create(self, **params: Any) -> Any:
            return await super().create(**_past_transform(self._client, _present(self._client, params), _BULK))

        @wraps(OfficialAsyncResponses.parse)
        async def parse(self, **params: Any) -> Any:
            return await super().parse(**_past_transform(self._client, _present(self._client, params), ("input",)))

        @wraps(OfficialAsyncResponses.compact)
        async def compact(self, **params: Any) -> Any:
            return await super().compact(
                **_past_transform(self._client, _with_model(self._client, _present(self._client, params)), _BULK)
            )

        @wraps(OfficialAsyncResponses.stream)
        def stream(self, **params: Any) -> Any:
            manager = super().stream(**_with_model(self._client, _present(self._client, params)))
            return manager if _settings(self._client) is None else AsyncStreamManager(manager)


def _present(client: object, params: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is absent: upstream takes a None for a value. And let a generator of tools be read twice."""
    if _settings(client) is None:
        return params
    present = {name: value for name, value in params.items() if value is not None or name in _NONE_HAS_A_MEANING}
    if not _is_absent(present.get("tools")):
        present["tools"] = list(present["tools"])
    return present


def _past_transform(client: object, params: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    bulk = {name: params[name] for name in names if not _is_absent(params.get(name))}
    if not bulk:
        return params
    if _settings(client) is None:
        bulk = plain(bulk)  # our own clients do that once, when they shape the request
    rest = {name: value for name, value in params.items() if name not in bulk}
    return {**rest, "extra_body": {**bulk, **(rest.get("extra_body") or {})}}


def _with_model(client: object, params: dict[str, Any]) -> dict[str, Any]:
    """Fill in the default model where upstream insists on one before the request is shaped."""
    settings = _settings(client)
    if settings is None or not _is_absent(params.get("model")) or not _is_absent(params.get("response_id")):
        return params
    return {**params, "model": settings.model}


def _settings(client: object) -> Settings | None:
    """Return what our client was told; None for an official client, which these classes serve as well."""
    settings: Settings | None = getattr(client, "_codex", None)
    return settings


def _is_absent(value: Any) -> bool:
    return value is None or isinstance(value, (Omit, NotGiven))
