"""The checks that a model request has to pass: one table, `RULES`, in the order in which they are applied.

Each rule stands for a response that users of the real backend have reported, with the backend's text, status and body.
There are two body shapes: `{"detail": …}` comes from the Codex backend itself (`_detail`), `{"error": {…}}` from the
Responses API behind it (`_api_error`). A rule can be turned on or off by its name:

    Simulator(validation_rules={"instructions_required": True})

`wrong_type` is not recorded for the Codex backend: its text is that of the public Responses API. It comes early, so that
the later rules and the default response can rely on JSON types.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any

from ..http.delivery import SimulatedResponse
from ..parsed_request import read_encrypted_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..parsed_request import ParsedRequest

__all__ = ["RULES", "UNSUPPORTED_PARAMETERS", "RequestValidator", "ValidationRule"]


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """`check` returns the response to an invalid request, or None for a valid one."""

    name: str
    check: Callable[[ParsedRequest], SimulatedResponse | None]
    is_default: bool = True


class RequestValidator:
    """Apply the rules that are turned on; `switches` maps names of rules to True or False."""

    def __init__(self, switches: Mapping[str, bool] | None = None) -> None:
        switches = switches or {}
        unknown = sorted(set(switches) - {rule.name for rule in RULES})
        if unknown:
            names = ", ".join(rule.name for rule in RULES)
            raise ValueError(f"Unknown validation rule: {', '.join(unknown)}. Rules: {names}")
        self._rules = [rule for rule in RULES if switches.get(rule.name, rule.is_default)]

    def check(self, request: ParsedRequest) -> SimulatedResponse | None:
        """Return the response of the first rule that the request violates, or None."""
        return next((error for rule in self._rules if (error := rule.check(request)) is not None), None)


def _detail(text: str) -> SimulatedResponse:
    return SimulatedResponse.json(400, {"detail": text})


def _api_error(text: str, *, param: str | None, code: str | None, status: int = 400) -> SimulatedResponse:
    error = {"message": text, "type": "invalid_request_error", "param": param, "code": code}
    return SimulatedResponse.json(status, {"error": error})


def _require(
    is_valid: Callable[[ParsedRequest], bool], text: str
) -> Callable[[ParsedRequest], SimulatedResponse | None]:
    return lambda request: None if is_valid(request) else _detail(text)


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


def _model_required(request: ParsedRequest) -> SimulatedResponse | None:
    if request.body.get("model"):
        return None
    return _api_error("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")


def _unsupported_parameter(request: ParsedRequest) -> SimulatedResponse | None:
    # The Codex CLI itself sends this one member of stream_options (Codex CLI: codex-api/src/common.rs).
    options = request.body.get("stream_options")
    is_cli_option = isinstance(options, dict) and set(options) == {"reasoning_summary_delivery"}
    for name in UNSUPPORTED_PARAMETERS:
        if name in request.body and not (name == "stream_options" and is_cli_option):
            return _detail(f"Unsupported parameter: {name}")
    return None


def _model_available(request: ParsedRequest) -> SimulatedResponse | None:
    if request.model_catalog.find(request.model) is not None:
        return None
    return _detail(f"The '{request.model}' model is not supported when using Codex with a ChatGPT account.")


def _reasoning_effort(request: ParsedRequest) -> SimulatedResponse | None:
    reasoning = request.body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    entry: dict[str, Any] = request.model_catalog.find(request.model) or {}
    levels = [level["effort"] for level in entry.get("supported_reasoning_levels", [])]
    # The Codex CLI sends a numeric effort as a number; the levels of the catalog are names.
    if not isinstance(effort, str) or not levels or effort in levels:
        return None
    names = ", ".join(f"'{level}'" for level in levels)
    return _api_error(
        f"Unsupported value: '{effort}' is not supported with the '{request.model}' model. "
        f"Supported values are: {names}.",
        param="reasoning.effort",
        code="unsupported_value",
    )


def _lite_parallel_tool_calls(request: ParsedRequest) -> SimulatedResponse | None:
    if request.headers.get(_LITE_HEADER) != "true" or request.body.get("parallel_tool_calls") is False:
        return None
    return _detail("X-OpenAI-Internal-Codex-Responses-Lite requires parallel_tool_calls to be false.")


def _prompt_cache_key(request: ParsedRequest) -> SimulatedResponse | None:
    key = request.body.get("prompt_cache_key")
    if not isinstance(key, str) or len(key) <= _CACHE_KEY_MAX_LENGTH:
        return None
    return _too_long("prompt_cache_key", key, _CACHE_KEY_MAX_LENGTH)


def _too_long(path: str, value: str, limit: int) -> SimulatedResponse:
    return _api_error(
        f"Invalid '{path}': string too long. Expected a string with maximum length "
        f"{limit}, but got a string with length {len(value)} instead.",
        param=path,
        code="string_above_max_length",
    )


# JSON types. The types of other parameters are not known, and null counts as absent.

_PATHS_OF_TYPES: tuple[tuple[tuple[type, ...], tuple[str, ...]], ...] = (
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
    ((str, int, float), ("reasoning.effort",)),  # the Codex CLI sends a numeric effort as a number
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


def _wrong_type(request: ParsedRequest) -> SimulatedResponse | None:
    for types, patterns in _PATHS_OF_TYPES:
        values = (match for pattern in patterns for match in _values_at(request.body, pattern.split(".")))
        for path, value in values:
            if type(value) not in types:
                expected = " or ".join(_TYPE_NAMES[allowed] for allowed in types)
                text = f"Invalid type for '{path}': expected {expected}, but got {_TYPE_NAMES[type(value)]} instead."
                return _api_error(text, param=path, code="invalid_type")
    return None


def _values_at(value: Any, steps: Sequence[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value that a pattern such as `input[].role` matches, with its path: `input[2].role`."""
    if not steps:
        yield path, value
        return
    name, is_array = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    inner = value.get(name) if isinstance(value, dict) else None
    inner_path = f"{path}.{name}" if path else name
    if not is_array and inner is not None:
        yield from _values_at(inner, steps[1:], inner_path)
    elif is_array and isinstance(inner, list):
        for index, element in enumerate(inner):
            yield from _values_at(element, steps[1:], f"{inner_path}[{index}]")


