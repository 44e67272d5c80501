"""Define the simulator's model catalog: the models that Codex CLI 0.169.0 lists (`codex debug models`).

Each entry has every member that the real CLI requires, because the CLI rejects the whole catalog if a member is missing
(Codex CLI: protocol/src/openai_models.rs). The instructions are invented.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

__all__ = ["ModelCatalog", "parse_version"]

Version = tuple[int, int, int]

_INSTRUCTIONS = "You are a coding agent. You work on the user's computer and reply in plain language."

_EFFORT_DESCRIPTIONS = {
    "low": "Fast responses with lighter reasoning",
    "medium": "Balances speed and reasoning depth",
    "high": "Greater reasoning depth for complex problems",
    "xhigh": "Extra reasoning depth for complex problems",
    "max": "The deepest reasoning",
    "ultra": "The deepest reasoning, with delegation",
}
_ALL_EFFORTS = tuple(_EFFORT_DESCRIPTIONS)
_EFFORTS_UP_TO_MAX = _ALL_EFFORTS[:-1]
_EFFORTS_UP_TO_XHIGH = _ALL_EFFORTS[:4]

# The default members of an entry. The rows of the table below override some of them.
_DEFAULT_MEMBERS: dict[str, Any] = {
    "description": None,
    "default_reasoning_level": "low",
    "shell_type": "unified_exec",
    "visibility": "list",
    "supported_in_api": True,
    "additional_speed_tiers": ["fast"],
    "service_tiers": [{"id": "priority", "name": "Fast", "description": "Faster, uses more of the plan"}],
    "availability_nux": None,
    "upgrade": None,
    "base_instructions": _INSTRUCTIONS,
    "model_messages": None,
    "include_skills_usage_instructions": False,
    "include_plugin_usage_instructions": False,
    "include_apps_usage_instructions": False,
    "default_reasoning_summary": "none",
    "support_verbosity": True,
    "default_verbosity": "low",
    "apply_patch_tool_type": "freeform",
    "web_search_tool_type": "text_and_image",
    "truncation_policy": {"mode": "tokens", "limit": 10000},
    "supports_image_detail_original": True,
    "context_window": 272000,
    "max_context_window": 872000,
    "comp_hash": "3000",
    "effective_context_window_percent": 95,
    "experimental_supported_tools": [],
    "input_modalities": ["text", "image"],
    "supports_search_tool": True,
    "supports_experimental_context": False,
    "use_responses_lite": True,
    "supports_reasoning_effort_updates": False,
    "node_repl_auto_review_required": False,
    "node_repl_disabled": False,
    "tool_mode": "code_mode_only",
    "multi_agent_version": "v2",
}
_CYBER_MODEL_MEMBERS: dict[str, Any] = {
    "visibility": "hide",
    "additional_speed_tiers": [],
    "service_tiers": [],
    "model_specialty": "cyber",
}

# (slug, display name, priority, efforts, minimum client version, members that differ from _DEFAULT_MEMBERS).
# The backend hides new models from old clients. The minimum versions are invented.
_Row = tuple[str, str, int, tuple[str, ...], Version, dict[str, Any]]
_ROWS: tuple[_Row, ...] = (
    ("gpt-6.1-sol", "GPT-6.1-Sol", 1, _ALL_EFFORTS, (0, 160, 0), {"supports_reasoning_effort_updates": True}),
    ("gpt-6-astra", "GPT-6-Astra", 2, _ALL_EFFORTS, (0, 150, 0), {"supports_reasoning_effort_updates": True}),
    ("gpt-6-sol", "GPT-6-Sol", 3, _ALL_EFFORTS, (0, 150, 0), {"default_reasoning_level": "medium"}),
    ("gpt-6-luna", "GPT-6-Luna", 4, _EFFORTS_UP_TO_MAX, (0, 150, 0), {"default_reasoning_level": "medium"}),
    ("gpt-5.6-sol", "GPT-5.6-Sol", 5, _ALL_EFFORTS, (0, 0, 0), {}),
    ("gpt-6.1-terra", "GPT-6.1 Terra", 7, _ALL_EFFORTS, (0, 160, 0), {"context_window": 500000}),
    ("gpt-5.6-terra", "GPT-5.6-Terra", 8, _ALL_EFFORTS, (0, 0, 0), {"default_reasoning_level": "medium"}),
    ("gpt-5.6-luna", "GPT-5.6-Luna", 9, _EFFORTS_UP_TO_MAX, (0, 0, 0), {"default_reasoning_level": "medium"}),
    ("gpt-daybreak-blue-latest", "Daybreak Blue", 11, _ALL_EFFORTS, (0, 0, 0), _CYBER_MODEL_MEMBERS),
    ("gpt-daybreak-red-latest", "Daybreak Red", 12, _ALL_EFFORTS, (0, 0, 0), _CYBER_MODEL_MEMBERS),
    (
        "gpt-5.5",
        "GPT-5.5",
        13,
        _EFFORTS_UP_TO_XHIGH,
        (0, 0, 0),
        {
            "default_reasoning_level": "medium",
            "max_context_window": 272000,
            "comp_hash": "2911",
            "use_responses_lite": False,
            "tool_mode": None,
            "multi_agent_version": None,
        },
    ),
    ("codex-auto-review", "Codex Auto Review", 43, _EFFORTS_UP_TO_MAX, (0, 0, 0), {"visibility": "hide"}),
)


class ModelCatalog:
    """The models that are available to the account.

    `entries` are pairs of the minimum client version and an entry of `GET /models`. `etag` is a weak entity tag of
    them.
    """

    def __init__(self, entries: tuple[tuple[Version, dict[str, Any]], ...]) -> None:
        self.entries = entries
        text = json.dumps([entry for _, entry in entries], sort_keys=True)
        self.etag = f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'

    @classmethod
    def standard(cls) -> ModelCatalog:
        """Return the models of Codex CLI 0.169.0."""
        return cls(tuple((row[4], _entry(row)) for row in _ROWS))

    @classmethod
    def of(cls, *slugs: str) -> ModelCatalog:
        """Return a catalog of models with these slugs. The first one has the highest priority."""
        rows: list[_Row] = [
            (slug, slug, priority, _EFFORTS_UP_TO_MAX, (0, 0, 0), {}) for priority, slug in enumerate(slugs, 1)
        ]
        return cls(tuple((row[4], _entry(row)) for row in rows))

    def visible_to(self, version: Version) -> dict[str, Any]:
        """Return the body of `GET /models` for a client of this version."""
        return {"models": [entry for minimum, entry in self.entries if minimum <= version]}

    def find(self, slug: object) -> dict[str, Any] | None:
        """Return the entry of a model, or None if the catalog has no such model."""
        return next((entry for _, entry in self.entries if entry["slug"] == slug), None)


def parse_version(text: str | None) -> Version | None:
    """Parse `major.minor.patch`. Return None if the text has another format."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", text or "")
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def _entry(row: _Row) -> dict[str, Any]:
    slug, name, priority, efforts, _, overrides = row
    levels = [{"effort": effort, "description": _EFFORT_DESCRIPTIONS[effort]} for effort in efforts]
    return {
        "slug": slug,
        "display_name": name,
        "priority": priority,
        "supported_reasoning_levels": levels,
        **_DEFAULT_MEMBERS,
        "description": f"Simulated {name}.",
        **({"multi_agent_reasoning_effort": "xhigh"} if "ultra" in efforts else {}),
        **overrides,
    }
