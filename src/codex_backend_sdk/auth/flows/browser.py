"""Log in with a browser: open the issuer's login page and receive the code by a callback or a pasted URL.

The callback server listens on loopback before the login URL is shown, because that URL contains its port. The issuer
redirects the browser to the server. If the browser runs on another machine, the user pastes the redirect URL instead.
Both are passed to the same `LoginCallback`, and the first one that is valid completes the login.
"""

from __future__ import annotations

import logging
import secrets
import webbrowser
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from ..._constants import CALLBACK_HOST, CALLBACK_PATH, CALLBACK_PORTS, LOGIN_SCOPES
from ..._threads import start_in_thread
from .._deadline import LoginDeadline
from .._oauth import AuthorizationGrant, Pkce, build_authorize_url, encode_base64url, parse_pasted_url
from .callback_server import bind_callback_server, serve_callback
from .environment import browser_unavailable_reason
from .login_callback import LoginCallback
from .notebook import is_notebook_kernel, show_link

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...types import Login

__all__ = ["BrowserLoginOptions", "log_in_with_browser"]

log = logging.getLogger("codex_backend_sdk.auth")

_PASTE_PROMPT: Final = "If the browser cannot load the page, copy the URL from its address bar and paste it here: "
_MAX_PASTE_ATTEMPTS: Final = 20  # a function that returns the same text each time must not loop until the timeout
_PASTE_AGAIN_PROMPT: Final = (
    "This is not the redirect URL of this login. Paste the URL that contains code= and state=: "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserLoginOptions:
    """Settings for showing the login URL and reading the redirect URL: arguments of `Credentials.authenticate`."""

    open_browser: Callable[[str], object] | bool = True
    on_url: Callable[[str], object] | None = None
    paste: Callable[[str], str | None] | None = None


def log_in_with_browser(
    complete: Callable[[AuthorizationGrant], Login],
    *,
    issuer: str,
    originator: str,
    browser_options: BrowserLoginOptions,
    deadline: LoginDeadline | None = None,
    ports: Sequence[int] = CALLBACK_PORTS,
    workspace_id: str | None = None,
    scope: str = LOGIN_SCOPES,
) -> Login:
    """Show the issuer's login page to the user and wait for the result.

    `complete` exchanges the grant and stores the login. It must check the deadline before it stores the tokens. Raises
    LoginFailedError if the login is denied, is cancelled or times out, or if no port is free. Errors of `complete` are
    raised unchanged.
    """
    if is_notebook_kernel():
        browser_options = _for_notebook(browser_options)
    deadline = deadline or LoginDeadline()
    state = encode_base64url(secrets.token_bytes(32))
    pkce = Pkce.from_random(secrets.token_bytes(64))
    with bind_callback_server(ports, deadline) as server:
        redirect_uri = f"http://{CALLBACK_HOST}:{server.server_address[1]}{CALLBACK_PATH}"
        callback = LoginCallback(
            state,
            lambda code: complete(AuthorizationGrant(code=code, verifier=pkce.verifier, redirect_uri=redirect_uri)),
            deadline,
        )
        url = build_authorize_url(
            issuer,
            redirect_uri=redirect_uri,
            challenge=pkce.challenge,
            state=state,
            originator=originator,
            scope=scope,
            workspace_id=workspace_id,
        )
        with serve_callback(server, callback):
            deadline.check()  # binding the port may have taken a while
            _show_url(url, browser_options, deadline)
            if browser_options.paste is not None:
                _start_helper(partial(_prompt_for_url, browser_options.paste, callback))
            return callback.wait()


def _for_notebook(options: BrowserLoginOptions) -> BrowserLoginOptions:
    """Return options that show a link, and a field if the kernel has no browser. What the caller passed is kept."""
    if options.on_url is None:
        options = replace(options, on_url=show_link)
    has_browser = callable(options.open_browser) or (options.open_browser and browser_unavailable_reason() is None)
    if options.paste is None and not has_browser:
        options = replace(options, paste=input)
    return options


def _show_url(url: str, browser_options: BrowserLoginOptions, deadline: LoginDeadline) -> None:
    if browser_options.on_url is not None:
        browser_options.on_url(url)
    opener: Callable[[str], object] | None = None
    reason = None
    if callable(browser_options.open_browser):
        opener = browser_options.open_browser
    elif browser_options.open_browser:
        reason = browser_unavailable_reason()
        opener = webbrowser.open if reason is None else None
    if opener is not None:
        # In a thread: a browser that runs in the terminal returns only when the user closes it.
        _start_helper(partial(_open_browser, opener, url, deadline))
    elif browser_options.on_url is None:
        problem = "No browser is opened." if reason is None else f"No browser is opened: {reason}."
        log.warning("%s", _instructions(problem, url, deadline))


def _open_browser(opener: Callable[[str], object], url: str, deadline: LoginDeadline) -> None:
    try:
        if opener(url) is not False:
            return
    except Exception as error:  # the caller's function may raise anything; the user can still open the URL
        log.debug("The browser could not be opened.", exc_info=error)
    log.warning("%s", _instructions("No browser could be opened.", url, deadline))


def _instructions(problem: str, url: str, deadline: LoginDeadline) -> str:
    """Return what the user of a machine without a browser can do."""
    wait = "" if deadline.timeout_seconds is None else f" for {deadline.timeout_seconds:g} seconds"
    return (
        f"{problem} Open this URL in a browser to log in:\n"
        f"{url}\n"
        "In a browser on another machine, the final page will not load. Copy its address and request it on this "
        "machine: curl 'ADDRESS'.\n"
        f"Or stop with Ctrl-C and run `codex-backend login --device`. This login waits{wait}."
    )


def _prompt_for_url(paste: Callable[[str], str | None], callback: LoginCallback) -> None:
    """Prompt for the redirect URL until one is valid, the input ends, or the browser completes the login."""
    prompt = _PASTE_PROMPT
    for _ in range(_MAX_PASTE_ATTEMPTS):
        if callback.has_outcome:
            return
        try:
            pasted = paste(prompt)
        except Exception as error:  # the end of the input or any other error; the browser may still complete the login
            log.debug("No URL was pasted.", exc_info=error)
            return
        if not pasted:
            return
        prompt = _PASTE_AGAIN_PROMPT
        target = parse_pasted_url(pasted)
        if target is not None and callback.respond(target).status != 400:
            callback.finish()  # no browser waits for a page
            return
    log.warning("None of %d pasted texts was the redirect URL. Complete the login in the browser.", _MAX_PASTE_ATTEMPTS)


def _start_helper(action: Callable[[], None]) -> None:
    start_in_thread(action, name="codex-login-helper", daemon=True)
