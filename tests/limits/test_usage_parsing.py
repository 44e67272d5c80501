from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from codex_backend_sdk.limits import limit_parsing, usage_parsing
from codex_backend_sdk.limits.limit_types import AdditionalLimit, RateLimitWindow
from codex_backend_sdk.limits.usage_types import ModelUsage, ResetCredit, ResetCredits, ResetResult, UsageReport

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
USAGE: dict[str, Any] = {
    "user_id": "user-abc123",
    "account_id": "acc-1",
    "email": "user@example.com",
    "plan_type": "pro",
    "rate_limit": {"primary_window": {"used_percent": 42, "limit_window_seconds": 18000}},
    "code_review_rate_limit": {"primary_window": {"used_percent": 3, "limit_window_seconds": 604800}},
    "model_usage": {
        "gpt-6-astra": {"available": False, "available_at": 1795348800, "credits_would_enable": True},
        "odd": None,
    },
    "rate_limit_reset_credits": {"available_count": 2},
    "rate_limit_upsell": {"banner_type": "luna_reserve"},
}


def test_a_usage_report() -> None:
    found = usage_parsing.read_usage(USAGE, seen_at=NOW)
    assert found == UsageReport(
        limits=limit_parsing.from_usage(USAGE, seen_at=NOW),
        email="user@example.com",
        account_id="acc-1",
        user_id="user-abc123",
        code_review=AdditionalLimit(
            id="code_review",
            name="Code review",
            windows=(RateLimitWindow(used_percent=3, window=timedelta(weeks=1)),),
        ),
        models=(ModelUsage(model="gpt-6-astra", available=False, available_at=NOW, credits_would_enable=True),),
        reset_credits=2,
        banner={"banner_type": "luna_reserve"},
    )
    assert found.plan == "pro"
    assert str(found) == "plan pro; 5 h 42 % used"
    assert hash(found)


def test_a_repr_does_not_say_whose_it_is() -> None:
    shown = repr(usage_parsing.read_usage(USAGE, seen_at=NOW))
    assert not any(secret in shown for secret in ("user@example.com", "acc-1", "user-abc123"))
    assert "reset_credits=2" in shown


@pytest.mark.parametrize("answer", [None, "x", {}, {"model_usage": [], "rate_limit_reset_credits": None}])
def test_a_usage_report_of_nothing(answer: Any) -> None:
    assert usage_parsing.read_usage(answer, seen_at=NOW) == UsageReport(
        limits=limit_parsing.from_usage({}, seen_at=NOW)
    )


def test_reset_credits() -> None:
    given = {
        "id": "RateLimitResetCredit_1",
        "reset_type": "codex_rate_limits",
        "status": "available",
        "granted_at": "2026-11-22T12:00:00Z",
        "expires_at": None,
        "title": "One reset",
        "description": "",
    }
    used = {"id": "RateLimitResetCredit_2", "status": "redeemed", "redeemed_at": "2026-11-22T12:00:00Z"}
    found = usage_parsing.read_reset_credits({"credits": [given, used, {"id": ""}, None]})
    assert found == ResetCredits(
        available_count=1,
        credits=(
            ResetCredit(
                id="RateLimitResetCredit_1",
                reset_type="codex_rate_limits",
                status="available",
                granted_at=NOW,
                title="One reset",
            ),
            ResetCredit(id="RateLimitResetCredit_2", status="redeemed", redeemed_at=NOW),
        ),
    )
    assert [each.is_available for each in found] == [True, False]


def test_the_backend_counts_reset_credits_itself() -> None:
    assert usage_parsing.read_reset_credits({"credits": [], "available_count": 3}).available_count == 3
    assert usage_parsing.read_reset_credits(None) == ResetCredits(available_count=0)


def test_the_body_that_uses_a_reset_credit_up() -> None:
    assert usage_parsing.consume_body(None, redeem_request_id="k") == {"redeem_request_id": "k"}
    assert usage_parsing.consume_body("c", redeem_request_id="k") == {"redeem_request_id": "k", "credit_id": "c"}


@pytest.mark.parametrize(
    ("code", "was_reset"),
    [("reset", True), ("already_redeemed", True), ("nothing_to_reset", False), ("no_credit", False), ("new", False)],
)
def test_what_became_of_a_reset_credit(code: str, was_reset: bool) -> None:
    found = usage_parsing.read_reset_result({"code": code, "windows_reset": 2}, redeem_request_id="k")
    assert found == ResetResult(code=code, windows_reset=2, redeem_request_id="k")
    assert found.was_reset is was_reset


def test_an_answer_about_a_reset_credit_that_says_nothing() -> None:
    found = usage_parsing.read_reset_result("x", redeem_request_id="k")
    assert found == ResetResult(code=None, redeem_request_id="k")
