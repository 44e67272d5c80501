"""Load a login from a credential store, cache it, and save it.

No other module of the package calls `load()` and `save()` of a store during a refresh or a login. A store has the whole
document, tokens included, as plain text in its local variables, and so do the packages that it calls. Tools such as
Sentry send the local variables of every frame of an uncaught exception. Therefore each function here that calls a store
clears the local variables in the traceback of any exception that it raises. Outside this module tokens are `Secret`
objects, whose `repr()` hides the token.
"""

from __future__ import annotations

import functools
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, ParamSpec, TypeVar

from ..types import Account
from . import _auth_errors, _auth_json, _jwt
from .stores.base import SupportsPrepareSave, SupportsReplace, clear_traceback_locals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..types import Login, Secret
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
    "prepare_save",
    "save_new_login",
    "save_refreshed_login",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)  # the refresh time of a login that has none
_NEVER: Final = datetime.max.replace(tzinfo=UTC)

_LOG_IN_WITH_CHATGPT: Final = (
    "This client needs a ChatGPT login. Log in with client.authenticate(force=True) or `codex-backend login`. "
    "The other credentials stay in the store and are no longer used."
)


class UnsavedRefresh(NamedTuple):
    """The save state of refreshed tokens that exist in this process only, because the store could not save them.

    `replaces` are the tokens in the store before the refresh. `retry_save_at` is the time of the next attempt to save.
    """

    replaces: _auth_json.StoredTokens
    retry_save_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedLogin:
    """A document of a store, with its login and its tokens. `unsaved` is None if the store has this document."""

    document: dict[str, Any]
    login: Login
    tokens: _auth_json.StoredTokens
    unsaved: UnsavedRefresh | None = None

    @classmethod
    def from_document(cls, document: dict[str, Any], *, unsaved: UnsavedRefresh | None = None) -> CachedLogin:
        """Build a cached login. Raises ValueError if the document has no access token."""
        tokens, login = _auth_json.parse_tokens(document), _jwt.parse_login(document)
        if tokens is None or login is None:
            raise ValueError("the document has no access token")
        return cls(document=document, login=login, tokens=tokens, unsaved=unsaved)

    @property
    def lifetime(self) -> timedelta | None:
        """The time from the last refresh to the expiry of the access token; None if either is unknown."""
        issued_at, expires_at = self.tokens.last_refresh, self.login.expires_at
        return None if issued_at is None or expires_at is None else max(expires_at - issued_at, timedelta(0))

    def next_refresh(self, usual_lifetime: timedelta | None) -> tuple[datetime, RefreshReason]:
        """Return the time at which a refresh is due, and its reason.

        `usual_lifetime` is the lifetime of the issuer's tokens, if known. For a token that has no expiry and cannot be
        refreshed, the time is `datetime.max`.
        """
        if self.tokens.refresh_token is None and self.login.expires_at is None:
            return _NEVER, "scheduled"
        return _jwt.compute_refresh_time(
            expires_at=self.login.expires_at, last_refresh=self.tokens.last_refresh, lifetime=usual_lifetime
        )

    def is_newer_than(self, other: CachedLogin) -> bool:
        """Return whether this login was refreshed later than `other`."""
        return (self.tokens.last_refresh or EPOCH) > (other.tokens.last_refresh or EPOCH)

    def __repr__(self) -> str:  # the document would show its tokens
        return f"CachedLogin({self.login!r})"


def account_for_login(login: Login, *, stored_in: str | None) -> Account:
    """Return the account of a login, which has no tokens, to show to the user."""
    return Account(
        email=login.email,
        plan=login.plan,
        account_id=login.account_id,
        user_id=login.user_id,
        expires_at=login.expires_at,
        stored_in=stored_in,
    )


# --- access to a store -------------------------------------------------------------------------------------------


