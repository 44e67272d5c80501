"""`Credentials`: logging in, logging out and revoking, on top of the refreshed login of `TokenManager`.

Every login, whichever flow it takes, ends in `_complete`: exchange the code, then store the tokens under the store's
lock, then use them. One interactive login runs at a time; threads that wait for it share its outcome.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

from .._constants import ACCESS_TOKEN_ENV, CALLBACK_PORTS, LOGIN_SCOPES, LOGIN_TIMEOUT
from .._threads import run_uninterrupted
from . import _auth_errors, _auth_json, _jwt
from ._cached_login import account_for_login, load_document, load_login, load_tokens, save_new_login
from ._deadline import LoginDeadline
from .stores.base import CredentialStore
from .token_manager import CredentialSource, LoginAttempt, TokenManager

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from ..types import Account, DeviceCode, Login, Secret
    from ._oauth import AuthorizationGrant

__all__ = ["Credentials", "exchange_api_key", "resolve_credentials"]

log = logging.getLogger("codex_backend_sdk.auth")

_DENIED: Final = "access_denied"  # the error code of RFC 6749 for a user who refuses


class Credentials(TokenManager):
    """The login in a store, refreshed before it expires, with methods to log in and out.

    `store` is by default the one that the Codex CLI is configured for: auth.json or the keyring. `issuer` is a URL
    (default: `$CODEX_ISSUER_URL`, else OpenAI's), `clock` returns an aware datetime, `http` is a client for the
    requests to the issuer and stays open.
    """

    # --- logging in --------------------------------------------------------------------------------------------------

    def authenticate(
        self,
        *,
        interactive: bool = True,
        force: bool = False,
        open_browser: Callable[[str], object] | bool = True,
        on_url: Callable[[str], object] | None = None,
        paste: Callable[[str], str | None] | None = None,
        timeout: float | None = LOGIN_TIMEOUT.total_seconds(),
        ports: Sequence[int] = CALLBACK_PORTS,
        workspace_id: str | None = None,
        scopes: Sequence[str] | None = None,
        cancel: threading.Event | None = None,
    ) -> Login:
        """Return the stored login, refreshed if that is due; if there is none, log in with the browser.

        - `interactive`: False never opens anything and never waits for the user.
        - `force`: True always logs in again. It replaces other credentials, and a damaged store.
        - `open_browser`: a function that opens the URL. True opens the system's browser if the user would see it, False
          opens nothing.
        - `on_url`: called with the URL. None logs it if nothing opens it.
        - `paste`: called with a prompt, as `input` is, for the address that the browser ended on. For a browser on
          another machine, which cannot connect back to this one.
        - `timeout`: seconds for the whole login. None waits without limit.
        - `ports`: the callback ports, tried in order. OpenAI's issuer accepts the default ports only.
        - `workspace_id`: accept the login of this ChatGPT workspace only.
        - `scopes`: instead of those of the Codex CLI.
        - `cancel`: setting this event ends the login within a second with LoginFailedError. Tokens that were stored
          before that stay stored.

        Raises LoginRequiredError (not interactive, or the store holds other credentials), LoginFailedError (denied,
        timed out, cancelled, refused by the issuer), CredentialStoreError, and TokenRefreshError (there is a login, and
        it cannot be refreshed for now).
        """
        if force and not interactive:
            raise ValueError(
                "force=True logs in again, which needs the user. Do not combine it with interactive=False."
            )
        if isinstance(scopes, str):
            raise TypeError("scopes must be a sequence of names, not a string")
        from .flows import browser  # importing its server takes 40 ms, which a stored login does not need

        return self._stored_login_or_log_in(
            lambda complete, deadline: browser.log_in_with_browser(
                complete,
                issuer=self._issuer.url,
                originator=self._issuer.originator,
                presentation=browser.Presentation(open_browser=open_browser, on_url=on_url, paste=paste),
                deadline=deadline,
                ports=ports,
                workspace_id=workspace_id,
                scope=LOGIN_SCOPES if scopes is None else " ".join(scopes),
            ),
            LoginDeadline(timeout, cancel),
            interactive=interactive,
            force=force,
            workspace_id=workspace_id,
        )

    def authenticate_device_code(
        self,
        *,
        on_code: Callable[[DeviceCode], object] | None = None,
        force: bool = False,
        timeout: float | None = None,
        workspace_id: str | None = None,
        cancel: threading.Event | None = None,
    ) -> Login:
        """Return the stored login, refreshed if that is due; if there is none, log in with a browser on another device.

        `on_code` is called with the code and the URL where the user enters it (None: both are logged). `timeout` is in
        seconds; the code is valid for 15 minutes at most. The other arguments and the errors are those of
        `authenticate`; LoginFailedError also if device codes are not enabled for the account.
        """
        from .flows import device

        return self._stored_login_or_log_in(
            lambda complete, deadline: device.log_in_with_device_code(
                complete, issuer=self._issuer, on_code=on_code, deadline=deadline
            ),
            LoginDeadline(timeout, cancel),
            interactive=True,
            force=force,
            workspace_id=workspace_id,
        )

    def _stored_login_or_log_in(
        self,
        log_in: Callable[[Callable[[AuthorizationGrant], Login], LoginDeadline], Login],
        deadline: LoginDeadline,
        *,
        interactive: bool,
        force: bool,
        workspace_id: str | None,
    ) -> Login:
        """Return the stored login, or run `log_in`."""
        if not interactive:  # does not wait for the login lock: the login of another thread may take minutes
            return run_uninterrupted(lambda: self._usable_stored_login_locked(workspace_id))
        attempt_before = self._last_attempt
        deadline.acquire(self._login_lock)
        try:
            # The outcome of a login that this thread has waited for counts for it: the user sees one login.
            attempt = self._last_attempt
            if attempt is not attempt_before and attempt is not None and attempt.denial is not None:
                raise _auth_errors.LoginFailedError(attempt.denial, code=_DENIED)
            if not force or attempt is not attempt_before:
                login = deadline.run(lambda: self._stored_login(workspace_id), is_daemon=False)
                if login is not None:
                    return login
            self._issuer.check_connection()
            deadline.check()  # last chance before the user sees something
            try:
                return log_in(
                    lambda grant: self._complete(grant, deadline, force=force, workspace_id=workspace_id), deadline
                )
            except _auth_errors.LoginFailedError as error:
                if error.code == _DENIED:
                    self._last_attempt = LoginAttempt(denial=str(error))
                raise
        finally:
            deadline.cancel()  # an exchange that still runs must store nothing
            self._login_lock.release()

    def _stored_login(self, workspace_id: str | None) -> Login | None:
        """Return the stored login, None if a login in the browser may replace it."""
        with self._lock:
            try:
                return self._usable_stored_login(workspace_id)
            except _auth_errors.LoginRequiredError as error:
                # To log in over an API key changes what the Codex CLI on this machine uses: only with `force`.
                if _auth_json.describe_other_credentials(load_document(self.store) or {}) is not None:
                    raise
                log.info("%s", error)
                return None

    def _usable_stored_login_locked(self, workspace_id: str | None) -> Login:
        with self._lock:
            return self._usable_stored_login(workspace_id)

    def _usable_stored_login(self, workspace_id: str | None) -> Login:
        """Return the stored login, refreshed if that is due; LoginRequiredError if it cannot be used."""
        # Not `_reload()`: here the account may change.
        self._set_cached(self._prefer_unsaved(load_login(self.store, self._fetch_login)), may_change_account=True)
        login = self._current(self._transient_failure)
        if workspace_id is not None and login.account_id != workspace_id:
            raise _auth_errors.LoginRequiredError(
                f"The login in {self.store.location} is not for workspace {workspace_id}. {_auth_errors.LOG_IN_AGAIN_REMEDY}"
            )
        if login.access_token == self._rejected_token:
            raise _auth_errors.LoginRequiredError(
                f"The backend rejects the login in {self.store.location}, and it cannot be refreshed. "
                f"{_auth_errors.LOG_IN_AGAIN_REMEDY}"
            )
        return login

    def _complete(
        self, grant: AuthorizationGrant, deadline: LoginDeadline, *, force: bool, workspace_id: str | None
    ) -> Login:
        """Exchange the grant of a login for tokens, and store them unless the deadline is over."""
        response = self._issuer.exchange_code(grant)
        account_id = _jwt.parse_account_id(response.id_token, response.access_token)
        if workspace_id is not None and account_id != workspace_id:
            raise _auth_errors.LoginFailedError(  # the Codex CLI's wording
                f"Login is restricted to workspace id(s) {workspace_id}.", code="workspace_restriction"
            )
        with self._lock, self.store.lock():
            deadline.check()
            cached = save_new_login(self.store, response, account_id=account_id, now=self._clock(), force=force)
            self._set_cached(cached, may_change_account=True)
            self._last_attempt = LoginAttempt(denial=None)
        log.info("Logged in; the login is stored in %s.", self.store.location)
        return cached.login

    # --- logged in ---------------------------------------------------------------------------------------------------

    def account(self) -> Account:
        """Return the account of the stored login. Nothing is refreshed. LoginRequiredError if there is no login."""
        with self._lock:
            cached = self._reload()
        return account_for_login(cached.login, stored_in=self.store.location if cached.unsaved is None else None)

    def logout(self) -> bool:
        """Delete what the store holds; False if it was empty. The tokens stay valid at the issuer: see `revoke()`."""
        with self._lock:
            self._set_cached(None)
            self._account_id = None
            if self._is_store_empty():  # taking the lock would create the folder of a store that does not exist yet
                return False
            with self.store.lock():
                return self.store.clear()

    def _is_store_empty(self) -> bool:
        try:
            return load_document(self.store) is None
        except Exception:  # a store of the caller may raise its own; what cannot be read is there, and can be deleted
            return False

    def revoke(self, *, must_confirm: bool = False) -> bool:
        """Revoke the login at the issuer, then log out. Returns False if there was no login.

        A failed revocation is logged as a warning; with `must_confirm` it raises LoginFailedError after the logout. A
        personal access token is only deleted: the user revokes it in the settings of ChatGPT.
        """
        logins = self._tokens_to_revoke()
        confirmations = [self._revoke_tokens(tokens) for tokens in logins]  # all of them, whatever the first returns
        had_login = self.logout() or bool(logins)
        if must_confirm and not all(confirmations):
            raise _auth_errors.LoginFailedError(
                f"The login was deleted from {self.store.location}, but the issuer did not confirm its revocation. "
                "A copy of it can still be used.",
                code="not_revoked",
            )
        return had_login

    def _tokens_to_revoke(self) -> list[_auth_json.StoredTokens]:
        """Return the valid tokens: those in the store, and refreshed ones that could not be stored."""
        with self._lock:
            cached = self._cached
        if not self._is_store_empty():
            try:
                with self.store.lock():
                    pass  # wait for a process that refreshes just now: its new tokens must be revoked, not the old ones
            except Exception:
                pass  # without the lock, revoke what is there
        stored = load_tokens(self.store)
        if cached is None or cached.unsaved is None:
            return [] if stored is None else [stored]
        # A store that has not changed since the refresh holds a refresh token that is used up.
        is_stale = self.store.version() == cached.unsaved.store_version
        return [cached.tokens] if stored is None or is_stale else [stored, cached.tokens]

    def _revoke_tokens(self, tokens: _auth_json.StoredTokens) -> bool:
        if _auth_json.is_personal_token(tokens.access_token):
            log.warning("The personal access token was only deleted. Revoke it in the settings of ChatGPT.")
            return False
        return self._issuer.revoke(refresh_token=tokens.refresh_token, access_token=tokens.access_token)


def resolve_credentials(
    given: CredentialSource | CredentialStore | None, *, issuer: str | None, originator: str
) -> CredentialSource:
    """Return the source for a client's `credentials=`: the source itself, or a `Credentials` on the store.

    None means the token in `$CODEX_ACCESS_TOKEN`, else the stored login. Codex CLI: login/src/auth/manager.rs.
    """
    if isinstance(given, CredentialSource):
        return given
    if isinstance(given, CredentialStore):
        return Credentials(given, issuer=issuer, originator=originator)
    if given is not None:
        raise TypeError(f"credentials must be a CredentialSource or a CredentialStore, not {type(given).__name__}")
    if os.environ.get(ACCESS_TOKEN_ENV):
        from .static_token import StaticToken  # imports the issuer's client, which few programs need

        static = StaticToken.from_environment(issuer=issuer, originator=originator)
        if static is not None:  # None for a variable with nothing but white space
            return static
    return Credentials(issuer=issuer, originator=originator)


def exchange_api_key(credentials: Credentials) -> Secret:
    """Return an API key of the OpenAI platform for the account of a login. It is not stored.

    This package never needs one. Calls with the key are billed to the account's platform organization, not covered by
    the ChatGPT plan. Raises LoginRequiredError if there is no login, and LoginFailedError if the issuer refuses: the
    account may have no organization, or the id token is older than an hour (log in or refresh first).
    """
    with credentials._lock:
        id_token = credentials._reload().tokens.id_token
    if id_token is None:
        raise _auth_errors.LoginFailedError("The login has no id token to exchange for an API key.", code="no_id_token")
    return credentials._issuer.exchange_api_key(id_token)
