"""Validate model requests. The table `RULES` lists the rules in the order in which they are applied.

Each rule reproduces an error response that users of the real backend have reported, with its text, status and body. The
rules for input items are in `item_rules`. Enable or disable a rule by its name:

    Simulator(validation_rules={"instructions_required": True})

The rule `wrong_type` has no recorded response of the Codex backend; it uses the error text of the public Responses API.
It runs early, because later rules and the default response rely on the JSON types.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any

from .item_rules import ITEM_RULES
from .validation_rule import ValidationRule, api_error, detail_error, quoted_list, string_too_long_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..http.delivery import SimulatedResponse
    from ..parsed_request import ParsedRequest

__all__ = ["RULES", "UNSUPPORTED_PARAMETERS", "RequestValidator", "ValidationRule"]


class RequestValidator:
    """Validator of model requests. `validation_rules` enables (True) or disables (False) rules by name."""

    def __init__(self, validation_rules: Mapping[str, bool] | None = None) -> None:
        validation_rules = validation_rules or {}
        unknown_names = sorted(set(validation_rules) - {rule.name for rule in RULES})
        if unknown_names:
            names = ", ".join(rule.name for rule in RULES)
            raise ValueError(
                f"Unknown validation rule: {', '.join(unknown_names)}. "
                f"Pass only these names in `validation_rules`: {names}."
            )
        self._rules = [rule for rule in RULES if validation_rules.get(rule.name, rule.is_enabled_by_default)]

    def check(self, request: ParsedRequest) -> SimulatedResponse | None:
        """Return the error response of the first rule that the request violates, or None if the request is valid."""
        return next((response for rule in self._rules if (response := rule.check(request)) is not None), None)


def _detail_unless(
    predicate: Callable[[ParsedRequest], bool], text: str
) -> Callable[[ParsedRequest], SimulatedResponse | None]:
    """Return the check of a rule: requests for which the predicate is false get 400 with this `detail`."""
    return lambda request: None if predicate(request) else detail_error(text)


# Top-level parameters

UNSUPPORTED_PARAMETERS = (
    "background",
    "context_management",
    "conversation",
    "conversation_id",
    "frequency_penalty",
    "max_output_tokens",
    "max_tokens",
    "max_tool_calls",
    "metadata",
    "presence_penalty",
    "previous_response_id",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "seed",
    "session_id",
    "stream_options",
    "temperature",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)
_CACHE_KEY_MAX_LENGTH = 64
_LITE_HEADER = "x-openai-internal-codex-responses-lite"


def _check_model_is_present(request: ParsedRequest) -> SimulatedResponse | None:
    if request.body.get("model"):
        return None
    return api_error("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")


def _check_parameter_names(request: ParsedRequest) -> SimulatedResponse | None:
    # The Codex CLI sends only this member of stream_options (Codex CLI: codex-api/src/common.rs).
    options = request.body.get("stream_options")
    is_cli_option = isinstance(options, dict) and set(options) == {"reasoning_summary_delivery"}
    for name in UNSUPPORTED_PARAMETERS:
        if name in request.body and not (name == "stream_options" and is_cli_option):
            return detail_error(f"Unsupported parameter: {name}")
    return None


def _check_model_is_available(request: ParsedRequest) -> SimulatedResponse | None:
    if request.catalog_entry is not None:
        return None
    return detail_error(f"The '{request.model}' model is not supported when using Codex with a ChatGPT account.")


def _check_reasoning_effort(request: ParsedRequest) -> SimulatedResponse | None:
    entry = request.catalog_entry
    updates = [item for item in request.items() if item["type"] == "configuration_update"]
    settings = [each.get("reasoning") for each in (request.body, *updates)]
    efforts = [each.get("effort") for each in settings if isinstance(each, dict)]
    # The Codex CLI can send a numeric effort, but the backend names words only.
    invalid = [each for each in efforts if isinstance(each, str) and entry is not None and each not in entry.efforts]
    if entry is None or not invalid:
        return None
    return api_error(
        f"Unsupported value: '{invalid[0]}' is not supported with the '{request.model}' model. "
        f"Supported values are: {quoted_list(entry.efforts)}.",
        param="reasoning.effort",
        code="unsupported_value",
    )


def _check_lite_parallel_tool_calls(request: ParsedRequest) -> SimulatedResponse | None:
    if request.headers.get(_LITE_HEADER) != "true" or request.body.get("parallel_tool_calls") is False:
        return None
    return detail_error("X-OpenAI-Internal-Codex-Responses-Lite requires parallel_tool_calls to be false.")


def _check_prompt_cache_key(request: ParsedRequest) -> SimulatedResponse | None:
    key = request.body.get("prompt_cache_key")
    if not isinstance(key, str) or len(key) <= _CACHE_KEY_MAX_LENGTH:
        return None
    return string_too_long_error("prompt_cache_key", key, _CACHE_KEY_MAX_LENGTH)


# JSON types. Parameters that are not listed here are not checked. null means that a parameter is absent.

_EXPECTED_TYPES: tuple[tuple[tuple[type, ...], tuple[str, ...]], ...] = (
    ((str,), ("model", "instructions", "service_tier", "prompt_cache_key", "include[]", "reasoning.summary")),
    ((str,), ("text.verbosity", "text.format.type", "text.format.name")),
    ((str,), ("tools[].type", "tools[].name", "tools[].description")),
    ((str,), ("tool_choice.type", "tool_choice.name", "tool_choice.mode", "tool_choice.tools[].name")),
    ((str,), ("input[].type", "input[].id", "input[].role", "input[].call_id", "input[].encrypted_content")),
    ((bool,), ("parallel_tool_calls", "tools[].strict", "text.format.strict")),
    ((list,), ("tools", "tools[].tools", "tool_choice.tools", "include", "input[].tools")),
    ((dict,), ("reasoning", "text", "text.format", "text.format.schema", "client_metadata")),
    ((dict,), ("tools[]", "tools[].parameters", "tools[].tools[]", "tool_choice.tools[]")),
    ((dict,), ("input[]", "input[].content[]", "input[].tools[]")),
    ((str, list), ("input[].content",)),
    ((str, list, dict), ("input[].output",)),
    ((str, dict), ("tool_choice",)),
    ((str, int, float), ("reasoning.effort",)),  # the Codex CLI can send a numeric effort
)
_TYPE_NAMES = {
    str: "a string",
    list: "an array",
    dict: "an object",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    NoneType: "null",
}


def _check_types(request: ParsedRequest) -> SimulatedResponse | None:
    for types, patterns in _EXPECTED_TYPES:
        for pattern in patterns:
            for path, value in _matching_values(request.body, pattern.split(".")):
                if type(value) not in types:
                    expected = " or ".join(_TYPE_NAMES[expected_type] for expected_type in types)
                    actual = _TYPE_NAMES[type(value)]
                    text = f"Invalid type for '{path}': expected {expected}, but got {actual} instead."
                    return api_error(text, param=path, code="invalid_type")
    return None


def _matching_values(value: Any, keys: Sequence[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path (`input[2].role`) and the value of each match of a pattern (`input[].role`, split into keys)."""
    if not keys:
        yield path, value
        return
    name, is_array_pattern = keys[0].removesuffix("[]"), keys[0].endswith("[]")
    child = value.get(name) if isinstance(value, dict) else None
    child_path = f"{path}.{name}" if path else name
    if not is_array_pattern and child is not None:
        yield from _matching_values(child, keys[1:], child_path)
    elif is_array_pattern and isinstance(child, list):
        for index, element in enumerate(child):
            yield from _matching_values(element, keys[1:], f"{child_path}[{index}]")


