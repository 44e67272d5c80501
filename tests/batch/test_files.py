"""Test the files of a batch: requests in their formats, results, and the outputs of a run."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk.batch import BatchResult, read_requests, read_results
from codex_backend_sdk.batch.output_files import OutputFiles

if TYPE_CHECKING:
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator

ROWS = '{"id": 1, "text": "one"}\n\n{"id": 2, "text": "two"}\n'
TABLE = "id,text,tone\n1,one,\n2,two,kind\n"
FROM_TEMPLATE = [{"input": "Say one", "custom_id": "1"}, {"input": "Say two", "custom_id": "2"}]


@pytest.mark.parametrize(
    ("name", "content", "template", "expected"),
    [
        ("in.jsonl", '"hi"\n{"input": "x", "custom_id": "a"}\n', None, ["hi", {"input": "x", "custom_id": "a"}]),
        ("in.jsonl", "\ufeff" + ROWS, "Say {text}", FROM_TEMPLATE),
        ("in.csv", TABLE, "Say {text}", FROM_TEMPLATE),
        ("in.csv", "\ufeff" + TABLE, "Say {text}", FROM_TEMPLATE),
        ("in.tsv", TABLE.replace(",", "\t"), "Say {text}", FROM_TEMPLATE),
        ("in.csv", "custom_id,input,model\na,hi,\nb,ho,m\n", None, [
            {"custom_id": "a", "input": "hi"}, {"custom_id": "b", "input": "ho", "model": "m"}]),
        ("in.csv", 'input\n"two\nlines"\n', None, [{"input": "two\nlines"}]),
        ("in.txt", "\ufeffone\n\n  two, \"kind\" \r\n", None, [{"input": "one"}, {"input": 'two, "kind"'}]),
        ("in.TXT", "one", "Say {input}", [{"input": "Say one"}]),
        ("in.csv", "text,tone\none,\n", "Say {text}, {tone}", [{"input": "Say one, "}]),
        ("in.csv", f"input\n{'x' * 200_000}\n", None, [{"input": "x" * 200_000}]),
        ("in.csv", "id,input\n0,hi\n,ho\n", None, [{"input": "hi", "custom_id": "0"}, {"input": "ho"}]),
        ("in.jsonl", '{"id": 0, "text": "one"}\n', "Say {text}", [{"input": "Say one", "custom_id": "0"}]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_compressed", [False, True])
def test_requests_are_read(
    name: str, content: str, template: Any, expected: Any, is_compressed: bool, tmp_path: Path
) -> None:
    path = tmp_path / (f"{name}.gz" if is_compressed else name)
    data = content.encode()
    path.write_bytes(gzip.compress(data) if is_compressed else data)
    assert list(read_requests(path, template)) == expected


def test_parquet_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"id": [1, 2], "text": ["one", "two"]}), tmp_path / "in.parquet")
    assert list(read_requests(tmp_path / "in.parquet", "Say {text}")) == FROM_TEMPLATE


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'"hi"\n')))
    assert list(read_requests("-")) == ["hi"]


@pytest.mark.parametrize(
    ("name", "content", "template", "message"),
    [
        ("in.jsonl", b'"hi"\n{"input": \n', None, "Line 2 of .*is not JSON"),
        ("in.jsonl", b'"hi"\n', "Say {text}", "Line 1 of the batch is not an object"),
        ("in.csv", b"text\none\n", "Say {word}", "no column 'word', which the template needs. It has text"),
        ("in.csv", b"input\n\xff\n", None, "Save the file as CSV in UTF-8"),
        ("in.txt", b"hi\n\xff\n", None, "Line 2 of .*Save the file in UTF-8"),
        ("in.jsonl", b"hi\n", None, "must have the ending .txt"),
        (
            "in.csv",
            b"id,text\n1,one\n2,\n",
            "Say {text}",
            "Line 3 of the batch is invalid: the values for the template are empty .text.",
        ),
        ("in.jsonl", b'{"a": null, "b": ""}\n', "{a} and {b}", "empty .a, b.. Fill them in"),
        ("in.csv", b'input\n"one\ntwo\n', None, "unexpected end of data"),
        ("in.csv", b",".join(b"c%d" % n for n in range(99)) + b"\n1\n", "{x}", "It has c0, .* and 79 others"),
        ("in.jsonl.gz", b'"hi"\n', None, "in.jsonl.gz cannot be read"),
        ("in.jsonl.gz", gzip.compress(b'"hi"\n' * 99, mtime=0)[:-9], None, "in.jsonl.gz cannot be read"),
        ("in.csv.gz", gzip.compress(b"input\n" + b"hi\n" * 99, mtime=0)[:-9], None, "in.csv.gz cannot be read"),
    ],
)
def test_damaged_input_is_named(name: str, content: bytes, template: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(sdk.BatchInputError, match=message):
        list(read_requests(tmp_path / name, template))


def test_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Check the path of the input"):
        read_requests(tmp_path / "in.jsonl")


# --- outputs ---------------------------------------------------------------------------------------------------------


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_results_and_failures_have_files_of_their_own(client: Any, sim: Simulator, tmp_path: Path) -> None:
    sim.fail("cyber_policy")
    batch = client.codex.batch(["a", "b", "c"], journal=tmp_path / "j")
    progress = batch.write(tmp_path / "out.jsonl")
    assert (progress.completed, progress.failed) == (2, 1)
    assert len(read(tmp_path / "out.jsonl")) == 2
    (failure,) = read(tmp_path / "out.errors.jsonl")
    assert failure["error"]["type"] == "PolicyViolationError"
    results = list(read_results(tmp_path / "out.jsonl", tmp_path / "out.errors.jsonl"))
    assert [result.error is None for result in results] == [True, True, False]
    assert results[0].output_text
    # When the failure succeeds, it moves, and the file of failures disappears.
    client.codex.batch(["a", "b", "c"], journal=tmp_path / "j", retry_failed=True).write(tmp_path / "out.jsonl")
    assert len(read(tmp_path / "out.jsonl")) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j", "out.jsonl"]


def test_outputs_are_written_again_from_the_journal(client: Any, tmp_path: Path) -> None:
    client.codex.batch(["a", "b"], journal=tmp_path / "j").write(tmp_path / "out.jsonl")
    (tmp_path / "out.jsonl").write_text("damaged")
    client.codex.batch(["a", "b", "c"], journal=tmp_path / "j").write(tmp_path / "out.jsonl", tmp_path / "failed.jsonl")
    assert len({line["custom_id"] for line in read(tmp_path / "out.jsonl")}) == 3


def test_outputs_are_kept_if_the_input_is_invalid(client: Any, tmp_path: Path) -> None:
    client.codex.batch(["a"], journal=tmp_path / "j").write(tmp_path / "out.jsonl")
    batch = client.codex.batch(["a", ""], journal=tmp_path / "j")
    with pytest.raises(sdk.BatchInputError):
        batch.write(tmp_path / "out.jsonl")
    assert len(read(tmp_path / "out.jsonl")) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j", "out.jsonl"]


def test_outputs_have_finished_lines_at_a_limit(client: Any, sim: Simulator, tmp_path: Path) -> None:
    client.codex.batch(["a"], journal=tmp_path / "j").write(tmp_path / "out.jsonl")
    (tmp_path / "out.jsonl").unlink()
    sim.fail("usage_limit:plus,3600")
    batch = client.codex.batch(["a", "b"], journal=tmp_path / "j")
    with pytest.raises(sdk.BatchStoppedError):
        batch.write(tmp_path / "out.jsonl")
    assert len(read(tmp_path / "out.jsonl")) == 1


def test_official_failures_are_read(tmp_path: Path) -> None:
    """The official API has an error in the body of a response with status 400, or beside a missing response."""
    response = {"status_code": 400, "request_id": "r", "body": {"error": {"code": "bad", "message": "No."}}}
    (tmp_path / "out.jsonl").write_text(
        json.dumps({"custom_id": "a", "response": response, "error": None})
        + "\n"
        + json.dumps({"custom_id": "b", "response": None, "error": {"code": "batch_expired", "message": "Late."}})
        + "\n"
    )
    results = list(read_results(tmp_path / "out.jsonl", tmp_path / "missing.jsonl"))
    assert [(result.error.code, result.error.message) for result in results if result.error] == [
        ("bad", "No."),
        ("batch_expired", "Late."),
    ]


def test_text_of_all_output_items_is_joined(tmp_path: Path) -> None:
    message = {"type": "message", "content": [{"type": "output_text", "text": "x"}, {"type": "refusal"}]}
    body = {"output": [{"type": "reasoning"}, message, message]}
    line = {"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None}
    with gzip.open(tmp_path / "out.jsonl.gz", "wt") as file:
        file.write(json.dumps(line) + "\n\n")
    (result,) = read_results(tmp_path / "out.jsonl.gz")
    assert (result.output_text, repr(result)) == ("xx", "<BatchResult 'a': complete>")


@pytest.mark.parametrize("name", ["a \ud800", "\u00e9", "e\u0301", "line\nbreak", "\u2028"])
def test_output_has_any_id(name: str, client: Any, tmp_path: Path) -> None:
    rows = [{"custom_id": name, "input": "x"}, {"custom_id": "b", "input": "y"}]
    client.codex.batch(rows, journal=tmp_path / "j").write(tmp_path / "out.jsonl")
    assert {result.custom_id for result in read_results(tmp_path / "out.jsonl")} == {name, "b"}
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") == 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("out", "out"), "is the file of the results, and of the failures"),
        (("j",), "is the file of the journal, and of the results"),
        (("out", "j"), "is the file of the journal, and of the failures"),
        (("link", "out"), "is the file of the results, and of the failures"),
        (("fifo",), "is a named pipe"),
        (("out", "/dev/null"), "/dev/null is a device"),
        ((".",), "is a folder"),
        (("out.gz",), "results are not compressed"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="FIFOs and devices")
def test_file_that_must_not_be_replaced_is_refused(
    files: tuple[str, ...], message: str, client: Any, bodies: Any, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to("out")
    os.mkfifo(tmp_path / "fifo")
    batch = client.codex.batch(["a"], journal=tmp_path / "j")
    with pytest.raises(ValueError, match=message):
        batch.write(*(tmp_path / file for file in files))
    assert not bodies()
    assert (tmp_path / "fifo").is_fifo()


def test_output_keeps_link_and_mode(client: Any, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("out")
    (tmp_path / "out").touch(mode=0o600)
    client.codex.batch(["a"]).write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert len(read(tmp_path / "out")) == 1
    assert os.name == "nt" or (tmp_path / "out").stat().st_mode & 0o777 == 0o600


def test_unwritable_folder_is_found_before_requests(client: Any, bodies: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for files in (("file/out",), ("out", "file/errors")):
        with pytest.raises(OSError, match="file"):
            client.codex.batch(["a"]).write(*(tmp_path / file for file in files))
    assert not bodies()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_file_of_a_killed_run_is_replaced(client: Any, tmp_path: Path) -> None:
    (tmp_path / ".out.jsonl.tmp").write_text("damaged")
    client.codex.batch(["a"]).write(tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert len(read(tmp_path / "out.jsonl")) == 1


@pytest.mark.parametrize("text", ["[]", "no JSON", '{"input": "hi"}'])
def test_file_that_has_no_results_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text(text + "\n")
    with pytest.raises(ValueError, match=r"Line 1 of .* is not a result of a batch"):
        list(read_results(tmp_path / "out.jsonl"))


@pytest.mark.parametrize(("ending", "delimiter"), [(".csv", ","), (".tsv", "\t"), (".CSV", ",")])
def test_results_can_be_a_table(client: Any, sim: Simulator, tmp_path: Path, ending: str, delimiter: str) -> None:
    texts = ['one, "two"\nthree\tfour', "", "last"]
    sim.script(*texts[:2])
    requests = [{"custom_id": f"line {number}", "input": "x"} for number in range(4)]
    output, failures = tmp_path / f"out{ending}", tmp_path / f"out.errors{ending}"
    client.codex.batch(requests[:2], journal=tmp_path / "j", concurrency=1).write(output)
    assert not failures.exists()
    sim.script(texts[2])
    sim.fail("cyber_policy")
    client.codex.batch(requests, journal=tmp_path / "j", concurrency=1).write(output)

    def table(path: Path) -> list[list[str]]:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file, delimiter=delimiter))

    header = ["custom_id", "output_text", "error"]
    lines = [["line 0", texts[0], ""], ["line 1", "", ""], ["line 2", "last", ""]]
    assert table(output) == [header, *lines]
    first, failure = table(failures)
    assert (first, failure[:2]) == (header, ["line 3", ""])
    assert "usage policy" in failure[2]


def test_half_a_character_is_replaced_in_a_table(tmp_path: Path) -> None:
    content = [{"type": "output_text", "text": "a\ud83d"}]
    body = {"output": [{"type": "message", "content": content}]}
    with OutputFiles(tmp_path / "out.csv") as files:
        files.write(BatchResult({"custom_id": "1", "response": {"status_code": 200, "body": body}, "error": None}))
    assert (tmp_path / "out.csv").read_text() == "custom_id,output_text,error\n1,a?,\n"
