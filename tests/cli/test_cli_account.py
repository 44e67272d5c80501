from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk._timefmt import format_local_time
from codex_backend_sdk.cli.usage import report
from codex_backend_sdk.limits.limit_parsing import parse_usage_report
from codex_backend_sdk.testing import SimulatedLimits, SimulatedWindow, Simulator

if TYPE_CHECKING:
    from pathlib import Path

    from cli.runs import Run, StoreLogin


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RESET = int(NOW.timestamp()) + 3600


def window(percent: int, seconds: int, reset_at: int | None = RESET) -> dict[str, Any]:
    return {"used_percent": percent, "limit_window_seconds": seconds, "reset_at": reset_at}


def told(answer: dict[str, Any]) -> str:
    lines = report(parse_usage_report(answer, seen_at=NOW), now=NOW)
    return "\n".join(re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines)


def test_usage_shows_both_windows(run: Run, store_login: StoreLogin) -> None:
    store_login()
    ran = run("usage")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("user@example.com, plan pro\n")
    assert re.search(r"^  5 h +█+░+  12 % used, resets (in .*|now) \(\d{4}-", ran.out, re.MULTILINE)
    assert re.search(r"^  weekly +█+░+  34 % used, resets (in .*|now) \(\d{4}-", ran.out, re.MULTILINE)
    assert max(map(len, ran.out.splitlines())) <= 79


def test_usage_goes_by_length_when_the_weekly_window_is_the_first(run: Run, store_login: StoreLogin) -> None:
    with Simulator(
        limits=SimulatedLimits(primary=SimulatedWindow(34, minutes=10080), secondary=SimulatedWindow(12, minutes=300))
    ) as other:
        store_login(other.login_document())
        with pytest.MonkeyPatch.context() as changed:
            for name, value in other.environment.items():
                changed.setenv(name, value)
            lines = run("usage").out.splitlines()
    assert re.search(r"5 h .* 12 %", lines[1])
    assert re.search(r"weekly .* 34 %", lines[2])


def test_usage_as_json_is_what_the_backend_answered(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    answer = json.loads(run("usage", "--json").out)
    assert answer["rate_limit"]["primary_window"]["limit_window_seconds"] == 18000
    assert answer["spend_control"] == {"reached": False, "individual_limit": None}
    assert [request.path for request in sim.requests] == ["/backend-api/wham/usage"]


def test_usage_with_no_more_than_the_one_required_member() -> None:
    assert told({"plan_type": "free"}) == "Your account, plan free\nThe backend names no limits for this account."


def test_usage_of_further_limits_and_credits() -> None:
    text = told(
        {
            "plan_type": "pro",
            "rate_limit": {"limit_reached": True, "primary_window": window(100, 18000), "secondary_window": None},
            "additional_rate_limits": [
                {"limit_name": "GPT-X\x1b[2J-Spark", "rate_limit": {"primary_window": window(0, 604800, None)}},
                {"limit_name": "Other", "rate_limit": None},
            ],
            "code_review_rate_limit": {"primary_window": window(5, 604800, None)},
            "credits": {"has_credits": True, "unlimited": False, "balance": "12.50"},
            "spend_control": {"reached": False, "individual_limit": {"limit": "25", "used": "8"}},
            "rate_limit_reset_credits": {"available_count": 2},
        }
    )
    assert text.splitlines()[1:] == [
        f"  {'5 h'.ljust(22)}  {'█' * 12} 100 % used, resets in 1 h ({format_local_time(NOW + timedelta(hours=1))})",
        f"  GPT-X[2J-Spark, weekly  {'░' * 12}   0 % used",
        f"  {'Code review, weekly'.ljust(22)}  {'█'}{'░' * 11}   5 % used",
        "The limit is reached: credits pay for further calls until the reset.",
        "Credits: 12.50",
        "Spending cap: 8 of 25, not reached",
        "Reset credits: 2 (`client.codex.reset_credits.consume()` uses one up)",
    ]


@pytest.mark.parametrize(
    ("credits", "control"),
    [(None, None), ({"has_credits": True, "unlimited": False}, {"reached": True})],
)
def test_usage_that_nothing_helps_against(credits: Any, control: Any) -> None:
    limit = {"primary_window": window(100, 18000)}
    text = told({"plan_type": "pro", "rate_limit": limit, "credits": credits, "spend_control": control})
    assert "The limit is reached: the backend refuses further calls until the reset." in text


def test_usage_of_unlimited_credits() -> None:
    answer = {"plan_type": "pro", "credits": {"unlimited": True, "has_credits": True}}
    assert told(answer).endswith("Credits: unlimited")


def test_models_are_listed_in_the_order_of_the_catalogue(run: Run, store_login: StoreLogin) -> None:
    store_login()
    ran = run("models")
    assert (ran.code, ran.err) == (0, "")
    heading, first, *rest = ran.out.splitlines()
    assert heading.split() == ["MODEL", "NAME", "CONTEXT", "REASONING", "EFFORTS"]
    assert re.fullmatch(r"gpt-6\.1-sol +GPT-6\.1-Sol +272 k +low, medium, high, xhigh, max, ultra", first)
    assert not any("codex-auto-review" in line for line in rest)
    assert {len(line) - len(line.lstrip()) for line in ran.out.splitlines()} == {0}


def test_hidden_models_are_listed_on_request(run: Run, store_login: StoreLogin) -> None:
    store_login()
    assert "codex-auto-review" in run("models", "--all").out


def test_models_as_json_say_everything(run: Run, store_login: StoreLogin) -> None:
    store_login()
    data = json.loads(run("models", "--json").out)["data"]
    assert data[0]["id"] == "gpt-6.1-sol"
    assert data[0]["context_window"] == 272000
    assert data[0]["supported_reasoning_levels"][0]["effort"] == "low"


def test_an_expired_login_is_renewed_on_the_way(run: Run, store_login: StoreLogin, sim: Simulator, home: Path) -> None:
    before = store_login(sim.login_document(expires_in=-timedelta(hours=1)))
    assert run("usage").code == 0
    after = json.loads((home / "auth.json").read_text())
    assert after["tokens"]["refresh_token"] != before["tokens"]["refresh_token"]


def test_a_login_that_the_backend_does_not_know_is_one_line(run: Run, store_login: StoreLogin) -> None:
    with Simulator(seed=7) as other:
        store_login(other.login_document())
    ran = run("usage")
    assert (ran.code, ran.out) == (1, "")
    assert re.fullmatch(r"Error: .*codex-backend login.*\n", ran.err)
