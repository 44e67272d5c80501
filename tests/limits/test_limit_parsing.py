"""Test the parsers of usage limits and the merging of partial reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_backend_sdk.limits.limit_parsing import (
    merge,
    parse_clock_offset,
    parse_event,
    parse_headers,
    parse_reset_credits,
    parse_reset_result,
    parse_usage,
    parse_usage_report,
)
from codex_backend_sdk.limits.limit_types import (
    AdditionalLimit,
    Credits,
    ModelUsage,
    RateLimits,
    RateLimitWindow,
    ResetCredit,
    ResetCredits,
    ResetResult,
    SpendControl,
    UsageReport,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
NEXT_WEEK = NOW + timedelta(days=6)
FIVE_HOURS, WEEK = timedelta(hours=5), timedelta(weeks=1)


def unix(moment: datetime) -> int:
    return int(moment.timestamp())


def window(used: float, length: timedelta | None = FIVE_HOURS, resets_at: datetime | None = LATER) -> RateLimitWindow:
    return RateLimitWindow(used_percent=used, length=length, resets_at=resets_at)


def limits_of(*windows: RateLimitWindow, at: datetime = NOW, **members: Any) -> RateLimits:
    return RateLimits(received_at=at, windows=windows, **members)


def family(
    name: str, place: str, used: object, minutes: object = None, reset_at: object = None, **more: object
) -> dict[str, str]:
    values = {"used-percent": used, "window-minutes": minutes, "reset-at": reset_at, **more}
    return {
        f"x-{name}-{place}-{key.replace('_', '-')}": str(value) for key, value in values.items() if value is not None
    }


def parsed_headers(headers: dict[str, str]) -> RateLimits:
    limits = parse_headers(headers, received_at=NOW)
    assert limits is not None
    return limits


# Headers


def test_headers_report_windows_and_credits() -> None:
    limits = parsed_headers(
        {
            **family("codex", "primary", "7", 10080, unix(NEXT_WEEK)),  # the weekly window first
            **family("codex", "secondary", "42.5", 300, unix(LATER)),
            "x-codex-credits-has-credits": "True",
            "x-codex-credits-unlimited": "0",
            "x-codex-credits-balance": "12.50",
            "content-type": "text/event-stream",
        }
    )
    assert limits == limits_of(
        window(42.5),
        window(7, WEEK, NEXT_WEEK),
        credits=Credits(has_credits=True, unlimited=False, balance=Decimal("12.50")),
    )
    assert limits.five_hours is limits.windows[0]
    assert limits.weekly is limits.windows[1]
    assert limits.received_at == NOW


def test_header_names_are_case_insensitive() -> None:
    assert parsed_headers({"X-Codex-Primary-Used-Percent": "1"}).windows == (window(1, None, None),)


def test_header_families_become_additional_limits() -> None:
    limits = parsed_headers(
        {
            **family("codex-bengalfox", "primary", "100", 300, unix(LATER)),
            "x-codex-bengalfox-limit-name": "GPT-X-Spark",
            **family("codex-secondary", "primary", "1", 300),
            "x-codex-active-limit": "codex_bengalfox",
            "x-codex-rate-limit-reached-type": "rate_limit_reached",
        }
    )
    assert limits.windows == ()
    assert limits.additional == (
        AdditionalLimit(id="codex_bengalfox", name="GPT-X-Spark", windows=(window(100),)),
        AdditionalLimit(id="codex_secondary", windows=(window(1, FIVE_HOURS, None),)),
    )
    assert (limits.active_limit, limits.reached_type) == ("codex_bengalfox", "rate_limit_reached")
    assert not limits.is_exhausted  # the plan's own limit is not


def test_headers_with_seconds_until_the_reset() -> None:
    limits = parsed_headers(
        {**family("codex", "primary", "1", 300, reset_after_seconds=3600), "x-codex-plan-type": "plus"},
    )
    assert limits == limits_of(window(1), plan="plus")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/html"},
        family("codex", "primary", "0", 0, 0),
        family("codex", "primary", "0.0", reset_after_seconds=0),
        family("codex", "primary", "nan", 300),
        family("codex", "primary", "-1", 300),
        family("codex", "primary", "inf", 300),
        family("codex", "primary", "1e9", 300),
        family("codex", "primary", "", 300),
        {"x-codex-primary-window-minutes": "300"},
        {"x-codex-credits-has-credits": "true"},
        {"x-codex-credits-has-credits": "yes", "x-codex-credits-unlimited": "no"},
        {"x-codex-plan-type": " "},
        {"-primary-used-percent": "1"},
        {"codex-primary-used-percent": "1"},
    ],
)
def test_headers_without_limits_are_none(headers: dict[str, str]) -> None:
    assert parse_headers(headers, received_at=NOW) is None


@pytest.mark.parametrize("reset", ["", "soon", "-5", "0", "nan", "1795360000000000", "9" * 400])
def test_invalid_reset_time_is_none(reset: str) -> None:
    assert parsed_headers(family("codex", "primary", "5", 300, reset)).windows == (window(5, FIVE_HOURS, None),)


@pytest.mark.parametrize(
    ("date", "offset"),
    [
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), timedelta(hours=1)),
        (format_datetime(NOW + timedelta(days=2), usegmt=True), timedelta(days=-2)),
        (format_datetime(NOW - timedelta(seconds=30), usegmt=True), timedelta(0)),
        ("yesterday", timedelta(0)),
        ("Sun, 22 Nov 2026 12:00:00", timedelta(0)),
        ("", timedelta(0)),
    ],
)
def test_clock_offset_is_parsed_from_the_date(date: str, offset: timedelta) -> None:
    assert parse_clock_offset({"Date": date}, now=NOW) == offset


def test_reset_of_a_header_is_on_the_local_clock() -> None:
    headers = family("codex", "primary", "5", 300, str(unix(LATER) - 3600))
    (found,) = parsed_headers({**headers, "date": format_datetime(NOW - timedelta(hours=1), usegmt=True)}).windows
    assert found.resets_at == LATER


@pytest.mark.parametrize("minutes", ["", "0", "-300", "x", "1e-9", "9" * 30])
def test_invalid_window_length_is_none(minutes: str) -> None:
    assert parsed_headers(family("codex", "primary", "5", minutes)).windows == (window(5, None, None),)


def test_unused_window_is_kept() -> None:
    assert parsed_headers(family("codex", "primary", "0", 300)).windows == (window(0, FIVE_HOURS, None),)


# The event


EVENT: dict[str, Any] = {
    "type": "codex.rate_limits",
    "plan_type": "plus",
    "rate_limits": {
        "allowed": True,
        "limit_reached": False,
        "primary": {"used_percent": 42, "window_minutes": 300, "reset_after_seconds": 3590, "reset_at": unix(LATER)},
        "secondary": {"used_percent": 5, "window_minutes": 10080, "reset_after_seconds": 600000},
    },
    "additional_rate_limits": None,
    "credits": {"has_credits": False, "unlimited": False, "balance": "0"},
    "promo": None,
}


def test_event_reports_windows_credits_and_plan() -> None:
    assert parse_event(EVENT, received_at=NOW) == limits_of(
        window(42),
        window(5, WEEK, NOW + timedelta(seconds=600000)),
        plan="plus",
        limit_reached=False,
        credits=Credits(has_credits=False, unlimited=False, balance=Decimal(0)),
    )


@pytest.mark.parametrize(
    ("name", "other"),
    [({"metered_limit_name": "Codex-Bengalfox", "limit_name": "x"}, "codex_bengalfox"), ({"limit_name": "x"}, "x")],
)
def test_event_of_another_limit_leaves_the_plans_own(name: dict[str, str], other: str) -> None:
    limits = parse_event({**EVENT, **name}, received_at=NOW)
    assert limits is not None
    assert (limits.windows, limits.limit_reached, limits.plan) == ((), None, "plus")
    assert [(limit.id, limit.limit_reached, len(limit.windows)) for limit in limits.additional] == [(other, False, 2)]


def test_event_with_additional_limits_by_name() -> None:
    event = {**EVENT, "additional_rate_limits": {"Spark": {"primary": {"used_percent": 3}}, "Other": None}}
    limits = parse_event(event, received_at=NOW)
    assert limits is not None
    assert limits.additional == (AdditionalLimit(name="Spark", windows=(window(3, None, None),)),)


@pytest.mark.parametrize("event", [None, [], {}, {"type": "other", "plan_type": "pro"}, {"type": EVENT["type"]}])
def test_events_without_limits_are_none(event: Any) -> None:
    assert parse_event(event, received_at=NOW) is None


# Usage


USAGE: dict[str, Any] = {
    "plan_type": "pro",
    "rate_limit": {
        "allowed": False,
        "limit_reached": True,
        "primary_window": {"used_percent": 100, "limit_window_seconds": 18000, "reset_at": unix(LATER)},
        "secondary_window": None,
    },
    "additional_rate_limits": [
        {
            "limit_name": "GPT-X-Spark",
            "metered_feature": "codex_bengalfox",
            "rate_limit": {"allowed": True, "primary_window": {"used_percent": 1, "limit_window_seconds": 604800}},
        },
        {"limit_name": "Empty", "metered_feature": "empty", "rate_limit": None},
        "nonsense",
    ],
    "credits": {"has_credits": True, "unlimited": False, "overage_limit_reached": False, "balance": "12.50"},
    "spend_control": {
        "reached": False,
        "individual_limit": {
            "source": "user",
            "limit": "25000",
            "used": "8000",
            "remaining": 17000,
            "used_percent": 32,
            "reset_after_seconds": 3600,
        },
    },
    "rate_limit_reached_type": {"type": "rate_limit_reached"},
}


def test_usage_reports_every_limit() -> None:
    assert parse_usage(USAGE, received_at=NOW) == limits_of(
        window(100),
        plan="pro",
        limit_reached=True,
        reached_type="rate_limit_reached",
        credits=Credits(has_credits=True, unlimited=False, balance=Decimal("12.50"), overage_limit_reached=False),
        spend_control=SpendControl(
            reached=False,
            source="user",
            limit=Decimal(25000),
            used=Decimal(8000),
            remaining=Decimal(17000),
            used_percent=32,
            resets_at=LATER,
        ),
        additional=(
            AdditionalLimit(
                id="codex_bengalfox", name="GPT-X-Spark", windows=(window(1, WEEK, None),), limit_reached=False
            ),
        ),
    )


@pytest.mark.parametrize("usage", [None, [], "text", {}, {"plan_type": 5, "rate_limit": [], "credits": "x"}])
def test_invalid_usage_has_no_limits(usage: Any) -> None:
    assert parse_usage(usage, received_at=NOW) == limits_of()


def test_spend_control_without_individual_limit() -> None:
    limits = parse_usage({"spend_control": {"reached": True, "individual_limit": None}}, received_at=NOW)
    assert limits.spend_control == SpendControl(reached=True)
    assert limits.is_exhausted


@pytest.mark.parametrize(
    "balance", [None, True, "", "some", "NaN", "Infinity", "1e99", [], "1" * 50, pytest.param(10**5000, id="huge")]
)
def test_invalid_balance_is_none(balance: Any) -> None:
    usage = {"credits": {"has_credits": True, "unlimited": False, "balance": balance}}
    assert parse_usage(usage, received_at=NOW).credits == Credits(has_credits=True, unlimited=False)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), "1e400", "0x10", "\uff11", "1_000", 253402300800]),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
)
MEMBERS = [
    *("used_percent", "window_minutes", "limit_window_seconds", "reset_at", "resets_at", "reset_after_seconds"),
    *("allowed", "limit_reached", "has_credits", "unlimited", "balance", "reached", "limit", "limit_name"),
    *("primary", "primary_window", "rate_limit", "rate_limits", "credits", "spend_control", "individual_limit"),
    *("additional_rate_limits", "metered_limit_name", "metered_feature", "rate_limit_reached_type", "plan_type"),
]
NESTED = st.recursive(
    ODD,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(MEMBERS), inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)
# A busy machine must not fail these tests.
NO_DEADLINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@NO_DEADLINE
@given(report=st.dictionaries(st.sampled_from(MEMBERS), NESTED, max_size=5))
def test_any_event_or_usage_is_parsed_and_shown(report: dict[str, Any]) -> None:
    parsed = [
        parse_usage(report, received_at=NOW),
        parse_event({**report, "type": "codex.rate_limits"}, received_at=NOW),
    ]
    for older in parsed:
        for newer in parsed:
            if older is not None and newer is not None:
                assert str(merge(older, newer))
                assert repr(older)


@NO_DEADLINE
@given(
    headers=st.dictionaries(
        st.sampled_from([*family("codex", "primary", 1, 1, 1, reset_after_seconds=1), "x-codex-active-limit"]),
        st.one_of(st.text(max_size=9), st.floats().map(str), st.integers().map(str)),
    )
)
def test_any_headers_are_parsed_and_shown(headers: dict[str, str]) -> None:
    limits = parse_headers(headers, received_at=NOW)
    assert limits is None or str(limits)


# Merging


KNOWN = limits_of(
    window(10),
    window(50, WEEK, NEXT_WEEK),
    plan="pro",
    limit_reached=True,
    reached_type="rate_limit_reached",
    active_limit="codex",
    credits=Credits(has_credits=False, unlimited=False),
    spend_control=SpendControl(reached=False),
    additional=(
        AdditionalLimit(id="a", name="A", windows=(window(1),), limit_reached=True),
        AdditionalLimit(id="b", windows=(window(2),)),
    ),
)
SOON = NOW + timedelta(minutes=1)


def test_merge_without_older_limits() -> None:
    assert merge(None, KNOWN) is KNOWN


def test_merge_keeps_what_headers_leave_out() -> None:
    limits = merge(KNOWN, limits_of(window(11), at=SOON))
    assert limits == replace(
        KNOWN,
        windows=(window(11), window(50, WEEK, NEXT_WEEK)),
        limit_reached=None,  # of the moment, not kept
        reached_type=None,
        active_limit=None,
    )
    assert limits.received_at == SOON


def test_merge_replaces_what_is_reported_again() -> None:
    credits, control = Credits(has_credits=True, unlimited=True), SpendControl(reached=True)
    limits = merge(KNOWN, limits_of(plan="plus", credits=credits, spend_control=control))
    assert (limits.plan, limits.credits, limits.spend_control) == ("plus", credits, control)
    assert limits.windows == KNOWN.windows


def test_merge_identifies_windows_by_similar_length() -> None:
    limits = merge(KNOWN, limits_of(window(12, timedelta(minutes=299))))
    assert [window.used_percent for window in limits.windows] == [12, 50]


def test_merge_drops_a_window_at_its_reset() -> None:
    for newer in (limits_of(window(51, WEEK, NEXT_WEEK), at=LATER), limits_of(plan="pro", at=LATER)):
        assert [window.name for window in merge(KNOWN, newer).windows] == ["weekly"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (window(1, None), window(2, WEEK)),
        (window(1, FIVE_HOURS), window(2, None)),
        (window(1, FIVE_HOURS, None), window(2, WEEK)),
    ],
)
def test_merge_drops_an_ambiguous_window(older: RateLimitWindow, newer: RateLimitWindow) -> None:
    assert merge(limits_of(older), limits_of(newer)).windows == (newer,)
    assert merge(limits_of(older), limits_of(plan="pro")).windows == (older,)


def test_merge_matches_additional_limits_by_id_or_name() -> None:
    newer = (
        AdditionalLimit(id="b", name="B", windows=(window(3),)),
        AdditionalLimit(name="A", windows=(window(4, WEEK),)),
        AdditionalLimit(windows=(window(5),)),
    )
    assert merge(KNOWN, limits_of(additional=newer)).additional == (
        AdditionalLimit(id="a", name="A", windows=(window(1), window(4, WEEK))),
        newer[0],
        newer[2],
    )


# Usage reports and reset credits


REPORT: dict[str, Any] = {
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


def test_usage_report_is_parsed() -> None:
    report = parse_usage_report(REPORT, received_at=NOW)
    assert report == UsageReport(
        limits=parse_usage(REPORT, received_at=NOW),
        email="user@example.com",
        account_id="acc-1",
        user_id="user-abc123",
        code_review=AdditionalLimit(
            id="code_review",
            name="Code review",
            windows=(RateLimitWindow(used_percent=3, length=timedelta(weeks=1)),),
        ),
        models=(ModelUsage(model="gpt-6-astra", available=False, available_at=NOW, credits_would_enable=True),),
        reset_credits=2,
        banner={"banner_type": "luna_reserve"},
    )
    assert report.plan == "pro"
    assert str(report) == "plan pro; 5 h 42 % used"
    assert hash(report)


def test_repr_of_a_report_hides_the_account() -> None:
    shown = repr(parse_usage_report(REPORT, received_at=NOW))
    assert not any(secret in shown for secret in ("user@example.com", "acc-1", "user-abc123"))
    assert "reset_credits=2" in shown


@pytest.mark.parametrize("body", [None, "x", {}, {"model_usage": [], "rate_limit_reset_credits": None}])
def test_invalid_usage_report_is_empty(body: Any) -> None:
    assert parse_usage_report(body, received_at=NOW) == UsageReport(limits=parse_usage({}, received_at=NOW))


def test_reset_credits_are_parsed() -> None:
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
    parsed = parse_reset_credits({"credits": [given, used, {"id": ""}, None]})
    assert parsed == ResetCredits(
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
    assert [credit.is_available for credit in parsed] == [True, False]


def test_backends_count_of_reset_credits_takes_precedence() -> None:
    assert parse_reset_credits({"credits": [], "available_count": 3}).available_count == 3
    assert parse_reset_credits(None) == ResetCredits(available_count=0)


@pytest.mark.parametrize(
    ("code", "was_reset"),
    [("reset", True), ("already_redeemed", True), ("nothing_to_reset", False), ("no_credit", False), ("new", False)],
)
def test_reset_result_is_parsed(code: str, was_reset: bool) -> None:
    parsed = parse_reset_result({"code": code, "windows_reset": 2}, redeem_request_id="k")
    assert parsed == ResetResult(code=code, windows_reset=2, redeem_request_id="k")
    assert parsed.was_reset is was_reset


def test_invalid_reset_result_has_no_code() -> None:
    parsed = parse_reset_result("x", redeem_request_id="k")
    assert parsed == ResetResult(code=None, redeem_request_id="k")
