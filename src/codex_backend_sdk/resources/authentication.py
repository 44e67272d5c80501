"""Define the login methods of the clients: `authenticate()`, `account()`, `logout()`, `revoke()`.

`Credentials` implements them once, in blocking code. The sync client calls `Credentials` directly. The async client
calls it in a worker thread. The number of these threads is limited for short requests, but not for logins:

- Short requests to the issuer (a token refresh, a revocation) share a limited number of threads of this package, so
  that they never use up the threads of the application. A cancelled task does not stop its thread, because a
  token that the issuer has already issued must still be stored.
- A login waits for a user, and for callbacks that may take any time. Its thread has no limit: with a limit, logins that
  wait for each other could block all threads. Cancelling the task cancels the login.

The arguments of `authenticate*` repeat those of `Credentials`; a test compares the signatures.
"""

from __future__ import annotations

import inspect
import math
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from .._constants import CALLBACK_PORTS, LOGIN_TIMEOUT
from .._exceptions import LoginFailedError
from ..auth._cached_login import account_for_login
from ..auth.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Self

    from ..auth import CredentialSource
    from ..types import Account, DeviceCode

__all__ = ["AsyncAuthentication", "Authentication", "run_in_thread"]

_T = TypeVar("_T")

_MAX_THREADS: Final = 100
_limiter: Final[RunVar[anyio.CapacityLimiter]] = RunVar("codex_backend_sdk_limiter")  # one for each event loop


class Authentication:
    """Mixin with the login methods of the sync client."""

    credentials: CredentialSource

    def authenticate(
        self,
        *,
        interactive: bool = True,
        force: bool = False,
        open_browser: Callable[[str], object] | bool = True,
        on_url: Callable[[str], object] | None = None,
        paste: Callable[[str], str | None] | None = None,
        timeout: float | None = LOGIN_TIMEOUT.total_seconds(),
        ports: Sequence[int] = CALLBACK_PORTS,
        workspace_id: str | None = None,
        scopes: Sequence[str] | None = None,
        cancel: threading.Event | None = None,
    ) -> Self:
        """Log in unless there is a stored login, and return this client.

        Use the stored login, and refresh it if it has expired. If there is none, open the login page in a browser.

        Args:
            interactive: If False, raise LoginRequiredError instead of opening a browser.
            force: Log in again, even if there is a stored login.
            open_browser: A function that opens the URL of the login page, or False to open no browser.
            on_url: Called with the URL of the login page. Default in a notebook: show a link.
            paste: Called with a prompt, like `input`; returns the callback URL from the address bar of the browser. For
                a browser on another machine, which cannot connect to the callback server. Default in a notebook whose
                kernel has no browser: a field below the cell.
            timeout: Seconds for the whole login; None means no timeout.
            ports: The ports to try for the callback server.
            workspace_id: The ID of the ChatGPT workspace. A login to any other workspace is rejected.
            scopes: The OAuth scopes to request. Default: those of the Codex CLI.
            cancel: Setting this event cancels the login within a second.

        Raises:
            LoginRequiredError: There is no stored login, and `interactive` is False.
            LoginFailedError: The login was denied, cancelled, rejected by the issuer, or timed out.
            TokenRefreshError: The refresh of the stored login failed temporarily.
            CredentialStoreError: The stored login is damaged or cannot be written.
        """
        credentials = self.credentials
        if not isinstance(credentials, Credentials):
            _check_custom_source(credentials, force=force)
            return self
        try:
            credentials.authenticate(
                interactive=interactive,
                force=force,
                open_browser=open_browser,
                on_url=on_url,
                paste=paste,
                timeout=timeout,
                ports=ports,
                workspace_id=workspace_id,
                scopes=scopes,
                cancel=cancel,
            )
        except KeyboardInterrupt as interrupt:
            # The user cancelled the login. The traceback of its steps would not help.
            raise interrupt.with_traceback(None) from None
        return self

    def authenticate_device_code(
        self,
        *,
        on_code: Callable[[DeviceCode], object] | None = None,
        force: bool = False,
        timeout: float | None = None,
        workspace_id: str | None = None,
        cancel: threading.Event | None = None,
    ) -> Self:
        """Log in on another device unless there is a stored login, and return this client.

        Args:
            on_code: Called with the code and the URL where the user enters it. Default: log both.
            force: Log in again, even if there is a stored login.
            timeout: Seconds to wait; a code expires after 15 minutes at most.
            workspace_id: The ID of the ChatGPT workspace. A login to any other workspace is rejected.
            cancel: Setting this event cancels the login.

        Raises the errors of `authenticate`, and LoginFailedError if device codes are disabled for the account.
        """
        credentials = self.credentials
        if isinstance(credentials, Credentials):
            credentials.authenticate_device_code(
                on_code=on_code, force=force, timeout=timeout, workspace_id=workspace_id, cancel=cancel
            )
        else:
            _check_custom_source(credentials, force=force)
        return self

    def account(self) -> Account:
        """Return the account of the login: email, plan, IDs, expiry, and the credential store.

        Reads the store and sends no request. Raises LoginRequiredError if there is no login.
        """
        return _account(self.credentials)

    def logout(self) -> bool:
        """Delete the stored login and return whether there was one. The tokens stay valid: see `revoke()`."""
        return _call_or_raise(self.credentials, "logout")

    def revoke(self) -> bool:
        """Revoke the tokens of the stored login, then delete it. Return whether there was one."""
        return _call_or_raise(self.credentials, "revoke")