# Tools and schemas

_NAMED_TOOL_TYPES = ("function", "custom", "namespace")
_TOOL_NAME_PATTERN = "^[a-zA-Z0-9_-]+$"
_TOOL_TYPES = frozenset({"function", "custom", "namespace", "tool_search", "web_search", "image_generation"})


def _check_tool_types(request: ParsedRequest) -> SimulatedResponse | None:
    for tool in request.body.get("tools") or []:
        tool_type = tool.get("type") if isinstance(tool, dict) else None
        if tool_type not in _TOOL_TYPES:
            return detail_error(f"Unsupported tool type: {tool_type}")
    return None


def _check_tool_names(request: ParsedRequest) -> SimulatedResponse | None:
    for index, tool in enumerate(request.body.get("tools") or []):
        if tool.get("type") in _NAMED_TOOL_TYPES and not re.fullmatch(_TOOL_NAME_PATTERN, str(tool.get("name", ""))):
            path = f"tools[{index}].name"
            return api_error(
                f"Invalid '{path}': string does not match pattern. "
                f"Expected a string that matches the pattern '{_TOOL_NAME_PATTERN}'.",
                param=path,
                code="invalid_value",
            )
    return None


@dataclass(frozen=True, slots=True)
class _RequestSchema:
    """A JSON schema of the request, and the members of the error for an invalid one."""

    schema: Any
    is_strict: bool
    error_prefix: str
    param: str
    code: str

    def error(self, path: tuple[str, ...], text: str) -> SimulatedResponse:
        message = f"{self.error_prefix} In context={path!r}, {text}"
        return api_error(message, param=self.param, code=self.code)


