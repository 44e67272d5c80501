"""The validation rules for input items. `ITEM_RULES` lists them in the order in which they are applied.

Each rule reproduces an error that users of the real backend have reported, with its text, `param` and `code`. The table
`_ALLOWED_VALUES` has the members that accept certain values only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from ..parsed_request import decode_encrypted_content
from .validation_rule import ValidationRule, api_error, detail_error, quoted_list, string_too_long_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..http.delivery import SimulatedResponse
    from ..parsed_request import ParsedRequest

__all__ = ["ITEM_RULES"]


# Item types (Codex CLI: protocol/src/models.rs; openai: types/responses/response_input_item_param.py).
_ITEM_TYPES: Final = (
    "additional_tools", "agent_message", "apply_patch_call", "apply_patch_call_output", "code_interpreter_call",
    "compaction", "compaction_trigger", "computer_call", "computer_call_output", "configuration_update",
    "context_compaction", "custom_tool_call", "custom_tool_call_output", "file_search_call", "function_call",
    "function_call_output", "image_generation_call", "item_reference", "local_shell_call", "local_shell_call_output",
    "mcp_approval_request", "mcp_approval_response", "mcp_call", "mcp_list_tools", "message", "reasoning", "shell_call",
    "shell_call_output", "tool_search_call", "tool_search_output", "web_search_call",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _AllowedValues:
    """The values that a member of an item accepts.

    `path` leads from the item to the member; `[]` stands for each element of an array. The error names the first
    `named_keys` keys of the path. A `role` restricts the row to messages with this role.
    """

    item_type: str
    path: tuple[str, ...]
    values: tuple[str, ...]
    named_keys: int
    role: str | None = None


_ALLOWED_VALUES: Final = (
    # MervinPraison/PraisonAI#3934
    _AllowedValues(
        item_type="message",
        path=("content[]", "type"),
        values=(
            "input_text", "input_image", "input_audio", "output_text", "refusal", "input_file", "computer_screenshot",
            "summary_text", "encrypted_content",
        ),
        named_keys=2,
    ),
    # tinyhumansai/openhuman#3624
    _AllowedValues(
        item_type="message",
        role="assistant",
        path=("content[]", "type"),
        values=("output_text", "refusal"),
        named_keys=1,
    ),
    # openai/codex#7085
    _AllowedValues(
        item_type="web_search_call",
        path=("action", "type"),
        values=("search", "open_page", "find_in_page"),
        named_keys=2,
    ),
)  # fmt: skip


def _check_items_have_a_type(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject an item without a type, unless it has a role, which makes it a message (vercel/ai#20180)."""
    for index, item in enumerate(request.raw_items()):
        if not item.get("type", "role" in item):
            text = f"Invalid value: ''. Supported values are: {quoted_list(_ITEM_TYPES)}."
            return api_error(text, param=f"input[{index}]", code="invalid_value")
    return None


def _check_allowed_values(request: ParsedRequest) -> SimulatedResponse | None:
    for index, item in enumerate(request.items()):
        for row in _ALLOWED_VALUES:
            if item["type"] != row.item_type or row.role not in (None, item.get("role")):
                continue
            for path, value in _members(item, row.path):
                if isinstance(value, str) and value not in row.values:
                    text = f"Invalid value: '{value}'. Supported values are: {quoted_list(row.values)}."
                    param = ".".join((f"input[{index}]", *path[: row.named_keys]))
                    return api_error(text, param=param, code="invalid_value")
    return None


