"""Make a JSON value that fits a JSON schema, with the words of a prompt where they fit.

The library `jsf` makes a value from the schema alone; then fields are filled from the prompt, each only where the
schema allows it. The result is always checked with `jsonschema`; when no value fits, `NoInstance` is raised.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
import threading
from typing import TYPE_CHECKING, Any

from .words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["NoInstance", "instance_of"]

# jsf draws from the random module's own generator, which belongs to the program under test: it is put back after.
_RANDOM = threading.Lock()
_TRIES = 24

# Made from the present time by the library, which would differ from run to run.
_MOMENTS = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T09:30:00Z",
    "time": "09:30:00Z",
}


class NoInstance(ValueError):
    """No value could be made that fits the schema; a scripted `Turn` can give one."""


def instance_of(schema: Mapping[str, Any], prompt: str = "") -> Any:
    """Return a value that fits the schema; the same schema and prompt give the same value."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        raise NoInstance(f"it is no JSON schema: {error.message}") from None
    fits = Draft202012Validator(dict(schema)).is_valid
    seed = int(hashlib.sha256(json.dumps([schema, prompt], sort_keys=True).encode()).hexdigest()[:8], 16)
    problem = "no value that the library made fits it"
    for attempt in range(_TRIES):
        try:
            made = _draw(_easier(schema), seed + attempt)
            filled = _Form(schema, prompt).fill(schema, made)
            fitting = [value for value in (filled, made) if fits(value)]
        except Exception as error:  # also a pattern or a reference that is none
            problem = f"the library cannot read it ({type(error).__name__})"
            continue
        if fitting:
            return fitting[0]
    raise NoInstance(problem)


def _draw(schema: dict[str, Any], seed: int) -> Any:
    from jsf import JSF  # type: ignore[import-untyped]  # it ships no types
    from jsf.schema_types import string  # type: ignore[import-untyped]

    with _RANDOM:
        before = random.getstate()
        try:
            random.seed(seed)
            string.faker.seed_instance(seed)
            return json.loads(json.dumps(JSF(schema).generate()))
        finally:
            random.setstate(before)


def _easier(schema: Any) -> Any:
    """Rewrite what the library cannot read, and ask for text and elements where a model would give some."""
    if schema is True:
        return {}
    if isinstance(schema, list):
        return [_easier(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    easier = {word: _inner(word, value) for word, value in schema.items()}
    if len(easier.get("allOf", ())) == 1:
        easier |= easier.pop("allOf")[0]
    if easier.get("type") == "array":
        easier.setdefault("items", {})
        easier.setdefault("minItems", min(1, easier.get("maxItems", 1)))
        easier.setdefault("maxItems", easier["minItems"] + 1)
    if easier.get("type") in ("integer", "number"):
        _bound(easier)
    if easier.get("type") == "string" and not {"pattern", "format", "enum", "const"} & set(easier):
        easier.setdefault("minLength", min(5, easier.get("maxLength", 5)))
        easier.setdefault("maxLength", easier["minLength"] + 30)
    return easier


def _bound(schema: dict[str, Any]) -> None:
    """Give a number both bounds, since the library's own are 0 and 9999, and small steps where they are close."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None and high is not None:
        schema["minimum"] = low = high - 100
    elif high is None and low is not None:
        schema["maximum"] = high = low + 100
    if schema["type"] == "number" and low is not None and high is not None and high - low <= 10:
        schema.setdefault("multipleOf", (high - low) / 4 or 1)


def _inner(word: str, value: Any) -> Any:
    if word in ("properties", "$defs", "definitions") and isinstance(value, dict):
        return {name: _easier(each) for name, each in value.items()}
    if word in ("items", "additionalProperties", "anyOf", "oneOf", "allOf"):
        # `additionalProperties: true` says nothing; as a schema it would invite made-up members.
        return value if isinstance(value, bool) else _easier(value)
    return copy.deepcopy(value)


class _Form:
    """Fills the fields of a made value from the words of a prompt."""

    def __init__(self, root: Mapping[str, Any], prompt: str) -> None:
        self._root = root
        self._words = Words(prompt)

    def fill(self, schema: Any, value: Any, field: str = "") -> Any:
        """Return the value with what the prompt says, wherever the schema allows that."""
        choices = self._choices(schema)
        if isinstance(value, dict):
            return self._fill_object(choices, value)
        if isinstance(value, list):
            return self._fill_array(choices, value, field)
        for choice in choices:
            offer = self._offer(choice, field)
            if offer is not None and _is_valid(choice, offer):
                return offer
        return value

    def _choices(self, schema: Any) -> list[Mapping[str, Any]]:
        """Return the schema, or the alternatives that it is made of, references followed."""
        schema = self._follow(schema)
        inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        return [found for each in inner for found in self._choices(each)] or [schema]

    def _follow(self, schema: Any) -> Mapping[str, Any]:
        for _ in range(10):  # a reference to a reference, but not round in a ring
            if not isinstance(schema, dict) or not str(schema.get("$ref", "")).startswith("#"):
                break
            target: Any = self._root
            for step in schema["$ref"][1:].strip("/").split("/"):
                target = target.get(step.replace("~1", "/").replace("~0", "~"), {}) if step else target
            schema = target
        return schema if isinstance(schema, dict) else {}

    def _fill_object(self, choices: Iterable[Mapping[str, Any]], value: dict[str, Any]) -> dict[str, Any]:
        offered = [choice.get("properties", {}) for choice in choices]
        properties: dict[str, Any] = next((each for each in offered if set(each) >= set(value)), {})
        # Lists first: they take the names of several people, a single field would take the first of them away.
        order = sorted(value, key=lambda name: not isinstance(value[name], list))
        filled = {name: self.fill(properties.get(name, {}), value[name], name) for name in order}
        return {name: filled[name] for name in value}

    def _fill_array(self, choices: Iterable[Mapping[str, Any]], value: list[Any], field: str) -> list[Any]:
        array = next((choice for choice in choices if choice.get("type") == "array"), {})
        items = self._follow(array.get("items", {}))
        if items.get("type") == "string" and "enum" not in items:
            names = self._words.strings()
            return names if names and _is_valid(array, names) else value
        return [self.fill(items, each, field) for each in value]

    def _offer(self, schema: Mapping[str, Any], field: str) -> Any:
        if "const" in schema:
            return None
        if "enum" in schema:
            return self._words.one_of([each for each in schema["enum"] if isinstance(each, str)])
        if schema.get("format") in _MOMENTS:
            said = self._words.string(field)
            return said if said and said[:4].isdigit() else _MOMENTS[schema["format"]]
        offers: dict[Any, Callable[[], Any]] = {
            "integer": self._words.integer,
            "number": self._words.number,
            "string": lambda: self._words.string(field),
        }
        kind = schema.get("type")
        kinds = kind if isinstance(kind, list) else [kind]
        return next((offers[each]() for each in kinds if each in offers), None)


def _is_valid(schema: Mapping[str, Any], value: Any) -> bool:
    from jsonschema import Draft202012Validator
    from referencing.exceptions import Unresolvable

    try:
        return Draft202012Validator(dict(schema)).is_valid(value)
    except Unresolvable:  # a reference within: the whole value is checked in the end
        return True
