"""The exit codes of the command, and the code of each error. docs/commands.md documents them; a test compares the two.

Commands raise the exceptions of the library, or `ExitError`. `app.py` turns both into a message and an exit code.
"""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["JSON_LINES", "ExitCode", "ExitError", "exit_code_of"]


JSON_LINES: Final = f"{__name__}.json_lines"  # a key of `click.Context.meta`: an error is one line of JSON


class ExitCode(IntEnum):
    """The exit code of a command. It is 0 only for a complete result. `meaning` documents it."""

    meaning: str

    def __new__(cls, value: int, meaning: str = "") -> ExitCode:
        """Create a member. To look one up by its value, the meaning is not needed."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    COMPLETE = 0, "The result is complete."
    ERROR = 1, "An error, for example of the network or the backend, or an unknown model."
    USAGE = 2, "Invalid options, arguments or files. Nothing was sent."
    SIGNED_OUT = 3, "There is no login, or the backend does not accept it."
    LIMIT = 4, "A usage limit or a spending limit is reached."
    INCOMPLETE = 5, "The response is incomplete, interrupted or refused, or does not match the schema."
    PARTLY_FAILED = 6, "Some lines of a batch failed."
    INTERRUPTED = 130, "Ctrl-C (128 + SIGINT)."
    BROKEN_PIPE = 141, "The reader of a pipe closed it (128 + SIGPIPE), as `head` does."


class ExitError(click.ClickException):
    """End the command with a message and an exit code.

    With `--json`, standard output gets the members of `data` and an `error` in one object.
    """

    def __init__(self, message: str, code: ExitCode = ExitCode.ERROR, *, data: Mapping[str, object] | None = None):
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance
        self.data = dict(data or {})


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code of a command that ends with this exception."""
    if isinstance(error, click.ClickException):
        return ExitCode(error.exit_code)
    return next((code for classes, code in _error_table() if isinstance(error, classes)), ExitCode.ERROR)


def _error_table() -> tuple[tuple[tuple[type[BaseException], ...], ExitCode], ...]:
    """Return the exit code of each exception class. The first match counts; all others are `ExitCode.ERROR`."""
    table: tuple[tuple[tuple[type[BaseException], ...], ExitCode], ...] = (
        ((KeyboardInterrupt, click.Abort), ExitCode.INTERRUPTED),
        ((BrokenPipeError,), ExitCode.BROKEN_PIPE),
    )
    # An exception of the library exists only if its module is imported. Importing it here would slow down `status`.
    if "codex_backend_sdk._exceptions" not in sys.modules:
        return table
    import openai

    from .. import _exceptions as exceptions

    return (
        *table,
        ((exceptions.BatchInputError,), ExitCode.USAGE),
        ((exceptions.LoginRequiredError, openai.AuthenticationError), ExitCode.SIGNED_OUT),
        (
            (
                exceptions.UsageLimitError,
                exceptions.QuotaExceededError,
                exceptions.UsageNotIncludedError,
                exceptions.BatchStoppedError,
            ),
            ExitCode.LIMIT,
        ),
        (
            (
                exceptions.StreamInterruptedError,
                exceptions.PolicyViolationError,
                exceptions.OutputValidationError,
                exceptions.RunStoppedError,
            ),
            ExitCode.INCOMPLETE,
        ),
    )
