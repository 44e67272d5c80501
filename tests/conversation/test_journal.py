"""Test the file of records: what survives a crash, who may write, forks, and deletion."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import stat
import subprocess
import sys
import textwrap
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk import JournalError, JournalLockedError
from codex_backend_sdk.conversation.journal import Journal, delete, forks_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGE_BYTES = b"\x89PNG" + bytes(range(256)) * 20
IMAGE = "data:image/png;base64," + base64.b64encode(IMAGE_BYTES).decode()
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


def run_python(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@contextmanager
def start_python(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


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
    assert read(path) == RECORDS


@pytest.mark.parametrize(
    ("tail", "is_kept"),
    [
        (b'{"n":1}', True),
        (b'{"n":1', False),
        (b'"text"', False),
        ('{"n":"\N{PARTY POPPER}'.encode()[:-1], False),
        (b"\0" * 5000, False),  # some file systems fill a block with zeros after a power failure
        (b'{"n":"' + b"x" * 200_000, False),
        (b'{"n":"' + b"x" * 200_000 + b'"}', True),
    ],
    ids=["whole", "cut", "no object", "cut character", "zeros", "long", "long and whole"],
)
def test_torn_tail_is_repaired(tail: bytes, is_kept: bool, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, *RECORDS)
    before = path.read_bytes()
    path.write_bytes(before + tail)
    Journal.open(path).close()
    assert path.read_bytes() == (before + tail + b"\n" if is_kept else before)
    warning = f"Removed the last {len(tail)} bytes of {path}: a crash cut this record off."
    assert caplog.messages == ([] if is_kept else [warning])


@pytest.mark.parametrize("damage", [b"{", b"\xff\xfe", b"", b"[1]", b"\0\0", b"null"])
def test_damaged_line_is_skipped_with_a_warning(damage: bytes, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, *RECORDS)
    header, first, *others = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([header, first, damage + b"\n", *others]))
    assert read(path) == RECORDS
    assert caplog.messages == [f"Skipped line 3 of {path}: it is damaged. The other records were read."]


# A process forks writers. Each appends records, and confirms each one through a pipe when `append` has returned. It is
# killed after some confirmations, at a random moment. Then every confirmed record must be in the file.
KILL_WRITERS = r"""
import base64, json, os, random, signal, sys, time
from codex_backend_sdk.conversation.journal import Journal

