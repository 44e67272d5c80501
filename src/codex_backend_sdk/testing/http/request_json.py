"""Parse the JSON object in the body of a request, for all routes of the simulator."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.exceptions import HTTPException

__all__ = ["parse_json_object"]

# Requests of the Responses API have about ten levels, and a schema has two for each level of its values. The simulator
# walks requests recursively, so the limit keeps it far below the recursion limit of Python.
_MAX_DEPTH: Final = 100


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object. Raises an `HTTPException` with status 400 if the body is not a valid JSON object."""
    try:
        value = json.loads(body)
        # A lone surrogate is valid JSON but cannot be encoded as UTF-8 in the response.
        if b"\\ud" in body or b"\\uD" in body:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise HTTPException(400, "The body must be a JSON object")
    if _is_deeper_than(value, _MAX_DEPTH):
        raise HTTPException(400, f"The JSON of the body has more than {_MAX_DEPTH} levels")
    return value


def _is_deeper_than(value: Any, max_depth: int) -> bool:
    """Return whether a JSON value has more levels of arrays and objects. Walks level by level, without recursion."""
    level = [value]
    for _ in range(max_depth + 1):
        containers = [node for node in level if isinstance(node, (dict, list))]
        if not containers:
            return False
        level = [child for node in containers for child in (node.values() if isinstance(node, dict) else node)]
    return True
