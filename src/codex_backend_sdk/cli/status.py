"""`status`: who is signed in. Reads the stored login and asks nobody, as far as that goes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from . import moments, output

if TYPE_CHECKING:
    from ..types import Account, Login

__all__ = ["status"]


@click.command()
@click.pass_context
def status(context: click.Context) -> None:
    """Say who is signed in; exit code 1 when nobody is.

    The stored login is read. Nothing is renewed or asked, so one that was revoked elsewhere still shows. Only whose a
    personal access token is has to be asked at the sign-in server.
    """
    from ..auth import Credentials, StaticToken, _auth_json, _jwt
    from ..auth._cached_login import load_document

    now = datetime.now(UTC)
    given = StaticToken.from_environment()
    if given is not None:
        _show(given.account(), stored_in=f"the variable {given.name}", now=now, is_renewable=False)
        return
    credentials = Credentials()
    store = credentials.store
    document = load_document(store) or {}
    other = _auth_json.other_credentials(document)
    if other is not None:
        _nobody(f"{store.location} holds {other}, no ChatGPT login.", remedy="replaces it by one")
        context.exit(1)
    if _auth_json.personal_token(document) is not None:
        _show(credentials.account(), stored_in=store.location, now=now, is_renewable=False)
        return
    login, stored = _jwt.login_from(document), _auth_json.tokens_of(document)
    if login is None or stored is None:
        _nobody(f"There is no login in {store.location}.", remedy="makes one")
        context.exit(1)
    is_renewable = stored.refresh_token is not None
    if _jwt.has_expired(login, now=now) and not is_renewable:
        _nobody(f"The login in {store.location} has expired and cannot be renewed.", remedy="makes a new one")
        context.exit(1)
    _show(login, stored_in=store.location, now=now, is_renewable=is_renewable)


def _show(login: Login | Account, *, stored_in: str, now: datetime, is_renewable: bool) -> None:
    click.secho(f"Signed in as {login.email or 'an account without an e-mail address'}", bold=True)
    output.facts(
        ("plan", login.plan or "unknown"),
        ("account", login.account_id or "unknown"),
        ("expires", _expiry(login.expires_at, now=now, is_renewable=is_renewable)),
        ("stored in", stored_in),
    )


def _nobody(why: str, *, remedy: str) -> None:
    click.secho("Not signed in", bold=True)
    click.echo(f"{why} `codex-backend login` {remedy}.")


def _expiry(expires_at: datetime | None, *, now: datetime, is_renewable: bool) -> str:
    renewal = "renewed when it is needed" if is_renewable else "cannot be renewed"
    if expires_at is None:
        return f"unknown; {renewal}"
    return f"{moments.format_local_time(expires_at)} ({moments.from_now(expires_at, now=now)}); {renewal}"
