"""Derive the JSON schema of a function from its signature, and turn JSON arguments into Python values. Pure.

pydantic generates the schema of the signature and validates the arguments, so every annotation that pydantic supports
works, and a function receives dates, enums and models as Python objects.

Strict mode guarantees arguments that match the schema, but supports a part of JSON Schema only. `strict_schema`
rewrites a schema for it:

- Every property is required. An optional one may be null, and null stands for its default, which is in its description.
- Keywords that strict mode does not support become text of the description. pydantic still validates them.
- A schema that cannot be expressed (a mapping with arbitrary keys, a value of any type) raises `NotStrictError`. The
  tool is then sent without strict mode.

openai's own transformation is not used: it keeps defaults, which the backend rejects, makes optional parameters
mandatory, and does not notice what strict mode cannot express.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, from_json, to_jsonable_python

from .._exceptions import ToolDefinitionError
from .._json import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "ArgumentsError",
    "NotStrictError",
    "Signature",
    "function_name",
    "parse_object",
    "strict_schema",
    "without_defaulted_nulls",
    "without_partials",
]

Schema = dict[str, Any]


class NotStrictError(ValueError):
    """Strict mode cannot express a schema. The message has the place and the reason."""


class ArgumentsError(ValueError):
    """The arguments of a call do not match the signature. The message is for the model."""


# --- signature -------------------------------------------------------------------------------------------------------

# Python 3.14 evaluates annotations on access. Those that cannot be evaluated must not matter unless they are needed.
_SIGNATURE_OPTIONS: Final[dict[str, Any]] = (
    {"annotation_format": __import__("annotationlib").Format.FORWARDREF} if sys.version_info >= (3, 14) else {}
)
_REMEDIES: Final = {
    inspect.Parameter.VAR_POSITIONAL: "Declare a parameter with a list type, such as `items: list[str]`.",
    inspect.Parameter.VAR_KEYWORD: "Declare a parameter with a mapping type, such as `options: dict[str, str]`.",
}


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A parameter that the model sets. `get_default` is None if it is required."""

    name: str
    annotation: Any
    description: str | None
    is_positional_only: bool
    get_default: Callable[[], Any] | None


class _SchemaGenerator(GenerateJsonSchema):
    # A default that JSON cannot represent is left out of the description.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as in pydantic


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature of a function as JSON schema and as validator.

    Attributes:
        schema: The schema of the arguments, in strict form if `is_strict`.
        is_strict: Whether strict mode can express the signature.
    """

    schema: Schema
    is_strict: bool
    _parameters: tuple[_Parameter, ...]
    _model: type[BaseModel]
    _source: Schema = field(repr=False)

    @classmethod
    def of(
        cls, function: Callable[..., Any], *, descriptions: Mapping[str, str], strict: bool | None = None
    ) -> Signature:
        """Read the signature of a function.

        `descriptions` are those of the docstring; a description in an annotation wins. With `strict=None`, strict mode
        is used if it can express the signature.

        Raises ToolDefinitionError with the name of the parameter if there is no schema for it, or if strict mode is
        demanded and impossible.
        """
        parameters = tuple(_read_parameters(function))
        model = _create_model(function, parameters)
        source = model.model_json_schema(schema_generator=_SchemaGenerator)
        for parameter in parameters:
            node = source["properties"][parameter.name]
            text = node.get("description") or parameter.description or descriptions.get(parameter.name)
            if text:
                node["description"] = text
            if parameter.get_default is not None:
                _set_default(node, parameter.get_default())
        schema, is_strict = _without_titles(source), False
        if strict is not False:
            try:
                schema, is_strict = strict_schema(source), True
            except NotStrictError as error:
                if strict:
                    raise ToolDefinitionError(
                        f"{function_name(function)}() cannot use strict mode: {error}. Change the type, or pass "
                        "strict=False."
                    ) from None
        return cls(schema, is_strict, parameters, model, source)

    def parse(self, arguments: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the positional and keyword arguments for the function from the JSON text of a call.

        Raises ArgumentsError with a text for the model.
        """
        value = without_defaulted_nulls(parse_object(arguments), self._source)
        try:
            validated = self._model.model_validate_json(encode(value))
        except ValidationError as error:
            raise ArgumentsError("\n".join(("Invalid arguments:", *map(_problem, error.errors())))) from None
        return self._bind(validated)

    def _bind(self, validated: BaseModel) -> tuple[tuple[Any, ...], dict[str, Any]]:
        positional: list[Any] = []
        by_keyword: dict[str, Any] = {}
        for index, parameter in enumerate(self._parameters):
            field_name = f"p{index}"
            value = getattr(validated, field_name)
            if parameter.get_default is not None and field_name not in validated.model_fields_set:
                value = parameter.get_default()
            if parameter.is_positional_only:
                positional.append(value)
            else:
                by_keyword[parameter.name] = value
        return tuple(positional), by_keyword