class AsyncAuthentication:
    """Mixin with the login methods of the async client. They do not block the event loop."""

    credentials: CredentialSource

    async def authenticate(
        self,
        *,
        interactive: bool = True,
        force: bool = False,
        open_browser: Callable[[str], object] | bool = True,
        on_url: Callable[[str], object] | None = None,
        paste: Callable[[str], str | None] | None = None,
        timeout: float | None = LOGIN_TIMEOUT.total_seconds(),  # noqa: ASYNC109 - the signature of the sync client
        ports: Sequence[int] = CALLBACK_PORTS,
        workspace_id: str | None = None,
        scopes: Sequence[str] | None = None,
        cancel: threading.Event | None = None,
    ) -> Self:
        """Log in unless there is a stored login, and return this client.

        The arguments and errors are those of `OpenAI.authenticate`. `on_url` may be an async function. Cancelling the
        task cancels the login.
        """
        credentials = self.credentials
        cancel = threading.Event() if cancel is None else cancel

        def log_in() -> None:
            if isinstance(credentials, Credentials):
                credentials.authenticate(
                    interactive=interactive,
                    force=force,
                    open_browser=open_browser,
                    on_url=_as_sync_callback(on_url),
                    paste=paste,
                    timeout=timeout,
                    ports=ports,
                    workspace_id=workspace_id,
                    scopes=scopes,
                    cancel=cancel,
                )
            else:
                _check_custom_source(credentials, force=force)

        await _run_cancellable(log_in, cancel)
        return self

    async def authenticate_device_code(
        self,
        *,
        on_code: Callable[[DeviceCode], object] | None = None,
        force: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the sync client
        workspace_id: str | None = None,
        cancel: threading.Event | None = None,
    ) -> Self:
        """Log in on another device unless there is a stored login, and return this client.

        The arguments and errors are those of `OpenAI.authenticate_device_code`. `on_code` may be an async function.
        Cancelling the task cancels the login.
        """
        credentials = self.credentials
        cancel = threading.Event() if cancel is None else cancel

        def log_in() -> None:
            if isinstance(credentials, Credentials):
                credentials.authenticate_device_code(
                    on_code=_as_sync_callback(on_code),
                    force=force,
                    timeout=timeout,
                    workspace_id=workspace_id,
                    cancel=cancel,
                )
            else:
                _check_custom_source(credentials, force=force)

        await _run_cancellable(log_in, cancel)
        return self

    async def account(self) -> Account:
        """Return the account of the login: email, plan, IDs, expiry, and the credential store.

        Reads the store and sends no request. Raises LoginRequiredError if there is no login.
        """
        return await run_in_thread(lambda: _account(self.credentials))

    async def logout(self) -> bool:
        """Delete the stored login and return whether there was one. The tokens stay valid: see `revoke()`."""
        return await run_in_thread(lambda: _call_or_raise(self.credentials, "logout"))

    async def revoke(self) -> bool:
        """Revoke the tokens of the stored login, then delete it. Return whether there was one."""
        return await run_in_thread(lambda: _call_or_raise(self.credentials, "revoke"))


# --- threads ---------------------------------------------------------------------------------------------------------


async def run_in_thread(action: Callable[[], _T]) -> _T:
    """Run a blocking action in one of the limited threads. The action continues if the caller is cancelled."""
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_MAX_THREADS)
        _limiter.set(limiter)
    return await anyio.to_thread.run_sync(action, abandon_on_cancel=True, limiter=limiter)


async def _run_cancellable(log_in: Callable[[], None], cancel: threading.Event) -> None:
    """Run a login in a separate thread, and set `cancel` if the caller is cancelled."""
    try:
        await anyio.to_thread.run_sync(log_in, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(math.inf))
    except anyio.get_cancelled_exc_class():
        cancel.set()
        raise


def _as_sync_callback(callback: Callable[[Any], object] | None) -> Callable[[Any], object] | None:
    """Wrap a callback so that a worker thread can call it. An async callback runs in the event loop."""
    if not callable(callback):
        return callback  # None, or an invalid argument
    from anyio import from_thread  # takes 1.5 ms to import, and only a login needs it

    async def wait_for(result: Awaitable[object]) -> None:
        await result

    def call(value: Any) -> None:
        result = callback(value)
        if inspect.isawaitable(result):
            from_thread.run(wait_for, result)

    return call


# --- custom credential sources ---------------------------------------------------------------------------------------


def _check_custom_source(credentials: CredentialSource, *, force: bool) -> None:
    """Load the login of a custom source. With `force`, raise LoginFailedError: only the source can log in again."""
    if force:
        raise _not_supported(credentials)
    credentials.current()


def _account(credentials: CredentialSource) -> Account:
    method = getattr(credentials, "account", None)
    return cast("Account", method()) if callable(method) else account_for_login(credentials.current(), stored_in=None)


def _call_or_raise(credentials: CredentialSource, name: str) -> bool:
    method = getattr(credentials, name, None)
    if not callable(method):
        raise _not_supported(credentials)
    return bool(method())


def _not_supported(credentials: CredentialSource) -> LoginFailedError:
    name = getattr(credentials, "name", None) or type(credentials).__name__
    return LoginFailedError(
        f"The login of this client is from {name}, which this method cannot change. Log in and out with {name}.",
        code="not_supported",
    )
