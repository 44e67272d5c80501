"""Store a login in Redis, so that several machines share it.

The lock on the server expires quickly, because its holder may be killed. A thread of the holder renews it, because a
refresh may take longer. A holder that is suspended for longer than the lifetime of the lock loses it, in the middle of
a refresh that the issuer may already have completed. A second use of its refresh token would revoke the login.
Therefore a refresh also holds a fence, a second key that is not renewed and expires after `refresh_timeout`:

- A machine that has the lock, and finds the fence of another, waits until the fence is gone. Then it reads the store
  again, which usually has the tokens of the first machine.
- Within a refresh, `save()` is one script on the server. It stores the document only if the fence is still that of this
  machine and the stored value is the one that it read last.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..._constants import INSTALL_EXTRA
from ..._redaction import excerpt
from ...types import Secret
from .. import _auth_errors
from .base import (
    LOCK_TIMEOUT_SECONDS,
    NotCopyable,
    clear_traceback_locals,
    compute_digest,
    parse_document,
    serialize_document,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RedisStore"]

log = logging.getLogger("codex_backend_sdk.auth")

_DEFAULT_KEY: Final = "codex-backend-sdk:login"
_LOCK_LIFETIME_SECONDS: Final = 10.0
_RENEWALS_PER_LIFETIME: Final = 4
_LOCK_POLL_SECONDS: Final = 0.05
# A request to the issuer takes at most 60 seconds.
_REFRESH_TIMEOUT_SECONDS: Final = 65.0
_FENCE_POLL_SECONDS: Final = 0.2
# For a client that is created here. Without timeouts, a server that hangs would block the caller.
_TIMEOUTS: Final = {"socket_timeout": 10.0, "socket_connect_timeout": 10.0}

_NOT_INSTALLED: Final = f"RedisStore needs the package redis. {INSTALL_EXTRA.format('redis')}"
_INVALID_URL: Final = (
    "The Redis URL is invalid. Use rediss://user:password@host:port/0 or unix:///path, and percent-encode special "
    "characters."
)
_UNKNOWN_OPTION: Final = (
    "The Redis URL has an option that the package redis does not accept. Correct the part after `?`, and "
    "percent-encode special characters in the password."
)

# KEYS: the key, the fence. ARGV: the document, the value of the fence, the digest of the value that was read last.
_SAVE_SCRIPT: Final = """
if redis.call('get', KEYS[2]) ~= ARGV[2] or redis.sha1hex(redis.call('get', KEYS[1]) or '') ~= ARGV[3] then
    return 0
end
redis.call('set', KEYS[1], ARGV[1])
return 1
"""
_DELETE_FENCE_SCRIPT: Final = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    redis.call('del', KEYS[1])
end
"""


class _Refresh(NamedTuple):
    """A refresh by this store: the value of its fence, and a digest of the stored value that was read last."""

    fence: str
    read_digest: str


