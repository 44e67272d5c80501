"""Hints for unknown arguments: Python's own TypeError, completed with what to write instead.

A table covers the names that programs bring along from Chat Completions; the closest name in the signature covers typos.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RESPONSES_HINTS", "ArgumentHints"]

_NO_MAX_TOKENS: Final = (
    "The Codex backend does not support `max_output_tokens`, its name in the Responses API: "
    "the length of a response cannot be limited"
)

_CHAT_ONLY: Final = "That is an argument of Chat Completions; the Codex backend has no equivalent"
_CLIENT_OPTIONS: Final = (
    "connect_timeout",
    "first_byte_timeout",
    "idle_timeout",
    "max_retries",
    "max_retry_after",
    "on_interrupt",
    "retry_deadline",
    "total_timeout",
    "unsupported",
    "wait_for_limit",
)

# Arguments of Chat Completions, of the client and of other methods, which users often pass to `responses`.
RESPONSES_HINTS: Final = {
    **{name: f"That is an option of the client: use `client.with_options({name}=...)`" for name in _CLIENT_OPTIONS},
    **dict.fromkeys(
        ("frequency_penalty", "logit_bias", "logprobs", "n", "presence_penalty", "seed", "stop"), _CHAT_ONLY
    ),
    "functions": "Use `tools`",
    "max_completion_tokens": _NO_MAX_TOKENS,
    "max_tokens": _NO_MAX_TOKENS,
    "messages": "That is an argument of Chat Completions; use `input`",
    "reasoning_effort": "Use `reasoning={'effort': ...}`",
    "response_format": "Use `text={'format': ...}`, or `client.responses.parse(text_format=...)`",
    "system": "Use `instructions`",
    "system_prompt": "Use `instructions`",
    "text_format": "Use `client.responses.parse(...)`, which takes it",
    "verbosity": "Use `text={'verbosity': ...}`",
}

# CPython's message, unchanged from 3.11 to 3.14. An unknown wording loses the hint and nothing else.
_UNEXPECTED_ARGUMENT: Final = re.compile(r"\b(\w+)\(\) got an unexpected keyword argument '(\w+)'")


class ArgumentHints:
    """A context manager that completes a TypeError about an unknown argument of these functions.

    The functions share one name; together they have all the arguments. The context manager is stateless and costs 0.1 µs.
    """

    __slots__ = ("_functions", "_hints")

    def __init__(self, *functions: Callable[..., Any], hints: Mapping[str, str] = {}) -> None:
        self._functions = functions
        self._hints = hints

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        match = _UNEXPECTED_ARGUMENT.search(str(error)) if kind is TypeError else None
        if match is None or error is None or match[1] != self._functions[0].__name__:
            return
        hint = self._hint(match[2])
        if hint is not None:
            error.args = (f"{str(error)[: match.end()]}. {hint}",)

    def _hint(self, name: str) -> str | None:
        # Imported here: 5 ms that only this error needs.
        from difflib import get_close_matches
        from inspect import Parameter, signature

        if name in self._hints:
            return f"{self._hints[name]}."
        parameters = [p for function in self._functions for p in signature(function).parameters.values()]
        names = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY and not p.name.startswith("_")]
        close = get_close_matches(name, names, n=1)
        return f"Did you mean `{close[0]}`?" if close else None
