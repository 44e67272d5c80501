"""The login of one store, loaded once and refreshed once for all threads and processes that use it.

Three locks keep concurrent users apart, always taken in this order:

1. the single flight of `current()`: threads share one run and its outcome;
2. the thread lock: guards the fields of the manager, held during a refresh;
3. the store's lock: keeps other processes away while the store is read, the issuer is called and the result is stored.

Wire source: Codex CLI, login/src/auth/manager.rs.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from .._constants import DEFAULT_ORIGINATOR
from .._threads import SingleFlight, create_lock, run_uninterrupted
from .._urls import resolve_issuer_url
from . import _auth_errors, _jwt
from ._auth_json import TokenResponse, merge_refreshed_tokens
from ._cached_login import EPOCH, CachedLogin, UnsavedRefresh, load_login, save_login
from .stores.auto import default_store
from .stores.base import codex_home_path

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from .._exceptions import LoginRequiredError
    from ..types import Login, Secret
    from ._issuer import IssuerClient
    from ._jwt import RefreshReason
    from ._oauth import RefreshFailure
    from .stores.base import CredentialStore

__all__ = ["CredentialSource", "LoginAttempt", "TokenManager", "utc_now"]

log = logging.getLogger("codex_backend_sdk.auth")

_LOG_IN: Final = "Log in with client.authenticate() or `codex-backend login`."
# Pause between two refresh attempts while the old token is valid: an issuer that fails is not called by every request.
_BACKOFF: Final = timedelta(seconds=10)
# Pause between two attempts to save refreshed tokens: the disk may have room again.
_SAVE_RETRY_INTERVAL: Final = timedelta(minutes=1)
# Pauses before each reading of the store after the issuer has refused the refresh token.
_REREAD_PAUSES_SECONDS: Final = (0.0, 0.1, 0.2)


@runtime_checkable
class CredentialSource(Protocol):
    """A source of logins that sign requests. Implement it to get the login from elsewhere.

    All methods must be thread-safe.
    """

    def ready(self) -> Login | None:
        """Return the login if it can be used at once, None if `current()` must be called. Must not wait."""
        ...

    def current(self) -> Login:
        """Return a usable login, loaded or refreshed if needed. May wait. Raise LoginRequiredError if there is none."""
        ...

    def refresh(self, rejected: Login) -> Login:
        """Return another login after the backend rejected `rejected` with status 401. May wait.

        Raise LoginRequiredError if only a new login helps, TokenRefreshError if a later attempt may succeed.
        """
        ...


class _PermanentRefusal(NamedTuple):
    """The issuer refuses the refresh token for good. Valid for this version of the store only."""

    store_version: object
    message: str


class _SharedFailure:
    """The message of a failure that threads share: each compares the object before and after its wait, by identity."""

    def __init__(self, message: str) -> None:
        self.message = message


def _describe(error: Exception) -> str:
    """Return the message of an error of this package. The text of another one may hold the stored document."""
    return str(error) if isinstance(error, _auth_errors.CodexError) else f"{type(error).__name__}."


class LoginAttempt(NamedTuple):
    """The outcome of the last interactive login: None for success, or the message if the user denied it."""

    denial: str | None


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


class TokenManager:
    """The login of one store, refreshed before it expires. `Credentials` adds logging in and out.

    Refresh policy. A refresh is due five minutes before the access token expires, or for the last quarter of a shorter
    lifetime; a token without a readable expiry is due eight days after its last refresh.

    1. No refresh is due: `current()` returns the cached login, without a lock and without I/O.
    2. A refresh is due, and the store has a login that another process refreshed: that one is used.
    3. A refresh is due: under the store's lock the store is read again (case 2), the issuer is called, and the new
       tokens are stored before they are used.
    4. The refresh fails, or takes longer than three seconds, while the old token is valid: the old token is used, and
       the next attempt follows ten seconds later, at the latest when the token expires.
    5. The refresh fails and the old token has expired: TokenRefreshError if a later attempt may succeed, else
       LoginRequiredError. Threads that waited for the failed attempt raise the same error without a call of their own.
    6. The issuer refuses the refresh token for good: the store is read three times more within 0.3 seconds, since a
       process that does not take our lock (the Codex CLI) may have used the token a moment ago and is about to store
       its result. After that the refusal is remembered for this version of the store.
    7. The new tokens cannot be stored: they are used from memory, since the old refresh token is used up. Saving
       is retried once a minute, unless the store has changed in the meantime.
    8. The new tokens are due for a refresh at once (a wrong clock, a very short lifetime): as in case 4 they are used
       for ten seconds.
    9. The store cannot be read: the cached login is used as long as its token is valid.
       In cases 4 and 9 any exception counts: a store of the caller may raise its own.
    10. The store or the issuer returns the login of another account: LoginRequiredError. Requests of a running client
        never change over to another account; only `authenticate()` does that.
    11. `refresh()`, after the backend rejected a token: as cases 2 and 3, at once, if the token is still the same.
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
        self._configured_store = store
        self._home = codex_home_path()
        self._issuer_url = resolve_issuer_url(issuer)
        self._originator = originator
        self._http = http
        self._clock = clock
        self._single_flight: SingleFlight[Login] = SingleFlight()
        self._lock = create_lock()  # guards the fields below
        self._cached: CachedLogin | None = None
        # The cached login and when it needs attention, as one value: `ready()` reads it without the lock.
        self._ready: tuple[Login, datetime] | None = None
        self._account_id: str | None = None  # of the requests; stays when the login is removed elsewhere (case 10)
        self._lifetime: timedelta | None = None  # of the issuer's access tokens, known after the first refresh
        self._backoff_ends_at = EPOCH  # cases 4, 8 and 9
        self._permanent_refusal: _PermanentRefusal | None = None  # case 6
        self._transient_failure: _SharedFailure | None = None  # case 5
        self._rejected_token: Secret | None = None  # the backend rejects it, and it cannot be refreshed
        # Used by `Credentials`: one interactive login at a time, however many threads want one.
        self._login_lock = create_lock()
        self._last_attempt: LoginAttempt | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._configured_store!r}, issuer={self._issuer_url!r})"

    @cached_property
    def store(self) -> CredentialStore:
        """The store of the login. The default store reads the Codex CLI's config.toml at the first use."""
        return default_store(self._home) if self._configured_store is None else self._configured_store

    @cached_property
    def _issuer(self) -> IssuerClient:
        from ._issuer import IssuerClient  # most programs find a valid login and never call the issuer

        return IssuerClient(self._issuer_url, originator=self._originator, http=self._http)

    # --- public --------------------------------------------------------------------------------------------------

    def ready(self) -> Login | None:
        """Return the cached login if no refresh is due; no lock, no I/O."""
        ready = self._ready
        return ready[0] if ready is not None and self._clock() < ready[1] else None

    def current(self) -> Login:
        """Return a login for a request, refreshed if that is due.

        If the refresh fails or takes longer than three seconds, return the old login while it is valid. Otherwise wait
        for the refresh, and raise LoginRequiredError or TokenRefreshError if it fails.
        """
        return self.ready() or self._single_flight.run(self._current_locked, fallback=self._valid_cached_login)

    def refresh(self, rejected: Login) -> Login:
        """Return another login after the backend rejected `rejected` (status 401): from the store, else refreshed."""
        failure_before = self._transient_failure
        return run_uninterrupted(lambda: self._refresh_rejected(rejected, failure_before))

    def _current_locked(self) -> Login:
        failure_before = self._transient_failure
        with self._lock:
            return self._current(failure_before)

    def _valid_cached_login(self) -> Login | None:
        cached = self._cached
        return cached.login if cached is not None and self._is_valid(cached) else None

    def _refresh_rejected(self, rejected: Login, failure_before: _SharedFailure | None) -> Login:
        with self._lock:
            cached = self._cached
            if cached is None or not self._supersedes(cached, rejected):
                cached = self._reload()
            if self._supersedes(cached, rejected):  # another thread or process has refreshed it
                return cached.login
            self._raise_shared_failure(failure_before)
            try:
                return self._refresh("unauthorized_recovery", rejected)
            except _auth_errors.LoginRequiredError:
                self._rejected_token = rejected.access_token
                raise

    # --- everything below runs with self._lock held ----------------------------------------------------------------

    def _current(self, failure_before: _SharedFailure | None) -> Login:
        cached = self._cached
        if cached is not None and cached.unsaved is not None:
            cached = self._retry_save(cached, cached.unsaved)
        if cached is None or self._is_due(cached):
            try:
                cached = self._reload()
            except _auth_errors.LoginRequiredError:
                raise  # the store was read: it holds no login, or that of another account (case 10)
            except Exception as error:  # case 9
                if cached is None or not self._is_valid(cached):
                    raise
                self._start_backoff(cached)
                log.warning("The stored login could not be read; its old token is still used. %s", _describe(error))
        if not self._is_due(cached):
            return cached.login
        try:
            self._raise_shared_failure(failure_before)
            return self._refresh(cached.next_refresh(self._lifetime)[1], cached.login)
        except Exception as error:
            if not self._is_valid(cached):
                raise
            self._start_backoff(cached)  # case 4
            log.warning("The login could not be refreshed; its old token is still used. %s", _describe(error))
            return cached.login

    def _reload(self) -> CachedLogin:
        """Read the store and cache its login. The account must be the same as before (case 10)."""
        cached = self._prefer_unsaved(load_login(self.store, self._fetch_login))
        if cached is None:
            self._set_cached(None)
            raise _auth_errors.LoginRequiredError(f"There is no login in {self.store.location}. {_LOG_IN}")
        if self._account_id is not None and cached.login.account_id not in (None, self._account_id):
            raise _auth_errors.LoginRequiredError(
                f"The login in {self.store.location} now belongs to another account. "
                "Call client.authenticate() to change over to it."
            )
        self._set_cached(cached)
        return cached

    def _fetch_login(self, token: Secret) -> Login:
        """Return the login of a stored personal access token. The issuer is called once for each token."""
        cached = self._cached
        if cached is not None and cached.login.access_token == token:
            return cached.login
        return self._issuer.fetch_login(token, location=self.store.location, remedy=_auth_errors.LOG_IN_AGAIN_REMEDY)

    def _prefer_unsaved(self, stored: CachedLogin | None) -> CachedLogin | None:
        """Return the cached login if the store did not take it (case 7) and has no newer one."""
        cached = self._cached
        if cached is None or cached.unsaved is None:
            return stored
        return stored if stored is not None and stored.is_newer_than(cached) else cached

    # --- the cache -----------------------------------------------------------------------------------------------

    def _set_cached(self, cached: CachedLogin | None, *, may_change_account: bool = False) -> None:
        """Replace the cached login. Without one the account stays, so that a later login must be of the same."""
        before, self._cached = self._cached, cached
        if cached is None or before is None or cached.login != before.login:
            self._backoff_ends_at = EPOCH
        if cached is not None:
            if before is not None and cached.login.access_token != before.login.access_token:
                self._lifetime = cached.lifetime
            kept_account_id = None if may_change_account else self._account_id
            self._account_id = cached.login.account_id or kept_account_id
        self._update_ready()

    def _update_ready(self) -> None:
        """Publish the cached login and how long it needs no attention. Call after every change of state."""
        cached = self._cached
        if cached is None:
            self._ready = None
            return
        until = self._due_at(cached)
        self._ready = cached.login, until if cached.unsaved is None else min(until, cached.unsaved.retry_save_at)

    def _due_at(self, cached: CachedLogin) -> datetime:
        return max(cached.next_refresh(self._lifetime)[0], self._backoff_ends_at)

    def _is_due(self, cached: CachedLogin) -> bool:
        return self._clock() >= self._due_at(cached)

    def _is_valid(self, cached: CachedLogin) -> bool:
        return not _jwt.has_expired(cached.login, now=self._clock())

    def _supersedes(self, cached: CachedLogin, rejected: Login) -> bool:
        """Return whether the cached login can be used where `rejected` could not."""
        return cached.login.access_token != rejected.access_token and not self._is_due(cached)

    def _start_backoff(self, cached: CachedLogin) -> None:
        """Make no further attempt for ten seconds, or until the token expires if that is earlier."""
        now = self._clock()
        expires_at = cached.login.expires_at
        ends_at = now + _BACKOFF
        self._backoff_ends_at = ends_at if expires_at is None or expires_at <= now else min(ends_at, expires_at)
        self._update_ready()

    # --- refresh -------------------------------------------------------------------------------------------------

    def _refresh(self, reason: RefreshReason, rejected: Login) -> Login:
        """Return a login with another access token than `rejected`."""
        with self.store.lock():
            # The version is taken before the document is read: a change between the two causes a needless attempt
            # later, not a missed one.
            version = self.store.version()
            cached = self._reload()
            if self._supersedes(cached, rejected):  # case 2
                return cached.login
            if self._permanent_refusal is not None and self._permanent_refusal.store_version == version:
                raise self._cannot_refresh(self._permanent_refusal.message)
            if cached.tokens.refresh_token is None:
                raise self._cannot_refresh("Its access token has expired or was rejected, and it has no refresh token.")
            response = self._issuer.refresh(cached.tokens.refresh_token, reason=reason)
            if isinstance(response, TokenResponse):
                return self._store_refreshed(cached, response, version)
            return self._handle_failure(cached, response, version)

    def _store_refreshed(self, before: CachedLogin, response: TokenResponse, version: object) -> Login:
        # The id token names the account of the login, the access token the account that is billed. Each is compared
        # with its own kind: in a workspace the two may differ.
        accounts = (
            (_jwt.parse_account_id(response.id_token, response.access_token), before.login.account_id),
            (
                _jwt.parse_account_id(None, response.access_token),
                _jwt.parse_account_id(None, before.tokens.access_token),
            ),
        )
        if any(None not in pair and pair[0] != pair[1] for pair in accounts):
            raise self._refuse_for_good(version, "The issuer returned the login of another account.")
        refreshed = CachedLogin.from_document(merge_refreshed_tokens(before.document, response, now=self._clock()))
        try:
            save_login(self.store, refreshed)
        except BaseException as error:
            # Case 7, for Ctrl-C as well: the old refresh token is used up, so these tokens are the only valid ones.
            unsaved = UnsavedRefresh(version, self._clock() + _SAVE_RETRY_INTERVAL)
            self._set_cached(replace(refreshed, unsaved=unsaved))
            if not isinstance(error, Exception):
                raise
            self._warn_unsaved(error)
        else:
            self._set_cached(refreshed)
        if self._is_due(refreshed):  # case 8
            self._start_backoff(refreshed)
        return refreshed.login

    def _warn_unsaved(self, error: Exception) -> None:
        log.warning(
            "The refreshed login could not be stored: %s This process uses it from memory and retries every minute; "
            "it is lost if the process ends before that succeeds. Make %s writable.",
            _describe(error),
            self.store.location,
        )

    def _retry_save(self, cached: CachedLogin, unsaved: UnsavedRefresh) -> CachedLogin:
        """Save the login that the store did not take, unless the store has changed in the meantime."""
        postponed = replace(cached, unsaved=unsaved._replace(retry_save_at=self._clock() + _SAVE_RETRY_INTERVAL))
        self._set_cached(postponed)
        try:
            with self.store.lock():
                # A changed store holds a newer login, or none after a logout: the next refresh reads it.
                if self.store.version() != unsaved.store_version:
                    return postponed
                save_login(self.store, cached)
        except Exception as error:  # a store of the caller's own may raise anything
            log.debug("The refreshed login still could not be stored: %s", type(error).__name__)
            return postponed
        log.info("The refreshed login is stored now, in %s.", self.store.location)
        saved = replace(cached, unsaved=None)
        self._set_cached(saved)
        return saved

    def _handle_failure(self, cached: CachedLogin, failure: RefreshFailure, version: object) -> Login:
        if not failure.is_permanent:
            message = f"{failure.message} The stored login is kept."
            self._transient_failure = _SharedFailure(message)
            raise _auth_errors.TokenRefreshError(message)
        for pause in _REREAD_PAUSES_SECONDS:  # case 6
            time.sleep(pause)
            reloaded = self._reload()
            if self._supersedes(reloaded, cached.login):
                return reloaded.login
        raise self._refuse_for_good(version, failure.message)

    def _raise_shared_failure(self, failure_before: _SharedFailure | None) -> None:
        """Raise the failure of an attempt that this thread has waited for (case 5)."""
        failure = self._transient_failure
        if failure is not None and failure is not failure_before:
            raise _auth_errors.TokenRefreshError(failure.message)

    def _refuse_for_good(self, version: object, message: str) -> LoginRequiredError:
        self._permanent_refusal = _PermanentRefusal(version, message)
        return self._cannot_refresh(message)

    def _cannot_refresh(self, reason: str) -> LoginRequiredError:
        return _auth_errors.LoginRequiredError(
            f"The login in {self.store.location} cannot be refreshed. {reason} {_auth_errors.LOG_IN_AGAIN_REMEDY}"
        )
