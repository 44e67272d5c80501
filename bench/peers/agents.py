"""Agents: a history, and turns that send only their new items if the client can. Each peer has its own way to do that.

An agent reads all events of a response, as a program that prints the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bench.workloads import AGENT_INSTRUCTIONS, AGENT_TOOL, DELTA_TYPES, MODEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

__all__ = ["SETTINGS", "Agent", "AsyncAgent", "Turn", "TurnReader", "read_turn", "read_turn_async"]

# The parameters of every call of an agent, beside its input.
SETTINGS: dict[str, Any] = {"model": MODEL, "instructions": AGENT_INSTRUCTIONS, "tools": [AGENT_TOOL]}


class Turn(NamedTuple):
    """What a program reads from the response of a turn. `call_id` is empty if the model called no tool."""

    events: int
    characters: int
    call_id: str
    response_id: str


class Agent(Protocol):
    """An agent of a sync client."""

    def turn(self, items: list[dict[str, Any]]) -> Turn: ...
    def close(self) -> None: ...


class AsyncAgent(Protocol):
    """An agent of an async client."""

    async def turn(self, items: list[dict[str, Any]]) -> Turn: ...
    async def close(self) -> None: ...


class TurnReader:
    """Collects a `Turn`, and whether its last event was read. Events are objects or, if untyped, mappings."""

    def __init__(self, *, is_untyped: bool = False) -> None:
        self.is_complete = False
        self._is_untyped = is_untyped
        self._events = self._characters = 0
        self._call_id = self._response_id = ""

    def read(self, event: Any) -> None:
        """Read an event."""
        self._events += 1
        event_type = event["type"] if self._is_untyped else event.type
        if event_type in DELTA_TYPES:
            self._characters += len(event["delta"] if self._is_untyped else event.delta)
        elif event_type == "response.output_item.done":
            item = event["item"] if self._is_untyped else event.item
            get = item.get if isinstance(item, dict) else lambda name: getattr(item, name, None)
            self._call_id = get("call_id") or self._call_id
        elif event_type == "response.completed":
            response = event["response"] if self._is_untyped else event.response
            self._response_id = response["id"] if isinstance(response, dict) else response.id
            self.is_complete = True
        elif event_type == "error":
            raise ValueError(f"The response failed: {event}")

    @property
    def turn(self) -> Turn:
        """The turn that was read. Raises ValueError if it is incomplete."""
        if not self.is_complete:
            raise ValueError("The response ended before its last event.")
        return Turn(self._events, self._characters, self._call_id, self._response_id)


def read_turn(events: Iterable[Any]) -> Turn:
    """Read a stream that ends with the response."""
    reader = TurnReader()
    for event in events:
        reader.read(event)
    return reader.turn


async def read_turn_async(events: AsyncIterator[Any]) -> Turn:
    """Read a stream that ends with the response."""
    reader = TurnReader()
    async for event in events:
        reader.read(event)
    return reader.turn
