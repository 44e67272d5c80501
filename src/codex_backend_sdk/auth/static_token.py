"""Use a single access token, from the environment or from the caller, as a login that is never refreshed.

A personal access token (`at-…`) has no claims, so its account is requested from the issuer once. Any other token is a
JWT with the account in its claims. Wire source: Codex CLI, login/src/auth/access_token.rs,
login/src/auth/personal_access_token.rs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from .._constants import ACCESS_TOKEN_ENV, DEFAULT_ORIGINATOR
from .._threads import SingleFlight, create_lock
from .._timefmt import format_local_time
from .._urls import resolve_issuer_url
from ..types import Secret
from . import _auth_errors, _jwt
from ._auth_json import is_header_safe, is_personal_access_token
from ._cached_login import account_for_login
from ._issuer import IssuerClient
from .stores.base import NotCopyable
from .token_manager import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import httpx2

    from .._exceptions import LoginRequiredError
    from ..types import Account, Login

__all__ = ["StaticToken", "access_token_problem"]

_ARGUMENT: Final = "credentials=StaticToken(…)"
_AGENT_IDENTITY_ISSUER: Final = "https://chatgpt.com/codex-backend/agent-identity"


class StaticToken(NotCopyable):
    """A login that consists of one access token. It cannot be refreshed.

    `token` is a personal access token (`at-…`) or a JWT with the account in its claims. `name` is the source of the
    token in messages. `issuer`, `clock` and `http` are the same as for `Credentials`. Raises ValueError if `token` is
    not an access token.
    """

    def __init__(
        self,
        token: str | Secret,
        *,
        issuer: str | None = None,
        originator: str = DEFAULT_ORIGINATOR,
        clock: Callable[[], datetime] = utc_now,
        http: httpx2.Client | None = None,
        name: str = _ARGUMENT,
    ) -> None:
        # These lines come first, because crash reporters show the local variables of this frame and `repr(self)`.
        token = token if isinstance(token, Secret) else Secret(token.strip())
        self._token: Secret | None = token
        problem = access_token_problem(token)
        if problem is not None:
            raise ValueError(f"{name} is not an access token: {problem}. Create a token in the settings of ChatGPT.")
        self._issuer = IssuerClient(resolve_issuer_url(issuer), originator=originator, http=http)
        self._clock = clock
        self._name = name
        self._single_flight: SingleFlight[Login] = SingleFlight()
        self._lock = create_lock()  # guards `_token` and `_login`
        self._login: Login | None = None

    @classmethod
    def from_environment(cls, *, issuer: str | None = None, originator: str = DEFAULT_ORIGINATOR) -> StaticToken | None:
        """Return the token in `$CODEX_ACCESS_TOKEN`, None if the variable is not set or blank."""
        token = Secret(os.environ.get(ACCESS_TOKEN_ENV, "").strip())
        return cls(token, issuer=issuer, originator=originator, name=ACCESS_TOKEN_ENV) if token.reveal() else None

    def __repr__(self) -> str:
        return f"StaticToken({self._token!r})"

    @property
    def name(self) -> str:
        """The source of the token: the variable, or the argument."""
        return self._name

    def ready(self) -> Login | None:
        """Return the login if its account is known and the token has not expired, else None. Does no I/O."""
        login = self._login
        return login if login is not None and not _jwt.has_expired(login, now=self._clock()) else None

    def current(self) -> Login:
        """Return the login. The first call for a personal access token sends a request to the issuer.

        Raises LoginRequiredError if the token has expired or the issuer rejects it, and TokenRefreshError if the issuer
        cannot be reached.
        """
        login = self._login or self._single_flight.run(self._fetch_login)
        if login.expires_at is not None and _jwt.has_expired(login, now=self._clock()):
            raise self._unusable_error(f"expired at {format_local_time(login.expires_at)}")
        return login

    def refresh(self, rejected: Login) -> Login:
        """Raise LoginRequiredError, because the backend rejected the token and it cannot be refreshed."""
        raise self._unusable_error("was rejected by the backend (status 401)")

    def account(self) -> Account:
        """Return the account of the token."""
        return account_for_login(self.current(), stored_in=self._name)

    def logout(self) -> bool:
        """Remove the token from this object, but not from the variable. Return False if it was removed before."""
        with self._lock:
            had_token = self._token is not None
            self._token = self._login = None
            return had_token

    def revoke(self) -> bool:
        """Revoke the token at the issuer, then log out. Return False if the token was removed before.

        Raises LoginFailedError if it is a personal access token, which the issuer does not revoke.
        """
        token = self._token
        if token is not None and is_personal_access_token(token):
            raise _auth_errors.LoginFailedError(
                "The issuer does not revoke personal access tokens. Revoke it in the settings of ChatGPT.",
                code="not_revocable",
            )
        if token is not None:
            self._issuer.revoke(refresh_token=None, access_token=token)
        return self.logout()

    def _fetch_login(self) -> Login:
        token = self._token
        if token is None:
            raise _auth_errors.LoginRequiredError(f"{self._name} was logged out. Create a new client to log in.")
        if is_personal_access_token(token):
            login = self._issuer.fetch_login(token, location=self._name, remedy=self._remedy)
        else:
            login = _jwt.build_login(access_token=token)
        with self._lock:
            self._login = login if self._token is token else None  # another thread may have logged out
        return login

    def _unusable_error(self, reason: str) -> LoginRequiredError:
        return _auth_errors.LoginRequiredError(
            f"The access token in {self._name} {reason} and cannot be refreshed. {self._remedy}"
        )

    @property
    def _remedy(self) -> str:
        if self._name == ACCESS_TOKEN_ENV:
            return f"Set {ACCESS_TOKEN_ENV} to a new token, or unset it and log in with `codex-backend login`."
        return "Create a new token and pass it."


def access_token_problem(token: Secret) -> str | None:
    """Return the reason why `token` is not an access token, without any part of it. Return None if it may be one."""
    revealed = token.reveal()
    if not revealed:
        return "it is empty"
    if not is_header_safe(revealed):
        return "it has characters that are not allowed in a token"
    if is_personal_access_token(token):
        return None
    if revealed.startswith("sk-"):
        return "it is an API key of the OpenAI platform"
    claims = _jwt.parse_claims(token)
    if not claims:
        return "it is neither a personal access token (at-…) nor a JWT"
    if claims.get("iss") == _AGENT_IDENTITY_ISSUER:
        return "it is an agent identity, which this package does not support"
    return None
