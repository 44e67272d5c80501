"""The command `models`: the model catalog of the account as a table, one model in full, or everything as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from .known_models import complete_model, remember_models
from .output import line_width, print_fields, print_json, print_table, print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..resources.models import Model

__all__ = ["models"]

_HEADINGS: Final = ("MODEL", "CONTEXT", "INPUT", "TIERS", "REASONING EFFORTS")
_TABLE_COLUMNS: Final = 80  # in a narrower terminal, each model is a block of lines


@click.command()
@click.argument("model", required=False, shell_complete=complete_model)
@click.option("--all", "include_hidden", is_flag=True, help="Include the models that the backend hides from pickers.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole model catalog, or the model, as JSON.")
def models(model: str | None, include_hidden: bool, as_json: bool) -> None:
    """List the models of this account, or describe one MODEL.

    An asterisk marks the default model, and the default reasoning effort of each model.
    """
    from .. import OpenAI

    with OpenAI() as client:
        default = client._codex.model
        if model is not None:
            described = client.models.retrieve(model)
            if as_json:
                print_json({"is_default": described.id == default, **described.to_dict(mode="json")})
            else:
                _describe(described, default)
            return
        page = client.models.list()
    remember_models(page.data)
    if as_json:
        print_json({"default_model": default, **page.to_dict(mode="json")})
        return
    visible = [each for each in page.data if include_hidden or each.visibility != "hide"]
    if line_width() < _TABLE_COLUMNS:
        _print_blocks(visible, default)
    else:
        print_table(_HEADINGS, [_row(each, default) for each in visible])
    if any(each.id == default for each in page.data):
        print_text("* the default model, and the default effort of each model", err=True, dim=True)
    else:
        print_text(f"The default model, {default}, is not available to this account. Pass -m MODEL to `ask`.", err=True)


def _row(model: Model, default: str) -> tuple[str, ...]:
    return _id(model, default), _tokens(model.context_window), _inputs(model), _tiers(model), _efforts(model)


def _print_blocks(visible: Sequence[Model], default: str) -> None:
    for model in visible:
        print_text(_id(model, default), bold=True)
        print_text(f"  {_tokens(model.context_window)} tokens; {_inputs(model)}", indent=2)
        print_text(f"  efforts: {_efforts(model)}", indent=4)


def _describe(model: Model, default: str) -> None:
    print_text(model.display_name or model.id, bold=True)
    if model.description:
        print_text(model.description)
    levels = [
        f"{level.effort}{_mark(level.effort == model.default_reasoning_level)}"
        + (f" ({level.description})" if level.description else "")
        for level in model.supported_reasoning_levels
    ]
    tiers = [
        f"{tier['id']} ({tier['name']})" if tier.get("name") else str(tier["id"])
        for tier in _list(model, "service_tiers")
    ]
    plans = [str(plan) for plan in getattr(model, "available_in_plans", None) or ()]
    print_fields(
        ("model", f"{model.id}, the default" if model.id == default else model.id),
        ("context", f"{_tokens(model.context_window)} tokens by default, at most {_tokens(model.max_context_window)}"),
        ("input", _inputs(model).replace(" ", ", ")),
        ("efforts", ", ".join(levels) or "none"),
        ("service tiers", ", ".join(tiers) or "none"),
        ("plans", ", ".join(plans) or "not reported; this account has access"),
    )


def _id(model: Model, default: str) -> str:
    return f"{model.id}{_mark(model.id == default)}"


def _mark(is_default: bool) -> str:
    return "*" if is_default else ""


def _tokens(count: int | None) -> str:
    return f"{count // 1000:,} k" if count else "-"


def _inputs(model: Model) -> str:
    return " ".join(model.input_modalities) or "-"


def _tiers(model: Model) -> str:
    return " ".join(str(tier["id"]) for tier in _list(model, "service_tiers")) or "-"


def _list(model: Model, name: str) -> list[dict[str, Any]]:
    """Return the objects in a member that the class does not declare."""
    value = getattr(model, name, None)
    return [entry for entry in value if isinstance(entry, dict) and "id" in entry] if isinstance(value, list) else []


def _efforts(model: Model) -> str:
    levels = [level.effort for level in model.supported_reasoning_levels]
    return " ".join(f"{level}{_mark(level == model.default_reasoning_level)}" for level in levels) or "-"
