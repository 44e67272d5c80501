"""Test `codex-backend usage`: the report, its JSON, thresholds, live readings, the plot and reset credits."""

from __future__ import annotations

import json
import os
import re
import signal
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import pytest

from codex_backend_sdk import RateLimits, RateLimitWindow, UsageHistory
from codex_backend_sdk._timefmt import format_local_time
from codex_backend_sdk.cli.usage_report import limit_over_threshold, usage_data, usage_lines
from codex_backend_sdk.limits.limit_parsing import parse_usage_report
from codex_backend_sdk.testing import SimulatedAdditionalLimit, SimulatedLimits, SimulatedWindow, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cli.command_runs import Run, Spawn, StoreLogin

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RESET = int(NOW.timestamp()) + 3600
RESET_TEXT = f"{format_local_time(NOW + timedelta(hours=1))} (in 1 h)"
READ_TEXT = f"Read just now, at {format_local_time(NOW)}"


@pytest.fixture(autouse=True)
def clean_simulator(sim: Simulator, environment: dict[str, str], tmp_path: Path) -> Iterator[None]:
    environment["CODEX_BACKEND_DATA"] = str(tmp_path / "data")
    yield
    sim.clear()


def usage_window(percent: float, seconds: int, reset_at: int | None = RESET) -> dict[str, Any]:
    return {"used_percent": percent, "limit_window_seconds": seconds, "reset_at": reset_at}


def report_of(response: dict[str, Any]) -> Any:
    return parse_usage_report(response, received_at=NOW)


def usage_text(response: dict[str, Any], *, now: datetime = NOW, width: int = 100) -> str:
    return "\n".join(click.unstyle(line) for line, _ in usage_lines(report_of(response), now=now, width=width))


def both_windows(short: float, week: float, **members: Any) -> dict[str, Any]:
    windows = {"primary_window": usage_window(short, 18000), "secondary_window": usage_window(week, 604800)}
    return {"plan_type": "pro", "rate_limit": {**windows, **members}}


# --- the report -------------------------------------------------------------------------------------------------------


def test_usage_shows_both_windows(run: Run, store_login: StoreLogin) -> None:
    store_login()
    result = run("usage")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("user@example.com, plan pro\n")
    reset = r"resets \d{4}-\d\d-\d\d \d\d:\d\d UTC \((in .*|now)\)$"
    assert re.search(rf"^  5 h +█+░+  12 % used, {reset}", result.out, re.MULTILINE)
    assert re.search(rf"^  weekly +█+░+  34 % used, {reset}", result.out, re.MULTILINE)
    assert re.search(r"^Read just now, at \d{4}-\d\d-\d\d \d\d:\d\d UTC$", result.out, re.MULTILINE)
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("short", "week", "first"),
    [(12, 34, "weekly"), (34, 12, "5 h"), (100, 99, "5 h"), (100, 100, "5 h"), (0, 0, "weekly")],
)
def test_binding_window_is_first_and_others_are_dim(short: int, week: int, first: str) -> None:
    response = both_windows(short, week)
    response["rate_limit"]["primary_window"]["reset_at"] += 60  # with two used-up windows, the later reset binds
    lines = [line for line, _ in usage_lines(report_of(response), now=NOW, width=100)]
    assert click.unstyle(lines[1]).startswith(f"  {first} ")
    assert not lines[1].startswith("\x1b[2m")
    assert lines[2].startswith("\x1b[2m")
    assert re.fullmatch(r"\x1b\[2m[^\x1b]+\x1b\[0m", lines[2])


def test_usage_with_required_members_only() -> None:
    assert usage_text({"plan_type": "free"}) == (
        f"Your account, plan free\nThe backend reports no limits for this account.\n{READ_TEXT}"
    )


