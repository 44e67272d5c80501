"""Who is signed in, and until when. The login is read as it stands: renewing it would change it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from .. import moments
from .result import broken, note, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...types import Login
    from .result import Outcome, Scene

__all__ = ["Found", "check_login", "find_login"]

_SIGN_IN = "`codex-backend login`; without a browser here `codex-backend login --device`."
_SOON = timedelta(days=1)


class Found(NamedTuple):
    """A login with its place, or why there is none."""

    login: Login | None
    place: str
    is_renewable: bool = False
    problem: str = ""


def find_login(scene: Scene) -> Found:
    """Return the login that a client would use. Whose a personal access token is, the sign-in server is asked.

    Errors as of the store, and of an access token that is refused.
    """
    with scene.lock:
        if scene.login is None:
            scene.login = _find()
        found: Found = scene.login
        return found


def _find() -> Found:
    from ...auth import StaticToken, _auth_json, _jwt
    from ...auth.stores.auto import default_store

    given = StaticToken.from_environment()
    if given is not None:
        return Found(given.current(), f"the variable {given.name}")
    store = default_store()
    document = store.load() or {}
    other = _auth_json.other_credentials(document)
    if other is not None:
        return Found(None, store.location, problem=f"{store.location} holds {other}, no ChatGPT login.")
    personal = _auth_json.personal_token(document)
    if personal is not None:
        return Found(StaticToken(personal, name=store.location).current(), store.location)
    login, stored = _jwt.login_from(document), _auth_json.tokens_of(document)
    if login is None or stored is None:
        return Found(None, store.location, problem=f"Nobody is signed in: there is no login in {store.location}.")
    return Found(login, store.location, is_renewable=stored.refresh_token is not None)


def check_login(scene: Scene) -> Iterator[Outcome]:
    """Say who is signed in, or what to do."""
    from ... import CredentialStoreError
    from ...auth import _jwt

    try:
        login, place, is_renewable, problem = find_login(scene)
    except CredentialStoreError:
        yield note("Not read: there is something wrong with its store.")
        return
    now = scene.clock()
    if login is None:
        yield broken(problem, _SIGN_IN)
        return
    who = f"{login.email or 'an account without an e-mail address'}, plan {login.plan or 'unknown'}"
    expiry = f"; {_expiry(login, scene)}" if login.expires_at else ""
    if _jwt.has_expired(login, now=now) and not is_renewable:
        yield broken(f"The login of {who} has expired, and cannot be renewed{expiry}.", _SIGN_IN)
        return
    renewal = "renewed when it is needed" if is_renewable else "cannot be renewed"
    yield ok(f"{who}{expiry}; {renewal}. From {place}.")
    if login.account_id is None:
        yield warning("The login names no account; the backend wants one.", _SIGN_IN)
    if not is_renewable and login.expires_at is not None and login.expires_at - now < _SOON:
        yield warning("The login ends soon, and cannot be renewed.", _SIGN_IN)


def _expiry(login: Login, scene: Scene) -> str:
    assert login.expires_at is not None
    now = scene.clock()
    word = "good until" if login.expires_at > now else "its access token ended at"
    return f"{word} {moments.format_local_time(login.expires_at)} ({moments.from_now(login.expires_at, now=now)})"
