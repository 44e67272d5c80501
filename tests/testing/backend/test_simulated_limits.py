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
    response = raw_client.create("hi")
    assert response.status_code == 429
    assert response.headers["x-codex-primary-used-percent"] == "100.0"
    assert "x-codex-secondary-used-percent" not in response.headers
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


# A plan that is used up rejects requests


def error_of(raw_client: Any, **members: Any) -> Any:
    response = raw_client.create("hi", **members)
    return response.json()["error"] if response.status_code == 429 else response.status_code


def test_limit_after_uses_up_the_window(raw_client: Any, clock: Any) -> None:
    raw_client.sim.limit_after = 3
    raw_client.sim.script("one", "two", "three", "after the reset")
    assert used_percents(raw_client) == [0, 34]
    headers = [raw_client.create("hi").headers["x-codex-primary-used-percent"] for _ in range(3)]
    assert headers == ["33.0", "66.0", "100.0"]
    usage = raw_client.get("/wham/usage").json()["rate_limit"]
    assert (usage["allowed"], used_percents(raw_client)) == (False, [100, 34])
    rejected = raw_client.create("hi")
    error = rejected.json()["error"]
    assert (rejected.status_code, error["type"], error["plan_type"]) == (429, "usage_limit_reached", "plus")
    assert error["resets_in_seconds"] == 5 * 3600 == error["limit_window_minutes"] * 60
    assert error["resets_at"] == usage["primary_window"]["reset_at"]
    assert rejected.headers["x-codex-primary-used-percent"] == "100.0"
    assert error_of(raw_client)["resets_at"] == error["resets_at"], "a rejected request changes nothing"
    clock.now += timedelta(hours=5)
    assert used_percents(raw_client) == [0, 34]
    assert raw_client.text("hi") == "after the reset", "a rejected request uses up no scripted turn"
    assert used_percents(raw_client) == [33, 34]


def test_limit_after_on_a_socket(raw_client: Any, open_socket: Any) -> None:
    raw_client.sim.limit_after = 1
    socket = open_socket(raw_client)
    socket.create(generate=False)
    assert socket.text("Say hello") == "hello", "a prewarm is not counted"
    error = socket.error("Say hello")
    assert (error["status"], error["error"]["type"]) == (429, "usage_limit_reached")
    assert error["headers"]["x-codex-primary-used-percent"] == "100.0"


def test_reset_credit_ends_a_usage_limit(raw_client: Any) -> None:
    raw_client.sim.limit_after = 1
    assert [raw_client.create("hi").status_code for _ in range(2)] == [200, 429]
    assert consume(raw_client, {"redeem_request_id": "k"}).json()["code"] == "reset"
    assert [raw_client.create("hi").status_code for _ in range(2)] == [200, 429]
    raw_client.sim.fail("usage_limit_week")
    assert error_of(raw_client)["limit_window_minutes"] == 300, "the plan is used up, so the fault waits"
    consume(raw_client, {"redeem_request_id": "k2"})
    assert error_of(raw_client)["limit_window_minutes"] == 10080
    assert error_of(raw_client)["limit_window_minutes"] == 10080


@pytest.mark.parametrize("change", ["clear", "limits", "limit_after"])
def test_usage_limit_ends_with_a_change(raw_client: Any, change: str) -> None:
    raw_client.sim.limit_after = 0
    assert error_of(raw_client)["type"] == "usage_limit_reached"
    if change == "clear":
        raw_client.sim.clear()
    elif change == "limits":
        raw_client.sim.limits = SimulatedLimits()
        raw_client.sim.limit_after = None
    else:
        raw_client.sim.limit_after = 1
    assert raw_client.create("hi").status_code == 200


def test_negative_limit_after_raises(raw_client: Any) -> None:
    with pytest.raises(ValueError, match="limit_after: -1"):
        raw_client.sim.limit_after = -1


def test_rejected_and_failed_requests_are_not_counted(raw_client: Any) -> None:
    raw_client.sim.limit_after = 2
    raw_client.sim.fail("overloaded", "status:400")
    statuses = [raw_client.create("hi").status_code for _ in range(2)]
    statuses.append(raw_client.create("hi", store=True).status_code)
    assert (statuses, used_percents(raw_client)) == ([503, 400, 400], [0, 34])


def test_later_requests_get_the_error_of_the_fault(raw_client: Any, clock: Any) -> None:
    raw_client.sim.fail("usage_limit:go,60", "overloaded")
    first = error_of(raw_client)
    assert raw_client.create("hi").status_code == 503, "the queue applies first"
    assert error_of(raw_client) == first
    clock.now += timedelta(seconds=60)
    assert error_of(raw_client) == 200
    for fault in ("usage_limit_no_reset", "usage_limit_workspace", "usage_limit_promo:Half price"):
        raw_client.sim.limits = SimulatedLimits()
        raw_client.sim.fail(fault)
        responses = [raw_client.create("hi") for _ in range(2)]
        assert responses[0].json() == responses[1].json()
        names = [name for name in responses[0].headers if name.startswith("x-codex")]
        assert [responses[0].headers[name] for name in names] == [responses[1].headers[name] for name in names]


def test_credits_replace_the_limits_of_the_plan(raw_client: Any) -> None:
    raw_client.sim.limits = SimulatedLimits(primary=SimulatedWindow(100, minutes=300), has_credits=True)
    assert error_of(raw_client) == 200
    raw_client.sim.limits = replace(raw_client.sim.limits, has_credits=False)
    assert error_of(raw_client)["limit_window_minutes"] == 300


def test_limit_of_a_model_rejects_this_model_only(raw_client: Any) -> None:
    raw_client.sim.fail("usage_limit_model:Spark")
    for _ in range(2):
        response = raw_client.create("hi")
        assert (response.status_code, response.headers["x-codex-active-limit"]) == (429, "codex_bengalfox")
        assert response.headers["x-codex-bengalfox-limit-name"] == "Spark"
    assert error_of(raw_client, model="gpt-5.5") == 200


def test_fault_in_a_header_leaves_the_account_unchanged(raw_client: Any) -> None:
    header = {"x-simulator-fault": "usage_limit:plus,60"}
    assert raw_client.post(raw_client.body("hi"), **header).status_code == 429
    assert (error_of(raw_client), used_percents(raw_client)) == (200, [12, 34])


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
