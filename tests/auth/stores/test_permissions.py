"""Test the warnings for permissions that let other users read or replace a stored login."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk import CredentialStoreError
from codex_backend_sdk.auth import FileStore
from codex_backend_sdk.auth.stores.permissions import access_problems

if TYPE_CHECKING:
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes exist on POSIX only")


def write_login(folder: Path, sim: Simulator, *, file_mode: int = 0o600, folder_mode: int = 0o700) -> Path:
    file = folder / "home" / "auth.json"
    FileStore(file).save(sim.login_document())
    file.chmod(file_mode)
    file.parent.chmod(folder_mode)
    return file


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "expected"),
    [
        (0o600, 0o700, []),
        (0o400, 0o755, []),
        (0o600, 0o1777, []),
        (0o644, 0o755, ["can access"]),
        (0o640, 0o700, ["can access"]),
        (0o660, 0o700, ["can read and change"]),
        (0o602, 0o700, ["can read and change"]),
        (0o600, 0o777, ["can replace"]),
        (0o600, 0o702, ["can replace"]),
        (0o666, 0o777, ["can read and change", "can replace"]),
    ],
)
def test_modes_are_warned_about_once(
    tmp_path: Path,
    sim: Simulator,
    caplog: pytest.LogCaptureFixture,
    file_mode: int,
    folder_mode: int,
    expected: list[str],
) -> None:
    file = write_login(tmp_path, sim, file_mode=file_mode, folder_mode=folder_mode)
    with caplog.at_level(logging.WARNING, "codex_backend_sdk"):
        for _ in range(2):
            assert FileStore(file).load() is not None
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == len(expected)
    for text, part in zip(texts, expected, strict=True):
        assert text.startswith(f"Other users {part} ")
        assert "Run `chmod " in text


def test_link_is_checked_at_both_ends(tmp_path: Path, sim: Simulator) -> None:
    target = write_login(tmp_path, sim, file_mode=0o604)
    link = tmp_path / "linked" / "auth.json"
    link.parent.mkdir()
    link.symlink_to(target)
    link.parent.chmod(0o777)
    assert [problem.remedy for problem in access_problems(link)] == [
        f"Run `chmod 600 {target.resolve()}`.",
        f"Run `chmod go-w {link.parent}`.",
    ]


def test_missing_file_in_an_open_folder_is_a_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert len(access_problems(tmp_path / "auth.json")) == 1
    assert access_problems(tmp_path / "missing" / "auth.json") == []


def test_group_of_other_users_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grp = pytest.importorskip("grp")
    own = grp.getgrgid(os.getgid())
    tmp_path.chmod(0o770)
    members = [*own.gr_mem, "somebody-else"]
    monkeypatch.setattr(grp, "getgrgid", lambda gid: type(own)((own.gr_name, "x", gid, members)))
    assert len(access_problems(tmp_path / "auth.json")) == 1
    monkeypatch.setattr(grp, "getgrgid", lambda gid: {}[gid])  # a group without a name
    assert len(access_problems(tmp_path / "auth.json")) == 1


OTHER_USER, THIRD_USER = 61001, 61002
only_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can change owners")


@only_root
@pytest.mark.parametrize("content", ["", "{}", "a login"])
@pytest.mark.parametrize(
    ("folder_owner", "folder_mode", "is_refused"),
    [
        (0, 0o1777, True),
        (0, 0o755, True),
        (OTHER_USER, 0o777, True),
        (THIRD_USER, 0o700, True),
        (OTHER_USER, 0o755, False),
    ],
)
def test_login_is_not_written_to_the_file_of_another_user(
    tmp_path: Path, sim: Simulator, content: str, folder_owner: int, folder_mode: int, is_refused: bool
) -> None:
    """Another user could have created the file in order to read the login."""
    file = write_login(tmp_path, sim, folder_mode=folder_mode)
    if content != "a login":
        file.write_text(content)
    before = file.read_bytes()
    os.chown(file, OTHER_USER, OTHER_USER)
    os.chown(file.parent, folder_owner, folder_owner)
    store = FileStore(file)
    if is_refused:
        with pytest.raises(CredentialStoreError, match=rf"belongs to another user \(uid {OTHER_USER}\)"):
            store.replace(sim.login_document())
        assert file.read_bytes() == before
        assert any("owns" in problem.message for problem in access_problems(file))
    else:
        store.replace(sim.login_document())
        assert store.load() is not None
        assert file.stat().st_uid == OTHER_USER
        assert access_problems(file) == []


@only_root
def test_login_is_not_written_through_a_link_to_a_foreign_file(tmp_path: Path, sim: Simulator) -> None:
    trap = tmp_path / "trap.json"
    trap.write_text("{}")
    os.chown(trap, OTHER_USER, OTHER_USER)
    (tmp_path / "auth.json").symlink_to(trap)
    with pytest.raises(CredentialStoreError, match="belongs to another user"):
        FileStore(tmp_path / "auth.json").save(sim.login_document())
    assert trap.read_text() == "{}"


@only_root
def test_refresh_may_write_to_the_file_of_another_user(tmp_path: Path, sim: Simulator) -> None:
    """Its owner could read the login that is replaced."""
    file = write_login(tmp_path, sim, folder_mode=0o755)
    os.chown(file, OTHER_USER, OTHER_USER)
    store = FileStore(file)
    with store.lock(), store.prepare_save():
        store.save(sim.login_document())
    assert file.stat().st_uid == OTHER_USER
