"""The command `simulate`: run the simulator as a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .output import needs_extra

if TYPE_CHECKING:
    from ..testing.issuer.oauth_issuer import Approval

__all__ = ["simulate"]


def _list_faults(context: click.Context, parameter: click.Parameter, is_given: bool) -> None:
    if not is_given or context.resilient_parsing:
        return
    with needs_extra("testing"):
        from ..testing.faults.fault_catalog import FAULTS
    width = max(len(fault.usage) for fault in FAULTS.values())
    for fault in FAULTS.values():
        route = "" if fault.route == "responses" else f" (@{fault.route})"
        click.echo(f"{fault.usage:{width}}  {fault.description}{route}")
    context.exit()


def _check_faults(context: click.Context, parameter: click.Parameter, faults: tuple[str, ...]) -> tuple[str, ...]:
    """Reject a misspelt fault as a usage error, before the server starts."""
    if faults:
        with needs_extra("testing"):
            from ..testing.faults.fault_syntax import parse_fault
        for fault in faults:
            try:
                parse_fault(fault)
            except ValueError as error:
                raise click.BadParameter(str(error)) from error
    return faults


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on. Default: any free port.")
@click.option(
    "--approval",
    type=click.Choice(["auto", "manual", "deny"]),
    default="auto",
    show_default=True,
    help="What the login page does: approve at once, show buttons, or deny.",
)
@click.option(
    "--codex-home",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Write a simulated login into this empty or new folder, for the real Codex CLI (CODEX_HOME).",
)
@click.option(
    "--fail",
    "faults",
    multiple=True,
    callback=_check_faults,
    metavar="FAULT",
    help="Make requests fail: overloaded, usage_limit:plus,60, reset@token*2 (twice), … Can be repeated.",
)
@click.option(
    "--fail-probability",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Apply the faults to a random share of the requests.",
)
@click.option(
    "--list-faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_faults,
    help="List the available faults and exit.",
)
@click.pass_context
def simulate(
    context: click.Context,
    port: int,
    approval: Approval,
    codex_home: str | None,
    faults: tuple[str, ...],
    fail_probability: float | None,
) -> None:
    """Serve a simulated backend and issuer until Ctrl-C.

    No model runs and nothing leaves this machine.
    """
    if fail_probability is not None and not faults:
        raise click.UsageError("--fail-probability needs a fault. Add --fail.")
    with needs_extra("testing"):
        from ..testing import serve
    code = serve(
        port, echo=click.echo, approval=approval, codex_home=codex_home, faults=faults, probability=fail_probability
    )
    context.exit(code)
