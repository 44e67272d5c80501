"""JSON that somebody else wrote: what cannot be read says nothing."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["json_object", "json_value"]


def json_object(body: bytes) -> dict[str, Any]:
    """Return the members of a JSON object; none when the body is anything else."""
    answer = json_value(body)
    return answer if isinstance(answer, dict) else {}


def json_value(body: bytes) -> Any:
    """Return what a body says; None when it is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
