from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_backend_sdk._timefmt import format_local_time
from codex_backend_sdk.limits import limit_parsing
from codex_backend_sdk.limits.limit_types import AdditionalLimit, Credits, RateLimits, RateLimitWindow, SpendControl

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
NEXT_WEEK = NOW + timedelta(days=6)
FIVE_HOURS, WEEK = timedelta(hours=5), timedelta(weeks=1)


def unix(moment: datetime) -> int:
    return int(moment.timestamp())


def window(used: float, length: timedelta | None = FIVE_HOURS, resets_at: datetime | None = LATER) -> RateLimitWindow:
    return RateLimitWindow(used_percent=used, window=length, resets_at=resets_at)


def seen(*windows: RateLimitWindow, at: datetime = NOW, **members: Any) -> RateLimits:
    return RateLimits(seen_at=at, windows=windows, **members)


def family(
    name: str, place: str, used: object, minutes: object = None, reset_at: object = None, **more: object
) -> dict[str, str]:
    told = {"used-percent": used, "window-minutes": minutes, "reset-at": reset_at, **more}
    return {f"x-{name}-{place}-{key.replace('_', '-')}": str(value) for key, value in told.items() if value is not None}


def read(headers: dict[str, str]) -> RateLimits:
    found = limit_parsing.from_headers(headers, seen_at=NOW)
    assert found is not None
    return found


# Headers


def test_headers_tell_windows_by_their_length_and_credits() -> None:
    found = read(
        {
            **family("codex", "primary", "7", 10080, unix(NEXT_WEEK)),  # the weekly one first
            **family("codex", "secondary", "42.5", 300, unix(LATER)),
            "x-codex-credits-has-credits": "True",
            "x-codex-credits-unlimited": "0",
            "x-codex-credits-balance": "12.50",
            "content-type": "text/event-stream",
        }
    )
    assert found == seen(
        window(42.5),
        window(7, WEEK, NEXT_WEEK),
        credits=Credits(has_credits=True, unlimited=False, balance=Decimal("12.50")),
    )
    assert found.five_hours is found.windows[0]
    assert found.weekly is found.windows[1]
    assert found.seen_at == NOW


def test_headers_may_be_written_in_capitals() -> None:
    assert read({"X-Codex-Primary-Used-Percent": "1"}).windows == (window(1, None, None),)


def test_headers_of_another_limit_are_found_by_their_ending() -> None:
    found = read(
        {
            **family("codex-bengalfox", "primary", "100", 300, unix(LATER)),
            "x-codex-bengalfox-limit-name": "GPT-X-Spark",
            **family("codex-secondary", "primary", "1", 300),
            "x-codex-active-limit": "codex_bengalfox",
            "x-codex-rate-limit-reached-type": "rate_limit_reached",
        }
    )
    assert found.windows == ()
    assert found.additional == (
        AdditionalLimit(id="codex_bengalfox", name="GPT-X-Spark", windows=(window(100),)),
        AdditionalLimit(id="codex_secondary", windows=(window(1, FIVE_HOURS, None),)),
    )
    assert (found.active_limit, found.reached_type) == ("codex_bengalfox", "rate_limit_reached")
    assert not found.reached  # the plan's own is not


def test_older_headers_say_how_far_off_the_reset_is() -> None:
    found = read(
        {**family("codex", "primary", "1", 300, reset_after_seconds=3600), "x-codex-plan-type": "plus"},
    )
    assert found == seen(window(1), plan="plus")


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
def test_headers_that_say_nothing(headers: dict[str, str]) -> None:
    assert limit_parsing.from_headers(headers, seen_at=NOW) is None


@pytest.mark.parametrize("reset", ["", "soon", "-5", "0", "nan", "1795360000000", "9" * 400])
def test_a_reset_that_is_no_time_is_none(reset: str) -> None:
    assert read(family("codex", "primary", "5", 300, reset)).windows == (window(5, FIVE_HOURS, None),)


