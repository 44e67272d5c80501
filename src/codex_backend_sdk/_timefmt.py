"""Spans and points in time as people read them, the points in their own time zone."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["duration", "local"]

_LONGEST_ZONE: Final = 5
_UNITS: Final = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


def local(moment: datetime) -> str:
    """Return the moment in the time zone of this machine, which it names: `2026-11-22 19:00 EST`, `… UTC+05:30`."""
    here = moment.astimezone()
    name = here.tzname() or ""
    if not (name.isalpha() and len(name) <= _LONGEST_ZONE):  # `+03`, or a whole sentence on Windows
        name = str(timezone(here.utcoffset() or timedelta(0)))
    return f"{here:%Y-%m-%d %H:%M} {name}"


def duration(span: timedelta) -> str:
    """Return the two largest units of a span, `9 d 23 h`; what is left is cut off."""
    for number, (unit, name) in enumerate(_UNITS):
        if span >= unit:
            rest = span % unit
            parts = [f"{span // unit} {name}"]
            if number + 1 < len(_UNITS) and rest >= _UNITS[number + 1][0]:
                smaller, smaller_name = _UNITS[number + 1]
                parts.append(f"{rest // smaller} {smaller_name}")
            return " ".join(parts)
    return "0 min"