def test_usage_of_additional_limits_and_credits() -> None:
    text = usage_text(
        {
            "plan_type": "pro",
            "rate_limit": {"limit_reached": True, "primary_window": usage_window(100, 18000), "secondary_window": None},
            "additional_rate_limits": [
                {"limit_name": "GPT-X\x1b[2J-Spark", "rate_limit": {"primary_window": usage_window(0, 604800, None)}},
                {"limit_name": "Other", "rate_limit": None},
            ],
            "code_review_rate_limit": {"primary_window": usage_window(5, 604800, None)},
            "credits": {"has_credits": True, "unlimited": False, "balance": "12.50"},
            "spend_control": {"reached": False, "individual_limit": {"limit": "25", "used": "8"}},
            "rate_limit_reset_credits": {"available_count": 2},
        }
    )
    assert text.splitlines()[1:] == [
        f"  {'5 h'.ljust(19)}  {'█' * 12} 100 % used, resets {RESET_TEXT}",
        f"  GPT-X-Spark, weekly  {'░' * 12}   0 % used",
        f"  {'Code review, weekly'.ljust(19)}  {'█'}{'░' * 11}   5 % used",
        "The usage limit is used up: credits pay for further calls until the reset, in 1 h.",
        "Credits: 12.50",
        "Spending cap: 8 of 25, not reached",
        "Reset credits: 2 (`codex-backend usage --reset` uses one)",
        READ_TEXT,
    ]


def test_refusal_beats_the_percentages() -> None:
    text = usage_text(both_windows(99, 40, limit_reached=True))
    assert f"  5 h     {'█' * 12} exhausted at 99 %, resets" in text
    assert "weekly  █████░░░░░░░  40 % used, resets" in text
    assert "The usage limit is used up: the backend rejects further calls until the reset, in 1 h." in text


@pytest.mark.parametrize(
    ("credits", "control"),
    [(None, None), ({"has_credits": True, "unlimited": False}, {"reached": True})],
)
def test_usage_of_a_limit_without_usable_credits(credits: Any, control: Any) -> None:
    limit = {"primary_window": usage_window(100, 18000, None)}
    text = usage_text({"plan_type": "pro", "rate_limit": limit, "credits": credits, "spend_control": control})
    assert "The usage limit is used up: the backend rejects further calls until the reset.\n" in text


def test_usage_of_unlimited_credits() -> None:
    response = {"plan_type": "pro", "credits": {"unlimited": True, "has_credits": True}}
    assert "\nCredits: unlimited\n" in usage_text(response)


def test_usage_shows_the_age_of_the_reading() -> None:
    text = usage_text(both_windows(10, 20), now=NOW + timedelta(hours=2, minutes=5))
    assert f"Read 2 h 5 min ago, at {format_local_time(NOW)}" in text
    assert "reset 2026-03-01" in text
    assert "(1 h 5 min ago)" in text


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
@pytest.mark.parametrize("has_unicode", [True, False])
def test_usage_fits_the_terminal(
    run_in_terminal: Callable[..., str], store_login: StoreLogin, sim: Simulator, columns: int, has_unicode: bool
) -> None:
    store_login()
    sim.limits = SimulatedLimits(
        primary=SimulatedWindow(100, minutes=300),
        additional=(SimulatedAdditionalLimit(), SimulatedAdditionalLimit(id="x", name="GPT-X-Spark-Long-Name")),
        reset_credits=2,
    )
    encoding = {} if has_unicode else {"PYTHONIOENCODING": "ascii"}
    out = run_in_terminal("usage", columns=columns, NO_COLOR="1", **encoding)
    lines = out.splitlines()
    long_words = max(len(word) for word in out.split())  # a word is not split
    assert max(map(len, lines)) <= max(columns, long_words + 4)
    assert sum("% used" in line or line.endswith("used") for line in lines) >= 4
    assert ("█" in out, "#" in out) == (has_unicode, not has_unicode)
    assert "?" not in out


def test_usage_renews_an_expired_login(run: Run, store_login: StoreLogin, sim: Simulator, home: Path) -> None:
    before = store_login(sim.login_document(expires_in=-timedelta(hours=1)))
    assert run("usage").code == 0
    after = json.loads((home / "auth.json").read_text())
    assert after["tokens"]["refresh_token"] != before["tokens"]["refresh_token"]


