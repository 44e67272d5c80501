"""Test how FileStore opens, creates and owns files: special files, sizes, folders, owners, modes and locks."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk._exceptions import CredentialStoreError
from codex_backend_sdk._files import is_mount_point
from codex_backend_sdk.auth import Credentials, FileStore, KeyringStore
from codex_backend_sdk.auth.stores.file_writer import InPlaceWrite, prepare_write

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")
needs_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs root, who can change owners")

DOCUMENT = {"auth_mode": "chatgpt", "tokens": {"access_token": "secret-token"}}


def file_mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- special files ---------------------------------------------------------------------------------------------------


def create_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, suppress(OSError):
        server.bind(os.path.relpath(path))  # the absolute path may be too long for a socket


def create_large_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**30)


SPECIAL_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "FIFO": (os.mkfifo, "it is a named pipe"),
    "folder": (os.mkdir, "it is a folder"),
    "endless device": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "empty device": (lambda path: path.symlink_to("/dev/null"), "it is a device"),
    "link to a FIFO": (lambda path: (os.mkfifo(f"{path}.fifo"), path.symlink_to(f"{path}.fifo")), "it is a named pipe"),
    "socket": (create_socket, "No such device or address|it is a socket|Operation not supported"),
    "large file": (create_large_file, "it has more than 1,000,000 bytes"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("file_type", SPECIAL_FILES)
def test_special_file_is_refused_without_reading(
    file_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    create, message = SPECIAL_FILES[file_type]
    store = FileStore(tmp_path / "auth.json")
    create(store.path)
    before = store.path.lstat()
    credentials = Credentials(store, issuer="http://127.0.0.1:1")
    for call in (store.load, lambda: store.save(DOCUMENT), credentials.current, credentials.account):
        with pytest.raises(CredentialStoreError, match=rf"Cannot read .*auth\.json: ({message})"):
            call()
    after = store.path.lstat()
    assert (before.st_ino, before.st_size, before.st_mode) == (after.st_ino, after.st_size, after.st_mode)


@pytest.mark.parametrize("file_type", ["FIFO", "large file"])
def test_special_file_is_replaced_by_force(file_type: str, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    SPECIAL_FILES[file_type][0](store.path)
    store.replace(DOCUMENT)
    assert store.load() == DOCUMENT


def test_large_document_is_not_written(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.save(DOCUMENT)
    with pytest.raises(CredentialStoreError, match="more than 1,000,000 bytes"):
        store.save({**DOCUMENT, "unknown_field": "x" * 1_000_000})
    assert store.load() == DOCUMENT
    store.save({**DOCUMENT, "unknown_field": "x" * 999_000})
    assert store.load() != DOCUMENT


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), {1, 2}, b"x", object()], ids=lambda value: type(value).__name__
)
def test_value_that_is_not_json_is_not_written(value: object, tmp_path: Path) -> None:
    for store in (FileStore(tmp_path / "auth.json"), KeyringStore(tmp_path, backend=object())):
        with pytest.raises(CredentialStoreError, match="it has a value that JSON does not have"):
            store.save({**DOCUMENT, "unknown_field": [value]})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", "[" * 200 + "]" * 200, "[" * 1000 + "]" * 1000])
def test_file_that_the_codex_cli_rejects_is_damaged(text: str, tmp_path: Path) -> None:
    """Python would read these values, and write some of them in a form that is not JSON."""
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text(f'{{"auth_mode": "chatgpt", "unknown_field": {text}}}')
    with pytest.raises(CredentialStoreError, match="is not a valid auth"):
        store.load()


# --- folders, owners and modes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", ["save", "lock", "keyring"])
def test_all_new_folders_are_private(use: str, tmp_path: Path) -> None:
    program = f"""
import os, sys
os.umask(0)
from pathlib import Path
from codex_backend_sdk.auth import FileStore, KeyringStore
home = Path({str(tmp_path)!r}) / "a" / "b" / "c"
if {use!r} == "save":
    FileStore(home / "auth.json").save({DOCUMENT!r})
elif {use!r} == "lock":
    with FileStore(home / "auth.json").lock():
        pass
else:
    from keyrings.alt.file import PlaintextKeyring
    backend = PlaintextKeyring()
    backend.file_path = {str(tmp_path / "keyring.cfg")!r}
    KeyringStore(home, backend=backend).save({DOCUMENT!r})
