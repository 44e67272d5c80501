"""Test the journal of a batch: groups, errors of the disk, torn tails, and files that are something else."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk import JournalError
from codex_backend_sdk.batch.batch_journal import BatchJournal
from codex_backend_sdk.conversation.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

LINE: dict[str, Any] = {"custom_id": "a", "response": {"status_code": 200, "body": {}}, "error": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batch.journal"


def test_records_are_read_in_order(path: Path) -> None:
    journal = BatchJournal.open(path)
    for number in range(100):
        journal.add(f"{number}", number, {**LINE, "n": number}, is_final=number % 2 == 0)
    journal.close()
    journal = BatchJournal.open(path)
    found = list(journal.finished_lines())
    assert [(line.custom_id, line.request_hash, line.is_final) for line in found] == [
        (f"{number}", number, number % 2 == 0) for number in range(100)
    ]
    assert [journal.line_at(line.position)["n"] for line in found] == list(range(100))
    journal.close()


def test_flush_waits_for_the_disk(path: Path) -> None:
    journal = BatchJournal.open(path)
    journal.add("a", 1, LINE, is_final=True)
    journal.flush()
    assert path.read_bytes().count(b"\n") == 2
    journal.close()


def test_records_of_many_threads_are_written_in_groups(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    sync = os.fsync
    journal = BatchJournal.open(path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: (syncs.append(descriptor), sync(descriptor)))

    def add(first: int) -> None:
        for number in range(first, first + 100):
            journal.add(f"{number}", number, LINE, is_final=True)

    threads = [threading.Thread(target=add, args=(100 * n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert path.read_bytes().count(b"\n") == 501
    assert len(syncs) < 100


def test_full_disk_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = BatchJournal.open(path)

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    journal.add("a", 1, LINE, is_final=True)
    with pytest.raises(JournalError, match="Free space"):
        journal.flush()
    with pytest.raises(JournalError, match="Free space"):
        journal.add("b", 1, LINE, is_final=True)
    monkeypatch.undo()
    journal.close()
    assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_torn_tail_is_removed(path: Path, cut: int) -> None:
    journal = BatchJournal.open(path)
    for custom_id in "ab":
        journal.add(custom_id, 1, {**LINE, "text": "é" * 20}, is_final=True)
    journal.close()
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    journal = BatchJournal.open(path)
    journal.add("c", 1, LINE, is_final=True)
    journal.close()
    journal = BatchJournal.open(path)
    # Only the newline was cut off: the record is whole.
    assert [line.custom_id for line in journal.finished_lines()] == (["a", "b", "c"] if cut == 1 else ["a", "c"])
    journal.close()


def test_interrupted_creation_is_repeated(path: Path) -> None:
    path.write_bytes(b'{"journal":"codex-ba')
    journal = BatchJournal.open(path)
    assert list(journal.finished_lines()) == []
    journal.close()


@pytest.mark.parametrize("content", [b"custom_id,text\n", b'{"custom_id": "a"}\n'])
def test_other_file_is_refused_and_kept(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(JournalError, match="not a saved conversation or the journal of a batch"):
        BatchJournal.open(path)
    assert path.read_bytes() == content


def test_conversation_is_refused(path: Path) -> None:
    Journal.create(path, {}).close()
    with pytest.raises(JournalError, match="is not the journal of a batch"):
        BatchJournal.open(path)
    Journal.open(path).close()  # it is not locked


def test_record_after_close_is_dropped(path: Path) -> None:
    journal = BatchJournal.open(path)
    journal.close()
    journal.add("a", 1, LINE, is_final=True)
    assert path.read_bytes().count(b"\n") == 1


def test_records_of_another_form_are_left_out(path: Path) -> None:
    with Journal.create(path, {"kind": "batch"}) as journal:
        records = [{"summary": 1}, {"id": "a", "hash": "ff", "final": True, "line": LINE}]
        damaged = [{"hash": value} for value in ("zz", "-1", "", "f" * 17, 255)]
        damaged += [{"line": value} for value in ({}, [], {"error": 5}, {"response": 7}, {"error": None})]
        journal.append_many([*records, *({**records[1], "id": "b", **damage} for damage in damaged)])
    batch_journal = BatchJournal.open(path)
    assert [line.custom_id for line in batch_journal.finished_lines()] == ["a"]
    batch_journal.close()
