"""What a turn of the simulator can use to build its response.

A turn is a function from a `TurnContext` to a `SimulatedResponse`. The context knows the request, the account's limits
and the present time, and it builds complete event streams, so that a turn states only what differs from the default.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..http.delivery import SimulatedResponse, as_chunks
from ..replies.default_reply import default_items
from ..replies.reply_events import build_events, encode_sse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ..http.delivery import Headers
    from ..id_generator import IdGenerator
    from ..parsed_request import ParsedRequest
    from ..replies.reply_events import Event, Item
    from .simulated_limits import AccountLimits

__all__ = ["CapturedResponse", "Responder", "TurnContext"]


@dataclass(frozen=True, slots=True)
class CapturedResponse:
    """The simulator's default response to a request on another route than the model route."""

    status: int
    headers: Headers
    body: bytes

    def response(self) -> SimulatedResponse:
        """Return it as a response to send."""
        return SimulatedResponse(status=self.status, headers=self.headers, chunks=as_chunks([self.body]))

    def json(self) -> Any:
        """Parse the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """One valid request, and what is needed to respond to it.

    `captured` is the default response of another route than the model route, for a turn that changes it.
    """

    request: ParsedRequest
    ids: IdGenerator
    account_limits: AccountLimits
    now: datetime
    request_id: str
    path: str
    port: int
    captured: CapturedResponse | None = None

    def default_response(self) -> SimulatedResponse:
        """Return the response without a scripted turn; raise `UnsupportedSchemaError` for an unsupported JSON schema."""
        if self.captured is not None:
            return self.captured.response()
        return self.event_stream(self.response_events(default_items(self.request, self.ids)))

    def response_events(
        self,
        items: Sequence[Item],
        *,
        ending: str = "completed",
        final: Mapping[str, Any] | None = None,
    ) -> list[Event]:
        """Return the complete stream for these output items; `ending` and `final` are those of `build_events`."""
        events = build_events(
            self.request,
            items,
            response_id=self.ids.new("resp"),
            created_at=int(self.now.timestamp()),
            ending=ending,
            final=final,
        )
        return [*self._codex_events(), *events]

    def event_stream(self, events: Sequence[Event | bytes]) -> SimulatedResponse:
        """Return a response that streams the events, one chunk each; bytes are sent unchanged."""
        chunks = [event if isinstance(event, bytes) else encode_sse(event) for event in events]
        return SimulatedResponse(status=200, headers=self.stream_headers(), chunks=as_chunks(chunks))

    def stream_headers(self) -> Headers:
        """Return the headers of a stream. Codex CLI: codex-api/src/sse/responses.rs."""
        headers = [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-cache"),
            ("x-request-id", self.request_id),
            ("x-models-etag", self.request.model_catalog.etag),
            ("openai-model", self.request.model),
            *self.account_limits.limits.headers(self.now),
        ]
        # The backend sends the turn state once; the client returns it with the further requests of the turn.
        if "x-codex-turn-state" not in self.request.headers:
            headers.append(("x-codex-turn-state", self.ids.new("turn")))
        return tuple(headers)

    def _codex_events(self) -> list[Event]:
        """Return the two events of the Codex backend that precede those of the Responses API."""
        names = ("x-models-etag", "openai-model", "x-request-id")
        headers = {name: value for name, value in self.stream_headers() if name in names}
        return [
            self.account_limits.limits.event(self.request.account, self.now),
            {"type": "codex.response.metadata", "request_id": self.request_id, "headers": headers},
        ]


class Responder(Protocol):
    """What the backend needs of a turn. Turns are built on this module, so it cannot import them."""

    def respond(self, context: TurnContext) -> SimulatedResponse:
        """Return the response to the request of the context."""
        ...
