"""Scripted answers: what the simulator says instead of answering by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .answers import answer, custom_call, function_call, message
from .delivery import Answer, each

if TYPE_CHECKING:
    from .answers import Item
    from .delivery import Ending
    from .events import Event
    from .stage import Stage

__all__ = ["Turn", "as_turn"]


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer to one `POST /responses`; make one with the class methods.

    `cut_after=n` sends the first n events of the stream and then cuts the connection. The stream begins with two
    events of the backend's own (`codex.rate_limits`, `codex.response.metadata`) unless they are switched off.
    """

    play: Callable[[Stage], Answer]

    @classmethod
    def text(cls, text: str, *, cut_after: int | None = None, usage: Mapping[str, Any] | None = None) -> Turn:
        """Say this text."""
        return cls._of(lambda stage: [message(text, stage.ids)], cut_after=cut_after, usage=usage)

    @classmethod
    def call(
        cls,
        name: str,
        arguments: Mapping[str, Any] | str,
        *,
        call_id: str | None = None,
        namespace: str | None = None,
        cut_after: int | None = None,
    ) -> Turn:
        """Call a function; arguments that are text are sent as they are, valid JSON or not."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return cls._of(
            lambda stage: [function_call(name, text, stage.ids, call_id=call_id, namespace=namespace)],
            cut_after=cut_after,
        )

    @classmethod
    def custom_call(cls, name: str, text: str, *, call_id: str | None = None, namespace: str | None = None) -> Turn:
        """Call a custom tool with this input."""
        return cls._of(lambda stage: [custom_call(name, text, stage.ids, call_id=call_id, namespace=namespace)])

    @classmethod
    def items(
        cls, *items: Mapping[str, Any], cut_after: int | None = None, usage: Mapping[str, Any] | None = None
    ) -> Turn:
        """Give these output items, of any type."""
        return cls._of(lambda stage: [dict(item) for item in items], cut_after=cut_after, usage=usage)

    @classmethod
    def events(cls, events: Sequence[Mapping[str, Any] | bytes], *, cut_after: int | None = None) -> Turn:
        """Send these events and nothing else; bytes are sent as they are, for what is no event at all."""
        sent: list[Event | bytes] = [e if isinstance(e, bytes) else dict(e) for e in events]
        return cls(lambda stage: stage.send(sent, cut_after=cut_after))

    @classmethod
    def failed(cls, code: str, message: str, *, text: str = "", error: Mapping[str, Any] | None = None) -> Turn:
        """End with `response.failed`, after `text` if there is any; `error` has further members of the error."""
        final = {"error": {"code": code, "message": message, **(error or {})}, "usage": None}
        return cls._ended(text, "failed", final)

    @classmethod
    def incomplete(cls, reason: str, *, text: str = "") -> Turn:
        """End with `response.incomplete`, after `text` if there is any."""
        return cls._ended(text, "incomplete", {"incomplete_details": {"reason": reason}})

    @classmethod
    def error(cls, status: int, body: object, headers: Mapping[str, str] | None = None) -> Turn:
        """Answer with a status and a JSON body."""
        return cls(lambda stage: Answer.json(status, body, tuple((headers or {}).items())))

    @classmethod
    def raw(
        cls,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        then: Ending = "close",
    ) -> Turn:
        """Answer with these bytes; `then="cut"` closes the connection without ending the answer."""
        return cls(
            lambda stage: Answer(
                status=status, headers=tuple((headers or {}).items()), chunks=each([body]), ending=then
            )
        )

    @classmethod
    def by_itself(cls, *, cut_after: int | None = None) -> Turn:
        """Answer as without a script, for instance to cut such an answer or to keep a place in a script."""
        return cls._of(lambda stage: answer(stage.asked, stage.ids), cut_after=cut_after)

    @classmethod
    def _of(
        cls,
        make: Callable[[Stage], list[Item]],
        *,
        cut_after: int | None = None,
        usage: Mapping[str, Any] | None = None,
    ) -> Turn:
        final = None if usage is None else {"usage": dict(usage)}
        return cls(lambda stage: stage.send(stage.events(make(stage), final=final), cut_after=cut_after))

    @classmethod
    def _ended(cls, text: str, ending: str, final: Mapping[str, Any]) -> Turn:
        def play(stage: Stage) -> Answer:
            items = [message(text, stage.ids)] if text else []
            return stage.send(stage.events(items, ending=ending, final=final))

        return cls(play)


def as_turn(given: Turn | str | Sequence[Mapping[str, Any] | bytes]) -> Turn:
    """Read what `Simulator.script` accepts: a turn, a text to say, or a list of events to send."""
    if isinstance(given, Turn):
        return given
    if isinstance(given, str):
        return Turn.text(given)
    if not isinstance(given, Sequence) or not all(isinstance(event, (Mapping, bytes)) for event in given):
        raise TypeError(f"script() takes Turns, texts to say and lists of events (dictionaries), not {given!r:.80}")
    return Turn.events(given)
