"""Provide the context from which a turn (a scripted response) creates its response.

A turn is a function that takes a `TurnContext` and returns a `SimulatedResponse`. The context contains the request, the
account's limits and the current time. Its methods build complete event streams, so that a turn specifies only its
differences from the default response.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..http.delivery import SimulatedResponse
from ..replies.default_reply import default_items
from ..replies.messages import default_message
from ..replies.reply_events import build_events
from ..replies.simulated_cache import measure_prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ..http.delivery import Headers
    from ..id_generator import IdGenerator
    from ..parsed_request import ParsedRequest
    from ..replies.reply_events import Event, Item
    from ..replies.simulated_cache import MeasuredPrompt, PromptCache
    from .simulated_limits import AccountLimits, ExhaustedLimit

__all__ = ["Responder", "RouteResponse", "TurnContext"]


@dataclass(frozen=True, slots=True)
class RouteResponse:
    """The complete response of a route's own handler, for a turn that modifies it."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """The input of a turn: the request, the account's limits, the current time, and the source of identifiers.

    `route_response` is the response of the route's own handler. It is set on routes other than the model route, for a
    turn that modifies this response. `is_websocket` is true if the request is a message on a WebSocket. `prompt` is the
    measured prompt of a model request, or None if it is not measured yet.
    """

    request: ParsedRequest
    ids: IdGenerator
    account_limits: AccountLimits
    prompt_cache: PromptCache
    now: datetime
    request_id: str
    path: str
    port: int
    route_response: RouteResponse | None = None
    is_websocket: bool = False
    prompt: MeasuredPrompt | None = None

    def default_response(self) -> SimulatedResponse:
        """Return the response that is sent if no turn is scripted.

        Raises `UnsupportedSchemaError` if no value can be generated for a JSON schema of the request.
        """
        if self.route_response is not None:
            return SimulatedResponse(
                status=self.route_response.status,
                headers=self.route_response.headers,
                chunks=[self.route_response.body],
            )
        return self.event_stream(self.response_events(default_items(self.request, self.ids)))

    def prewarm_response(self) -> SimulatedResponse:
        """Return the response to a prewarm: it has no output, and a later request can continue it."""
        return self.event_stream([*self._codex_events(), *self._events(())])

    def overflow_response(self) -> SimulatedResponse:
        """Return `response.failed` with `context_length_exceeded`, in a stream of status 200, as the backend does."""
        error = {"code": "context_length_exceeded", "message": default_message("context_length_exceeded")}
        failed = {"error": error, "usage": None}
        return self.event_stream(self.response_events((), final_status="failed", final_members=failed))

    def limit_response(self, exhausted: ExhaustedLimit) -> SimulatedResponse:
        """Return 429 `usage_limit_reached` for a request that the backend rejects because of this limit."""
        window, additional = exhausted.window, exhausted.additional
        resets_at = window.next_reset(self.now) if window.resets_at is None else int(window.resets_at.timestamp())
        timestamp = resets_at if exhausted.has_reset else None
        limit_id = "codex" if additional is None else additional.id
        prefix = f"x-{limit_id.replace('_', '-')}"
        headers = {
            "x-codex-active-limit": limit_id,
            f"{prefix}-primary-used-percent": "100.0",
            f"{prefix}-primary-window-minutes": str(window.minutes),
            f"{prefix}-primary-reset-at": None if timestamp is None else str(timestamp),
            f"{prefix}-limit-name": None if additional is None else additional.name,
            "x-codex-rate-limit-reached-type": exhausted.reached_type,
            "x-codex-promo-message": exhausted.promo,
        }
        error = {
            "type": "usage_limit_reached",
            "message": default_message("usage_limit_reached"),
            "plan_type": exhausted.plan or self.request.account.plan,
            "resets_at": timestamp,
            "resets_in_seconds": None if timestamp is None else timestamp - int(self.now.timestamp()),
            "limit_window_minutes": window.minutes,
            "eligible_promo": None,
        }
        header_pairs = tuple((name, value) for name, value in headers.items() if value is not None)
        return SimulatedResponse.json(429, {"error": error}, header_pairs)

    def response_events(
        self,
        items: Sequence[Item],
        *,
        final_status: str = "completed",
        final_members: Mapping[str, Any] | None = None,
    ) -> list[Event]:
        """Return all events of a stream with these output items.

        `final_status` is the status of the response in the terminal event, and the suffix of that event's type.
        `final_members` replaces members of this response.
        """
        self.account_limits.count_request(self.now)
        events = self._events(items, final_status=final_status, final_members=final_members)
        return [*self._codex_events(), *self._turn_state_event(), *events]

    def _events(
        self, items: Sequence[Item], *, final_status: str = "completed", final_members: Mapping[str, Any] | None = None
    ) -> list[Event]:
        return build_events(
            self.request,
            items,
            response_id=self.ids.new("resp"),
            created_at=int(self.now.timestamp()),
            input_tokens=self.prompt_cache.add(self.prompt or measure_prompt(self.request)),
            final_status=final_status,
            final_members=final_members,
        )

    def event_stream(self, events: Sequence[Event | bytes]) -> SimulatedResponse:
        """Return a response that streams the events, one per chunk. Bytes are sent as is."""
        return SimulatedResponse(status=200, headers=self._stream_headers(), chunks=events)

    def _stream_headers(self) -> Headers:
        """Return the headers of a stream (Codex CLI: codex-api/src/sse/responses.rs)."""
        headers = [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-cache"),
            ("x-request-id", self.request_id),
            ("x-models-etag", self.request.model_catalog.etag),
            ("openai-model", self.request.model),
            *self.account_limits.current.headers(self.now),
        ]
        if not self.is_websocket:
            headers += self._turn_state()
        return tuple(headers)

    def _turn_state(self) -> Headers:
        # A turn of the Codex CLI may consist of several requests. The backend sends the turn state with the first
        # response, and the client returns it with the other requests of this turn.
        if "x-codex-turn-state" in self.request.headers:
            return ()
        return (("x-codex-turn-state", self.ids.new("turn")),)

    def _turn_state_event(self) -> list[Event]:
        """Return the event with the turn state. Over HTTP, a header has it."""
        state = dict(self._turn_state()) if self.is_websocket else {}
        return [{"type": "response.metadata", "headers": state, "metadata": {}}] if state else []

    def _codex_events(self) -> list[Event]:
        """Return the two events of the Codex backend that precede those of the Responses API."""
        names = ("x-models-etag", "openai-model", "x-request-id")
        headers = {name: value for name, value in self._stream_headers() if name in names}
        return [
            self.account_limits.current.event(self.request.account, self.now),
            {"type": "codex.response.metadata", "request_id": self.request_id, "headers": headers},
        ]


class Responder(Protocol):
    """The protocol of a turn. It is defined here because the module of `Turn` imports this one."""

    def respond(self, context: TurnContext) -> SimulatedResponse:
        """Return the response to the request of the context."""
        ...
