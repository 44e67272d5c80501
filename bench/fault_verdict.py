"""Judge what a client did about a fault. The rules are the same for all clients."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bench.fault_cases import Case

__all__ = ["GOOD", "CallFacts", "FaultVerdict", "judge_call"]

# The good verdicts; the table shows all others in bold.
GOOD = ("correct response", "clear error")


class CallFacts(NamedTuple):
    """The outcome of one call.

    `outcome` is the JSON line that the calling process printed, or None if it ended without one. `was_killed`: the
    process was stopped at the time limit. `requests` is the number of model requests that the simulator received.
    """

    outcome: dict[str, Any] | None
    was_killed: bool
    requests: int
    resets_at: int | None = None


class FaultVerdict(NamedTuple):
    """One of the verdicts of docs/fault-comparison.md, and its details."""

    name: str
    details: str


def judge_call(case: Case, facts: CallFacts, *, expected: str) -> FaultVerdict:
    """Return the verdict about what the client did."""
    if facts.was_killed:
        return FaultVerdict("hang", f"{_count_requests(facts.requests)}, killed")
    if facts.outcome is None:
        return FaultVerdict("crash", "the process ended without output")
    error = facts.outcome.get("error")
    if error is None:
        return _judge_text(facts.outcome.get("text"), facts.outcome.get("status"), expected)
    seconds = f"{facts.outcome['seconds']:.1f} s"
    name = f"`{error['class']}`"
    if case.is_recoverable:
        return FaultVerdict("gave up", f"{name} after {_count_requests(facts.requests)}")
    if facts.requests > case.requests:
        return FaultVerdict("blind retries", f"{_count_requests(facts.requests)} in {seconds}, then {name}")
    if _is_untyped(error):
        return FaultVerdict("untyped error", f"{name} is a built-in class")
    if not _is_clear(case, error, facts.resets_at):
        return FaultVerdict(
            "unclear error", f"{name} does not name {'the reset time' if facts.resets_at else 'the cause'}"
        )
    return FaultVerdict("clear error", name)


def _judge_text(text: Any, status: Any, expected: str) -> FaultVerdict:
    if text == expected:
        return FaultVerdict("correct response", "")
    if status not in ("completed", None):
        return FaultVerdict("nothing raised", f"only `status` is `{status}`")
    if not text:
        return FaultVerdict("wrong response", "no text")
    part = isinstance(text, str) and expected.startswith(text)
    return FaultVerdict("wrong response", "only a part of the text" if part else "a different text")


def _count_requests(requests: int) -> str:
    return {0: "no request", 1: "1 request"}.get(requests, f"{requests} requests")


def _is_untyped(error: dict[str, Any]) -> bool:
    """Return whether the class belongs to Python itself, so that any bug could have raised it."""
    return error["module"].partition(".")[0] in (*sys.stdlib_module_names, "builtins")


def _is_clear(case: Case, error: dict[str, Any], resets_at: int | None) -> bool:
    pattern = case.error_pattern if resets_at is None else "|".join(map(re.escape, _time_formats(resets_at)))
    visible = "\n".join([error["class"], error["message"], *error["members"].values()])
    return re.search(pattern, visible, re.IGNORECASE) is not None


def _time_formats(moment: int) -> list[str]:
    """Return the common ways to write a time, in UTC and in local time."""
    times = [datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(moment).astimezone()]
    return [
        str(moment),
        *(form for at in times for form in (f"{at:%Y-%m-%d %H:%M}", f"{at:%H:%M}", f"{at:%I:%M %p}")),
    ]
