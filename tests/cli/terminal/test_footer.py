"""The lines after a response."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from codex_backend_sdk import ConversationUsage, RateLimits, RateLimitWindow
from codex_backend_sdk.cli.terminal.footer import TokenCounts, cache_warning, footer_lines, limit_warnings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FIVE_HOURS, WEEK = timedelta(hours=5), timedelta(weeks=1)


def limits(*used: float, resets_at: datetime | None = None) -> RateLimits:
    windows = [
        RateLimitWindow(used_percent=percent, length=length, resets_at=resets_at)
        for percent, length in zip(used, (FIVE_HOURS, WEEK), strict=False)
    ]
    return RateLimits(received_at=NOW, windows=tuple(windows))


def usage(tokens_in: int = 0, cached: int = 0, out: int = 0, reasoning: int = 0) -> Any:
    return SimpleNamespace(
        input_tokens=tokens_in,
        input_tokens_details=SimpleNamespace(cached_tokens=cached),
        output_tokens=out,
        output_tokens_details=SimpleNamespace(reasoning_tokens=reasoning),
    )


@pytest.mark.parametrize(
    ("tokens", "before", "after", "lines"),
    [
        (None, None, None, ["4.2 s"]),
        (usage(10, 0, 5), None, None, ["4.2 s · 10 tokens in · 5 out"]),
        (
            usage(1234, 1000, 350, 120),
            limits(12, 40),
            limits(13, 40),
            [
                "4.2 s · 1,234 tokens in (1,000 cached, 234 new) · 350 out (120 reasoning)",
                "plan used: 5 h 12 % → 13 % · weekly 40 %",
            ],
        ),
        (None, None, limits(99.6), ["4.2 s", "plan used: 5 h 99.6 %"]),
        (None, limits(5), RateLimits(received_at=NOW), ["4.2 s"]),
        (SimpleNamespace(usage=usage(1, 0, 1)), None, None, ["4.2 s · 1 tokens in · 1 out"]),
    ],
)
def test_footer_has_time_tokens_and_plan(tokens: Any, before: Any, after: Any, lines: list[str]) -> None:
    assert footer_lines(tokens, seconds=4.21, before=before, after=after) == lines


def test_counts_of_a_conversation_are_subtracted() -> None:
    before = TokenCounts.of(ConversationUsage(input_tokens=10, cached_tokens=4, output_tokens=3, reasoning_tokens=1))
    after = TokenCounts.of(ConversationUsage(input_tokens=30, cached_tokens=14, output_tokens=8, reasoning_tokens=2))
    assert after.since(before) == TokenCounts(input_tokens=20, cached_tokens=10, output_tokens=5, reasoning_tokens=1)


@pytest.mark.parametrize(
    ("before", "after", "warnings"),
    [
        (None, None, []),
        (None, limits(74.9, 10), []),
        (None, limits(75, 10), ["The 5 h limit is 75 % used."]),
        (limits(74), limits(76, 91), ["The 5 h limit is 76 % used.", "The weekly limit is 91 % used."]),
        (limits(76), limits(80), []),
        (limits(76), limits(90), ["The 5 h limit is 90 % used."]),
        (limits(95), limits(3), []),
    ],
)
def test_limit_is_warned_about_once_for_each_threshold(before: Any, after: Any, warnings: list[str]) -> None:
    assert limit_warnings(before, after) == warnings


def test_warning_has_the_reset_time() -> None:
    (warning,) = limit_warnings(None, limits(80, resets_at=NOW))
    assert ", resets 2026-11-22 " in warning


@pytest.mark.parametrize(
    ("before", "after", "idle", "is_warned"),
    [
        (usage(5000), usage(5200, 0), 10, True),
        (usage(5000), usage(5200, 2400), 10, True),
        (usage(5000), usage(5200, 4992), 10, False),
        (usage(5000), usage(5200, 0), 600, False),
        (usage(900), usage(1000, 0), 10, False),
        (None, usage(5200, 0), 10, False),
    ],
)
def test_unexpected_cache_miss_is_warned_about(before: Any, after: Any, idle: float, is_warned: bool) -> None:
    warning = cache_warning(before, after, idle_seconds=idle)
    assert (warning is not None) == is_warned
    assert warning is None or "about 5,000 were sent before" in warning