def test_usage_with_an_unknown_login_is_one_line(run: Run, store_login: StoreLogin) -> None:
    with Simulator(seed=7) as other:
        store_login(other.login_document())
    result = run("usage")
    assert (result.code, result.out) == (3, "")
    assert re.fullmatch(r"Error: .*codex-backend login.*\n", result.err)


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_usage_json_has_units_and_the_response(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    data = json.loads(run("usage", "--json").out)
    assert [request.path for request in sim.requests] == ["/backend-api/wham/usage"]
    assert data["response"]["rate_limit"]["primary_window"]["limit_window_seconds"] == 18000
    assert list(data) == [
        "email",
        "account_id",
        "plan",
        "received_at",
        "is_used_up",
        "binding_window",
        "windows",
        "credits",
        "spending_cap",
        "reset_credits",
        "response",
    ]
    assert data["binding_window"] == data["windows"][0]


def test_usage_json_of_a_full_report() -> None:
    response = both_windows(99, 40, limit_reached=True) | {
        "email": "me@example.com",
        "credits": {"has_credits": True, "unlimited": False, "balance": "12.50"},
        "spend_control": {"reached": False, "individual_limit": {"limit": "25", "used": "8"}},
        "rate_limit_reset_credits": {"available_count": 2},
    }
    data = usage_data(report_of(response), response, now=NOW)
    assert data.pop("response") is response
    windows = data.pop("windows")
    assert (
        windows[0]
        == data.pop("binding_window")
        == {
            "limit": "codex",
            "limit_name": None,
            "window": "5 h",
            "length_seconds": 18000,
            "used_percent": 99,
            "is_used_up": True,
            "is_binding": True,
            "resets_at": "2026-03-01T13:00:00+00:00",
            "resets_in_seconds": 3600,
        }
    )
    assert (windows[1]["window"], windows[1]["is_used_up"], windows[1]["is_binding"]) == ("weekly", False, False)
    assert data == {
        "email": "me@example.com",
        "account_id": None,
        "plan": "pro",
        "received_at": "2026-03-01T12:00:00+00:00",
        "is_used_up": True,
        "credits": {"has_credits": True, "unlimited": False, "balance": "12.50"},
        "spending_cap": {"reached": False, "limit_credits": "25", "used_credits": "8", "resets_at": None},
        "reset_credits": 2,
    }


def test_usage_json_of_an_empty_report() -> None:
    data = usage_data(report_of({}), {}, now=NOW)
    assert (data["binding_window"], data["windows"], data["credits"], data["reset_credits"]) == (None, [], None, None)


# --- thresholds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("percent", "code"), [(35, 0), (34.1, 0), (34, 4), (0, 4)])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_check_sets_the_exit_code(
    run: Run, store_login: StoreLogin, percent: float, code: int, options: tuple[str, ...]
) -> None:
    store_login()
    result = run("usage", "--check", str(percent), *options)
    assert result.code == code
    assert result.err.startswith("Error: The limit (weekly) is 34 % used.") == bool(code)
    if options:
        data = json.loads(result.out)
        assert data["plan"] == "pro"
        assert ("error" in data) == bool(code)
        if code:
            assert data["error"]["resets_at"][:16] == data["binding_window"]["resets_at"][:16]
    else:
        assert "weekly" in result.out


@pytest.mark.parametrize("percent", ["101", "-1", "nan", "much"])
def test_invalid_check_is_a_usage_error(run: Run, percent: str) -> None:
    assert run("usage", "--check", percent).code == 2


SPARK = {"limit_name": "Spark", "rate_limit": {"primary_window": usage_window(95, 18000)}}


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (both_windows(10, 20), None),
        (both_windows(10, 90), "The limit (weekly) is 90 % used. It resets"),
        (both_windows(50, 20, limit_reached=True), "The limit (5 h) is exhausted at 50 %."),
        (both_windows(10, 20) | {"additional_rate_limits": [SPARK]}, "The limit (Spark, 5 h) is 95 % used."),
        (both_windows(10, 20) | {"spend_control": {"reached": True}}, "The spending cap of the workspace is reached."),
        ({"rate_limit": {"limit_reached": True}}, "The usage limit is used up."),
        ({}, None),
    ],
)
def test_threshold_counts_every_binding_window(response: dict[str, Any], message: str | None) -> None:
    over = limit_over_threshold(report_of(response), 90, now=NOW)
    assert over is None if message is None else over is not None and over.message.startswith(message)


