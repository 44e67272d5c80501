"""A login in memory, and its way from a store and back.

No other module of the package calls `load()` and `save()` of a store during a refresh or a login. A store handles the
whole document, tokens included, as plain text in its local variables, and so do the packages that it calls. Tools such
as Sentry send the local variables of every frame of an uncaught exception. So each function here that reaches a store
clears the frames of an exception that leaves it: the traceback keeps its lines and loses the variables. Outside this
module tokens are `Secret` objects, which do not show themselves.
"""

from __future__ import annotations

import functools
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, ParamSpec, TypeVar

from ..types import Account
from . import _auth_errors, _auth_json, _jwt
from .stores.base import SupportsReplace

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..types import Account, Login, Secret
    from ._auth_json import TokenResponse
    from ._jwt import RefreshReason
    from .stores.base import CredentialStore

__all__ = [
    "EPOCH",
    "CachedLogin",
    "UnsavedRefresh",
    "account_for_login",
    "load_document",
    "load_login",
    "load_tokens",
    "save_login",
    "save_new_login",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)

_LOG_IN_WITH_CHATGPT: Final = (
    "This client needs a ChatGPT login. Log in with client.authenticate(force=True) or `codex-backend login`; "
    "the other credentials stay in the store."
)


class UnsavedRefresh(NamedTuple):
    """Refreshed tokens that the store did not take: they exist in this process only.

    `store_version` is the version of the store before the refresh, `retry_at` the time of the next attempt to save.
    """

    store_version: object
    retry_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedLogin:
    """A document of a store, with the login and the tokens in it. `unsaved` is None for a login that the store has."""

    document: dict[str, Any]
    login: Login
    tokens: _auth_json.StoredTokens
    unsaved: UnsavedRefresh | None = None

    @classmethod
    def from_document(cls, document: dict[str, Any], *, unsaved: UnsavedRefresh | None = None) -> CachedLogin:
        """Build a cached login; ValueError if the document has no access token."""
        tokens, login = _auth_json.parse_tokens(document), _jwt.parse_login(document)
        if tokens is None or login is None:
            raise ValueError("it has no access token")
        return cls(document=document, login=login, tokens=tokens, unsaved=unsaved)

    @property
    def lifetime(self) -> timedelta | None:
        """How long the access token is valid, counted from the last refresh; None if that is unknown."""
        issued_at, expires_at = self.tokens.last_refresh, self.login.expires_at
        return None if issued_at is None or expires_at is None else max(expires_at - issued_at, timedelta(0))

    def next_refresh(self, lifetime: timedelta | None) -> tuple[datetime, RefreshReason]:
        """Return when a refresh is due, and its reason. Never, for a token without expiry that cannot be refreshed."""
        if self.tokens.refresh_token is None and self.login.expires_at is None:
            return _NEVER, "scheduled"
        return _jwt.compute_refresh_time(
            expires_at=self.login.expires_at, last_refresh=self.tokens.last_refresh, lifetime=lifetime
        )

    def is_newer_than(self, other: CachedLogin) -> bool:
        """Return whether this login was refreshed later than `other`."""
        return (self.tokens.last_refresh or EPOCH) > (other.tokens.last_refresh or EPOCH)

    def __repr__(self) -> str:  # the document would show its tokens
        return f"CachedLogin({self.login!r})"


def account_for_login(login: Login, *, stored_in: str | None) -> Account:
    """Return what a user may see of a login: everything but the token."""
    from ..types import Account  # a program that only makes calls does without

    return Account(
        email=login.email,
        plan=login.plan,
        account_id=login.account_id,
        user_id=login.user_id,
        expires_at=login.expires_at,
        stored_in=stored_in,
    )


# --- access to a store -------------------------------------------------------------------------------------------


def _clears_frames(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Decorate a function: exceptions that leave it, and their causes, have no local variables in their frames.

    The arguments of the function itself stay visible, in the frame of the wrapper, and so do the frames of an
    exception that was being handled before.
    """

    @functools.wraps(function)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        handled_before = sys.exception()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            link: BaseException | None = error
            cleared = {id(handled_before)}
            while link is not None and id(link) not in cleared:  # an exception may be its own cause
                cleared.add(id(link))
                traceback.clear_frames(link.__traceback__)
                link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
            raise

    return wrapper


@_clears_frames
def load_document(store: CredentialStore) -> dict[str, Any] | None:
    """Return the document of a store, None if it is empty. Do not keep it in a variable while something can raise."""
    return store.load()


@_clears_frames
def load_login(store: CredentialStore, fetch_login: Callable[[Secret], Login]) -> CachedLogin | None:
    """Read the login of a store, None if there is none. `fetch_login` finds the login of a personal access token.

    Raises LoginRequiredError if the store holds another kind of credentials, CredentialStoreError if it is damaged.
    """
    document = store.load()
    if document is None:
        return None
    other = _auth_json.describe_other_credentials(document)
    if other is not None:
        raise _auth_errors.LoginRequiredError(f"{store.location} holds {other}. {_LOG_IN_WITH_CHATGPT}")
    tokens = _tokens_in(document, store.location)
    if tokens is None:
        return None
    if _auth_json.parse_mode(document) == _auth_json.PERSONAL_MODE:
        return CachedLogin(document=document, login=fetch_login(tokens.access_token), tokens=tokens)
    return CachedLogin.from_document(document)


@_clears_frames
def load_tokens(store: CredentialStore) -> _auth_json.StoredTokens | None:
    """Read the tokens of a store, None if there are none; a personal access token counts. Raises as `load_login`."""
    document = store.load()
    return _tokens_in(document, store.location) if document else None


@_clears_frames
def save_login(store: CredentialStore, cached: CachedLogin) -> None:
    """Replace the document of a store."""
    store.save(cached.document)


@_clears_frames
def save_new_login(
    store: CredentialStore, response: TokenResponse, *, account_id: str | None, now: datetime, force: bool
) -> CachedLogin:
    """Store the tokens of a finished login, and return it.

    Unknown members of the stored document stay. A damaged document raises CredentialStoreError; with `force` it is
    replaced.
    """
    before, is_damaged = None, False
    try:
        before = store.load()
    except Exception:  # a store of the caller may raise its own
        if not force:
            raise
        is_damaged = True
    document = _auth_json.replace_login(before, response, account_id=account_id, now=now)
    cached = CachedLogin.from_document(document)
    if is_damaged and isinstance(store, SupportsReplace):
        store.replace(document)
    else:
        store.save(document)
    return cached


def _tokens_in(document: dict[str, Any], location: str) -> _auth_json.StoredTokens | None:
    try:
        personal = _auth_json.parse_personal_token(document)
        return _auth_json.parse_tokens(document) if personal is None else _auth_json.StoredTokens(access_token=personal)
    except ValueError as error:  # FileStore has checked this already; a store of the caller's own need not
        raise _auth_errors.CredentialStoreError(f"{location} holds no usable login: {error}.") from None
