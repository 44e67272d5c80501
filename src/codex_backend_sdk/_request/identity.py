"""What a request says of the program that sends it: the truth, in characters that a header can hold."""

from __future__ import annotations

import platform
from functools import cache, lru_cache

from .._version import __version__

__all__ = ["printable", "user_agent"]


@lru_cache
def user_agent(originator: str) -> str:
    """Return the program's name, this package's name and version, and the system."""
    return printable(f"{originator} codex-backend-sdk/{__version__} ({_system()})")


def printable(text: str) -> str:
    """Return the text as a header can hold it. Codex CLI: login/src/auth/default_client.rs does the same."""
    return "".join(letter if " " <= letter <= "~" else "_" for letter in text)


@cache
def _system() -> str:
    return f"{platform.system()} {platform.release()}; {platform.machine()}"
