"""Test `codex-backend status`, `usage` and `models`."""

from __future__ import annotations

import json
import re
import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import pytest

from codex_backend_sdk._timefmt import format_local_time
from codex_backend_sdk.cli.account_commands import usage_lines
from codex_backend_sdk.limits.limit_parsing import parse_usage_report
from codex_backend_sdk.testing import SimulatedLimits, SimulatedWindow, Simulator

if TYPE_CHECKING:
    from pathlib import Path

    from cli.command_runs import Run, StoreLogin

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RESET = int(NOW.timestamp()) + 3600


# --- status ---------------------------------------------------------------------------------------------------------


def test_status_shows_the_login_and_sends_no_request(
    run: Run, store_login: StoreLogin, sim: Simulator, home: Path
) -> None:
    document = store_login()
    result = run("status")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Logged in as user@example.com\n")
    fields = dict(re.findall(r"^  (\S+(?: in)?) +(.+)$", result.out, re.MULTILINE))
    assert fields["plan"] == "pro"
    assert fields["account"] == sim.account.account_id
    assert fields["stored in"] == str(home / "auth.json")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC \(in 9 d 23 h\); refreshed automatically", fields["expires"])
    assert not any(document["tokens"][name] in result.out for name in ("access_token", "refresh_token"))
    assert sim.requests == []


def test_status_of_an_expired_renewable_login(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login(sim.login_document(expires_in=-timedelta(hours=3, minutes=5)))
    result = run("status")
    assert result.code == 0
    assert "(3 h 5 min ago); refreshed automatically" in result.out
    assert sim.requests == []


def test_status_of_an_expired_login(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    document = sim.login_document(expires_in=-timedelta(hours=3))
    del document["tokens"]["refresh_token"]
    store_login(document)
    result = run("status")
    assert result.code == 3
    assert "has expired and cannot be refreshed. Run `codex-backend login`" in result.out


def test_status_of_a_token_without_readable_expiry(run: Run, store_login: StoreLogin) -> None:
    store_login({"tokens": {"access_token": "opaque", "account_id": "acc-1"}})
    result = run("status")
    assert result.code == 0
    assert "unknown; cannot be refreshed" in result.out
    assert "opaque" not in result.out


def test_status_of_a_token_in_the_environment(
    run: Run, store_login: StoreLogin, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = store_login()
    jwt, personal = document["tokens"]["access_token"], sim.personal_access_token()
    for token, paths in ((jwt, []), (personal, ["/api/accounts/v1/user-auth-credential/whoami"])):
        monkeypatch.setenv("CODEX_ACCESS_TOKEN", token)
        result = run("status")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith("Logged in as user@example.com\n")
        assert "stored in  the variable CODEX_ACCESS_TOKEN" in result.out
        assert "cannot be refreshed" in result.out
        assert token not in result.out
        assert [request.path for request in sim.requests] == paths


@pytest.mark.parametrize(("token", "code"), [("at-unknown", 3), ("sk-mine", 1)])
def test_status_of_a_rejected_token_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, token: str, code: int
) -> None:
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", token)
    result = run("status")
    assert (result.code, result.out) == (code, "")
    assert re.fullmatch(r"Error: .*CODEX_ACCESS_TOKEN.*\n", result.err)
    assert token not in result.err


def test_status_of_a_stored_personal_access_token(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login({"OPENAI_API_KEY": None, "personal_access_token": sim.personal_access_token()})
    result = run("status")
    assert (result.code, result.err) == (0, "")
    assert "Logged in as user@example.com" in result.out
    assert "unknown; cannot be refreshed" in result.out


def test_status_without_a_login_names_the_command(run: Run, home: Path) -> None:
    result = run("status")
    assert (result.code, result.err) == (3, "")
    text = f"Not logged in\nThere is no login in {home / 'auth.json'}. Run `codex-backend login` to log in.\n"
    assert result.out == text


def test_status_of_an_api_key_hides_it(run: Run, store_login: StoreLogin) -> None:
    store_login({"OPENAI_API_KEY": "sk-secret"})
    result = run("status")
    assert result.code == 3
    assert "an OpenAI API key, not a ChatGPT login." in result.out
    assert "sk-secret" not in result.out


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"tokens": {"access_token": 7}})])
def test_status_of_a_damaged_store_is_one_line(run: Run, home: Path, text: str) -> None:
    home.mkdir()
    (home / "auth.json").write_text(text)
    result = run("status")
    assert (result.code, result.out) == (1, "")
    assert re.fullmatch(rf"Error: .*{re.escape(str(home / 'auth.json'))}.*\n", result.err)


