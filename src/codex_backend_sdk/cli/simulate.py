"""`simulate`: the simulator as a server of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .extras import needs_extra

if TYPE_CHECKING:
    from ..testing.issuer.oauth_issuer import Approval

__all__ = ["simulate"]


_LISTS = "List the faults and end."


def _list_faults(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    with needs_extra("testing"):
        from ..testing.faults.fault_catalogue import FAULTS
    width = max(len(fault.usage) for fault in FAULTS.values())
    for fault in FAULTS.values():
        place = "" if fault.place == "responses" else f" (@{fault.place})"
        click.echo(f"{fault.usage:{width}}  {fault.says}{place}")
    context.exit()


def _checked(context: click.Context, parameter: click.Parameter, faults: tuple[str, ...]) -> tuple[str, ...]:
    if faults:
        with needs_extra("testing"):
            from ..testing.faults.fault_syntax import planned
        for fault in faults:
            try:
                planned(fault)
            except ValueError as error:
                raise click.BadParameter(str(error)) from error
    return faults


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any that is free.")
@click.option(
    "--approval",
    type=click.Choice(["auto", "manual", "deny"]),
    default="auto",
    show_default=True,
    help="What the sign-in page does: approve by itself, show buttons, or refuse.",
)
@click.option(
    "--codex-home",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Make this folder a CODEX_HOME with which the real Codex CLI runs on the simulator.",
)
@click.option(
    "--fail",
    "faults",
    multiple=True,
    callback=_checked,
    metavar="FAULT",
    help="Let requests fail: overloaded, usage_limit:plus,60, reset@token*2 (twice), …; may be repeated.",
)
@click.option("--fail-probability", type=click.FloatRange(0, 1), metavar="P", help="Only that part of them, drawn.")
@click.option("--list-faults", is_flag=True, is_eager=True, expose_value=False, callback=_list_faults, help=_LISTS)
@click.pass_context
def simulate(
    context: click.Context,
    port: int,
    approval: Approval,
    codex_home: str | None,
    faults: tuple[str, ...],
    fail_probability: float | None,
) -> None:
    """Serve a simulated backend and sign-in server until Ctrl-C.

    It answers without a model; nothing leaves this machine.
    """
    with needs_extra("testing"):
        from ..testing import serve
    code = serve(
        port, echo=click.echo, approval=approval, codex_home=codex_home, faults=faults, probability=fail_probability
    )
    context.exit(code)
