"""The account's limits: set, used up, reset."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.testing import SimulatedAccount, SimulatedAdditionalLimit, SimulatedLimits, SimulatedWindow, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LIST = "/wham/rate-limit-reset-credits"


@pytest.fixture
def clock() -> list[datetime]:
    return [NOW]


@pytest.fixture
def wire(start_wire: Callable[..., Any], clock: list[datetime]) -> Any:
    return start_wire(
        clock=lambda: clock[0], account=SimulatedAccount(plan="plus"), limits=SimulatedLimits(reset_credits=2)
    )


def used(wire: Any) -> list[int]:
    limit = wire.get("/wham/usage").json()["rate_limit"]
    return [limit[name]["used_percent"] for name in ("primary_window", "secondary_window") if limit[name]]


def consume(wire: Any, body: Any) -> Any:
    return wire.http.post(f"{wire.sim.chatgpt_url}{LIST}/consume", json=body, headers=wire.headers)


def test_limits_can_be_set_at_any_time(wire: Any) -> None:
    assert used(wire) == [12, 34]
    wire.sim.limits = SimulatedLimits(
        primary=SimulatedWindow(100, minutes=10080, resets_at=NOW + timedelta(days=1)), secondary=None
    )
    usage = wire.get("/wham/usage").json()
    assert used(wire) == [100]
    assert usage["rate_limit"]["limit_reached"] is True
    assert usage["rate_limit"]["allowed"] is False
    assert usage["rate_limit"]["primary_window"]["reset_after_seconds"] == 86400
    headers = wire.ask("hi").headers
    assert headers["x-codex-primary-used-percent"] == "100.0"
    assert "x-codex-secondary-used-percent" not in headers
    wire.sim.clear()
    assert used(wire) == [12, 34]


def test_additional_limits_are_told_everywhere(wire: Any) -> None:
    wire.sim.limits = SimulatedLimits(additional=(SimulatedAdditionalLimit(primary=SimulatedWindow(7, minutes=300)),))
    answer = wire.ask("hi")
    assert answer.headers["x-codex-bengalfox-primary-used-percent"] == "7.0"
    assert answer.headers["x-codex-bengalfox-limit-name"] == "GPT-X-Spark"
    event = next(each for each in wire.events("hi") if each["type"] == "codex.rate_limits")
    assert event["additional_rate_limits"]["GPT-X-Spark"]["primary"]["used_percent"] == 7
    (told,) = wire.get("/wham/usage").json()["additional_rate_limits"]
    assert (told["metered_feature"], told["rate_limit"]["limit_reached"]) == ("codex_bengalfox", False)


def test_a_used_up_plan_is_used_up_in_the_usage_answer_until_its_reset(wire: Any, clock: list[datetime]) -> None:
    wire.sim.script(Turn.usage_limit(resets_in=timedelta(minutes=10)))
    refused = wire.ask("hi")
    usage = wire.get("/wham/usage").json()["rate_limit"]
    assert (refused.status_code, usage["limit_reached"], used(wire)) == (429, True, [100, 34])
    assert usage["primary_window"]["reset_at"] == refused.json()["error"]["resets_at"]
    clock[0] += timedelta(minutes=10)
    assert used(wire) == [0, 34]


@pytest.mark.parametrize(("fault", "expected"), [("usage_limit_week", [12, 100]), ("usage_limit_no_reset", [100, 34])])
def test_a_fault_uses_the_window_of_its_length_up(wire: Any, fault: str, expected: list[int]) -> None:
    wire.sim.fail(fault)
    wire.ask("hi")
    assert used(wire) == expected


def test_a_models_own_limit_is_not_the_plans(wire: Any) -> None:
    wire.sim.limits = replace(
        wire.sim.limits, additional=(SimulatedAdditionalLimit(), SimulatedAdditionalLimit(id="other"))
    )
    wire.sim.fail("usage_limit_model:Spark")
    wire.ask("hi")
    assert used(wire) == [12, 34]
    told = {each["metered_feature"]: each for each in wire.get("/wham/usage").json()["additional_rate_limits"]}
    assert sorted(told) == ["codex_bengalfox", "other"]
    assert told["codex_bengalfox"]["limit_name"] == "Spark"
    assert told["codex_bengalfox"]["rate_limit"]["limit_reached"]


@pytest.mark.parametrize(
    ("reached", "is_cap"),
    [("workspace_member_usage_limit_reached", True), ("workspace_owner_credits_depleted", False)],
)
def test_what_a_workspace_ran_out_of_is_told(wire: Any, reached: str, is_cap: bool) -> None:
    wire.sim.fail(f"usage_limit_workspace:{reached}")
    wire.ask("hi")
    usage = wire.get("/wham/usage").json()
    assert usage["rate_limit_reached_type"] == {"type": reached}
    assert usage["spend_control"]["reached"] is is_cap


def test_a_reset_credit_fills_the_windows_up_once_for_each_key(wire: Any) -> None:
    first, second = wire.get(LIST).json()["credits"]
    assert (first["status"], second["status"]) == ("available", "available")
    body = {"redeem_request_id": "k", "credit_id": second["id"]}
    assert consume(wire, body).json() == {"code": "reset", "windows_reset": 2}
    assert used(wire) == [0, 0]
    assert consume(wire, body).json() == {"code": "already_redeemed", "windows_reset": 0}
    listed = wire.get(LIST).json()
    assert [each["status"] for each in listed["credits"]] == ["available", "redeemed"]
    assert listed["credits"][1]["redeemed_at"] == "2026-11-22T12:00:00Z"
    assert listed["available_count"] == wire.sim.limits.reset_credits == 1
    assert wire.get("/wham/usage").json()["rate_limit_reset_credits"] == {"available_count": 1}


def test_a_reset_credit_is_not_used_for_nothing(wire: Any) -> None:
    wire.sim.limits = SimulatedLimits(primary=SimulatedWindow(0, minutes=300), secondary=None, reset_credits=1)
    assert consume(wire, {"redeem_request_id": "k"}).json()["code"] == "nothing_to_reset"
    assert wire.sim.limits.reset_credits == 1


def test_reset_credits_that_cannot_be_used(wire: Any) -> None:
    for key in ("a", "b", "c"):
        wire.sim.limits = replace(wire.sim.limits, reset_credits=1)
        answer = consume(wire, {"redeem_request_id": key, "credit_id": "RateLimitResetCredit_9"})
        assert answer.json()["code"] == "no_credit"
    assert consume(wire, {"redeem_request_id": "d"}).json()["code"] == "reset"
    assert consume(wire, {"redeem_request_id": "e", "credit_id": "RateLimitResetCredit_1"}).json()["code"] == (
        "already_redeemed"
    )
    assert consume(wire, {"redeem_request_id": "f"}).json()["code"] == "no_credit"


@pytest.mark.parametrize("body", [{}, [], {"redeem_request_id": 1}, {"redeem_request_id": "k", "credit_id": 1}])
def test_a_request_without_a_key_is_refused(wire: Any, body: Any) -> None:
    assert consume(wire, body).status_code == 422


def test_an_account_without_reset_credits(wire: Any) -> None:
    wire.sim.limits = SimulatedLimits(reset_credits=None)
    assert wire.get("/wham/usage").json()["rate_limit_reset_credits"] is None
    assert wire.get(LIST).status_code == consume(wire, {"redeem_request_id": "k"}).status_code == 404
