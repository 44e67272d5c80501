"""A turn that changes what the simulator answers by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..http.delivery import Answer
from ..turns import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..backend.stage import Stage

__all__ = ["changed"]


def changed(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Turn:
    """Change the JSON of an answer of status 200; another one stays as it is."""

    def play(stage: Stage) -> Answer:
        if stage.captured is None or stage.captured.status != 200:
            return stage.own()
        return Answer.json(200, change(stage.captured.json()))

    return Turn(play, is_own=True)
