"""Event data → the final response; knows a finished answer from a cut one.

The backend ends an answer with `response.completed` whose `output` is empty, so the output is rebuilt here from the
`response.output_item.done` events. What had not been finished when an answer is cut is rebuilt from its deltas.
Codex CLI: codex-api/src/sse/responses.rs.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["TERMINAL", "Collector"]

# The events that end an answer. `error` ends it too, without a response.
TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
_FAILURES: Final = frozenset({"response.failed", "error"})
_LIFECYCLE: Final = frozenset({"response.created", "response.queued", "response.in_progress"})

# Members that the official types demand and the backend leaves out at times.
_USAGE_DETAILS: Final = {
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}


class Collector:
    """Gather one answer, event by event.

    `ended_by` is the type of the terminal event, or None while there was none.
    `failure` is the error object of a failed answer: `{"code": …, "message": …}` as far as the backend gave it.
    """

    def __init__(self, *, dropped: tuple[str, ...] = ()) -> None:
        self.ended_by: str | None = None
        self.failure: dict[str, Any] | None = None
        self._dropped = dropped
        self._response: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._texts: dict[tuple[int, int], list[str]] = {}

    def take(self, payload: dict[str, Any]) -> None:
        """Note one decoded event; a terminal one is repaired in place, so that it can be handed on as it should be."""
        kind = payload.get("type")
        if kind in ("response.output_item.added", "response.output_item.done"):
            self._take_item(payload.get("output_index"), payload.get("item"))
        elif kind == "response.output_text.delta":
            self.take_text(payload.get("output_index"), payload.get("content_index"), payload.get("delta"))
        elif kind in _LIFECYCLE and isinstance(payload.get("response"), dict):
            self._response = payload["response"]
        elif kind in TERMINAL and self.ended_by is None:
            self._end(str(kind), payload)

    def _take_item(self, index: Any, item: Any) -> None:
        if isinstance(item, dict):  # an event may come without its item, which then is none
            self._items[index if isinstance(index, int) else len(self._items)] = item

    def take_text(self, output_index: Any, content_index: Any, delta: Any) -> None:
        """Note a piece of text: it is needed only if the answer is cut before the item that holds it is done."""
        if isinstance(delta, str):
            self._texts.setdefault((output_index, content_index), []).append(delta)

    @property
    def response(self) -> dict[str, Any]:
        """The final response, complete with its output."""
        return self._response

    @property
    def partial(self) -> dict[str, Any] | None:
        """What has arrived of an answer that did not end well, in the form of a response, or None if nothing has."""
        if not self._response and not self._items:
            return None
        status = "failed" if self.failure is not None else "in_progress"
        return {**self._response, "status": status, "output": self._output(unfinished=True)}

    def _end(self, kind: str, payload: dict[str, Any]) -> None:
        self.ended_by = kind
        response = payload.get("response")
        if kind in _FAILURES:
            source = response if isinstance(response, dict) else payload
            error = source.get("error")
            self.failure = error if isinstance(error, dict) else {k: v for k, v in payload.items() if k != "response"}
        if isinstance(response, dict):
            self._repair(response, status=kind.removeprefix("response."))
            self._response = response

    def _repair(self, response: dict[str, Any], *, status: str) -> None:
        """Fill in what the terminal event leaves out: the output, the status, and members known from the beginning."""
        for name, value in self._response.items():
            response.setdefault(name, value)
        if response.get("status") in (None, "in_progress", "queued"):
            response["status"] = status
        if not response.get("output"):
            response["output"] = self._output(unfinished=False)
        usage = response.get("usage")
        if isinstance(usage, dict):
            for name, details in _USAGE_DETAILS.items():
                usage[name] = {**details, **(usage.get(name) or {})}
        if self._dropped:
            response["dropped_parameters"] = list(self._dropped)

    def _output(self, *, unfinished: bool) -> list[Any]:
        items = [self._items[index] for index in sorted(self._items)]
        if not unfinished:
            return items
        return [self._with_text(index) for index in sorted(self._items)]

    def _with_text(self, index: int) -> Any:
        item = self._items[index]
        if item.get("type") != "message" or item.get("content"):
            return item
        parts = sorted((content, "".join(text)) for (output, content), text in self._texts.items() if output == index)
        content = [{"type": "output_text", "text": text, "annotations": []} for _, text in parts]
        return {**item, "content": content}
