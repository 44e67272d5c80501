"""Parse the text form of a fault, as `Simulator.fail`, the command line and the request header take it.

    NAME[:ARGUMENT[,ARGUMENT]][+NAME…][@ROUTE][*COUNT][;NOTE]

`+` combines faults, from left to right: `usage_limit:plus,60`, `failed:server_error+byte_by_byte`, `reset@token*2`. A
route is a name of `fault_catalog.ROUTES` or a path. A note has no effect except that it makes two texts differ, which
are then counted apart.
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
    """A parsed fault: `path` is that of its route, `count` is None when the text has none.

    `has_explicit_route` is false when the text has no `@ROUTE`; then the path is that of the fault's default route.
    """

    turn: Turn | HandshakeFailure
    path: str
    count: int | None
    has_explicit_route: bool


def parse_fault(text: str) -> ParsedFault:
    """Parse the text of a fault; ValueError explains what is wrong with it."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"Invalid fault: {text!r}. Write NAME[:ARGUMENT,…][+NAME…][@ROUTE][*COUNT].")
    parts = [_parse_name(part) for part in match["names"].split("+")]
    routes = [fault.route for fault, _ in parts]
    if "handshake" in routes and len(routes) > 1:
        raise ValueError(f"Invalid fault: {text!r}. A TLS failure cannot be combined: no response follows it.")
    turn: Any = Turn.default()
    for fault, arguments in parts:
        turn = fault.make(turn, *arguments) if fault.modifies else fault.make(*arguments)
    return ParsedFault(
        turn=turn,
        path=route_path(match["route"] or routes[0]),
        count=int(match["count"]) if match["count"] else None,
        has_explicit_route=match["route"] is not None,
    )


def route_path(route: str) -> str:
    """Return the path of a route, given by name or as a path."""
    if route.startswith("/"):
        return route
    if route not in ROUTES:
        raise ValueError(f"Unknown route: {route!r}. Use one of {', '.join(ROUTES)}, or a path that begins with '/'.")
    return ROUTES[route]


def _parse_name(text: str) -> tuple[Fault, list[Any]]:
    """Parse `NAME[:ARGUMENT[,ARGUMENT]]`. The last argument may contain commas."""
    name, colon, rest = text.strip().partition(":")
    fault = FAULTS.get(name)
    if fault is None:
        similar = difflib.get_close_matches(name, FAULTS, n=3)
        suggestion = f" Did you mean {' or '.join(similar)}?" if similar else ""
        raise ValueError(f"Unknown fault: {name!r}.{suggestion} {_LIST_HINT}")
    values = rest.split(",", max(len(fault.arguments) - 1, 0)) if colon else []
    if len(values) > len(fault.arguments):
        raise ValueError(f"Invalid fault: {text!r}. {name} takes no arguments.")
    try:
        return fault, fault.parse_arguments(values)
    except ValueError as error:
        raise ValueError(f"Invalid fault: {text!r}. It is written {fault.usage}: {error}.") from None
