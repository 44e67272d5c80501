"""A turn that changes what the simulator answers by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..http.delivery import SimulatedResponse
from ..turns import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..backend.turn_context import TurnContext

__all__ = ["changed"]


def changed(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Turn:
    """Change the JSON of an answer of status 200; another one stays as it is."""

    def play(context: TurnContext) -> SimulatedResponse:
        if context.captured is None or context.captured.status != 200:
            return context.default_response()
        return SimulatedResponse.json(200, change(context.captured.json()))

    return Turn(play, is_own=True)
