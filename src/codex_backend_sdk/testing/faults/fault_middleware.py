"""Answer differently than the simulator would by itself: by schedule, or because a request's header asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..backend.turn_context import CapturedResponse
from ..http.delivery import SimulatedResponse
from ..turns import Turn
from .fault_catalogue import PLACES
from .fault_syntax import planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from ..backend.turn_context import TurnContext
    from .schedule import Schedule

__all__ = ["HEADER", "Intervention"]

HEADER = "x-simulator-fault"
_RESPONSES = PLACES["responses"]


class Intervention:
    """ASGI middleware; what is meant for a model answer is handed on to the backend, which knows the request."""

    def __init__(self, app: ASGIApp, *, schedule: Schedule[Turn], turn_context: Callable[..., TurnContext]) -> None:
        self._app = app
        self._schedule = schedule
        self._turn_context = turn_context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """SimulatedResponse, or let the application answer."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            turn = self._asked_for(headers.get(HEADER), scope["path"])
        except ValueError as problem:
            await SimulatedResponse.json(400, {"detail": f"{HEADER}: {problem}"})(scope, receive, send)
            return
        if scope["path"] == _RESPONSES:
            scope["state"]["turn"] = turn
        else:
            turn = turn or self._schedule.take(scope["path"])
            if turn is not None:
                answer = await self._play(turn, scope, receive, headers)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _asked_for(self, text: str | None, path: str) -> Turn | None:
        if text is None:
            return None
        found = planned(text)
        if found.place == PLACES["handshake"]:
            raise ValueError("a handshake is over before a header can be read")
        if not isinstance(found.turn, Turn) or (not found.is_anywhere and found.place != path):
            return None
        return found.turn if self._schedule.is_within(f"{path} {text}", found.times) else None

    async def _play(self, turn: Turn, scope: Scope, receive: Receive, headers: dict[str, str]) -> SimulatedResponse:
        captured = await _captured(self._app, scope, receive) if turn.is_own else None
        return turn.play(self._turn_context(scope=scope, headers=headers, body={}, captured=captured))


async def _captured(app: ASGIApp, scope: Scope, receive: Receive) -> CapturedResponse:
    """Let the application answer, and keep the answer."""
    start: dict[str, Any] = {}
    body: list[bytes] = []

    async def keep(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.append(message.get("body", b""))

    await app(scope, receive, keep)
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    return CapturedResponse(start["status"], tuple(pairs), b"".join(body))
