"""Validate model requests. The table `RULES` lists the rules in the order in which they are applied.

Each rule reproduces an error response that users of the real backend have reported, with its text, status and body. An
error body has one of two shapes. The Codex backend itself sends `{"detail": …}` (`_detail`). The Responses API behind
it sends `{"error": {…}}` (`_api_error`). Enable or disable a rule by its name:

    Simulator(validation_rules={"instructions_required": True})

The rule `wrong_type` has no recorded response of the Codex backend; it uses the error text of the public Responses API.
It runs early, because later rules and the default response rely on the JSON types.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any

from ..http.delivery import SimulatedResponse
from ..parsed_request import decode_encrypted_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..parsed_request import ParsedRequest

__all__ = ["RULES", "UNSUPPORTED_PARAMETERS", "RequestValidator", "ValidationRule"]


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """A validation rule. `check` returns the error response to an invalid request, or None if the request is valid."""

    name: str
    check: Callable[[ParsedRequest], SimulatedResponse | None]
    is_enabled_by_default: bool = True


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


def _detail(text: str) -> SimulatedResponse:
    return SimulatedResponse.json(400, {"detail": text})


def _api_error(text: str, *, param: str | None, code: str | None, status: int = 400) -> SimulatedResponse:
    error = {"message": text, "type": "invalid_request_error", "param": param, "code": code}
    return SimulatedResponse.json(status, {"error": error})


def _string_too_long_error(path: str, value: str, max_length: int) -> SimulatedResponse:
    return _api_error(
        f"Invalid '{path}': string too long. Expected a string with maximum length "
        f"{max_length}, but got a string with length {len(value)} instead.",
        param=path,
        code="string_above_max_length",
    )


def _detail_unless(
    predicate: Callable[[ParsedRequest], bool], text: str
) -> Callable[[ParsedRequest], SimulatedResponse | None]:
    """Return the check of a rule: requests for which the predicate is false get 400 with this `detail`."""
    return lambda request: None if predicate(request) else _detail(text)


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
    return _api_error("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")


def _check_parameter_names(request: ParsedRequest) -> SimulatedResponse | None:
    # The Codex CLI sends only this member of stream_options (Codex CLI: codex-api/src/common.rs).
    options = request.body.get("stream_options")
    is_cli_option = isinstance(options, dict) and set(options) == {"reasoning_summary_delivery"}
    for name in UNSUPPORTED_PARAMETERS:
        if name in request.body and not (name == "stream_options" and is_cli_option):
            return _detail(f"Unsupported parameter: {name}")
    return None


def _check_model_is_available(request: ParsedRequest) -> SimulatedResponse | None:
    if request.catalog_entry is not None:
        return None
    return _detail(f"The '{request.model}' model is not supported when using Codex with a ChatGPT account.")


def _check_reasoning_effort(request: ParsedRequest) -> SimulatedResponse | None:
    reasoning = request.body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    entry = request.catalog_entry
    # The Codex CLI can send a numeric effort, but the backend names words only.
    if not isinstance(effort, str) or entry is None or effort in entry.efforts:
        return None
    *first_names, last_name = [f"'{name}'" for name in entry.efforts]
    return _api_error(
        f"Unsupported value: '{effort}' is not supported with the '{request.model}' model. "
        f"Supported values are: {', '.join(first_names)}, and {last_name}.",
        param="reasoning.effort",
        code="unsupported_value",
    )


def _check_lite_parallel_tool_calls(request: ParsedRequest) -> SimulatedResponse | None:
    if request.headers.get(_LITE_HEADER) != "true" or request.body.get("parallel_tool_calls") is False:
        return None
    return _detail("X-OpenAI-Internal-Codex-Responses-Lite requires parallel_tool_calls to be false.")


def _check_prompt_cache_key(request: ParsedRequest) -> SimulatedResponse | None:
    key = request.body.get("prompt_cache_key")
    if not isinstance(key, str) or len(key) <= _CACHE_KEY_MAX_LENGTH:
        return None
    return _string_too_long_error("prompt_cache_key", key, _CACHE_KEY_MAX_LENGTH)


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
                    return _api_error(text, param=path, code="invalid_type")
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
            return _detail(f"Unsupported tool type: {tool_type}")
    return None


def _check_tool_names(request: ParsedRequest) -> SimulatedResponse | None:
    for index, tool in enumerate(request.body.get("tools") or []):
        if tool.get("type") in _NAMED_TOOL_TYPES and not re.fullmatch(_TOOL_NAME_PATTERN, str(tool.get("name", ""))):
            path = f"tools[{index}].name"
            return _api_error(
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
        return _api_error(message, param=self.param, code=self.code)


def _check_array_schemas(request: ParsedRequest) -> SimulatedResponse | None:
    for schema in _request_schemas(request):
        for path, node in _subschemas(schema.schema):
            if node.get("type") == "array" and not {"items", "prefixItems"} & set(node):
                return schema.error(path, "array schema missing items.")
    return None


def _check_strict_schemas(request: ParsedRequest) -> SimulatedResponse | None:
    for schema in _request_schemas(request):
        for path, node in _subschemas(schema.schema) if schema.is_strict else ():
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


# Input items

_CALL_ID_MAX_LENGTH = 64

# The allowed members of each item type that a client returns (Codex CLI: protocol/src/models.rs). Items of other types
# are not checked. `_COMMON_MEMBERS` are allowed on all of them; the Codex CLI adds the last one. The backend rejects a
# `status` only on a reasoning item.
_COMMON_MEMBERS = {"type", "id", "internal_chat_message_metadata_passthrough"}
_CALL_MEMBERS = {"call_id", "name", "namespace", "status", "caller"}
_MEMBERS_BY_ITEM_TYPE: dict[str, set[str]] = {
    "message": {"role", "content", "phase", "status"},
    "reasoning": {"summary", "content", "encrypted_content"},
    "function_call": {*_CALL_MEMBERS, "arguments", "encrypted_function_args", "async"},
    "function_call_output": {*_CALL_MEMBERS, "output"},
    "custom_tool_call": {*_CALL_MEMBERS, "input", "async"},
    "custom_tool_call_output": {*_CALL_MEMBERS, "output"},
    "compaction": {"encrypted_content", "created_by"},
    "compaction_trigger": set(),
}
_CALL_TYPE_OF_OUTPUT = {
    "function_call_output": "function_call",
    "custom_tool_call_output": "custom_tool_call",
}


def _check_item_members(request: ParsedRequest) -> SimulatedResponse | None:
    for index, item in enumerate(request.items()):
        allowed_members = _MEMBERS_BY_ITEM_TYPE.get(item["type"])
        if allowed_members is None:
            continue
        for name in item:
            if name not in _COMMON_MEMBERS | allowed_members:
                path = f"input[{index}].{name}"
                return _api_error(f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")
    return None


def _check_call_ids(request: ParsedRequest) -> SimulatedResponse | None:
    for index, item in enumerate(request.items()):
        call_id = item.get("call_id")
        path = f"input[{index}].call_id"
        if not isinstance(call_id, str):
            continue
        if len(call_id) > _CALL_ID_MAX_LENGTH:
            return _string_too_long_error(path, call_id, _CALL_ID_MAX_LENGTH)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", call_id):
            return _api_error(
                f"Invalid '{path}': '{call_id}'. Expected an ID that contains letters, numbers, underscores, "
                "or dashes, but this value contained additional characters.",
                param=path,
                code="invalid_value",
            )
    return None


def _check_item_references(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject an item that has an id but no content: with `store: false` the backend stores no items."""
    for item in request.items():
        is_reference = item["type"] == "item_reference"
        is_empty_reasoning = item["type"] == "reasoning" and item.get("id") and not item.get("encrypted_content")
        if is_reference or is_empty_reasoning:
            return _api_error(
                f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to "
                "false. Try again with `store` set to true, or remove this item from your input.",
                param="input",
                code=None,
                status=404,
            )
    return None


