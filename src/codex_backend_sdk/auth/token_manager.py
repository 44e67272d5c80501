"""One login for all who use it: loaded once, renewed once, for every thread and process.

The rules, in the order in which they are applied:
- who holds the thread lock looks at the memory first, then at the store, then asks the issuer;
- the issuer is asked under the store's lock, after the store was read again under it;
- what the issuer answers is stored before it is used, and used even if it cannot be stored;
- a running source never changes its account: that takes `authenticate()`.
Codex CLI: login/src/auth/manager.rs.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, Protocol, runtime_checkable

from .._constants import DEFAULT_ORIGINATOR
from .._threads import new_lock
from . import _auth_json, _jwt
from ._failures import REMEDY, is_login_required, is_store_failure, login_required, refresh_failed
from ._held import LONG_AGO, Held, hold, keep, read
from ._personal import whose
from ._single_flight import Turn
from ._to_its_end import to_its_end
from ._which_issuer import issuer_url
from .stores.auto import default_store
from .stores.file import default_home

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from .._exceptions import LoginRequiredError
    from ..types import Login, Secret
    from ._issuer import Issuer
    from ._jwt import RefreshReason
    from ._oauth import RefreshFailure, TokenAnswer
    from .stores.file import CredentialStore

__all__ = ["CredentialSource", "TokenManager", "utc_now"]

log = logging.getLogger("codex_backend_sdk.auth")

_SIGN_IN: Final = "Sign in with client.authenticate() or `codex-backend login`."
# While the old token lives, a failing issuer is not asked again by every request.
_PAUSE: Final = timedelta(seconds=10)
# A store that could not be written is tried again after this time: the disk may have room again.
_PAUSE_OF_STORE: Final = timedelta(minutes=1)
# When the store is read again after the issuer has refused the refresh token; seconds between the looks.
_LOOKS_AFTER_REFUSAL: Final = (0.0, 0.1, 0.2)


@runtime_checkable
class CredentialSource(Protocol):
    """What signs requests. Supply your own to get the login from elsewhere. All methods are thread-safe."""

    def ready(self) -> Login | None:
        """Return the login that can be used at once, None when `current()` has to be asked. Never waits."""
        ...

    def current(self) -> Login:
        """Return a usable login, loaded or renewed when needed; may wait. LoginRequiredError when there is none."""
        ...

    def renew(self, rejected: Login) -> Login:
        """Return another login after the backend answered 401 to `rejected`; may wait.

        LoginRequiredError when only a new sign-in helps, TokenRefreshError when a later try may succeed.
        """
        ...


class _Dead(NamedTuple):
    """A permanent refusal, and the version of the store it was about; another version deserves a new try."""

    version: object
    message: str


def utc_now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


class TokenManager:
    """The login in a store, renewed in time. `Credentials` adds the ways to get one and to get rid of it."""

    def __init__(
        self,
        store: CredentialStore | None = None,
        *,
        issuer: str | None = None,
        originator: str = DEFAULT_ORIGINATOR,
        clock: Callable[[], datetime] = utc_now,
        http: httpx2.Client | None = None,
    ) -> None:
        self._given_store = store
        self._home = default_home()
        self._issuer_url = issuer_url(issuer)
        self._originator = originator
        self._http = http
        self._clock = clock
        self._turn: Turn[Login] = Turn()
        self._signing_in = new_lock()  # a person is asked once, however many threads want a login
        self._lock = new_lock()  # guards everything below
        self._held: Held | None = None
        self._account_id: str | None = None  # whose requests these are; it outlives the login
        self._dead: _Dead | None = None
        self._given_up: Secret | None = None  # the token that the backend refuses and the issuer does not renew
        self._ready: tuple[Login, datetime] | None = None  # what requests are signed with, and until when
        self._life: timedelta | None = None  # of an access token, once a renewal was seen
        self._rests_until = LONG_AGO
        self._failures = 0  # transient ones, ever; with the words of the last
        self._failure = ""
        self._saves_again_at = LONG_AGO
        self._sign_ins = 0
        self._denials = 0  # by the person who was to sign in, with the words of the last
        self._denial = ""
        self._unsaved_since: object = None  # the version of the store that could not be replaced

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._given_store!r}, issuer={self._issuer_url!r})"

    @cached_property
    def store(self) -> CredentialStore:
        """Where the login is kept. The default is looked up at the first use, which reads the CLI's config.toml."""
        return default_store(self._home) if self._given_store is None else self._given_store

    @cached_property
    def _issuer(self) -> Issuer:
        from ._issuer import Issuer  # most programs find a login that is good

        return Issuer(self._issuer_url, originator=self._originator, http=self._http)

    # --- the login for a request -----------------------------------------------------------------------------

    def ready(self) -> Login | None:
        """Return the login in memory if nothing is to be done about it; no lock, no I/O."""
        ready = self._ready
        return ready[0] if ready is not None and self._clock() < ready[1] else None

    def current(self) -> Login:
        """Return a login that is good for a request, renewing one that expires within 5 minutes.

        When renewing fails, or takes more than 3 seconds, the old token serves as long as it lives; after that it is
        waited for, and LoginRequiredError or TokenRefreshError are raised.
        """
        ready = self.ready()
        return self._turn.outcome(self._current_in_turn, instead=self._living) if ready is None else ready

    def renew(self, rejected: Login) -> Login:
        """Return another login than `rejected`, which the backend answered with 401: from the store, else new."""
        failures_before = self._failures
        return to_its_end(lambda: self._renew_in_turn(rejected, failures_before))

    def _current_in_turn(self) -> Login:
        failures_before = self._failures
        with self._lock:
            return self._current(failures_before)

    def _living(self) -> Login | None:
        held = self._held
        return None if held is None or _jwt.has_expired(held.login, now=self._clock()) else held.login

    def _renew_in_turn(self, rejected: Login, failures_before: int) -> Login:
        with self._lock:
            held = self._held
            if held is None or not self._replaces(held, rejected):
                held = self._reload()
            if self._replaces(held, rejected):
                return held.login  # another thread or process was here first
            self._share_failure(failures_before)
            try:
                return self._refresh("unauthorized_recovery", rejected)
            except RuntimeError as error:
                if is_login_required(error):
                    self._given_up = rejected.access_token
                raise

    # --- everything below runs under self._lock --------------------------------------------------------------

    def _current(self, failures_before: int) -> Login:
        held = self._held
        if held is not None and not held.is_saved:
            held = self._save_again(held)
        if held is None or not self._is_good(held):
            held = self._look_again(held)
        if self._is_good(held):
            return held.login
        try:
            self._share_failure(failures_before)
            return self._refresh(held.renewal(self._life)[1], held.login)
        except (RuntimeError, ConnectionError) as error:  # LoginRequiredError, CredentialStoreError, TokenRefreshError
            if _jwt.has_expired(held.login, now=self._clock()):
                raise
            self._rest(held)
            log.warning("The login could not be renewed, its old token is still used: %s", error)
            return held.login

    def _look_again(self, held: Held | None) -> Held:
        """Read the store again. One that cannot be read just now does not end the life of a token."""
        try:
            return self._reload()
        except RuntimeError as error:
            if not is_store_failure(error) or held is None or _jwt.has_expired(held.login, now=self._clock()):
                raise
            self._rest(held)
            log.warning("The stored login could not be read, its old token is still used: %s", error)
            return held

    def _reload(self) -> Held:
        """Read the store again. The account has to be the same as before."""
        held = self._newest(read(self.store, self._whose))
        if held is None:
            self._adopt(None)
            raise login_required(f"There is no login in {self.store.location}.", remedy=_SIGN_IN)
        if self._account_id is not None and held.login.account_id not in (None, self._account_id):
            raise login_required(
                f"The login in {self.store.location} now belongs to another account.",
                remedy="client.authenticate() changes over to it.",
            )
        self._adopt(held)
        return held

    def _whose(self, token: Secret) -> Login:
        """Find the login of a stored personal access token; the issuer is asked once."""
        held = self._held
        if held is not None and held.login.access_token == token:
            return held.login
        return whose(self._issuer, token, place=self.store.location, remedy=REMEDY)

    def _newest(self, held: Held | None) -> Held | None:
        """Return the login that the store refused, if there is one and the store has no later one."""
        before = self._held
        if before is None or before.is_saved:
            return held
        return held if held is not None and held.is_later_than(before) else before

    def _adopt(self, held: Held | None) -> None:
        before, self._held = self._held, held
        if held is None or before is None or held.login != before.login:
            self._rests_until = LONG_AGO
        if held is not None and before is not None and held.login.access_token != before.login.access_token:
            self._life = held.life
        if held is not None:
            self._account_id = held.login.account_id or self._account_id
        self._settle()

    def _change_over(self, held: Held | None) -> None:
        """Adopt a login whosever it is; where there is none, the account stays the one that it was."""
        if held is not None:
            self._account_id = None
        self._adopt(held)

    def _settle(self) -> None:
        """Say with what requests are signed, and how long that is nobody's business; after every change."""
        held = self._held
        if held is None:
            self._ready = None
            return
        until = self._good_until(held)
        self._ready = held.login, until if held.is_saved else min(until, self._saves_again_at)

    def _good_until(self, held: Held) -> datetime:
        return max(held.renewal(self._life)[0], self._rests_until)

    def _is_good(self, held: Held) -> bool:
        return self._clock() < self._good_until(held)

    def _replaces(self, held: Held, rejected: Login) -> bool:
        """Tell whether this login can be used where `rejected` could not."""
        return held.login.access_token != rejected.access_token and self._is_good(held)

    def _share_failure(self, failures_before: int) -> None:
        """Raise the failure that this thread has waited for, instead of failing once more by itself."""
        if self._failures != failures_before:
            raise refresh_failed(self._failure)

    def _rest(self, held: Held) -> None:
        """Leave the issuer alone for a moment, but not longer than the token lives."""
        now = self._clock()
        until = now + _PAUSE
        expires_at = held.login.expires_at
        self._rests_until = min(until, expires_at) if expires_at is not None and expires_at > now else until
        self._settle()

    def _refresh(self, reason: RefreshReason, rejected: Login) -> Login:
        """Get another access token than the one of `rejected`, under the lock of the store."""
        from ._oauth import TokenAnswer

        with self.store.lock():
            version = self.store.version()  # before reading: a change in between makes a new try, not a missed one
            held = self._reload()
            if self._replaces(held, rejected):
                return held.login  # another process was here first
            if self._dead is not None and self._dead.version == version:
                raise self._cannot_renew(self._dead.message)
            if held.tokens.refresh_token is None:
                raise self._cannot_renew("Its access token has expired or was refused, and it has no refresh token.")
            answer = self._issuer.refresh(held.tokens.refresh_token, reason=reason)
            if isinstance(answer, TokenAnswer):
                return self._store_renewed(held, answer, version)
            return self._recover(held, answer, version)

    def _store_renewed(self, held: Held, answer: TokenAnswer, version: object) -> Login:
        # The id token says whose login it is, the access token whose plan is used: each is compared with its like.
        of_login = _jwt.account_of(answer.id_token, answer.access_token), held.login.account_id
        of_access = (_jwt.account_of(None, each) for each in (answer.access_token, held.tokens.access_token))
        if any(None not in (new, old) and new != old for new, old in (of_login, of_access)):
            self._bury(version, "The issuer answered the refresh with the login of another account.")
        renewed = hold(_auth_json.renewed(held.document, answer, now=self._clock()))
        try:
            keep(self.store, renewed)
        except BaseException as error:
            # The old refresh token is used up: these tokens are all there is, even if nobody can store them.
            self._unsaved_since = version
            self._saves_again_at = self._clock() + _PAUSE_OF_STORE
            self._adopt(replace(renewed, is_saved=False))
            if not isinstance(error, Exception):
                raise
            self._warn_not_stored(error)
        else:
            self._adopt(renewed)
        if not self._is_good(renewed):  # no new access token, a very short life, or a wrong clock
            self._rest(renewed)
        return renewed.login

    def _warn_not_stored(self, error: Exception) -> None:
        log.warning(
            "The renewed login could not be stored: %s It stays in use in this process, which tries again every "
            "minute; until then it is lost when the process ends. Make %s writable.",
            error if isinstance(error, RuntimeError) else f"{type(error).__name__}.",
            self.store.location,
        )

    def _save_again(self, held: Held) -> Held:
        """Store the login that could not be stored, if nobody has changed what is stored since."""
        self._saves_again_at = self._clock() + _PAUSE_OF_STORE
        self._settle()
        try:
            with self.store.lock():
                if self.store.version() != self._unsaved_since:
                    return held  # a later login, or none after a logout: the next renewal reads it
                keep(self.store, held)
        except Exception as error:  # a store of the caller's own may raise anything
            log.debug("The renewed login could still not be stored: %s", type(error).__name__)
            return held
        log.info("The renewed login is stored now, in %s.", self.store.location)
        saved = replace(held, is_saved=True)
        self._adopt(saved)
        return saved

    def _recover(self, held: Held, failure: RefreshFailure, version: object) -> Login:
        if not failure.is_permanent:
            self._failures += 1
            self._failure = failure.message
            raise refresh_failed(failure.message)
        # A peer that does not take our lock may have used the refresh token a moment ago, and stores what it got.
        for pause in _LOOKS_AFTER_REFUSAL:
            time.sleep(pause)
            again = self._reload()
            if self._replaces(again, held.login):
                return again.login
        return self._bury(version, failure.message)

    def _bury(self, version: object, message: str) -> NoReturn:
        self._dead = _Dead(version, message)
        raise self._cannot_renew(message)

    def _cannot_renew(self, why: str) -> LoginRequiredError:
        return login_required(f"The login in {self.store.location} cannot be renewed. {why}")