# Tools and schemas

_NAMED_TOOL_TYPES = ("function", "custom", "namespace")
_TOOL_NAME = "^[a-zA-Z0-9_-]+$"
_TOOL_TYPES = frozenset({"function", "custom", "namespace", "tool_search", "web_search", "image_generation"})


def _tool_type(request: ParsedRequest) -> SimulatedResponse | None:
    for tool in request.body.get("tools") or []:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in _TOOL_TYPES:
            return _detail(f"Unsupported tool type: {kind}")
    return None


def _tool_name(request: ParsedRequest) -> SimulatedResponse | None:
    for index, tool in enumerate(request.body.get("tools") or []):
        if tool.get("type") in _NAMED_TOOL_TYPES and not re.fullmatch(_TOOL_NAME, str(tool.get("name", ""))):
            path = f"tools[{index}].name"
            return _api_error(
                f"Invalid '{path}': string does not match pattern. "
                f"Expected a string that matches the pattern '{_TOOL_NAME}'.",
                param=path,
                code="invalid_value",
            )
    return None


def _array_items(request: ParsedRequest) -> SimulatedResponse | None:
    for schema, prefix, param, code in _schemas(request, strict_only=False):
        for path, node in _subschemas(schema):
            if node.get("type") == "array" and not {"items", "prefixItems"} & set(node):
                return _api_error(f"{prefix} In context={path!r}, array schema missing items.", param=param, code=code)
    return None


def _strict_schema(request: ParsedRequest) -> SimulatedResponse | None:
    for schema, prefix, param, code in _schemas(request, strict_only=True):
        for path, node in _subschemas(schema):
            if node.get("type") != "object":
                continue
            optional = sorted(set(_dict(node, "properties")) - {str(name) for name in _list(node, "required")})
            if node.get("additionalProperties") is not False:
                text = "'additionalProperties' is required to be supplied and to be false."
            elif optional:
                text = (
                    "'required' is required to be supplied and to be an array including every key in "
                    f"properties. Missing '{optional[0]}'."
                )
            else:
                continue
            return _api_error(f"{prefix} In context={path!r}, {text}", param=param, code=code)
    return None


def _schemas(request: ParsedRequest, *, strict_only: bool) -> Iterator[tuple[Any, str, str, str]]:
    """Yield (schema, beginning of the error text, param, code) for each function and for the structured output."""
    for index, tool in enumerate(request.body.get("tools") or []):
        if tool.get("type") == "function" and (tool.get("strict") or not strict_only):
            prefix = f"Invalid schema for function '{tool.get('name')}':"
            yield tool.get("parameters"), prefix, f"tools[{index}].parameters", "invalid_function_parameters"
    text = request.body.get("text")
    output_format = text.get("format") if isinstance(text, dict) else None
    if not isinstance(output_format, dict) or output_format.get("type") != "json_schema":
        return
    if output_format.get("strict") or not strict_only:
        prefix = f"Invalid schema for response_format '{output_format.get('name')}':"
        yield output_format.get("schema"), prefix, "text.format.schema", "invalid_json_schema"


