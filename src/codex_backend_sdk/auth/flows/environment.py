"""Detect whether the user can see a browser that is opened on this machine."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["browser_unavailable_reason"]

_SSH_VARIABLES: Final = ("SSH_CONNECTION", "SSH_TTY")
_DISPLAY_VARIABLES: Final = ("DISPLAY", "WAYLAND_DISPLAY")
_CONTAINER_VARIABLES: Final = ("container", "KUBERNETES_SERVICE_HOST")
_CONTAINER_FILES: Final = ("/.dockerenv", "/run/.containerenv")


def browser_unavailable_reason(
    *,
    environment: Mapping[str, str] | None = None,
    platform: str = sys.platform,
    exists: Callable[[str], bool] = lambda path: Path(path).exists(),
    has_browser: Callable[[], bool] | None = None,
) -> str | None:
    """Return why no browser can be used here, such as "this is an SSH session"; None if a browser can be used.

    If the variable `BROWSER` is set, a browser can be used: remote sessions of editors set it to a program that opens
    the browser on the user's machine.
    """
    environment = os.environ if environment is None else environment
    variables = {name for name, value in environment.items() if value}
    if "BROWSER" in variables:
        return None
    has_no_display = platform.startswith("linux") and not variables.intersection(_DISPLAY_VARIABLES)
    reasons: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("this is an SSH session", lambda: bool(variables.intersection(_SSH_VARIABLES))),
        ("this is a container", lambda: has_no_display and _is_container(variables, exists)),
        ("there is no display", lambda: has_no_display),
        ("no browser is installed", lambda: not (has_browser or _has_browser)()),
    )
    return next((reason for reason, applies in reasons if applies()), None)


def _is_container(variables: set[str], exists: Callable[[str], bool]) -> bool:
    return bool(variables.intersection(_CONTAINER_VARIABLES)) or any(exists(path) for path in _CONTAINER_FILES)


def _has_browser() -> bool:
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True
