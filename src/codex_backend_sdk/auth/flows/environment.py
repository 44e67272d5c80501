"""Whether a browser that is opened here would be seen by the person who signs in."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["why_no_browser"]

_SSH: Final = ("SSH_CONNECTION", "SSH_TTY")
_DISPLAY: Final = ("DISPLAY", "WAYLAND_DISPLAY")
_CONTAINER: Final = ("container", "KUBERNETES_SERVICE_HOST")
_CONTAINER_MARKS: Final = ("/.dockerenv", "/run/.containerenv")


def why_no_browser(
    *,
    environment: Mapping[str, str] | None = None,
    platform: str = sys.platform,
    exists: Callable[[str], bool] = lambda path: Path(path).exists(),
    has_browser: Callable[[], bool] | None = None,
) -> str | None:
    """Return why a browser is of no use here, `this is an SSH session`; None when there is one.

    `BROWSER` overrules all of it: the remote windows of editors set it to a program that opens the browser of the
    machine in front of the person.
    """
    environment = os.environ if environment is None else environment
    given = {name for name, value in environment.items() if value}
    if "BROWSER" in given:
        return None
    has_no_display = platform.startswith("linux") and not given.intersection(_DISPLAY)
    rows: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("this is an SSH session", lambda: bool(given.intersection(_SSH))),
        ("this is a container", lambda: has_no_display and _is_container(given, exists)),
        ("there is no display", lambda: has_no_display),
        ("no browser is installed", lambda: not (has_browser or _has_browser)()),
    )
    return next((reason for reason, holds in rows if holds()), None)


def _is_container(given: set[str], exists: Callable[[str], bool]) -> bool:
    return bool(given.intersection(_CONTAINER)) or any(exists(mark) for mark in _CONTAINER_MARKS)


def _has_browser() -> bool:
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True
