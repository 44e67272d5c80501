"""Ask the user whether a tool may be called.

The arguments come from a model, which may have read them on a web page: they are shown in one line, without control
characters, before anything runs.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

from .echo import discard_typed_text, terminal_echo
from .response_printer import format_arguments, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...tools import Allow, Deny, ToolCall

__all__ = ["ToolApproval", "has_terminal", "read_terminal_line"]

_DENIED: Final = "The user does not allow this call."


class ToolApproval:
    """Decides on calls of tools, as `on_call` of `conversation.run()`.

    Args:
        allow_all: Allow every call without asking (`--yes`).
        err: The stream of the question (default: `sys.stderr`).
        read_line: Reads a line of the user, or returns an empty text at the end of the input. By default, from the
            terminal, also if standard input is a pipe.
    """

    def __init__(
        self, *, allow_all: bool = False, err: TextIO | None = None, read_line: Callable[[], str] | None = None
    ) -> None:
        self._allow_all = allow_all
        self._allowed: set[str] = set()
        self._err = err
        self._reads_terminal = read_line is None
        self._read_line = read_line or read_terminal_line

    def __call__(self, call: ToolCall) -> Allow | Deny:
        """Return the decision on a call. `always` allows all calls of the same tool from now on."""
        from ...tools import Allow, Deny

        if self._allow_all or call.name in self._allowed:
            return Allow()
        name = one_line(call.name)
        err = self._err or sys.stderr
        err.write(f"\nThe model calls {name}({format_arguments(call.arguments)})\n")
        if call.may_have_run:
            err.write("An interrupted run started this call before, so it may have run already.\n")
        while True:
            if self._reads_terminal:
                discard_terminal_input()  # before the question: an answer may follow it at once
            err.write("Run it? [y]es, [n]o, [a]lways: ")
            err.flush()
            line = self._read_line()
            match line.strip().lower():
                case "y" | "yes":
                    return Allow()
                case "a" | "always":
                    self._allowed.add(call.name)
                    return Allow()
                case "n" | "no":
                    return Deny(_DENIED)
                case "" if not line:  # the end of the input
                    err.write("\n")
                    return Deny(_DENIED)


def has_terminal() -> bool:
    """Return whether there is a terminal to read from, also if standard input is a pipe."""
    try:
        _open_terminal().close()
    except OSError:
        return False
    return True


def read_terminal_line() -> str:
    """Read a line from the terminal. Return an empty text if there is none, or at the end of the input."""
    if sys.stdin is not None and sys.stdin.isatty():
        with terminal_echo(True):
            return sys.stdin.readline()
    try:
        with _open_terminal() as terminal:
            return terminal.readline()
    except OSError:
        return ""


def discard_terminal_input() -> None:
    """Discard what was typed before a question."""
    if sys.stdin is not None and sys.stdin.isatty():
        discard_typed_text(sys.stdin)
        return
    with suppress(OSError), _open_terminal() as terminal:
        discard_typed_text(terminal)


def _open_terminal() -> TextIO:
    return open("CONIN$" if sys.platform == "win32" else "/dev/tty", encoding="utf-8", errors="replace")
