"""What the first answer of a process needs is built while it is waited for."""

from __future__ import annotations

import threading
from functools import cache

from .._core.events import build_usual_validators

__all__ = ["prepare"]


@cache
def prepare() -> None:
    """Begin, once in a process; this returns at once."""
    threading.Thread(target=build_usual_validators, name="codex-backend-sdk-preparation", daemon=True).start()
