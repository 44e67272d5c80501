"""Judge what a client did about a fault. The rules are the same for all clients."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bench.fault_cases import Case

__all__ = ["GOOD", "Facts", "Verdict", "judge"]

# The good verdicts; the table shows all others in bold.
GOOD = ("correct response", "clear error")


class Facts(NamedTuple):
    """The outcome of one call.

    `said` is the JSON line that the calling process printed, or None if it ended without one. `killed` is True if the
    process was stopped at the time limit. `requests` is the number of model requests that the simulator received.
    """

    said: dict[str, Any] | None
    killed: bool
    requests: int
    resets_at: int | None = None


class Verdict(NamedTuple):
    """One of the verdicts of docs/fault-comparison.md, and its details."""

    word: str
    details: str


def judge(case: Case, facts: Facts, *, expected: str) -> Verdict:
    """Return the verdict about what the client did."""
    if facts.killed:
        return Verdict("hang", f"{_times(facts.requests)}, killed")
    if facts.said is None:
        return Verdict("crash", "the process ended without output")
    error = facts.said.get("error")
    if error is None:
        return _judge_text(facts.said.get("text"), facts.said.get("status"), expected)
    seconds = f"{facts.said['seconds']:.1f} s"
    name = f"`{error['class']}`"
    if case.is_mendable:
        return Verdict("gave up", f"{name} after {_times(facts.requests)}")
    if facts.requests > case.requests:
        return Verdict("blind retries", f"{_times(facts.requests)} in {seconds}, then {name}")
    if _is_untyped(error):
        return Verdict("untyped error", f"{name} is a built-in class")
    if not _tells(case, error, facts.resets_at):
        return Verdict("unclear error", f"{name} does not name {'the reset time' if facts.resets_at else 'the cause'}")
    return Verdict("clear error", name)


def _judge_text(text: Any, status: Any, expected: str) -> Verdict:
    if text == expected:
        return Verdict("correct response", "")
    if status not in ("completed", None):
        return Verdict("nothing raised", f"only `status` is `{status}`")
    if not text:
        return Verdict("wrong response", "no text")
    part = isinstance(text, str) and expected.startswith(text)
    return Verdict("wrong response", "only a part of the text" if part else "a different text")


def _times(requests: int) -> str:
    return {0: "no request", 1: "1 request"}.get(requests, f"{requests} requests")


def _is_untyped(error: dict[str, Any]) -> bool:
    """True if the class belongs to Python itself, so that any bug could have raised it."""
    return error["module"].partition(".")[0] in (*sys.stdlib_module_names, "builtins")


def _tells(case: Case, error: dict[str, Any], resets_at: int | None) -> bool:
    pattern = case.tells if resets_at is None else "|".join(map(re.escape, _written(resets_at)))
    readable = "\n".join([error["class"], error["words"], *error["members"].values()])
    return re.search(pattern, readable, re.IGNORECASE) is not None


def _written(moment: int) -> list[str]:
    """Return the common ways to write a time, in UTC and in local time."""
    moments = [datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(moment).astimezone()]
    return [
        str(moment),
        *(form for at in moments for form in (f"{at:%Y-%m-%d %H:%M}", f"{at:%H:%M}", f"{at:%I:%M %p}")),
    ]
