"""A login that is one access token, given by the environment or by the caller: used as it is, never renewed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from .._constants import ACCESS_TOKEN_ENV, DEFAULT_ORIGINATOR
from .._threads import new_lock
from .._timefmt import format_local_time
from ..types import Secret
from . import _access_token_kind, _jwt
from ._account import account_from
from ._failures import login_failed, login_required
from ._issuer import Issuer
from ._personal import whose
from ._single_flight import Turn
from ._which_issuer import issuer_url
from .token_manager import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import httpx2

    from .._exceptions import LoginRequiredError
    from ..types import Account, Login

__all__ = ["StaticToken"]

_GIVEN: Final = "credentials=StaticToken(…)"


class StaticToken:
    """A login that consists of one access token; it cannot be renewed.

    `token` is a personal access token (`at-…`, the issuer is asked once whose it is) or a JWT with the account in its
    claims. ValueError when it is neither. `issuer`, `clock` and `http` are those of `Credentials`.
    """

    def __init__(
        self,
        token: str | Secret,
        *,
        issuer: str | None = None,
        originator: str = DEFAULT_ORIGINATOR,
        clock: Callable[[], datetime] = utc_now,
        http: httpx2.Client | None = None,
        name: str = _GIVEN,
    ) -> None:
        secret = token if isinstance(token, Secret) else Secret(token.strip())
        del token  # a traceback of what follows would show it
        self._token: Secret | None = secret
        mistake = _access_token_kind.mistaken(secret)
        if mistake is not None:
            raise ValueError(f"{name} is no access token: {mistake}.")
        self._issuer = Issuer(issuer_url(issuer), originator=originator, http=http)
        self._clock = clock
        self._name = name
        self._turn: Turn[Login] = Turn()
        self._lock = new_lock()
        self._login: Login | None = None

    @classmethod
    def from_environment(cls, *, issuer: str | None = None, originator: str = DEFAULT_ORIGINATOR) -> StaticToken | None:
        """Return the token in `$CODEX_ACCESS_TOKEN`, None when there is none."""
        given = Secret(os.environ.get(ACCESS_TOKEN_ENV, "").strip())
        return cls(given, issuer=issuer, originator=originator, name=ACCESS_TOKEN_ENV) if given.reveal() else None

    def __repr__(self) -> str:
        return f"StaticToken({self._token!r})"

    @property
    def name(self) -> str:
        """Where the token was given: the variable, or the argument."""
        return self._name

    def ready(self) -> Login | None:
        """Return the login if it is known whose it is and the token has not run out; no I/O."""
        login = self._login
        return login if login is not None and not _jwt.has_expired(login, now=self._clock()) else None

    def current(self) -> Login:
        """Return the login. LoginRequiredError when the token has run out or is refused, TokenRefreshError when it cannot
        be found out just now whose it is.
        """
        login = self._login or self._turn.outcome(self._find_out)
        if login.expires_at is not None and _jwt.has_expired(login, now=self._clock()):
            raise self._no_good(f"expired at {format_local_time(login.expires_at)}")
        return login

    def renew(self, rejected: Login) -> Login:
        """Raise LoginRequiredError: the backend answered 401, and there is no way to renew this token."""
        raise self._no_good("was refused by the backend (401)")

    def account(self) -> Account:
        """Say whose token it is."""
        return account_from(self.current(), stored_in=self._name)

    def logout(self) -> bool:
        """Forget the token in this program; the variable keeps it. True if it was not forgotten before."""
        with self._lock:
            was_there = self._token is not None
            self._token = self._login = None
            return was_there

    def revoke(self) -> bool:
        """Make the token worthless at the issuer, then forget it. LoginFailedError for a personal access token."""
        token = self._token
        if token is not None and _access_token_kind.is_personal(token):
            raise login_failed(
                "A personal access token is revoked where it was made, in the settings of ChatGPT.",
                code="not_revocable",
            )
        if token is not None:
            self._issuer.revoke(refresh_token=None, access_token=token)
        return self.logout()

    def _find_out(self) -> Login:
        token = self._token
        if token is None:
            raise login_required(f"{self._name} was signed out.", remedy="Make a new client to sign in.")
        if _access_token_kind.is_personal(token):
            login = whose(self._issuer, token, place=self._name, remedy=self._remedy)
        else:
            login = _access_token_kind.login_of_jwt(token)
        with self._lock:
            self._login = login if self._token is token else None  # it may have been signed out meanwhile
        return login

    def _no_good(self, what: str) -> LoginRequiredError:
        return login_required(f"The access token in {self._name} {what} and cannot be renewed.", remedy=self._remedy)

    @property
    def _remedy(self) -> str:
        if self._name == ACCESS_TOKEN_ENV:
            return f"Put a new one there, or unset {ACCESS_TOKEN_ENV} and sign in with `codex-backend login`."
        return "Make a new one and pass that."