def test_store_error_holds_no_token_in_its_frames(run: Run, store_login: StoreLogin, home: Path) -> None:
    store_login()
    text = (home / "auth.json").read_text()
    (home / "auth.json").write_text(text[:-20])
    with pytest.raises(RuntimeError, match="auth") as caught:
        run("--debug", "status")
    error: BaseException | None = caught.value
    while error is not None:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
        assert not [frame for frame in frames if frame.filename != __file__ and "eyJ" in str(frame.locals)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


# --- usage ----------------------------------------------------------------------------------------------------------


def usage_window(percent: int, seconds: int, reset_at: int | None = RESET) -> dict[str, Any]:
    return {"used_percent": percent, "limit_window_seconds": seconds, "reset_at": reset_at}


def usage_text(response: dict[str, Any]) -> str:
    lines = usage_lines(parse_usage_report(response, received_at=NOW), now=NOW)
    return "\n".join(click.unstyle(line) for line, _ in lines)


def test_usage_shows_both_windows(run: Run, store_login: StoreLogin) -> None:
    store_login()
    result = run("usage")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("user@example.com, plan pro\n")
    assert re.search(r"^  5 h +█+░+  12 % used, resets (in .*|now) \(\d{4}-", result.out, re.MULTILINE)
    assert re.search(r"^  weekly +█+░+  34 % used, resets (in .*|now) \(\d{4}-", result.out, re.MULTILINE)
    assert max(map(len, result.out.splitlines())) <= 79


def test_usage_sorts_windows_by_length(run: Run, store_login: StoreLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator(
        limits=SimulatedLimits(primary=SimulatedWindow(34, minutes=10080), secondary=SimulatedWindow(12, minutes=300))
    ) as other:
        store_login(other.login_document())
        for name, value in other.environment.items():
            monkeypatch.setenv(name, value)
        lines = run("usage").out.splitlines()
    assert re.search(r"5 h .* 12 %", lines[1])
    assert re.search(r"weekly .* 34 %", lines[2])


def test_usage_json_is_the_response(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    response = json.loads(run("usage", "--json").out)
    assert response["rate_limit"]["primary_window"]["limit_window_seconds"] == 18000
    assert response["spend_control"] == {"reached": False, "individual_limit": None}
    assert [request.path for request in sim.requests] == ["/backend-api/wham/usage"]


def test_usage_with_required_members_only() -> None:
    assert usage_text({"plan_type": "free"}) == (
        "Your account, plan free\nThe backend reports no limits for this account."
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
    reset_at = format_local_time(NOW + timedelta(hours=1))
    assert text.splitlines()[1:] == [
        f"  {'5 h'.ljust(19)}  {'█' * 12} 100 % used, resets in 1 h ({reset_at})",
        f"  GPT-X-Spark, weekly  {'░' * 12}   0 % used",
        f"  {'Code review, weekly'.ljust(19)}  {'█'}{'░' * 11}   5 % used",
        "The usage limit is exhausted: credits pay for further calls until the reset.",
        "Credits: 12.50",
        "Spending cap: 8 of 25, not reached",
        "Reset credits: 2 (`client.codex.reset_credits.consume()` uses one)",
    ]


@pytest.mark.parametrize(
    ("credits", "control"),
    [(None, None), ({"has_credits": True, "unlimited": False}, {"reached": True})],
)
def test_usage_of_a_limit_without_usable_credits(credits: Any, control: Any) -> None:
    limit = {"primary_window": usage_window(100, 18000)}
    text = usage_text({"plan_type": "pro", "rate_limit": limit, "credits": credits, "spend_control": control})
    assert "The usage limit is exhausted: the backend rejects further calls until the reset." in text


def test_usage_of_unlimited_credits() -> None:
    response = {"plan_type": "pro", "credits": {"unlimited": True, "has_credits": True}}
    assert usage_text(response).endswith("Credits: unlimited")


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


# --- models ---------------------------------------------------------------------------------------------------------


def test_models_keeps_the_order_of_the_catalog(run: Run, store_login: StoreLogin) -> None:
    store_login()
    result = run("models")
    assert (result.code, result.err) == (0, "")
    heading, first, *rest = result.out.splitlines()
    assert heading.split() == ["MODEL", "NAME", "CONTEXT", "REASONING", "EFFORTS"]
    assert re.fullmatch(r"gpt-6\.2-sol +GPT-6\.2-Sol +500 k +low, medium, high, xhigh, max, ultra", first)
    assert not any("codex-auto-review" in line for line in rest)
    assert not any(line.startswith(" ") for line in result.out.splitlines())


def test_models_all_includes_hidden_models(run: Run, store_login: StoreLogin) -> None:
    store_login()
    assert "codex-auto-review" in run("models", "--all").out


def test_models_json_is_the_whole_catalog(run: Run, store_login: StoreLogin) -> None:
    store_login()
    data = json.loads(run("models", "--json").out)["data"]
    assert data[0]["id"] == "gpt-6.2-sol"
    assert data[0]["context_window"] == 500000
    assert data[0]["supported_reasoning_levels"][0]["effort"] == "low"
