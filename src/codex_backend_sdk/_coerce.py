"""One member of an answer, or one header: what it says, or None where it makes no sense. Nothing here raises."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

__all__ = ["amount", "count", "flag", "items", "mapping", "moment", "number", "text"]

_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
# A time outside of these is a mistake, and could not be shown in every time zone.
_EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_MOST_DIGITS: Final = 18


def text(value: Any) -> str | None:
    """Return text without the space around it; None when nothing is left."""
    return value.strip() or None if isinstance(value, str) else None


def number(value: Any, *, at_most: float = math.inf) -> float | None:
    """Return a number from 0 on, which may be written as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if 0 <= found <= at_most and found != math.inf else None


def count(value: Any) -> int | None:
    """Return a whole number from 0 on."""
    found = number(value, at_most=10**_MOST_DIGITS)
    return None if found is None else int(found)


def amount(value: Any) -> Decimal | None:
    """Return a decimal number, which may be written as text, with the digits that it has there."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):  # ValueError: Python writes no integer of more than 4300 digits
        return None
    return found if found.is_finite() and abs(found.adjusted()) <= _MOST_DIGITS else None


def moment(value: Any) -> datetime | None:
    """Return a time, which may be unix seconds, as text too, or RFC 3339."""
    seconds = number(value, at_most=_LATEST.timestamp())
    try:
        found = datetime.fromisoformat(value) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError):
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found if _EARLIEST <= found <= _LATEST else None


def flag(value: Any) -> bool | None:
    """Return a truth value, which may be written as text."""
    return _FLAGS.get(value.strip().lower()) if isinstance(value, str) else value if isinstance(value, bool) else None


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return a JSON list, an empty one for anything else."""
    return value if isinstance(value, list) else []
