"""Test the command `batch`: files, exit codes, progress, limits, and Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk import RateLimits, RateLimitWindow
from codex_backend_sdk.batch import BatchProgress
from codex_backend_sdk.cli.batch_command import progress_text
from codex_backend_sdk.testing import SimulatedLimits, SimulatedWindow, Turn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.command_runs import Run, Spawn, StoreLogin

    from codex_backend_sdk.testing import Simulator


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store_login: StoreLogin) -> Path:
    """The working folder, with an input of ten lines. The user is logged in."""
    store_login()
    monkeypatch.chdir(tmp_path)
    rows = [{"custom_id": f"line-{number}", "input": f"Prompt {number}"} for number in range(10)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_answered(run: Run, folder: Path) -> None:
    result = run("batch", "in.jsonl", "-o", "out.jsonl")
    assert (result.code, result.out) == (0, "")
    assert result.err == "10 lines: 10 complete, 0 failed.\nResults: out.jsonl\n"
    assert len({line["custom_id"] for line in read(folder / "out.jsonl")}) == 10


def test_second_run_sends_nothing(run: Run, folder: Path, bodies: Any) -> None:
    run("batch", "in.jsonl", "-o", "out.jsonl")
    result = run("batch", "in.jsonl", "-o", "out.jsonl", "--json", "--ordered")
    assert len(bodies()) == 10
    counts = json.loads(result.out)
    assert (counts["total"], counts["completed"], counts["from_journal"], counts["remaining"]) == (10, 10, 10, 0)
    assert [line["custom_id"] for line in read(folder / "out.jsonl")] == [f"line-{number}" for number in range(10)]


def test_options_are_sent(run: Run, folder: Path, bodies: Any) -> None:
    (folder / "words.csv").write_text("id,word\n1,Haus\n")
    (folder / "system.txt").write_text("Be brief.\n")
    options = ("-m", "gpt-5.5", "-e", "low", "-s", "@system.txt", "--template", "Translate: {word}")
    assert run("batch", "words.csv", "-o", "out.jsonl", *options).code == 0
    (body,) = bodies()
    assert body["model"] == "gpt-5.5"
    assert body["reasoning"]["effort"] == "low"
    assert "Translate: Haus" in json.dumps(body["input"])
    assert "Be brief." in json.dumps(body)


def test_failed_lines_have_their_own_exit_code(run: Run, folder: Path, sim: Simulator) -> None:
    sim.fail("cyber_policy", times=2)
    result = run("batch", "in.jsonl", "-o", "out.jsonl", "--errors", "failed.jsonl")
    assert result.code == 6
    assert "8 complete, 2 failed" in result.err
    assert "Failures: failed.jsonl" in result.err
    assert len(read(folder / "failed.jsonl")) == 2
    assert run("batch", "in.jsonl", "-o", "out.jsonl", "--errors", "failed.jsonl").code == 6
    assert run("batch", "in.jsonl", "-o", "out.jsonl", "--retry-failed").code == 0


def test_limit_has_its_exit_code_and_reset(run: Run, folder: Path, sim: Simulator) -> None:
    sim.fail("usage_limit:plus,3600", times=10)
    result = run("batch", "in.jsonl", "-o", "out.jsonl", "--json")
    assert result.code == 4
    error = json.loads(result.out)["error"]
    assert error["type"] == "BatchStoppedError"
    assert datetime.fromisoformat(error["resets_at"]) > datetime.now(UTC)
    assert "add --wait to wait for it now" in error["message"]
    assert json.loads(result.out)["remaining"] == 10
    too_short = run("batch", "in.jsonl", "-o", "out.jsonl", "--max-wait", "1m")
    assert (too_short.code, "pass a longer --max-wait" in " ".join(too_short.err.split())) == (4, True)
    sim.clear()
    assert run("batch", "in.jsonl", "-o", "out.jsonl").code == 0


def test_stop_at_leaves_a_part_of_the_plan(run: Run, folder: Path, sim: Simulator) -> None:
    sim.limits = SimulatedLimits(primary=SimulatedWindow(91, minutes=300))
    result = run("batch", "in.jsonl", "-o", "out.jsonl", "--stop-at", "90%", "--concurrency", "1")
    assert result.code == 4
    assert "90 % of a usage limit of the plan is used" in result.err


def test_wait_continues_after_the_reset(run: Run, folder: Path, sim: Simulator) -> None:
    sim.fail("usage_limit:plus,1")
    result = run("batch", "in.jsonl", "-o", "out.jsonl", "--concurrency", "1", "--max-wait", "1m")
    assert result.code == 0


def test_schema_is_checked(run: Run, folder: Path, sim: Simulator) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    (folder / "schema.json").write_text(json.dumps(schema))
    (folder / "one.jsonl").write_text('"Count."\n')
    sim.script("no JSON", '{"n": "x"}')
    assert run("batch", "one.jsonl", "-o", "out.jsonl", "--schema", "schema.json").code == 6
    assert read(folder / "out.errors.jsonl")[0]["error"]["code"] == "invalid_output"
    sim.script('{"n": 7}')
    assert run("batch", "one.jsonl", "-o", "out.jsonl", "--schema", "schema.json", "--retry-failed").code == 0


@pytest.mark.parametrize(
    ("name", "warns"), [("o.csv", False), ("o.tsv", False), ("o.jsonl", False), ("o", False), ("o.txt", True)]
)
def test_ending_selects_the_format(run: Run, folder: Path, name: str, warns: bool) -> None:
    (folder / "prompts.txt").write_text("Say one\nSay two\n")
    result = run("batch", "prompts.txt", "-o", name)
    assert result.code == 0
    assert (f"{name} gets JSON Lines. For a table" in result.err) is warns
    assert f"Results: {name}" in result.err
    is_table = (folder / name).read_text().startswith("custom_id")
    assert is_table is (name in ("o.csv", "o.tsv"))


def test_dry_run_sends_and_writes_nothing(run: Run, folder: Path, bodies: Any) -> None:
    before = sorted(folder.iterdir())
    result = run("batch", "in.jsonl", "-o", "out.jsonl", "--dry-run")
    assert (result.code, bodies(), sorted(folder.iterdir())) == (0, [], before)
    assert result.err == "10 lines: 0 complete, 0 failed, 10 to send.\n"


def test_dry_run_counts_the_journal(run: Run, folder: Path) -> None:
    run("batch", "in.jsonl", "-o", "out.jsonl")
    with (folder / "in.jsonl").open("a") as file:
        file.write('"More"\n')
    assert json.loads(run("batch", "in.jsonl", "-o", "out.jsonl", "--dry-run", "--json").out)["remaining"] == 1


def test_changed_lines_are_named(run: Run, folder: Path) -> None:
    run("batch", "in.jsonl", "-o", "out.jsonl")
    result = run("batch", "in.jsonl", "-o", "out.jsonl", "-m", "gpt-5.5")
    assert result.code == 2
    assert "In 10 of 10 lines, the request has changed" in result.err
    assert "Pass `--on-change redo` to send these lines again" in " ".join(result.err.split())
    assert "on_change" not in result.err
    assert run("batch", "in.jsonl", "-o", "out.jsonl", "-m", "gpt-5.5", "--on-change", "keep").code == 0


def test_missing_login_has_its_exit_code(run: Run, folder: Path, home: Path) -> None:
    (home / "auth.json").unlink()
    assert run("batch", "in.jsonl", "-o", "out.jsonl").code == 3
    assert not (folder / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.jsonl", "-o", "out.jsonl"), "missing.jsonl does not exist"),
        (("in.jsonl", "-o", "in.jsonl"), "in.jsonl exists, and has no journal"),
        (("in.jsonl",), "Missing option '-o'"),
        ((".", "-o", "x"), "is a directory"),
        (("in.jsonl", "-o", "."), "is a directory"),
        (("in.jsonl", "-o", "-"), "- is not a regular file"),
        (("in.jsonl", "-o", "x", "--errors", "./in.jsonl"), "in.jsonl is the input"),
        (("x.errors.jsonl", "-o", "x.jsonl"), "x.errors.jsonl is the input"),
        (("in.jsonl", "-o", "x", "--errors", "x"), "is the file of the results, and of the failures"),
        (("in.jsonl", "-o", "/dev/stdout"), "/dev/stdout is not a regular file"),
        (("in.jsonl", "-o", "x", "--max-wait", "long"), "is not a duration"),
        (("in.jsonl", "-o", "x", "--stop-at", "0"), "is not a percentage"),
        (("in.jsonl", "-o", "x", "--stop-at", "101%"), "is not a percentage"),
    ],
)
def test_wrong_usage_is_named(arguments: tuple[str, ...], message: str, run: Run, folder: Path) -> None:
    (folder / "x.errors.jsonl").touch()
    result = run("batch", *arguments)
    assert result.code == 2
    assert message in " ".join(result.err.split())


def test_progress_can_be_json(run: Run, folder: Path) -> None:
    result = run("batch", "in.jsonl", "-o", "out.jsonl", "--progress", "json")
    first, *_, last = map(json.loads, result.err.splitlines())
    assert (first["total"], first["limits"] is not None) == (10, True)
    assert (last["completed"], last["remaining"]) == (10, 0)


def test_output_that_cannot_be_written_is_named(run: Run, folder: Path, bodies: Any) -> None:
    result = run("batch", "in.jsonl", "-o", "out.jsonl", "--errors", "in.jsonl/errors", "--json")
    assert (result.code, bodies()) == (1, [])
    assert "The results cannot be written" in json.loads(result.out)["error"]["message"]


def test_interrupt_ends_the_wait_for_standard_input(spawn: Spawn, folder: Path) -> None:
    with spawn("batch", "-", "-o", "out.jsonl", cwd=folder, stdin=subprocess.PIPE) as process:
        journal = folder / "out.jsonl.journal"  # it is opened before the input is read
        deadline = time.monotonic() + 30
        while not (journal.exists() and journal.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert not (folder / "out.jsonl").exists()


def test_terminal_shows_a_bar(run_in_terminal: Callable[..., str], folder: Path) -> None:
    shown = run_in_terminal("batch", "in.jsonl", "-o", "out.jsonl", columns=80)
    assert "of 10" in shown
    assert max(len(part) for line in shown.split("\n") for part in line.split("\r")) < 200
    assert shown.endswith("10 lines: 10 complete, 0 failed.\nResults: out.jsonl\n")


def test_interrupt_finishes_and_names_the_command(spawn: Spawn, folder: Path, sim: Simulator, run: Run) -> None:
    sim.script(*["x"] * 4, *[Turn.text("x").delayed(1)] * 6)
    with spawn("batch", "in.jsonl", "-o", "out.jsonl", "--concurrency", "2", cwd=folder) as process:
        deadline = time.monotonic() + 30
        while len(sim.model_requests) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Continue with: codex-backend batch in.jsonl -o out.jsonl --concurrency 2" in " ".join(err.split())
    sent, finished = len(sim.model_requests), len(read(folder / "out.jsonl"))
    assert finished == sent, "running requests were finished"
    assert f"stopped after {finished} of 10 lines" in " ".join(err.split())
    assert "Run it again" not in err
    sim.clear()
    assert run("batch", "in.jsonl", "-o", "out.jsonl").code == 0
    assert len({line["custom_id"] for line in read(folder / "out.jsonl")}) == 10
    assert len(sim.model_requests) == 10 - finished


LIMITS = RateLimits(received_at=datetime.now(UTC), windows=(RateLimitWindow(used_percent=42),))
PROGRESS = BatchProgress(total=2000, completed=1000, failed=3, running=8, eta_seconds=125.4, limits=LIMITS)


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_progress_fits_the_terminal(width: int) -> None:
    import click

    text = click.unstyle(progress_text(PROGRESS, width=width, has_bar=True))
    assert len(text) <= width
    assert "1,003 of 2,000" in text


@pytest.mark.parametrize(
    ("progress", "part"),
    [
        (PROGRESS, "2 min left"),
        (BatchProgress(total=50, completed=45, running=5, eta_seconds=0.3), "45 of 50 · less than a minute left"),
        (BatchProgress(total=50, completed=45, eta_seconds=59.9), "less than a minute left"),
        (BatchProgress(total=50, completed=45, eta_seconds=60), "1 min left"),
        (PROGRESS, "3 failed"),
        (PROGRESS, "limit 42 % used"),
        (BatchProgress(total=0), "0 of 0"),
        (BatchProgress(total=5, paused_until=datetime(2030, 1, 2, tzinfo=UTC)), "limit resets 2030-01-0"),
    ],
)
def test_progress_has_each_part(progress: BatchProgress, part: str) -> None:
    assert part in progress_text(progress, width=200)
