"""Test the parser of `usage_limit_reached` errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from codex_backend_sdk._timefmt import format_local_time
from codex_backend_sdk.limits.exhausted_limit import ExhaustedLimit, parse_exhausted_limit

RESETS_AT = 1795360000
RESET = datetime.fromtimestamp(RESETS_AT, UTC)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

# The weekly window is exhausted, the one of five hours is not.
HEADERS = {
    "x-codex-primary-used-percent": "100",
    "x-codex-primary-window-minutes": "10080",
    "x-codex-primary-reset-at": str(RESETS_AT),
    "x-codex-secondary-used-percent": "30",
    "x-codex-secondary-window-minutes": "300",
    "x-codex-secondary-reset-at": str(RESETS_AT - 3600),
}


def parse(error: dict[str, Any], headers: dict[str, str]) -> ExhaustedLimit:
    return parse_exhausted_limit(error, headers, now=NOW)


def test_complete_error_is_parsed() -> None:
    limit = parse({"plan_type": "plus", "resets_at": RESETS_AT, "limit_window_minutes": 300}, {})
    assert (limit.plan, limit.window_length, limit.resets_at) == ("plus", timedelta(hours=5), RESET)
    assert limit.message == (
        f"The 5 h usage limit of the plus plan is reached. It resets at {format_local_time(RESET)}. To continue before "
        "that, upgrade to the Pro plan (https://chatgpt.com/explore/pro) or buy credits "
        "(https://chatgpt.com/settings/usage)."
    )


def test_empty_error_has_only_a_reason() -> None:
    assert parse({}, {}) == ExhaustedLimit(message="The usage limit is reached.")


@pytest.mark.parametrize("resets_at", [1795360000000000, float("inf"), float("nan"), "soon", -1e20, None, []])
def test_invalid_reset_time_is_none(resets_at: Any) -> None:
    assert parse({"resets_at": resets_at}, {}).resets_at is None


IN_AN_HOUR = NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    "error",
    [
        {"resets_in_seconds": 3600},
        {"resets_in_seconds": "3600", "resets_at": None},
        {"reset_after_seconds": 3600.0},
        {"resets_at": IN_AN_HOUR.timestamp() * 1000},
        {"resets_at": IN_AN_HOUR.isoformat()},
        {"resets_at": IN_AN_HOUR.timestamp(), "resets_in_seconds": 3590},
        {"resets_at": IN_AN_HOUR.timestamp() + 7200, "resets_in_seconds": 3600},
    ],
    ids=str,
)
def test_reset_time_is_read_in_every_form(error: dict[str, Any]) -> None:
    limit = parse(error, {})
    assert limit.resets_at == IN_AN_HOUR
    assert f"It resets at {format_local_time(IN_AN_HOUR)}." in limit.message


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-3), timedelta(days=400), timedelta(seconds=20)])
@pytest.mark.parametrize("source", ["error", "headers"])
def test_reset_time_is_on_the_local_clock(ahead: timedelta, source: str) -> None:
    server_time = NOW - ahead
    headers = {"date": format_datetime(server_time, usegmt=True)}
    error = {}
    reset_at = str(int((server_time + timedelta(hours=1)).timestamp()))
    if source == "error":
        error["resets_at"] = reset_at
    else:
        headers |= HEADERS | {"x-codex-primary-reset-at": reset_at}
    resets_at = parse(error, headers).resets_at
    assert resets_at is not None
    assert abs(resets_at - IN_AN_HOUR) <= timedelta(minutes=1)


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Sun, 22 Nov 2026 12:00:00", "Sun, 99 Nov 2026 12:00:00 GMT", "9" * 9999]
)
def test_invalid_date_is_ignored(date: str) -> None:
    assert parse({"resets_at": RESETS_AT}, {"date": date}).resets_at == RESET


def test_message_without_a_reset_time_has_no_deadline() -> None:
    assert "before that" not in parse({"plan_type": "plus"}, {}).message


@pytest.mark.parametrize("minutes", ["", None, 0, -5, float("nan"), float("inf"), 10**30, []])
def test_invalid_window_length_is_none(minutes: Any) -> None:
    assert parse({"limit_window_minutes": minutes}, {}).window_length is None


@pytest.mark.parametrize(
    ("minutes", "name"), [(300, "5 h "), ("300", "5 h "), (1440, "daily "), (10080, "weekly "), (43200, "monthly ")]
)
def test_message_names_the_window(minutes: int, name: str) -> None:
    assert parse({"limit_window_minutes": minutes}, {}).message == f"The {name}usage limit is reached."


@pytest.mark.parametrize(
    ("plan", "remedy"),
    [
        ("free", "upgrade to the Plus plan"),
        ("go", "upgrade to the Plus plan"),
        ("plus", "upgrade to the Pro plan"),
        ("pro", "buy credits"),
        ("prolite", "buy credits"),
        ("promax", "buy credits"),
        ("team", "ask your workspace's admin"),
        ("business", "ask your workspace's admin"),
        ("self_serve_business_usage_based", "ask your workspace's admin"),
        ("enterprise_cbp_usage_based", "ask your workspace's admin"),
        ("ent26", "ask your workspace's admin"),
        ("enterprise", None),
        ("edu", None),
        ("unknown", None),
        ("", None),
        (7, None),
    ],
)
def test_remedy_depends_on_the_plan(plan: Any, remedy: str | None) -> None:
    message = parse({"plan_type": plan}, {}).message
    assert (f"To continue, {remedy}" in message) if remedy else ("To continue" not in message)


@pytest.mark.parametrize(
    ("reached_type", "message"),
    [
        ("workspace_owner_credits_depleted", "out of credits. To continue, add credits to the workspace."),
        ("workspace_member_credits_depleted", "out of credits. To continue, ask the workspace's owner to add credits."),
        ("workspace_owner_usage_limit_reached", "cap of your workspace is reached. To continue, raise the cap in"),
        ("workspace_member_usage_limit_reached", "Your spending cap in the workspace is reached. To continue, ask"),
        ("rate_limit_reached", "The usage limit of the team plan is reached."),
    ],
)
def test_workspace_reason_decides_the_message(reached_type: str, message: str) -> None:
    limit = parse({"plan_type": "team"}, {"x-codex-rate-limit-reached-type": reached_type})
    assert limit.reached_type == reached_type
    assert message in limit.message


def test_depleted_credits_have_no_reset_in_the_message() -> None:
    headers = {"x-codex-rate-limit-reached-type": "workspace_member_credits_depleted"}
    limit = parse({"plan_type": "team", "resets_at": 1_800_000_000}, headers)
    assert limit.resets_at is not None
    assert limit.message == ("The workspace is out of credits. To continue, ask the workspace's owner to add credits.")


def test_limit_of_one_model_is_named() -> None:
    limit = parse({}, {"x-codex-active-limit": "codex_spark", "x-codex-spark-limit-name": "GPT-X-Spark"})
    assert limit.limit_name == "GPT-X-Spark"
    assert limit.message == "The usage limit of GPT-X-Spark is reached. To continue, use another model."


def test_promo_message_replaces_the_remedy() -> None:
    limit = parse({"plan_type": "plus"}, {"x-codex-promo-message": "Get more with an add-on."})
    assert limit.message == "The usage limit of the plus plan is reached. Get more with an add-on."


def test_headers_fill_in_what_the_error_leaves_out() -> None:
    limit = parse({}, HEADERS)
    assert (limit.window_length, limit.resets_at) == (timedelta(days=7), RESET)
    assert limit.message == f"The weekly usage limit is reached. It resets at {format_local_time(RESET)}."
    assert limit.limits is not None
    assert len(limit.limits.windows) == 2


def test_exhausted_window_without_reset_is_used() -> None:
    headers = {name: value for name, value in HEADERS.items() if not name.endswith("reset-at")}
    limit = parse({}, headers)
    assert (limit.window_length, limit.resets_at) == (timedelta(days=7), None)


def test_error_takes_precedence_over_headers() -> None:
    limit = parse({"resets_at": RESETS_AT + 60, "limit_window_minutes": 300}, HEADERS)
    assert (limit.window_length, limit.resets_at) == (timedelta(hours=5), RESET + timedelta(minutes=1))


def test_headers_of_a_model_describe_its_own_window() -> None:
    model_headers = {name.replace("codex", "codex-spark"): value for name, value in HEADERS.items()}
    named = {**model_headers, "x-codex-active-limit": "codex_spark", "x-codex-spark-limit-name": "Spark"}
    limit = parse({}, {**named, "x-codex-primary-used-percent": "5"})
    assert limit.window_length == timedelta(days=7)
    assert parse({}, {**HEADERS, "x-codex-active-limit": "x", "x-x-limit-name": "X"}).window_length is None
