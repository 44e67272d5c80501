"""Servers for tests of the stores: Redis, a keyring in memory or in a file, and a Secret Service in its own session."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server is installed")
needs_secret_service = pytest.mark.skipif(
    not (shutil.which("dbus-run-session") and shutil.which("gnome-keyring-daemon")),
    reason="no dbus-run-session or no gnome-keyring-daemon is installed",
)

# The daemon reads the password of its new keyring from stdin, up to the end of the input.
_SESSION = 'printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; exec "$@"'


class MemoryKeyring:
    """A `keyring` backend in memory, with the length limit of Windows. Each call raises `error` if it is set."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.error: Exception | None = None
        self.before_set: Callable[[str], object] = lambda name: None

    def get_password(self, service: str, username: str) -> str | None:
        if self.error:
            raise self.error
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.before_set(username)
        if self.error:
            raise self.error
        assert len(password.encode("utf-16-le")) <= 2560
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


@contextmanager
def redis_server(folder: Path, *, password: str = "") -> Iterator[str]:
    """Run a server on a socket in the folder, and yield its URL."""
    import redis

    socket = folder / "redis.sock"
    if len(str(socket)) > 100:  # the system's limit is 108
        pytest.skip(f"{socket} is too long for the name of a socket")
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    command += ["--requirepass", password] if password else []
    with (folder / "redis.log").open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out)
    url = f"unix://:{password}@{socket}" if password else f"unix://{socket}"
    try:
        with redis.Redis.from_url(url) as client:
            _wait_for_server(client)
        yield url
    finally:
        server.terminate()
        server.wait(10)


def _wait_for_server(client: object) -> None:
    import redis

    assert isinstance(client, redis.Redis)
    for _ in range(200):
        try:
            client.ping()
        except redis.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("redis-server did not start within 10 seconds")


def file_keyring_environment(folder: Path) -> dict[str, str]:
    """Return the environment in which the package `keyring` stores everything in a file of this folder."""
    return {
        **os.environ,
        "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        "XDG_DATA_HOME": str(folder / "data"),
    }


def secret_service_command(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command prefix that starts a session with an unlocked keyring, and its environment."""
    for name in ("data", "runtime", "cache"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    home = {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_RUNTIME_DIR": str(folder / "runtime"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "PYTHON_KEYRING"))}
    return ["dbus-run-session", "--", "sh", "-c", _SESSION, "sh"], {**inherited, **home}
