"""Write limits as HTML, for notebooks. Pure.

A notebook shows it where the last line of a cell is a `RateLimits` or a `UsageReport`. Names come from the backend, so
all texts are escaped. A viewer that removes the bars, as GitHub does, still shows the percentages.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LimitRow", "limits_as_html"]


class LimitRow(NamedTuple):
    """A window of a limit: its name, the used part in percent, that part as text, and when it resets."""

    name: str
    used_percent: float
    used_text: str
    reset_text: str


def limits_as_html(title: str, rows: Iterable[LimitRow], remarks: Iterable[str] = ()) -> str:
    """Return a table with a row for each window, and the remarks below it."""
    body = "".join(
        f"<tr><td>{escape(row.name)}</td>"
        f'<td><progress max="100" value="{min(100.0, max(0.0, row.used_percent)):g}"></progress></td>'
        f"<td>{escape(row.used_text)}</td><td>{escape(row.reset_text)}</td></tr>"
        for row in rows
    )
    table = f"<table><tbody>{body}</tbody></table>" if body else "<div>No limits were reported.</div>"
    lines = "".join(f"<div>{escape(remark)}</div>" for remark in remarks)
    return f"<div><strong>{escape(title)}</strong>{table}{lines}</div>"
