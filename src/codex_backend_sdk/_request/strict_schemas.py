"""Check strict schemas for mappings, such as a field of the type `dict[str, int]`. Pure.

A strict schema lists all members of all objects: https://platform.openai.com/docs/guides/structured-outputs. openai's
`parse()` closes objects without `additionalProperties` and leaves the others, which the backend rejects with 400
"'additionalProperties' is required to be supplied and to be false."
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["require_closed_schemas"]

_MAX_DEPTH: Final = 64


def require_closed_schemas(text: object, tools: object) -> None:
    """Raise ValueError, which names the field, if the strict format in `text` or a strict function has a mapping."""
    output_format = text.get("format") if isinstance(text, dict) else None
    _require_closed(output_format, "schema", "The output format")
    for tool in tools if isinstance(tools, list) else ():
        _require_closed(tool, "parameters", "The function")


def _require_closed(holder: object, member: str, kind: str) -> None:
    if not isinstance(holder, dict) or holder.get("strict") is not True:
        return
    path = next(_mappings(holder.get(member), ""), None)
    if path is None:
        return
    where = f"its field `{path}`" if path else "it"
    raise ValueError(
        f"{kind} {holder.get('name')!r} is strict, and {where} is a mapping with any keys, such as a `dict`. Use a "
        "model with fixed fields, or a list of objects with a key and a value. Nothing was sent."
    )


def _mappings(schema: Any, path: str, depth: int = 0) -> Iterator[str]:
    """Yield the path of each object that may have any keys: `Inner.scores`, `rows[]`."""
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return
    if schema.get("additionalProperties"):  # True, or the schema of the values
        yield path
    for keyword in ("properties", "$defs", "definitions"):
        children = schema.get(keyword)
        for name, child in children.items() if isinstance(children, dict) else ():
            yield from _mappings(child, f"{path}.{name}".lstrip("."), depth + 1)
    yield from _mappings(schema.get("items"), f"{path}[]", depth + 1)
    for keyword in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(keyword)
        for child in branches if isinstance(branches, list) else ():
            yield from _mappings(child, path, depth + 1)
