"""Format the changes of a request, for the header `x-codex-backend-changes` and for the log. No I/O.

A change is an action and the changed part of the request: `dropped temperature`, `repaired input[3]`, `replaced
reasoning_effort minimal by low`.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from .._coerce import sanitize_header_value

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Change", "changes_header", "changes_text"]

_MAX_CHANGES: Final = 40
_MAX_LENGTH: Final = 80  # in characters, of a change in the header


class Change(NamedTuple):
    """A change of a request. `subject` may contain text of the client."""

    action: Literal["dropped", "replaced", "repaired"]
    subject: str


def changes_header(changes: Iterable[Change]) -> str:
    """Return the value of the header that lists changes, cut and without characters that are invalid in a header."""
    listed = list(dict.fromkeys(changes))
    texts = [
        sanitize_header_value(f"{action} {subject[:_MAX_LENGTH]}"[:_MAX_LENGTH]).replace(",", "_")
        for action, subject in listed[:_MAX_CHANGES]
    ]
    more = [f"and {len(listed) - _MAX_CHANGES} more"] if len(listed) > _MAX_CHANGES else []
    return ", ".join([*texts, *more])


def changes_text(changes: Iterable[Change]) -> str:
    """Return the changes for the log, grouped by action: `dropped temperature, seed; repaired input[3]`."""
    grouped = groupby(sorted(dict.fromkeys(changes), key=_action), key=_action)
    return "; ".join(f"{action} {', '.join(subject for _, subject in group)}" for action, group in grouped)


def _action(change: Change) -> str:
    return change.action
