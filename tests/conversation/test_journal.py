"""Test the file of records: what survives a crash, who may write, forks, and deletion."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk import JournalError
from codex_backend_sdk.conversation.journal import Journal

if TYPE_CHECKING:
    pass

HEADER = {"model": "gpt-x", "instructions": "Say “hi” 👋"}
RECORDS: list[dict[str, Any]] = [
    {"type": "item", "item": {"role": "user", "content": "grüße 🎉\u2028\n"}},
    {"type": "item", "item": {"nested": [1, 2.5, None, True, {"a": "b"}]}},
    {"type": "unknown to this version", "x": ""},
]
is_posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX modes and signals")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.jsonl"


def write(path: Path, *records: dict[str, Any]) -> None:
    with Journal.create(path, HEADER) as journal:
        journal.append_many(records)


def read(path: Path) -> list[dict[str, Any]]:
    return list(Journal.open(path, read_only=True).records())


def test_records_are_read_as_they_were_appended(path: Path) -> None:
    with Journal.create(path, HEADER) as journal:
        for record in RECORDS:
            journal.append(record)
        assert list(journal.records()) == RECORDS
        journal.append_many([])
    assert read(path) == RECORDS
    with Journal.open(path) as journal:
        assert journal.header == HEADER
        journal.append({"later": True})
    assert read(path) == [*RECORDS, {"later": True}]


# --- crashes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)


def test_file_is_loadable_after_a_cut_at_any_byte(path: Path, quiet: None) -> None:
    write(path, *RECORDS)
    content = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(content) if byte == ord("\n")]
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        if length < ends[0] - 1:  # a part of the header: `create` had not returned
            with pytest.raises(JournalError, match="stopped while it created the file"):
                Journal.open(path)
            continue
        # A record counts without its newline, too.
        whole = [record for record, end in zip(RECORDS, ends[1:], strict=True) if length >= end - 1]
        assert read(path) == whole
        with Journal.open(path) as journal:
            journal.append({"next": length})
        assert read(path) == [*whole, {"next": length}], length


def test_interrupted_creation_is_repeated(path: Path) -> None:
    write(path)
    content = path.read_bytes()
    for length in (0, 1, 20, len(content) - 2):
        path.write_bytes(content[:length])
        write(path, *RECORDS)
        assert read(path) == RECORDS
    with pytest.raises(FileExistsError):
        write(path)
