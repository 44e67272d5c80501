"""Copy a text to the clipboard: with a program of the system, or else with a sequence that the terminal understands.

Over SSH, a program would use the clipboard of the other machine, so the terminal is asked (OSC 52).
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["copy_text"]

# A program, its arguments, and the variable without which it has no display.
_PROGRAMS: Final = (
    ("pbcopy", (), None),
    ("wl-copy", (), "WAYLAND_DISPLAY"),
    ("xclip", ("-selection", "clipboard"), "DISPLAY"),
    ("xsel", ("--clipboard", "--input"), "DISPLAY"),
    ("clip.exe", (), None),
)
_MAX_SEQUENCE_BYTES: Final = 74_994  # what xterm accepts
_TIMEOUT_SECONDS: Final = 5.0


def copy_text(text: str, *, terminal: TextIO | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Copy a text and return how, for a message. Raises ValueError if the text is too long for the terminal."""
    environment = os.environ if environment is None else environment
    if not environment.get("SSH_TTY") and not environment.get("SSH_CONNECTION"):
        for program, arguments, variable in _PROGRAMS:
            path = shutil.which(program, path=environment.get("PATH"))
            has_display = variable is None or environment.get(variable)
            if path is not None and has_display and _run([path, *arguments], text):
                return f"with {program}"
    data = base64.b64encode(text.encode("utf-8", "replace"))
    if len(data) > _MAX_SEQUENCE_BYTES:
        raise ValueError(
            f"The text is too long for the clipboard of the terminal ({len(text):,} characters). `/export FILE` writes "
            "it to a file."
        )
    out: TextIO = sys.stdout if terminal is None else terminal
    out.write(f"\x1b]52;c;{data.decode()}\x07")
    out.flush()
    return "through the terminal (OSC 52), if it allows that"


def _run(command: list[str], text: str) -> bool:
    encoding = "utf-16le" if command[0].endswith("clip.exe") else "utf-8"
    try:
        # Not captured: xclip stays in the background with these descriptors.
        result = subprocess.run(
            command,
            input=text.encode(encoding, "replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0
