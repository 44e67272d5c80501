from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from codex_backend_sdk._exceptions import CredentialStoreError
from codex_backend_sdk.auth import Credentials, FileStore, KeyringStore, MemoryStore

DOCUMENT = {"auth_mode": "chatgpt", "tokens": {"access_token": "secret-token"}, "unknown_field": {"n": 1}}
posix = pytest.mark.skipif(os.name == "nt", reason="modes and symlinks as POSIX has them")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_memory_store_copies_the_document() -> None:
    document: dict[str, Any] = {"tokens": {"access_token": "a"}}
    store = MemoryStore(document)
    document["tokens"]["access_token"] = "b"
    loaded = store.load()
    assert loaded == {"tokens": {"access_token": "a"}}
    loaded["tokens"]["access_token"] = "c"
    assert store.load() == {"tokens": {"access_token": "a"}}


def test_default_path_is_that_of_the_codex_cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    assert FileStore().path == tmp_path / "auth.json"
    monkeypatch.setenv("CODEX_HOME", "")
    assert FileStore().path == Path.home() / ".codex" / "auth.json"
    monkeypatch.delenv("CODEX_HOME")
    assert FileStore().path == Path.home() / ".codex" / "auth.json"
    assert FileStore("~/x/auth.json").path == Path.home() / "x" / "auth.json"


def test_relative_codex_home_survives_chdir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODEX_HOME", "home")
    monkeypatch.chdir(tmp_path)
    store, credentials = FileStore(), Credentials()
    given = FileStore("own.json"), FileStore(Path("own.json")), KeyringStore("home")
    monkeypatch.chdir("/")
    assert store.path == tmp_path / "home" / "auth.json"
    assert [given[0].path, given[1].path, given[2].home] == [tmp_path / "own.json"] * 2 + [tmp_path / "home"]
    assert credentials.store.location == str(store.path)


@posix
def test_codex_home_of_unknown_user_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", "~no-such-user/x")
    with pytest.raises(CredentialStoreError, match=r"no home folder for ~no-such-user/x\. Set CODEX_HOME to"):
        Credentials()
    with pytest.raises(CredentialStoreError, match=r"no home folder for ~no-such-user/x\. Pass an absolute path"):
        FileStore("~no-such-user/x")


@posix
def test_new_file_and_folder_are_private(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "home" / "auth.json")
    with store.lock():
        store.save(DOCUMENT)
    assert [mode(path) for path in (store.path, store.path.parent, tmp_path / "home" / "auth.json.lock")] == [
        0o600,
        0o700,
        0o600,
    ]


