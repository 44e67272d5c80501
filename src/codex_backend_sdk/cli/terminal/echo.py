"""Switch off the echo of the terminal while a response is printed, so that keys do not appear within it.

What the user typed meanwhile stays in the buffer of the terminal, and is the beginning of the next prompt. It is
discarded before a question about a call of a tool, which an earlier `y` must not answer.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

__all__ = ["discard_typed_text", "terminal_echo"]


@contextmanager
def terminal_echo(is_on: bool) -> Iterator[None]:
    """Switch the echo of standard input on or off, if it is a terminal. On Windows, do nothing."""
    if os.name != "posix" or sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    import termios

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    changed = termios.tcgetattr(descriptor)
    changed[3] = changed[3] | termios.ECHO if is_on else changed[3] & ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def discard_typed_text(terminal: TextIO | None) -> None:
    """Discard what was typed and not read yet, if this stream is a terminal. On Windows, do nothing."""
    if os.name != "posix" or terminal is None or not terminal.isatty():
        return
    import termios

    with suppress(termios.error):
        termios.tcflush(terminal.fileno(), termios.TCIFLUSH)