def _check_array_schemas(request: ParsedRequest) -> SimulatedResponse | None:
    for schema in _request_schemas(request):
        for path, node in _subschemas(schema.schema):
            if node.get("type") == "array" and not {"items", "prefixItems"} & set(node):
                return schema.error(path, "array schema missing items.")
    return None


_TYPE_KEYWORDS = frozenset({"type", "anyOf", "oneOf", "allOf", "$ref"})
# https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
_STRICT_FORMATS = ("date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid")


def _check_strict_schemas(request: ParsedRequest) -> SimulatedResponse | None:
    for schema in _request_schemas(request):
        for path, node in _subschemas(schema.schema) if schema.is_strict else ():
            if not _TYPE_KEYWORDS & node.keys():  # can1357/oh-my-pi#211
                return schema.error(path, "schema must have a 'type' key.")
            if node.get("format", "date") not in _STRICT_FORMATS:  # can1357/oh-my-pi#206
                return schema.error(path, f"'{node['format']}' is not a valid format.")
            if node.get("type") != "object":
                continue
            required = {str(name) for name in _array_member(node, "required")}
            optional = sorted(set(_object_member(node, "properties")) - required)
            if node.get("additionalProperties") is not False:
                return schema.error(path, "'additionalProperties' is required to be supplied and to be false.")
            if optional:
                return schema.error(
                    path,
                    "'required' is required to be supplied and to be an array including every key in "
                    f"properties. Missing '{optional[0]}'.",
                )
    return None


def _request_schemas(request: ParsedRequest) -> Iterator[_RequestSchema]:
    """Yield the schemas of the functions and of the structured output."""
    for index, tool in enumerate(request.body.get("tools") or []):
        if tool.get("type") == "function":
            yield _RequestSchema(
                schema=tool.get("parameters"),
                is_strict=bool(tool.get("strict")),
                error_prefix=f"Invalid schema for function '{tool.get('name')}':",
                param=f"tools[{index}].parameters",
                code="invalid_function_parameters",
            )
    text = request.body.get("text")
    output_format = text.get("format") if isinstance(text, dict) else None
    if isinstance(output_format, dict) and output_format.get("type") == "json_schema":
        yield _RequestSchema(
            schema=output_format.get("schema"),
            is_strict=bool(output_format.get("strict")),
            error_prefix=f"Invalid schema for response_format '{output_format.get('name')}':",
            param="text.format.schema",
            code="invalid_json_schema",
        )


def _subschemas(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield the schema and all nested schemas, each with its path."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for keyword in ("properties", "$defs", "definitions"):
        for name, child in _object_member(schema, keyword).items():
            yield from _subschemas(child, (*path, keyword, name))
    for keyword in ("items", "additionalProperties"):
        yield from _subschemas(schema.get(keyword), (*path, keyword))
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for index, child in enumerate(_array_member(schema, keyword)):
            yield from _subschemas(child, (*path, keyword, str(index)))


def _object_member(schema: dict[str, Any], keyword: str) -> dict[str, Any]:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


def _array_member(schema: dict[str, Any], keyword: str) -> list[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


RULES: tuple[ValidationRule, ...] = (
    ValidationRule("model_required", _check_model_is_present),
    ValidationRule("store_false", _detail_unless(lambda r: r.body.get("store") is False, "Store must be set to false")),
    ValidationRule("stream_true", _detail_unless(lambda r: r.body.get("stream") is True, "Stream must be set to true")),
    ValidationRule("unsupported_parameter", _check_parameter_names),
    ValidationRule(
        "input_list", _detail_unless(lambda r: isinstance(r.body.get("input"), list), "Input must be a list")
    ),
    ValidationRule("wrong_type", _check_types),
    ValidationRule(
        "no_system_message",
        _detail_unless(
            lambda r: all(item.get("role") != "system" for item in r.items()), "System messages are not allowed"
        ),
    ),
    # Reported until June 2026. Disabled by default, because current versions of the Codex CLI send no instructions.
    ValidationRule(
        "instructions_required",
        _detail_unless(lambda r: bool(r.body.get("instructions")), "Instructions are required"),
        is_enabled_by_default=False,
    ),
    ValidationRule(
        "service_tier",
        _detail_unless(lambda r: r.body.get("service_tier") != "auto", "Unsupported service_tier: auto"),
    ),
    ValidationRule("model_available", _check_model_is_available),
    ValidationRule("reasoning_effort", _check_reasoning_effort),
    ValidationRule("lite_parallel_tool_calls", _check_lite_parallel_tool_calls),
    ValidationRule("prompt_cache_key", _check_prompt_cache_key),
    ValidationRule("tool_type", _check_tool_types),
    ValidationRule("tool_name", _check_tool_names),
    ValidationRule("array_items", _check_array_schemas),
    ValidationRule("strict_schema", _check_strict_schemas),
    *ITEM_RULES,
)
