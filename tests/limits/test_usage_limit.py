from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from codex_backend_sdk._timefmt import format_local_time
from codex_backend_sdk.limits import usage_limit as module

RESETS_AT = 1795360000
RESET = datetime.fromtimestamp(RESETS_AT, UTC)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def usage_limit(error: dict[str, Any], headers: dict[str, str]) -> module.UsageLimit:
    return module.usage_limit(error, headers, now=NOW)


def test_everything_that_is_told() -> None:
    limit = usage_limit({"plan_type": "plus", "resets_at": RESETS_AT, "limit_window_minutes": 300}, {})
    assert (limit.plan, limit.window) == ("plus", timedelta(hours=5))
    assert limit.resets_at == RESET
    assert limit.message == (
        f"The 5 h usage limit of the plus plan is reached. It resets at {format_local_time(RESET)}. What helps before "
        "that: the Pro plan (https://chatgpt.com/explore/pro) or more credits (https://chatgpt.com/settings/usage)."
    )


def test_nothing_is_told() -> None:
    limit = usage_limit({}, {})
    assert (limit.plan, limit.resets_at, limit.window, limit.limit_name, limit.reached) == (None,) * 5
    assert limit.message == "The usage limit is reached."


@pytest.mark.parametrize("resets_at", [1795360000000, float("inf"), float("nan"), "soon", -1e20, None, []])
def test_a_reset_time_that_is_no_time_is_none(resets_at: Any) -> None:
    assert usage_limit({"resets_at": resets_at}, {}).resets_at is None


@pytest.mark.parametrize("minutes", ["", None, 0, -5, float("nan"), float("inf"), 10**30, []])
def test_a_window_that_is_none(minutes: Any) -> None:
    assert usage_limit({"limit_window_minutes": minutes}, {}).window is None


@pytest.mark.parametrize(
    ("minutes", "named"),
    [(300, "5 h "), ("300", "5 h "), (1440, "daily "), (10080, "weekly "), (43200, "monthly ")],
)
def test_windows_are_named_by_their_length(minutes: int, named: str) -> None:
    assert usage_limit({"limit_window_minutes": minutes}, {}).message == f"The {named}usage limit is reached."


@pytest.mark.parametrize(
    ("plan", "helps"),
    [
        ("free", "the Plus plan"),
        ("go", "the Plus plan"),
        ("plus", "the Pro plan"),
        ("pro", "more credits"),
        ("prolite", "more credits"),
        ("promax", "more credits"),
        ("team", "workspace's admin"),
        ("business", "workspace's admin"),
        ("self_serve_business_usage_based", "workspace's admin"),
        ("enterprise_cbp_usage_based", "workspace's admin"),
        ("ent26", "workspace's admin"),
        ("enterprise", None),
        ("edu", None),
        ("unknown", None),
        ("", None),
        (7, None),
    ],
)
def test_what_helps_on_each_plan(plan: Any, helps: str | None) -> None:
    message = usage_limit({"plan_type": plan}, {}).message
    assert (helps in message) if helps else ("What helps" not in message)


@pytest.mark.parametrize(
    ("reached", "says"),
    [
        ("workspace_owner_credits_depleted", "no credits left. What helps: adding credits"),
        ("workspace_member_credits_depleted", "asking the workspace's owner to add credits"),
        ("workspace_owner_usage_limit_reached", "you set for your workspace is reached"),
        ("workspace_member_usage_limit_reached", "owner set for you is reached"),
        ("rate_limit_reached", "The usage limit of the team plan is reached."),
    ],
)
def test_a_workspace_has_reasons_of_its_own(reached: str, says: str) -> None:
    limit = usage_limit({"plan_type": "team"}, {"x-codex-rate-limit-reached-type": reached})
    assert limit.reached == reached
    assert says in limit.message


def test_credits_do_not_come_back_at_a_reset() -> None:
    headers = {"x-codex-rate-limit-reached-type": "workspace_member_credits_depleted"}
    limit = usage_limit({"plan_type": "team", "resets_at": 1_800_000_000}, headers)
    assert limit.resets_at is not None
    assert limit.message == (
        "The workspace has no credits left. What helps: asking the workspace's owner to add credits."
    )


def test_the_limit_of_one_model() -> None:
    limit = usage_limit({}, {"x-codex-active-limit": "codex_spark", "x-codex-spark-limit-name": "GPT-X-Spark"})
    assert limit.limit_name == "GPT-X-Spark"
    assert limit.message == "The usage limit of GPT-X-Spark is reached. What helps before that: another model."


def test_an_offer_takes_the_place_of_the_advice() -> None:
    limit = usage_limit({"plan_type": "plus"}, {"x-codex-promo-message": "Get more with an add-on."})
    assert limit.message.endswith("What helps before that: Get more with an add-on.")


HEADERS = {
    "x-codex-primary-used-percent": "100",
    "x-codex-primary-window-minutes": "10080",
    "x-codex-primary-reset-at": str(RESETS_AT),
    "x-codex-secondary-used-percent": "30",
    "x-codex-secondary-window-minutes": "300",
    "x-codex-secondary-reset-at": str(RESETS_AT - 3600),
}


def test_the_headers_tell_what_the_error_does_not() -> None:
    limit = usage_limit({}, HEADERS)
    assert (limit.window, limit.resets_at) == (timedelta(days=7), datetime.fromtimestamp(RESETS_AT, UTC))
    assert limit.message.startswith(f"The weekly usage limit is reached. It resets at {format_local_time(RESET)}.")
    assert limit.limits is not None
    assert len(limit.limits.windows) == 2


def test_the_error_stands_above_the_headers() -> None:
    limit = usage_limit({"resets_at": RESETS_AT + 60, "limit_window_minutes": 300}, HEADERS)
    assert (limit.window, limit.resets_at) == (timedelta(hours=5), datetime.fromtimestamp(RESETS_AT + 60, UTC))


def test_the_window_of_a_model_of_its_own() -> None:
    own = {name.replace("codex", "codex-spark"): value for name, value in HEADERS.items()}
    named = {**own, "x-codex-active-limit": "codex_spark", "x-codex-spark-limit-name": "Spark"}
    limit = usage_limit({}, {**named, "x-codex-primary-used-percent": "5"})
    assert limit.window == timedelta(days=7)
    assert usage_limit({}, {**HEADERS, "x-codex-active-limit": "x", "x-x-limit-name": "X"}).window is None
