"""Convert the model catalog of the backend to the official list of models, and cache it.

The backend describes a model by its `slug` and about forty other members (context window, reasoning levels, …). The
official `Model` requires `id`, `object`, `created` and `owned_by`, which are added to the members of the backend. Wire
source: Codex CLI, codex-api/src/endpoint/models.rs and protocol/src/openai_models.rs.

The catalog of the backend lists the effort `ultra`, which is a mode of the Codex CLI: the CLI delegates to other agents
and sends the model's `multi_agent_reasoning_effort`, or `max` (core/src/client.rs). No request may contain it, so it is
removed here: all efforts that the models list can be sent.

A catalog belongs to an account, because it depends on the plan. The cache contains the last catalog.
"""

from __future__ import annotations

import re
from operator import eq
from typing import TYPE_CHECKING, Any, Final

from ._coerce import as_list, as_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .types import Login

__all__ = [
    "EFFORTS",
    "CatalogCache",
    "efforts_of",
    "find_model",
    "first_listed_id",
    "similar_model",
    "to_official_list",
]

# The efforts of the current models, for a model that the catalog does not describe. Some models accept fewer.
EFFORTS: Final = ("none", "low", "medium", "high", "xhigh", "max")
_CLI_EFFORT: Final = "ultra"
_LEVELS: Final = "supported_reasoning_levels"

# As in the Codex CLI: models-manager/src/manager.rs.
_FRESH_SECONDS: Final = 300.0

_VERSION: Final = re.compile(r"\d+(?:\.\d+)?")
# `gpt-6.1-tera` has 0.96 with `gpt-6.1-terra`, `gpt-6-nope` has 0.74 with `gpt-6-sol`.
_SIMILARITY: Final = 0.8


def to_official_list(catalog: Any) -> dict[str, Any]:
    """Return `{"object": "list", "data": […]}` for a catalog, sorted by priority.

    Entries without a `slug` are skipped. Raises ValueError if the value is not a catalog.
    """
    entries = catalog.get("models") if isinstance(catalog, dict) else None
    if not isinstance(entries, list):
        # The caller raises an error with the URL and the remedy.
        raise ValueError("the response is not a model catalog")  # noqa: TRY004 - invalid data, not a wrong argument type
    models = [
        # The official class requires an owner and a date, which the catalog does not contain.
        {"id": entry["slug"], "object": "model", "created": 0, "owned_by": "openai", **_with_wire_efforts(entry)}
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("slug"), str)
    ]
    return {"object": "list", "data": sorted(models, key=_priority)}


def _with_wire_efforts(entry: dict[str, Any]) -> dict[str, Any]:
    levels = entry.get(_LEVELS)
    if not isinstance(levels, list):
        return entry
    return entry | {
        _LEVELS: [level for level in levels if not (isinstance(level, dict) and level.get("effort") == _CLI_EFFORT)]
    }


def efforts_of(model: Mapping[str, Any]) -> list[str]:
    """Return the reasoning efforts that the catalog lists for a model."""
    levels = map(as_mapping, as_list(model.get(_LEVELS)))
    return [level["effort"] for level in levels if isinstance(level.get("effort"), str)]


def find_model(catalog: Any, model_id: str) -> dict[str, Any] | None:
    """Return the official model with this id, or None. Raises ValueError if the value is not a catalog."""
    return next((model for model in to_official_list(catalog)["data"] if model["id"] == model_id), None)


def first_listed_id(models: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the ID of the first model that is not hidden, or None. It is the default model of the Codex CLI."""
    return next((str(model["id"]) for model in models if model.get("visibility") != "hide"), None)


def similar_model(name: str, ids: Iterable[str]) -> str | None:
    """Return the first ID that contains the name, or else one that looks like a misspelling of it, or None.

    A model of another version is another model, not a misspelling.
    """
    from difflib import get_close_matches  # a few milliseconds, only for an unknown model

    known = list(ids)
    part = name.strip().lower()
    containing = [each for each in known if part and part in each.lower()]
    same_version = [each for each in known if _has_same_version(part, each)]
    return next(iter(containing or get_close_matches(part, same_version, n=1, cutoff=_SIMILARITY)), None)


def _has_same_version(name: str, model_id: str) -> bool:
    """Return whether the first numbers agree: the major version, and the minor one if both have it."""
    versions = [match[0].split(".") for match in map(_VERSION.search, (name, model_id)) if match]
    return len(versions) < 2 or all(map(eq, *versions))


def _priority(model: dict[str, Any]) -> float:
    # Lower values come first, as in the model picker of the Codex CLI. Models without a priority come last.
    priority = model.get("priority")
    return priority if isinstance(priority, (int, float)) else float("inf")


class CatalogCache:
    """Cache of the last model catalog and its account. A client and its copies share one cache."""

    def __init__(self) -> None:
        self._models: Sequence[Mapping[str, Any]] | None = None
        self._account_id: str | None = None
        self._received_at = 0.0
        self._etag: str | None = None
        self._reported_etag: str | None = None

    def put(
        self, models: Sequence[Mapping[str, Any]], *, login: Login | None, received_at: float, etag: str | None = None
    ) -> None:
        """Replace the cached catalog. `received_at` is in monotonic seconds, `etag` the entity tag of the catalog."""
        self._models, self._account_id, self._received_at = models, _account_id(login), received_at
        self._etag = self._reported_etag = etag

    def report_etag(self, etag: str | None) -> None:
        """Record the entity tag of the catalog that the backend reports with its responses, or None for no report."""
        if etag is not None:
            self._reported_etag = etag

    def get(self, login: Login | None) -> Sequence[Mapping[str, Any]] | None:
        """Return the cached catalog of this account, of any age, or None.

        Without a login or an account id, return the cached catalog of any account.
        """
        return self._models if _account_id(login) in (None, self._account_id) else None

    def get_current(self, login: Login | None) -> Sequence[Mapping[str, Any]] | None:
        """Return the cached catalog of this account, unless the backend has reported another entity tag since."""
        is_current = self._etag in (None, self._reported_etag)
        return self._models if is_current and _account_id(login) == self._account_id else None

    def get_fresh(self, login: Login | None, *, now: float) -> Sequence[Mapping[str, Any]] | None:
        """Return the cached catalog if it belongs to this account and is less than five minutes old, else None."""
        is_fresh = _account_id(login) == self._account_id and now - self._received_at < _FRESH_SECONDS
        return self._models if is_fresh else None


def _account_id(login: Login | None) -> str | None:
    return None if login is None else login.account_id
