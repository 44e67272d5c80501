"""Test FileStore and MemoryStore: paths, file modes, locks and atomic writes."""

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
posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX file modes and symbolic links")


def file_mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_memory_store_copies_the_document() -> None:
    document: dict[str, Any] = {"tokens": {"access_token": "a"}}
    store = MemoryStore(document)
    document["tokens"]["access_token"] = "b"
    loaded = store.load()
    assert loaded == {"tokens": {"access_token": "a"}}
    loaded["tokens"]["access_token"] = "c"
    assert store.load() == {"tokens": {"access_token": "a"}}


def test_default_path_matches_the_codex_cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    assert FileStore().path == tmp_path / "auth.json"
    monkeypatch.setenv("CODEX_HOME", "")
    assert FileStore().path == Path.home() / ".codex" / "auth.json"
    monkeypatch.delenv("CODEX_HOME")
    assert FileStore().path == Path.home() / ".codex" / "auth.json"
    assert FileStore("~/x/auth.json").path == Path.home() / "x" / "auth.json"


def test_relative_codex_home_is_resolved_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODEX_HOME", "home")
    monkeypatch.chdir(tmp_path)
    store, credentials = FileStore(), Credentials()
    stores = FileStore("custom.json"), FileStore(Path("custom.json")), KeyringStore("home")
    monkeypatch.chdir("/")
    assert store.path == tmp_path / "home" / "auth.json"
    assert [stores[0].path, stores[1].path, stores[2].home] == [tmp_path / "custom.json"] * 2 + [tmp_path / "home"]
    assert credentials.store.location == str(store.path)


@posix
def test_codex_home_of_unknown_user_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", "~no-such-user/x")
    with pytest.raises(CredentialStoreError, match=r"Cannot expand `~` in ~no-such-user/x: .*\. Set CODEX_HOME to"):
        Credentials()
    with pytest.raises(CredentialStoreError, match=r"Cannot expand `~` in ~no-such-user/x: .*\. Pass an absolute path"):
        FileStore("~no-such-user/x")


@posix
def test_new_file_and_folder_are_private(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "home" / "auth.json")
    with store.lock():
        store.save(DOCUMENT)
    assert [file_mode(path) for path in (store.path, store.path.parent, tmp_path / "home" / "auth.json.lock")] == [
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
    assert file_mode(store.path) == 0o600


@posix
def test_temporary_files_are_private_from_creation(tmp_path: Path) -> None:
    """An audit hook checks that each file is created exclusively, and a watcher reads its mode."""
    program = f"""
import os, sys
opened = []
def hook(event, args):
    if event == "open" and str(args[0]).startswith({str(tmp_path)!r}) and args[2] & os.O_CREAT:
        opened.append(args)
sys.addaudithook(hook)
os.umask(0)
from codex_backend_sdk.auth import FileStore
store = FileStore({str(tmp_path / "auth.json")!r})
import threading
modes, is_finished = set(), threading.Event()
def watch():
    while not is_finished.is_set():
        for entry in os.scandir({str(tmp_path)!r}):
            try:
                modes.add(entry.stat().st_mode & 0o777)
            except FileNotFoundError:
                pass
thread = threading.Thread(target=watch)
thread.start()
for n in range(300):
    store.save({{"auth_mode": "chatgpt", "n": n}})
is_finished.set()
thread.join()
assert len(opened) == 300, len(opened)
assert all(flags & os.O_EXCL for _, _, flags in opened)
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
def test_damaged_file_raises_and_is_kept(tmp_path: Path, content: str) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text(content)
    for call in (store.load, lambda: store.save(DOCUMENT)):
        with pytest.raises(CredentialStoreError, match=r"auth\.json is not a valid auth\.json: .*force=True"):
            call()
    assert store.path.read_text() == content
    assert os.listdir(tmp_path) == ["auth.json"]


def test_partially_written_file_is_read_again(tmp_path: Path) -> None:
    """The Codex CLI truncates the file and rewrites it."""
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text('{"auth_mode": "cha')
    threading.Timer(0.01, lambda: store.path.write_text(json.dumps(DOCUMENT))).start()
    assert store.load() == DOCUMENT


def test_folder_with_the_name_of_the_file_raises(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for call in (store.load, lambda: store.save(DOCUMENT), store.clear):
        with pytest.raises(CredentialStoreError, match=str(tmp_path)):
            call()


def test_file_with_the_name_of_the_folder_raises(tmp_path: Path) -> None:
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


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder in which root cannot create files")
def test_lock_without_a_lock_file_logs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A login on a read-only file system is usable without a lock file."""
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


def test_lock_is_released_when_its_holder_is_killed(tmp_path: Path) -> None:
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
    short_timeout = FileStore(tmp_path / "auth.json", lock_timeout=0.1)
    with (
        pytest.raises(CredentialStoreError, match=r"after 0\.1 seconds waiting for the lock .*auth\.json\.lock"),
        short_timeout.lock(),
    ):
        pass
    process.kill()
    process.communicate()
    assert entered.wait(5)
    thread.join()


READER = """
import json, sys
path, reads, lengths = sys.argv[1], 0, set()
print("ready", flush=True)
while True:
    with open(path, "rb") as file:  # raises FileNotFoundError if the file is missing
        document = json.loads(file.read())  # raises JSONDecodeError if the file is incomplete
    assert document["x"] == "x" * document["length"]
    reads += 1
    lengths.add(document["length"])
    if document["is_last"]:
        break
print(reads, *sorted(lengths))
"""


def test_reader_never_sees_a_partial_file(tmp_path: Path) -> None:
    """The reader does not use FileStore, which would read an incomplete file again.

    Set `CODEX_TEST_WRITES=10000` for the long run.
    """
    writes = int(os.environ.get("CODEX_TEST_WRITES", "300"))
    store = FileStore(tmp_path / "auth.json")

    def save(length: int, *, is_last: bool = False) -> None:
        store.save({"auth_mode": "chatgpt", "length": length, "x": "x" * length, "is_last": is_last})

    save(5)
    command = [sys.executable, "-c", READER, str(store.path)]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    for number in range(writes):
        save(50_000 if number % 2 else 5)
        assert reader.poll() is None, reader.communicate()
    save(7, is_last=True)
    out, err = reader.communicate(timeout=20)
    assert err == ""
    reads, *lengths = map(int, out.split())
    sys.stdout.write(f"{writes} writes, {reads} reads by another process, no missing or incomplete file\n")
    assert reads > writes // 10
    assert lengths == [5, 7, 50_000]
    assert os.listdir(tmp_path) == ["auth.json"], "no temporary file is left"
