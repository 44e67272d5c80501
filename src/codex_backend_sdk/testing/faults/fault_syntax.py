"""How a fault is written, on a command line and in a header.

    NAME[:ARGUMENT[,ARGUMENT]][+NAME…][@PLACE][*TIMES][;NOTE]

`+` adds a fault to the one before it: `usage_limit:plus,60`, `failed:server_error+byte_by_byte`, `reset@token*2`. A
place is one of `faults.PLACES` or a path. A note says nothing; it makes two texts differ.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..turns import Turn
from .fault_catalogue import FAULTS, PLACES

if TYPE_CHECKING:
    from ..http.asgi_server import HandshakeFailure
    from .fault_catalogue import Fault

__all__ = ["Planned", "planned", "put_at"]

_FORM = re.compile(r"(?P<names>[^@*;]+)(@(?P<place>[\w/.-]+))?(\*(?P<times>\d+))?(;.*)?")


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault that was read: `place` is a path, `times` None where the text says nothing of it.

    `is_anywhere` tells that the text names no place, so that `place` is the one where the fault is at home.
    """

    turn: Turn | HandshakeFailure
    place: str
    times: int | None
    is_anywhere: bool


def planned(text: str) -> Planned:
    """Read a text; ValueError says what is wrong with it."""
    form = _FORM.fullmatch(text.strip())
    if form is None:
        raise ValueError(f"Not a fault: {text!r}. Write NAME[:ARGUMENT,…][+NAME…][@PLACE][*TIMES]")
    named = [_named(part) for part in form["names"].split("+")]
    homes = [fault.place for fault, _ in named]
    if "handshake" in homes and len(homes) > 1:
        raise ValueError(f"Not a fault: {text!r}. Nothing can follow a handshake that failed")
    turn: Any = Turn.default()
    for fault, arguments in named:
        turn = fault.make(turn, *arguments) if fault.changes else fault.make(*arguments)
    times = form["times"]
    place = put_at(form["place"] or homes[0])
    return Planned(turn, place, int(times) if times else None, form["place"] is None and homes[0] != "handshake")


def put_at(place: str) -> str:
    """Return the path of a place; a path is one already."""
    if place.startswith("/"):
        return place
    if place not in PLACES:
        raise ValueError(f"No such place: {place}. Places: {', '.join(PLACES)}, or a path that begins with /")
    return PLACES[place]


def _named(text: str) -> tuple[Fault, list[Any]]:
    name, colon, rest = text.strip().partition(":")
    fault = FAULTS.get(name)
    if fault is None:
        near = difflib.get_close_matches(name, FAULTS, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"No such fault: {name!r}.{hint} `codex-backend simulate --list-faults` lists them")
    given = rest.split(",", max(len(fault.takes) - 1, 0)) if colon else []
    if len(given) > len(fault.takes):
        raise ValueError(f"{name} takes nothing after its name, so not {text!r}")
    try:
        return fault, [argument.read(value) for argument, value in zip(fault.takes, given, strict=False)]
    except ValueError as error:
        raise ValueError(f"{text!r} is not {fault.usage}: {error}") from None