path, rounds, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(seed)
image = "data:image/png;base64," + base64.b64encode(random.randbytes(6000)).decode()
acknowledged, torn, number = 0, 0, 0
for round_number in range(rounds):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        journal = Journal.open(path) if os.path.exists(path) else Journal.create(path, {})
        os.write(writer, b"o")
        while True:
            number += 1
            journal.append({"n": number, "text": "x" * random.choice([1, 1000, 200_000]), "url": image})
            os.write(writer, b"r")
    os.close(writer)
    wanted = random.randrange(1, 6)
    received = b""
    while len(received) < wanted:
        received += os.read(reader, wanted - len(received))
    time.sleep(random.random() * 0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while data := os.read(reader, 4096):
        received += data
    os.close(reader)
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        torn += file.read(1) != b"\n"
    number += received.count(b"r")
    with Journal.open(path) as journal:
        records = list(journal.records())
    assert [record["n"] for record in records] in (list(range(1, number + 1)), list(range(1, number + 2))), records[-2:]
    assert all(record["url"] == image for record in records)
    number = len(records)
    acknowledged += received.count(b"r")
print(json.dumps({"acknowledged": acknowledged, "torn": torn, "files": sorted(os.listdir(os.path.dirname(path)))}))
"""


@is_posix
def test_acknowledged_records_survive_fifty_kills(path: Path) -> None:
    result = run_python(KILL_WRITERS, path, 50, 20261128)
    summary = json.loads(result)
    assert summary["acknowledged"] >= 50
    assert summary["files"] == ["chat.jsonl", "chat.jsonl.blobs"]


def test_failed_append_leaves_no_trace(path: Path) -> None:
    pytest.importorskip("resource")
    code = """
    import resource, signal, sys
    from codex_backend_sdk import JournalError
    from codex_backend_sdk.conversation.journal import Journal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    journal = Journal.create(sys.argv[1], {})
    journal.append({"n": 1})
    before = open(sys.argv[1], "rb").read()
    _, hard_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard_limit))
    try:
        journal.append_many([{"n": 2}, {"n": "x" * 1000}])
    except JournalError as error:
        print(error)
    assert open(sys.argv[1], "rb").read() == before
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard_limit, hard_limit))
    journal.append({"n": 3})
    print([record["n"] for record in journal.records()])
    journal.close()
    """
    error, records = run_python(code, path).splitlines()
    assert error == f"Cannot use {path}: File too large. Check the file, its folder and its disk."
    assert records == "[1, 3]"


def test_invalid_record_is_not_written(path: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(250):
        deep = {"deeper": deep}
    with Journal.create(path, HEADER) as journal:
        for invalid, error in ((deep, ValueError), ({"x": object()}, TypeError), ([1], TypeError)):
            with pytest.raises(error):
                journal.append_many([{"n": 1}, invalid])  # type: ignore[list-item]
        journal.append({"lone surrogate": "\ud800", "number": 1e300})
    assert read(path) == [{"lone surrogate": "\ud800", "number": 1e300}]


def test_threads_append_whole_records(path: Path) -> None:
    with Journal.create(path, HEADER) as journal, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: journal.append({"n": number, "text": "x" * 10_000}), range(40)))
    assert sorted(record["n"] for record in read(path)) == list(range(40))


def test_records_are_streamed(path: Path) -> None:
    with Journal.create(path, HEADER) as journal:
        journal.append_many({"n": number, "text": "x" * 100_000} for number in range(300))
    tracemalloc.start()
    try:
        assert sum(1 for _ in Journal.open(path, read_only=True).records()) == 300
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


# --- one writer ------------------------------------------------------------------------------------------------------


def test_second_writer_is_refused_with_ways_out(path: Path) -> None:
    with Journal.create(path, HEADER) as journal:
        journal.append(RECORDS[0])
        message = rf"{path} is open for writing in this process\. .*read_only=True\)\.fork\(new_path\)`"
        with pytest.raises(JournalLockedError, match=message) as error:
            Journal.open(path)
        assert error.value.pid == os.getpid()
        with Journal.open(path, read_only=True) as reader:
            assert reader.is_read_only
            assert list(reader.records()) == RECORDS[:1]
            with pytest.raises(JournalError, match="read_only=True"):
                reader.append({})
            with reader.fork(path.with_name("fork.jsonl"), {}) as fork:
                fork.append(RECORDS[1])
        journal.append(RECORDS[2])
    assert read(path.with_name("fork.jsonl")) == RECORDS[:2]
    assert sorted(os.listdir(path.parent)) == ["chat.jsonl", "fork.jsonl"]


HOLD = """
    import os, sys
    from codex_backend_sdk.conversation.journal import Journal

    journal = Journal.open(sys.argv[1])
    if sys.argv[2] == "fork" and os.fork() == 0:
        try:
            journal.append({})
        except Exception as error:
            os.write(1, f"{type(error).__name__} {'is a fork' in str(error)}\\n".encode())
        journal.close()
        sys.stdin.read()
        os._exit(0)
    os.write(1, b"open\\n")
    sys.stdin.read()
