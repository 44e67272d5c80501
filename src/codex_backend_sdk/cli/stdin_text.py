"""Read text from standard input without waiting for one that stays silent.

A program that starts the command (an agent, CI, cron, ssh) often leaves standard input open and writes nothing to it.
So if there is a prompt and no terminal, the text of a pipe is read only if its first byte, or its end, comes within
`FIRST_BYTE_SECONDS`. Then it is read to its end. On a terminal, a user can press Ctrl-C, so a slow pipe is awaited. A
file is read only from its start: in a shell loop (`while read -r line; do …; done < list`), the rest of the file
belongs to the loop.

On POSIX, `select` waits for the first byte, so that nothing is consumed that another process will read. Windows cannot
wait for a pipe: there, a thread reads it, and is abandoned if the pipe stays silent. The thread reads the descriptor
directly, because one that is blocked in `sys.stdin` holds a lock, with which the interpreter could not exit.
"""

from __future__ import annotations

import codecs
import os
import select
import stat
import sys
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIRST_BYTE_SECONDS", "MAX_TEXT_BYTES", "StdinMode", "decode_text", "read_stdin_bytes", "read_stdin_text"]

StdinMode: TypeAlias = Literal["auto", "required", "never"]

FIRST_BYTE_SECONDS: Final = 0.2
MAX_TEXT_BYTES: Final = 10_000_000  # more than the context window of any model
_CHUNK_BYTES: Final = 65_536
# The byte order marks of the text that Windows programs write. UTF-8 is the default, with or without its mark.
_UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_stdin_text(
    mode: StdinMode,
    *,
    has_prompt: bool,
    notify: Callable[[str], None],
    warn: Callable[[str], None],
    is_watched: bool,
    notice_seconds: float = 2,
    max_bytes: int = MAX_TEXT_BYTES,
    can_select: bool = os.name == "posix",
) -> str | None:
    """Return the text of standard input, or None if there is none to read.

    `auto` reads a file or a pipe; with a prompt, a pipe that is silent is awaited only if the command `is_watched`: a
    user sees its notices. `required` reads to the end, also from a terminal. `notify` gets a sentence when the command
    waits for more than `notice_seconds`, or leaves a file to another program. `warn` gets one when a pipe is ignored
    or empty. Raises click.UsageError for text that is not UTF-8 or too long.
    """
    if mode == "never" or sys.stdin is None:  # None: closed with `<&-`. Its descriptor may belong to another file now.
        return None
    is_required = mode == "required"
    try:
        descriptor = sys.stdin.fileno()
        file_mode = os.fstat(descriptor).st_mode
    except OSError:  # replaced by an object without a descriptor, as in a test or a notebook
        return sys.stdin.read() if is_required else None
    is_pipe = stat.S_ISFIFO(file_mode) or stat.S_ISSOCK(file_mode)
    if not is_required:
        if not (is_pipe or stat.S_ISREG(file_mode)):  # a terminal, or a device such as /dev/null
            return None
        if has_prompt and not is_pipe and os.lseek(descriptor, 0, os.SEEK_CUR) > 0:
            notify("Standard input is a file that another program has begun to read. It is ignored without --stdin.")
            return None
    reader = _Reader(descriptor, max_bytes)
    is_patient = is_required or is_watched or not (has_prompt and is_pipe)
    if not reader.start(is_patient=is_patient, can_select=can_select):
        warn("Standard input is open but silent. It is ignored without --stdin.")
        return None
    data = reader.finish(notify, notice_seconds)
    if not data and has_prompt:
        warn("Standard input is empty. Only the prompt is sent.")
    return decode_text(
        data, "Standard input", remedy="Convert it to UTF-8, or send an image or a PDF file with `-a -`."
    )


def read_stdin_bytes(notify: Callable[[str], None], *, max_bytes: int, notice_seconds: float = 2) -> bytes:
    """Return all of standard input, such as an image.

    Raises click.UsageError if it is closed, a terminal, or too long.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("The file `-` is standard input, which is empty. Pipe a file into the command.")
    reader = _Reader(sys.stdin.fileno(), max_bytes)
    reader.start(is_patient=True, can_select=False)
    return reader.finish(notify, notice_seconds)


def decode_text(data: bytes, source: str, *, remedy: str = "Convert it to UTF-8.") -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark. `source` names the text in the click.UsageError."""
    encoding = "utf-16" if data.startswith(_UTF_16_MARKS) else "utf-8-sig"
    try:
        return data.decode(encoding).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"{source} is not valid text: it has the byte 0x{error.object[error.start]:02X}. {remedy}"
        ) from None


class _Reader:
    """Read a descriptor to its end in a thread."""

    def __init__(self, descriptor: int, max_bytes: int) -> None:
        self._descriptor, self._max_bytes = descriptor, max_bytes
        self._has_begun, self._has_ended = Event(), Event()
        self._data = bytearray()
        self._error: OSError | None = None

    def start(self, *, is_patient: bool, can_select: bool) -> bool:
        """Start to read. Return False if nothing comes within `FIRST_BYTE_SECONDS`, unless the caller is patient."""
        if can_select and not is_patient:
            if not select.select([self._descriptor], [], [], FIRST_BYTE_SECONDS)[0]:
                return False
            is_patient = True
        Thread(target=self._read, name="codex-backend-stdin", daemon=True).start()
        return is_patient or self._has_begun.wait(FIRST_BYTE_SECONDS)

    def _read(self) -> None:
        try:
            while len(self._data) <= self._max_bytes:
                try:
                    chunk = os.read(self._descriptor, _CHUNK_BYTES)
                except BlockingIOError:  # the other side made it non-blocking, as Node.js does
                    select.select([self._descriptor], [], [])
                    continue
                if not chunk:
                    break
                self._data += chunk
                self._has_begun.set()
        except OSError as error:
            self._error = error
        finally:
            self._has_begun.set()
            self._has_ended.set()

    def finish(self, notify: Callable[[str], None], notice_seconds: float) -> bytes:
        """Wait for the end, and return the data. Raises click.UsageError if it cannot be read, or is too long."""
        if not self._has_ended.wait(notice_seconds):
            notify("Waiting for the end of standard input. Ctrl-C cancels; --no-stdin does not read it.")
            while not self._has_ended.wait(1):  # without a timeout, Windows would not react to Ctrl-C
                pass
        if self._error is not None:
            raise click.UsageError(f"Cannot read standard input: {self._error.strerror}. Pass --no-stdin.")
        if len(self._data) > self._max_bytes:
            raise click.UsageError(
                f"Standard input has more than {self._max_bytes:,} bytes. Send a part of it that fits the model."
            )
        return bytes(self._data)
