"""Format counts, durations and local times for messages and command output."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["format_count", "format_duration", "format_local_time", "format_zone"]

_MAX_ABBREVIATION_LENGTH: Final = 5
_UNITS: Final = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


def format_count(count: int, noun: str) -> str:
    """Return a number with its noun, whose plural ends in `s`: `1 line`, `2,000 lines`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_local_time(moment: datetime) -> str:
    """Return an aware time in the local time zone, with the zone: `2026-11-22 19:00 EST`, `… UTC+05:30`."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M} {format_zone(moment)}"


def format_zone(moment: datetime) -> str:
    """Return the name of the local time zone at this moment: `EST`, `UTC+05:30`."""
    local = moment.astimezone()
    zone = local.tzname() or ""
    # Some zones have no abbreviation: POSIX returns `+03`, and Windows returns a phrase. Show the UTC offset instead.
    if not (zone.isalpha() and len(zone) <= _MAX_ABBREVIATION_LENGTH):
        return str(timezone(local.utcoffset() or timedelta(0)))
    return zone


def format_duration(duration: timedelta) -> str:
    """Return the two largest units of a duration, rounded down: `9 d 23 h`, `5 h`, `0 min`."""
    for index, (unit, name) in enumerate(_UNITS):
        if duration >= unit:
            parts = [f"{duration // unit} {name}"]
            for smaller_unit, smaller_name in _UNITS[index + 1 : index + 2]:
                count = duration % unit // smaller_unit
                if count:
                    parts.append(f"{count} {smaller_name}")
            return " ".join(parts)
    return "0 min"
