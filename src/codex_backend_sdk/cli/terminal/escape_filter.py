"""Remove control characters and escape sequences from text that arrives in parts.

A sequence may be split at any character, so the beginning of one is withheld until its end is known. Otherwise the
second half of `ESC ] 52 ; …`, which writes to the clipboard, would be printed as text, or the first half would wait in
the terminal for text of the next part.

`_redaction` defines what is removed. This module has no I/O.
"""

from __future__ import annotations

import re
from typing import Final

from ..._redaction import remove_control_characters

__all__ = ["EscapeFilter"]

# The beginning of a sequence of ECMA-48 at the end of the text: a lone ESC, a control sequence without its final byte,
# or a control string (OSC, DCS, SOS, PM, APC) without its terminator, which may itself be cut after its ESC.
_INCOMPLETE: Final = re.compile(
    r"(?:(?:\x1b\[|\x9b)[0-?]*+[ -/]*+"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x7f-\x9f]*+\x1b?"
    r"|\x1b[ -/]*+)\Z"
)
_MAX_WITHHELD: Final = 4096  # of a control string that never ends, only its introducer is removed


class EscapeFilter:
    """Filter one text that arrives in parts."""

    def __init__(self) -> None:
        self._withheld = ""

    def feed(self, text: str) -> str:
        """Return the printable text that this part completes."""
        text = self._withheld + text
        match = _INCOMPLETE.search(text)
        if match is None or len(text) - match.start() > _MAX_WITHHELD:
            self._withheld = ""
            return remove_control_characters(text)
        self._withheld = match[0]
        return remove_control_characters(text[: match.start()])

    def finish(self) -> str:
        """Return the printable text of a sequence that did not end."""
        text, self._withheld = self._withheld, ""
        return remove_control_characters(text)
