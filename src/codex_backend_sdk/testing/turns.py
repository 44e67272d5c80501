"""Scripted answers: what the simulator says instead of answering by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeGuard

from .refused import Refused
from .replies.answers import custom_call, function_call, message
from .replies.sentences import sentence

if TYPE_CHECKING:
    from .backend.turn_context import TurnContext
    from .http.delivery import SimulatedResponse
    from .replies.answers import Item
    from .replies.reply_events import Event

__all__ = ["Given", "Turn", "as_turn"]


@dataclass(frozen=True, slots=True)
class Turn(Refused):
    """The answer to one `POST /responses`: what is said, and how it is delivered.

        Turn.text("one two three").throttled(1, 0.01).cut_after_bytes(500)

    The class methods make a turn; the methods of a turn give another one, which is delivered differently: first what
    was asked for first. The stream begins with two events of the backend's own (`codex.rate_limits`,
    `codex.response.metadata`) unless they are switched off. `cut_after=n` is short for `.cut_after_events(n)`.
    """

    @classmethod
    def text(cls, text: str, *, cut_after: int | None = None, usage: Mapping[str, Any] | None = None) -> Self:
        """Say this text."""
        return cls._of(lambda context: [message(text, context.ids)], cut_after=cut_after, usage=usage)

    @classmethod
    def call(
        cls,
        name: str,
        arguments: Mapping[str, Any] | str,
        *,
        call_id: str | None = None,
        namespace: str | None = None,
        cut_after: int | None = None,
    ) -> Self:
        """Call a function; arguments that are text are sent as they are, valid JSON or not."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return cls._of(
            lambda context: [function_call(name, text, context.ids, call_id=call_id, namespace=namespace)],
            cut_after=cut_after,
        )

    @classmethod
    def custom_call(cls, name: str, text: str, *, call_id: str | None = None, namespace: str | None = None) -> Self:
        """Call a custom tool with this input."""
        return cls._of(lambda context: [custom_call(name, text, context.ids, call_id=call_id, namespace=namespace)])

    @classmethod
    def items(
        cls, *items: Mapping[str, Any], cut_after: int | None = None, usage: Mapping[str, Any] | None = None
    ) -> Self:
        """Give these output items, of any type."""
        return cls._of(lambda context: [dict(item) for item in items], cut_after=cut_after, usage=usage)

    @classmethod
    def events(cls, events: Sequence[Mapping[str, Any] | bytes], *, cut_after: int | None = None) -> Self:
        """Send these events and nothing else; bytes are sent as they are, for what is no event at all."""
        sent: list[Event | bytes] = [e if isinstance(e, bytes) else dict(e) for e in events]
        return cls(lambda context: context.event_stream(sent))._cut(cut_after)

    @classmethod
    def failed(
        cls,
        code: str | None,
        message: str | None = None,
        *,
        text: str = "",
        error: Mapping[str, Any] | None = None,
    ) -> Self:
        """End with `response.failed`, after `text` if there is any; `error` has further members of the error.

        A code that is known has a sentence of its own. Without a code there is no error either.
        """
        said = None if code is None else {"code": code, "message": message or sentence(code), **(error or {})}
        return cls._ended(text, "failed", {"error": said, "usage": None})

    @classmethod
    def incomplete(cls, reason: str, *, text: str = "") -> Self:
        """End with `response.incomplete`, after `text` if there is any."""
        return cls._ended(text, "incomplete", {"incomplete_details": {"reason": reason}})

    @classmethod
    def error_event(cls, code: str, message: str | None = None, *, text: str = "") -> Self:
        """End with an `error` event, inside an answer of status 200."""

        def play(context: TurnContext) -> SimulatedResponse:
            *events, last = context.response_events(_said(text, context))
            error = {"type": code, "code": code, "message": message or sentence(code), "param": None}
            end: Event = {"type": "error", "sequence_number": last["sequence_number"], "error": error}
            return context.event_stream([*events, end])

        return cls(play)

    @classmethod
    def default(cls, *, cut_after: int | None = None) -> Self:
        """Answer as without a script, for instance to cut such an answer or to keep a place in a script."""
        return cls(lambda context: context.default_response(), is_own=True)._cut(cut_after)

    @classmethod
    def _of(
        cls,
        make: Callable[[TurnContext], list[Item]],
        *,
        cut_after: int | None = None,
        usage: Mapping[str, Any] | None = None,
    ) -> Self:
        final = None if usage is None else {"usage": dict(usage)}
        return cls(lambda context: context.event_stream(context.response_events(make(context), final=final)))._cut(
            cut_after
        )

    @classmethod
    def _ended(cls, text: str, ending: str, final: Mapping[str, Any]) -> Self:
        return cls(
            lambda context: context.event_stream(
                context.response_events(_said(text, context), ending=ending, final=final)
            )
        )

    def _cut(self, after: int | None) -> Self:
        return self if after is None else self.cut_after_events(after)


def _said(text: str, context: TurnContext) -> list[Item]:
    return [message(text, context.ids)] if text else []


# What a script is made of.
Given = Turn | str | Sequence[Mapping[str, Any] | bytes]


def as_turn(given: Given) -> Turn:
    """Read what `Simulator.script` accepts: a turn, a text to say, or a list of events to send."""
    if isinstance(given, Turn):
        return given
    if isinstance(given, str):
        return Turn.text(given)
    if _are_events(given):
        return Turn.events(given)
    raise TypeError(f"script() takes Turns, texts to say and lists of events (dictionaries), not {given!r:.80}")


def _are_events(given: object) -> TypeGuard[Sequence[Mapping[str, Any] | bytes]]:
    return isinstance(given, Sequence) and all(isinstance(event, (Mapping, bytes)) for event in given)
