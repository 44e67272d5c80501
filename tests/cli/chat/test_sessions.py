"""The saved conversations: files in a folder."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk import JournalLockedError
from codex_backend_sdk.cli.chat import sessions

if TYPE_CHECKING:
    from pathlib import Path

    from codex_backend_sdk import OpenAI


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEX_BACKEND_DATA", str(tmp_path))
    return tmp_path / "conversations"


def write(folder: Path, name: str, *records: dict[str, Any], age: float = 0, parent: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    header = {"journal": "codex-backend-sdk", "version": "1.0", "id": name, "header": {}}
    if parent:
        header["parent"] = {"name": f"{parent}.jsonl", "id": parent, "records": 1}
    path = folder / f"{name}.jsonl"
    lines = (json.dumps(each, separators=(",", ":")) + "\n" for each in (header, *records))
    path.write_text("".join(lines), encoding="utf-8")
    os.utime(path, (1_800_000_000 - age, 1_800_000_000 - age))
    return path


def message(text: str) -> dict[str, Any]:
    return {"type": "item", "item": {"role": "user", "content": [{"type": "input_text", "text": text}]}}


def test_a_real_conversation_is_listed(folder: Path, client: OpenAI) -> None:
    path = sessions.new_session_path()
    with client.codex.conversation(path) as conversation:
        conversation.send("Plan a trip\nto Rome.")
        model = conversation.model
    (session,) = sessions.list_sessions()
    assert (session.id, session.path, session.title, session.model) == (
        path.stem,
        path,
        "Plan a trip to Rome.",
        model,
    )
    assert session.size_bytes == path.stat().st_size
    assert session.to_json()["id"] == session.id


def test_the_newest_conversation_is_first(folder: Path) -> None:
    write(folder, "older", age=60)
    write(folder, "newer")
    assert [each.id for each in sessions.list_sessions()] == ["newer", "older"]
    assert sessions.newest_session().id == "newer"


@pytest.mark.parametrize(
    ("records", "title"),
    [
        ([message("Hello")], "Hello"),
        ([{"type": "settings", "settings": {"model": "m"}}, message("Hi")], "Hi"),
        ([message(""), message("second")], "second"),
        ([{"type": "item", "item": {"role": "user", "content": "text"}}], "text"),
        ([message("\x1b]52;c;aGk=\x07red \x1b[31malert")], "red alert"),
        ([message("key sk-abcdefghijklmnop1234")], "key [REDACTED]"),
        ([message("x" * 100)], "x" * 59 + "…"),
        ([{"type": "item", "item": {"role": "assistant", "content": "no"}}], ""),
        ([{"type": "item", "item": {"role": "user", "content": 7}}], ""),
        ([message("Hello"), {"type": "rollback", "view": 0, "to": 0}], ""),
        ([message("Hello"), {"type": "rollback", "view": 0, "to": 0}, message("Hi")], "Hi"),
        ([message("Hello"), message("Hi"), {"type": "rollback", "view": 0, "to": 1}], "Hello"),
        ([], ""),
    ],
)
def test_title_is_the_first_message(folder: Path, records: list[dict[str, Any]], title: str) -> None:
    write(folder, "one", *records)
    assert sessions.list_sessions()[0].title == title


def test_title_of_a_fork_is_that_of_its_parent(folder: Path) -> None:
    write(folder, "parent", message("Hello"))
    write(folder, "fork", message("Later"), parent="parent")
    write(folder, "orphan", message("Alone"), parent="gone")
    write(folder, "loop", message("Loop"), parent="loop")
    titles = {each.id: each.title for each in sessions.list_sessions()}
    assert titles == {"parent": "Hello", "fork": "Hello", "orphan": "Alone", "loop": "Loop"}


def test_other_files_are_not_listed(folder: Path) -> None:
    write(folder, "one", message("Hello"))
    (folder / "notes.jsonl").write_text('{"a": 1}\n')
    (folder / "empty.jsonl").write_text("")
    (folder / "readme.txt").write_text("hello")
    (folder / "one.jsonl.lock").write_text("")
    (folder / "dir.jsonl").mkdir()
    with (folder / "one.jsonl").open("a") as file:
        file.write('{"damaged\n')
    assert [each.id for each in sessions.list_sessions()] == ["one"]


def test_a_missing_folder_has_no_conversations(folder: Path) -> None:
    assert sessions.list_sessions() == []
    with pytest.raises(ValueError, match="no saved conversation"):
        sessions.newest_session()


@pytest.mark.parametrize(("query", "found"), [("abc1", "abc1"), ("abd", "abd2"), ("trip", "trip"), ("trip-", "trip-2")])
def test_find_takes_an_id_a_name_or_a_prefix(folder: Path, query: str, found: str) -> None:
    for name in ("abc1", "abd2", "trip", "trip-2"):
        write(folder, name)
    assert sessions.find_session(query).id == found


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("ab", "2 conversations begin with 'ab': abc1, abd2. Type more"),
        ("tripp", r"no conversation 'tripp'. Did you mean 'trip'\?"),
        ("zzz", "no conversation 'zzz'. `codex-backend chat --list`"),
        ("", "no conversation ''"),
        ("\x1b[31mx", "no conversation 'x'"),
        ("../trip", "no conversation"),
    ],
)
def test_find_explains_what_does_not_fit(folder: Path, query: str, message: str) -> None:
    for name in ("abc1", "abd2", "trip"):
        write(folder, name)
    with pytest.raises(ValueError, match=message):
        sessions.find_session(query)


def test_new_ids_differ_and_a_name_is_kept(folder: Path) -> None:
    assert sessions.new_session_path() != sessions.new_session_path()
    assert sessions.new_session_path("Trip_2.b-c") == folder / "Trip_2.b-c.jsonl"
    assert sessions.session_id(sessions.new_session_path("reise-nach-köln")) == "reise-nach-köln"


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "-x", "a b", "nul", "COM1.x", "x.", "x" * 81, "x.jsonl"])
def test_invalid_names_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        sessions.new_session_path(name)


def test_a_name_in_use_is_refused(folder: Path) -> None:
    write(folder, "trip")
    with pytest.raises(ValueError, match="already"):
        sessions.new_session_path("trip")


def test_delete_keeps_the_history_of_forks(folder: Path, client: OpenAI) -> None:
    path, fork = sessions.new_session_path(), sessions.new_session_path("fork")
    with client.codex.conversation(path) as conversation:
        conversation.send("Hello")
        conversation.fork(fork).close()
    sessions.delete_session(sessions.find_session(path.stem))
    assert [each.title for each in sessions.list_sessions()] == ["Hello"]
    assert not path.exists()


def test_an_open_conversation_is_not_deleted(folder: Path, client: OpenAI) -> None:
    path = sessions.new_session_path()
    with client.codex.conversation(path) as conversation:
        conversation.send("Hello")
        with pytest.raises(JournalLockedError):
            sessions.delete_session(sessions.newest_session())
    assert path.exists()


@pytest.mark.parametrize(
    ("text", "age"),
    [("30d", timedelta(days=30)), ("12h", timedelta(hours=12)), ("2 W", timedelta(weeks=2)), ("0d", timedelta())],
)
def test_age_is_a_number_and_a_unit(text: str, age: timedelta) -> None:
    assert sessions.parse_age(text) == age


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1y", "1.5d", "9999999d"])
def test_an_invalid_age_is_explained(text: str) -> None:
    with pytest.raises(ValueError, match="for example 30d"):
        sessions.parse_age(text)