@posix
def test_readable_file_becomes_private(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text("{}")
    store.path.chmod(0o644)
    store.save(DOCUMENT)
    assert mode(store.path) == 0o600


@posix
def test_temporary_files_are_private_from_creation(tmp_path: Path) -> None:
    """An audit hook and a directory watcher see each file: it has its mode from the first byte."""
    program = f"""
import os, sys
seen = []
def hook(event, args):
    if event == "open" and str(args[0]).startswith({str(tmp_path)!r}) and args[2] & os.O_CREAT:
        seen.append(args)
sys.addaudithook(hook)
os.umask(0)
from codex_backend_sdk.auth import FileStore
store = FileStore({str(tmp_path / "auth.json")!r})
import threading
modes, over = set(), threading.Event()
def watch():
    while not over.is_set():
        for entry in os.scandir({str(tmp_path)!r}):
            try:
                modes.add(entry.stat().st_mode & 0o777)
            except FileNotFoundError:
                pass
thread = threading.Thread(target=watch)
thread.start()
for n in range(300):
    store.save({{"auth_mode": "chatgpt", "n": n}})
over.set()
thread.join()
assert len(seen) == 300, len(seen)
assert all(flags & os.O_EXCL for _, _, flags in seen)
print(sorted(oct(mode) for mode in modes))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    assert (result.stdout, result.stderr) == ("['0o600']\n", "")


@posix
def test_symlink_is_followed_and_kept(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "auth.json"
    link.symlink_to(tmp_path / "real" / "mine.json")
    store = FileStore(link)
    with store.lock():
        store.save(DOCUMENT)
    assert link.is_symlink()
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == ["mine.json", "mine.json.lock"]
    assert FileStore(tmp_path / "real" / "mine.json").load() == DOCUMENT
    assert store.clear() is True
    assert link.is_symlink()
    store.save(DOCUMENT)
    assert (tmp_path / "real" / "mine.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"machine": 1}', '{"tokens": {"access_token": 7}}'])
def test_damaged_file_is_named_and_kept(tmp_path: Path, content: str) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text(content)
    for call in (store.load, lambda: store.save(DOCUMENT)):
        with pytest.raises(CredentialStoreError, match=r"auth\.json is not a usable auth\.json: .*force=True"):
            call()
    assert store.path.read_text() == content
    assert os.listdir(tmp_path) == ["auth.json"]


def test_half_written_file_is_read_again(tmp_path: Path) -> None:
    """The Codex CLI truncates the file and rewrites it."""
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text('{"auth_mode": "cha')
    threading.Timer(0.01, lambda: store.path.write_text(json.dumps(DOCUMENT))).start()
    assert store.load() == DOCUMENT


def test_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for call in (store.load, lambda: store.save(DOCUMENT), store.clear):
        with pytest.raises(CredentialStoreError, match=str(tmp_path)):
            call()


def test_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    store = FileStore(tmp_path / "home" / "auth.json")
    with pytest.raises(CredentialStoreError, match="Cannot lock"), store.lock():
        pass
    with pytest.raises(CredentialStoreError, match="Cannot"):
        store.save(DOCUMENT)
    assert store.version() is None


@posix
def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.save(DOCUMENT)
    program = f"""
import resource, signal
from codex_backend_sdk.auth import FileStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    FileStore({str(store.path)!r}).save({{"auth_mode": "chatgpt", "n": "x" * 5000}})
except RuntimeError as error:
    print(type(error).__name__, error)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    assert result.stdout.startswith(f"CredentialStoreError Cannot write {store.path}: ")
    assert store.load() == DOCUMENT
    assert os.listdir(tmp_path) == ["auth.json"]


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no folder in which not even root can create files")
def test_missing_lock_file_support_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """One process can use a login that is mounted read-only."""
    store = FileStore("/sys/kernel/auth.json")
    with store.lock():
        assert store.load() is None
    with pytest.raises(
        CredentialStoreError, match=r"Cannot write /sys/kernel/auth\.json: .*\. Make its folder writable"
    ):
        store.save(DOCUMENT)
    assert "Other processes may refresh the same login" in caplog.text


HOLDER = """
import sys, time
from codex_backend_sdk.auth import FileStore
with FileStore(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(30)
"""


def test_lock_excludes_processes_and_ends_with_its_holder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "auth.json")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    entered = threading.Event()

    def enter() -> None:
        with FileStore(tmp_path / "auth.json").lock():
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.3)
    impatient = FileStore(tmp_path / "auth.json", lock_timeout=0.1)
    with (
        pytest.raises(CredentialStoreError, match=r"held the lock .*auth\.json\.lock for 0\.1 seconds"),
        impatient.lock(),
    ):
        pass
    process.kill()
    process.communicate()
    assert entered.wait(5)
    thread.join()


READER = """
import json, sys
path, looks, seen = sys.argv[1], 0, set()
print("ready", flush=True)
while True:
    with open(path, "rb") as file:  # missing: FileNotFoundError
        document = json.loads(file.read())  # empty or torn: JSONDecodeError
    assert document["x"] == "x" * document["length"]
    looks += 1
    seen.add(document["length"])
    if document["is_over"]:
        break
print(looks, *sorted(seen))
"""


def test_reader_never_sees_a_partial_file(tmp_path: Path) -> None:
    """Reads without the store, which would read again: the file itself is complete at every moment.

    `CODEX_TEST_WRITES=10000` makes the long run.
    """
    writes = int(os.environ.get("CODEX_TEST_WRITES", "300"))
    store = FileStore(tmp_path / "auth.json")

    def save(length: int, *, is_over: bool = False) -> None:
        store.save({"auth_mode": "chatgpt", "length": length, "x": "x" * length, "is_over": is_over})

    save(5)
    command = [sys.executable, "-c", READER, str(store.path)]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    for number in range(writes):
        save(50_000 if number % 2 else 5)
        assert reader.poll() is None, reader.communicate()
    save(7, is_over=True)
    out, err = reader.communicate(timeout=20)
    assert err == ""
    looks, *lengths = map(int, out.split())
    sys.stdout.write(f"{writes} writes, {looks} looks of another process, no missing, empty or torn file\n")
    assert looks > writes // 10
    assert lengths == [5, 7, 50_000]
    assert os.listdir(tmp_path) == ["auth.json"], "no temporary file is left"
