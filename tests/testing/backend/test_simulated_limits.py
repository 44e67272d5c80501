"""Test the usage limits and the reset credits of the simulated account."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.testing import SimulatedAccount, SimulatedAdditionalLimit, SimulatedLimits, SimulatedWindow, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

RESET_CREDITS_PATH = "/wham/rate-limit-reset-credits"


@pytest.fixture
def raw_client(start_raw_client: Callable[..., Any], clock: Any) -> Any:
    return start_raw_client(clock=clock, account=SimulatedAccount(plan="plus"), limits=SimulatedLimits(reset_credits=2))


def used_percents(raw_client: Any) -> list[int]:
    limit = raw_client.get("/wham/usage").json()["rate_limit"]
    return [limit[name]["used_percent"] for name in ("primary_window", "secondary_window") if limit[name]]


def consume(raw_client: Any, body: Any) -> Any:
    return raw_client.http.post(
        f"{raw_client.sim.chatgpt_url}{RESET_CREDITS_PATH}/consume", json=body, headers=raw_client.headers
    )


def test_limits_can_be_set_at_any_time(raw_client: Any, clock: Any) -> None:
    assert used_percents(raw_client) == [12, 34]
    raw_client.sim.limits = SimulatedLimits(
        primary=SimulatedWindow(100, minutes=10080, resets_at=clock.now + timedelta(days=1)), secondary=None
    )
    usage = raw_client.get("/wham/usage").json()
    assert used_percents(raw_client) == [100]
    assert usage["rate_limit"]["limit_reached"] is True
    assert usage["rate_limit"]["allowed"] is False
    assert usage["rate_limit"]["primary_window"]["reset_after_seconds"] == 86400
    headers = raw_client.create("hi").headers
    assert headers["x-codex-primary-used-percent"] == "100.0"
    assert "x-codex-secondary-used-percent" not in headers
    raw_client.sim.clear()
    assert used_percents(raw_client) == [12, 34]


def test_additional_limits_are_in_headers_event_and_usage(raw_client: Any) -> None:
    raw_client.sim.limits = SimulatedLimits(
        additional=(SimulatedAdditionalLimit(primary=SimulatedWindow(7, minutes=300)),)
    )
    response = raw_client.create("hi")
    assert response.headers["x-codex-bengalfox-primary-used-percent"] == "7.0"
    assert response.headers["x-codex-bengalfox-limit-name"] == "GPT-X-Spark"
    event = next(event for event in raw_client.events("hi") if event["type"] == "codex.rate_limits")
    assert event["additional_rate_limits"]["GPT-X-Spark"]["primary"]["used_percent"] == 7
    (limit,) = raw_client.get("/wham/usage").json()["additional_rate_limits"]
    assert (limit["metered_feature"], limit["rate_limit"]["limit_reached"]) == ("codex_bengalfox", False)


def test_usage_reports_a_usage_limit_until_its_reset(raw_client: Any, clock: Any) -> None:
    raw_client.sim.script(Turn.usage_limit(resets_in=timedelta(minutes=10)))
    rejected = raw_client.create("hi")
    usage = raw_client.get("/wham/usage").json()["rate_limit"]
    assert (rejected.status_code, usage["limit_reached"], used_percents(raw_client)) == (429, True, [100, 34])
    assert usage["primary_window"]["reset_at"] == rejected.json()["error"]["resets_at"]
    clock.now += timedelta(minutes=10)
    assert used_percents(raw_client) == [0, 34]


@pytest.mark.parametrize(("fault", "expected"), [("usage_limit_week", [12, 100]), ("usage_limit_no_reset", [100, 34])])
def test_usage_limit_fault_exhausts_the_matching_window(raw_client: Any, fault: str, expected: list[int]) -> None:
    raw_client.sim.fail(fault)
    raw_client.create("hi")
    assert used_percents(raw_client) == expected


def test_limit_of_a_model_leaves_the_plan_unchanged(raw_client: Any) -> None:
    raw_client.sim.limits = replace(
        raw_client.sim.limits, additional=(SimulatedAdditionalLimit(), SimulatedAdditionalLimit(id="other"))
    )
    raw_client.sim.fail("usage_limit_model:Spark")
    raw_client.create("hi")
    assert used_percents(raw_client) == [12, 34]
    by_id = {
        limit["metered_feature"]: limit for limit in raw_client.get("/wham/usage").json()["additional_rate_limits"]
    }
    assert sorted(by_id) == ["codex_bengalfox", "other"]
    assert by_id["codex_bengalfox"]["limit_name"] == "Spark"
    assert by_id["codex_bengalfox"]["rate_limit"]["limit_reached"]


@pytest.mark.parametrize(
    ("reached_type", "is_cap"),
    [("workspace_member_usage_limit_reached", True), ("workspace_owner_credits_depleted", False)],
)
def test_usage_reports_an_exhausted_workspace_limit(raw_client: Any, reached_type: str, is_cap: bool) -> None:
    raw_client.sim.fail(f"usage_limit_workspace:{reached_type}")
    raw_client.create("hi")
    usage = raw_client.get("/wham/usage").json()
    assert usage["rate_limit_reached_type"] == {"type": reached_type}
    assert usage["spend_control"]["reached"] is is_cap


def test_reset_credit_resets_the_windows_once_for_each_key(raw_client: Any) -> None:
    first, second = raw_client.get(RESET_CREDITS_PATH).json()["credits"]
    assert (first["status"], second["status"]) == ("available", "available")
    body = {"redeem_request_id": "k", "credit_id": second["id"]}
    assert consume(raw_client, body).json() == {"code": "reset", "windows_reset": 2}
    assert used_percents(raw_client) == [0, 0]
    assert consume(raw_client, body).json() == {"code": "already_redeemed", "windows_reset": 0}
    listed = raw_client.get(RESET_CREDITS_PATH).json()
    assert [credit["status"] for credit in listed["credits"]] == ["available", "redeemed"]
    assert listed["credits"][1]["redeemed_at"] == "2026-11-22T12:00:00Z"
    assert listed["available_count"] == raw_client.sim.limits.reset_credits == 1
    assert raw_client.get("/wham/usage").json()["rate_limit_reset_credits"] == {"available_count": 1}


def test_reset_credit_is_not_used_if_nothing_is_used(raw_client: Any) -> None:
    raw_client.sim.limits = SimulatedLimits(primary=SimulatedWindow(0, minutes=300), secondary=None, reset_credits=1)
    assert consume(raw_client, {"redeem_request_id": "k"}).json()["code"] == "nothing_to_reset"
    assert raw_client.sim.limits.reset_credits == 1


def test_unknown_and_redeemed_credits_are_not_available(raw_client: Any) -> None:
    for key in ("a", "b", "c"):
        raw_client.sim.limits = replace(raw_client.sim.limits, reset_credits=1)
        response = consume(raw_client, {"redeem_request_id": key, "credit_id": "RateLimitResetCredit_9"})
        assert response.json()["code"] == "no_credit"
    assert consume(raw_client, {"redeem_request_id": "d"}).json()["code"] == "reset"
    assert consume(raw_client, {"redeem_request_id": "e", "credit_id": "RateLimitResetCredit_1"}).json()["code"] == (
        "already_redeemed"
    )
    assert consume(raw_client, {"redeem_request_id": "f"}).json()["code"] == "no_credit"


@pytest.mark.parametrize("body", [{}, {"redeem_request_id": 1}, {"redeem_request_id": "k", "credit_id": 1}])
def test_redeem_request_without_a_key_is_rejected(raw_client: Any, body: Any) -> None:
    assert consume(raw_client, body).status_code == 422


def test_missing_reset_credits_return_404(raw_client: Any) -> None:
    raw_client.sim.limits = SimulatedLimits(reset_credits=None)
    assert raw_client.get("/wham/usage").json()["rate_limit_reset_credits"] is None
    assert (
        raw_client.get(RESET_CREDITS_PATH).status_code
        == consume(raw_client, {"redeem_request_id": "k"}).status_code
        == 404
    )
