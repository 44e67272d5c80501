"""The commands `login` and `logout`, and the lookup of the login that a client would use.

`status` and `doctor` call `resolve_login`. It does not refresh an expired access token.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import click

from .._constants import ACCESS_TOKEN_ENV, CALLBACK_PORTS
from .._timefmt import format_duration
from .output import print_block, print_json, print_text
from .parameter_types import SECONDS

if TYPE_CHECKING:
    from ..auth import CredentialStore, StaticToken
    from ..types import DeviceCode, Login

__all__ = ["ResolvedLogin", "login", "logout", "missing_login", "resolve_login"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedLogin:
    """The login that a client would use, and its location.

    `other_credentials` describes the credentials that are stored instead of a ChatGPT login, such as an API key.
    """

    login: Login | None
    location: str
    is_refreshable: bool = False
    other_credentials: str | None = None

    @property
    def problem(self) -> str | None:
        """The reason for a missing login, as a sentence, or None if there is a login."""
        if self.other_credentials is not None:
            return f"{self.location} contains {self.other_credentials}, not a ChatGPT login."
        return None if self.login is not None else f"There is no login in {self.location}."


def resolve_login() -> ResolvedLogin:
    """Return the login in `$CODEX_ACCESS_TOKEN`, or the stored login if this variable is not set.

    Send a request only for a personal access token, because the issuer must return its account. Raises
    CredentialStoreError if the store is damaged, and LoginRequiredError if the issuer rejects the token.
    """
    found = _find_login()
    if isinstance(found, ResolvedLogin):
        return found
    token, location = found
    return ResolvedLogin(login=token.current(), location=location)


def missing_login() -> str | None:
    """Return the reason why there is no login, or None if there is one, valid or not. Sends no request.

    Raises CredentialStoreError if the store is damaged.
    """
    found = _find_login()
    return found.problem if isinstance(found, ResolvedLogin) else None


def _find_login() -> tuple[StaticToken, str] | ResolvedLogin:
    """Return an access token that is not refreshed and its location, or else the ChatGPT login of the store.

    Sends no request.
    """
    from ..auth import Credentials, StaticToken, _auth_json
    from ..auth._cached_login import load_document

    token = StaticToken.from_environment()
    if token is not None:
        return token, f"the variable {token.name}"
    store = Credentials().store
    personal_token = _auth_json.parse_personal_access_token(load_document(store) or {})
    if personal_token is not None:
        return StaticToken(personal_token, name=store.location), store.location
    return _read_login(store)


def _read_login(store: CredentialStore) -> ResolvedLogin:
    """Return the ChatGPT login of a store, without sending a request."""
    from ..auth import _auth_json, _jwt
    from ..auth._cached_login import load_document

    document, location = load_document(store) or {}, store.location
    other_credentials = _auth_json.describe_other_credentials(document)
    if other_credentials is not None:
        return ResolvedLogin(login=None, location=location, other_credentials=other_credentials)
    login, tokens = _jwt.parse_login(document), _auth_json.parse_tokens(document)
    if login is None or tokens is None:
        return ResolvedLogin(login=None, location=location)
    return ResolvedLogin(login=login, location=location, is_refreshable=tokens.refresh_token is not None)


@click.command()
@click.option("--device", is_flag=True, help="Log in with a browser on another device, by entering a code in it.")
@click.option("--no-browser", is_flag=True, help="Print the URL instead of opening a browser.")
@click.option("--workspace", metavar="ID", help="Accept only a login for this ChatGPT workspace.")
@click.option(
    "--timeout",
    type=SECONDS,
    default=300,
    metavar="SECONDS",
    help="Timeout of the login. Default: 300, or 900 with --device.",
)
@click.option(
    "--port",
    "ports",
    type=click.IntRange(0, 65535),
    multiple=True,
    default=CALLBACK_PORTS,
    show_default=True,
    help="Local port for the callback. The first free port is used. OpenAI's issuer accepts only the defaults. "
    "0 selects a free port.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON. Instructions are on standard error.")
@click.pass_context
def login(
    context: click.Context,
    device: bool,
    no_browser: bool,
    workspace: str | None,
    timeout: float,
    ports: tuple[int, ...],
    as_json: bool,
) -> None:
    """Log in with your browser and store the login.

    The new login replaces a stored login. The Codex CLI uses the same login. If no browser can be opened (over SSH, in
    a container), the command prints the login URL and accepts the URL to which the browser is redirected.
    """
    from ..auth import Credentials

    credentials = Credentials()
    store = credentials.store
    if device:
        has_timeout = context.get_parameter_source("timeout") is not click.core.ParameterSource.DEFAULT
        new_login = credentials.authenticate_device_code(
            force=True,
            on_code=lambda code: _print_code(code, store, timeout=timeout if has_timeout else None, err=as_json),
            timeout=timeout if has_timeout else None,
            workspace_id=workspace,
        )
    else:
        no_browser_reason = _no_browser_reason(no_browser)
        can_paste = no_browser_reason is not None and sys.stdin.isatty()
        new_login = credentials.authenticate(
            force=True,
            open_browser=no_browser_reason is None,
            on_url=lambda url: _print_url(
                url, store, no_browser_reason=no_browser_reason, can_paste=can_paste, timeout=timeout, err=as_json
            ),
            paste=partial(_read_pasted_url, err=as_json) if can_paste else None,
            timeout=timeout,
            ports=ports,
            workspace_id=workspace,
        )
    if as_json:
        print_json(
            {
                "email": new_login.email,
                "plan": new_login.plan,
                "account_id": new_login.account_id,
                "stored_in": store.location,
            }
        )
    else:
        name = new_login.email or new_login.account_id or "an unnamed account"
        plan = f" (plan {new_login.plan})" if new_login.plan else ""
        print_text(f"Logged in as {name}{plan}.", fg="green")
        print_text(f"The login is stored in {store.location}.")
    _warn_about_token_variable()


@click.command()
@click.option("--revoke", is_flag=True, help="Also revoke the tokens at the issuer, so that copies stop working.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def logout(revoke: bool, as_json: bool) -> None:
    """Delete the stored login.

    The Codex CLI uses the same login, so this logs it out as well.
    """
    from ..auth import Credentials
    from ..auth._cached_login import load_tokens

    credentials = Credentials()
    had_tokens = revoke and load_tokens(credentials.store) is not None
    had_login = credentials.revoke(must_confirm=True) if revoke else credentials.logout()
    location = credentials.store.location
    if as_json:
        print_json({"had_login": had_login, "is_revoked": had_tokens, "stored_in": location})
    elif not had_login:
        print_text(f"There was no login in {location}.")
    elif had_tokens:
        print_text(f"Logged out. The login in {location} was deleted and its tokens were revoked.")
    else:
        print_text(f"Logged out. The login in {location} was deleted.")
    _warn_about_token_variable()


def _no_browser_reason(no_browser: bool) -> str | None:
    """Return the reason why no browser is opened, such as `there is no display`, or None if a browser is opened."""
    from ..auth.flows.environment import browser_unavailable_reason

    return "--no-browser was given" if no_browser else browser_unavailable_reason()


def _print_replaced_login(store: CredentialStore, *, err: bool) -> None:
    """Print the login that the new login will replace. Print nothing if the store is empty or damaged."""
    from ..auth import _auth_errors

    try:
        resolved_login = _read_login(store)
    except (_auth_errors.CredentialStoreError, ValueError):
        return
    if resolved_login.login is not None:
        name = resolved_login.login.email or resolved_login.login.account_id or "an unnamed account"
        print_text(f"Logged in as {name}. The new login will replace this one.\n", err=err)
    elif resolved_login.other_credentials is not None:
        print_text(f"{resolved_login.problem} The new login will replace it, also for the Codex CLI.\n", err=err)


def _print_url(
    url: str,
    store: CredentialStore,
    *,
    no_browser_reason: str | None,
    can_paste: bool,
    timeout: float,
    err: bool,
) -> None:
    _print_replaced_login(store, err=err)
    if no_browser_reason is None:
        print_text("Opening the login page in your browser. If it does not open, visit this URL:", err=err)
    else:
        print_text(f"No browser was opened ({no_browser_reason}). Open this URL in a browser:", err=err)
    print_block(f"\n  {url}\n", err=err)
    _print_wait(timeout, err=err)
    if can_paste:
        print_text(
            "A browser on another machine ends on a page that cannot be loaded; this is expected. To log in without "
            "copying its URL, run `codex-backend login --device`.",
            err=err,
        )
    elif no_browser_reason is not None:
        print_text(
            "The browser must run on this machine. To use a browser on another device, run "
            "`codex-backend login --device`.",
            err=err,
        )


def _print_wait(timeout: float, *, err: bool) -> None:
    """Print that the command waits, and how long."""
    limit = format_duration(timedelta(seconds=timeout)) if timeout >= 60 else f"{timeout:g} s"
    print_text(f"Waiting up to {limit} for the login to complete. Press Ctrl-C to cancel.", err=err)


def _read_pasted_url(prompt: str, *, err: bool = False) -> str | None:
    """Print the prompt and read a line from standard input.

    The function runs in a thread, which is abandoned if the browser callback arrives first. It uses `os.read`, because
    `input` holds the lock of the buffer, and the interpreter waits for this lock at exit.
    """
    print_text("\n" + prompt.rstrip(), err=err)
    line = os.read(sys.stdin.fileno(), 65536)
    return line.decode("utf-8", "replace").strip() or None


def _print_code(code: DeviceCode, store: CredentialStore, *, timeout: float | None, err: bool) -> None:
    _print_replaced_login(store, err=err)
    seconds = code.expires_in.total_seconds()
    print_text("Open this URL on any device and log in there:", err=err)
    print_block(f"\n  {code.url}\n", err=err)
    print_text(f"Then enter this code within {format_duration(code.expires_in)}:\n", err=err)
    print_block(f"  {code.user_code}\n", err=err, bold=True)
    print_text("Never enter a code that you received from another person.", err=err)
    _print_wait(seconds if timeout is None else min(timeout, seconds), err=err)


def _warn_about_token_variable() -> None:
    if os.environ.get(ACCESS_TOKEN_ENV):
        print_text(f"Note: {ACCESS_TOKEN_ENV} is set and is used instead of the stored login.", err=True)
