"""What a check says: how it is, what was found, and what to do about it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

__all__ = ["Check", "Level", "Outcome", "Scene", "broken", "note", "ok", "warning"]

# `note`: nothing to judge. `broken`: calls, or a sign-in, will fail.
Level = Literal["ok", "note", "warning", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One line of the report. `what` and `remedy` are sentences that hold no secret."""

    level: Level
    what: str
    remedy: str | None = None


@dataclass(slots=True, kw_only=True)
class Scene:
    """What the checks look at, and what they have found out for each other. `seconds` is how long an answer may take.

    `login` is found once; `client` is the one that knows the catalogue; `routing` is what all clients know of it.
    """

    environment: Mapping[str, str]
    clock: Callable[[], datetime]
    seconds: float
    client: Any = None
    login: Any = None
    routing: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)


Check: TypeAlias = "Callable[[Scene], Iterator[Outcome]]"


def ok(what: str) -> Outcome:
    """Say that something is as it should be."""
    return Outcome(level="ok", what=what)


def note(what: str, remedy: str | None = None) -> Outcome:
    """Say something that is neither good nor bad."""
    return Outcome(level="note", what=what, remedy=remedy)


def warning(what: str, remedy: str | None = None) -> Outcome:
    """Say that something may go wrong."""
    return Outcome(level="warning", what=what, remedy=remedy)


def broken(what: str, remedy: str | None = None) -> Outcome:
    """Say that something is going to fail."""
    return Outcome(level="broken", what=what, remedy=remedy)
