"""`login` and `logout`."""

from __future__ import annotations

import os
import sys
import textwrap
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from .._constants import ACCESS_TOKEN_ENV, CALLBACK_PORTS

if TYPE_CHECKING:
    from ..auth import CredentialStore
    from ..types import DeviceCode

__all__ = ["login", "logout"]


@click.command()
@click.option("--device", is_flag=True, help="Sign in with a browser on another device, by typing a code in there.")
@click.option("--no-browser", is_flag=True, help="Only print the address, open nothing.")
@click.option("--workspace", metavar="ID", help="Accept the login of this ChatGPT workspace only.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300,
    metavar="SECONDS",
    help="How long to wait for you. Default: 300, with --device 900.",
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
@click.pass_context
def login(
    context: click.Context,
    device: bool,
    no_browser: bool,
    workspace: str | None,
    timeout: float,
    ports: tuple[int, ...],
) -> None:
    """Sign in with your browser, and keep the login.

    A login that is there already is replaced. The Codex CLI uses the same one. Where no browser can be seen (over
    SSH, in a container) the address is printed, and the one that your browser ends on can be pasted.
    """
    from ..auth import Credentials

    credentials = Credentials()
    store = credentials.store
    if device:
        is_given = context.get_parameter_source("timeout") is not click.core.ParameterSource.DEFAULT
        found = credentials.authenticate_device_code(
            force=True,
            on_code=lambda code: _tell_code(code, store),
            timeout=timeout if is_given else None,
            workspace_id=workspace,
        )
    else:
        why_not = _why_no_browser(no_browser)
        can_paste = why_not is not None and sys.stdin.isatty()
        found = credentials.authenticate(
            force=True,
            open_browser=why_not is None,
            on_url=lambda url: _tell_url(url, store, why_not=why_not, can_paste=can_paste),
            paste=_paste if can_paste else None,
            timeout=timeout,
            ports=ports,
            workspace_id=workspace,
        )
    plan = f" (plan {found.plan})" if found.plan else ""
    click.secho(f"Signed in as {found.email or found.account_id or 'an account without a name'}{plan}.", fg="green")
    click.echo(f"The login is stored in {store.location}.")
    _note_the_variable()


@click.command()
@click.option("--revoke", is_flag=True, help="Also make the tokens worthless at the sign-in server.")
def logout(revoke: bool) -> None:
    """Remove the stored login.

    The Codex CLI uses the same one and is signed out, too.
    """
    from ..auth import Credentials
    from ..auth._cached_login import read_tokens

    credentials = Credentials()
    had_tokens = revoke and read_tokens(credentials.store) is not None
    was_there = credentials.revoke(must_confirm=True) if revoke else credentials.logout()
    place = credentials.store.location
    revoked = ", and its tokens were revoked at the sign-in server" if had_tokens else ""
    removed = f"Signed out: the login in {place} was removed{revoked}."
    click.echo(removed if was_there else f"There was no login in {place}.")
    _note_the_variable()


def _why_no_browser(no_browser: bool) -> str | None:
    """Say why no browser is opened, `there is no display`; None when one is."""
    from ..auth.flows.environment import why_no_browser

    return "you asked for none" if no_browser else why_no_browser()


def _tell_what_is_replaced(store: CredentialStore) -> None:
    """Say who is signed in before somebody else is; what cannot be read is replaced, too."""
    from ..auth import _auth_json, _jwt
    from ..auth._cached_login import load_document

    with suppress(RuntimeError, ValueError):
        document = load_document(store) or {}
        other, found = _auth_json.other_credentials(document), _jwt.login_from(document)
        if other is not None:
            click.echo(f"{store.location} holds {other}. A ChatGPT login takes its place, for the Codex CLI as well.\n")
        elif found is not None:
            who = found.email or found.account_id or "somebody"
            click.echo(f"Signed in as {who}, until this sign-in is finished: the new login replaces that one.\n")


def _tell_url(url: str, store: CredentialStore, *, why_not: str | None, can_paste: bool) -> None:
    _tell_what_is_replaced(store)
    if why_not is None:
        click.echo("Your browser opens the sign-in page. If it does not, open this address in it:")
    else:
        click.echo(f"No browser is opened: {why_not}. Open this address in a browser:")
    click.echo(f"\n  {url}\n")
    click.echo("Waiting for the sign-in to be finished; Ctrl-C cancels.")
    if can_paste:
        click.echo("A browser on another machine ends on a page that cannot be loaded. That is as it")
        click.echo("should be. A way without that page: `codex-backend login --device`.")
    elif why_not is not None:
        click.echo("The browser has to run on this machine.")
        click.echo("With any other: `codex-backend login --device`.")


def _paste(prompt: str) -> str | None:
    """Read a line as it is typed; not with `input`, whose buffer would be locked when the program ends before."""
    click.echo(
        f"\n{textwrap.fill(prompt.rstrip(), 80)}"
    )  # a line of its own: what comes next may as well be the end, or an error
    line = os.read(sys.stdin.fileno(), 65536)
    return line.decode("utf-8", "replace").strip() or None


def _tell_code(code: DeviceCode, store: CredentialStore) -> None:
    _tell_what_is_replaced(store)
    minutes = int(code.expires_in.total_seconds() // 60)
    click.echo("Open this address on any device, and sign in there:")
    click.echo(f"\n  {code.url}\n")
    click.echo(f"Then type in this code, within {minutes} minutes:\n")
    click.secho(f"  {code.user_code}\n", bold=True)
    click.echo("Never type in a code that somebody else gave you. Waiting; Ctrl-C cancels.")


def _note_the_variable() -> None:
    if os.environ.get(ACCESS_TOKEN_ENV):
        click.echo(f"Note: {ACCESS_TOKEN_ENV} is set, and is used instead of the stored login.", err=True)