"""
    subprocess.run([sys.executable, "-c", program], timeout=50, check=True)
    assert [file_mode(tmp_path / folder) for folder in ("a", "a/b", "a/b/c")] == [0o700] * 3
    assert all(file_mode(path) == 0o600 for path in (tmp_path / "a" / "b" / "c").iterdir())


@pytest.mark.parametrize(("before", "after"), [(0o600, 0o600), (0o660, 0o660), (0o640, 0o640), (0o644, 0o600)])
def test_mode_is_kept_unless_all_users_have_access(before: int, after: int, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.save(DOCUMENT)
    store.path.chmod(before)
    with store.lock():
        store.save(DOCUMENT)
    assert file_mode(store.path) == after
    assert file_mode(tmp_path / "auth.json.lock") == after, "all who can write the login can lock it"


@needs_root
def test_root_keeps_the_owner_of_the_file(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.save(DOCUMENT)
    for path in (store.path, tmp_path):
        os.chown(path, 1000, 1001)
    with store.lock():
        store.save(DOCUMENT)
    owners = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in tmp_path.iterdir()}
    assert owners == {"auth.json": (1000, 1001), "auth.json.lock": (1000, 1001)}


@needs_root
def test_root_gives_new_files_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 1000, 1001)
    store = FileStore(tmp_path / "new" / "home" / "auth.json")
    with store.lock():
        store.save(DOCUMENT)
    paths = [tmp_path / "new", store.path.parent, store.path, store.path.with_name("auth.json.lock")]
    assert [(path.stat().st_uid, path.stat().st_gid) for path in paths] == [(1000, 1001)] * 4


@needs_root
def test_root_returns_the_lock_file_to_its_owner(tmp_path: Path) -> None:
    """An earlier version created it as root, so that its owner could not lock it."""
    store = FileStore(tmp_path / "auth.json")
    store.save(DOCUMENT)
    os.chown(store.path, 1000, 1001)
    lock = tmp_path / "auth.json.lock"
    lock.touch()
    with store.lock():
        assert lock.stat().st_uid == 1000
    os.chown(lock, 0, 0)
    os.link(lock, tmp_path / "a-file-of-the-system")
    with store.lock():
        assert lock.stat().st_uid == 0, "the owner of the folder may have made the second name"


SAVE_UNDER_LOCK = f"""
import sys
from codex_backend_sdk.auth import FileStore
store = FileStore(sys.argv[1])
with store.lock():
    store.save({DOCUMENT!r})
