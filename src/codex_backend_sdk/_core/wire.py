"""JSON as it goes over the wire, both ways: fast, and as lenient as Python's own."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

__all__ = ["decode", "encode"]


def encode(value: Any) -> bytes:
    """Write JSON data; TypeError for what is none."""
    try:
        return to_json(value)
    except (PydanticSerializationError, ValueError):
        return json.dumps(value).encode()  # takes a lone surrogate, and deeper nesting


def decode(data: bytes) -> Any:
    """Read JSON; ValueError when it is none, RecursionError when it is nested beyond all measure."""
    try:
        return from_json(data)
    except ValueError:
        return json.loads(data)  # takes a lone surrogate, and deeper nesting
