"""A login as it is held in memory, and how it gets there from a store and back: nobody else calls `load` and `save`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from . import _auth_json, _jwt
from ._failures import login_required, store_failed
from ._traceback import untold
from .stores.file import Replacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..types import Login, Secret
    from ._jwt import RefreshReason
    from .stores.file import CredentialStore

__all__ = ["LONG_AGO", "Held", "hold", "keep", "load", "read", "read_tokens"]

LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
NEVER: Final = datetime.max.replace(tzinfo=UTC)

_REPLACE: Final = (
    "This client needs a ChatGPT login: client.authenticate(force=True) or `codex-backend login` signs in "
    "with ChatGPT and keeps what is stored."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A document and what it says. `is_saved` is False when the store refused it: nobody else has these tokens."""

    document: dict[str, Any]
    login: Login
    tokens: _auth_json.StoredTokens
    is_saved: bool = True

    @property
    def life(self) -> timedelta | None:
        """How long its access token lives, from the last refresh on; None when that cannot be told."""
        born, dies = self.tokens.last_refresh, self.login.expires_at
        return None if born is None or dies is None else max(dies - born, timedelta(0))

    def renewal(self, life: timedelta | None) -> tuple[datetime, RefreshReason]:
        """Return from when on it is to be renewed, and why; never for what is as good as it gets."""
        if self.tokens.refresh_token is None and self.login.expires_at is None:
            return NEVER, "scheduled"
        return _jwt.renewal(expires_at=self.login.expires_at, last_refresh=self.tokens.last_refresh, life=life)

    def is_later_than(self, other: Held) -> bool:
        """Tell which of two was refreshed last."""
        return (self.tokens.last_refresh or LONG_AGO) > (other.tokens.last_refresh or LONG_AGO)

    def __repr__(self) -> str:  # the document would show its tokens
        return f"Held({self.login!r})"


@untold
def read(store: CredentialStore, whose: Callable[[Secret], Login]) -> Held | None:
    """Read the login of a store, None when there is none. `whose` finds the login of a personal access token.

    LoginRequiredError when the store holds another kind of login, CredentialStoreError when it is damaged.
    """
    document = store.load()
    if document is None:
        return None
    other = _auth_json.unusable(document)
    if other is not None:
        raise login_required(f"{store.location} holds {other}.", remedy=_REPLACE)
    stored = _tokens(document, store.location)
    if stored is None:
        return None
    if _auth_json.mode_of(document) == _auth_json.PERSONAL_MODE:
        return Held(document=document, login=whose(stored.access_token), tokens=stored)
    return hold(document)


@untold
def read_tokens(store: CredentialStore) -> _auth_json.StoredTokens | None:
    """Read the tokens of a store, whosever they are; a personal access token is one, too. Errors as of `read`."""
    document = store.load()
    return _tokens(document, store.location) if document else None


@untold
def load(store: CredentialStore) -> dict[str, Any] | None:
    """Return the document of a store, None when there is none. Where something may raise it is no variable."""
    return store.load()


@untold
def keep(store: CredentialStore, held: Held, *, over_damage: bool = False) -> None:
    """Put a login into a store; over something damaged only where that is said."""
    if over_damage and isinstance(store, Replacing):
        store.replace(held.document)
    else:
        store.save(held.document)


def _tokens(document: dict[str, Any], place: str) -> _auth_json.StoredTokens | None:
    try:
        personal = _auth_json.personal_token(document)
        return _auth_json.tokens_of(document) if personal is None else _auth_json.StoredTokens(access_token=personal)
    except ValueError as error:  # FileStore has looked for this; another store need not
        raise store_failed(f"{place} holds no usable login: {error}.") from None


def hold(document: dict[str, Any]) -> Held:
    """Take a document into memory; ValueError when it has no access token."""
    stored, login = _auth_json.tokens_of(document), _jwt.login_from(document)
    if stored is None or login is None:
        raise ValueError("it has no access token")
    return Held(document=document, login=login, tokens=stored)
