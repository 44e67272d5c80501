"""Generate a JSON value that matches a JSON schema. The same schema always returns the same value.

The library `jsf` generates random values; the seed depends on the schema. `jsf` misinterprets some schemas and uses
wide ranges, so it receives a rewritten schema. `jsonschema` validates each value against the original schema. If a
value is invalid, the next seed is used. If all values are invalid, `example_value` raises `UnsupportedSchemaError`.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UnsupportedSchemaError", "example_value"]

# jsf uses the global generator of the `random` module, which the program under test may also use. `_generate` restores
# its state. The lock is required because several simulators may run in one process.
_RANDOM_LOCK: Final = threading.Lock()
_MAX_ATTEMPTS: Final = 24

# jsf derives values of these formats from the current time, so each run would return other values.
_FIXED_TIMES: Final = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T09:30:00Z",
    "time": "09:30:00Z",
}


class UnsupportedSchemaError(ValueError):
    """The simulator cannot generate a value that matches the schema. Script a `Turn` with a value instead."""


def example_value(schema: Mapping[str, Any]) -> Any:
    """Return a value that matches the schema. Raises `UnsupportedSchemaError` if no value can be generated."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        raise UnsupportedSchemaError(f"it is not a valid JSON schema: {error.message}") from None
    is_valid = Draft202012Validator(dict(schema)).is_valid
    seed = int(hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()[:8], 16)
    problem = f"none of {_MAX_ATTEMPTS} generated values matches it"
    for attempt in range(_MAX_ATTEMPTS):
        try:
            value = _generate(_rewrite(schema), seed + attempt)
            if is_valid(value):
                return value
        # jsf raises errors of many classes, for example for a pattern or a reference that it cannot resolve.
        except Exception as error:
            problem = f"the library jsf does not support it ({type(error).__name__})"
    raise UnsupportedSchemaError(problem)


def _generate(schema: dict[str, Any], seed: int) -> Any:
    from jsf import JSF  # type: ignore[import-untyped]  # it ships no types
    from jsf.schema_types import string  # type: ignore[import-untyped]

    with _RANDOM_LOCK:
        state = random.getstate()
        try:
            random.seed(seed)
            string.faker.seed_instance(seed)
            return json.loads(json.dumps(JSF(schema).generate()))
        finally:
            random.setstate(state)


def _rewrite(schema: Any) -> Any:
    """Return an equivalent or narrower schema that jsf supports, with bounds for lengths and numbers."""
    if schema is True:
        return {}
    if isinstance(schema, list):
        return [_rewrite(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    result = {keyword: _rewrite_keyword(keyword, value) for keyword, value in schema.items()}
    if len(result.get("allOf", ())) == 1:
        result |= result.pop("allOf")[0]
    if result.get("format") in _FIXED_TIMES:
        return {"const": _FIXED_TIMES[result["format"]]}
    if result.get("type") == "array":
        result.setdefault("items", {})
        result.setdefault("minItems", min(1, result.get("maxItems", 1)))
        result.setdefault("maxItems", result["minItems"] + 1)
    if result.get("type") in ("integer", "number"):
        _add_bounds(result)
    if result.get("type") == "string" and not {"pattern", "format", "enum", "const"} & set(result):
        result.setdefault("minLength", min(5, result.get("maxLength", 5)))
        result.setdefault("maxLength", result["minLength"] + 30)
    return result


def _rewrite_keyword(keyword: str, value: Any) -> Any:
    if keyword in ("properties", "$defs", "definitions") and isinstance(value, dict):
        return {name: _rewrite(entry) for name, entry in value.items()}
    if keyword in ("items", "additionalProperties", "anyOf", "oneOf", "allOf"):
        # Keep `additionalProperties: true`: jsf adds random members for the equivalent empty schema.
        return value if isinstance(value, bool) else _rewrite(value)
    return value


def _add_bounds(schema: dict[str, Any]) -> None:
    """Add the missing bound to a schema with one bound, because jsf's default bounds are 0 and 9999.

    In a narrow range, also restrict the number to multiples of a quarter of the range.
    """
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None and high is not None:
        schema["minimum"] = low = high - 100
    elif high is None and low is not None:
        schema["maximum"] = high = low + 100
    if schema["type"] == "number" and low is not None and high is not None and high - low <= 10:
        schema.setdefault("multipleOf", (high - low) / 4 or 1)
