"""`login` and `logout`."""

from __future__ import annotations

import click

from codex_backend_sdk._constants import CALLBACK_PORTS

__all__ = ["login", "logout"]


@click.command()
@click.option("--no-browser", is_flag=True, help="Only print the address, open nothing.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for you.",
)
@click.option(
    "--port",
    "ports",
    type=click.IntRange(0, 65535),
    multiple=True,
    default=CALLBACK_PORTS,
    show_default=True,
    help="Where to come back to on this machine, the first that is free. OpenAI's sign-in server knows the defaults "
    "only; 0 is any.",
)
def login(no_browser: bool, timeout: float, ports: tuple[int, ...]) -> None:
    """Sign in with your browser, and keep the login.

    A login that is there already is replaced. The Codex CLI uses the same file.
    """
    from codex_backend_sdk.auth import Credentials

    credentials = Credentials()
    found = credentials.authenticate(
        force=True,
        open_browser=not no_browser,
        on_url=lambda url: _tell(url, opens=not no_browser),
        timeout=timeout,
        ports=ports,
    )
    plan = f" (plan {found.plan})" if found.plan else ""
    click.secho(f"Signed in as {found.email or found.account_id or 'an account without a name'}{plan}.", fg="green")
    click.echo(f"The login is stored in {credentials.store.location}.")


@click.command()
@click.option("--revoke", is_flag=True, help="Also make the tokens worthless at the sign-in server.")
def logout(revoke: bool) -> None:
    """Remove the stored login.

    The Codex CLI uses the same file and is signed out, too.
    """
    from codex_backend_sdk.auth import Credentials

    credentials = Credentials()
    was_there = credentials.revoke() if revoke else credentials.logout()
    place = credentials.store.location
    click.echo(f"Signed out: the login in {place} was removed." if was_there else f"There was no login in {place}.")


def _tell(url: str, *, opens: bool) -> None:
    click.echo("Your browser opens the sign-in page. If it does not, open this address:" if opens else "Open:")
    click.echo(f"\n  {url}\n")
    click.echo("Waiting for the sign-in to be finished; Ctrl-C cancels.")
