"""Getting a login and getting rid of it, beside its renewal.

A sign-in ends in `_complete`, whichever way it took: the tokens are stored, and then in use.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from codex_backend_sdk._constants import CALLBACK_PORTS, DEFAULT_ORIGINATOR, LOGIN_TIMEOUT
from codex_backend_sdk._core import authfile, tokens
from codex_backend_sdk.auth import browser
from codex_backend_sdk.auth._failures import is_login_required, login_failed, login_required
from codex_backend_sdk.auth.held import hold, read
from codex_backend_sdk.auth.source import CredentialSource, StoredLogin, utc_now
from codex_backend_sdk.auth.store import CredentialStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import httpx2

    from codex_backend_sdk._types import Login

__all__ = ["Credentials", "resolve_credentials"]

log = logging.getLogger("codex_backend_sdk.auth")


class Credentials(StoredLogin):
    """The login in a store, renewed in time, with the ways to sign in and out.

    `store` is auth.json by default; `issuer` a URL (else `$CODEX_ISSUER_URL`, else OpenAI's); `clock` returns an
    aware datetime; `http` is a client for the requests to the issuer, and stays open.
    """

    def __init__(
        self,
        store: CredentialStore | None = None,
        *,
        issuer: str | None = None,
        originator: str = DEFAULT_ORIGINATOR,
        clock: Callable[[], datetime] = utc_now,
        http: httpx2.Client | None = None,
    ) -> None:
        super().__init__(store, issuer=issuer, originator=originator, clock=clock, http=http)
        self._signing_in = threading.Lock()
        self._sign_ins = 0

    def authenticate(
        self,
        *,
        interactive: bool = True,
        force: bool = False,
        open_browser: Callable[[str], object] | bool = True,
        on_url: Callable[[str], None] | None = None,
        timeout: float | None = LOGIN_TIMEOUT.total_seconds(),
        ports: Sequence[int] = CALLBACK_PORTS,
        workspace_id: str | None = None,
    ) -> Login:
        """Return the stored login, renewed when it has to be; without one, sign in with the browser.

        `interactive=False` never opens anything; `force=True` always signs in afresh and replaces even a damaged
        store. `open_browser` opens the URL (False: nothing does), `on_url` is told it; `timeout` is in seconds,
        None waits for ever; `workspace_id` admits only the login of that ChatGPT workspace.

        LoginRequired (not interactive, or the store holds another kind of login), LoginFailed (the sign-in),
        CredentialStoreError, TokenRefreshError (the stored login cannot be renewed just now).
        """
        if force and not interactive:
            raise ValueError("force=True needs a person: it cannot be combined with interactive=False")
        sign_ins_before = self._sign_ins
        with self._signing_in:
            # A thread that waited here for another's sign-in takes that one, forced or not.
            if not force or self._sign_ins != sign_ins_before:
                login = self._stored(workspace_id=workspace_id, may_be_missing=interactive)
                if login is not None:
                    return login
            return browser.sign_in(
                lambda grant: self._complete(grant, force=force, workspace_id=workspace_id),
                issuer=self._issuer.url,
                originator=self._issuer.originator,
                open_browser=open_browser,
                on_url=on_url,
                timeout=timeout,
                ports=ports,
                workspace_id=workspace_id,
            )

    def logout(self) -> bool:
        """Delete the stored login, whatever it is; True if there was one. The issuer is not told: `revoke()`."""
        with self._lock, self.store.lock():
            self._adopt(None)
            return self.store.clear()

    def revoke(self) -> bool:
        """Make the login worthless at the issuer, as well as that can be done just now, then log out."""
        document = self.store.load()
        stored = authfile.tokens_of(document) if document else None
        if stored is not None:
            self._issuer.revoke(refresh_token=stored.refresh_token, access_token=stored.access_token)
        return self.logout()

    def _stored(self, *, workspace_id: str | None, may_be_missing: bool) -> Login | None:
        with self._lock:
            try:
                return self._usable(workspace_id)
            except RuntimeError as error:
                if may_be_missing and is_login_required(error) and not self._holds_other_kind():
                    log.info("%s", error)
                    return None
                raise

    def _usable(self, workspace_id: str | None) -> Login:
        # Not `_reload()`: here, and only here, the account may be another one than before.
        self._adopt(self._newest(read(self.store)))
        login = self._current(self._failures)
        if workspace_id is not None and login.account_id != workspace_id:
            raise login_required(f"The login in {self.store.location} is not for workspace {workspace_id}.")
        return login

    def _holds_other_kind(self) -> bool:
        # Signing in over an API key would change what the Codex CLI on this machine does: only when forced.
        return authfile.unusable(self.store.load() or {}) is not None

    def _complete(self, grant: browser.Grant, *, force: bool, workspace_id: str | None) -> Login:
        """Turn what the browser brought into a stored login."""
        answer = self._issuer.exchange(code=grant.code, redirect_uri=grant.redirect_uri, verifier=grant.verifier)
        account_id = tokens.account_of(answer.id_token, answer.access_token)
        if workspace_id is not None and account_id != workspace_id:
            raise login_failed(f"Login is restricted to workspace id(s) {workspace_id}.", code="workspace_restriction")
        with self._lock, self.store.lock():
            document = authfile.signed_in(self._document(force=force), answer, account_id=account_id, now=self._clock())
            self.store.save(document)
            held = hold(document)
            self._adopt(held)
            self._sign_ins += 1
        log.info("Signed in; the login is in %s.", self.store.location)
        return held.login

    def _document(self, *, force: bool) -> dict[str, Any] | None:
        try:
            return self.store.load()
        except RuntimeError:
            if not force:
                raise
            self.store.clear()
            return None


def resolve_credentials(
    given: CredentialSource | CredentialStore | None, *, issuer: str | None, originator: str
) -> CredentialSource:
    """Return the source that `credentials=` stands for: itself, or a `Credentials` on the store (None: auth.json)."""
    if isinstance(given, CredentialSource):
        return given
    if given is None or isinstance(given, CredentialStore):
        return Credentials(given, issuer=issuer, originator=originator)
    raise TypeError(f"credentials must be a CredentialSource or a CredentialStore, not {type(given).__name__}")
