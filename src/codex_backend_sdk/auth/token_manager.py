"""Load and refresh the login of one store, once for all threads and processes that use it.

Concurrent callers are serialized by these mechanisms, always acquired in this order:

1. The login lock: one thread at a time runs an interactive login (`Credentials`).
2. The single flight of `current()`: threads share one run and its outcome.
3. The thread lock guards the fields of the manager and is held during a refresh.
4. The store's lock excludes other processes while the store is read, the token refreshed and the result stored.

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
from ._cached_login import EPOCH, CachedLogin, UnsavedRefresh, load_login, prepare_save, save_refreshed_login
from .stores.auto import default_store
from .stores.base import NotCopyable, codex_home_path

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from .._exceptions import LoginRequiredError
    from ..types import Login, Secret
    from ._issuer import IssuerClient
    from ._jwt import RefreshReason
    from ._oauth import RefreshFailure
    from .stores.base import CredentialStore

__all__ = ["CredentialSource", "LoginOutcome", "TokenManager", "utc_now"]

log = logging.getLogger("codex_backend_sdk.auth")

_LOG_IN_REMEDY: Final = "Log in with client.authenticate() or `codex-backend login`."
# Pause between two refresh attempts while the old token is valid, so that not every request calls a failing issuer.
_BACKOFF: Final = timedelta(seconds=10)
# Pause between two attempts to save refreshed tokens.
_SAVE_RETRY_INTERVAL: Final = timedelta(minutes=1)
# Pauses before each reload of the store after the issuer rejected the refresh token.
_RELOAD_PAUSES_SECONDS: Final = (0.0, 0.1, 0.2)


@runtime_checkable
class CredentialSource(Protocol):
    """Protocol of a source of logins for requests. Implement it to supply logins without a store.

    All methods must be thread-safe.
    """

    def ready(self) -> Login | None:
        """Return a login that is ready for use, or None if the client must call `current()`. Must not wait."""
        ...

    def current(self) -> Login:
        """Return a valid login, loaded or refreshed if necessary. May wait.

        Raise LoginRequiredError if only a new login helps, TokenRefreshError if a later attempt may succeed.
        """
        ...

    def refresh(self, rejected: Login) -> Login:
        """Return another login after the backend rejected `rejected` with status 401. May wait.

        Raises LoginRequiredError if the user must log in again, and TokenRefreshError if a retry may succeed.
        """
        ...


class _PermanentFailure(NamedTuple):
    """A rejection of the refresh token by the issuer. It applies to this version of the store only."""

    store_version: object
    message: str


class _TransientFailure:
    """A failed refresh that threads share. Each compares the object before and after its wait, by identity."""

    def __init__(self, message: str) -> None:
        self.message = message


def _describe(error: Exception) -> str:
    """Return the message of an error of this package, else the class name: the text may contain the document."""
    return str(error) if isinstance(error, _auth_errors.CodexError) else f"{type(error).__name__}."


class LoginOutcome(NamedTuple):
    """The outcome of an interactive login. `denial` is the message if the user denied it, None if it succeeded."""

    denial: str | None


def utc_now() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return datetime.now(UTC)


class TokenManager(NotCopyable):
    """The login of one store, refreshed before it expires. `Credentials` adds login and logout.

    Refresh policy. A refresh is due five minutes before the access token expires, or in the last quarter of a lifetime
    of less than 20 minutes. If the expiry is unknown, a refresh is due eight days after the last refresh.

    1. No refresh is due: `current()` returns the cached login, without a lock and without I/O.
    2. A refresh is due, and the store has a login that another process refreshed: `current()` returns that login.
    3. A refresh is due: the manager acquires the store's lock, makes sure that the store can be written, reloads it
       (case 2), calls the issuer, and stores the new tokens before it uses them. If the store cannot be written, the
       refresh fails (cases 4 and 5) and the refresh token is not used up.
    4. The refresh fails, or takes longer than three seconds, while the old token is valid: `current()` returns the old
       token. The next attempt follows after ten seconds, or when the token expires if that is earlier.
    5. The refresh fails and the old token has expired: the manager raises TokenRefreshError if a retry may succeed,
       CredentialStoreError if the store fails, else LoginRequiredError. Threads that waited for an attempt that the
       issuer failed raise the same error without another request.
    6. The issuer rejects the refresh token permanently: the manager reloads the store three times within 0.3 seconds. A
       process that does not use this lock (the Codex CLI) may have used the token and be about to store the new one.
       Then the manager remembers the rejection for this version of the store.
    7. The new tokens cannot be stored in spite of case 3: the manager uses them from memory, because the old refresh
       token is used up. It tries to save them once a minute, with case 12 if the store has changed.
    8. The new tokens are immediately due for a refresh (wrong clock, very short lifetime): the manager uses them for
       ten seconds, as in case 4.
    9. The store cannot be read: the manager uses the cached login while its token is valid.
       Cases 4 and 9 apply to all exceptions, because a custom store may raise any exception.
    10. The store or the issuer returns the login of another account: the manager raises LoginRequiredError. Only
        `authenticate()` changes the account of a client.
    11. The backend rejected a token: `refresh()` proceeds as in cases 2 and 3 at once, if that token is still in use.
    12. The tokens in the store change during a refresh, because a program that does not use the lock (the Codex CLI)
        logs in or out: the manager does not store the new tokens. It uses the stored login if it has the same account.
        If there is no login any more, the manager revokes the new tokens. Then, and if the store has another account or
        an API key, it raises LoginRequiredError, even if the old token is still valid.
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
        self._codex_home = codex_home_path()
        self._issuer_url = resolve_issuer_url(issuer)
        self._originator = originator
        self._http = http
        self._clock = clock
        self._single_flight: SingleFlight[Login] = SingleFlight()
        self._lock = create_lock()  # guards the fields below
        self._cached: CachedLogin | None = None
        # The cached login, and the time until which `ready()` returns it. One value, because `ready()` takes no lock.
        self._ready_login: tuple[Login, datetime] | None = None
        self._account_id: str | None = None  # kept when another process removes the login (case 10)
        self._lifetime: timedelta | None = None  # of the issuer's access tokens; None before the first refresh
        self._backoff_ends_at = EPOCH  # cases 4, 8 and 9
        self._permanent_failure: _PermanentFailure | None = None  # case 6
        self._transient_failure: _TransientFailure | None = None  # case 5
        self._rejected_token: Secret | None = None  # rejected by the backend, and not refreshable
        # Used by `Credentials`: one interactive login at a time.
        self._login_lock = create_lock()
        self._last_outcome: LoginOutcome | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._configured_store!r}, issuer={self._issuer_url!r})"

    @cached_property
    def store(self) -> CredentialStore:
        """The store of the login. The default store is selected at the first use, by the Codex CLI's config.toml."""
        return default_store(self._codex_home) if self._configured_store is None else self._configured_store

    @cached_property
    def _issuer(self) -> IssuerClient:
        from ._issuer import IssuerClient  # imported here because a program with a valid login does not need it

        return IssuerClient(self._issuer_url, originator=self._originator, http=self._http)

    # --- public --------------------------------------------------------------------------------------------------

    def ready(self) -> Login | None:
        """Return the cached login if no refresh is due, else None. Takes no lock and does no I/O."""
        ready = self._ready_login
        return ready[0] if ready is not None and self._clock() < ready[1] else None

    def current(self) -> Login:
        """Return a login for a request, refreshed if necessary.

        If the refresh fails or takes longer than three seconds, return the old login while it is valid. After that,
        wait for the refresh. Raises LoginRequiredError or TokenRefreshError if the refresh fails.
        """
        return self.ready() or self._single_flight.run(self._current_with_lock, fallback=self._valid_cached_login)

    def refresh(self, rejected: Login) -> Login:
        """Return another login, from the store or the issuer, after the backend rejected `rejected` with status 401.

        Raises LoginRequiredError if the user must log in again, and TokenRefreshError if a retry may succeed.
        """
        failure_before_wait = self._transient_failure
        return run_uninterrupted(lambda: self._refresh_rejected(rejected, failure_before_wait))

    def _current_with_lock(self) -> Login:
        failure_before_wait = self._transient_failure
        with self._lock:
            return self._current(failure_before_wait)

    def _valid_cached_login(self) -> Login | None:
        cached = self._cached
        return cached.login if cached is not None and self._is_valid(cached) else None

    def _refresh_rejected(self, rejected: Login, failure_before_wait: _TransientFailure | None) -> Login:
        with self._lock:
            cached = self._cached
            if cached is None or not self._supersedes(cached, rejected):
                cached = self._reload()
            if self._supersedes(cached, rejected):  # another thread or process has refreshed it
                return cached.login
            self._raise_if_refresh_failed(failure_before_wait)
            try:
                return self._refresh("unauthorized_recovery", rejected)
            except _auth_errors.LoginRequiredError:
                self._rejected_token = rejected.access_token
                raise

    # --- the methods below require self._lock ----------------------------------------------------------------------

    def _current(self, failure_before_wait: _TransientFailure | None) -> Login:
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
            self._raise_if_refresh_failed(failure_before_wait)
            return self._refresh(cached.next_refresh(self._lifetime)[1], cached.login)
        except Exception as error:
            if self._cached is None or not self._is_valid(cached):  # None: the login was removed or replaced
                raise
            self._start_backoff(cached)  # case 4
            log.warning("The login could not be refreshed; its old token is still used. %s", _describe(error))
            return cached.login

    def _reload(self) -> CachedLogin:
        """Load the login from the store and cache it. Raises LoginRequiredError if there is none, and in case 10."""
        try:
            cached = self._newest_login(load_login(self.store, self._fetch_login))
        except _auth_errors.LoginRequiredError:  # the store has other credentials
            self._set_cached(None)
            raise
        if cached is None:
            self._set_cached(None)
            raise _auth_errors.LoginRequiredError(f"There is no login in {self.store.location}. {_LOG_IN_REMEDY}")
        if self._account_id is not None and cached.login.account_id not in (None, self._account_id):
            self._set_cached(None)
            raise _auth_errors.LoginRequiredError(
                f"The login in {self.store.location} now belongs to another account. "
                "Call client.authenticate() to use that account."
            )
        self._set_cached(cached)
        return cached

    def _fetch_login(self, token: Secret) -> Login:
        """Return the login of a stored personal access token. Requests it from the issuer once for each token."""
        cached = self._cached
        if cached is not None and cached.login.access_token == token:
            return cached.login
        return self._issuer.fetch_login(token, location=self.store.location, remedy=_auth_errors.LOG_IN_AGAIN_REMEDY)

    def _newest_login(self, stored: CachedLogin | None) -> CachedLogin | None:
        """Return the cached login if it is unsaved (case 7) and the store has no newer one, else `stored`."""
        cached = self._cached
        if cached is None or cached.unsaved is None:
            return stored
        return stored if stored is not None and stored.is_newer_than(cached) else cached

    # --- the cache -----------------------------------------------------------------------------------------------

    def _set_cached(self, cached: CachedLogin | None, *, may_change_account: bool = False) -> None:
        """Replace the cached login. Keep the account if `cached` is None, so that a later login must match it."""
        previous, self._cached = self._cached, cached
        if cached is None or previous is None or cached.login != previous.login:
            self._backoff_ends_at = EPOCH
        if cached is not None:
            if previous is not None and cached.login.access_token != previous.login.access_token:
                self._lifetime = cached.lifetime
            self._account_id = cached.login.account_id or (None if may_change_account else self._account_id)
        self._update_ready()

    def _update_ready(self) -> None:
        """Set the login that `ready()` returns, and until when. Call this after every change of state."""
        cached = self._cached
        if cached is None:
            self._ready_login = None
            return
        due_at = self._due_at(cached)
        self._ready_login = (
            cached.login,
            due_at if cached.unsaved is None else min(due_at, cached.unsaved.retry_save_at),
        )

    def _due_at(self, cached: CachedLogin) -> datetime:
        return max(cached.next_refresh(self._lifetime)[0], self._backoff_ends_at)

    def _is_due(self, cached: CachedLogin) -> bool:
        return self._clock() >= self._due_at(cached)

    def _is_valid(self, cached: CachedLogin) -> bool:
        return not _jwt.has_expired(cached.login, now=self._clock())

    def _supersedes(self, cached: CachedLogin, rejected: Login) -> bool:
        """Return whether the cached login replaces `rejected`: it has another token, which is not due for a refresh."""
        return cached.login.access_token != rejected.access_token and not self._is_due(cached)

    def _start_backoff(self, cached: CachedLogin) -> None:
        """Postpone the next refresh by ten seconds, or until the token expires if that is earlier."""
        now = self._clock()
        expires_at = cached.login.expires_at
        ends_at = now + _BACKOFF
        self._backoff_ends_at = ends_at if expires_at is None or expires_at <= now else min(ends_at, expires_at)
        self._update_ready()

    # --- refresh -------------------------------------------------------------------------------------------------

    def _refresh(self, reason: RefreshReason, rejected: Login) -> Login:
        """Return a login with another access token than `rejected`."""
        # The store is read after `prepare_save()`, which may wait for another machine and may change the version. The
        # version is read before the document: a change between the two causes an unnecessary attempt later, but no
        # missed attempt.
        with self.store.lock(), prepare_save(self.store):
            version = self.store.version()
            cached = self._reload()
            if self._supersedes(cached, rejected):  # case 2
                return cached.login
            if self._permanent_failure is not None and self._permanent_failure.store_version == version:
                raise self._not_refreshable_error(self._permanent_failure.message)
            if cached.tokens.refresh_token is None:
                raise self._not_refreshable_error(
                    "Its access token has expired or was rejected, and it has no refresh token."
                )
            response = self._issuer.refresh(cached.tokens.refresh_token, reason=reason)
            if isinstance(response, TokenResponse):
                return self._store_refreshed(cached, response, version)
            return self._handle_failure(cached, response, version)

    def _store_refreshed(self, old: CachedLogin, response: TokenResponse, version: object) -> Login:
        # The ID token contains the account of the login, the access token the account that is billed. In a workspace
        # these may differ, so each is compared with the previous token of the same type.
        accounts = (
            (_jwt.parse_account_id(response.id_token, response.access_token), old.login.account_id),
            (
                _jwt.parse_account_id(None, response.access_token),
                _jwt.parse_account_id(None, old.tokens.access_token),
            ),
        )
        if any(None not in pair and pair[0] != pair[1] for pair in accounts):
            raise self._record_permanent_failure(version, "The issuer returned the login of another account.")
        refreshed = CachedLogin.from_document(merge_refreshed_tokens(old.document, response, now=self._clock()))
        replaces = old.tokens if old.unsaved is None else old.unsaved.replaces
        try:
            saved = save_refreshed_login(self.store, refreshed, replaces=replaces)
        except BaseException as error:
            # Case 7, also for Ctrl-C: the old refresh token is used up, so only these tokens are valid.
            unsaved = UnsavedRefresh(replaces, self._clock() + _SAVE_RETRY_INTERVAL)
            self._set_cached(replace(refreshed, unsaved=unsaved))
            if not isinstance(error, Exception):
                raise
            self._warn_unsaved(error)
        else:
            refreshed = self._accept_saved(saved, refreshed)
        if self._is_due(refreshed):  # case 8
            self._start_backoff(refreshed)
        return refreshed.login

    def _accept_saved(self, saved: CachedLogin | None, refreshed: CachedLogin) -> CachedLogin:
        """Cache and return the saved login. If it is None, the store has changed: return the login in it (case 12)."""
        if saved is not None:
            self._set_cached(saved)
            return saved
        self._set_cached(None)
        if load_login(self.store, self._fetch_login) is None:
            self._issuer.revoke(
                refresh_token=refreshed.tokens.refresh_token, access_token=refreshed.tokens.access_token
            )
        stored = self._reload()
        if self._is_due(stored):
            raise _auth_errors.TokenRefreshError(
                f"The login in {self.store.location} was replaced while it was refreshed. Retry to refresh the new one."
            )
        return stored

    def _warn_unsaved(self, error: Exception) -> None:
        log.warning(
            "The refreshed login could not be stored: %s This process uses it from memory and retries every minute. "
            "The login is lost if the process ends before it is stored. Make %s writable.",
            _describe(error),
            self.store.location,
        )

    def _retry_save(self, cached: CachedLogin, unsaved: UnsavedRefresh) -> CachedLogin:
        """Retry saving an unsaved login. Return the login to use, which is another one if the store has changed."""
        postponed = replace(cached, unsaved=unsaved._replace(retry_save_at=self._clock() + _SAVE_RETRY_INTERVAL))
        self._set_cached(postponed)
        try:
            with self.store.lock(), prepare_save(self.store):
                saved = save_refreshed_login(self.store, cached, replaces=unsaved.replaces)
        except Exception as error:  # a store of the caller's own may raise anything
            log.debug("The refreshed login could not be stored: %s", type(error).__name__)
            return postponed
        if saved is not None:
            log.info("The refreshed login was stored in %s.", self.store.location)
        return self._accept_saved(saved, cached)

    def _handle_failure(self, cached: CachedLogin, failure: RefreshFailure, version: object) -> Login:
        if not failure.is_permanent:
            message = f"{failure.message} The stored login is kept."
            self._transient_failure = _TransientFailure(message)
            raise _auth_errors.TokenRefreshError(message)
        for pause in _RELOAD_PAUSES_SECONDS:  # case 6
            time.sleep(pause)
            reloaded = self._reload()
            if self._supersedes(reloaded, cached.login):
                return reloaded.login
        raise self._record_permanent_failure(version, failure.message)

    def _raise_if_refresh_failed(self, failure_before_wait: _TransientFailure | None) -> None:
        """Raise the error of a refresh that failed while this thread was waiting for it (case 5)."""
        failure = self._transient_failure
        if failure is not None and failure is not failure_before_wait:
            raise _auth_errors.TokenRefreshError(failure.message)

    def _record_permanent_failure(self, version: object, message: str) -> LoginRequiredError:
        self._permanent_failure = _PermanentFailure(version, message)
        return self._not_refreshable_error(message)

    def _not_refreshable_error(self, reason: str) -> LoginRequiredError:
        return _auth_errors.LoginRequiredError(
            f"The login in {self.store.location} cannot be refreshed. {reason} {_auth_errors.LOG_IN_AGAIN_REMEDY}"
        )