def _subschemas(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield the schema and every schema inside it, each with its path."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for keyword in ("properties", "$defs", "definitions"):
        for name, inner in _dict(schema, keyword).items():
            yield from _subschemas(inner, (*path, keyword, name))
    for keyword in ("items", "additionalProperties"):
        yield from _subschemas(schema.get(keyword), (*path, keyword))
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for number, inner in enumerate(_list(schema, keyword)):
            yield from _subschemas(inner, (*path, keyword, str(number)))


def _dict(schema: dict[str, Any], keyword: str) -> dict[str, Any]:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


def _list(schema: dict[str, Any], keyword: str) -> list[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


# Input items

_CALL_ID_MAX_LENGTH = 64

# The members of each item type that a client sends back. Codex CLI: protocol/src/models.rs. `_COMMON_MEMBERS` are
# allowed on all of them; the passthrough is internal to the Codex CLI. Only a reasoning item must not have a `status`.
_COMMON_MEMBERS = {"type", "id", "internal_chat_message_metadata_passthrough"}
_CALL_MEMBERS = {"call_id", "name", "namespace", "status", "caller"}
_MEMBERS: dict[str, set[str]] = {
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


def _unknown_member(request: ParsedRequest) -> SimulatedResponse | None:
    for index, item in enumerate(request.items()):
        members = _MEMBERS.get(item["type"])
        for name in item if members is not None else ():
            if name not in _COMMON_MEMBERS | (members or set()):
                path = f"input[{index}].{name}"
                return _api_error(f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")
    return None


def _call_id(request: ParsedRequest) -> SimulatedResponse | None:
    for index, item in enumerate(request.items()):
        value = item.get("call_id")
        path = f"input[{index}].call_id"
        if not isinstance(value, str):
            continue
        if len(value) > _CALL_ID_MAX_LENGTH:
            return _too_long(path, value, _CALL_ID_MAX_LENGTH)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", value):
            return _api_error(
                f"Invalid '{path}': '{value}'. Expected an ID that contains letters, numbers, underscores, "
                "or dashes, but this value contained additional characters.",
                param=path,
                code="invalid_value",
            )
    return None


def _item_reference(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject an item that has an id but not its content: with `store: false` the backend keeps no items."""
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


def _encrypted_content(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject encrypted content of another account or, for reasoning, of another model."""
    for item in request.items():
        content = item.get("encrypted_content")
        if content is None or item["type"] not in ("reasoning", "compaction"):
            continue
        facts = read_encrypted_content(content) or {}
        # A compaction item names no model: it is valid for all of them.
        is_same_model = facts.get("model") in (None, request.model)
        if facts.get("account") != request.account.account_id or not is_same_model:
            return _api_error(
                f"The encrypted content {str(content)[:10]}... could not be verified. "
                "Reason: Encrypted content could not be decrypted or parsed.",
                param=None,
                code="invalid_encrypted_content",
            )
    return None


def _orphaned_output(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject a tool output whose call does not precede it in the input."""
    seen: set[tuple[str, Any]] = set()
    for item in request.items():
        seen.add((item["type"], item.get("call_id")))
        call_type = _CALL_TYPE_OF_OUTPUT.get(item["type"])
        if call_type is not None and (call_type, item.get("call_id")) not in seen:
            return _api_error(
                f"No tool call found for {item['type'].replace('_', ' ')} with call_id {item.get('call_id')}.",
                param="input",
                code=None,
            )
    return None


def _missing_output(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject a tool call without an output in the input."""
    with_output = {item.get("call_id") for item in request.items() if item["type"] in _CALL_TYPE_OF_OUTPUT}
    for item in request.items():
        if item["type"] in _CALL_TYPE_OF_OUTPUT.values() and item.get("call_id") not in with_output:
            kind = "function call" if item["type"] == "function_call" else "custom tool call"
            return _api_error(f"No tool output found for {kind} {item.get('call_id')}.", param="input", code=None)
    return None


RULES: tuple[ValidationRule, ...] = (
    ValidationRule("model_required", _model_required),
    ValidationRule("store_false", _require(lambda r: r.body.get("store") is False, "Store must be set to false")),
    ValidationRule("stream_true", _require(lambda r: r.body.get("stream") is True, "Stream must be set to true")),
    ValidationRule("unsupported_parameter", _unsupported_parameter),
    ValidationRule("input_list", _require(lambda r: isinstance(r.body.get("input"), list), "Input must be a list")),
    ValidationRule("wrong_type", _wrong_type),
    ValidationRule(
        "no_system_message",
        _require(lambda r: all(i.get("role") != "system" for i in r.items()), "System messages are not allowed"),
    ),
    # Reported until June 2026. Off, because the newest Codex CLI sends no instructions.
    ValidationRule(
        "instructions_required",
        _require(lambda r: bool(r.body.get("instructions")), "Instructions are required"),
        is_default=False,
    ),
    ValidationRule(
        "service_tier",
        _require(lambda r: r.body.get("service_tier") != "auto", "Unsupported service_tier: auto"),
    ),
    ValidationRule("model_available", _model_available),
    ValidationRule("reasoning_effort", _reasoning_effort),
    ValidationRule("lite_parallel_tool_calls", _lite_parallel_tool_calls),
    ValidationRule("prompt_cache_key", _prompt_cache_key),
    ValidationRule("tool_type", _tool_type),
    ValidationRule("tool_name", _tool_name),
    ValidationRule("array_items", _array_items),
    ValidationRule("strict_schema", _strict_schema),
    ValidationRule("unknown_member", _unknown_member),
    ValidationRule("call_id", _call_id),
    ValidationRule("item_reference", _item_reference),
    ValidationRule("encrypted_content", _encrypted_content),
    ValidationRule("orphaned_output", _orphaned_output),
    ValidationRule("missing_output", _missing_output),
)
