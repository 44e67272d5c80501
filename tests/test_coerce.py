from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from codex_backend_sdk import _coerce

HUGE = pytest.param(10**5000, id="huge")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("value", "expected"), [(" a ", "a"), (" ", None), ("", None), (5, None), (None, None)])
def test_text(value: Any, expected: str | None) -> None:
    assert _coerce.text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (1.5, 1.5), (" 2 ", 2), ("1e2", 100), (100.5, None), (-1, None), (True, None), ("x", None), ([], None)],
)
def test_numbers(value: Any, expected: float | None) -> None:
    assert _coerce.number(value, at_most=100) == expected


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "inf", "nan", "1e999", HUGE])
def test_a_number_is_finite(value: Any) -> None:
    assert _coerce.number(value) is None


@pytest.mark.parametrize(("value", "expected"), [(2, 2), ("3", 3), (0, 0), (1e300, None), (-1, None), (None, None)])
def test_counts(value: Any, expected: int | None) -> None:
    assert _coerce.count(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("12.50", "12.50"), (17000, "17000"), (0.1, "0.1"), (" -3 ", "-3"), ("0", "0")]
)
def test_amounts_keep_their_digits(value: Any, expected: str) -> None:
    assert str(_coerce.amount(value)) == expected


@pytest.mark.parametrize("value", [None, True, "", "some", "NaN", "sNaN", "Infinity", "1e99", [], "1" * 50, HUGE])
def test_what_is_no_amount(value: Any) -> None:
    assert _coerce.amount(value) is None
    assert _coerce.amount("1") == Decimal(1)


@pytest.mark.parametrize(
    "value",
    [
        *(NOON.timestamp(), "1795348800", "2026-11-22T12:00:00Z", "2026-11-22T12:00:00", "2026-11-22T13:00:00+01:00"),
    ],
)
def test_moments_are_aware(value: Any) -> None:
    found = _coerce.moment(value)
    assert found == NOON
    assert found.tzinfo is not None


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1, 1795348800000, "soon", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00", float("nan"), HUGE],
)
def test_what_is_no_moment(value: Any) -> None:
    assert _coerce.moment(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        ("TRUE ", True),
        ("1", True),
        ("false", False),
        ("0", False),
        ("x", None),
        (1, None),
    ],
)
def test_flags(value: Any, expected: bool | None) -> None:
    assert _coerce.flag(value) is expected


def test_containers() -> None:
    assert (_coerce.mapping({"a": 1}), _coerce.mapping([1])) == ({"a": 1}, {})
    assert (_coerce.items([1]), _coerce.items({"a": 1})) == ([1], [])
