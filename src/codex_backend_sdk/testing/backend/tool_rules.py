"""What the backend refuses in tools and in the schemas of tools and of structured output."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .refusal import Refusal, detail, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .asked import Asked

__all__ = ["array_items", "strict_schema", "tool_choice", "tool_name", "tool_type"]

_TOOL_TYPES = frozenset({"function", "custom", "namespace", "tool_search", "web_search", "image_generation"})
_NAME = "^[a-zA-Z0-9_-]+$"

# A schema, the sentence that introduces it, and the request member and code to blame.
_Place = tuple[Any, str, str, str]


def tool_type(asked: Asked) -> Refusal | None:
    """Refuse a tool that the Codex backend does not have."""
    for tool in asked.body.get("tools") or []:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in _TOOL_TYPES:
            return detail(f"Unsupported tool type: {kind}")
    return None


def tool_name(asked: Asked) -> Refusal | None:
    """Refuse a name with other characters than letters, digits, `_` and `-`."""
    for index, tool in enumerate(asked.body.get("tools") or []):
        if tool.get("type") not in ("function", "custom", "namespace"):
            continue
        if not re.fullmatch(_NAME, str(tool.get("name", ""))):
            place = f"tools[{index}].name"
            return invalid(
                f"Invalid '{place}': string does not match pattern. "
                f"Expected a string that matches the pattern '{_NAME}'.",
                param=place,
                code="invalid_value",
            )
    return None


def tool_choice(asked: Asked) -> Refusal | None:
    """Refuse the demand for a call of a tool that is not given."""
    choice = asked.body.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") not in ("function", "custom"):
        return None
    if any(tool.kind == choice["type"] and tool.name == choice.get("name") for tool in asked.tools()):
        return None
    return invalid(
        f"Tool choice '{choice.get('name')}' not found in 'tools' parameter.", param="tool_choice", code=None
    )


def array_items(asked: Asked) -> Refusal | None:
    """Refuse an array schema that does not say what its items are."""
    for schema, sentence, param, code in _schemas(asked, strict_only=False):
        for path, node in _nodes(schema):
            if node.get("type") == "array" and not {"items", "prefixItems"} & set(node):
                return invalid(f"{sentence} In context={path!r}, array schema missing items.", param=param, code=code)
    return None


def strict_schema(asked: Asked) -> Refusal | None:
    """Refuse a strict schema with an object that is open or has a property that may be left out."""
    for schema, sentence, param, code in _schemas(asked, strict_only=True):
        for path, node in _nodes(schema):
            if node.get("type") != "object":
                continue
            if node.get("additionalProperties") is not False:
                text = "'additionalProperties' is required to be supplied and to be false."
            elif missing := sorted(name for name in _dict(node, "properties") if name not in _list(node, "required")):
                text = (
                    "'required' is required to be supplied and to be an array including every key in "
                    f"properties. Missing '{missing[0]}'."
                )
            else:
                continue
            return invalid(f"{sentence} In context={path!r}, {text}", param=param, code=code)
    return None


def _schemas(asked: Asked, *, strict_only: bool) -> Iterator[_Place]:
    for index, tool in enumerate(asked.body.get("tools") or []):
        if tool.get("type") == "function" and (tool.get("strict") or not strict_only):
            sentence = f"Invalid schema for function '{tool.get('name')}':"
            yield tool.get("parameters"), sentence, f"tools[{index}].parameters", "invalid_function_parameters"
    text = asked.body.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    if isinstance(form, dict) and form.get("type") == "json_schema" and (form.get("strict") or not strict_only):
        sentence = f"Invalid schema for response_format '{form.get('name')}':"
        yield form.get("schema"), sentence, "text.format.schema", "invalid_json_schema"


def _nodes(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every schema in a schema, with the way to it."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for word in ("properties", "$defs", "definitions"):
        for name, inner in _dict(schema, word).items():
            yield from _nodes(inner, (*path, word, name))
    for word in ("items", "additionalProperties"):
        yield from _nodes(schema.get(word), (*path, word))
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for number, inner in enumerate(_list(schema, word)):
            yield from _nodes(inner, (*path, word, str(number)))


# What is no schema is refused when a value is made for it.


def _dict(schema: dict[str, Any], word: str) -> dict[str, Any]:
    value = schema.get(word)
    return value if isinstance(value, dict) else {}


def _list(schema: dict[str, Any], word: str) -> list[Any]:
    value = schema.get(word)
    return value if isinstance(value, list) else []
