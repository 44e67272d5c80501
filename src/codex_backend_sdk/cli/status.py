"""The command `status`: the account of the login, without a request."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from .._timefmt import format_local_time
from .exit_codes import ExitCode, ExitError
from .login import resolve_login
from .output import format_relative_time, print_fields, print_json, print_text

__all__ = ["status"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Show the account of the login. The exit code is 3 if there is no valid login.

    The command reads the stored login and does not refresh it, so it cannot detect that the login was revoked. It sends
    no requests, except for a personal access token, which does not contain the account.
    """
    from ..auth import _jwt  # does not import openai and httpx2, so that this command starts quickly

    now = datetime.now(UTC)
    resolved_login = resolve_login()
    login, problem = resolved_login.login, resolved_login.problem
    if login is not None and _jwt.has_expired(login, now=now) and not resolved_login.is_refreshable:
        problem = f"The login in {resolved_login.location} has expired and cannot be refreshed."
    expires_at = None if login is None else login.expires_at
    data = {
        "is_logged_in": problem is None,
        "email": login and login.email,
        "plan": login and login.plan,
        "account_id": login and login.account_id,
        "expires_at": expires_at and expires_at.isoformat(timespec="seconds"),
        "is_refreshable": resolved_login.is_refreshable,
        "stored_in": resolved_login.location,
    }
    if login is None or problem is not None:
        remedy = f"{problem} Run `codex-backend login` to log in."
        if as_json:
            raise ExitError(f"Not logged in. {remedy}", ExitCode.SIGNED_OUT, data=data)
        print_text("Not logged in", bold=True)
        print_text(remedy)
        context.exit(ExitCode.SIGNED_OUT)
    if as_json:
        print_json(data)
        return
    refresh_text = "refreshed automatically" if resolved_login.is_refreshable else "cannot be refreshed"
    expiry = (
        f"{format_local_time(expires_at)} ({format_relative_time(expires_at, now=now)})" if expires_at else "unknown"
    )
    print_text(f"Logged in as {login.email or 'an account without an email address'}", bold=True)
    print_fields(
        ("plan", login.plan or "unknown"),
        ("account", login.account_id or "unknown"),
        ("expires", f"{expiry}; {refresh_text}"),
        ("stored in", resolved_login.location),
    )
