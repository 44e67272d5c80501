"""Test that a login survives in places that can be written only partly, or not at all.

The issuer accepts a refresh token once. The client must not send it if it cannot store the tokens that replace it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from codex_backend_sdk.auth import FileStore
from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX file modes and mounts")

EXPIRED, EXPIRES_SOON = timedelta(minutes=-1), timedelta(minutes=3)
OTHER_USER = 65534


def can_mount() -> bool:
    return (
        os.name == "posix"
        and os.geteuid() == 0
        and shutil.which("unshare") is not None
        and subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
    )


class Place(NamedTuple):
    """A shell script that prepares `$CODEX_HOME` for the file `$HOST/auth.json`, and whether the login can be stored.

    `limit` is the largest file that the program may write, in bytes. `user` is the user who runs it.
    """

    script: str
    is_writable: bool
    limit: int | None = None
    user: int = 0


BIND_FILE = 'touch "$CODEX_HOME/auth.json"; mount --bind "$HOST/auth.json" "$CODEX_HOME/auth.json"; '
BIND_FOLDER = 'mount --bind "$HOST" "$CODEX_HOME"; '
SMALL_DISK = 'mount -t tmpfs -o size=64k tmpfs "$CODEX_HOME"; cp "$HOST/auth.json" "$CODEX_HOME"; '
GIVE_TO_USER = f'chown {OTHER_USER} "$HOST/auth.json"; '

PLACES = {
    "mounted file": Place(BIND_FILE, True),
    "mounted file in a read-only folder": Place(
        'touch "$CODEX_HOME/auth.json"; mount --bind "$CODEX_HOME" "$CODEX_HOME"; '
        'mount -o remount,ro,bind "$CODEX_HOME"; mount --bind "$HOST/auth.json" "$CODEX_HOME/auth.json"; ',
        True,
    ),
    "file in another user's folder": Place(GIVE_TO_USER + 'chmod 755 "$HOST"; ' + BIND_FOLDER, True, user=OTHER_USER),
    "another user's file in a shared folder": Place(
        f'chgrp {OTHER_USER} "$HOST/auth.json"; chmod 660 "$HOST/auth.json"; chmod 777 "$HOST"; ' + BIND_FOLDER,
        True,
        user=OTHER_USER,
    ),
    "read-only folder": Place(BIND_FOLDER + 'mount -o remount,ro,bind "$CODEX_HOME"', False),
    "read-only mounted file": Place(BIND_FILE + 'mount -o remount,ro,bind "$CODEX_HOME/auth.json"', False),
    "read-only file in a read-only folder": Place(
        GIVE_TO_USER + 'chmod 400 "$HOST/auth.json"; chmod 555 "$HOST"; ' + BIND_FOLDER, False, user=OTHER_USER
    ),
    "full disk": Place(SMALL_DISK + 'head -c 100k /dev/zero > "$CODEX_HOME/other" 2>/dev/null; true', False),
    "full disk with a mounted file": Place(
        'mkdir "$HOST/disk"; mount -t tmpfs -o size=64k tmpfs "$HOST/disk"; cp "$HOST/auth.json" "$HOST/disk"; '
        'touch "$CODEX_HOME/auth.json"; mount --bind "$HOST/disk/auth.json" "$CODEX_HOME/auth.json"; '
        'head -c 100k /dev/zero > "$HOST/disk/other" 2>/dev/null; true',
        False,
    ),
    "no free inode": Place(
        'mount -t tmpfs -o nr_inodes=3 tmpfs "$CODEX_HOME"; cp "$HOST/auth.json" "$CODEX_HOME"; '
        'touch "$CODEX_HOME/auth.json.lock"',
        False,
    ),
    "file size limit": Place(BIND_FOLDER, False, limit=8000),
    "file size limit for a mounted file": Place(BIND_FILE, False, limit=8000),
    "mounted file that was replaced outside": Place(
        BIND_FILE + 'cp -p "$HOST/auth.json" "$HOST/new"; mv "$HOST/new" "$HOST/auth.json"', False
    ),
}

PROGRAM = """
import json, os, sys, tempfile
from datetime import UTC, datetime, timedelta
from codex_backend_sdk.auth import Credentials, FileStore
import codex_backend_sdk._exceptions
limit, user, other_document = json.loads(sys.argv[1])
# Import everything that a refresh needs: after setuid this process may not be able to read its packages.
with tempfile.TemporaryDirectory() as folder:
    store = FileStore(os.path.join(folder, "auth.json"))
    store.save(other_document)
    Credentials(store).current()
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
path = os.path.join(os.environ["CODEX_HOME"], "auth.json")
for minutes in (0, 5):
    try:
        Credentials(FileStore(path), clock=lambda: datetime.now(UTC) + timedelta(minutes=minutes)).current()
        print("ok")
    except Exception as error:
        print(type(error).__name__, error)
