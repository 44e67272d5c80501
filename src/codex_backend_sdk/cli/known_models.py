"""The models of the last catalog that was received, for completion in a shell and for `llm`. Sends no request.

`models`, `chat` and the plugin for `llm` keep the catalog in the data folder. Before their first use, that of the Codex
CLI is read, which may be of another account; a wrong completion does no harm.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from .._catalog import EFFORTS, to_official_list
from .._data_folder import data_folder
from .._files import create_private_file, create_private_folder, read_regular_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import click

    from ..resources.models import Model

__all__ = ["complete_effort", "complete_model", "is_outdated", "known_models", "remember_models"]

_MEMBERS: Final = (
    "visibility",
    "priority",
    "supported_reasoning_levels",
    "default_reasoning_level",
    "input_modalities",
)
_OUTDATED_AFTER_SECONDS: Final = 86400.0


def remember_models(models: Iterable[Model]) -> None:
    """Keep the models. Do nothing if the data folder cannot be written."""
    entries = [
        {"slug": model.id, **{name: value for name, value in model.to_dict(mode="json").items() if name in _MEMBERS}}
        for model in models
    ]
    path = _own_file()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with suppress(OSError):
        create_private_folder(path.parent)
        with open(create_private_file(draft, like=path), "w", encoding="utf-8") as file:
            json.dump({"models": entries}, file)
        os.replace(draft, path)


def complete_model(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the listed models that begin so."""
    models = [model["id"] for model in known_models() if model.get("visibility") != "hide"]
    return [model for model in models if model.startswith(incomplete)]


def complete_effort(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the efforts of the model of `-m`, or of all models, that begin so."""
    models, chosen = known_models(), context.params.get("model")
    described = [model for model in models if model["id"] == chosen] or models
    found = {effort for model in described for effort in _efforts(model)}
    # The catalog does not list `none`, which some models accept.
    return [effort for effort in EFFORTS if effort.startswith(incomplete) and (not found or effort in {*found, "none"})]


def _efforts(model: dict[str, Any]) -> list[str]:
    levels = model.get("supported_reasoning_levels")
    return [level["effort"] for level in levels if isinstance(level, dict)] if isinstance(levels, list) else []


def known_models() -> Sequence[dict[str, Any]]:
    """Return the models of the last catalog, ordered by priority, or none. Each has an `id` and some other members."""
    from ..auth.stores.base import codex_home_path

    for path in (_own_file, lambda: codex_home_path() / "models_cache.json"):
        with suppress(OSError, RuntimeError, ValueError, TypeError, KeyError):  # the file of another program
            models: Sequence[dict[str, Any]] = to_official_list(json.loads(read_regular_file(path())))["data"]
            return models
    return ()


def is_outdated() -> bool:
    """Return whether the catalog is older than a day, or was never received."""
    try:
        return time.time() - _own_file().stat().st_mtime > _OUTDATED_AFTER_SECONDS
    except OSError:
        return True


def _own_file() -> Path:
    return data_folder() / "models.json"