def _members(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the value of each member that the pattern matches."""
    if not path:
        yield (), value
        return
    key, rest = path[0], path[1:]
    child = value.get(key.removesuffix("[]")) if isinstance(value, dict) else None
    children = [(key, child)]
    if key.endswith("[]"):
        elements = child if isinstance(child, list) else []
        children = [(f"{key[:-1]}{index}]", element) for index, element in enumerate(elements)]
    for name, each in children:
        for names, member in _members(each, rest):
            yield (name, *names), member


def _check_image_urls(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject an image that is neither a web address nor a data URL, such as the path of a file.

    The text is that of the public Responses API.
    """
    for index, item in enumerate(request.items()):
        for member in ("content[]", "output[]"):
            for path, url in _members(item, (member, "image_url")):
                if isinstance(url, str) and not re.match(r"https?://|data:", url, re.IGNORECASE):
                    param = ".".join((f"input[{index}]", *path))
                    text = f"Invalid '{param}'. Expected a valid URL, but got a value with an invalid format."
                    return api_error(text, param=param, code="invalid_value")
    return None


def _check_reasoning_content(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject a reasoning item with content: the backend reads the encrypted content only (CLIProxyAPI#5825)."""
    for index, item in enumerate(request.items()):
        content = item.get("content")
        if item["type"] == "reasoning" and isinstance(content, list) and content:
            path = f"input[{index}].content"
            text = (
                f"Invalid '{path}': array too long. Expected an array with maximum length 0, but got an array with "
                f"length {len(content)} instead."
            )
            return api_error(text, param=path, code="array_above_max_length")
    return None


# Codex CLI: protocol/src/models.rs. The backend names the prefix without the underscore (openai/codex#33176).
_ID_PREFIXES = {
    "compaction": "cmp",
    "custom_tool_call": "ctc",
    "function_call": "fc",
    "message": "msg",
    "reasoning": "rs",
}
_ID_MAX_LENGTH = 64


def _check_item_ids(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject an id with the prefix of another type, or a long one (earendil-works/pi#5151, HKUDS/nanobot#3961)."""
    for index, item in enumerate(request.items()):
        item_id, prefix = item.get("id"), _ID_PREFIXES.get(item["type"], "")
        path = f"input[{index}].id"
        if not isinstance(item_id, str):
            continue
        if not item_id.startswith(prefix):
            text = f"Invalid '{path}': '{item_id}'. Expected an ID that begins with '{prefix}'."
            return api_error(text, param=path, code="invalid_id_prefix")
        if len(item_id) > _ID_MAX_LENGTH:
            return string_too_long_error(path, item_id, _ID_MAX_LENGTH)
    return None


def _check_item_ids_are_unique(request: ParsedRequest) -> SimulatedResponse | None:
    """Reject two items with one id (earendil-works/pi#5165)."""
    seen: set[str] = set()
    for item in request.items():
        item_id = item.get("id")
        if isinstance(item_id, str):
            if item_id in seen:
                text = f"Duplicate item found with id {item_id}. Remove duplicate items from your input and try again."
                return api_error(text, param="input", code=None)
            seen.add(item_id)
    return None


def _check_configuration_updates(request: ParsedRequest) -> SimulatedResponse | None:
    types = [item["type"] for item in request.items()]
    if ("configuration_update", "configuration_update") in pairwise(types):
        return detail_error("Consecutive configuration_update items are not allowed")
    return None


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
                return api_error(f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")
    return None


def _check_call_ids(request: ParsedRequest) -> SimulatedResponse | None:
    for index, item in enumerate(request.items()):
        call_id = item.get("call_id")
        path = f"input[{index}].call_id"
        if not isinstance(call_id, str):
            continue
        if len(call_id) > _CALL_ID_MAX_LENGTH:
            return string_too_long_error(path, call_id, _CALL_ID_MAX_LENGTH)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", call_id):
            return api_error(
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
            return api_error(
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
            return api_error(
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
            return api_error(
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
            return api_error(f"No tool output found for {call_name} {item.get('call_id')}.", param="input", code=None)
    return None


ITEM_RULES: tuple[ValidationRule, ...] = (
    ValidationRule("item_type", _check_items_have_a_type),
    ValidationRule("item_value", _check_allowed_values),
    ValidationRule("image_url", _check_image_urls),
    ValidationRule("unknown_member", _check_item_members),
    ValidationRule("reasoning_content", _check_reasoning_content),
    ValidationRule("item_id", _check_item_ids),
    ValidationRule("duplicate_item", _check_item_ids_are_unique),
    ValidationRule("configuration_updates", _check_configuration_updates),
    ValidationRule("call_id", _check_call_ids),
    ValidationRule("item_reference", _check_item_references),
    ValidationRule("encrypted_content", _check_encrypted_content),
    ValidationRule("orphaned_output", _check_outputs_have_calls),
    ValidationRule("missing_output", _check_calls_have_outputs),
)