class RedisStore(NotCopyable):
    """A store in one Redis key, so that one refresh serves all machines. Requires the extra `redis`.

    `server` is a URL or your own `redis.Redis`. Use `rediss://` for a remote server, because tokens are sent to it. The
    value of `key` has the format of `auth.json`; `<key>:lock` and `<key>:fence` exist during a refresh. After
    `lock_lifetime` seconds the lock of a killed process expires. After `refresh_timeout` seconds another machine may
    use the refresh token of a machine that was killed or suspended in the middle of a refresh. `lock_timeout` is the
    time to wait for either, in seconds. With a `rediss://` URL, the certificate must be valid for the host.
    """

    def __init__(
        self,
        server: Any,
        key: str = _DEFAULT_KEY,
        *,
        lock_lifetime: float = _LOCK_LIFETIME_SECONDS,
        lock_timeout: float = LOCK_TIMEOUT_SECONDS,
        refresh_timeout: float = _REFRESH_TIMEOUT_SECONDS,
    ) -> None:
        self.key = key
        server = Secret(server) if isinstance(server, str) else server  # a URL may hold a password
        self._client = _connect(server) if isinstance(server, Secret) else server
        self._lock_lifetime = lock_lifetime
        self._lock_timeout = lock_timeout
        self._refresh_timeout = refresh_timeout
        self._refresh: _Refresh | None = None

    @property
    def location(self) -> str:
        """The server's address without user name and password, and the key."""
        kwargs = self._client.connection_pool.connection_kwargs
        address = kwargs.get("path") or f"{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}"
        return f"Redis at {address} (database {kwargs.get('db') or 0}, key {self.key})"

    def __repr__(self) -> str:
        # `_client` is missing if `__init__` raised for an invalid URL; a crash reporter may still call `repr()`.
        return f"RedisStore({self.location if hasattr(self, '_client') else self.key!r})"

    def load(self) -> dict[str, Any] | None:
        """Return the document, None if there is no key.

        Raises CredentialStoreError if the server cannot be reached or the value is invalid.
        """
        value = self._read_value()
        return None if value is None else parse_document(value, location=self.location)

    def save(self, document: dict[str, Any]) -> None:
        """Store the document, replacing the previous one.

        Within `prepare_save()`, raises CredentialStoreError if another machine has taken over or changed the login.
        """
        data = serialize_document(document, location=self.location)
        refresh = self._refresh
        with self._translate_errors("write"):
            if refresh is None:
                self._client.set(self.key, data)
                return
            keys = (self.key, self._fence_key)
            is_saved = self._client.eval(_SAVE_SCRIPT, len(keys), *keys, data, refresh.fence, refresh.read_digest)
        if not is_saved:
            raise _auth_errors.CredentialStoreError(
                f"The login was not stored in {self.location}, because it was changed there, or this process was "
                f"suspended for more than {self._refresh_timeout:g} seconds. Retry."
            )

    @contextmanager
    def prepare_save(self) -> Iterator[None]:
        """Hold the fence while the block runs. Call this under the lock.

        Waits for another machine that lost the lock in the middle of a refresh. Raises CredentialStoreError after
        `lock_timeout` seconds, or if the server accepts no values.
        """
        fence = secrets.token_hex(16)
        deadline = time.monotonic() + self._lock_timeout
        milliseconds = int(self._refresh_timeout * 1000)
        with self._translate_errors("write"):
            while not self._client.set(self._fence_key, fence, nx=True, px=milliseconds):
                if time.monotonic() >= deadline:
                    raise _auth_errors.CredentialStoreError(
                        f"Timed out after {self._lock_timeout:g} seconds waiting for another machine that refreshes "
                        f"the login in {self.location}. Retry in a minute."
                    )
                time.sleep(_FENCE_POLL_SECONDS)
        try:
            self._refresh = _Refresh(fence, "")
            self._read_value()
            yield
        finally:
            self._refresh = None
            try:
                self._client.eval(_DELETE_FENCE_SCRIPT, 1, self._fence_key, fence)
            except Exception as error:  # the fence will expire
                log.debug("Cannot delete %s: %s", self._fence_key, error)

    def clear(self) -> bool:
        """Delete the key. Return False if there was none."""
        with self._translate_errors("delete"):
            return bool(self._client.delete(self.key))

    def version(self) -> object:
        """Return a digest of the value. This takes one request, as a separate counter would, and matches the value."""
        return compute_digest(self._read_value())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock while the block runs. Raises CredentialStoreError after `lock_timeout` seconds."""
        lock = self._client.lock(
            f"{self.key}:lock",
            timeout=self._lock_lifetime,
            sleep=_LOCK_POLL_SECONDS,
            blocking_timeout=self._lock_timeout,
            thread_local=False,  # another thread renews the lock
        )
        with self._translate_errors("lock"):
            is_acquired = lock.acquire()
        if not is_acquired:
            raise _auth_errors.CredentialStoreError(
                f"Timed out after {self._lock_timeout:g} seconds waiting for the lock {self.key}:lock of "
                f"{self.location}. Stop the process that holds it, and retry."
            )
        try:
            with self._renew_in_background(lock):
                yield
        finally:
            try:
                lock.release()
            except Exception as error:  # the lock will expire
                log.debug("Cannot release the lock %s:lock: %s", self.key, error)

    @property
    def _fence_key(self) -> str:
        return f"{self.key}:fence"

    def _read_value(self) -> bytes | None:
        try:
            with self._translate_errors("read"):
                value = self._client.get(self.key)
        except UnicodeDecodeError:  # from a client with decode_responses=True; the exception holds the value
            raise _auth_errors.CredentialStoreError(
                f"The login in {self.location} is damaged: it is not UTF-8 text. {_auth_errors.LOG_IN_AGAIN_REMEDY}"
            ) from None
        data = value.encode() if isinstance(value, str) else value
        if self._refresh is not None:
            self._refresh = self._refresh._replace(read_digest=hashlib.sha1(data or b"").hexdigest())
        return data

    @contextmanager
    def _translate_errors(self, operation: str) -> Iterator[None]:
        import redis  # imported here because the package is optional

        try:
            yield
        except redis.RedisError as error:
            clear_traceback_locals(error)  # the local variables of the package redis include the password
            raise _auth_errors.CredentialStoreError(
                f"Cannot {operation} {self.location}: {excerpt(str(error)).rstrip('.')}. "
                "Check the URL, and that the server is running."
            ) from error

    @contextmanager
    def _renew_in_background(self, lock: Any) -> Iterator[None]:
        """Renew the lock periodically in a thread until the block ends."""
        has_ended = threading.Event()

        def renew() -> None:
            while not has_ended.wait(self._lock_lifetime / _RENEWALS_PER_LIFETIME):
                try:
                    lock.reacquire()
                except Exception as error:  # lost, or the server is down: see the docstring of the module
                    log.warning(
                        "Cannot renew the lock %s:lock of %s: %s. Another process may refresh the login at the same "
                        "time. Check that the server is running.",
                        self.key,
                        self.location,
                        excerpt(str(error)).rstrip("."),
                    )
                    return

        thread = threading.Thread(target=renew, name="codex-login-lock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            has_ended.set()
            thread.join()


def _connect(url: Secret) -> Any:
    try:
        import redis
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise _auth_errors.CredentialStoreError(_NOT_INSTALLED) from None
    try:
        client = redis.Redis.from_url(url.reveal(), **_TIMEOUTS)
    except ValueError:  # its text may contain a part of the password
        raise ValueError(_INVALID_URL) from None
    pool = client.connection_pool
    if issubclass(pool.connection_class, redis.SSLConnection) and pool.connection_kwargs.get("ssl_cert_reqs") != "none":
        pool.connection_kwargs.setdefault("ssl_check_hostname", True)  # version 5 does not check it by default
    try:
        pool.connection_class(**pool.connection_kwargs)  # this does not connect
    except (TypeError, ValueError, redis.RedisError):
        raise ValueError(_UNKNOWN_OPTION) from None
    return client
