"""ASGI middleware that replaces or modifies responses: by the fault queue, or by the header of a request.

The header `x-simulator-fault` wins over the queue. Model requests (`POST /responses`) are not handled here: the backend
validates them first, because a request that it refuses must not use up a scripted turn. A fault of the header is passed
to the backend in the scope's state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..backend.turn_context import CapturedResponse
from ..http.delivery import SimulatedResponse
from ..turns import Turn
from .fault_catalog import ROUTES
from .fault_syntax import parse_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from ..backend.turn_context import TurnContext
    from .fault_queue import FaultQueue

__all__ = ["HEADER", "FaultMiddleware"]

HEADER = "x-simulator-fault"


class FaultMiddleware:
    """Wrap the simulator's application."""

    def __init__(self, app: ASGIApp, *, queue: FaultQueue, turn_context: Callable[..., TurnContext]) -> None:
        self._app = app
        self._queue = queue
        self._turn_context = turn_context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response of a fault, or call the application."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            turn = self._turn_of_header(headers.get(HEADER), scope["path"])
        except ValueError as error:
            await SimulatedResponse.json(400, {"detail": f"{HEADER}: {error}"})(scope, receive, send)
            return
        if scope["path"] == ROUTES["responses"]:
            scope["state"]["turn"] = turn
        elif (turn := turn or self._queue.take(scope["path"])) is not None:
            captured = await _capture(self._app, scope, receive) if turn.modifies_default else None
            context = self._turn_context(scope=scope, headers=headers, body={}, captured=captured)
            await turn.respond(context)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _turn_of_header(self, text: str | None, path: str) -> Turn | None:
        """Return the turn of the header, None when it is for another route or its count is used up."""
        if text is None:
            return None
        fault = parse_fault(text)
        if fault.path == ROUTES["handshake"]:
            raise ValueError("A TLS failure cannot be requested by a header, which is read after the handshake.")
        assert isinstance(fault.turn, Turn)
        if fault.has_explicit_route and fault.path != path:
            return None
        # Counted by path and text: a client that retries sends the same header again.
        return fault.turn if self._queue.count_use(f"{path} {text}", fault.count) else None


async def _capture(app: ASGIApp, scope: Scope, receive: Receive) -> CapturedResponse:
    """Run the application and return its response instead of sending it."""
    start: dict[str, Any] = {}
    body: list[bytes] = []

    async def capture(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.append(message.get("body", b""))

    await app(scope, receive, capture)
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"])
    return CapturedResponse(start["status"], headers, b"".join(body))