def _clear_traceback_locals(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Clear the local variables in the tracebacks of the exceptions that the decorated function raises.

    This includes their causes. It does not include the arguments of the function, which are in the frame of the
    wrapper, and an exception that was being handled before.
    """

    @functools.wraps(function)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        handled_before = sys.exception()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            clear_traceback_locals(error, handled_before=handled_before)
            raise

    return wrapper


@_clear_traceback_locals
def load_document(store: CredentialStore) -> dict[str, Any] | None:
    """Return the document of a store, None if the store is empty.

    Do not hold the result in a local variable across a call that may raise: the traceback would expose it.
    """
    return store.load()


@_clear_traceback_locals
def load_login(store: CredentialStore, fetch_login: Callable[[Secret], Login]) -> CachedLogin | None:
    """Return the login of a store, None if there is none. `fetch_login` requests that of a personal access token.

    Raises LoginRequiredError if the store has other credentials, and CredentialStoreError if it is damaged.
    """
    document = store.load()
    if document is None:
        return None
    other_credentials = _auth_json.describe_other_credentials(document)
    if other_credentials is not None:
        raise _auth_errors.LoginRequiredError(f"{store.location} holds {other_credentials}. {_LOG_IN_WITH_CHATGPT}")
    tokens = _parse_tokens(document, store.location)
    if tokens is None:
        return None
    if _auth_json.parse_mode(document) == _auth_json.PERSONAL_ACCESS_TOKEN_MODE:
        return CachedLogin(document=document, login=fetch_login(tokens.access_token), tokens=tokens)
    return CachedLogin.from_document(document)


@_clear_traceback_locals
def load_tokens(store: CredentialStore) -> _auth_json.StoredTokens | None:
    """Return the tokens of a store, including a personal access token; None if there are none.

    Raises CredentialStoreError if the document is damaged.
    """
    document = store.load()
    return _parse_tokens(document, store.location) if document else None


@contextmanager
def prepare_save(store: CredentialStore) -> Iterator[None]:
    """Make sure, before a refresh token is used up, that the store can save a document within the block.

    Raises CredentialStoreError if it cannot. Does nothing for a custom store without `prepare_save()`.
    """
    with ExitStack() as stack:
        if isinstance(store, SupportsPrepareSave):
            _enter_prepare_save(store, stack)
        yield


@_clear_traceback_locals
def _enter_prepare_save(store: SupportsPrepareSave, stack: ExitStack) -> None:
    stack.enter_context(store.prepare_save())


@_clear_traceback_locals
def save_refreshed_login(
    store: CredentialStore, refreshed: CachedLogin, *, replaces: _auth_json.StoredTokens
) -> CachedLogin | None:
    """Save a refreshed login if the store still has the tokens that it replaces. Return the login as it was saved.

    Return None, and save nothing, if the store has other tokens, other credentials or no login: a program that does not
    use the store's lock, such as the Codex CLI, has changed it during the refresh. Its changes to other members of the
    document are kept. Call this under the store's lock.
    """
    document = store.load()
    if document is None or _auth_json.describe_other_credentials(document) is not None:
        return None
    stored = _parse_tokens(document, store.location)
    if stored is None or not stored.has_same_tokens(replaces):
        return None
    saved = replace(refreshed, document=_auth_json.merge_login(document, refreshed.document), unsaved=None)
    store.save(saved.document)
    return saved


@_clear_traceback_locals
def save_new_login(
    store: CredentialStore, response: TokenResponse, *, account_id: str | None, now: datetime, force: bool
) -> CachedLogin:
    """Save the tokens of a new login and return the login.

    Top-level members that this package does not know are kept; `tokens` is replaced. If the stored document is
    damaged, `force` replaces it. Otherwise this raises CredentialStoreError.
    """
    old_document, is_damaged = None, False
    try:
        old_document = store.load()
    except Exception:  # a custom store may raise any exception
        if not force:
            raise
        is_damaged = True
    document = _auth_json.replace_login(old_document, response, account_id=account_id, now=now)
    cached = CachedLogin.from_document(document)
    if is_damaged and isinstance(store, SupportsReplace):
        store.replace(document)
    else:
        store.save(document)
    return cached


def _parse_tokens(document: dict[str, Any], location: str) -> _auth_json.StoredTokens | None:
    try:
        personal = _auth_json.parse_personal_access_token(document)
        return _auth_json.parse_tokens(document) if personal is None else _auth_json.StoredTokens(access_token=personal)
    except ValueError as error:  # FileStore has validated the document; a custom store may not have done so
        raise _auth_errors.CredentialStoreError(
            f"The login in {location} is damaged: {error}. {_auth_errors.LOG_IN_AGAIN_REMEDY}"
        ) from None
