"""Test the conversion of JSON values."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from codex_backend_sdk._coerce import (
    as_bool,
    as_count,
    as_datetime,
    as_decimal,
    as_list,
    as_mapping,
    as_number,
    as_text,
    parse_json,
    parse_json_object,
    sanitize_header_value,
)

HUGE = pytest.param(10**5000, id="huge")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("value", "expected"), [(" a ", "a"), (" ", None), ("", None), (5, None), (None, None)])
def test_text_is_stripped(value: Any, expected: str | None) -> None:
    assert as_text(value) == expected


@pytest.mark.parametrize(("text", "expected"), [("my app/1", "my app/1"), ("a\nb", "a_b"), ("ü\x7f~", "__~"), ("", "")])
def test_header_text_is_printable_ascii(text: str, expected: str) -> None:
    assert sanitize_header_value(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (1.5, 1.5), (" 2 ", 2), ("1e2", 100), (100.5, None), (-1, None), (True, None), ("x", None), ([], None)],
)
def test_number_is_coerced(value: Any, expected: float | None) -> None:
    assert as_number(value, at_most=100) == expected


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "inf", "nan", "1e999", HUGE])
def test_number_is_finite(value: Any) -> None:
    assert as_number(value) is None


@pytest.mark.parametrize(("value", "expected"), [(2, 2), ("3", 3), (0, 0), (1e300, None), (-1, None), (None, None)])
def test_count_is_a_whole_number(value: Any, expected: int | None) -> None:
    assert as_count(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("12.50", "12.50"), (17000, "17000"), (0.1, "0.1"), (" -3 ", "-3"), ("0", "0")]
)
def test_decimal_keeps_its_digits(value: Any, expected: str) -> None:
    assert str(as_decimal(value)) == expected


@pytest.mark.parametrize("value", [None, True, "", "some", "NaN", "sNaN", "Infinity", "1e99", [], "1" * 50, HUGE])
def test_decimal_is_none_for_other_values(value: Any) -> None:
    assert as_decimal(value) is None
    assert as_decimal("1") == Decimal(1)


@pytest.mark.parametrize(
    "value",
    [
        NOON.timestamp(),
        "1795348800",
        1795348800000,
        "1795348800000",
        "2026-11-22T12:00:00Z",
        "2026-11-22T12:00:00",
        "2026-11-22T13:00:00+01:00",
    ],
)
def test_datetime_is_aware(value: Any) -> None:
    time = as_datetime(value)
    assert time == NOON
    assert time.tzinfo is not None


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1, 1795348800000000, "soon", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00", float("nan"), HUGE],
)
def test_datetime_is_none_for_other_values(value: Any) -> None:
    assert as_datetime(value) is None


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
def test_bool_is_coerced(value: Any, expected: bool | None) -> None:
    assert as_bool(value) is expected


def test_containers_are_empty_for_other_values() -> None:
    assert (as_mapping({"a": 1}), as_mapping([1])) == ({"a": 1}, {})
    assert (as_list([1]), as_list({"a": 1})) == ([1], [])


@pytest.mark.parametrize(
    ("body", "value", "members"),
    [
        (b'{"a": 1}', {"a": 1}, {"a": 1}),
        (b"[1]", [1], {}),
        (b"null", None, {}),
        (b"<html>", None, {}),
        (b"\xff", None, {}),
        (b"", None, {}),
        (b"[" * 100_000, None, {}),
    ],
)
def test_json_is_none_for_other_bodies(body: bytes, value: object, members: object) -> None:
    assert (parse_json(body), parse_json_object(body)) == (value, members)
