"""One login for several machines, in Redis.

The lock on the server is short-lived, and a thread of its holder extends it: a refresh has no upper bound in time, and
a holder that is killed must not block the others for long. A holder that is suspended for longer than the lifetime of
the lock loses it. A second process may then refresh at the same time. The later of the two sends a used refresh token,
is refused, reads the store again, and uses the tokens that the other one stored (case 6 of `TokenManager`).
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ...types import Secret
from .. import _auth_errors, _auth_json
from .base import LOCK_TIMEOUT_SECONDS, compute_digest, parse_document

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RedisStore"]

log = logging.getLogger("codex_backend_sdk.auth")

_DEFAULT_KEY: Final = "codex-backend-sdk:login"
_LOCK_LIFETIME_SECONDS: Final = 10.0
_EXTENSIONS_PER_LIFETIME: Final = 4
_LOCK_POLL_SECONDS: Final = 0.05
# For a client that is created here: without timeouts a server that hangs would make us hang.
_TIMEOUTS: Final = {"socket_timeout": 10.0, "socket_connect_timeout": 10.0}

_NOT_INSTALLED: Final = "RedisStore needs the package redis. Run pip install 'codex-backend-sdk[redis]'."
_INVALID_URL: Final = (
    "The Redis URL is not valid. Use rediss://user:password@host:port/0 or unix:///path, and write special characters "
    "as %XX."
)


class RedisStore:
    """A login in one key of a Redis server, refreshed once for all machines; needs the extra `redis`.

    `server` is a URL (`rediss://` beyond this machine, since tokens travel to it) or your own `redis.Redis`. The value
    of `key` is the text of an auth.json; `<key>:lock` exists during a refresh. `lock_lifetime` and `lock_timeout` are
    in seconds: how long a killed holder blocks the others, and how long to wait for a holder that is alive.
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
        to = self._client.connection_pool.connection_kwargs
        address = to.get("path") or f"{to.get('host', 'localhost')}:{to.get('port', 6379)}"
        return f"Redis at {address} (database {to.get('db') or 0}, key {self.key})"

    def __repr__(self) -> str:
        # Without a client if the URL was not valid: a crash reporter shows the object nevertheless.
        return f"RedisStore({self.location if hasattr(self, '_client') else self.key!r})"

    def load(self) -> dict[str, Any] | None:
        """Read the key; None if there is none. Raises CredentialStoreError if server or value is unusable."""
        value = self._read_value()
        return None if value is None else parse_document(value, location=self.location)

    def save(self, document: dict[str, Any]) -> None:
        """Replace the value."""
        with self._access("write"):
            self._client.set(self.key, _auth_json.render(document))

    def clear(self) -> bool:
        """Delete the key. Return False if there was none."""
        with self._access("delete"):
            return bool(self._client.delete(self.key))

    def version(self) -> object:
        """Return a digest of the value: one request, as a separate counter would need, and never out of step."""
        return compute_digest(self._read_value())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock on the server, extended as long as this process runs."""
        lock = self._client.lock(
            f"{self.key}:lock",
            timeout=self._lock_lifetime,
            sleep=_LOCK_POLL_SECONDS,
            blocking_timeout=self._lock_timeout,
            thread_local=False,  # another thread extends it
        )
        with self._access("lock"):
            is_acquired = lock.acquire()
        if not is_acquired:
            raise _auth_errors.CredentialStoreError(
                f"Another process has held the lock of {self.location} for {self._lock_timeout:g} seconds. End that "
                "process if it hangs, and try again."
            )
        try:
            with _extended(lock, every_seconds=self._lock_lifetime / _EXTENSIONS_PER_LIFETIME):
                yield
        finally:
            try:
                lock.release()
            except Exception as error:  # it expires by itself
                log.debug("The lock of the login in Redis was not released: %s", error)

    def _read_value(self) -> bytes | None:
        try:
            with self._access("read"):
                value = self._client.get(self.key)
        except UnicodeDecodeError:  # from a client with decode_responses=True; the exception holds the value
            raise _auth_errors.CredentialStoreError(
                f"{self.location} holds no usable login: it is not UTF-8 text. {_auth_errors.LOG_IN_AGAIN_REMEDY}"
            ) from None
        return value.encode() if isinstance(value, str) else value

    @contextmanager
    def _access(self, verb: str) -> Iterator[None]:
        import redis  # optional

        try:
            yield
        except redis.RedisError as error:
            raise _auth_errors.CredentialStoreError(f"Cannot {verb} {self.location}: {error}") from error


def _connect(url: Secret) -> Any:
    try:
        import redis
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise _auth_errors.CredentialStoreError(_NOT_INSTALLED) from None
    try:
        return redis.Redis.from_url(url.reveal(), **_TIMEOUTS)
    except ValueError:  # its text may hold a part of the password
        raise ValueError(_INVALID_URL) from None


@contextmanager
def _extended(lock: Any, *, every_seconds: float) -> Iterator[None]:
    """Extend the lock to its full lifetime again and again, in a thread, until the block ends."""
    is_over = threading.Event()

    def extend() -> None:
        while not is_over.wait(every_seconds):
            try:
                lock.reacquire()
            except Exception as error:  # lost, or the server is down: see the docstring of the module
                log.warning("The lock of the login in Redis was lost: %s", error)
                return

    thread = threading.Thread(target=extend, name="codex-login-lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
