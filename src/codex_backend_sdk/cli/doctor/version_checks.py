"""Which versions are at work."""

from __future__ import annotations

import platform
import re
from importlib import metadata
from typing import TYPE_CHECKING, Final

from .result import broken, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .result import Outcome, Scene

__all__ = ["OPENAI_VERSIONS", "check_versions", "judge_openai"]

# As in pyproject.toml: from, and below.
OPENAI_VERSIONS: Final = ((3, 15), (4,))


def check_versions(scene: Scene) -> Iterator[Outcome]:
    """Name the package, the official client, Python and the system."""
    found = metadata.version("openai")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.release()} ({platform.machine()})"
    yield ok(f"codex-backend-sdk {metadata.version('codex-backend-sdk')}, openai {found}, {python}, {system}.")
    yield from judge_openai(found)


def judge_openai(version: str) -> Iterator[Outcome]:
    """Say so when this version of the official client was never tried with this package."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    lowest, below = OPENAI_VERSIONS
    if not lowest <= numbers < below:
        wanted = f"openai>={'.'.join(map(str, lowest))},<{below[0]}"
        yield broken(f"This package needs {wanted}.", f"`pip install '{wanted}'`.")
