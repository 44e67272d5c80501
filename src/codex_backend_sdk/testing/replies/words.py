"""Find in a prompt the words and numbers that a person would put into a form with named fields."""

from __future__ import annotations

import re

__all__ = ["Words"]

_NAME = r"[A-Z][\w\u2019'-]*(?:\s+[A-Z][\w\u2019'-]*)*"
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")

# Words that are capitalised because a sentence begins, not because they are names.
_OPENERS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "ask",
        "calculate",
        "call",
        "can",
        "check",
        "compute",
        "could",
        "create",
        "describe",
        "do",
        "does",
        "explain",
        "extract",
        "fetch",
        "find",
        "for",
        "from",
        "generate",
        "get",
        "give",
        "hello",
        "here",
        "hi",
        "how",
        "i",
        "in",
        "is",
        "it",
        "list",
        "look",
        "make",
        "me",
        "my",
        "of",
        "on",
        "parse",
        "please",
        "read",
        "return",
        "say",
        "search",
        "send",
        "show",
        "solve",
        "summarize",
        "summarise",
        "tell",
        "that",
        "the",
        "these",
        "this",
        "to",
        "translate",
        "use",
        "was",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "write",
        "you",
        "your",
    ]
)

# (what the field is called, what is looked for). The first row whose two patterns are found decides.
_CLUES: tuple[tuple[str, str], ...] = (
    (r"e?_?mail", r"([\w.+-]+@[\w-]+(?:\.[\w-]+)+)"),
    (r"url|uri|link|website", r"(https?://[^\s\"'<>]+)"),
    (r"date|day|when", r"(\d{4}-\d{2}-\d{2})"),
    (r"date|day|when", r"\b((?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|[Tt]oday|[Tt]omorrow)\b"),
    (r"city|town|location|place|country|destination", rf"\b(?:in|at|to|from|near|for)\s+({_NAME})"),
    (r"city|town|location|place|country|destination", r"\b(?:in|at|to|near|for)\s+([a-z]+)\W*$"),
    (r"quer(y|ies)|question|prompt|input|text|message|expression|^q$", r"(?s)^\s*(.+?)\s*$"),
)
_TITLES = (r"name|title|event|subject|topic", r"\b(?:an?|the)\s+([a-z]+(?:\s+(?!on\b|in\b|at\b)[a-z]+)?)")


class Words:
    """What is left of a prompt's names and numbers: each is given once, in the order of the text."""

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self._numbers = _NUMBER.findall(prompt)
        self._names = _names(prompt)

    def integer(self) -> int | None:
        """Take the next whole number."""
        found = next((text for text in self._numbers if "." not in text), None)
        return None if found is None else int(self._take(found))

    def number(self) -> float | None:
        """Take the next number."""
        return float(self._take(self._numbers[0])) if self._numbers else None

    def one_of(self, choices: list[str]) -> str | None:
        """Return the choice that the prompt names."""
        return next((each for each in choices if re.search(rf"(?i)\b{re.escape(each)}\b", self.prompt)), None)

    def string(self, field: str) -> str | None:
        """Take what fits a text field of this name."""
        for called, looked_for in _CLUES:
            if re.search(called, field, re.IGNORECASE) and (found := re.search(looked_for, self.prompt)):
                self._names = [name for name in self._names if name != found[1]]
                return found[1]
        if self._names:
            return self._names.pop(0)
        called, looked_for = _TITLES
        title = re.search(looked_for, self.prompt) if re.search(called, field, re.IGNORECASE) else None
        return title[1] if title else None

    def strings(self) -> list[str]:
        """Take all names that are left."""
        taken, self._names = self._names, []
        return taken

    def _take(self, number: str) -> str:
        self._numbers.remove(number)
        return number


def _names(prompt: str) -> list[str]:
    found = []
    for run in re.findall(_NAME, prompt):
        words = [re.sub(r"['\u2019]\w*$", "", word) for word in run.split()]
        while words and words[0].lower() in _OPENERS:
            words.pop(0)
        if words and not words[0].endswith("day"):
            found.append(" ".join(words))
    return list(dict.fromkeys(found))
