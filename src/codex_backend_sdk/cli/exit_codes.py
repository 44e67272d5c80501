"""The exit codes of the command. docs/commands.md documents them; a test compares the two."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """The exit code of a command. It is 0 only for a complete result."""

    COMPLETE = 0
    ERROR = 1
    USAGE = 2  # invalid options or arguments, as in click
    SIGNED_OUT = 3  # no login, or the backend does not accept it
    LIMIT = 4  # a usage limit is exhausted
    INCOMPLETE = 5  # the response is incomplete or refused, or does not match the schema
    PARTLY_FAILED = 6  # some lines of a batch failed
    INTERRUPTED = 130  # 128 + SIGINT, as in a shell
    BROKEN_PIPE = 141  # 128 + SIGPIPE
