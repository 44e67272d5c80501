"""What the backend refuses in a request for a model answer: one row for each rule, tried in this order.

The sentences are those that users of the backend have reported. A rule can be switched by its name:
`Simulator(rules={"instructions_required": True})`. Rules about single items, tools and JSON types are in `item_rules`,
`tool_rules` and `type_rules`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import item_rules, tool_rules, type_rules
from .refusal import Refusal, detail, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .asked import Asked

__all__ = ["RULES", "Rule", "Rules"]

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
_LITE_HEADER = "x-openai-internal-codex-responses-lite"
_CACHE_KEY_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Rule:
    """`refuse` returns the refusal, or None for a request that keeps the rule."""

    name: str
    refuse: Callable[[Asked], Refusal | None]
    on: bool = True


class Rules:
    """The rules that are in force."""

    def __init__(self, switches: Mapping[str, bool] | None = None) -> None:
        switches = switches or {}
        unknown = sorted(set(switches) - {rule.name for rule in RULES})
        if unknown:
            raise ValueError(f"No such rule: {', '.join(unknown)}. Rules: {', '.join(r.name for r in RULES)}")
        self._rules = [rule for rule in RULES if switches.get(rule.name, rule.on)]

    def refuse(self, asked: Asked) -> Refusal | None:
        """Return the first refusal, or None."""
        return next((found for rule in self._rules if (found := rule.refuse(asked)) is not None), None)


def _model(asked: Asked) -> Refusal | None:
    if asked.body.get("model"):
        return None
    return invalid("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")


def _store(asked: Asked) -> Refusal | None:
    return None if asked.body.get("store") is False else detail("Store must be set to false")


def _stream(asked: Asked) -> Refusal | None:
    return None if asked.body.get("stream") is True else detail("Stream must be set to true")


def _unsupported(asked: Asked) -> Refusal | None:
    # The Codex CLI itself may send this one member of stream_options (Codex CLI: codex-api/src/common.rs).
    options = asked.body.get("stream_options")
    for name in UNSUPPORTED_PARAMETERS:
        if name == "stream_options" and isinstance(options, dict) and set(options) == {"reasoning_summary_delivery"}:
            continue
        if name in asked.body:
            return detail(f"Unsupported parameter: {name}")
    return None


def _input_list(asked: Asked) -> Refusal | None:
    return None if isinstance(asked.body.get("input"), list) else detail("Input must be a list")


def _no_system(asked: Asked) -> Refusal | None:
    if all(item.get("role") != "system" for item in asked.items()):
        return None
    return detail("System messages are not allowed")


def _instructions(asked: Asked) -> Refusal | None:
    return None if asked.body.get("instructions") else detail("Instructions are required")


def _service_tier(asked: Asked) -> Refusal | None:
    return detail("Unsupported service_tier: auto") if asked.body.get("service_tier") == "auto" else None


def _model_available(asked: Asked) -> Refusal | None:
    if asked.catalogue.find(asked.model) is not None:
        return None
    return detail(f"The '{asked.model}' model is not supported when using Codex with a ChatGPT account.")


def _effort(asked: Asked) -> Refusal | None:
    reasoning = asked.body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    entry: dict[str, Any] = asked.catalogue.find(asked.model) or {}
    levels = [level["effort"] for level in entry.get("supported_reasoning_levels", [])]
    # The Codex CLI sends a decimal effort as a number, which is no level's name.
    if not isinstance(effort, str) or not levels or effort in levels:
        return None
    names = ", ".join(f"'{level}'" for level in levels)
    return invalid(
        f"Unsupported value: '{effort}' is not supported with the '{asked.model}' model. "
        f"Supported values are: {names}.",
        param="reasoning.effort",
        code="unsupported_value",
    )


def _lite(asked: Asked) -> Refusal | None:
    if asked.headers.get(_LITE_HEADER) != "true" or asked.body.get("parallel_tool_calls") is False:
        return None
    return detail("X-OpenAI-Internal-Codex-Responses-Lite requires parallel_tool_calls to be false.")


def _cache_key(asked: Asked) -> Refusal | None:
    key = asked.body.get("prompt_cache_key")
    if not isinstance(key, str) or len(key) <= _CACHE_KEY_LENGTH:
        return None
    return invalid(
        f"Invalid 'prompt_cache_key': string too long. Expected a string with maximum length "
        f"{_CACHE_KEY_LENGTH}, but got a string with length {len(key)} instead.",
        param="prompt_cache_key",
        code="string_above_max_length",
    )


RULES: tuple[Rule, ...] = (
    Rule("model_required", _model),
    Rule("store_false", _store),
    Rule("stream_true", _stream),
    Rule("unsupported_parameter", _unsupported),
    Rule("input_list", _input_list),
    Rule("wrong_type", type_rules.wrong_type),
    Rule("no_system_message", _no_system),
    # Demanded until June 2026; the newest Codex CLI sends none.
    Rule("instructions_required", _instructions, on=False),
    Rule("service_tier", _service_tier),
    Rule("model_available", _model_available),
    Rule("reasoning_effort", _effort),
    Rule("lite_parallel_tool_calls", _lite),
    Rule("prompt_cache_key", _cache_key),
    Rule("tool_type", tool_rules.tool_type),
    Rule("tool_name", tool_rules.tool_name),
    Rule("tool_choice", tool_rules.tool_choice),
    Rule("array_items", tool_rules.array_items),
    Rule("strict_schema", tool_rules.strict_schema),
    Rule("unknown_member", item_rules.unknown_member),
    Rule("call_id", item_rules.call_id),
    Rule("item_reference", item_rules.item_reference),
    Rule("encrypted_content", item_rules.encrypted_content),
    Rule("orphaned_output", item_rules.orphaned_output),
    Rule("missing_output", item_rules.missing_output),
)
