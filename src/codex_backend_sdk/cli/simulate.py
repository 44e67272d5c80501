"""The command `simulate`: serve the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .output import print_block, print_table, requires_extra
from .parameter_types import FiniteFloatRange

if TYPE_CHECKING:
    from ..testing.issuer.oauth_issuer import Approval

__all__ = ["simulate"]


def _list_faults(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    with requires_extra("testing"):
        from ..testing.faults.fault_catalog import FAULTS
    rows = [
        (fault.syntax, fault.description + ("" if fault.route == "responses" else f" (@{fault.route})"))
        for fault in FAULTS.values()
    ]
    print_table(("FAULT", "EFFECT"), rows)
    context.exit()


def _check_faults(context: click.Context, parameter: click.Parameter, faults: tuple[str, ...]) -> tuple[str, ...]:
    """Report an invalid fault as a usage error before the server starts."""
    if faults:
        with requires_extra("testing"):
            from ..testing.faults.fault_syntax import parse_fault
        for fault in faults:
            try:
                parse_fault(fault)
            except ValueError as error:
                raise click.BadParameter(str(error)) from error
    return faults


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on. Default: a free port.")
@click.option(
    "--approval",
    type=click.Choice(["auto", "manual", "deny"]),
    default="auto",
    show_default=True,
    help="Decision of the login page: approve, show two buttons, or deny.",
)
@click.option(
    "--codex-home",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Write a simulated login into this empty or new folder. Use it as CODEX_HOME, also for the real Codex CLI.",
)
@click.option(
    "--fail",
    "faults",
    multiple=True,
    callback=_check_faults,
    metavar="FAULT",
    help="Make requests fail. Examples: overloaded, usage_limit:plus,60, reset@token*2 (twice). Can be repeated.",
)
@click.option(
    "--fail-probability",
    type=FiniteFloatRange(0, 1),
    metavar="P",
    help="Apply the faults to random requests with this probability, from 0 to 1.",
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

    The simulator uses no model and sends no requests to other machines.
    """
    if fail_probability is not None and not faults:
        raise click.UsageError("--fail-probability applies to the faults of --fail. Add --fail FAULT.")
    with requires_extra("testing"):
        from ..testing import serve
    code = serve(
        port, echo=print_block, approval=approval, codex_home=codex_home, faults=faults, probability=fail_probability
    )
    context.exit(code)
