"""Test the limits as HTML."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from codex_backend_sdk import AdditionalLimit, RateLimits, RateLimitWindow, SpendControl, UsageReport
from codex_backend_sdk.limits.usage_html import LimitRow, limits_as_html

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("used", "bar"), [(0, "0"), (42.5, "42.5"), (130, "100"), (-1, "0")], ids=["none", "some", "over", "negative"]
)
def test_bar_is_within_its_bounds(used: float, bar: str) -> None:
    html = limits_as_html("Plan", [LimitRow("weekly", used, f"{used} %", "resets soon")])
    assert f'<progress max="100" value="{bar}">' in html
    assert f"<td>{used} %</td><td>resets soon</td>" in html


def test_texts_are_escaped() -> None:
    script = "<script>alert('x')</script>"
    html = limits_as_html(script, [LimitRow(script, 1, script, script)], [script])
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 5


def test_missing_limits_are_named() -> None:
    assert "No limits were reported." in limits_as_html("Plan", [])


def limits(**members: object) -> RateLimits:
    window = RateLimitWindow(used_percent=42, length=timedelta(hours=5), resets_at=NOW)
    return RateLimits(received_at=NOW, plan="pro", windows=(window,), **members)  # type: ignore[arg-type]


def test_limits_show_every_limit_and_remark() -> None:
    window = RateLimitWindow(used_percent=99, length=timedelta(weeks=1))
    shown = limits(
        additional=(AdditionalLimit(name="GPT-X", windows=(window,), limit_reached=True),),
        spend_control=SpendControl(reached=True),
    )._repr_html_()
    for text in (
        "Plan pro", "5 h", "42 % used", "GPT-X, weekly", "exhausted at 99 %", "used up", "cap: reached", "Read at",
    ):  # fmt: skip
        assert text in shown


def test_report_does_not_show_the_account() -> None:
    review = AdditionalLimit(id="code_review", windows=(RateLimitWindow(used_percent=7),))
    report = UsageReport(
        limits=limits(),
        email="me@example.com",
        account_id="acc-1",
        user_id="user-1",
        code_review=review,
        reset_credits=2,
    )
    html = report._repr_html_()
    assert "code_review, limit" in html
    assert "Reset credits: 2" in html
    assert all(secret not in html for secret in ("me@example.com", "acc-1", "user-1"))


def test_additional_limit_has_its_own_table() -> None:
    assert "<strong>additional limit</strong>" in AdditionalLimit()._repr_html_()