def _check_encrypted_content(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject encrypted content of another account and, in reasoning items, of another model."""
    for item in request.items():
        content = item.get("encrypted_content")
        if content is None or item["type"] not in ("reasoning", "compaction"):
            continue
        payload = decode_encrypted_content(content) or {}
        # A compaction item contains no model, so it is valid for every model.
        is_same_model = payload.get("model") in (None, request.model)
        if payload.get("account") != request.account.account_id or not is_same_model:
            return _api_error(
                f"The encrypted content {str(content)[:10]}... could not be verified. "
                "Reason: Encrypted content could not be decrypted or parsed.",
                param=None,
                code="invalid_encrypted_content",
            )
    return None


def _check_outputs_have_calls(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject a tool output if its call does not precede it in the input."""
    preceding_items: set[tuple[str, Any]] = set()
    for item in request.items():
        preceding_items.add((item["type"], item.get("call_id")))
        call_type = _CALL_TYPE_OF_OUTPUT.get(item["type"])
        if call_type is not None and (call_type, item.get("call_id")) not in preceding_items:
            return _api_error(
                f"No tool call found for {item['type'].replace('_', ' ')} with call_id {item.get('call_id')}.",
                param="input",
                code=None,
            )
    return None


def _check_calls_have_outputs(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject a tool call if the input has no output for it."""
    output_call_ids = {item.get("call_id") for item in request.items() if item["type"] in _CALL_TYPE_OF_OUTPUT}
    for item in request.items():
        if item["type"] in _CALL_TYPE_OF_OUTPUT.values() and item.get("call_id") not in output_call_ids:
            call_name = item["type"].replace("_", " ")
            return _api_error(f"No tool output found for {call_name} {item.get('call_id')}.", param="input", code=None)
    return None


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
    ValidationRule("unknown_member", _check_item_members),
    ValidationRule("call_id", _check_call_ids),
    ValidationRule("item_reference", _check_item_references),
    ValidationRule("encrypted_content", _check_encrypted_content),
    ValidationRule("orphaned_output", _check_outputs_have_calls),
    ValidationRule("missing_output", _check_calls_have_outputs),
)
