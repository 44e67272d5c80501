"""Store a login in Redis, so that several machines share it.

The lock on the server expires quickly, because its holder may be killed. A thread of the holder renews it, because a
refresh may take longer. A holder that is suspended for longer than the lifetime of the lock loses it, and a second
process may then refresh at the same time. The issuer rejects the second use of the refresh token. That process then
reloads the store and uses the tokens that the other process stored (case 6 of `TokenManager`).
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ...types import Secret
from .. import _auth_errors
from .base import LOCK_TIMEOUT_SECONDS, compute_digest, parse_document, serialize_document

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RedisStore"]

log = logging.getLogger("codex_backend_sdk.auth")

_DEFAULT_KEY: Final = "codex-backend-sdk:login"
_LOCK_LIFETIME_SECONDS: Final = 10.0
_RENEWALS_PER_LIFETIME: Final = 4
_LOCK_POLL_SECONDS: Final = 0.05
# For a client that is created here. Without timeouts, a server that hangs would block the caller.
_TIMEOUTS: Final = {"socket_timeout": 10.0, "socket_connect_timeout": 10.0}

_NOT_INSTALLED: Final = "RedisStore needs the package redis. Run pip install 'codex-backend-sdk[redis]'."
_INVALID_URL: Final = (
    "The Redis URL is invalid. Use rediss://user:password@host:port/0 or unix:///path, and percent-encode special "
    "characters."
)


class RedisStore:
    """A store in one Redis key, so that one refresh serves all machines. Requires the extra `redis`.

    `server` is a URL or your own `redis.Redis`. Use `rediss://` for a remote server, because tokens are sent to it. The
    value of `key` has the format of `auth.json`; `<key>:lock` exists during a refresh. After `lock_lifetime` seconds
    the lock of a killed process expires. `lock_timeout` is the time to wait for the lock, in seconds.
    """

    def __init__(
        self,
        server: Any,
        key: str = _DEFAULT_KEY,
        *,
        lock_lifetime: float = _LOCK_LIFETIME_SECONDS,
        lock_timeout: float = LOCK_TIMEOUT_SECONDS,
    ) -> None:
        self.key = key
        server = Secret(server) if isinstance(server, str) else server  # a URL may hold a password
        self._client = _connect(server) if isinstance(server, Secret) else server
        self._lock_lifetime = lock_lifetime
        self._lock_timeout = lock_timeout

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
        """Store the document, replacing the previous one."""
        with self._translate_errors("write"):
            self._client.set(self.key, serialize_document(document, location=self.location))

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

    def _read_value(self) -> bytes | None:
        try:
            with self._translate_errors("read"):
                value = self._client.get(self.key)
        except UnicodeDecodeError:  # from a client with decode_responses=True; the exception holds the value
            raise _auth_errors.CredentialStoreError(
                f"The login in {self.location} is damaged: it is not UTF-8 text. {_auth_errors.LOG_IN_AGAIN_REMEDY}"
            ) from None
        return value.encode() if isinstance(value, str) else value

    @contextmanager
    def _translate_errors(self, operation: str) -> Iterator[None]:
        import redis  # imported here because the package is optional

        try:
            yield
        except redis.RedisError as error:
            raise _auth_errors.CredentialStoreError(
                f"Cannot {operation} {self.location}: {str(error).rstrip('.')}. "
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
                        str(error).rstrip("."),
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
        return redis.Redis.from_url(url.reveal(), **_TIMEOUTS)
    except ValueError:  # its text may contain a part of the password
        raise ValueError(_INVALID_URL) from None
