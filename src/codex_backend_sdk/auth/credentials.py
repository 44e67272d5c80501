"""Getting a login and getting rid of it, beside its renewal.

A sign-in ends in `_complete`, whichever way it took: the tokens are stored, and then in use.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .._constants import ACCESS_TOKEN_ENV, CALLBACK_PORTS, LOGIN_SCOPES, LOGIN_TIMEOUT
from . import _auth_json, _jwt
from ._account import account_from
from ._deadline import Limit
from ._failures import is_login_required, login_failed, login_required
from ._held import hold, keep, load, read, read_tokens
from ._to_its_end import to_its_end
from .stores.file import CredentialStore
from .token_manager import CredentialSource, TokenManager

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from ..types import Account, DeviceCode, Login, Secret
    from ._held import Held
    from ._oauth import Grant, TokenAnswer

__all__ = ["Credentials", "exchange_api_key", "resolve_credentials"]

log = logging.getLogger("codex_backend_sdk.auth")

_DENIED: Final = "access_denied"


class Credentials(TokenManager):
    """The login in a store, renewed in time, with the ways to sign in and out.

    `store` is by default the one that the Codex CLI is told to use: auth.json, or the keyring. `issuer` is a URL (else
    `$CODEX_ISSUER_URL`, else OpenAI's); `clock` returns an aware datetime; `http` is a client for the requests to the
    issuer, and stays open.
    """

    # --- signing in ------------------------------------------------------------------------------------------

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
        """Return the stored login, renewed when it has to be; without one, sign in with the browser.

        `interactive=False` never opens anything; `force=True` always signs in afresh and replaces even a damaged
        store. `open_browser` opens the URL (False: nothing does; True: the system's, where a person would see it),
        `on_url` is told it (None: it is logged where nothing opens it). `paste` is asked with a prompt, as `input`
        is, for the address that the browser ended on, for one that cannot come back to this machine. `timeout` is in
        seconds, for all of it, and None waits for ever; setting `cancel` ends it within a second, and no login is
        returned then, though one that was stored before stays. `workspace_id` admits only the login of that ChatGPT
        workspace; `scopes` takes the place of those that the Codex CLI asks for.

        LoginRequiredError (not interactive, or the store holds another kind of login), LoginFailedError (the sign-in),
        CredentialStoreError, TokenRefreshError (the stored login cannot be renewed just now).
        """
        if force and not interactive:
            raise ValueError("force=True needs a person: it cannot be combined with interactive=False")
        if isinstance(scopes, str):
            raise TypeError("scopes must be a sequence of names, not one text")
        from .flows import browser  # the server in it takes 40 ms to import

        return self._stored_or(
            lambda complete, limit: browser.sign_in(
                complete,
                issuer=self._issuer.url,
                originator=self._issuer.originator,
                ways=browser.Ways(open_browser=open_browser, on_url=on_url, paste=paste),
                limit=limit,
                ports=ports,
                workspace_id=workspace_id,
                scope=LOGIN_SCOPES if scopes is None else " ".join(scopes),
            ),
            Limit(timeout, cancel),
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
        """Return the stored login, renewed when it has to be; without one, sign in with a browser on another device.

        `on_code` is told the code and where to type it in (None: both are logged). `timeout` is in seconds, at most
        the 15 minutes that the code lives; setting `cancel` ends the waiting. `force` and `workspace_id` are those of
        `authenticate`, and so are the errors; LoginFailedError, too, where device codes are not enabled for the account.
        """
        from .flows import device

        return self._stored_or(
            lambda complete, limit: device.sign_in(complete, issuer=self._issuer, on_code=on_code, limit=limit),
            Limit(timeout, cancel),
            interactive=True,
            force=force,
            workspace_id=workspace_id,
        )

    def _stored_or(
        self,
        sign_in: Callable[[Callable[[Grant], Login], Limit], Login],
        limit: Limit,
        *,
        interactive: bool,
        force: bool,
        workspace_id: str | None,
    ) -> Login:
        if not interactive:  # the person of another thread's sign-in may take minutes
            return to_its_end(lambda: self._at_hand(workspace_id))
        sign_ins_before, denials_before = self._sign_ins, self._denials
        limit.acquire(self._signing_in)
        try:
            if self._denials != denials_before:  # the person has been asked for this thread, too
                raise login_failed(self._denial, code=_DENIED)
            # A thread that waited here for another's sign-in takes that one, forced or not.
            if not force or self._sign_ins != sign_ins_before:
                login = limit.run(lambda: self._stored(workspace_id=workspace_id), to_its_end=True)
                if login is not None:
                    return login
            self._issuer.check()
            limit.check()  # nothing is shown to a person for whom nobody waits any more
            return sign_in(lambda grant: self._complete(grant, limit, force=force, workspace_id=workspace_id), limit)
        except RuntimeError as error:
            if getattr(error, "code", None) == _DENIED and self._denials == denials_before:
                self._denials, self._denial = self._denials + 1, str(error)
            raise
        finally:
            limit.stop()
            self._signing_in.release()

    # --- signed in -------------------------------------------------------------------------------------------

    def account(self) -> Account:
        """Say who is signed in. The store is read; nothing is renewed. LoginRequiredError when nobody is."""
        with self._lock:
            held = self._reload()
        return account_from(held.login, stored_in=self.store.location if held.is_saved else None)

    def logout(self) -> bool:
        """Delete the stored login, whatever it is; True if there was one. The issuer is not told: `revoke()`."""
        with self._lock:
            self._adopt(None)
            self._account_id = None
            if self._is_empty():  # the lock would make the folder of a store that has never been
                return False
            with self.store.lock():
                return self.store.clear()

    def _is_empty(self) -> bool:
        try:
            return load(self.store) is None
        except RuntimeError:  # damaged: that is deleted, too
            return False

    def revoke(self, *, must_confirm: bool = False) -> bool:
        """Make the login worthless at the issuer, as well as that can be done just now, then log out.

        True if there was a login. A personal access token is only forgotten: it is revoked where it was made. What
        was not revoked is a warning; with `must_confirm` it is LoginFailedError as well, after the logout.
        """
        logins = self._to_revoke()
        is_revoked = sum(self._revoked(login) for login in logins) == len(logins)
        was_there = self.logout() or bool(logins)
        if must_confirm and not is_revoked:
            raise login_failed(
                f"The login in {self.store.location} was removed, but not revoked: a copy of it can still be used.",
                code="not_revoked",
            )
        return was_there

    def _to_revoke(self) -> list[_auth_json.StoredTokens]:
        """Return the tokens that are good: those in the store, and renewed ones that could not be stored."""
        with self._lock:
            held, unsaved_since = self._held, self._unsaved_since
        if not self._is_empty():
            with suppress(RuntimeError), self.store.lock():
                pass  # whoever renews it just now stores tokens that have to be revoked instead
        stored = read_tokens(self.store)
        if held is None or held.is_saved:
            return [] if stored is None else [stored]
        # What is in the store since before the renewal is used up.
        is_exhausted = self.store.version() == unsaved_since
        return [held.tokens] if stored is None or is_exhausted else [stored, held.tokens]

    def _revoked(self, login: _auth_json.StoredTokens) -> bool:
        from . import _access_token_kind

        if _access_token_kind.is_personal(login.access_token):
            log.warning("A personal access token is revoked in the settings of ChatGPT; here it is only deleted.")
            return False
        return self._issuer.revoke(refresh_token=login.refresh_token, access_token=login.access_token)

    def _at_hand(self, workspace_id: str | None) -> Login:
        with self._lock:
            return self._usable(workspace_id)

    def _stored(self, *, workspace_id: str | None) -> Login | None:
        with self._lock:
            try:
                return self._usable(workspace_id)
            except RuntimeError as error:
                if is_login_required(error) and not self._holds_other_kind():
                    log.info("%s", error)
                    return None
                raise

    def _usable(self, workspace_id: str | None) -> Login:
        # Not `_reload()`: here, and after a sign-in, the account may be another one than before.
        self._change_over(self._newest(read(self.store, self._whose)))
        login = self._current(self._failures)
        if workspace_id is not None and login.account_id != workspace_id:
            raise login_required(f"The login in {self.store.location} is not for workspace {workspace_id}.")
        if login.access_token == self._given_up:
            raise login_required(f"The login in {self.store.location} is refused and cannot be renewed.")
        return login

    def _holds_other_kind(self) -> bool:
        # Signing in over an API key would change what the Codex CLI on this machine does: only when forced.
        return _auth_json.unusable(load(self.store) or {}) is not None

    def _complete(self, grant: Grant, limit: Limit, *, force: bool, workspace_id: str | None) -> Login:
        """Turn what a sign-in brought into a stored login; nothing is stored once its limit is reached."""
        answer = self._issuer.exchange(grant)
        account_id = _jwt.account_of(answer.id_token, answer.access_token)
        if workspace_id is not None and account_id != workspace_id:
            raise login_failed(f"Login is restricted to workspace id(s) {workspace_id}.", code="workspace_restriction")
        with self._lock, self.store.lock():
            limit.check()
            held, is_damaged = self._to_store(answer, account_id, force=force)
            keep(self.store, held, over_damage=is_damaged)
            self._change_over(held)
            self._sign_ins += 1
        log.info("Signed in; the login is in %s.", self.store.location)
        return held.login

    def _to_store(self, answer: TokenAnswer, account_id: str | None, *, force: bool) -> tuple[Held, bool]:
        """Return the new login, and whether what it replaces is damaged, which only `force` puts up with.

        What is stored so far is no variable of the caller's, whom an error of `keep` passes.
        """
        before, is_damaged = None, False
        try:
            before = load(self.store)
        except RuntimeError:
            if not force:
                raise
            is_damaged = True
        return hold(_auth_json.signed_in(before, answer, account_id=account_id, now=self._clock())), is_damaged


def resolve_credentials(
    given: CredentialSource | CredentialStore | None, *, issuer: str | None, originator: str
) -> CredentialSource:
    """Return the source that `credentials=` stands for: itself, or a `Credentials` on the store.

    None: the token in `$CODEX_ACCESS_TOKEN`, else the stored login. Codex CLI: login/src/auth/manager.rs.
    """
    if isinstance(given, CredentialSource):
        return given
    if given is None:
        return _from_environment(issuer, originator) or Credentials(issuer=issuer, originator=originator)
    if isinstance(given, CredentialStore):
        return Credentials(given, issuer=issuer, originator=originator)
    raise TypeError(f"credentials must be a CredentialSource or a CredentialStore, not {type(given).__name__}")


def _from_environment(issuer: str | None, originator: str) -> CredentialSource | None:
    if not os.environ.get(ACCESS_TOKEN_ENV):
        return None
    from .static_token import StaticToken

    return StaticToken.from_environment(issuer=issuer, originator=originator)


def exchange_api_key(credentials: Credentials) -> Secret:
    """Return an API key of the OpenAI platform for the account that is signed in; it is stored nowhere.

    Nothing in this package asks for one: calls made with it are billed to the account's platform organization, not
    covered by the ChatGPT plan. LoginRequiredError when nobody is signed in, LoginFailedError when the issuer refuses: the
    account may have no organization, and the id token is good for an hour after the sign-in or the last renewal.
    """
    with credentials._lock:
        id_token = credentials._reload().tokens.id_token
    if id_token is None:
        raise login_failed("The login has no id token to exchange for an API key.", code="no_id_token")
    return credentials._issuer.api_key(id_token)
