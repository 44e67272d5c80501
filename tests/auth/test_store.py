from __future__ import annotations

import json
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk._errors import CredentialStoreError
from codex_backend_sdk.auth import CredentialStore, FileStore, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT = {"auth_mode": "chatgpt", "tokens": {"access_token": "secret-token"}, "of_the_future": {"n": 1}}
posix = pytest.mark.skipif(os.name == "nt", reason="modes and symlinks as POSIX has them")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CredentialStore:
    made: dict[str, Callable[[], CredentialStore]] = {
        "file": lambda: FileStore(tmp_path / "auth.json"),
        "memory": MemoryStore,
    }
    return made[request.param]()


def test_what_is_saved_is_loaded_until_it_is_cleared(store: CredentialStore) -> None:
    assert store.load() is None
    assert store.clear() is False
    store.save(DOCUMENT)
    assert store.load() == DOCUMENT
    assert store.clear() is True
    assert store.load() is None
    assert isinstance(store, CredentialStore)


def test_the_version_changes_with_the_document_only(store: CredentialStore) -> None:
    empty = store.version()
    store.save(DOCUMENT)
    first = store.version()
    assert first == store.version()
    store.save({**DOCUMENT, "of_the_future": 2})
    second = store.version()
    store.clear()
    assert len({empty, first, second}) == 3
    assert store.version() not in (first, second)


def test_the_lock_excludes_other_threads(store: CredentialStore) -> None:
    inside, worst = 0, 0

    def work() -> None:
        nonlocal inside, worst
        for _ in range(5):
            with store.lock():
                inside += 1
                worst = max(worst, inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1


def test_no_store_shows_a_token(store: CredentialStore) -> None:
    store.save(DOCUMENT)
    assert "secret-token" not in repr(store) + store.location


def test_memory_keeps_a_copy() -> None:
    document: dict[str, Any] = {"tokens": {"access_token": "a"}}
    store = MemoryStore(document)
    document["tokens"]["access_token"] = "b"
    loaded = store.load()
    assert loaded == {"tokens": {"access_token": "a"}}
    loaded["tokens"]["access_token"] = "c"
    assert store.load() == {"tokens": {"access_token": "a"}}


def test_the_default_file_is_the_one_of_the_codex_cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    assert FileStore().path == tmp_path / "auth.json"
    monkeypatch.setenv("CODEX_HOME", "")
    assert FileStore().path == Path.home() / ".codex" / "auth.json"
    monkeypatch.delenv("CODEX_HOME")
    assert FileStore().path == Path.home() / ".codex" / "auth.json"
    assert FileStore("~/x/auth.json").path == Path.home() / "x" / "auth.json"


@posix
def test_file_and_folder_are_the_owners_alone(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "home" / "auth.json")
    with store.lock():
        store.save(DOCUMENT)
    assert [mode(path) for path in (store.path, store.path.parent, tmp_path / "home" / "auth.json.lock")] == [
        0o600,
        0o700,
        0o600,
    ]


@posix
def test_a_file_that_others_could_read_becomes_the_owners_alone(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text("{}")
    store.path.chmod(0o644)
    store.save(DOCUMENT)
    assert mode(store.path) == 0o600


@posix
def test_no_file_is_ever_readable_by_others(tmp_path: Path) -> None:
    """Under a watch of the system calls: each file that is created has its mode from the first byte."""
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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout, done.stderr) == ("['0o600']\n", "")


@posix
def test_a_symlink_is_followed_and_kept(tmp_path: Path) -> None:
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
def test_a_damaged_or_foreign_file_is_named_and_left_alone(tmp_path: Path, content: str) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text(content)
    for call in (store.load, lambda: store.save(DOCUMENT)):
        with pytest.raises(CredentialStoreError, match=r"auth\.json is not a usable auth\.json: .*force=True"):
            call()
    assert store.path.read_text() == content
    assert os.listdir(tmp_path) == ["auth.json"]


def test_a_damaged_file_can_be_cleared(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text("{")
    assert store.clear() is True
    store.save(DOCUMENT)
    assert store.load() == DOCUMENT


def test_a_file_that_is_being_rewritten_in_place_is_read_again(tmp_path: Path) -> None:
    """The Codex CLI truncates the file and writes it anew."""
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text('{"auth_mode": "cha')
    threading.Timer(0.01, lambda: store.path.write_text(json.dumps(DOCUMENT))).start()
    assert store.load() == DOCUMENT


def test_a_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for call in (store.load, lambda: store.save(DOCUMENT), store.clear):
        with pytest.raises(CredentialStoreError, match=str(tmp_path)):
            call()


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    store = FileStore(tmp_path / "home" / "auth.json")
    with pytest.raises(CredentialStoreError, match="Cannot lock"), store.lock():
        pass
    with pytest.raises(CredentialStoreError, match="Cannot"):
        store.save(DOCUMENT)
    assert store.version() is None


@posix
def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.startswith(f"CredentialStoreError Cannot write {store.path}: ")
    assert store.load() == DOCUMENT
    assert os.listdir(tmp_path) == ["auth.json"]


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="a folder where not even root may make files")
def test_where_no_lock_file_can_be_made_there_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A login that is mounted read-only is still of use to one process."""
    store = FileStore("/sys/kernel/auth.json")
    with store.lock():
        assert store.load() is None
    with pytest.raises(CredentialStoreError, match=r"Cannot write /sys/kernel/auth\.json: "):
        store.save(DOCUMENT)
    assert "other processes are not kept apart" in caplog.text


def hold_lock(path: str, held: Any, over: Any) -> None:
    with FileStore(path).lock():
        held.set()
        over.wait(30)


def test_the_lock_excludes_other_processes_and_dies_with_its_owner(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    held, over = spawn.Event(), spawn.Event()
    process = spawn.Process(target=hold_lock, args=(str(tmp_path / "auth.json"), held, over))
    process.start()
    assert held.wait(30)
    entered = threading.Event()

    def enter() -> None:
        with FileStore(tmp_path / "auth.json").lock():
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.3)
    impatient = FileStore(tmp_path / "auth.json", lock_timeout=0.1)
    with pytest.raises(CredentialStoreError, match=r"held .*auth\.json\.lock for 0\.1 seconds"), impatient.lock():
        pass
    process.kill()
    process.join()
    assert entered.wait(5)
    thread.join()


def test_a_reader_never_meets_a_torn_file(tmp_path: Path) -> None:
    """Read past the store, which would look again: the bytes themselves are whole at every moment."""
    store = FileStore(tmp_path / "auth.json")
    store.save(DOCUMENT)
    over = threading.Event()
    lengths: set[int] = set()

    def read() -> None:
        while not over.is_set():
            lengths.add(len(json.loads(store.path.read_bytes())["x"] if lengths else "x" * 5))

    store.save({"auth_mode": "chatgpt", "x": "x" * 5})
    thread = threading.Thread(target=read)
    thread.start()
    for n in range(400):
        store.save({"auth_mode": "chatgpt", "x": "x" * (50_000 if n % 2 else 5)})
    over.set()
    thread.join()
    assert lengths == {5, 50_000}


def test_signing_in_does_not_need_the_official_package() -> None:
    """Half a second for a command that only wants to look at the stored login."""
    program = "import sys, codex_backend_sdk.auth; print('openai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == "False\n"
