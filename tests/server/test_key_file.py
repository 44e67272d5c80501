"""The key of the server: its file, its variable, and files that must not be used."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk.server import key_file
from codex_backend_sdk.server.key_file import load_key

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEX_BACKEND_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("CODEX_SERVER_KEY", raising=False)
    return tmp_path / "data"


def test_key_is_made_once_and_private(folder: Path) -> None:
    first, second = load_key(), load_key()
    assert (first.is_new, second.is_new) == (True, False)
    assert first.value == second.value == (folder / "server_key").read_text().strip()
    assert first.value.startswith("sk-codex-")
    assert len(first.value) > 40
    if os.name == "posix":
        assert (folder / "server_key").stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700


def test_new_key_replaces_the_old_one(folder: Path) -> None:
    old, new = load_key(), load_key(replaces=True)
    assert new.is_new
    assert new.value != old.value
    assert load_key().value == new.value
    assert os.listdir(folder) == ["server_key"]


def test_new_key_repairs_an_unusable_file(folder: Path) -> None:
    load_key()
    (folder / "server_key").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"is damaged.*--new-key"):
        load_key()
    assert load_key(replaces=True).value == load_key().value


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_key_that_others_could_read_is_not_used(folder: Path, mode: int) -> None:
    load_key()
    (folder / "server_key").chmod(mode)
    with pytest.raises(ValueError, match=r"readable by other users.*--new-key"):
        load_key()
    new = load_key(replaces=True)
    assert new.path is not None
    assert new.path.stat().st_mode & 0o777 == 0o600


def test_key_is_not_in_the_representation(folder: Path) -> None:
    key = load_key()
    assert key.value not in repr(key)


def test_servers_that_start_together_share_the_key(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load_key(), range(8)))
    assert len({key.value for key in keys}) == 1
    assert sum(key.is_new for key in keys) == 1


def test_variable_replaces_the_file(folder: Path) -> None:
    key = load_key(environ={"CODEX_SERVER_KEY": "a-key-of-my-own-1234"})
    assert (key.value, key.path, key.is_new) == ("a-key-of-my-own-1234", None, False)
    assert not folder.exists()


@pytest.mark.parametrize("value", ["", "short", "with a space in between", "ümläute-sind-nicht-ascii", "x" * 513])
def test_unusable_variable_is_an_error(folder: Path, value: str) -> None:
    with pytest.raises(ValueError, match="CODEX_SERVER_KEY is not a usable key") as caught:
        load_key(environ={"CODEX_SERVER_KEY": value})
    assert not value or value not in str(caught.value)


def test_variable_cannot_be_replaced(folder: Path) -> None:
    with pytest.raises(ValueError, match="Unset it"):
        load_key(environ={"CODEX_SERVER_KEY": "a-key-of-my-own-1234"}, replaces=True)


@pytest.mark.skipif(os.name != "posix", reason="needs links and devices")
@pytest.mark.parametrize("kind", ["folder", "device", "loop", "unreadable"])
def test_file_that_cannot_be_read_has_a_remedy(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    load_key()
    path = folder / "server_key"
    if kind == "unreadable":

        def refuse(path: Path) -> bytes:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(key_file, "read_regular_file", refuse)
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero" if kind == "device" else path)
    with pytest.raises(ValueError, match="Remove it"):
        load_key()
