"""The models the simulator offers: those that Codex CLI 0.169.0 carries (`codex debug models`), as it describes them.

Complete enough for the real CLI, which refuses the whole list when one entry lacks a required member
(Codex CLI: protocol/src/openai_models.rs). The instructions are our own.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

__all__ = ["Catalogue", "parse_version"]

Version = tuple[int, int, int]

_INSTRUCTIONS = "You are a coding agent. You work on the user's computer and answer in plain words."

_EFFORTS = {
    "low": "Fast responses with lighter reasoning",
    "medium": "Balances speed and reasoning depth",
    "high": "Greater reasoning depth for complex problems",
    "xhigh": "Extra reasoning depth for complex problems",
    "max": "The deepest reasoning",
    "ultra": "The deepest reasoning, with delegation",
}
_ALL = tuple(_EFFORTS)
_NO_ULTRA = _ALL[:-1]

# What an entry has where its row below does not say otherwise.
_COMMON: dict[str, Any] = {
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
_CYBER: dict[str, Any] = {
    "visibility": "hide",
    "additional_speed_tiers": [],
    "service_tiers": [],
    "model_specialty": "cyber",
}

# (slug, display name, priority, efforts, the oldest client that is shown it, what differs from _COMMON).
# The backend hides new models from old clients; which version each needs is this simulator's choice.
_Row = tuple[str, str, int, tuple[str, ...], Version, dict[str, Any]]
_ROWS: tuple[_Row, ...] = (
    ("gpt-6.1-sol", "GPT-6.1-Sol", 1, _ALL, (0, 160, 0), {"supports_reasoning_effort_updates": True}),
    ("gpt-6-astra", "GPT-6-Astra", 2, _ALL, (0, 150, 0), {"supports_reasoning_effort_updates": True}),
    ("gpt-6-sol", "GPT-6-Sol", 3, _ALL, (0, 150, 0), {"default_reasoning_level": "medium"}),
    ("gpt-6-luna", "GPT-6-Luna", 4, _NO_ULTRA, (0, 150, 0), {"default_reasoning_level": "medium"}),
    ("gpt-5.6-sol", "GPT-5.6-Sol", 5, _ALL, (0, 0, 0), {}),
    ("gpt-6.1-terra", "GPT-6.1 Terra", 7, _ALL, (0, 160, 0), {"context_window": 500000}),
    ("gpt-5.6-terra", "GPT-5.6-Terra", 8, _ALL, (0, 0, 0), {"default_reasoning_level": "medium"}),
    ("gpt-5.6-luna", "GPT-5.6-Luna", 9, _NO_ULTRA, (0, 0, 0), {"default_reasoning_level": "medium"}),
    ("gpt-daybreak-blue-latest", "Daybreak Blue", 11, _ALL, (0, 0, 0), _CYBER),
    ("gpt-daybreak-red-latest", "Daybreak Red", 12, _ALL, (0, 0, 0), _CYBER),
    (
        "gpt-5.5",
        "GPT-5.5",
        13,
        _ALL[:4],
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
    ("codex-auto-review", "Codex Auto Review", 43, _NO_ULTRA, (0, 0, 0), {"visibility": "hide"}),
)


class Catalogue:
    """The models of the account: entries as `GET /models` gives them, each with the oldest client it is shown to.

    `etag` is a weak entity tag that differs for other entries.
    """

    def __init__(self, entries: tuple[tuple[Version, dict[str, Any]], ...]) -> None:
        self.entries = entries
        text = json.dumps([entry for _, entry in entries], sort_keys=True)
        self.etag = f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'

    @classmethod
    def standard(cls) -> Catalogue:
        """Return the models that Codex CLI 0.169.0 carries."""
        return cls(tuple((row[4], _entry(row)) for row in _ROWS))

    @classmethod
    def of(cls, *slugs: str) -> Catalogue:
        """Return a catalogue of made-up models with these names, the first one first."""
        rows: list[_Row] = [(slug, slug, n, _NO_ULTRA, (0, 0, 0), {}) for n, slug in enumerate(slugs, 1)]
        return cls(tuple((row[4], _entry(row)) for row in rows))

    def visible_to(self, version: Version) -> dict[str, Any]:
        """Return the answer of `GET /models` for a client of this version."""
        return {"models": [entry for oldest, entry in self.entries if oldest <= version]}

    def find(self, slug: object) -> dict[str, Any] | None:
        """Return the entry of a model, or None."""
        return next((entry for _, entry in self.entries if entry["slug"] == slug), None)


def parse_version(text: str | None) -> Version | None:
    """Read `major.minor.patch`; None for anything else."""
    found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", text or "")
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def _entry(row: _Row) -> dict[str, Any]:
    slug, name, priority, efforts, _, different = row
    return {
        "slug": slug,
        "display_name": name,
        "priority": priority,
        "supported_reasoning_levels": [{"effort": each, "description": _EFFORTS[each]} for each in efforts],
        **_COMMON,
        "description": f"{name}, as the simulator plays it.",
        **({"multi_agent_reasoning_effort": "xhigh"} if "ultra" in efforts else {}),
        **different,
    }
