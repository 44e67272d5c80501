"""Scripted responses of the simulator: `Turn`, and the texts and event lists that stand for one.

A turn is a function from the context of a request to a response. It is built from three parts:

- `Turn` (here): the contents of an event stream,
- `ErrorTurns` (`turn_errors`): HTTP errors and other responses without an event stream,
- `DeliveryModifiers` (`turn_delivery`): methods that derive a turn which is slow, cut, damaged or compressed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeGuard

from .replies.messages import error_message
from .replies.reply_events import custom_tool_call, function_call, message
from .turn_delivery import DeliveryModifiers
from .turn_errors import ErrorTurns

if TYPE_CHECKING:
    from .backend.turn_context import TurnContext
    from .http.delivery import SimulatedResponse
    from .replies.reply_events import Event, Item

__all__ = ["Turn", "TurnLike", "as_turn"]


class Turn(ErrorTurns, DeliveryModifiers):
    """The response to one `POST /responses`: its contents and its delivery.

        Turn.text("one two three").throttled(1, 0.01).cut_after_bytes(500)

    The class methods make a turn. The other methods return a new turn that is delivered differently; they apply in the
    order of the calls. The stream begins with two events of the Codex backend, `codex.rate_limits` and
    `codex.response.metadata`.
    """

    __slots__ = ()

    @classmethod
    def text(cls, text: str, *, usage: Mapping[str, Any] | None = None) -> Self:
        """Reply with this text; `usage` replaces the estimated token counts."""
        return cls._reply(lambda context: [message(text, context.ids)], usage=usage)

    @classmethod
    def call(
        cls,
        name: str,
        arguments: Mapping[str, Any] | str,
        *,
        call_id: str | None = None,
        namespace: str | None = None,
    ) -> Self:
        """Call a function. Arguments given as text are sent unchanged, whether they are valid JSON or not."""
        text = _as_json(arguments)
        return cls._reply(
            lambda context: [function_call(name, text, context.ids, call_id=call_id, namespace=namespace)]
        )

    @classmethod
    def calls(cls, calls: Sequence[tuple[str, Mapping[str, Any] | str]]) -> Self:
        """Call several functions in parallel, each given as (name, arguments).

        Turn.calls([("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})])
        """
        pairs = [(name, _as_json(arguments)) for name, arguments in calls]
        return cls._reply(lambda context: [function_call(name, text, context.ids) for name, text in pairs])

    @classmethod
    def custom_call(cls, name: str, text: str, *, call_id: str | None = None, namespace: str | None = None) -> Self:
        """Call a custom tool with this input."""
        return cls._reply(
            lambda context: [custom_tool_call(name, text, context.ids, call_id=call_id, namespace=namespace)]
        )

    @classmethod
    def items(cls, *items: Mapping[str, Any], usage: Mapping[str, Any] | None = None) -> Self:
        """Reply with these output items, of any type."""
        return cls._reply(lambda context: [dict(item) for item in items], usage=usage)

    @classmethod
    def events(cls, events: Sequence[Mapping[str, Any] | bytes]) -> Self:
        """Send these events and nothing else; bytes are sent unchanged, to send what is not a valid event."""
        sent: list[Event | bytes] = [event if isinstance(event, bytes) else dict(event) for event in events]
        return cls(lambda context: context.event_stream(sent))

    @classmethod
    def failed(
        cls,
        code: str | None,
        message: str | None = None,
        *,
        text: str = "",
        error: Mapping[str, Any] | None = None,
    ) -> Self:
        """End with `response.failed`, after `text`; `error` has further members of the error object.

        Without a `message` the backend's own message for the code is sent. With the code None the error is null.
        """
        sent = None if code is None else {"code": code, "message": message or error_message(code), **(error or {})}
        return cls._reply(_optional_message(text), ending="failed", final={"error": sent, "usage": None})

    @classmethod
    def incomplete(cls, reason: str, *, text: str = "") -> Self:
        """End with `response.incomplete`, after `text`."""
        return cls._reply(
            _optional_message(text), ending="incomplete", final={"incomplete_details": {"reason": reason}}
        )

    @classmethod
    def error_event(cls, code: str, message: str | None = None, *, text: str = "") -> Self:
        """End with an `error` event in a response of status 200, after `text`."""
        make_items = _optional_message(text)

        def respond(context: TurnContext) -> SimulatedResponse:
            *events, terminal = context.response_events(make_items(context))
            error = {"type": code, "code": code, "message": message or error_message(code), "param": None}
            end: Event = {"type": "error", "sequence_number": terminal["sequence_number"], "error": error}
            return context.event_stream([*events, end])

        return cls(respond)

    @classmethod
    def default(cls) -> Self:
        """Respond as without a script: to modify the default response, or to skip a place in a script."""
        return cls(lambda context: context.default_response(), modifies_default=True)

    @classmethod
    def _reply(
        cls,
        make_items: Callable[[TurnContext], list[Item]],
        *,
        ending: str = "completed",
        final: Mapping[str, Any] | None = None,
        usage: Mapping[str, Any] | None = None,
    ) -> Self:
        """Stream these items; `final` and `usage` replace members of the terminal event's response."""
        members = {**(final or {}), **({} if usage is None else {"usage": dict(usage)})}

        def respond(context: TurnContext) -> SimulatedResponse:
            return context.event_stream(context.response_events(make_items(context), ending=ending, final=members))

        return cls(respond)


def _as_json(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _optional_message(text: str) -> Callable[[TurnContext], list[Item]]:
    return lambda context: [message(text, context.ids)] if text else []


# `Simulator.script` takes a turn, a text to reply with, or a list of events to send.
TurnLike = Turn | str | Sequence[Mapping[str, Any] | bytes]


def as_turn(value: TurnLike) -> Turn:
    """Return the turn that a value given to `Simulator.script` stands for."""
    if isinstance(value, Turn):
        return value
    if isinstance(value, str):
        return Turn.text(value)
    if _is_event_list(value):
        return Turn.events(value)
    raise TypeError(f"script() takes Turns, texts and lists of events (dictionaries or bytes), not {value!r:.80}.")


def _is_event_list(value: object) -> TypeGuard[Sequence[Mapping[str, Any] | bytes]]:
    # Bytes are a sequence too, but of integers.
    return isinstance(value, Sequence) and all(isinstance(event, (Mapping, bytes)) for event in value)
