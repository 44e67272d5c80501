"""Points in time as people read them: in their own time zone, and from now."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from .._timefmt import format_duration, format_local_time

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["format_duration", "format_local_time", "from_now"]


def from_now(moment: datetime, *, now: datetime) -> str:
    """Return `in 3 h 12 min`, `2 d ago`, `now`."""
    if abs(moment - now) < timedelta(minutes=1):
        return "now"
    return f"in {format_duration(moment - now)}" if moment > now else f"{format_duration(now - moment)} ago"