# --- live -------------------------------------------------------------------------------------------------------------


def read_lines(process: Any, count: int) -> list[str]:
    return [process.stdout.readline() for _ in range(count)]


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_watch_appends_lines_and_sends_one_request(spawn: Spawn, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    with spawn("usage", "--watch", "0.05") as process:
        lines = read_lines(process, 4)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=40)
    assert process.returncode == 130
    assert "Traceback" not in err
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC  plan pro; 5 h 12 % used, resets .*; weekly 34 % used", line)
    assert [request.path for request in sim.requests] == ["/backend-api/wham/usage"]


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_watch_shows_what_other_programs_stored(
    spawn: Spawn, store_login: StoreLogin, sim: Simulator, tmp_path: Path
) -> None:
    store_login()
    path = tmp_path / "usage.sqlite3"
    with spawn("usage", "--watch", "0.05", "--json", env={"CODEX_USAGE_HISTORY": str(path)}) as process:
        assert json.loads(process.stdout.readline())["windows"][0]["used_percent"] == 34
        window = RateLimitWindow(
            used_percent=77, length=timedelta(weeks=1), resets_at=datetime.now(UTC) + timedelta(days=1)
        )
        limits = RateLimits(received_at=datetime.now(UTC) + timedelta(seconds=5), windows=(window,))
        UsageHistory(path).record(limits, account_id=sim.account.account_id)
        percents = (json.loads(line)["windows"][0]["used_percent"] for line in process.stdout)
        assert next(percent for percent in percents if percent != 34) == 77
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=40)
    assert len(sim.requests) == 1


def test_watch_replaces_its_lines_on_a_terminal(
    run_in_terminal: Callable[..., str], store_login: StoreLogin, sim: Simulator, tmp_path: Path
) -> None:
    store_login()
    code = (
        "import time, codex_backend_sdk.cli.usage as usage\n"
        "pauses = iter(range(2))\n"
        "def sleep(seconds):\n"
        "    if next(pauses, None) is None: raise KeyboardInterrupt\n"
        "usage.time.sleep = sleep\n"
    )
    out = run_in_terminal("usage", "--watch", "60", code=130, program=code)
    assert out.count("user@example.com, plan pro") == 3
    assert out.count("\x1b[4A\r\x1b[J") == 2
    assert out.rstrip().endswith("Cancelled.")


def test_watch_ends_at_the_threshold(run: Run, store_login: StoreLogin) -> None:
    store_login()
    result = run("usage", "--watch", "1", "--check", "30")
    assert result.code == 4
    assert "weekly 34 % used" in result.out
    assert "The threshold is 30 %." in result.err


def test_watch_ends_with_one_line_of_json(run: Run, store_login: StoreLogin) -> None:
    store_login()
    result = run("usage", "--watch", "1", "--check", "30", "--json")
    reading, error = map(json.loads, result.out.splitlines())
    assert (result.code, reading["windows"][0]["used_percent"], error["error"]["exit_code"]) == (4, 34, 4)


def test_plot_on_standard_output_excludes_json(run: Run) -> None:
    result = run("usage", "--plot", "-", "--json")
    assert (result.code, json.loads(result.out)["error"]["type"]) == (2, "UsageError")


@pytest.mark.parametrize(
    "options",
    [("--watch", "--reset"), ("--plot", "x.svg", "--watch", "5"), ("--plot", "x.svg", "--check", "90")],
)
def test_exclusive_options_are_a_usage_error(run: Run, options: tuple[str, ...]) -> None:
    result = run("usage", *options)
    assert result.code == 2
    assert "cannot be combined" in result.err


