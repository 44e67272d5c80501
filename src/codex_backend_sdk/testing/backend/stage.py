"""What a turn has at hand when its answer is made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..http.delivery import Answer, each
from ..replies.answers import answer
from ..replies.reply_events import as_sse, told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ..http.delivery import Headers
    from ..issuer.token_mint import Ids
    from ..replies.answers import Item
    from ..replies.reply_events import Event
    from .asked import Asked
    from .meter import Meter

__all__ = ["Captured", "Stage"]


@dataclass(frozen=True, slots=True)
class Captured:
    """What the simulator would have answered by itself to a request other than one for a model answer."""

    status: int
    headers: Headers
    body: bytes

    def answer(self) -> Answer:
        """Return it as an answer."""
        return Answer(status=self.status, headers=self.headers, chunks=each([self.body]))

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One accepted request, and what is needed to answer it.

    `preamble` says whether the stream begins with the backend's own two events, before `response.created`. `captured`
    is there for a request of another kind, if the turn that answers it wants to change the simulator's own answer.
    """

    asked: Asked
    ids: Ids
    meter: Meter
    now: datetime
    request_id: str
    preamble: bool
    path: str
    port: int
    captured: Captured | None = None

    def own(self) -> Answer:
        """Return what the simulator answers by itself; `schema.NoInstance` is raised as by `answers.answer`."""
        if self.captured is not None:
            return self.captured.answer()
        return self.send(self.events(answer(self.asked, self.ids)))

    def events(
        self,
        items: Sequence[Item],
        *,
        ending: str = "completed",
        final: Mapping[str, Any] | None = None,
    ) -> list[Event]:
        """Return the whole stream for these output items."""
        stream = told(
            self.asked,
            items,
            response_id=self.ids.new("resp"),
            created_at=int(self.now.timestamp()),
            ending=ending,
            final=final,
        )
        return [*self._before(), *stream]

    def send(self, events: Sequence[Event | bytes]) -> Answer:
        """Return the answer that streams the events; bytes are sent as they are."""
        chunks = [event if isinstance(event, bytes) else as_sse(event) for event in events]
        return Answer(status=200, headers=self.headers(), chunks=each(chunks))

    def headers(self) -> Headers:
        """Return the headers of a stream. Codex CLI: codex-api/src/sse/responses.rs."""
        found = [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-cache"),
            ("x-request-id", self.request_id),
            ("x-models-etag", self.asked.catalogue.etag),
            ("openai-model", self.asked.model),
            *self.meter.limits.headers(self.now),
        ]
        if "x-codex-turn-state" not in self.asked.headers:
            found.append(("x-codex-turn-state", self.ids.new("turn")))
        return tuple(found)

    def _before(self) -> list[Event]:
        if not self.preamble:
            return []
        wanted = ("x-models-etag", "openai-model", "x-request-id")
        headers = {name: value for name, value in self.headers() if name in wanted}
        return [
            self.meter.limits.event(self.asked.account, self.now),
            {"type": "codex.response.metadata", "request_id": self.request_id, "headers": headers},
        ]
