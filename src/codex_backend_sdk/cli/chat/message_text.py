"""What the user typed: fences of several lines, and slash commands. This module has no I/O."""

from __future__ import annotations

from typing import Final

__all__ = ["is_unfinished", "split_command", "without_fences"]

_FENCE: Final = ":::"


def is_unfinished(text: str) -> bool:
    """Return whether the text begins with a line `:::` and has no second one yet, so that Enter adds a line."""
    first, *others = text.split("\n")
    return first.strip() == _FENCE and all(line.strip() != _FENCE for line in others)


def without_fences(text: str) -> str:
    """Return the message without its lines `:::` and without empty lines around it."""
    lines = text.split("\n")
    if lines[0].strip() == _FENCE:
        ends = [index for index, line in enumerate(lines) if index and line.strip() == _FENCE]
        if ends:
            lines = [*lines[1 : ends[0]], *lines[ends[0] + 1 :]]
    return "\n".join(lines).strip()


def split_command(text: str) -> tuple[str, str] | None:
    """Return the name and the argument of a slash command, or None for a message.

    A path such as `/etc/hosts`, and a text that begins with a space, are messages.
    """
    name, _, argument = text.rstrip().partition(" ")
    if not name.startswith("/") or "\n" in name or "/" in name[1:] or not name[1:2].isalpha():
        return None
    return name[1:].lower(), argument.strip()
