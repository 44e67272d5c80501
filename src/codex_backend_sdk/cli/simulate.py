"""`simulate`: the simulator as a server of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from codex_backend_sdk.cli.extras import needs_extra

if TYPE_CHECKING:
    from codex_backend_sdk.testing.issuer_pages import Approval

__all__ = ["simulate"]


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any that is free.")
@click.option(
    "--approve",
    type=click.Choice(["auto", "ask", "deny"]),
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
@click.pass_context
def simulate(context: click.Context, port: int, approve: Approval, codex_home: str | None) -> None:
    """Serve a simulated backend and sign-in server until Ctrl-C.

    It answers without a model; nothing leaves this machine.
    """
    with needs_extra("testing"):
        from codex_backend_sdk.testing import serve
    context.exit(serve(port, echo=click.echo, approve=approve, codex_home=codex_home))
