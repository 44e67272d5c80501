"""Words in answer to words, without a model: a table of patterns, and an honest sentence for everything else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["about_outputs", "is_small_talk", "remembered", "reply"]

_COUNTS = {"once": 1, "twice": 2, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "ten": 10}
_MOST_REPEATS = 50

_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "plus": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "minus": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "x": lambda a, b: a * b,
    "times": lambda a, b: a * b,
}
_SMALL_TALK = re.compile(
    r"(?i)^\W*(hi|hello|hey|good (morning|evening)|thanks|thank you|bye|ok|okay)\b[\s\w]{0,12}\W*$"
)
_TOLD = re.compile(r"(?i)\bmy ([\w ]{1,30}?) is ([^.!?,;\n]{1,60}?)(?=\s+and\s+(?:my|i)\b|[.!?,;\n]|$)")
_LEADING = re.compile(
    r"(?i)^(please\s+|can you\s+|could you\s+)*"
    r"(explain|describe|tell me (about|something about)|write( me)? (a|an)?|summari[sz]e|what (is|are|was|were)|"
    r"what's|who (is|was)|how (do|does|to)|give me|list)\s+"
)
_TRAILING = re.compile(r"(?i)[,\s]+(in|with|using|as) (one|a|an|two|three|\d+|few|simple|short)\b.*$")


def reply(prompt: str, earlier: Sequence[str] = (), *, facts: dict[str, str] | None = None, images: int = 0) -> str:
    """Answer the prompt; `earlier` has what the person said before it, `facts` what a compaction kept."""
    known = {**(facts or {}), **remembered(earlier)}
    for pattern, answer in _TABLE:
        found = pattern.search(prompt)
        text = answer(found, known) if found else None
        if text is not None:
            return text
    if images:
        return f"I was given {images} image{'s' if images > 1 else ''}, and I cannot see: I am a simulator."
    return (
        f"You asked about {_subject(prompt)}. This is a simulated answer: no model was asked, "
        "and the same words will get the same answer again."
    )


def remembered(texts: Sequence[str]) -> dict[str, str]:
    """Return what the person said about themselves: `My name is Ada` gives `{"name": "Ada"}`."""
    found: dict[str, str] = {}
    for text in texts:
        for thing, value in _TOLD.findall(text):
            found[thing.lower().strip()] = value.strip()
        for value in re.findall(r"\b(?:I am|I['\u2019]m|[Cc]all me) ([A-Z]\w+)", text):
            found.setdefault("name", value)
    return found


def is_small_talk(prompt: str) -> bool:
    """Say whether the prompt is a greeting or thanks and nothing else."""
    return bool(_SMALL_TALK.match(prompt))


def about_outputs(outputs: Sequence[tuple[str, str]]) -> str:
    """Tell the results of tools, given as (name, output)."""
    told = [f"{name} answered: {output.strip() or '(nothing)'}" for name, output in outputs]
    return "\n".join(told)


def _recall(found: re.Match[str], known: dict[str, str]) -> str | None:
    thing = found[1].lower().strip()
    if thing in known:
        return f"Your {thing} is {known[thing]}."
    return f"You have not told me what your {thing} is."


def _introduced(found: re.Match[str], known: dict[str, str]) -> str:
    return f"Nice to meet you, {found[1]}."


def _noted(found: re.Match[str], known: dict[str, str]) -> str:
    return f"I will remember that your {found[1].lower().strip()} is {found[2].strip()}."


def _repeated(found: re.Match[str], known: dict[str, str]) -> str | None:
    word = found[2].lower()
    count = int(word) if word.isdigit() else _COUNTS.get(word, 0)
    return " ".join([found[1].strip("\"' ")] * min(count, _MOST_REPEATS)) or None


def _said(found: re.Match[str], known: dict[str, str]) -> str:
    return found[1].strip().strip("\"'")


def _computed(found: re.Match[str], known: dict[str, str]) -> str:
    return f"{found[1]} {found[2]} {found[3]} is {_ARITHMETIC[found[2].lower()](int(found[1]), int(found[3]))}."


def _greeted(found: re.Match[str], known: dict[str, str]) -> str:
    name = f", {known['name']}" if "name" in known else ""
    return f"Hello{name}! I am the Codex backend simulator."


_TABLE: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], dict[str, str]], str | None]], ...] = (
    (re.compile(r"(?i)\bwhat(?:['\u2019]s| is| was) my ([\w ]{1,30}?)\s*(?:\?|$)"), _recall),
    (re.compile(r"(?i)\bmy name is ([\w-]+)"), _introduced),
    (_TOLD, _noted),
    (re.compile(r"(?i)^\s*(?:say|write|repeat) (.{1,60}?) (twice|\w+(?= times))(?: times)?\W*$"), _repeated),
    (
        re.compile(r"(?i)^\s*(?:say|repeat|reply with|answer with)(?: exactly| only| just)?:? (.{1,200}?)[.!]?\s*$"),
        _said,
    ),
    (re.compile(r"(?i)\b(\d{1,9})\s*(\+|-|\*|x|plus|minus|times)\s*(\d{1,9})\b"), _computed),
    (_SMALL_TALK, _greeted),
)


def _subject(prompt: str) -> str:
    line = next((line.strip() for line in prompt.splitlines() if line.strip()), "")
    subject = _TRAILING.sub("", _LEADING.sub("", line)).strip(" .!?:\"'")
    if not subject:
        return "nothing in particular"
    return subject if len(subject) <= 120 else subject[:119].rstrip() + "…"
