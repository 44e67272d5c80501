"""The command `simulate`: serve the simulator, and print a line for each request on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from .output import print_block, print_table, requires_extra
from .parameter_types import FiniteFloatRange

if TYPE_CHECKING:
    from ..testing import RequestSummary
    from ..testing.issuer.oauth_issuer import Approval

__all__ = ["request_line", "simulate"]

_BACKEND_PREFIX: Final = "/backend-api"  # of all paths of the backend
_MAX_LENGTH: Final = 60  # of a text of the client


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


def _check_script(context: click.Context, parameter: click.Parameter, path: str | None) -> str | None:
    """Report an invalid script as a usage error before the server starts."""
    if path is not None:
        with requires_extra("testing"):
            from ..testing.script_file import read_script

            try:
                read_script(path)
            except ValueError as error:
                raise click.BadParameter(str(error)) from error
    return path


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on. Default: a free port.")
@click.option(
    "--codex-home",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Write a simulated login into this folder: a new or empty one, or that of an earlier run. "
    "Use it as CODEX_HOME, also for the real Codex CLI.",
)
@click.option(
    "--approval",
    type=click.Choice(["auto", "manual", "deny"]),
    default="auto",
    show_default=True,
    help="Decision of the login page: approve, show two buttons, or deny.",
)
@click.option("--expired", is_flag=True, help="Write a login whose access token has expired. Clients must refresh it.")
@click.option(
    "--script",
    callback=_check_script,
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Send the responses of this YAML or JSON file first, in order (see docs/testing.md).",
)
@click.option(
    "--pace",
    type=FiniteFloatRange(0, 1_000_000, min_open=True),
    metavar="N",
    help="Stream N tokens a second, such as 40. Default: as fast as possible.",
)
@click.option(
    "--limit-after",
    type=click.IntRange(0),
    metavar="N",
    help="Use up the 5-hour limit of the plan with N requests, and then reject requests until it resets.",
)
@click.option(
    "--websocket/--no-websocket",
    default=None,
    help="Accept WebSockets and make the Codex CLI use them, or reject them. Default: accept them.",
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
@click.option("--quiet", is_flag=True, help="Do not print a line for each request on standard error.")
@click.option("--json", "as_json", is_flag=True, help="Print the addresses and the variables as one line of JSON.")
def simulate(
    port: int,
    codex_home: str | None,
    approval: Approval,
    expired: bool,
    script: str | None,
    pace: float | None,
    limit_after: int | None,
    websocket: bool | None,
    faults: tuple[str, ...],
    fail_probability: float | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Serve a simulated backend and issuer until Ctrl-C.

    The simulator uses no model and sends no requests to other machines. It prints the environment variables that select
    it, and one line for each request on standard error.
    """
    if fail_probability is not None and not faults:
        raise click.UsageError("--fail-probability applies to the faults of --fail. Add --fail FAULT.")
    with requires_extra("testing"):
        from ..testing import WebSocketSettings, serve
    try:
        serve(
            port,
            echo=print_block,
            approval=approval,
            codex_home=codex_home,
            faults=faults,
            probability=fail_probability,
            script=script,
            login_is_expired=expired,
            supports_websockets=bool(websocket),
            as_json=as_json,
            on_request=None if quiet else _print_request,
            pace=pace,
            limit_after=limit_after,
            websocket=WebSocketSettings(is_enabled=websocket is not False),
        )
    except OSError as error:
        raise click.ClickException(error.strerror or str(error)) from error


def _print_request(summary: RequestSummary) -> None:
    is_problem = summary.status is None or summary.status >= 400 or summary.response.problem is not None
    attributes: dict[str, Any] = {"fg": "yellow"} if is_problem else {}
    print_block(request_line(summary), err=True, **attributes)


def request_line(summary: RequestSummary) -> str:
    """Return the line of the request log. Control characters of the client are replaced."""
    response = summary.response
    parts = [
        f"{summary.time.astimezone():%H:%M:%S}",
        summary.method.ljust(4),
        summary.path.removeprefix(_BACKEND_PREFIX)[:_MAX_LENGTH],
        "-" if summary.status is None else str(summary.status),
        (summary.model or "")[:_MAX_LENGTH],
        (response.problem or "")[:_MAX_LENGTH],
        _items_text(response.items),
        "" if response.input_tokens is None else f"{response.input_tokens:,}+{response.output_tokens:,} tokens",
        f"{summary.seconds:.2f} s",
    ]
    text = " ".join(part for part in parts if part)
    return "".join(character if character.isprintable() else "?" for character in text)


def _items_text(items: tuple[str, ...]) -> str:
    return items[0] if len(items) == 1 else f"{len(items)} items" if items else ""
