"""Add a suggestion to Python's TypeError for an unknown keyword argument.

A table covers the parameter names of Chat Completions. For other names, the suggestion is the closest name in the
signature.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RESPONSES_HINTS", "ArgumentHints"]

_NO_MAX_TOKENS: Final = (
    "Pass `text={'verbosity': 'low'}` for a short response; the Responses API calls this parameter "
    "`max_output_tokens`, and the Codex backend does not support it"
)

_CHAT_ONLY: Final = "Remove it: this parameter of Chat Completions has no equivalent in the Codex backend"
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

# Parameters of Chat Completions, of the client and of other methods.
RESPONSES_HINTS: Final = {
    **{name: f"Use `client.with_options({name}=...)`: this is an option of the client" for name in _CLIENT_OPTIONS},
    **dict.fromkeys(
        ("frequency_penalty", "logit_bias", "logprobs", "n", "presence_penalty", "seed", "stop"), _CHAT_ONLY
    ),
    "functions": "Use `tools`",
    "max_completion_tokens": _NO_MAX_TOKENS,
    "max_tokens": _NO_MAX_TOKENS,
    "messages": "Use `input`; `messages` is a parameter of Chat Completions",
    "reasoning_effort": "Use `reasoning={'effort': ...}`",
    "response_format": "Use `text={'format': ...}`, or `client.responses.parse(text_format=...)`",
    "system": "Use `instructions`",
    "system_prompt": "Use `instructions`",
    "text_format": "Use `client.responses.parse(text_format=...)`",
    "verbosity": "Use `text={'verbosity': ...}`",
}

# CPython's message, unchanged from 3.11 to 3.14. If the wording changes, only the hint is missing.
_UNEXPECTED_ARGUMENT: Final = re.compile(r"\b(\w+)\(\) got an unexpected keyword argument '(\w+)'")


class ArgumentHints:
    """Context manager that adds a suggestion to a TypeError about an unknown argument of `functions`.

    `functions` must have the same `__name__`. Suggestions come from the parameters of all of them, and from `hints`.
    The context manager is stateless and takes 0.1 µs.
    """

    __slots__ = ("_functions", "_hints")

    def __init__(self, *functions: Callable[..., Any], hints: Mapping[str, str] = {}) -> None:
        self._functions = functions
        self._hints = hints

    def __enter__(self) -> None:
        return None

    def __exit__(self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        match = _UNEXPECTED_ARGUMENT.search(str(error)) if exc_type is TypeError else None
        if match is None or error is None or match[1] != self._functions[0].__name__:
            return
        hint = self._hint(match[2])
        if hint is not None:
            error.args = (f"{str(error)[: match.end()]}. {hint}",)

    def _hint(self, name: str) -> str | None:
        # Imported here because the imports take 5 ms and only this error needs them.
        from difflib import get_close_matches
        from inspect import Parameter, signature

        if name in self._hints:
            return f"{self._hints[name]}."
        parameters = [p for function in self._functions for p in signature(function).parameters.values()]
        names = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY and not p.name.startswith("_")]
        close = get_close_matches(name, names, n=1)
        return f"Did you mean `{close[0]}`?" if close else None
