"""`models`: the catalogue of this account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import output

if TYPE_CHECKING:
    from ..resources.models import Model

__all__ = ["models"]

_HEADINGS = ("MODEL", "NAME", "CONTEXT", "REASONING EFFORTS")


@click.command()
@click.option("--all", "wants_all", is_flag=True, help="Also those that the backend hides from pickers.")
@click.option("--json", "wants_json", is_flag=True, help="Print the whole catalogue, with all that it says.")
def models(wants_all: bool, wants_json: bool) -> None:
    """List the models that this account may use."""
    from .. import OpenAI

    with OpenAI() as client:
        page = client.models.list()
    if wants_json:
        output.as_json(page.to_dict(mode="json"))
        return
    output.table(_HEADINGS, [_row(model) for model in page.data if wants_all or model.visibility != "hide"])


def _row(model: Model) -> tuple[str, ...]:
    efforts = [level.effort for level in model.supported_reasoning_levels]
    context = f"{model.context_window // 1000:,} k" if model.context_window else "-"
    return model.id, model.display_name or "-", context.rjust(7), ", ".join(efforts) or "-"
