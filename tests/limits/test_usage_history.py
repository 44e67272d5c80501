"""Test the usage history: what is stored, by whom, and that no call fails because of it."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk import AsyncOpenAI, OpenAI, RateLimits, RateLimitWindow, UsageHistory, UsageLimitError
from codex_backend_sdk.limits.limit_types import AdditionalLimit
from codex_backend_sdk.limits.usage_history import account_hash
from codex_backend_sdk.testing import SimulatedLimits, SimulatedWindow, Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime.now(UTC).replace(microsecond=0)
RESET = NOW + timedelta(hours=2)
FIVE_HOURS, WEEK = timedelta(hours=5), timedelta(weeks=1)


@pytest.fixture
def history(tmp_path: Path) -> UsageHistory:
    return UsageHistory(tmp_path / "data" / "usage.sqlite3")


@pytest.fixture(autouse=True)
def clean_simulator(sim: Simulator) -> Iterator[None]:
    yield
    sim.clear()


def limits_of(
    percent: float = 12, *, at: datetime = NOW, resets_at: datetime | None = RESET, **rest: Any
) -> RateLimits:
    window = RateLimitWindow(used_percent=percent, length=FIVE_HOURS, resets_at=resets_at)
    return RateLimits(received_at=at, plan="pro", windows=(window,), **rest)


def percents(history: UsageHistory, **options: Any) -> list[float]:
    return [reading.window.used_percent for reading in history.readings(**options)]


# What is stored


def test_reading_has_the_window_and_a_hash_of_the_account(history: UsageHistory) -> None:
    additional = AdditionalLimit(id="codex_spark", name="Spark", windows=(RateLimitWindow(used_percent=3),))
    history.record(limits_of(99.5, limit_reached=True, additional=(additional,)), account_id="account-of-mine")
    plan, spark = history.readings()
    assert (plan.received_at, plan.plan, plan.limit, plan.limit_name) == (NOW, "pro", "codex", None)
    assert plan.window == RateLimitWindow(used_percent=99.5, length=FIVE_HOURS, resets_at=RESET)
    assert (plan.is_exhausted, spark.is_exhausted) == (True, False)
    assert (spark.limit, spark.limit_name, spark.window) == ("codex_spark", "Spark", RateLimitWindow(used_percent=3))
    assert plan.account == account_hash("account-of-mine") != account_hash("another")
    stored = b"".join(path.read_bytes() for path in history.path.parent.iterdir())
    assert b"account-of-mine" not in stored


@pytest.mark.parametrize(
    ("second", "is_stored"),
    [
        (limits_of(at=NOW + timedelta(seconds=59)), False),
        (limits_of(at=NOW + timedelta(seconds=30), resets_at=RESET + timedelta(seconds=30)), False),
        (limits_of(at=NOW + timedelta(seconds=60)), True),
        (limits_of(12.1, at=NOW + timedelta(seconds=1)), True),
        (limits_of(at=NOW + timedelta(seconds=1), limit_reached=True), True),
        (limits_of(at=NOW + timedelta(seconds=1), resets_at=RESET + timedelta(hours=5)), True),
        (limits_of(at=NOW + timedelta(seconds=1), resets_at=None), True),
    ],
)
@pytest.mark.parametrize("has_restarted", [False, True])
def test_equal_reading_within_a_minute_is_stored_once(
    history: UsageHistory, second: RateLimits, is_stored: bool, has_restarted: bool
) -> None:
    history.record(limits_of(), account_id="a")
    other = UsageHistory(history.path) if has_restarted else history
    other.record(second, account_id="a")
    assert len(other.readings()) == 1 + is_stored


def test_accounts_are_kept_apart(history: UsageHistory) -> None:
    history.record(limits_of(1), account_id="a")
    history.record(limits_of(2), account_id="b")
    history.record(limits_of(3), account_id=None)
    assert sorted(percents(history)) == [1, 2, 3]
    assert percents(history, account_id="b") == [2]


def test_old_readings_are_deleted(tmp_path: Path) -> None:
    history = UsageHistory(tmp_path / "usage.sqlite3", keep_days=2)
    history.record(limits_of(1, at=NOW - timedelta(days=3)), account_id="a")
    history.record(limits_of(2, at=NOW - timedelta(days=1)), account_id="a")
    history.record(limits_of(3), account_id="a")
    assert percents(history) == [2, 3]
    assert percents(history, days=0.5) == [3]
    with pytest.raises(ValueError, match="keep_days"):
        UsageHistory(tmp_path / "usage.sqlite3", keep_days=0)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_files_are_private(history: UsageHistory) -> None:
    before = os.umask(0o000)
    try:
        history.record(limits_of(), account_id="a")
    finally:
        os.umask(before)
    with sqlite3.connect(history.path) as reader:  # keeps the files of the write-ahead log
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        reader.execute("SELECT * FROM readings").fetchall()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in history.path.parent.iterdir()}
    reader.close()
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(history.path.parent.stat().st_mode) == 0o700


def test_missing_history_is_empty(history: UsageHistory) -> None:
    assert history.readings() == []
    assert not history.path.parent.exists()
    history.clear()
    history.record(limits_of(), account_id="a")
    assert percents(history) == [12]
    history.clear()
    assert history.readings() == []
    history.record(limits_of(), account_id="a")  # the same reading is stored again
    assert percents(history) == [12]


# The clients


@pytest.mark.parametrize("client_class", [OpenAI, AsyncOpenAI])
@pytest.mark.parametrize(
    ("argument", "variable", "expected"),
    [
        (None, None, None),
        (None, "0", None),
        (None, "off", None),
        (None, "1", "data/usage.sqlite3"),
        (None, "TRUE", "data/usage.sqlite3"),
        (None, "mine.db", "mine.db"),
        (False, "1", None),
        (True, "0", "data/usage.sqlite3"),
        ("mine.db", None, "mine.db"),
        (Path("mine.db"), "1", "mine.db"),
    ],
)
def test_history_of_argument_and_variable(
    client_class: Callable[..., Any],
    argument: Any,
    variable: str | None,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODEX_BACKEND_DATA", "data")
    monkeypatch.delenv("CODEX_USAGE_HISTORY", raising=False)
    if variable is not None:
        monkeypatch.setenv("CODEX_USAGE_HISTORY", variable)
    history = client_class(usage_history=argument).codex.usage_history
    assert (history and history.path) == (tmp_path / expected if expected else None)
    assert list(tmp_path.iterdir()) == []  # the constructor does no I/O


@pytest.mark.parametrize("argument", [7, "", b"x"])
def test_invalid_history_is_rejected(argument: Any) -> None:
    with pytest.raises(TypeError, match="`usage_history` must be"):
        OpenAI(usage_history=argument)


def test_calls_store_their_limits(new_client: Callable[..., Any], sim: Simulator, history: UsageHistory) -> None:
    sim.limits = SimulatedLimits(
        primary=SimulatedWindow(12, minutes=300, resets_at=RESET), secondary=SimulatedWindow(34, minutes=10080)
    )
    client = new_client(usage_history=history)
    client.responses.create(input="hi")
    client.responses.create(input="hi")
    sim.limits = SimulatedLimits(primary=SimulatedWindow(13, minutes=300, resets_at=RESET), secondary=None)
    client.codex.usage()
    readings = history.readings(account_id=sim.account.account_id)
    assert [(reading.window.name, reading.window.used_percent) for reading in readings] == [
        ("5 h", 12),
        ("weekly", 34),
        ("5 h", 13),
    ]
    assert client.codex.usage_history is history


def test_refused_call_is_stored_as_exhausted(
    new_client: Callable[..., Any], sim: Simulator, history: UsageHistory
) -> None:
    sim.script(Turn.usage_limit("plus", timedelta(hours=1)))
    with pytest.raises(UsageLimitError):
        new_client(usage_history=history).responses.create(input="hi")
    assert history.readings()[-1].is_exhausted


def test_copies_share_or_replace_the_history(new_client: Callable[..., Any], history: UsageHistory) -> None:
    client = new_client(usage_history=history)
    assert client.with_options(model="gpt-5.5").codex.usage_history is history
    assert client.with_options(usage_history=False).codex.usage_history is None
    other = client.with_options(usage_history="other.db").codex.usage_history
    assert other.path.name == "other.db"
    assert client.codex.usage_history is history


@pytest.mark.parametrize("content", [b"not a database" * 100, b""])
def test_unusable_file_is_logged_once(
    new_client: Callable[..., Any], tmp_path: Path, sim: Simulator, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = tmp_path / "usage.sqlite3"
    if content:
        path.write_bytes(content)
    else:
        path.mkdir()
    client = new_client(usage_history=path)
    for percent in (1, 2, 3):
        sim.limits = SimulatedLimits(primary=SimulatedWindow(percent, minutes=300))
        assert client.responses.create(input="Say hello").output_text == "hello"
    assert caplog.text.count("cannot be written") == 1
    assert str(path) in caplog.text
    with pytest.raises(OSError, match="cannot be read"):
        client.codex.usage_history.readings()


def test_newer_database_is_left_alone(history: UsageHistory, caplog: pytest.LogCaptureFixture) -> None:
    history.record(limits_of(1), account_id="a")
    with sqlite3.connect(history.path) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    history.record(limits_of(2), account_id="a")
    assert percents(history) == [1]
    assert "newer version" in caplog.text


def test_reading_waits_while_the_database_is_locked(sim: Simulator, history: UsageHistory) -> None:
    history.record(limits_of(1), account_id="a")
    database = sqlite3.connect(history.path, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    with sim.client(usage_history=history) as client:
        assert client.responses.create(input="Say hello").output_text == "hello"
        assert len(history.readings()) == 1
        database.execute("COMMIT")
        database.close()
        assert len(history.readings()) > 1


# Threads, processes and forks


def test_threads_and_histories_of_one_file_lose_nothing(history: UsageHistory) -> None:
    histories = [history, UsageHistory(history.path), UsageHistory(history.path)]

    def record(number: int) -> None:
        for count in range(20):
            histories[number % 3].record(limits_of(number * 20 + count), account_id=f"account {number}")

    threads = [threading.Thread(target=record, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(percents(history)) == list(range(120))


def record_in_process(path: str, number: int, count: int) -> None:
    history = UsageHistory(path)
    for percent in range(count):
        history.record(limits_of(percent), account_id=f"account {number}")
        time.sleep(0.001)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.timeout(120)
def test_processes_lose_nothing(history: UsageHistory, method: Any) -> None:
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=record_in_process, args=(str(history.path), number, 15)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=100)
    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted(percents(history)) == sorted([*range(15)] * 4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forks_lose_nothing(history: UsageHistory) -> None:
    children = []
    for number in range(8):
        history.record(limits_of(number), account_id="parent")
        child = os.fork()
        if child == 0:
            history.record(limits_of(50 + number), account_id="child")
            os._exit(0)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 8
    assert percents(history, account_id="parent") == list(range(8))
    assert sorted(percents(history, account_id="child")) == list(range(50, 58))


def test_short_program_stores_its_reading(
    history: UsageHistory, run_program: Callable[[str], str], sim: Simulator
) -> None:
    program = f"""
from codex_backend_sdk import UsageHistory
from codex_backend_sdk.limits.limit_parsing import parse_usage
from datetime import UTC, datetime
limits = parse_usage({{"rate_limit": {{"primary_window": {{"used_percent": 5}}}}}}, received_at=datetime.now(UTC))
UsageHistory({str(history.path)!r}).record(limits, account_id="a")
"""
    run_program(program)
    assert percents(history) == [5]


@pytest.fixture
def run_program() -> Callable[[str], str]:
    import subprocess
    import sys

    def run(program: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=40, check=True
        ).stdout

    return run
