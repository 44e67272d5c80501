"""Parse the text form of a fault for `Simulator.fail`, the command line and the request header.

    NAME[:ARGUMENT[,ARGUMENT]][+NAME…][@ROUTE][*COUNT][;NOTE]

Examples are `usage_limit:plus,60`, `failed:server_error+byte_by_byte` and `reset@token*2`. `+` applies faults from left
to right. A route is a name of `fault_catalog.ROUTES` or a path. A note makes two headers differ, so that their uses are
counted separately; it has no other effect.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..turns import Turn
from .fault_catalog import FAULTS, ROUTES

if TYPE_CHECKING:
    from ..http.asgi_server import HandshakeFailure
    from .fault_catalog import Fault

__all__ = ["ParsedFault", "parse_fault", "route_path"]

_PATTERN: Final = re.compile(r"(?P<names>[^@*;]+)(@(?P<route>[\w/.-]+))?(\*(?P<count>\d+))?(;.*)?")
_LIST_HINT: Final = "Run `codex-backend simulate --list-faults` to list them."


@dataclass(frozen=True, slots=True)
class ParsedFault:
    """A parsed fault: the turn, the path of the route, and the count (None if the text contains no count).

    `has_explicit_route` is true if the text contains `@ROUTE`. Otherwise, `path` is the default route of the fault.
    """

    turn: Turn | HandshakeFailure
    path: str
    count: int | None
    has_explicit_route: bool


def parse_fault(text: str) -> ParsedFault:
    """Parse the text of a fault. Raises ValueError, with a description of the problem, if it is invalid."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"Invalid fault: {text!r}. Write NAME[:ARGUMENT,…][+NAME…][@ROUTE][*COUNT].")
    faults = [_parse_name(part) for part in match["names"].split("+")]
    routes = [fault.route for fault, _ in faults]
    if "handshake" in routes and len(routes) > 1:
        raise ValueError(f"Invalid fault: {text!r}. No response follows a TLS failure. Remove the other faults.")
    turn: Any = Turn.default()
    for fault, arguments in faults:
        turn = fault.make(turn, *arguments) if fault.is_modifier else fault.make(*arguments)
    return ParsedFault(
        turn=turn,
        path=route_path(match["route"] or routes[0]),
        count=int(match["count"]) if match["count"] else None,
        has_explicit_route=match["route"] is not None,
    )


def route_path(route: str) -> str:
    """Return the path of a route. `route` is its name or its path."""
    if route.startswith("/"):
        return route
    if route not in ROUTES:
        raise ValueError(f"Unknown route: {route!r}. Use one of {', '.join(ROUTES)}, or a path that begins with '/'.")
    return ROUTES[route]


def _parse_name(text: str) -> tuple[Fault, list[Any]]:
    """Parse `NAME[:ARGUMENT[,ARGUMENT]]`. The last argument may contain commas."""
    name, colon, argument_text = text.strip().partition(":")
    fault = FAULTS.get(name)
    if fault is None:
        similar = difflib.get_close_matches(name, FAULTS, n=3)
        suggestion = f" Did you mean {' or '.join(similar)}?" if similar else ""
        raise ValueError(f"Unknown fault: {name!r}.{suggestion} {_LIST_HINT}")
    values = argument_text.split(",", max(len(fault.arguments) - 1, 0)) if colon else []
    if len(values) > len(fault.arguments):
        raise ValueError(f"Invalid fault: {text!r}. Remove the arguments: {name} takes no arguments.")
    try:
        return fault, fault.parse_arguments(values)
    except ValueError as error:
        raise ValueError(f"Invalid fault: {text!r}. {error}. Write {fault.syntax}.") from None
