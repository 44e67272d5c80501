"""What the first answer of a process needs is built while it is waited for."""

from __future__ import annotations

import threading
from functools import cache
from typing import Final

from .._core.events import build_usual_validators

__all__ = ["prepare"]


# Building holds the interpreter's lock for long stretches: the request has to be on its way before.
_HEAD_START_SECONDS: Final = 0.05


@cache
def prepare() -> None:
    """Begin in a moment, once in a process; this returns at once."""
    thread = threading.Timer(_HEAD_START_SECONDS, build_usual_validators)
    thread.name, thread.daemon = "codex-backend-sdk-preparation", True
    thread.start()
