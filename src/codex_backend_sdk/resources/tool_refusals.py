"""What the backend is known to refuse in tools, and in the schemas of tools and of structured output.

Known from the answers that users of the backend have published. One row below for each rule.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from .._coerce import items, mapping
from .explanation import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["TOOL_RULES"]

_Tool = tuple[str, "Mapping[str, Any]"]

# Codex CLI: tools/src/. Image generation is one of paid plans.
_TYPES: Final = frozenset({"function", "custom", "namespace", "tool_search", "web_search", "image_generation"})
_NAMED: Final = frozenset({"function", "custom", "namespace"})
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+")


def _types(body: Mapping[str, Any]) -> Iterator[Finding]:
    for place, tool in _tools(body):
        if str(tool.get("type")) not in _TYPES:
            yield _warning(
                f"`{place}` is of the type {tool.get('type')!r}, which the backend is not known to have.",
                "It answers 400 `Unsupported tool type`.",
                f"Use one of: {', '.join(sorted(_TYPES))}.",
            )


def _names(body: Mapping[str, Any]) -> Iterator[Finding]:
    for place, tool in _tools(body):
        if str(tool.get("type")) in _NAMED and not _NAME.fullmatch(str(tool.get("name") or "")):
            yield _warning(
                f"`{place}.name` is {tool.get('name')!r}.",
                "The backend takes letters, digits, `_` and `-`.",
                "Use another name.",
            )


def _choice(body: Mapping[str, Any]) -> Iterator[Finding]:
    choice = mapping(body.get("tool_choice"))
    if choice.get("type") not in ("function", "custom"):
        return
    known = [(tool.get("type"), tool.get("name")) for _, tool in _tools(body)]
    if (choice["type"], choice.get("name")) not in known:
        yield _warning(
            f"`tool_choice` demands {choice.get('name')!r}, which is not among the tools.",
            "The backend answers 400.",
            "Pass that tool, or leave `tool_choice` out.",
        )


def _arrays(body: Mapping[str, Any]) -> Iterator[Finding]:
    for place, schema, _ in _schemas(body):
        for path, node in _nodes(schema, place):
            if node.get("type") == "array" and not {"items", "prefixItems"} & node.keys():
                yield _warning(
                    f"`{path}` is an array without `items`.",
                    "The backend answers 400 `array schema missing items`.",
                    "Say what it holds: `'items': {}` is anything.",
                )


def _strict(body: Mapping[str, Any]) -> Iterator[Finding]:
    for place, schema, is_strict in _schemas(body):
        for path, node in _nodes(schema, place) if is_strict else ():
            problem = _openness(node) if node.get("type") == "object" else None
            if problem is not None:
                yield _warning(
                    f"`{path}` is not strict: {problem}.",
                    "With `strict` the backend answers 400 to it.",
                    "Mend the schema, or pass `'strict': False`.",
                )


def _openness(node: Mapping[str, Any]) -> str | None:
    if node.get("additionalProperties") is not False:
        return "`additionalProperties` has to be false"
    required = items(node.get("required"))
    optional = [name for name in mapping(node.get("properties")) if name not in required]
    return f"`required` lacks {optional[0]!r}" if optional else None


TOOL_RULES: Final[tuple[Callable[[Mapping[str, Any]], Iterator[Finding]], ...]] = (
    _types,
    _names,
    _choice,
    _arrays,
    _strict,
)


def _tools(body: Mapping[str, Any]) -> Iterator[_Tool]:
    """Yield the tools with their places, those of a namespace too."""
    yield from _tools_of(body.get("tools"), "tools")


def _tools_of(tools: Any, place: str) -> Iterator[_Tool]:
    for number, tool in enumerate(items(tools)):
        if isinstance(tool, dict):
            yield f"{place}[{number}]", tool
            yield from _tools_of(tool.get("tools"), f"{place}[{number}].tools")


def _schemas(body: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """Yield every schema with its place, and whether it is strict."""
    for place, tool in _tools(body):
        if tool.get("type") == "function":
            yield f"{place}.parameters", tool.get("parameters"), bool(tool.get("strict"))
    form = mapping(mapping(body.get("text")).get("format"))
    if form.get("type") == "json_schema":
        yield "text.format.schema", form.get("schema"), bool(form.get("strict"))


def _nodes(schema: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every schema in a schema, with the way to it."""
    if not isinstance(schema, dict):
        return
    yield place, schema
    for word in ("properties", "$defs", "definitions"):
        for name, inner in mapping(schema.get(word)).items():
            yield from _nodes(inner, f"{place}.{word}.{name}")
    for word in ("items", "additionalProperties"):
        yield from _nodes(schema.get(word), f"{place}.{word}")
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for number, inner in enumerate(items(schema.get(word))):
            yield from _nodes(inner, f"{place}.{word}[{number}]")


def _warning(what: str, why: str, remedy: str) -> Finding:
    return Finding(level="warning", what=what, why=why, remedy=remedy)
