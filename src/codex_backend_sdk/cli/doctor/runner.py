"""All checks at once, told in their order: one that fails or hangs takes nothing from the others."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .result import Outcome, broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .result import Check, Scene

__all__ = ["run_checks"]


def run_checks(checks: Mapping[str, Check], scene: Scene, *, limit: float) -> Iterator[tuple[str, list[Outcome]]]:
    """Yield the name and the outcomes of each check. What is not there after `limit` seconds is given up."""
    ends = time.monotonic() + limit
    running = {name: _Running(check, scene) for name, check in checks.items()}
    for name, one in running.items():
        yield name, one.outcomes(ends, limit=limit)


class _Running:
    """A check in a thread of its own, which may be left behind: the system may look a name up for minutes."""

    def __init__(self, check: Check, scene: Scene) -> None:
        self._found: list[Outcome] = []
        self._thread = threading.Thread(target=self._run, args=(check, scene), daemon=True)
        self._thread.start()

    def outcomes(self, ends: float, *, limit: float) -> list[Outcome]:
        """Wait for the end of the check, or until `ends`."""
        self._thread.join(max(0.0, ends - time.monotonic()))
        found = list(self._found)
        if self._thread.is_alive():
            found.append(broken(f"No answer within {limit:g} s.", "Try again, or give it longer with `--timeout`."))
        return found

    def _run(self, check: Check, scene: Scene) -> None:
        try:
            for outcome in check(scene):
                self._found.append(outcome)
        except Exception as error:
            self._found.append(_failed(error))


def _failed(error: Exception) -> Outcome:
    import openai

    if isinstance(error, (openai.OpenAIError, ValueError)):
        return broken(" ".join(str(error).split()))  # these say what to do
    # Nothing is known of its text, which may hold anything.
    return broken(f"This could not be checked: {type(error).__name__}.", "Please report it.")
