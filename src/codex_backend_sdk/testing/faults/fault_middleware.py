"""Apply faults to responses, in an ASGI middleware. A fault comes from the fault queue or from a header of the request.

The header `x-simulator-fault` has precedence over the queue. The middleware does not apply faults to model requests
(`POST /responses`) and upgrade requests (`GET /responses`): the backend validates them first, because a rejected
request must not use up a scripted turn. For these, the middleware stores the fault of the header in the scope's state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..backend.turn_context import RouteResponse
from ..http.delivery import SimulatedResponse
from ..http.request_summary import summarize_response
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
    """ASGI middleware that sends the response of a fault, or else calls the simulator's application."""

    def __init__(self, app: ASGIApp, *, queue: FaultQueue, turn_context: Callable[..., TurnContext]) -> None:
        self._app = app
        self._queue = queue
        self._turn_context = turn_context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response of a fault, or call the application."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"]
        if path == ROUTES["responses"] and scope["method"] == "GET":
            path = ROUTES["websocket"]
        try:
            turn = self._header_fault(headers.get(HEADER), path)
        except ValueError as error:
            await SimulatedResponse.json(400, {"detail": f"{HEADER}: {error}"})(scope, receive, send)
            return
        if scope["path"] == ROUTES["responses"]:
            scope["state"]["turn"] = turn
        elif (turn := turn or self._queue.next_turn(path)) is not None:
            route_response = await _call_app(self._app, scope, receive) if turn.modifies_default else None
            context = self._turn_context(scope=scope, headers=headers, body={}, route_response=route_response)
            response = turn.respond(context)
            scope["state"]["response"] = summarize_response(response)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _header_fault(self, text: str | None, path: str) -> Turn | None:
        """Return the turn that the header selects, or None if it names another route or its count is used up."""
        if text is None:
            return None
        fault = parse_fault(text)
        if fault.path == ROUTES["handshake"]:
            raise ValueError(
                "A header cannot select a TLS failure, because it is sent after the handshake. "
                "Use Simulator.fail() or --fail."
            )
        assert isinstance(fault.turn, Turn)
        if fault.has_explicit_route and fault.path != path:
            return None
        # A client that retries sends the same header again, so the uses are counted by path and header.
        return fault.turn if self._queue.count_header_use(path, text, limit=fault.count) else None


async def _call_app(app: ASGIApp, scope: Scope, receive: Receive) -> RouteResponse:
    """Run the application and return its response instead of sending it."""
    start: dict[str, Any] = {}
    body: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.append(message.get("body", b""))

    await app(scope, receive, send)
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"])
    return RouteResponse(start["status"], headers, b"".join(body))
