"""Add login, logout and revocation to `TokenManager`, which refreshes the stored login.

Every login flow ends in `_complete_login`, which exchanges the code, stores the tokens under the store's lock, and then
uses them. One interactive login runs at a time. Threads that wait for it share its outcome.
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
from ._login_arguments import require_login_arguments
from .stores.base import CredentialStore
from .token_manager import CredentialSource, LoginOutcome, TokenManager

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from ..types import Account, DeviceCode, Login, Secret
    from ._oauth import AuthorizationGrant

__all__ = ["Credentials", "exchange_api_key", "resolve_credentials"]

log = logging.getLogger("codex_backend_sdk.auth")

_DENIED: Final = "access_denied"  # the error code of RFC 6749 if the user denies the login


class Credentials(TokenManager):
    """The login in a store, refreshed before it expires, with methods to log in and out.

    `store` defaults to the store in the Codex CLI's configuration: auth.json or the keyring. `issuer` is a URL
    (default: `$CODEX_ISSUER_URL`, else OpenAI's). `clock` returns an aware datetime. `http` is an `httpx2.Client` for
    requests to the issuer; the caller closes it.
    """

    # --- login -------------------------------------------------------------------------------------------------------

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
        """Return the stored login, refreshed if necessary. If there is none, log in with the browser.

        - `interactive`: If False, raise LoginRequiredError instead of starting a login.
        - `force`: If True, always log in again. The new login replaces a damaged document. An API key in auth.json is
          kept but no longer used.
        - `open_browser`: A function that opens the URL. True opens the default browser, unless this is an SSH session
          or a container. False opens no browser.
        - `on_url`: A function that receives the URL. None shows a link in a notebook. Elsewhere it logs the URL if
          no browser is opened.
        - `paste`: A function such as `input` that prompts for the URL in the browser's address bar after the login. Use
          it if the browser runs on another machine. In a notebook, None is `input` if the kernel has no browser.
        - `timeout`: The timeout for the whole login in seconds. None sets no timeout.
        - `ports`: The callback ports, tried in order. OpenAI's issuer accepts the default ports only.
        - `workspace_id`: Accept only a login for this ChatGPT workspace.
        - `scopes`: The OAuth scopes to request. The default is those of the Codex CLI.
        - `cancel`: An event that cancels the login within a second, with LoginFailedError. Tokens that were already
          stored are kept.

        Raises LoginRequiredError if `interactive` is False or the store has other credentials, and LoginFailedError if
        the login is denied, rejected or cancelled, or times out. Raises CredentialStoreError if the store fails, and
        TokenRefreshError if the stored login cannot be refreshed at the moment.
        """
        if force and not interactive:
            raise ValueError(
                "force=True requires an interactive login. Remove interactive=False, or remove force=True."
            )
        require_login_arguments(
            open_browser=open_browser,
            on_url=on_url,
            paste=paste,
            timeout=timeout,
            ports=ports,
            workspace_id=workspace_id,
            scopes=scopes,
            cancel=cancel,
        )
        from .flows import browser  # its server takes 40 ms to import, and a stored login does not use it

        return self._stored_login_or_log_in(
            lambda complete, deadline: browser.log_in_with_browser(
                complete,
                issuer=self._issuer.url,
                originator=self._issuer.originator,
                browser_options=browser.BrowserLoginOptions(open_browser=open_browser, on_url=on_url, paste=paste),
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
        """Return the stored login, refreshed if necessary. If there is none, log in with a browser on any device.

        `on_code` receives the code and the URL of the page on which the user enters it (None: both are logged).
        `timeout` is in seconds; the code is valid for at most 15 minutes. The other arguments and the errors are the
        same as for `authenticate`. Raises LoginFailedError also if device codes are not enabled for the account.
        """
        require_login_arguments(on_code=on_code, timeout=timeout, workspace_id=workspace_id, cancel=cancel)
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
        if not interactive:  # does not acquire the login lock, because the login of another thread may take minutes
            return run_uninterrupted(lambda: self._load_usable_login(workspace_id))
        outcome_before = self._last_outcome
        deadline.acquire(self._login_lock)
        try:
            # If another thread logged in while this one waited for the lock, use its outcome: the user logs in once.
            outcome = self._last_outcome
            if outcome is not outcome_before and outcome is not None and outcome.denial is not None:
                raise _auth_errors.LoginFailedError(outcome.denial, code=_DENIED)
            if not force or outcome is not outcome_before:
                login = deadline.run(lambda: self._stored_login(workspace_id), is_daemon=False)
                if login is not None:
                    return login
            self._issuer.check_connection()
            deadline.check()  # before the browser opens
            try:
                return log_in(
                    lambda grant: self._complete_login(grant, deadline, force=force, workspace_id=workspace_id),
                    deadline,
                )
            except _auth_errors.LoginFailedError as error:
                if error.code == _DENIED:
                    self._last_outcome = LoginOutcome(denial=str(error))
                raise
        finally:
            deadline.cancel()  # an exchange that still runs must not store tokens
            self._login_lock.release()

    def _stored_login(self, workspace_id: str | None) -> Login | None:
        """Return the stored login, None if a login in the browser may replace it."""
        try:
            return self._load_usable_login(workspace_id)
        except _auth_errors.LoginRequiredError as error:
            # Replacing an API key also changes the credentials of the Codex CLI on this machine, so it needs `force`.
            if _auth_json.describe_other_credentials(load_document(self.store) or {}) is not None:
                raise
            log.info("%s", error)
            return None

    def _load_usable_login(self, workspace_id: str | None) -> Login:
        """Return the stored login, refreshed if necessary. Raises LoginRequiredError if it cannot be used."""
        with self._lock:
            # Not `_reload()`, because the account may change here.
            self._set_cached(self._newest_login(load_login(self.store, self._fetch_login)), may_change_account=True)
            login = self._current(self._transient_failure)
        if workspace_id is not None and login.account_id != workspace_id:
            raise _auth_errors.LoginRequiredError(
                f"The login in {self.store.location} is not for workspace {workspace_id}. "
                f"{_auth_errors.LOG_IN_AGAIN_REMEDY}"
            )
        if login.access_token == self._rejected_token:
            raise _auth_errors.LoginRequiredError(
                f"The backend rejects the login in {self.store.location}, and it cannot be refreshed. "
                f"{_auth_errors.LOG_IN_AGAIN_REMEDY}"
            )
        return login

    def _complete_login(
        self, grant: AuthorizationGrant, deadline: LoginDeadline, *, force: bool, workspace_id: str | None
    ) -> Login:
        """Exchange the grant of a login for tokens, and store them unless the deadline has passed."""
        response = self._issuer.exchange_code(grant)
        account_id = _jwt.parse_account_id(response.id_token, response.access_token)
        if workspace_id is not None and account_id != workspace_id:
            raise _auth_errors.LoginFailedError(
                f"Login is restricted to workspace id(s) {workspace_id}. "  # the Codex CLI's text
                "Select that workspace on the login page, or pass another `workspace_id`.",
                code="workspace_restriction",
            )
        with self._lock, self.store.lock():
            deadline.check()
            cached = save_new_login(self.store, response, account_id=account_id, now=self._clock(), force=force)
            self._set_cached(cached, may_change_account=True)
            self._last_outcome = LoginOutcome(denial=None)
        log.info("Logged in. The login is stored in %s.", self.store.location)
        return cached.login

    # --- account, logout, revocation ---------------------------------------------------------------------------------

    def account(self) -> Account:
        """Return the account of the stored login without refreshing it. Raises LoginRequiredError if there is none."""
        with self._lock:
            cached = self._reload()
        return account_for_login(cached.login, stored_in=self.store.location if cached.unsaved is None else None)

    def logout(self) -> bool:
        """Delete the stored login. Return False if the store was empty. Its tokens stay valid: see `revoke()`."""
        with self._lock:
            self._set_cached(None)
            self._account_id = None
            if self._is_store_empty():
                # Without the lock, which would create the store's folder. This deletes what killed processes have left.
                return self.store.clear()
            with self.store.lock():
                return self.store.clear()

    def _is_store_empty(self) -> bool:
        try:
            return load_document(self.store) is None
        except Exception:  # a store of the caller may raise its own; what cannot be read is there, and can be deleted
            return False

    def revoke(self, *, must_confirm: bool = False) -> bool:
        """Revoke the login at the issuer, then log out. Return False if there was no login.

        A failed revocation logs a warning. With `must_confirm`, it raises LoginFailedError after the logout. The issuer
        does not revoke personal access tokens, so for these the revocation always fails.
        """
        logins = self._load_tokens_to_revoke()
        confirmations = [self._revoke_tokens(tokens) for tokens in logins]  # revoke all of them, even if one fails
        had_login = self.logout() or bool(logins)
        if must_confirm and not all(confirmations):
            raise _auth_errors.LoginFailedError(
                f"The login was deleted from {self.store.location}, but the issuer did not confirm its revocation. "
                "Its tokens stay valid until they expire. Revoke the session in the security settings of ChatGPT.",
                code="not_revoked",
            )
        return had_login

    def _load_tokens_to_revoke(self) -> list[_auth_json.StoredTokens]:
        """Return the valid tokens: those in the store, and refreshed ones that could not be stored."""
        with self._lock:
            cached = self._cached
        if not self._is_store_empty():
            try:
                with self.store.lock():
                    pass  # wait for a process that is refreshing the login, to revoke its new tokens
            except Exception:
                pass  # the lock is unavailable: revoke the stored tokens anyway
        stored = load_tokens(self.store)
        if cached is None or cached.unsaved is None:
            return [] if stored is None else [stored]
        # If the store has not changed since the refresh, its refresh token is used up.
        is_stale = stored is None or stored.has_same_tokens(cached.unsaved.replaces)
        return [cached.tokens] if stored is None or is_stale else [stored, cached.tokens]

    def _revoke_tokens(self, tokens: _auth_json.StoredTokens) -> bool:
        if _auth_json.is_personal_access_token(tokens.access_token):
            log.warning("The personal access token was deleted but not revoked. Revoke it in the settings of ChatGPT.")
            return False
        return self._issuer.revoke(refresh_token=tokens.refresh_token, access_token=tokens.access_token)


def resolve_credentials(
    credentials: CredentialSource | CredentialStore | None, *, issuer: str | None, originator: str
) -> CredentialSource:
    """Return the source for the argument `credentials` of a client: itself, or a `Credentials` for a store.

    None means the token in `$CODEX_ACCESS_TOKEN`, else the stored login. Codex CLI: login/src/auth/manager.rs.
    """
    if isinstance(credentials, CredentialSource):
        return credentials
    if isinstance(credentials, CredentialStore):
        return Credentials(credentials, issuer=issuer, originator=originator)
    if credentials is not None:
        raise TypeError(
            "`credentials` must be a CredentialSource or a CredentialStore, not "
            f"{type(credentials).__name__}. Pass FileStore(...), MemoryStore(...) or Credentials(...)."
        )
    if os.environ.get(ACCESS_TOKEN_ENV):
        from .static_token import StaticToken  # imported here because few programs use it

        static = StaticToken.from_environment(issuer=issuer, originator=originator)
        if static is not None:  # None if the variable is blank
            return static
    return Credentials(issuer=issuer, originator=originator)


def exchange_api_key(credentials: Credentials) -> Secret:
    """Return an API key of the OpenAI platform for the account of a login. It is not stored.

    This package does not need one. Calls with the key are billed to the account's platform organization, not to the
    ChatGPT plan. Raises LoginRequiredError if there is no login, and LoginFailedError if the issuer rejects the
    exchange: the account has no organization, or the ID token is older than an hour. Log in again in that case.
    """
    with credentials._lock:
        id_token = credentials._reload().tokens.id_token
    if id_token is None:
        raise _auth_errors.LoginFailedError(
            f"The login has no ID token to exchange for an API key. {_auth_errors.LOG_IN_AGAIN_REMEDY}",
            code="no_id_token",
        )
    return credentials._issuer.exchange_api_key(id_token)