"""


@needs_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs `setpriv`")
@pytest.mark.parametrize("name", ["auth.json", "new/auth.json"])
def test_root_that_cannot_change_owners_writes_in_place(name: str, tmp_path: Path) -> None:
    """Containers may run as root without this capability."""
    os.chown(tmp_path, 1000, 1001)
    path = tmp_path / name
    command = ["setpriv", "--bounding-set=-chown", sys.executable, "-c", SAVE_UNDER_LOCK, str(path)]
    result = subprocess.run(command, capture_output=True, timeout=50, check=True)
    assert result.stderr == b"", "the store is locked"
    assert FileStore(path).load() == DOCUMENT
    path.write_text('{"auth_mode": "chatgpt"}')
    for foreign in (path, path.parent):
        os.chown(foreign, 1000, 1001)
    before = path.stat()
    subprocess.run(command, timeout=50, check=True)
    after = path.stat()
    assert FileStore(path).load() == DOCUMENT
    assert (after.st_ino, after.st_uid, after.st_gid) == (before.st_ino, 1000, 1001)


# --- the lock --------------------------------------------------------------------------------------------------------

LOCK_PATHS: dict[str, Callable[[Path, Path], object]] = {
    "link": lambda lock, victim: lock.symlink_to(victim),
    "dangling link": lambda lock, victim: lock.symlink_to(victim.with_name("missing")),
    "FIFO": lambda lock, victim: os.mkfifo(lock),
    "folder": lambda lock, victim: lock.mkdir(),
    "link to a device": lambda lock, victim: lock.symlink_to("/dev/null"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("lock_type", LOCK_PATHS)
def test_lock_path_must_be_a_regular_file(lock_type: str, tmp_path: Path) -> None:
    victim, lock = tmp_path / "victim", tmp_path / "auth.json.lock"
    victim.write_text("precious")
    LOCK_PATHS[lock_type](lock, victim)
    with (
        pytest.raises(CredentialStoreError, match=r"auth\.json\.lock is a .*, not a regular file\. Delete it\.$"),
        FileStore(tmp_path / "auth.json").lock(),
    ):
        pytest.fail("the lock must not be acquired")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "missing").exists()


def test_lock_excludes_another_mount_of_the_file(tmp_path: Path) -> None:
    """Two containers that mount the file have two folders, with a lock file each. A hard link has the same effect."""
    stores = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        stores.append(FileStore(tmp_path / name / "auth.json", lock_timeout=0.2))
    stores[0].save(DOCUMENT)
    os.link(stores[0].path, stores[1].path)
    with (
        stores[0].lock(),
        pytest.raises(CredentialStoreError, match=r"after 0\.2 seconds waiting for the lock .*auth\.json"),
        stores[1].lock(),
    ):
        pytest.fail("the lock must not be acquired")
    with stores[1].lock():
        pass


def test_lock_follows_a_replaced_file(tmp_path: Path) -> None:
    """A lock on the old file would not exclude those who open the new one."""
    store, other = (FileStore(tmp_path / "auth.json", lock_timeout=0.2) for _ in range(2))
    store.save(DOCUMENT)
    with store.lock():
        store.save(DOCUMENT)
        with pytest.raises(CredentialStoreError, match="waiting for the lock"), other.lock():
            pytest.fail("the lock must not be acquired")
    with other.lock():
        pass


# --- temporary files -------------------------------------------------------------------------------------------------

KILLED_SAVE = f"""
import os, signal, sys
sys.addaudithook(lambda event, args: os.kill(os.getpid(), signal.SIGKILL) if event == "os.rename" else None)
from codex_backend_sdk.auth import FileStore
FileStore(sys.argv[1]).save({DOCUMENT!r})
"""


@pytest.fixture
def store_with_stale_file(tmp_path: Path) -> FileStore:
    """A store whose folder has a temporary file of a killed process."""
    store = FileStore(tmp_path / "auth.json")
    result = subprocess.run([sys.executable, "-c", KILLED_SAVE, str(store.path)], timeout=50, check=False)
    assert result.returncode == -9
    (stale,) = tmp_path.iterdir()
    assert json.loads(stale.read_text()) == DOCUMENT
    return store


def stale_files(store: FileStore) -> list[Path]:
    return list(store.path.parent.glob(".auth.json.*"))


def test_file_of_a_killed_process_is_deleted_under_the_lock(store_with_stale_file: FileStore) -> None:
    store = store_with_stale_file
    store.save(DOCUMENT)
    assert len(stale_files(store)) == 1, "without the lock, another process may be writing the file"
    with store.lock():
        store.save(DOCUMENT)
    assert stale_files(store) == []


@pytest.mark.parametrize("has_login", [True, False])
def test_logout_deletes_the_file_of_a_killed_process(store_with_stale_file: FileStore, has_login: bool) -> None:
    store = store_with_stale_file
    if has_login:
        store.save(DOCUMENT)
    else:
        an_hour_ago = time.time() - 3600
        os.utime(stale_files(store)[0], (an_hour_ago, an_hour_ago))
    assert Credentials(store, issuer="http://127.0.0.1:1").logout() is has_login
    assert stale_files(store) == []


def test_files_of_others_are_kept(tmp_path: Path) -> None:
    others = [
        ".auth.json.tmp",
        ".auth.json.0123456789abcdef.tmp.bak",
        ".auth.json.0123456789ABCDEF.tmp",
        ".other.json.0123456789abcdef.tmp",
        "auth.json.0123456789abcdef.tmp",
    ]
    for name in others:
        (tmp_path / name).write_text("")
    (tmp_path / ".auth.json.0000000000000000.tmp").symlink_to("victim")
    (tmp_path / ".auth.json.1111111111111111.tmp").mkdir()
    store = FileStore(tmp_path / "auth.json")
    before = set(os.listdir(tmp_path))
    with store.lock():
        store.save(DOCUMENT)
        store.clear()
    assert set(os.listdir(tmp_path)) - {"auth.json.lock"} == before


# --- preparing a write -----------------------------------------------------------------------------------------------


def test_prepared_save_leaves_no_temporary_file(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.save(DOCUMENT)
    before = store.version()
    with store.prepare_save():
        assert len(stale_files(store)) == 1
        assert stale_files(store)[0].stat().st_size > 16_000, "room is reserved"
        assert store.load() == DOCUMENT
        assert store.version() == before
    assert stale_files(store) == []
    newer = {**DOCUMENT, "unknown_field": "x" * 50_000}
    with store.prepare_save():
        store.save(newer)
        store.save(newer)
    assert store.load() == newer
    assert os.listdir(tmp_path) == ["auth.json"]


def test_document_stays_valid_while_room_is_reserved_in_it(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps(DOCUMENT))
    write = InPlaceWrite(path, size=20_000)
    assert path.stat().st_size == 20_000
    assert json.loads(path.read_text()) == FileStore(path).load() == DOCUMENT
    write.commit(b'{"auth_mode": "x"}')
    assert path.read_bytes() == b'{"auth_mode": "x"}'
    InPlaceWrite(path, size=0).commit(b'{"auth_mode": "a longer one"}')
    assert path.read_bytes() == b'{"auth_mode": "a longer one"}'


WRITE_IN_PLACE = """
import resource, sys
from pathlib import Path
from codex_backend_sdk.auth.stores.file_writer import InPlaceWrite
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
size, length = map(int, sys.argv[3:])
try:
    InPlaceWrite(Path(sys.argv[1]), size=size).commit(b"x" * length)
    print("written")
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("sizes", [(5000, 0), (0, 5000), (100, 5000)], ids=["reserve", "write", "write more"])
def test_full_disk_leaves_the_old_document_in_place(sizes: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps(DOCUMENT))
    command = [sys.executable, "-c", WRITE_IN_PLACE, str(path), "1000", *map(str, sizes)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert result.stdout == "File too large\n"
    assert json.loads(path.read_text()) == DOCUMENT


@pytest.mark.parametrize("name", ["a b", "a\\b", "a\tb\nc", "ä"])
def test_only_mount_points_are_recognized(name: str, tmp_path: Path) -> None:
    assert not is_mount_point(tmp_path / name)
    if Path("/proc/self/mountinfo").exists():
        assert is_mount_point(Path("/proc"))


def test_missing_file_in_a_missing_folder_cannot_be_prepared(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        prepare_write(tmp_path / "missing" / "auth.json", size=1)
