"""One person's login for several machines, in Redis.

The lock is short and kept alive by its holder: a refresh has no upper bound in time (its limits are for each read),
and a holder that is killed must not block the others for long. A holder that is suspended for longer than its lock
lives loses it; whoever renews then is refused the used refresh token by the issuer, reads the store again, and finds
there what the first one stored.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ...types import Secret
from .. import _auth_json
from .._failures import store_failed
from . import keyring_format
from .lock_file import LOCK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RedisStore"]

log = logging.getLogger("codex_backend_sdk.auth")

_KEY: Final = "codex-backend-sdk:login"
_LOCK_LIVES_SECONDS: Final = 10.0
_RENEWALS_PER_LIFE: Final = 4
_POLL_SECONDS: Final = 0.05
# For a client that is made here; without them a server that hangs would hang us, too.
_TIMEOUTS: Final = {"socket_timeout": 10.0, "socket_connect_timeout": 10.0}

_MISSING: Final = "A RedisStore takes the package redis: pip install 'codex-backend-sdk[redis]'"
_FORM: Final = (
    "The URL must have the form rediss://user:password@host:port/0, or unix:///path; special characters as %XX"
)


class RedisStore:
    """A login in one key of a Redis server, with the same single refresh for all; needs the extra `redis`.

    `server` is a URL (`rediss://` beyond this machine: the login travels over it) or your own `redis.Redis`. The value
    of `key` is the text of an auth.json; beside it, `<key>:lock` is there while somebody renews. `lock_lives` and
    `lock_timeout` are seconds: how long a killed holder blocks the others, and how long to wait for a living one.
    """

    def __init__(
        self,
        server: Any,
        key: str = _KEY,
        *,
        lock_lives: float = _LOCK_LIVES_SECONDS,
        lock_timeout: float = LOCK_SECONDS,
    ) -> None:
        self.key = key
        given = Secret(server) if isinstance(server, str) else server
        del server  # a traceback of what follows would show the password in it
        self._client = _connected(given) if isinstance(given, Secret) else given
        self._lock_lives = lock_lives
        self._lock_timeout = lock_timeout

    @property
    def location(self) -> str:
        """The server's address, without user and password, and the key."""
        to = self._client.connection_pool.connection_kwargs
        place = to.get("path") or f"{to.get('host', 'localhost')}:{to.get('port', 6379)}"
        return f"Redis at {place} (database {to.get('db') or 0}, key {self.key})"

    def __repr__(self) -> str:
        # A URL that cannot be used leaves nothing but the key, and a traceback may show that, too.
        return f"RedisStore({self.location if hasattr(self, '_client') else self.key!r})"

    def load(self) -> dict[str, Any] | None:
        """Read the key; None when there is none, CredentialStoreError when the server or the value is unusable."""
        value = self._value("read")
        if value is None:
            return None
        try:
            return _auth_json.parse(value)
        except ValueError as error:
            raise store_failed(f"{self.location} holds no usable login: {error}. It was left as it is.") from None

    def save(self, document: dict[str, Any]) -> None:
        """Replace the value."""
        with self._told("write"):
            self._client.set(self.key, _auth_json.render(document))

    def clear(self) -> bool:
        """Delete the key."""
        with self._told("delete"):
            return bool(self._client.delete(self.key))

    def version(self) -> object:
        """Return a digest of the value: one question to the server, as a counter would be, and no second truth."""
        return keyring_format.digest(self._value("read"))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock on the server, kept alive as long as this process is."""
        lock = self._client.lock(
            f"{self.key}:lock",
            timeout=self._lock_lives,
            sleep=_POLL_SECONDS,
            blocking_timeout=self._lock_timeout,
            thread_local=False,  # the thread that keeps it alive is another one
        )
        with self._told("lock"):
            is_held = lock.acquire()
        if not is_held:
            raise store_failed(
                f"Another process has held the lock of {self.location} for {self._lock_timeout:g} seconds; "
                "end it if it hangs, and try again."
            )
        try:
            with _kept_alive(lock, every=self._lock_lives / _RENEWALS_PER_LIFE):
                yield
        finally:
            _release(lock)

    def _value(self, doing: str) -> bytes | None:
        try:
            with self._told(doing):
                value = self._client.get(self.key)
        except UnicodeDecodeError:  # from a client that decodes; it carries the value
            raise store_failed(f"{self.location} holds no usable login: it is not UTF-8 text.") from None
        return value.encode() if isinstance(value, str) else value  # text from a client that decodes

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        import redis

        try:
            yield
        except redis.RedisError as error:
            raise store_failed(f"Cannot {doing} {self.location}: {error}") from error


def _connected(url: Secret) -> Any:
    try:
        import redis
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise store_failed(_MISSING) from None
    try:
        return redis.Redis.from_url(url.reveal(), **_TIMEOUTS)
    except ValueError:  # its text can hold a part of the password, and the traceback the URL
        pass
    raise ValueError(_FORM)  # not in the handler: there that error would go along as the context


@contextmanager
def _kept_alive(lock: Any, *, every: float) -> Iterator[None]:
    """Give the lock its full life again and again, from a thread, until the block ends."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(every):
            try:
                lock.reacquire()
            except Exception as error:  # lost, or the server is away: what follows is in the module's docstring
                log.warning("The lock on the login in Redis was lost: %s", error)
                return

    thread = threading.Thread(target=keep, name="codex-login-lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _release(lock: Any) -> None:
    try:
        lock.release()
    except Exception as error:  # it ends by itself
        log.debug("The lock on the login in Redis was not released: %s", error)
