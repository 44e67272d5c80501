"""What the backend refuses in single input items."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .asked import open_sealed
from .refusal import Refusal, invalid

if TYPE_CHECKING:
    from .asked import Asked

__all__ = [
    "call_id",
    "encrypted_content",
    "item_reference",
    "missing_output",
    "orphaned_output",
    "unknown_member",
]

_CALL_ID_LENGTH = 64

# The members of the items that a client sends back. Codex CLI: protocol/src/models.rs. The first line is on all
# of them; its passthrough is the Codex CLI's own. A `status` is taken on every item but reasoning.
_COMMON = {"type", "id", "internal_chat_message_metadata_passthrough"}
_MEMBERS: dict[str, set[str]] = {
    "message": {"role", "content", "phase", "status"},
    "reasoning": {"summary", "content", "encrypted_content"},
    "function_call": {
        "name",
        "namespace",
        "arguments",
        "call_id",
        "status",
        "encrypted_function_args",
        "caller",
        "async",
    },
    "function_call_output": {"call_id", "output", "name", "namespace", "status", "caller"},
    "custom_tool_call": {"status", "call_id", "name", "namespace", "input", "caller", "async"},
    "custom_tool_call_output": {"call_id", "name", "namespace", "output", "status", "caller"},
    "compaction": {"encrypted_content", "created_by"},
    "compaction_trigger": set(),
}
_OUTPUT_OF = {
    "function_call_output": "function_call",
    "custom_tool_call_output": "custom_tool_call",
}


def unknown_member(asked: Asked) -> Refusal | None:
    """Refuse a member that an item of its type does not have."""
    for index, item in enumerate(asked.items()):
        members = _MEMBERS.get(item["type"])
        for name in item if members is not None else ():
            if name not in _COMMON | (members or set()):
                place = f"input[{index}].{name}"
                return invalid(f"Unknown parameter: '{place}'.", param=place, code="unknown_parameter")
    return None


def call_id(asked: Asked) -> Refusal | None:
    """Refuse a call id that is too long or has other characters than letters, digits, `_` and `-`."""
    for index, item in enumerate(asked.items()):
        given = item.get("call_id")
        place = f"input[{index}].call_id"
        if not isinstance(given, str):
            continue
        if len(given) > _CALL_ID_LENGTH:
            return invalid(
                f"Invalid '{place}': string too long. Expected a string with maximum length "
                f"{_CALL_ID_LENGTH}, but got a string with length {len(given)} instead.",
                param=place,
                code="string_above_max_length",
            )
        if not re.fullmatch(r"[A-Za-z0-9_-]+", given):
            return invalid(
                f"Invalid '{place}': '{given}'. Expected an ID that contains letters, numbers, underscores, "
                "or dashes, but this value contained additional characters.",
                param=place,
                code="invalid_value",
            )
    return None


def item_reference(asked: Asked) -> Refusal | None:
    """Refuse an item that is only named: with `store: false` the server keeps none."""
    for item in asked.items():
        named = item["type"] == "item_reference"
        hollow = item["type"] == "reasoning" and item.get("id") and not item.get("encrypted_content")
        if named or hollow:
            return invalid(
                f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to "
                "false. Try again with `store` set to true, or remove this item from your input.",
                param="input",
                code=None,
                status=404,
            )
    return None


def encrypted_content(asked: Asked) -> Refusal | None:
    """Refuse a blob that another account or, for reasoning, another model was given."""
    for item in asked.items():
        blob = item.get("encrypted_content")
        if blob is None or item["type"] not in ("reasoning", "compaction"):
            continue
        facts = open_sealed(blob)
        if facts is None or not _fits(facts, asked):
            return invalid(
                f"The encrypted content {str(blob)[:10]}... could not be verified. "
                "Reason: Encrypted content could not be decrypted or parsed.",
                param=None,
                code="invalid_encrypted_content",
            )
    return None


def _fits(facts: dict[str, Any], asked: Asked) -> bool:
    return facts.get("account") == asked.account.account_id and facts.get("model") in (None, asked.model)


def orphaned_output(asked: Asked) -> Refusal | None:
    """Refuse the output of a call that is not in the input before it."""
    seen: set[tuple[str, Any]] = set()
    for item in asked.items():
        seen.add((item["type"], item.get("call_id")))
        call = _OUTPUT_OF.get(item["type"])
        if call is not None and (call, item.get("call_id")) not in seen:
            return invalid(
                f"No tool call found for {item['type'].replace('_', ' ')} with call_id {item.get('call_id')}.",
                param="input",
                code=None,
            )
    return None


def missing_output(asked: Asked) -> Refusal | None:
    """Refuse a call whose output is not in the input."""
    answered = {item.get("call_id") for item in asked.items() if item["type"] in _OUTPUT_OF}
    for item in asked.items():
        if item["type"] in _OUTPUT_OF.values() and item.get("call_id") not in answered:
            kind = "function call" if item["type"] == "function_call" else "custom tool call"
            return invalid(f"No tool output found for {kind} {item.get('call_id')}.", param="input", code=None)
    return None