def parse_object(arguments: str) -> dict[str, Any]:
    """Return the JSON object in the text of a call. Raises ArgumentsError with a text for the model."""
    try:
        value = from_json(arguments or "{}")
    except ValueError as error:
        raise ArgumentsError(f"The arguments are not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ArgumentsError("The arguments must be a JSON object.")
    return value


def _read_parameters(function: Callable[..., Any]) -> Iterator[_Parameter]:
    # Arguments that `functools.partial` sets are not for the model.
    fixed: set[str] = set()
    partials: Any = function
    while isinstance(partials, partial):
        fixed |= partials.keywords.keys()
        partials = partials.func
    base: Any = inspect.unwrap(without_partials(function))
    base = base if inspect.isroutine(base) else type(base).__call__
    for parameter in inspect.signature(function, **_SIGNATURE_OPTIONS).parameters.values():
        if parameter.name in fixed:
            continue
        if parameter.kind in _REMEDIES:
            raise ToolDefinitionError(
                f"{function_name(function)}() has the parameter {str(parameter).partition(':')[0]}, which has no "
                f"schema. {_REMEDIES[parameter.kind]}"
            )
        annotation = _evaluate(function, parameter, getattr(base, "__globals__", {}))
        get_default = None if parameter.default is parameter.empty else partial(_identity, parameter.default)
        description = (
            next(filter(None, map(_as_description, get_args(annotation)[1:])), None)
            if (get_origin(annotation) is Annotated)
            else None
        )
        if isinstance(parameter.default, FieldInfo):  # `limit: int = Field(10, ge=1)`
            info = parameter.default
            annotation = Annotated[annotation, Field(description=info.description), *info.metadata]
            get_default = None if info.is_required() else partial(info.get_default, call_default_factory=True)
        is_positional_only = parameter.kind is parameter.POSITIONAL_ONLY
        yield _Parameter(parameter.name, annotation, description, is_positional_only, get_default)


def _identity(value: Any) -> Any:
    return value


def _as_description(metadata: object) -> str | None:
    return metadata if isinstance(metadata, str) else None


class _Annotations:
    """An object with annotations, for `get_type_hints`."""

    def __init__(self, annotations: dict[str, Any]) -> None:
        self.__annotations__ = annotations


def _evaluate(function: Callable[..., Any], parameter: inspect.Parameter, namespace: dict[str, Any]) -> Any:
    """Return the type of one parameter. The other annotations, and that of the result, need not exist at run time."""
    if parameter.annotation is parameter.empty:
        return Any
    stand_in = _Annotations({"value": parameter.annotation})
    try:
        return get_type_hints(stand_in, globalns=namespace, include_extras=True)["value"]
    except Exception as error:  # an annotation may be any expression
        raise ToolDefinitionError(
            f"{function_name(function)}() annotates the parameter {parameter.name!r} with {parameter.annotation!r}, "
            f"which cannot be evaluated ({error}). Define the type at the level of the module, not below TYPE_CHECKING."
        ) from error


def _create_model(function: Callable[..., Any], parameters: tuple[_Parameter, ...]) -> type[BaseModel]:
    """Create the model of the arguments. Its fields have own names: a parameter may be called `copy` or `_x`."""
    try:
        model = _model_of(parameters)
        model.model_json_schema(schema_generator=_SchemaGenerator)
    except Exception as error:  # pydantic has several classes, and a user's type may raise any other
        for parameter in parameters:
            try:
                _model_of((parameter,)).model_json_schema(schema_generator=_SchemaGenerator)
            except Exception as cause:
                raise ToolDefinitionError(
                    f"{function_name(function)}() has the parameter {parameter.name!r}, whose type "
                    f"{parameter.annotation!r} has no JSON schema: {str(cause).partition(chr(10))[0]}. Use a type that "
                    "pydantic supports."
                ) from cause
        raise ToolDefinitionError(f"{function_name(function)}() has no JSON schema: {error}") from error
    return model


def _model_of(parameters: tuple[_Parameter, ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for index, parameter in enumerate(parameters):
        # The default itself stays out of the model: it may be of a type that pydantic cannot copy or describe.
        default: dict[str, Any] = {} if parameter.get_default is None else {"default_factory": _none}
        fields[f"p{index}"] = (parameter.annotation, Field(alias=parameter.name, **default))
    model: type[BaseModel] = create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)
    return model


def _none() -> None:
    return None


def _set_default(node: Schema, default: Any) -> None:
    try:
        node["default"] = to_jsonable_python(default)
    except (PydanticSerializationError, ValueError):
        return


def without_partials(function: Any) -> Any:
    """Return the function that `functools.partial` objects call in the end."""
    while isinstance(function, partial):
        function = function.func
    return function


def function_name(function: Callable[..., Any]) -> str:
    """Return the name of a function, or that of the class of another callable."""
    base = without_partials(function)
    return str(getattr(base, "__name__", type(base).__name__))


def _problem(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    value = repr(error["input"])
    received = f" (received {value if len(value) <= 100 else value[:99] + '…'})" if error["type"] != "missing" else ""
    return f"- {place}: {error['msg']}{received}"


# --- strict mode -----------------------------------------------------------------------------------------------------

# Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
# fmt: off
_KEYWORDS: Final = frozenset((
    "$ref", "$defs", "additionalProperties", "anyOf", "const", "description", "enum", "exclusiveMaximum",
    "exclusiveMinimum", "format", "items", "maxItems", "maximum", "minItems", "minimum", "multipleOf", "pattern",
    "properties", "required", "type",
))
_FORMATS: Final = frozenset(("date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"))
# fmt: on
# Keywords that decide which values are valid. They cannot be moved into a description.
_INEXPRESSIBLE: Final = {
    "patternProperties": "is a mapping with arbitrary keys",
    "prefixItems": "is a tuple with an own type for each element",
    **dict.fromkeys(("not", "if", "then", "else", "dependentRequired"), "has a conditional schema"),
}
# Keywords without a meaning for the model.
_IGNORED: Final = frozenset(("title", "default", "discriminator"))
_JSON_TYPES: Final = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def strict_schema(source: Schema) -> Schema:
    """Return a schema for strict mode. The argument is not changed. Raises NotStrictError."""
    return _strict(source, source, "")


def _strict(node: Schema, root: Schema, path: str) -> Schema:
    place = path or "the schema"
    for keyword, reason in _INEXPRESSIBLE.items():
        if keyword in node:
            raise NotStrictError(f"{place} {reason}")
    node = _normalize(node, place)
    result: Schema = {}
    notes: list[str] = []
    for keyword, value in node.items():
        if keyword in ("$defs", "properties"):
            prefix = f"{path}." if path else ""
            result[keyword] = {
                name: _strict(child, root, name if keyword == "$defs" else f"{prefix}{name}")
                for name, child in value.items()
            }
        elif keyword == "items":
            result[keyword] = _strict(value, root, f"{path}[]")
        elif keyword == "anyOf":
            result[keyword] = [_strict(branch, root, path) for branch in value]
        elif keyword in _KEYWORDS and _is_supported(keyword, value):
            result[keyword] = value
        elif keyword not in _IGNORED:
            notes.append(f"{keyword}: {encode(value).decode()}")
    if node.get("type") == "object":
        _close_object(node, result, root, path)
    _add_text(result, notes)
    return result


def _is_supported(keyword: str, value: Any) -> bool:
    if keyword == "format":
        return value in _FORMATS
    return keyword != "pattern" or "(?" not in value  # no look-around


def _normalize(node: Schema, place: str) -> Schema:
    """Return the node with the keywords that strict mode has for `oneOf`, `allOf`, and a reference with siblings."""
    node = dict(node)
    if "oneOf" in node:
        node["anyOf"] = node.pop("oneOf")
    if "allOf" in node:
        branches = node.pop("allOf")
        if len(branches) > 1:
            raise NotStrictError(f"{place} combines several schemas")
        node = {**branches[0], **node}
    if "$ref" in node and len(node) > 1:
        node["anyOf"] = [{"$ref": node.pop("$ref")}]
    if "type" not in node:
        values = node.get("enum", [node["const"]] if "const" in node else [])
        types = list(dict.fromkeys(_JSON_TYPES[type(value)] for value in values if type(value) in _JSON_TYPES))
        if types:
            node["type"] = types[0] if len(types) == 1 else types
        elif "anyOf" not in node and "$ref" not in node:
            raise NotStrictError(f"{place} has no type, so any value is valid")
    if node.get("type") == "array" and "items" not in node:
        raise NotStrictError(f"{place} is a list of values of any type")
    return node


def _close_object(source: Schema, result: Schema, root: Schema, path: str) -> None:
    """Forbid other properties, and require all of them; null stands for the default of an optional one."""
    if source.get("additionalProperties", "properties" not in source):
        raise NotStrictError(f"{path or 'the schema'} is a mapping with arbitrary keys")
    required = source.get("required", [])
    properties = result.setdefault("properties", {})
    for name, child in source.get("properties", {}).items():
        if name in required:
            continue
        default = child.get("default", ...)
        if _accepts_null(child, root):
            if default is not None:
                raise NotStrictError(f"{path}.{name}".lstrip(".") + " may be null, but null is not its default")
            continue
        properties[name] = _nullable(properties[name])
        if default is not ... and default is not None:
            _add_text(properties[name], [f"default if null: {encode(default).decode()}"])
    result["required"] = list(properties)
    result["additionalProperties"] = False


def _nullable(node: Schema) -> Schema:
    node = dict(node)
    text = node.pop("description", None)
    branches = node["anyOf"] if node.keys() == {"anyOf"} else [node]
    return {"anyOf": [*branches, {"type": "null"}], **({} if text is None else {"description": text})}


def _add_text(node: Schema, notes: list[str]) -> None:
    if notes:
        text = node.get("description", "")
        node["description"] = f"{text} ({'; '.join(notes)})".strip()


def _without_titles(node: Any) -> Any:
    """Return a schema without the titles that pydantic generates, and with closed objects."""
    if isinstance(node, list):
        return [_without_titles(child) for child in node]
    if not isinstance(node, dict):
        return node
    result: Schema = {}
    for keyword, value in node.items():
        if keyword in ("properties", "$defs"):
            result[keyword] = {name: _without_titles(child) for name, child in value.items()}
        elif keyword in ("default", "const", "enum", "examples"):
            result[keyword] = value
        elif keyword != "title":
            result[keyword] = _without_titles(value)
    if "properties" in result:
        result.setdefault("additionalProperties", False)
    return result


# --- null for a default ----------------------------------------------------------------------------------------------


def without_defaulted_nulls(value: Any, node: Schema, root: Schema | None = None) -> Any:
    """Return a JSON value without the null members that stand for a default.

    These are null members of an object that the schema does not require and that may not be null themselves.
    """
    root = node if root is None else root
    branches = [*_branches(node, root)]
    if isinstance(value, list):
        items: Schema = next((branch["items"] for branch in branches if isinstance(branch.get("items"), dict)), {})
        return [without_defaulted_nulls(element, items, root) for element in value]
    if not isinstance(value, dict):
        return value
    branch = next((branch for branch in branches if _describes(branch, value, root)), {})
    properties, others = branch.get("properties", {}), branch.get("additionalProperties")
    result: dict[str, Any] = {}
    for name, member in value.items():
        child = properties.get(name, others if isinstance(others, dict) else {})
        is_optional = name in properties and name not in branch.get("required", ())
        if member is not None or not is_optional or _accepts_null(child, root):
            result[name] = without_defaulted_nulls(member, child, root)
    return result


def _branches(node: Schema, root: Schema, seen: frozenset[str] = frozenset()) -> Iterator[Schema]:
    """Yield the alternatives of a schema, with references resolved."""
    reference = node.get("$ref")
    if reference is not None:
        if reference not in seen:
            target = root["$defs"][reference.removeprefix("#/$defs/")]
            yield from _branches(target, root, seen | {reference})
        return
    nested = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]
    for child in nested:
        yield from _branches(child, root, seen)
    if not nested:
        yield node


def _describes(branch: Schema, value: dict[str, Any], root: Schema) -> bool:
    """Return whether an object has only members of this schema, and the values that tell it from other objects."""
    properties = branch.get("properties")
    if properties is None:
        return isinstance(branch.get("additionalProperties"), dict)
    if not value.keys() <= properties.keys():
        return False
    for name, member in value.items():
        known = [each["const"] if "const" in each else each.get("enum") for each in _branches(properties[name], root)]
        if len(known) == 1 and known[0] is not None and member is not None:
            allowed = known[0] if isinstance(known[0], list) else [known[0]]
            if member not in allowed:
                return False
    return True


def _accepts_null(node: Schema, root: Schema) -> bool:
    for branch in _branches(node, root):
        types = branch.get("type")
        if types == "null" or (isinstance(types, list) and "null" in types):
            return True
        if None in branch.get("enum", ()) or branch.get("const", ...) is None:
            return True
        if not branch.keys() - {"title", "description", "default"}:
            return True
    return False
