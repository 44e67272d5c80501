"""Validate the arguments of `authenticate` and `authenticate_device_code` before a login starts.

Most of them are used late: a wrong `open_browser` would fail in a thread, and a NaN as `timeout` would wait forever.
This module has no I/O, clock or randomness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["require_login_arguments"]

_MAX_PORT: Final = 65535


class _Rule(NamedTuple):
    """A rule for an argument: tests of its type (else TypeError) and its value (else ValueError), and both in words."""

    has_type: Callable[[Any], bool]
    has_value: Callable[[Any], bool]
    description: str


def _any_value(value: Any) -> bool:
    return True


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list_of(is_member: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and all(map(is_member, value))
    )


_function: Final = _Rule(callable, _any_value, "a function, or None")
_RULES: Final = {
    "open_browser": _Rule(
        lambda value: isinstance(value, bool) or callable(value), _any_value, "a function, True or False"
    ),
    "on_url": _function,
    "on_code": _function,
    "paste": _function,
    "cancel": _Rule(
        lambda value: callable(getattr(value, "is_set", None)) and callable(getattr(value, "wait", None)),
        _any_value,
        "a `threading.Event`, or None",
    ),
    "timeout": _Rule(
        lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
        lambda value: value >= 0,  # false for NaN
        "a number of seconds that is not negative, or None",
    ),
    "ports": _Rule(
        _is_list_of(_is_integer),
        lambda ports: len(ports) > 0 and all(0 <= port <= _MAX_PORT for port in ports),
        f"a sequence of ports from 0 to {_MAX_PORT} that is not empty",
    ),
    "workspace_id": _Rule(
        lambda value: isinstance(value, str),
        lambda value: value.isprintable() and bool(value.strip()),
        "the ID of a workspace, or None",
    ),
    "scopes": _Rule(
        _is_list_of(lambda value: isinstance(value, str)),
        lambda scopes: len(scopes) > 0 and all(scope.isprintable() and scope.strip() for scope in scopes),
        "a sequence of strings that is not empty, such as `scopes.split()`, or None",
    ),
}
_REQUIRED: Final = ("open_browser", "ports")


def require_login_arguments(**arguments: Any) -> None:
    """Raise TypeError or ValueError for the first invalid argument."""
    for name, value in arguments.items():
        rule = _RULES[name]
        if value is None and name not in _REQUIRED:
            continue
        has_type = rule.has_type(value)
        if not has_type or not rule.has_value(value):
            raise (ValueError if has_type else TypeError)(f"`{name}` must be {rule.description}, not {value!r}.")
