"""An argument that a call does not have: Python's own TypeError, with what to write instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["OF_RESPONSES", "ArgumentHints"]

_NO_LENGTH: Final = (
    "An answer's length cannot be limited: the Codex backend refuses `max_output_tokens`, which is its name here"
)

# Names of chat.completions and of other methods, which programs are often moved from.
OF_RESPONSES: Final = {
    "functions": "Use `tools`",
    "max_completion_tokens": _NO_LENGTH,
    "max_tokens": _NO_LENGTH,
    "messages": "That is of chat.completions; use `input`",
    "reasoning_effort": "Use `reasoning={'effort': …}`",
    "response_format": "Use `text={'format': …}`, or `client.responses.parse(text_format=…)`",
    "text_format": "`client.responses.parse(…)` takes it",
    "verbosity": "Use `text={'verbosity': …}`",
}

_UNKNOWN: Final = re.compile(r"\b(\w+)\(\) got an unexpected keyword argument '(\w+)'")


class ArgumentHints:
    """A context in which a TypeError about an unknown argument of these functions says what is meant.

    The functions are those of one name, which together have all the arguments. It holds no state, and costs 0.1 µs.
    """

    __slots__ = ("_functions", "_known")

    def __init__(self, *functions: Callable[..., Any], known: Mapping[str, str] = {}) -> None:
        self._functions = functions
        self._known = known

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        found = _UNKNOWN.search(str(error)) if kind is TypeError else None
        if found is None or error is None or found[1] != self._functions[0].__name__:
            return
        instead = self._instead(found[2])
        if instead is not None:
            error.args = (f"{str(error)[: found.end()]}. {instead}",)

    def _instead(self, name: str) -> str | None:
        from difflib import get_close_matches  # 5 ms that only this error needs
        from inspect import Parameter, signature

        if name in self._known:
            return f"{self._known[name]}."
        given = [each for function in self._functions for each in signature(function).parameters.values()]
        names = [each.name for each in given if each.kind is Parameter.KEYWORD_ONLY and not each.name.startswith("_")]
        close = get_close_matches(name, names, n=1)
        return f"Did you mean `{close[0]}`?" if close else None
