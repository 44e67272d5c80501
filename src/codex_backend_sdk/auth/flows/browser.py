"""The browser login: out to the issuer's page, and back by the server on loopback or by a pasted address."""

from __future__ import annotations

import logging
import secrets
import threading
import webbrowser
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..._constants import CALLBACK_HOST, CALLBACK_PATH, CALLBACK_PORTS, LOGIN_SCOPES
from .. import _oauth
from .._deadline import Limit
from .._oauth import Grant
from .callback_server import Conversation, bound, serving
from .environment import why_no_browser

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...types import Login

__all__ = ["Conversation", "Grant", "Ways", "sign_in"]

log = logging.getLogger("codex_backend_sdk.auth")

_PASTE: Final = "If the browser cannot come back here, paste the address that it ends on: "
_PASTE_AGAIN: Final = "That is not the address that this sign-in ends on; it has code= and state= in it. Once more: "
_BAD_REQUEST: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How the person and the browser find each other; the arguments of `Credentials.authenticate`."""

    open_browser: Callable[[str], object] | bool = True
    on_url: Callable[[str], object] | None = None
    paste: Callable[[str], str | None] | None = None


def sign_in(
    complete: Callable[[Grant], Login],
    *,
    issuer: str,
    originator: str,
    ways: Ways,
    limit: Limit | None = None,
    ports: Sequence[int] = CALLBACK_PORTS,
    workspace_id: str | None = None,
    scope: str = LOGIN_SCOPES,
) -> Login:
    """Send the user to the issuer and wait for the way back; `complete` turns the grant into a stored login.

    LoginFailedError when the sign-in is denied, not finished within its `limit`, or when no port is free; and whatever
    `complete` raises, which has to look at the limit before it stores anything.
    """
    limit = limit or Limit()
    state = _oauth.base64url(secrets.token_bytes(32))
    pkce = _oauth.pkce(secrets.token_bytes(64))
    with bound(ports, limit) as server:
        redirect_uri = f"http://{CALLBACK_HOST}:{server.server_address[1]}{CALLBACK_PATH}"
        conversation = Conversation(
            state,
            lambda code: complete(Grant(code=code, verifier=pkce.verifier, redirect_uri=redirect_uri)),
            limit,
        )
        url = _oauth.authorize_url(
            issuer,
            redirect_uri=redirect_uri,
            challenge=pkce.challenge,
            state=state,
            originator=originator,
            scope=scope,
            workspace_id=workspace_id,
        )
        with serving(server, conversation):
            limit.check()  # binding may have taken a while
            _show(url, ways)
            if ways.paste is not None:
                _start(_take_pasted, ways.paste, conversation)
            return conversation.wait()


def _show(url: str, ways: Ways) -> None:
    if ways.on_url is not None:
        ways.on_url(url)
    opener, reason = _opener(ways.open_browser)
    if opener is not None:
        # In a thread: a browser for terminals does not return before it is closed.
        _start(_open, opener, url)
    elif ways.on_url is None:
        log.warning("%sOpen this address to sign in: %s", reason, url)


def _opener(wanted: Callable[[str], object] | bool) -> tuple[Callable[[str], object] | None, str]:
    """Return what opens the address, or why nothing does."""
    if not isinstance(wanted, bool):
        return wanted, ""
    why_not = why_no_browser() if wanted else None
    if why_not is not None:
        return None, f"No browser is opened: {why_not}. "
    return (webbrowser.open if wanted else None), ""


def _open(opener: Callable[[str], object], url: str) -> None:
    try:
        if opener(url) is not False:
            return
    except Exception as error:  # whatever the opener of a caller raises: the address can still be opened by hand
        log.debug("The browser could not be opened.", exc_info=error)
    log.warning("No browser could be opened. Open this address to sign in: %s", url)


def _take_pasted(paste: Callable[[str], str | None], conversation: Conversation) -> None:
    """Ask for the address until one is good, nothing more comes, or the browser was quicker."""
    prompt = _PASTE
    while not conversation.is_over:
        try:
            text = paste(prompt)
        except Exception as error:  # the end of the input, or whatever else: the browser may still come back
            log.debug("No address was pasted.", exc_info=error)
            return
        if not text:
            return
        prompt = _PASTE_AGAIN
        target = _oauth.pasted_target(text)
        if target is not None and conversation.answer(target).status != _BAD_REQUEST:
            conversation.end()  # there is no page to wait for


def _start(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, name="codex-sign-in-helper", daemon=True).start()
