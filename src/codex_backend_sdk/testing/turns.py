"""Define `Turn`, a scripted response of the simulator, and its shorthands: a string or a list of events.

A turn is a function that takes the context of a request and returns a response. Three classes define its methods:

- `Turn` (here) has the class methods that return event streams.
- `ErrorTurns` (`turn_errors`) has the class methods that return HTTP errors and other responses without an event
  stream.
- `DeliveryModifiers` (`turn_delivery`) has the methods that make a turn slow, incomplete, invalid or compressed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeGuard

from .replies.messages import default_message
from .replies.reply_events import (
    Source,
    cited_message,
    custom_tool_call,
    function_call,
    image_generation_call,
    message,
    web_search_call,
)
from .replies.reply_events import reasoning as reasoning_item
from .turn_delivery import DeliveryModifiers
from .turn_errors import ErrorTurns

if TYPE_CHECKING:
    from .backend.turn_context import TurnContext
    from .http.delivery import SimulatedResponse
    from .replies.reply_events import Event, Item

__all__ = ["Turn", "TurnLike", "as_turn"]


class Turn(ErrorTurns, DeliveryModifiers):
    """A scripted response to one `POST /responses`: its contents and its delivery.

        Turn.text("one two three").throttled(1, 0.01).cut_after_bytes(500)

    The class methods create a turn. The other methods return a new turn with another delivery and apply in the order of
    the calls. A stream begins with two events of the Codex backend, `codex.rate_limits` and `codex.response.metadata`.
    """

    __slots__ = ()

    @classmethod
    def text(cls, text: str, *, reasoning: str | None = None, usage: Mapping[str, Any] | None = None) -> Self:
        """Return a turn that replies with this text.

        `reasoning` is the reasoning summary that precedes the text. `usage` replaces the estimated token counts.
        """
        summaries = [] if reasoning is None else [reasoning]
        return cls._reply(
            lambda context: [
                *(reasoning_item([summary], context.ids) for summary in summaries),
                message(text, context.ids),
            ],
            usage=usage,
        )

    @classmethod
    def web_search(cls, query: str, text: str, sources: Mapping[str, str]) -> Self:
        """Return a turn that searches the web and replies with a text that cites sources.

        `sources` are URLs and the titles of their pages. A link to each source is added at the end of the text, and
        the message has a `url_citation` for it.

            Turn.web_search("tides", "The Moon causes them.", {"https://example.com/tides": "Tides"})
        """
        pages = [Source(url, title) for url, title in sources.items()]
        parts = [text, *(part for page in pages for part in (" ", page))]
        return cls._reply(lambda context: [web_search_call(query, context.ids), cited_message(parts, context.ids)])

    @classmethod
    def image(cls, prompt: str, text: str = "") -> Self:
        """Return a turn that generates a small PNG image, whose color depends on the prompt, and replies with `text`.

        If the image generation tool of the request has `partial_images`, the stream contains as many previews.
        """
        make_message = _optional_message(text)
        return cls._reply(lambda context: [image_generation_call(prompt, context.ids), *make_message(context)])

    @classmethod
    def call(
        cls,
        name: str,
        arguments: Mapping[str, Any] | str,
        *,
        call_id: str | None = None,
        namespace: str | None = None,
    ) -> Self:
        """Return a turn that calls a function. If `arguments` is a string, it is sent as is, even if it is not JSON."""
        json_text = _as_json(arguments)
        return cls._reply(
            lambda context: [function_call(name, json_text, context.ids, call_id=call_id, namespace=namespace)]
        )

    @classmethod
    def calls(cls, calls: Sequence[tuple[str, Mapping[str, Any] | str]]) -> Self:
        """Return a turn that calls several functions in parallel. A call is a pair of name and arguments.

        Turn.calls([("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})])
        """
        encoded_calls = [(name, _as_json(arguments)) for name, arguments in calls]
        return cls._reply(
            lambda context: [function_call(name, json_text, context.ids) for name, json_text in encoded_calls]
        )

    @classmethod
    def custom_call(cls, name: str, text: str, *, call_id: str | None = None, namespace: str | None = None) -> Self:
        """Return a turn that calls a custom tool with the input `text`."""
        return cls._reply(
            lambda context: [custom_tool_call(name, text, context.ids, call_id=call_id, namespace=namespace)]
        )

    @classmethod
    def items(cls, *items: Mapping[str, Any], usage: Mapping[str, Any] | None = None) -> Self:
        """Return a turn that replies with these output items. They may have any type."""
        return cls._reply(lambda context: [dict(item) for item in items], usage=usage)

    @classmethod
    def events(cls, events: Sequence[Mapping[str, Any] | bytes]) -> Self:
        """Return a turn that sends only these events. Bytes are sent as is, for malformed events."""
        copied_events: list[Event | bytes] = [event if isinstance(event, bytes) else dict(event) for event in events]
        return cls(lambda context: context.event_stream(copied_events))

    @classmethod
    def failed(
        cls,
        code: str | None,
        message: str | None = None,
        *,
        text: str = "",
        error: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return a turn that streams `text` and then `response.failed`. `error` adds members to the error object.

        `message` defaults to the backend's message for the code. If `code` is None, the error is null.
        """
        error_object = (
            None if code is None else {"code": code, "message": message or default_message(code), **(error or {})}
        )
        return cls._reply(
            _optional_message(text), final_status="failed", final_members={"error": error_object, "usage": None}
        )

    @classmethod
    def incomplete(cls, reason: str, *, text: str = "") -> Self:
        """Return a turn that streams `text` and then `response.incomplete`."""
        return cls._reply(
            _optional_message(text),
            final_status="incomplete",
            final_members={"incomplete_details": {"reason": reason}},
        )

    @classmethod
    def error_event(cls, code: str, message: str | None = None, *, text: str = "") -> Self:
        """Return a turn that streams `text` and then an `error` event. The HTTP status is 200."""
        make_items = _optional_message(text)

        def respond(context: TurnContext) -> SimulatedResponse:
            *events, terminal_event = context.response_events(make_items(context))
            error = {"type": code, "code": code, "message": message or default_message(code), "param": None}
            error_event = {"type": "error", "sequence_number": terminal_event["sequence_number"], "error": error}
            return context.event_stream([*events, error_event])

        return cls(respond)

    @classmethod
    def default(cls) -> Self:
        """Return a turn that sends the default response. Use it to modify that response, or as an entry of a script."""
        return cls(lambda context: context.default_response(), modifies_default=True)

    @classmethod
    def _reply(
        cls,
        make_items: Callable[[TurnContext], list[Item]],
        *,
        final_status: str = "completed",
        final_members: Mapping[str, Any] | None = None,
        usage: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return a turn that streams these items. `final_members` and `usage` change the terminal event's response."""
        replaced_members = {**(final_members or {}), **({} if usage is None else {"usage": dict(usage)})}

        def respond(context: TurnContext) -> SimulatedResponse:
            return context.event_stream(
                context.response_events(make_items(context), final_status=final_status, final_members=replaced_members)
            )

        return cls(respond)


def _as_json(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _optional_message(text: str) -> Callable[[TurnContext], list[Item]]:
    return lambda context: [message(text, context.ids)] if text else []


# An argument of `Simulator.script`: a turn, a text to reply with, or a list of events to send.
TurnLike = Turn | str | Sequence[Mapping[str, Any] | bytes]


def as_turn(value: TurnLike) -> Turn:
    """Convert an argument of `Simulator.script` to a turn. Raises `TypeError` if it has another type."""
    if isinstance(value, Turn):
        return value
    if isinstance(value, str):
        return Turn.text(value)
    if _is_event_list(value):
        return Turn.events(value)
    raise TypeError(
        f"Invalid argument of script(): {value!r:.80}. Pass Turns, strings or lists of events (dictionaries or bytes)."
    )


def _is_event_list(value: object) -> TypeGuard[Sequence[Mapping[str, Any] | bytes]]:
    # `bytes` is also a sequence, but its elements are integers.
    return isinstance(value, Sequence) and all(isinstance(event, (Mapping, bytes)) for event in value)
