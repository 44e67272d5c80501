"""What a client did about a fault, from what was measured: no client is known here by name."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bench.fault_cases import Case

__all__ = ["GOOD", "Facts", "Verdict", "judge"]

# What nobody has to be ashamed of; the rest is shown in bold.
GOOD = ("right answer", "clear error")


class Facts(NamedTuple):
    """What one call led to.

    `said` is the line of the process that made it, None when it ended without one; `killed` when it was stopped at the
    time limit. `requests` is how often the simulator was asked for an answer.
    """

    said: dict[str, Any] | None
    killed: bool
    requests: int
    resets_at: int | None = None


class Verdict(NamedTuple):
    """In a word, and the details."""

    word: str
    details: str


def judge(case: Case, facts: Facts, *, expected: str) -> Verdict:
    """Say what the client did."""
    if facts.killed:
        return Verdict("hang", f"{_times(facts.requests)}, ended by force")
    if facts.said is None:
        return Verdict("crash", "the process ended without a word")
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
        return Verdict("untyped error", f"{name} of Python itself")
    if not _tells(case, error, facts.resets_at):
        return Verdict("unclear error", f"{name} does not say {'when it resets' if facts.resets_at else 'what it is'}")
    return Verdict("clear error", name)


def _judge_text(text: Any, status: Any, expected: str) -> Verdict:
    if text == expected:
        return Verdict("right answer", "")
    if status not in ("completed", None):
        return Verdict("nothing raised", f"only `status` says `{status}`")
    if not text:
        return Verdict("wrong answer", "empty, as a success")
    part = isinstance(text, str) and expected.startswith(text)
    return Verdict("wrong answer", "a part of the text, as a success" if part else "another text, as a success")


def _times(requests: int) -> str:
    return {0: "no request", 1: "1 request"}.get(requests, f"{requests} requests")


def _is_untyped(error: dict[str, Any]) -> bool:
    """Whether its class is one of Python's own, which any bug could have raised."""
    return error["module"].partition(".")[0] in (*sys.stdlib_module_names, "builtins")


def _tells(case: Case, error: dict[str, Any], resets_at: int | None) -> bool:
    pattern = case.tells if resets_at is None else "|".join(map(re.escape, _written(resets_at)))
    readable = "\n".join([error["class"], error["words"], *error["members"].values()])
    return re.search(pattern, readable, re.IGNORECASE) is not None


def _written(moment: int) -> list[str]:
    """Return the ways to write a time, in UTC and here."""
    moments = [datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(moment).astimezone()]
    return [
        str(moment),
        *(form for at in moments for form in (f"{at:%Y-%m-%d %H:%M}", f"{at:%H:%M}", f"{at:%I:%M %p}")),
    ]