print(open(path).read())
"""


LOGOUT_PROGRAM = """
import os, sys
import codex_backend_sdk._exceptions, filelock
from codex_backend_sdk.auth import Credentials, FileStore
store = FileStore(os.path.join(os.environ["CODEX_HOME"], "auth.json"))
credentials = Credentials(store)
store.load()
with FileStore(os.path.join(os.environ["HOST"], "other.json")).lock():
    pass  # like `load()`, this imports what it needs
if user := int(sys.argv[1]):
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
try:
    print(credentials.logout(), credentials.logout(), store.load())
except Exception as error:
    print(type(error).__name__, error)
"""


class Outcome(NamedTuple):
    """The result of an attempt now and one in five minutes, the document after them, and the number of refreshes."""

    attempts: list[str]
    document: object
    refreshes: int


class Login(NamedTuple):
    """A simulator, a folder with a login, and an empty CODEX_HOME."""

    sim: Simulator
    host: Path
    home: Path

    def run(self, place: Place, *, expires_in: timedelta) -> Outcome:
        self.sim.write_codex_home(self.host, expires_in=expires_in)
        document = self.sim.login_document(expires_in=EXPIRED)
        arguments = json.dumps([place.limit, place.user, document])
        refreshes = self.count_refreshes()
        *attempts, content = self.run_program(PROGRAM, arguments, place=place).split("\n", 2)
        # The other document has been refreshed, too.
        return Outcome(attempts, json.loads(content), self.count_refreshes() - refreshes - 1)

    def run_program(self, program: str, argument: str, *, place: Place) -> str:
        result = subprocess.run(
            ["unshare", "-m", "sh", "-c", f'{place.script}\nexec "$@"', "sh", sys.executable, "-c", program, argument],
            env={**os.environ, **self.sim.environment, "HOST": str(self.host), "CODEX_HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    def count_refreshes(self) -> int:
        return sum(request.path == "/oauth/token" for request in self.sim.requests)


@pytest.fixture
def login() -> Iterator[Login]:
    # Not `tmp_path`: its parents are private, and the other user must reach the folder.
    with Simulator() as sim, tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        home = Path(folder, "home of\ta \\ user")
        home.mkdir()
        yield Login(sim, Path(folder, "host"), home)


@pytest.mark.skipif(not can_mount(), reason="needs root and `unshare`")
@pytest.mark.parametrize("place", [pytest.param(place, id=name) for name, place in PLACES.items() if place.is_writable])
def test_refreshed_login_is_stored_if_possible(login: Login, place: Place) -> None:
    outcome = login.run(place, expires_in=EXPIRED)
    before = os.stat(login.host / "auth.json")
    assert outcome.attempts == ["ok", "ok"]
    assert outcome.refreshes == 1
    assert outcome.document == FileStore(login.host / "auth.json").load()
    after = os.stat(login.host / "auth.json")
    assert (before.st_ino, before.st_mode, before.st_uid) == (after.st_ino, after.st_mode, after.st_uid)
    assert [name for name in os.listdir(login.host) if name.endswith(".tmp")] == []


@pytest.mark.skipif(not can_mount(), reason="needs root and `unshare`")
@pytest.mark.parametrize(
    "place", [pytest.param(place, id=name) for name, place in PLACES.items() if not place.is_writable]
)
def test_refresh_token_is_kept_if_nothing_can_be_stored(login: Login, place: Place) -> None:
    outcome = login.run(place, expires_in=EXPIRES_SOON)
    assert outcome.refreshes == 0
    assert outcome.attempts[0] == "ok", "the old access token is valid"
    assert outcome.attempts[1].startswith(f"CredentialStoreError Cannot write {login.home / 'auth.json'}: ")
    assert outcome.document == FileStore(login.host / "auth.json").load()


@pytest.mark.skipif(not can_mount(), reason="needs root and `unshare`")
@pytest.mark.parametrize("name", ["mounted file", "file in another user's folder"])
def test_login_that_cannot_be_deleted_is_emptied(login: Login, name: str) -> None:
    place = PLACES[name]
    login.sim.write_codex_home(login.host)
    assert login.run_program(LOGOUT_PROGRAM, str(place.user), place=place) == "True False None\n"
    file = login.host / "auth.json"
    assert file.read_bytes() == b"{}"
    os.chown(login.host, file.stat().st_uid, -1)  # root may log in in the folder of a user
    FileStore(file).save(login.sim.login_document())


@pytest.mark.skipif(not can_mount(), reason="needs root and `unshare`")
@pytest.mark.parametrize("name", ["read-only folder", "read-only mounted file"])
def test_login_that_cannot_be_emptied_is_an_error(login: Login, name: str) -> None:
    login.sim.write_codex_home(login.host)
    output = login.run_program(LOGOUT_PROGRAM, "0", place=PLACES[name])
    assert output.startswith(f"CredentialStoreError Cannot delete {login.home / 'auth.json'}: ")
