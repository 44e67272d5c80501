"""`client.responses`: the official resource with a default model, any iterable as input, and true endings.

The signatures are the official ones, overloads included: type checkers see the inherited methods, and at run time the
few below pass everything on.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from openai import NotGiven, Omit
from openai.resources.responses import AsyncResponses as OfficialAsyncResponses
from openai.resources.responses import Responses as OfficialResponses

from .._request.argument_hints import RESPONSES_HINTS, ArgumentHints
from .._request.shaping import to_json_data

if TYPE_CHECKING:
    from .._options import ClientOptions

__all__ = ["AsyncResponses", "Responses"]

# These two are handed over past upstream's parameter transform, which walks every member of every item against the
# official types: 0.5 ms an item. For these types it changes nothing that `plain` does not do.
_BULK: Final = ("input", "tools")
# Up to 20 µs each. Those that a tracer of official calls shows by name (`model`, `reasoning`, …) are left to it.
_OF_CREATE: Final = (*_BULK, "include", "parallel_tool_calls", "prompt_cache_key", "store")
_NONE_HAS_A_MEANING: Final = ("timeout", "parse_as")
_create, _parse, _compact, _stream = (
    ArgumentHints(method, hints=RESPONSES_HINTS)
    for method in (
        OfficialResponses.create,
        OfficialResponses.parse,
        OfficialResponses.compact,
        OfficialResponses.stream,
    )
)


class Responses(OfficialResponses):
    """Model responses. `create`, `parse`, `stream` and `compact` are the official methods."""

    if not TYPE_CHECKING:

        @wraps(OfficialResponses.create)
        def create(self, **params: Any) -> Any:
            with _create:
                return super().create(**_given(self._client, params, lift=_OF_CREATE))

        @wraps(OfficialResponses.parse)
        def parse(self, **params: Any) -> Any:
            with _parse:
                return super().parse(**_given(self._client, params, lift=("input",)))

        @wraps(OfficialResponses.compact)
        def compact(self, **params: Any) -> Any:
            with _compact:
                return super().compact(**_given(self._client, params, lift=_BULK, needs_model=True))

        @wraps(OfficialResponses.stream)
        def stream(self, **params: Any) -> Any:
            from .response_stream import StreamManager  # few calls are made through it

            with _stream:
                manager = super().stream(**_given(self._client, params, needs_model=True))
            return StreamManager(manager) if _is_ours(self._client) else manager


class AsyncResponses(OfficialAsyncResponses):
    """Model responses. `create`, `parse`, `stream` and `compact` are the official methods."""

    if not TYPE_CHECKING:

        @wraps(OfficialAsyncResponses.create)
        async def create(self, **params: Any) -> Any:
            with _create:
                return await super().create(**_given(self._client, params, lift=_OF_CREATE))

        @wraps(OfficialAsyncResponses.parse)
        async def parse(self, **params: Any) -> Any:
            with _parse:
                return await super().parse(**_given(self._client, params, lift=("input",)))

        @wraps(OfficialAsyncResponses.compact)
        async def compact(self, **params: Any) -> Any:
            with _compact:
                return await super().compact(**_given(self._client, params, lift=_BULK, needs_model=True))

        @wraps(OfficialAsyncResponses.stream)
        def stream(self, **params: Any) -> Any:
            from .response_stream import AsyncStreamManager

            with _stream:
                manager = super().stream(**_given(self._client, params, needs_model=True))
            return AsyncStreamManager(manager) if _is_ours(self._client) else manager


def _given(
    client: object, params: dict[str, Any], *, lift: tuple[str, ...] = (), needs_model: bool = False
) -> dict[str, Any]:
    """Return the parameters to call the official method with.

    On a client of ours what is absent is left out (upstream takes a None for a value), a generator of tools can be
    read twice, and the default model stands in where upstream insists on one. `lift` names what goes past upstream's
    transform, in `extra_body`.
    """
    settings: ClientOptions | None = getattr(client, "_codex", None)
    if settings is not None:
        params = {name: value for name, value in params.items() if value is not None or name in _NONE_HAS_A_MEANING}
        if isinstance(params.get("tools"), Iterator):
            params["tools"] = list(params["tools"])
        if needs_model and _is_absent(params.get("model")) and _is_absent(params.get("response_id")):
            params["model"] = settings.model
    bulk = {name: params.pop(name) for name in lift if not _is_absent(params.get(name))}
    if bulk:
        bulk = (
            bulk if settings is not None else to_json_data(bulk)
        )  # our clients do that once, when they shape the request
        params["extra_body"] = {**bulk, **(params.get("extra_body") or {})}
    return params


def _is_ours(client: object) -> bool:
    """Whether it is one of our clients; these classes serve an official one as well, with the official behaviour."""
    return hasattr(client, "_codex")


def _is_absent(value: Any) -> bool:
    return value is None or isinstance(value, (Omit, NotGiven))
