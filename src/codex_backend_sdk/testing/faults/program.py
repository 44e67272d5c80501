"""What the simulator was told to do: the scripted turns and the faults, in the order in which they were given."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ..turns import Turn, as_turn
from .fault_catalogue import PLACES
from .fault_syntax import Planned, planned, put_at
from .schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..http.asgi_server import HandshakeFailure
    from ..turns import Given

__all__ = ["Program"]

T = TypeVar("T")


class Program:
    """The schedules of requests and of handshakes, and what fills them."""

    def __init__(self, seed: int) -> None:
        self.turns: Schedule[Turn] = Schedule(seed)
        self._handshakes: Schedule[HandshakeFailure] = Schedule(seed)

    def script(self, given: Iterable[Given]) -> None:
        """Add answers of `POST /responses`; all of them, or none where one is no turn."""
        self.turns.add(PLACES["responses"], [as_turn(each) for each in given])

    def fail(
        self, faults: Iterable[str | Turn], *, times: int | None, route: str | None, probability: float | None
    ) -> None:
        """Add faults; all of them, or none where one is wrong."""
        if probability is not None and not 0 <= probability <= 1:
            raise ValueError(f"probability has to be from 0 to 1, not {probability}")
        if times is not None and times < 1:
            raise ValueError(f"times has to be 1 or more, or None for every request; not {times}")
        place = None if route is None else put_at(route)
        for plan in [_planned(fault) for fault in faults]:
            count = None if probability is not None else plan.times or times
            if isinstance(plan.turn, Turn):
                _put(self.turns, place or plan.place, plan.turn, count, probability)
            else:
                _put(self._handshakes, plan.place, plan.turn, count, probability)

    def handshake(self) -> HandshakeFailure:
        """Say how the next TLS handshake ends: nothing here speaks TLS."""
        return self._handshakes.take(PLACES["handshake"]) or "plain"

    def clear(self) -> None:
        """Forget everything."""
        self.turns.clear()
        self._handshakes.clear()


def _planned(fault: str | Turn) -> Planned:
    if isinstance(fault, Turn):
        return Planned(fault, PLACES["responses"], None, is_anywhere=True)
    if isinstance(fault, str):
        return planned(fault)
    raise TypeError(f"fail() takes names of faults and Turns, not {fault!r:.80}")


def _put(schedule: Schedule[T], place: str, turn: T, count: int | None, probability: float | None) -> None:
    if count is None:
        schedule.stand(place, [turn], probability=1.0 if probability is None else probability)
    else:
        schedule.add(place, [turn] * count)