# --- the plot ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["usage.png", "usage", "usage.svg.pdf"])
def test_plot_needs_the_name_of_an_svg(run: Run, tmp_path: Path, name: str) -> None:
    result = run("usage", "--plot", str(tmp_path / name))
    assert result.code == 2
    assert f"{name} does not end in .svg." in result.err
    assert not (tmp_path / name).exists()


def test_plot_without_a_history_says_how_to_turn_it_on(run: Run, store_login: StoreLogin, tmp_path: Path) -> None:
    store_login()
    result = run("usage", "--plot", str(tmp_path / "usage.svg"))
    assert (result.code, result.out) == (1, "")
    assert "There is no usage history yet" in result.err
    assert "CODEX_USAGE_HISTORY=1" in result.err
    assert list(tmp_path.glob("*.svg")) == []


def test_plot_draws_what_calls_stored(
    run: Run,
    run_in_process: Run,
    store_login: StoreLogin,
    sim: Simulator,
    tmp_path: Path,
) -> None:
    store_login()
    assert run_in_process("usage", env={"CODEX_USAGE_HISTORY": "1"}).code == 0
    sim.clear()
    path = tmp_path / "usage.svg"
    result = run("usage", "--plot", str(path), "--days", "2")
    assert (result.code, result.out) == (0, "")
    assert re.fullmatch(rf"{re.escape(str(path))} shows 2 readings since .* UTC\.\n", result.err)
    assert ET.fromstring(path.read_text()).tag == "{http://www.w3.org/2000/svg}svg"
    assert sim.requests == []
    data = json.loads(run("usage", "--plot", str(path), "--json").out)
    assert (data["plot"], data["readings"]) == (str(path), 2)
    assert run("usage", "--plot", "-").out.startswith("<svg")
    missing = run("usage", "--plot", str(tmp_path / "missing" / "usage.svg"))
    assert (missing.code, missing.out) == (1, "")
    assert "cannot be written" in missing.err


def test_plot_shows_the_account_of_the_login(
    run: Run, store_login: StoreLogin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_login()
    history = UsageHistory(tmp_path / "mine.sqlite3")
    window = RateLimitWindow(used_percent=1)
    history.record(RateLimits(received_at=datetime.now(UTC), windows=(window,)), account_id="another")
    monkeypatch.setenv("CODEX_USAGE_HISTORY", str(history.path))
    result = run("usage", "--plot", str(tmp_path / "usage.svg"))
    assert result.code == 1
    assert "no reading of this account in the last 30 days" in result.err


def test_plot_of_a_damaged_history_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.sqlite3").write_bytes(b"damaged" * 100)
    monkeypatch.setenv("CODEX_USAGE_HISTORY", str(tmp_path / "mine.sqlite3"))
    result = run("usage", "--plot", str(tmp_path / "usage.svg"))
    assert result.code == 1
    assert re.fullmatch(r"Error: The usage history .* cannot be read .*\n", result.err)


# --- reset credits ----------------------------------------------------------------------------------------------------


def test_reset_uses_a_credit(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    sim.limits = replace(sim.limits, reset_credits=2)
    result = run("usage", "--reset", "--yes")
    assert (result.code, result.err) == (0, "A reset credit reset 2 windows.\n")
    assert result.out.count(" 0 % used") == 2
    assert sim.limits.reset_credits == 1


def test_reset_without_a_credit_is_an_error(run: Run, store_login: StoreLogin) -> None:
    store_login()
    result = run("usage", "--reset", "--yes", "--json")
    assert result.code == 1
    assert "This account has no reset credits." in json.loads(result.out)["error"]["message"]


def test_reset_of_unused_windows_is_an_error(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    sim.limits = SimulatedLimits(primary=SimulatedWindow(0, minutes=300), secondary=None, reset_credits=1)
    result = run("usage", "--reset", "--yes")
    assert result.code == 1
    assert "nothing_to_reset" in result.err
    assert sim.limits.reset_credits == 1


def test_reset_without_a_terminal_needs_yes(run_in_process: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    sim.limits = replace(sim.limits, reset_credits=1)
    result = run_in_process("usage", "--reset")
    assert result.code == 2
    assert "Add --yes" in result.err
    assert sim.limits.reset_credits == 1
