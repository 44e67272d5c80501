"""Coerce values from JSON and headers to the expected Python type. Pure.

Each `as_…` function takes one member of a response, or one header, and returns it as the expected type. It returns
None, or an empty container, for a value of another type, a NaN, a negative number, or a number that is too large. No
function raises for an invalid value, so callers can parse a whole response without handling errors.

The module imports only the standard library, because `codex-backend status` does not load pydantic.
"""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

__all__ = [
    "as_bool",
    "as_count",
    "as_datetime",
    "as_decimal",
    "as_list",
    "as_mapping",
    "as_number",
    "as_text",
    "hashed_call_id",
    "parse_json",
    "parse_json_object",
    "sanitize_header_value",
]

# Headers contain booleans as text, as Rust formats them ("true") or as digits ("1").
_BOOLS: Final = {"true": True, "1": True, "false": False, "0": False}
# Other times are invalid, and `astimezone()` overflows at the limits of `datetime`.
_EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_MAX_DIGITS: Final = 18  # fits a 64-bit integer


def as_text(value: Any) -> str | None:
    """Return a string stripped of surrounding whitespace, or None if it is empty."""
    return value.strip() or None if isinstance(value, str) else None


def as_number(value: Any, *, at_most: float = math.inf) -> float | None:
    """Return a finite number from 0 to `at_most`. The value may be a string, as in a header."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    # A NaN fails the comparison.
    return number if 0 <= number <= at_most and number != math.inf else None


def as_count(value: Any) -> int | None:
    """Return a non-negative integer. Fractions are truncated."""
    number = as_number(value, at_most=10**_MAX_DIGITS)
    return None if number is None else int(number)


def as_decimal(value: Any) -> Decimal | None:
    """Return a signed decimal number with its original digits, such as `12.50` for a balance."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):  # ValueError: `str()` rejects an integer of more than 4300 digits
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= _MAX_DIGITS else None


def as_datetime(value: Any) -> datetime | None:
    """Return an aware time from Unix time (a number or a string) or from RFC 3339 text, which is UTC by default.

    Unix time is in seconds, or in milliseconds if the seconds would be after the year 2200.
    """
    latest = _LATEST.timestamp()
    seconds = as_number(value, at_most=latest * 1000)
    if seconds is not None and seconds > latest:
        seconds /= 1000
    try:
        time = datetime.fromisoformat(value) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError):
        return None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return time if _EARLIEST <= time <= _LATEST else None


def as_bool(value: Any) -> bool | None:
    """Return a boolean. The value may be a string, as in a header."""
    if isinstance(value, str):
        return _BOOLS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def as_mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object, or an empty dictionary."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return a JSON array, or an empty list."""
    return value if isinstance(value, list) else []


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON document, or None if the body is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Return the members of a JSON object, or an empty dictionary for any other body."""
    return as_mapping(parse_json(body))


def sanitize_header_value(value: str) -> str:
    """Replace characters that are invalid in an HTTP header with `_`. Codex CLI: login/src/auth/default_client.rs."""
    return "".join(character if " " <= character <= "~" else "_" for character in value)


def hashed_call_id(call_id: str) -> str:
    """Return a valid call id for one that the backend rejects. The call and its output get the same id."""
    return f"call_{hashlib.sha256(call_id.encode(errors='surrogatepass')).hexdigest()[:32]}"
