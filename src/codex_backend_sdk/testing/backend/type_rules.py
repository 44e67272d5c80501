"""What a request is refused for when a member of it is of another JSON type: the table has what is known to be sent.

The sentence is that of the Responses API. A member that is null counts as one that is not there.
"""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any

from .refusal import Refusal, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .asked import Asked

__all__ = ["wrong_type"]

_TYPES: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("model", (str,)),
    ("instructions", (str,)),
    ("input[]", (dict,)),
    ("input[].type", (str,)),
    ("input[].id", (str,)),
    ("input[].role", (str,)),
    ("input[].content", (str, list)),
    ("input[].content[]", (dict,)),
    ("input[].call_id", (str,)),
    ("input[].output", (str, list, dict)),
    ("input[].encrypted_content", (str,)),
    ("input[].tools", (list,)),
    ("input[].tools[]", (dict,)),
    ("tools", (list,)),
    ("tools[]", (dict,)),
    ("tools[].type", (str,)),
    ("tools[].name", (str,)),
    ("tools[].description", (str,)),
    ("tools[].parameters", (dict,)),
    ("tools[].strict", (bool,)),
    ("tools[].tools", (list,)),
    ("tools[].tools[]", (dict,)),
    ("tool_choice", (str, dict)),
    ("tool_choice.type", (str,)),
    ("tool_choice.name", (str,)),
    ("tool_choice.mode", (str,)),
    ("tool_choice.tools", (list,)),
    ("tool_choice.tools[]", (dict,)),
    ("tool_choice.tools[].name", (str,)),
    ("parallel_tool_calls", (bool,)),
    ("reasoning", (dict,)),
    ("reasoning.effort", (str, int, float)),  # the Codex CLI sends a decimal one as a number
    ("reasoning.summary", (str,)),
    ("text", (dict,)),
    ("text.verbosity", (str,)),
    ("text.format", (dict,)),
    ("text.format.type", (str,)),
    ("text.format.name", (str,)),
    ("text.format.schema", (dict,)),
    ("text.format.strict", (bool,)),
    ("include", (list,)),
    ("include[]", (str,)),
    ("service_tier", (str,)),
    ("prompt_cache_key", (str,)),
    ("client_metadata", (dict,)),
)
_NAMES = {
    str: "a string",
    list: "an array",
    dict: "an object",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    NoneType: "null",
}


def wrong_type(asked: Asked) -> Refusal | None:
    """Refuse a member that is of another JSON type than the table says."""
    for path, types in _TYPES:
        for place, value in _found(asked.body, path.split(".")):
            if type(value) not in types:
                expected = " or ".join(_NAMES[each] for each in types)
                text = f"Invalid type for '{place}': expected {expected}, but got {_NAMES[type(value)]} instead."
                return invalid(text, param=place, code="invalid_type")
    return None


def _found(value: Any, steps: Sequence[str], place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what stands at a path, each with its place: `input[2].role`."""
    if not steps:
        yield place, value
        return
    name, is_each = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    inner = value.get(name) if isinstance(value, dict) else None
    here = f"{place}.{name}" if place else name
    if not is_each and inner is not None:
        yield from _found(inner, steps[1:], here)
    elif is_each and isinstance(inner, list):
        for index, each in enumerate(inner):
            yield from _found(each, steps[1:], f"{here}[{index}]")