"""


@is_posix
@pytest.mark.parametrize("mode", ["alone", "fork"])
def test_killed_writer_releases_the_file(mode: str, path: Path) -> None:
    write(path, *RECORDS)
    with start_python(HOLD, path, mode) as process:
        assert process.stdout is not None
        lines = {process.stdout.readline() for _ in range(2 if mode == "fork" else 1)}
        assert lines == {"open\n"} | ({"JournalError True\n"} if mode == "fork" else set())
        with pytest.raises(JournalLockedError, match=f"in process {process.pid}") as error:
            Journal.open(path)
        assert error.value.pid == process.pid
        process.kill()
        process.wait(30)
        with Journal.open(path) as journal:  # also while a fork of the killed process is running
            journal.append({"after": "the kill"})
    assert read(path) == [*RECORDS, {"after": "the kill"}]


def test_writer_is_found_through_a_link(path: Path) -> None:
    link = path.with_name("link.jsonl")
    with Journal.create(path, HEADER):
        link.symlink_to(path)
        with pytest.raises(JournalLockedError):
            Journal.open(link)
    with Journal.open(link) as journal:
        assert journal.path == path
        with pytest.raises(JournalLockedError):
            Journal.open(path)


def test_closed_journal_is_not_written(path: Path) -> None:
    with Journal.create(path, HEADER) as journal:
        pass
    journal.close()
    with pytest.raises(JournalError, match="is closed"):
        journal.append({})
    assert os.listdir(path.parent) == ["chat.jsonl"]


@is_posix
def test_deleted_file_is_not_written(path: Path) -> None:
    with Journal.create(path, HEADER) as journal:
        path.unlink()
        with pytest.raises(JournalError, match="was deleted or replaced while it was open"):
            journal.append({})


# --- places ----------------------------------------------------------------------------------------------------------


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@is_posix
def test_files_and_new_folders_are_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "new" / "folder" / "chat.jsonl"
    with Journal.create(path, HEADER) as journal:
        journal.append({"url": IMAGE})
        files = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert len(files) == 3
        assert {mode_of(file) for file in files} == {0o600}
        assert {mode_of(file) for file in tmp_path.rglob("*") if file.is_dir()} == {0o700}
    assert mode_of(tmp_path) == 0o755


@is_posix
def test_open_file_mode_is_warned_about(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path)
    path.chmod(0o644)
    Journal.open(path, read_only=True).close()
    assert caplog.messages == []
    Journal.open(path).close()
    message = f"Other users can access {path} (mode 0644). Run `chmod 600 {path}`."
    assert caplog.messages == [message]


@is_posix
@pytest.mark.skipif(os.name != "nt" and os.geteuid() != 0, reason="needs root, who can change owners")
def test_file_of_another_user_is_not_written(path: Path) -> None:
    write(path, *RECORDS)
    os.chown(path, 12345, 12345)
    with pytest.raises(JournalError, match=r"Another user \(uid 12345\) owns"):
        Journal.open(path)
    assert read(path) == RECORDS


@is_posix
@pytest.mark.timeout(20)
@pytest.mark.parametrize("planted", ["link", "dangling link", "FIFO", "folder"])
@pytest.mark.parametrize("suffix", ["", ".lock", ".blobs"])
def test_planted_file_is_not_used(planted: str, suffix: str, path: Path, tmp_path: Path) -> None:
    if (suffix, planted) == (".blobs", "folder"):
        return  # that is what it should be
    if suffix:
        write(path, *RECORDS)
    target = tmp_path / "other"
    place = path.with_name(path.name + suffix)
    if planted == "link":
        target.mkdir() if suffix == ".blobs" else target.write_text("content")
    if planted == "FIFO":
        os.mkfifo(place)
    elif planted == "folder":
        place.mkdir()
    else:
        place.symlink_to(target)

    def append() -> None:
        with Journal.open(path) if suffix else Journal.create(path, HEADER) as journal:
            journal.append({"url": IMAGE})

    with pytest.raises((JournalError, FileExistsError)):
        append()
    assert os.path.lexists(place)
    assert not target.exists() if planted == "dangling link" else True
    if planted == "link":
        assert target.read_text() == "content" if target.is_file() else os.listdir(target) == []
    if suffix:
        assert read(path) == RECORDS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no records: the program was stopped"),
        (b"export PATH=x\n", "is not a saved conversation"),
        (b'{"type":"session_meta"}\n{}\n', "is not a saved conversation"),
        (
            b'{"journal":"codex-backend-sdk","version":"2.0"}\n',
            r"format version '2\.0', and this release .* reads 1\.x",
        ),
        (b'{"journal":"codex-backend-sdk","version":null}\n', "format version 'None'"),
        (b'{"journal":"codex-backend-sdk",\n{}\n', "first line is damaged"),
    ],
    ids=range(6),
)
def test_other_file_is_refused_unchanged(content: bytes, message: str, path: Path) -> None:
    path.write_bytes(content + b"no newline")
    if not content:
        path.write_bytes(content)
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(JournalError, match=message):
            Journal.open(path, read_only=read_only)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["chat.jsonl"]


def test_missing_file_raises_file_not_found(path: Path) -> None:
    for function in (Journal.open, delete):
        with pytest.raises(FileNotFoundError):
            function(path)
    assert os.listdir(path.parent) == []


def test_newer_minor_version_is_read_and_continued(path: Path) -> None:
    write(path, *RECORDS)
    first, rest = path.read_bytes().split(b"\n", 1)
    newer = first.replace(b'"1.0"', b'"1.7"').replace(b'"header":', b'"new member":{"x":1},"header":')
    path.write_bytes(newer + b"\n" + rest)
    with Journal.open(path) as journal:
        assert journal.version == "1.7"
        assert journal.header == HEADER
        journal.append({"n": 1})
    assert path.read_bytes() == newer + b"\n" + rest + b'{"n":1}\n'


# --- redaction -------------------------------------------------------------------------------------------------------


def redact(record: dict[str, Any]) -> dict[str, Any]:
    return {name: "[REDACTED]" if name == "secret" else value for name, value in record.items()}


def test_redacted_members_reach_no_file(path: Path) -> None:
    with Journal.create(path, {"secret": "hunter2"}, redact=redact) as journal:
        journal.append({"secret": "hunter2", "n": 1})
        with journal.fork(path.with_name("fork.jsonl"), {"secret": "hunter2"}) as fork:
            fork.append({"secret": "hunter2", "n": 2})
    with Journal.open(path, redact=redact) as journal:
        journal.append({"secret": "hunter2", "n": 3})
    assert [record["secret"] for record in read(path)] == ["[REDACTED]"] * 2
    assert all(b"hunter2" not in file.read_bytes() for file in path.parent.iterdir())


def test_redaction_must_return_a_record(path: Path) -> None:
    def incomplete(record: dict[str, Any]) -> Any:
        return record if record == HEADER else None

    with (
        Journal.create(path, HEADER, redact=incomplete) as journal,
        pytest.raises(TypeError, match="Check the function `redact`"),
    ):
        journal.append({})


# --- images ----------------------------------------------------------------------------------------------------------


def test_image_is_stored_once(path: Path) -> None:
    items = [{"content": [{"type": "input_image", "image_url": IMAGE}]}, {"output": [{"image_url": IMAGE}]}]
    generated = {"type": "image_generation_call", "result": IMAGE.partition(",")[2]}
    write(path, *items, generated)
    (blob,) = path.with_name("chat.jsonl.blobs").iterdir()
    assert blob.read_bytes() == IMAGE_BYTES
    assert blob.name == f"{hashlib.sha256(IMAGE_BYTES).hexdigest()}.png"
    assert path.stat().st_size < 1500
    assert read(path) == [*items, generated]
    references = list(Journal.open(path, read_only=True).records(with_blobs=False))
    assert references[2] == {**generated, "result": {"$blob": blob.name, "before": ""}}


@pytest.mark.parametrize(
    "record",
    [
        {"url": "data:image/png;base64," + base64.b64encode(b"x" * 3000).decode()},
        {"url": "data:image/png;base64," + "=" * 5000},
        {"url": "data:image/png;base64," + base64.b64encode(b"x" * 5000).decode() + "\n"},
        {"url": "data:text/plain," + "x" * 5000},
        {"url": " " + "data:image/png;base64," + "A" * 5000},
        {"type": "image_generation_call", "result": "not base64 " * 1000},
        {"type": "image_generation_call", "result": None},
        {"$blob": "0" * 64 + ".png", "before": ""},
        {"$literal": {"$blob": "x"}, "list": [{"$blob": 1}]},
    ],
    ids=range(9),
)
def test_other_text_is_kept_as_it_is(record: dict[str, Any], path: Path) -> None:
    write(path, record)
    assert not path.with_name("chat.jsonl.blobs").exists()
    assert read(path) == [record]


@pytest.mark.parametrize("damage", ["missing", "changed", "no folder"])
def test_missing_image_becomes_a_text(damage: str, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = {"type": "input_image", "image_url": IMAGE}
    write(path, {"item": {"content": [{"type": "input_text"}, image]}}, {"item": {"result": IMAGE}}, {"n": 1})
    (blob,) = path.with_name("chat.jsonl.blobs").iterdir()
    blob.write_bytes(b"x") if damage == "changed" else blob.unlink()
    if damage == "no folder":
        blob.parent.rmdir()
    text = {"type": "input_text", "text": f"[missing file: {blob.name}]"}
    assert read(path) == [
        {"item": {"content": [{"type": "input_text"}, text]}},
        {"item": {"result": "data:image/png;base64,"}},
        {"n": 1},
    ]
    assert f"Cannot read {blob.name} in {blob.parent}" in caplog.text


def test_planted_reference_reads_no_other_file(path: Path) -> None:
    write(path, {"n": 1})
    (path.parent / "secret.txt").write_text("secret")
    with path.open("ab") as file:
        file.write(b'{"list":[{"$blob":"../secret.txt","before":""}]}\n')
    (path.parent / "chat.jsonl.blobs").mkdir()
    assert read(path) == [{"n": 1}, {"list": [{"type": "input_text", "text": "[missing file: ../secret.txt]"}]}]


# --- forks and deletion ----------------------------------------------------------------------------------------------


def test_fork_continues_its_parent_without_a_copy(path: Path) -> None:
    second, third = path.with_name("2.jsonl"), path.with_name("3.jsonl")
    with Journal.create(path, HEADER) as journal:
        journal.append({"n": 1, "text": "x" * 10_000, "url": IMAGE})
        with journal.fork(second, {"name": "second"}) as fork:
            assert fork.header == {"name": "second"}
            fork.append({"n": 2})
            journal.append({"n": "only in the parent"})
            with fork.fork(third, {}) as grandchild:
                fork.append({"n": "only in the fork"})
                grandchild.append({"n": 3})
    assert [record["n"] for record in read(third)] == [1, 2, 3]
    assert read(third)[0]["url"] == IMAGE
    assert third.stat().st_size < 1000
    assert forks_of(path) == [second]
    assert forks_of(second) == [third]


def test_fork_in_another_folder_is_a_copy(path: Path, tmp_path: Path) -> None:
    write(path, *RECORDS, {"url": IMAGE})
    copied = tmp_path / "elsewhere" / "chat.jsonl"
    Journal.open(path, read_only=True).fork(copied, {}).close()
    assert forks_of(path) == []
    delete(path)
    assert read(copied) == [*RECORDS, {"url": IMAGE}]


def test_fork_excludes_a_torn_tail(path: Path) -> None:
    write(path, *RECORDS)
    with path.open("ab") as file:
        file.write(b'{"n":')
        file.flush()
        Journal.open(path, read_only=True).fork(path.with_name("fork.jsonl"), {}).close()
        file.write(b'"the rest"}\n')
    assert read(path.with_name("fork.jsonl")) == RECORDS
    assert len(read(path)) == len(RECORDS) + 1


def test_fork_does_not_replace_a_file(path: Path) -> None:
    write(path, *RECORDS)
    with pytest.raises(FileExistsError):
        Journal.open(path, read_only=True).fork(path, {})
    assert read(path) == RECORDS


def break_parent(path: Path, damage: str) -> None:
    if damage == "missing":
        path.unlink()
    elif damage == "another":
        path.unlink()
        write(path)
    else:
        parent = {"name": "fork.jsonl" if damage == "loop" else "../chat.jsonl", "id": "x", "records": 1}
        line = {"journal": "codex-backend-sdk", "version": "1.0", "id": "x", "parent": parent, "header": {}}
        path.with_name("fork.jsonl").write_text(json.dumps(line, separators=(",", ":")) + "\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", r"continues .*chat\.jsonl, which does not exist\. Copy that file"),
        ("another", r"continues another conversation than the one that is now in .*chat\.jsonl"),
        ("loop", "invalid reference to its parent"),
        ("path", "invalid reference to its parent"),
    ],
)
def test_fork_without_its_parent_is_an_error(damage: str, message: str, path: Path) -> None:
    write(path, *RECORDS)
    Journal.open(path, read_only=True).fork(path.with_name("fork.jsonl"), {}).close()
    break_parent(path, damage)
    with pytest.raises(JournalError, match=message):
        read(path.with_name("fork.jsonl"))


def test_parent_that_lost_records_is_warned_about(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, *RECORDS)
    Journal.open(path, read_only=True).fork(path.with_name("fork.jsonl"), {}).close()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    assert read(path.with_name("fork.jsonl")) == RECORDS[:1]
    assert caplog.messages == [f"{path} has lost 2 records that a fork needs."]


def test_delete_removes_all_files(path: Path) -> None:
    write(path, {"url": IMAGE})
    (path.parent / "chat.jsonl.blobs" / f".{'0' * 64}.png.{'1' * 16}.tmp").write_text("left by a crash")
    delete(path)
    assert os.listdir(path.parent) == []


def test_delete_keeps_the_files_of_others(path: Path) -> None:
    write(path, {"url": IMAGE})
    (path.parent / "chat.jsonl.blobs" / "notes.txt").write_text("mine")
    path.with_name("notes.txt").write_text("mine")
    delete(path)
    assert sorted(os.listdir(path.parent)) == ["chat.jsonl.blobs", "notes.txt"]
    with pytest.raises(JournalError, match="is not a saved conversation"):
        delete(path.with_name("notes.txt"))


@pytest.mark.parametrize("content", [b"", b'{"journal":', b'{"journal":"codex-backend-sdk","version":"9.0"}\n{}\n'])
def test_unreadable_journal_can_be_deleted(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    delete(path)
    assert os.listdir(path.parent) == []


def test_open_journal_is_not_deleted(path: Path) -> None:
    with Journal.create(path, HEADER), pytest.raises(JournalLockedError):
        delete(path)
    assert read(path) == []


def test_parent_is_not_deleted_while_forks_refer_to_it(path: Path) -> None:
    write(path, {"n": 1, "url": IMAGE}, *RECORDS)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"damaged\n", *lines[2:]]))  # it counts as a record
    second, third = path.with_name("2.jsonl"), path.with_name("3.jsonl")
    with Journal.open(path) as journal, journal.fork(second, {"name": "second"}) as fork:
        fork.append({"n": 2})
        fork.fork(third, {"name": "third"}).close()
        fork.append({"n": "only in the second"})
    expected = [{"n": 1, "url": IMAGE}, *RECORDS, {"n": 2}]
    with pytest.raises(JournalError, match=r"was not deleted.*2\.jsonl.*`forks=\"keep\"`"):
        delete(path)
    assert read(third) == expected
    with Journal.open(second), pytest.raises(JournalLockedError):
        delete(path, forks="keep")
    delete(path, forks="keep")
    assert sorted(os.listdir(path.parent)) == ["2.jsonl", "2.jsonl.blobs", "3.jsonl"]
    assert read(third) == expected
    with Journal.open(second) as journal:
        assert journal.header == {"name": "second"}
        journal.append({"later": True})
    assert read(second) == [*expected, {"n": "only in the second"}, {"later": True}]
    delete(third)
    delete(second)
    assert os.listdir(path.parent) == []
