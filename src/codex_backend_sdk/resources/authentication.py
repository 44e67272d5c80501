"""Signing in and out on a client. The login itself is sync and exists once; an async caller waits for a thread."""

from __future__ import annotations

import inspect
import math
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from .._exceptions import LoginFailedError
from ..auth._account import account_from
from ..auth.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Self

    from ..auth import CredentialSource
    from ..types import Account

__all__ = ["AsyncAuthentication", "Authentication", "in_thread"]

_T = TypeVar("_T")

# Of the callbacks, these are called while the caller waits: an async caller may give async ones.
_CALLBACKS = ("on_url", "on_code")

# Threads of our own, so that the application's stay free, however many of its tasks wait for a login. What waits for
# the issuer ends by itself, and so it may wait for its turn, too. A sign-in waits for a person, and for callbacks that
# may wait for anything: a limit could lock it up.
_THREADS: Final = 100
_waiting: Final[RunVar[anyio.CapacityLimiter]] = RunVar("codex_backend_sdk_waiting")


class Authentication:
    """What a client can do about its login."""

    credentials: CredentialSource

    def authenticate(self, **how: Any) -> Self:
        """Make sure that there is a login, and return this client.

        A stored login is used, and renewed when it has expired; without one a browser opens. `how` has the arguments
        of `codex_backend_sdk.auth.Credentials.authenticate`: `interactive=False` never opens anything, `force=True`
        signs in afresh, `timeout` is in seconds. LoginRequiredError or LoginFailedError when there is no login in the end.
        """
        _authenticate(self.credentials, how)
        return self

    def authenticate_device_code(self, **how: Any) -> Self:
        """Make sure that there is a login, and return this client; without one, sign in on another device.

        `how` has the arguments of `codex_backend_sdk.auth.Credentials.authenticate_device_code`: `on_code` is told
        the code and where to type it in. LoginRequiredError or LoginFailedError when there is no login in the end.
        """
        _authenticate_device_code(self.credentials, how)
        return self

    def account(self) -> Account:
        """Who is signed in: email, plan, ids, expiry, and where the login is stored. LoginRequiredError when nobody is."""
        return _account(self.credentials)

    def logout(self) -> bool:
        """Delete the stored login; True if there was one. It stays good at the issuer: see `revoke()`."""
        return _own(self.credentials, "logout")

    def revoke(self) -> bool:
        """Make the login worthless at the issuer, then delete it; True if there was one."""
        return _own(self.credentials, "revoke")


class AsyncAuthentication:
    """What an async client can do about its login; the event loop goes on meanwhile."""

    credentials: CredentialSource

    async def authenticate(self, **how: Any) -> Self:
        """Make sure that there is a login, and return this client.

        A stored login is used, and renewed when it has expired; without one a browser opens. `how` has the arguments
        of `codex_backend_sdk.auth.Credentials.authenticate`: `interactive=False` never opens anything, `force=True`
        signs in afresh, `timeout` is in seconds; `on_url` may be async. Cancelling the task ends the sign-in.
        LoginRequiredError or LoginFailedError when there is no login in the end.
        """
        await _stoppable(_authenticate, self.credentials, how)
        return self

    async def authenticate_device_code(self, **how: Any) -> Self:
        """Make sure that there is a login, and return this client; without one, sign in on another device.

        `how` has the arguments of `codex_backend_sdk.auth.Credentials.authenticate_device_code`: `on_code`, which may
        be async, is told the code and where to type it in. Cancelling the task ends the sign-in. LoginRequiredError or
        LoginFailedError when there is no login in the end.
        """
        await _stoppable(_authenticate_device_code, self.credentials, how)
        return self

    async def account(self) -> Account:
        """Return who is logged in: email, plan, ids, expiry, and where the login is stored. LoginRequiredError if nobody is."""
        return await in_thread(lambda: _account(self.credentials))

    async def logout(self) -> bool:
        """Delete the stored login; True if there was one. It stays good at the issuer: see `revoke()`."""
        return await in_thread(lambda: _own(self.credentials, "logout"))

    async def revoke(self) -> bool:
        """Make the login worthless at the issuer, then delete it; True if there was one."""
        return await in_thread(lambda: _own(self.credentials, "revoke"))


async def in_thread(action: Callable[[], _T]) -> _T:
    """Run what may block; a caller that is cancelled leaves it running, so that a renewed login is still stored."""
    return await anyio.to_thread.run_sync(action, abandon_on_cancel=True, limiter=_limiter())


def _limiter() -> anyio.CapacityLimiter:
    """Return the one of this event loop."""
    try:
        return _waiting.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_THREADS)
        _waiting.set(limiter)
        return limiter


async def _stoppable(
    action: Callable[[CredentialSource, Mapping[str, Any]], None],
    credentials: CredentialSource,
    how: Mapping[str, Any],
) -> None:
    """Sign in, in a thread, which ends when the caller is cancelled."""
    cancel: threading.Event = how.get("cancel") or threading.Event()
    callbacks = {name: _either(how[name]) for name in _CALLBACKS if how.get(name) is not None}
    try:
        await anyio.to_thread.run_sync(
            lambda: action(credentials, {**how, **callbacks, "cancel": cancel}),
            abandon_on_cancel=True,
            limiter=anyio.CapacityLimiter(math.inf),
        )
    except anyio.get_cancelled_exc_class():
        cancel.set()
        raise


def _either(callback: Callable[[Any], object]) -> Callable[[Any], None]:
    """Make an async callback one that a thread can call; a sync one stays in the thread."""
    from anyio import from_thread  # 1.5 ms that only a sign-in needs

    async def awaited(result: Awaitable[object]) -> None:
        await result

    def call(value: Any) -> None:
        result = callback(value)
        if inspect.isawaitable(result):
            from_thread.run(awaited, result)

    return call


def _authenticate(credentials: CredentialSource, how: Mapping[str, Any]) -> None:
    if isinstance(credentials, Credentials):
        credentials.authenticate(**how)
    elif how.get("force"):
        raise _made_elsewhere(credentials)
    else:
        credentials.current()  # a source of the caller's own knows its own way to sign in


def _authenticate_device_code(credentials: CredentialSource, how: Mapping[str, Any]) -> None:
    if isinstance(credentials, Credentials):
        credentials.authenticate_device_code(**how)
    else:
        _authenticate(credentials, how)


def _account(credentials: CredentialSource) -> Account:
    own = getattr(credentials, "account", None)
    return cast("Account", own()) if callable(own) else account_from(credentials.current(), stored_in=None)


def _own(credentials: CredentialSource, name: str) -> bool:
    own = getattr(credentials, name, None)
    if not callable(own):
        raise _made_elsewhere(credentials)
    return bool(own())


def _made_elsewhere(credentials: CredentialSource) -> LoginFailedError:
    name = getattr(credentials, "name", None) or type(credentials).__name__
    return LoginFailedError(f"This client's login comes from {name}; sign in and out there.", code="not_supported")