@pytest.mark.parametrize("minutes", ["", "0", "-300", "x", "1e-9", "9" * 30])
def test_a_length_that_is_none_is_none(minutes: str) -> None:
    assert read(family("codex", "primary", "5", minutes)).windows == (window(5, None, None),)


def test_an_unused_window_is_there() -> None:
    assert read(family("codex", "primary", "0", 300)).windows == (window(0, FIVE_HOURS, None),)


# The event


EVENT: dict[str, Any] = {
    "type": "codex.rate_limits",
    "plan_type": "plus",
    "rate_limits": {
        "allowed": True,
        "limit_reached": False,
        "primary": {"used_percent": 42, "window_minutes": 300, "reset_after_seconds": 9, "reset_at": unix(LATER)},
        "secondary": {"used_percent": 5, "window_minutes": 10080, "reset_after_seconds": 600000},
    },
    "additional_rate_limits": None,
    "credits": {"has_credits": False, "unlimited": False, "balance": "0"},
    "promo": None,
}


def test_an_event_tells_what_headers_tell() -> None:
    assert limit_parsing.from_event(EVENT, seen_at=NOW) == seen(
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
def test_an_event_of_another_limit_says_nothing_of_the_plans_own(name: dict[str, str], other: str) -> None:
    found = limit_parsing.from_event({**EVENT, **name}, seen_at=NOW)
    assert found is not None
    assert (found.windows, found.limit_reached, found.plan) == ((), None, "plus")
    assert [(each.id, each.limit_reached, len(each.windows)) for each in found.additional] == [(other, False, 2)]


def test_an_event_may_name_its_additional_limits_by_key() -> None:
    event = {**EVENT, "additional_rate_limits": {"Spark": {"primary": {"used_percent": 3}}, "Other": None}}
    found = limit_parsing.from_event(event, seen_at=NOW)
    assert found is not None
    assert found.additional == (AdditionalLimit(name="Spark", windows=(window(3, None, None),)),)


@pytest.mark.parametrize("event", [None, [], {}, {"type": "other", "plan_type": "pro"}, {"type": EVENT["type"]}])
def test_other_events_say_nothing(event: Any) -> None:
    assert limit_parsing.from_event(event, seen_at=NOW) is None


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


def test_a_usage_answer_tells_everything() -> None:
    assert limit_parsing.from_usage(USAGE, seen_at=NOW) == seen(
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
def test_a_usage_answer_may_say_nothing(usage: Any) -> None:
    assert limit_parsing.from_usage(usage, seen_at=NOW) == seen()


def test_spend_control_without_a_limit_of_ones_own() -> None:
    found = limit_parsing.from_usage({"spend_control": {"reached": True, "individual_limit": None}}, seen_at=NOW)
    assert found.spend_control == SpendControl(reached=True)
    assert found.reached


@pytest.mark.parametrize(
    "balance", [None, True, "", "some", "NaN", "Infinity", "1e99", [], "1" * 50, pytest.param(10**5000, id="huge")]
)
def test_a_balance_that_is_no_amount_is_none(balance: Any) -> None:
    usage = {"credits": {"has_credits": True, "unlimited": False, "balance": balance}}
    assert limit_parsing.from_usage(usage, seen_at=NOW).credits == Credits(has_credits=True, unlimited=False)


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
AT_LEISURE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure


@AT_LEISURE
@given(answer=st.dictionaries(st.sampled_from(MEMBERS), NESTED, max_size=5))
def test_whatever_is_told_is_read_and_shown(answer: dict[str, Any]) -> None:
    found = [
        limit_parsing.from_usage(answer, seen_at=NOW),
        limit_parsing.from_event({**answer, "type": "codex.rate_limits"}, seen_at=NOW),
    ]
    for one in found:
        for other in found:
            if one is not None and other is not None:
                assert str(limit_parsing.merged(one, other))
                assert repr(one)


@AT_LEISURE
@given(
    headers=st.dictionaries(
        st.sampled_from([*family("codex", "primary", 1, 1, 1, reset_after_seconds=1), "x-codex-active-limit"]),
        st.one_of(st.text(max_size=9), st.floats().map(str), st.integers().map(str)),
    )
)
def test_whatever_headers_say_is_read(headers: dict[str, str]) -> None:
    found = limit_parsing.from_headers(headers, seen_at=NOW)
    assert found is None or str(found)


# Merging


KNOWN = seen(
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


def test_the_first_that_is_seen_is_what_is_known() -> None:
    assert limit_parsing.merged(None, KNOWN) is KNOWN


def test_headers_of_the_plans_own_limit_leave_the_rest_as_it_was() -> None:
    found = limit_parsing.merged(KNOWN, seen(window(11), at=SOON))
    assert found == replace(
        KNOWN,
        windows=(window(11), window(50, WEEK, NEXT_WEEK)),
        limit_reached=None,  # of the moment
        reached_type=None,
        active_limit=None,
    )
    assert found.seen_at == SOON


def test_what_is_told_again_is_replaced() -> None:
    credits, control = Credits(has_credits=True, unlimited=True), SpendControl(reached=True)
    found = limit_parsing.merged(KNOWN, seen(plan="plus", credits=credits, spend_control=control))
    assert (found.plan, found.credits, found.spend_control) == ("plus", credits, control)
    assert found.windows == KNOWN.windows


def test_a_window_of_about_the_same_length_is_the_same() -> None:
    found = limit_parsing.merged(KNOWN, seen(window(12, timedelta(minutes=299))))
    assert [each.used_percent for each in found.windows] == [12, 50]


def test_a_window_stays_until_its_reset_and_no_longer() -> None:
    for newer in (seen(window(51, WEEK, NEXT_WEEK), at=LATER), seen(plan="pro", at=LATER)):
        assert [each.name for each in limit_parsing.merged(KNOWN, newer).windows] == ["weekly"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (window(1, None), window(2, WEEK)),
        (window(1, FIVE_HOURS), window(2, None)),
        (window(1, FIVE_HOURS, None), window(2, WEEK)),
    ],
)
def test_a_window_that_cannot_be_told_apart_makes_way(older: RateLimitWindow, newer: RateLimitWindow) -> None:
    assert limit_parsing.merged(seen(older), seen(newer)).windows == (newer,)
    assert limit_parsing.merged(seen(older), seen(plan="pro")).windows == (older,)


def test_additional_limits_are_merged_by_id_or_by_name() -> None:
    newer = (
        AdditionalLimit(id="b", name="B", windows=(window(3),)),
        AdditionalLimit(name="A", windows=(window(4, WEEK),)),
        AdditionalLimit(windows=(window(5),)),
    )
    assert limit_parsing.merged(KNOWN, seen(additional=newer)).additional == (
        AdditionalLimit(id="a", name="A", windows=(window(1), window(4, WEEK))),
        newer[0],
        newer[2],
    )


# For the caller


@pytest.mark.parametrize(
    ("length", "name"),
    [
        (timedelta(minutes=300), "5 h"),
        (timedelta(minutes=299), "5 h"),
        (timedelta(days=1), "daily"),
        (timedelta(days=7), "weekly"),
        (timedelta(days=28), "monthly"),
        (timedelta(days=31), "monthly"),
        (timedelta(days=365), "yearly"),
        (timedelta(days=14), "14 d"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(seconds=1), "0 min"),
        (None, "limit"),
    ],
)
def test_a_window_is_named_by_its_length(length: timedelta | None, name: str) -> None:
    assert window(0, length).name == name


def test_what_remains_is_never_less_than_nothing() -> None:
    assert (window(42.5).remaining_percent, window(101).remaining_percent) == (57.5, 0)
    assert (window(99.9).is_exhausted, window(100).is_exhausted) == (False, True)


def test_a_window_is_looked_up_by_its_length() -> None:
    found = seen(window(1, None), window(2, timedelta(minutes=299)), window(3, timedelta(hours=12)))
    assert found.window(timedelta(hours=12)) is found.windows[2]
    assert found.five_hours is found.windows[1]
    assert found.weekly is None


def test_the_used_up_window_that_resets_last_is_the_one_to_wait_for() -> None:
    assert KNOWN.exhausted_window is None
    both = seen(window(100), window(100, WEEK, NEXT_WEEK))
    assert both.exhausted_window is both.windows[1]
    unknown = seen(window(100, FIVE_HOURS, None), window(100, WEEK, NEXT_WEEK))
    assert unknown.exhausted_window is unknown.windows[0]


@pytest.mark.parametrize(
    ("found", "reached"),
    [
        (seen(), False),
        (seen(window(100)), True),
        (seen(window(100), limit_reached=False), False),
        (seen(window(1), limit_reached=True), True),
        (seen(reached_type="rate_limit_reached"), True),
        (seen(reached_type="rate_limit_reached", active_limit="codex"), True),
        (seen(reached_type="rate_limit_reached", active_limit="other"), False),
        (seen(limit_reached=False, spend_control=SpendControl(reached=True)), True),
        (seen(limit_reached=False, spend_control=SpendControl(reached=False)), False),
    ],
)
def test_reached(found: RateLimits, reached: bool) -> None:
    assert found.reached is reached


def test_an_additional_limit_is_reached_by_word_or_by_figure() -> None:
    assert AdditionalLimit(windows=(window(100),)).reached
    assert not AdditionalLimit(windows=(window(100),), limit_reached=False).reached


def test_additional_limits_are_looked_up_by_id_or_name() -> None:
    assert KNOWN.limit("A") is KNOWN.limit("a") is KNOWN.additional[0]
    assert KNOWN.limit("c") is None


def test_values_are_frozen_and_can_be_kept_in_sets() -> None:
    with pytest.raises(FrozenInstanceError):
        KNOWN.plan = "free"  # type: ignore[misc]
    assert len({KNOWN, replace(KNOWN, seen_at=LATER)}) == 1


def test_for_people() -> None:
    found = seen(
        window(42),
        plan="pro",
        limit_reached=True,
        credits=Credits(has_credits=True, unlimited=False, balance=Decimal("12.50")),
        spend_control=SpendControl(reached=False, used=Decimal(8), limit=Decimal(25)),
        additional=(AdditionalLimit(id="a", windows=(window(99.96, WEEK, None),)), AdditionalLimit()),
    )
    assert str(found) == (
        f"plan pro; 5 h 42 % used, resets {format_local_time(LATER)}; a: weekly 100 % used; additional: no figures; "
        "credits 12.50; spending 8 of 25, not reached; the limit is reached"
    )
    assert str(seen(window(42, resets_at=None), spend_control=SpendControl(reached=False))) == "5 h 42 % used"
    assert str(seen()) == "nothing is known"
    assert str(SpendControl(reached=True)) == "reached"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d \S+", format_local_time(LATER))


@pytest.mark.parametrize(
    ("credits", "words"),
    [
        (Credits(has_credits=True, unlimited=True), "unlimited"),
        (Credits(has_credits=True, unlimited=False), "some"),
        (Credits(has_credits=False, unlimited=False, balance=Decimal(0)), "none"),
    ],
)
def test_credits_for_people(credits: Credits, words: str) -> None:
    assert str(credits) == words


def test_a_repr_leaves_out_what_was_not_told() -> None:
    assert repr(seen(window(42, resets_at=None))) == (
        "RateLimits(seen_at=2026-11-22 12:00:00+00:00, windows=(RateLimitWindow(used_percent=42, window=5:00:00),))"
    )
