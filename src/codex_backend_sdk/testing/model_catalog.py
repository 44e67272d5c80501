"""Define the simulator's model catalog: the models that are bundled with Codex CLI 0.171.0.

The order, the plans and the minimum client versions are those of the bundled catalog (Codex CLI:
models-manager/models.json). `GET /models` lists the models of the account's plan. Each entry has every member that the
real CLI requires, because the CLI rejects the whole catalog if a member is missing (Codex CLI:
protocol/src/openai_models.rs). The instructions are invented.

The reasoning levels of an entry are for pickers. The backend accepts other efforts: `none` for some models, and never
`ultra`, which the CLI replaces.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["CatalogEntry", "ModelCatalog", "parse_version"]

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

# Plans that do not get a model. The catalog knows 28 plans; these are the exceptions.
_LATEST_WITHOUT: Final = frozenset({"free", "free_workspace", "k12"})
_6_1_TERRA_WITHOUT: Final = frozenset({"rosalind_academic"})
_6_1_SOL_WITHOUT: Final = _6_1_TERRA_WITHOUT | {"hc_consumption"}
_OLDER_WITHOUT: Final = _6_1_SOL_WITHOUT | {"law"}
_6_WITHOUT: Final = _OLDER_WITHOUT | {"promax"}
_CYBER_WITHOUT: Final = _6_WITHOUT | {"ent26", "enterprise_cbp_trial"}
_REVIEW_WITHOUT: Final = _OLDER_WITHOUT | _LATEST_WITHOUT

_UPDATES: Final = {"supports_reasoning_effort_updates": True}
_LARGE: Final = {"context_window": 500000, **_UPDATES}
_MEDIUM: Final = {"default_reasoning_level": "medium"}
_RED: Final = {**_CYBER_MODEL_MEMBERS, **_MEDIUM, "context_window": 372000, "max_context_window": 372000}
_REVIEW: Final = {**_MEDIUM, "visibility": "hide"}
_CLASSIC: Final = {
    **_MEDIUM,
    "max_context_window": 272000,
    "comp_hash": "2911",
    "use_responses_lite": False,
    "tool_mode": None,
    "multi_agent_version": None,
}

# (slug, display name, priority, levels, minimum client version, plans without it, members other than _DEFAULT_MEMBERS).
# The backend hides new models from old clients.
_Row = tuple[str, str, int, tuple[str, ...], Version, frozenset[str], dict[str, Any]]
_ROWS: tuple[_Row, ...] = (
    ("gpt-6.2-sol", "GPT-6.2-Sol", 1, _ALL_EFFORTS, (0, 166, 0), _LATEST_WITHOUT, _LARGE),
    ("gpt-6.2-astra", "GPT-6.2-Astra", 2, _ALL_EFFORTS, (0, 166, 0), _LATEST_WITHOUT, _UPDATES),
    ("gpt-6.1-terra", "GPT-6.1 Terra", 3, _ALL_EFFORTS, (0, 153, 0), _6_1_TERRA_WITHOUT, _LARGE),
    ("gpt-6.1-sol", "GPT-6.1-Sol", 4, _ALL_EFFORTS, (0, 153, 0), _6_1_SOL_WITHOUT, _LARGE),
    ("gpt-6-astra", "GPT-6-Astra", 5, _ALL_EFFORTS, (0, 153, 0), _OLDER_WITHOUT, _UPDATES),
    ("gpt-6-sol", "GPT-6-Sol", 6, _ALL_EFFORTS, (0, 155, 0), _6_WITHOUT, _MEDIUM),
    ("gpt-6-luna", "GPT-6-Luna", 7, _EFFORTS_UP_TO_MAX, (0, 155, 0), _6_WITHOUT, _MEDIUM),
    ("gpt-5.6-sol", "GPT-5.6-Sol", 8, _ALL_EFFORTS, (0, 144, 0), _OLDER_WITHOUT, {}),
    ("gpt-5.6-terra", "GPT-5.6-Terra", 9, _ALL_EFFORTS, (0, 144, 0), _OLDER_WITHOUT, _MEDIUM),
    ("gpt-5.6-luna", "GPT-5.6-Luna", 10, _EFFORTS_UP_TO_MAX, (0, 144, 0), _OLDER_WITHOUT, _MEDIUM),
    ("gpt-daybreak-blue-latest", "Daybreak Blue", 11, _ALL_EFFORTS, (0, 144, 0), _CYBER_WITHOUT, _CYBER_MODEL_MEMBERS),
    ("gpt-daybreak-red-latest", "Daybreak Red", 12, _ALL_EFFORTS, (0, 142, 2), _CYBER_WITHOUT, _RED),
    ("gpt-5.5", "GPT-5.5", 13, _EFFORTS_UP_TO_XHIGH, (0, 124, 0), _OLDER_WITHOUT, _CLASSIC),
    ("codex-auto-review", "Codex Auto Review", 43, _EFFORTS_UP_TO_MAX, (0, 98, 0), _REVIEW_WITHOUT, _REVIEW),
)
# The models for which users report that the backend accepts the effort `none`.
_ACCEPT_EFFORT_NONE: Final = frozenset(
    {"gpt-6.1-terra", "gpt-6-sol", "gpt-6-luna", "gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """A model of the catalog, with the clients and the plans that get it.

    `members` is the entry of `GET /models`. Clients before `minimum_version`, and accounts with one of the
    `excluded_plans`, do not get the model. `efforts` are the reasoning efforts that the backend accepts.
    """

    members: dict[str, Any]
    minimum_version: Version = (0, 0, 0)
    excluded_plans: frozenset[str] = frozenset()
    efforts: tuple[str, ...] = _EFFORTS_UP_TO_MAX


class ModelCatalog:
    """The models of the backend. `etag` is a weak entity tag of them."""

    def __init__(self, entries: tuple[CatalogEntry, ...]) -> None:
        self.entries = entries
        text = json.dumps([entry.members for entry in entries], sort_keys=True)
        self.etag = f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'

    @classmethod
    def standard(cls) -> ModelCatalog:
        """Return the models of Codex CLI 0.171.0."""
        return cls(tuple(map(_entry, _ROWS)))

    @classmethod
    def of(cls, *slugs: str) -> ModelCatalog:
        """Return a catalog of models with these slugs, for every plan. The first one has the highest priority."""
        rows: list[_Row] = [
            (slug, slug, priority, _EFFORTS_UP_TO_MAX, (0, 0, 0), frozenset(), {})
            for priority, slug in enumerate(slugs, 1)
        ]
        return cls(tuple(map(_entry, rows)))

    def visible_to(self, version: Version, *, plan: str) -> dict[str, Any]:
        """Return the body of `GET /models` for a client of this version and an account with this plan."""
        entries = [entry for entry in self.entries if entry.minimum_version <= version]
        return {"models": [entry.members for entry in entries if plan not in entry.excluded_plans]}

    def find(self, slug: object, *, plan: str) -> CatalogEntry | None:
        """Return the entry of a model, or None if the catalog has no such model for this plan."""
        matches = (entry for entry in self.entries if entry.members["slug"] == slug)
        return next((entry for entry in matches if plan not in entry.excluded_plans), None)


def parse_version(text: str | None) -> Version | None:
    """Parse `major.minor.patch`. Return None if the text has another format."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", text or "")
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def _entry(row: _Row) -> CatalogEntry:
    slug, name, priority, levels, minimum_version, excluded_plans, overrides = row
    described_levels = [{"effort": level, "description": _EFFORT_DESCRIPTIONS[level]} for level in levels]
    members = {
        "slug": slug,
        "display_name": name,
        "priority": priority,
        "supported_reasoning_levels": described_levels,
        **_DEFAULT_MEMBERS,
        "description": f"Simulated {name}.",
        **({"multi_agent_reasoning_effort": "xhigh"} if overrides.get("supports_reasoning_effort_updates") else {}),
        **overrides,
    }
    efforts = tuple(level for level in levels if level != "ultra")
    return CatalogEntry(
        members=members,
        minimum_version=minimum_version,
        excluded_plans=excluded_plans,
        efforts=("none", *efforts) if slug in _ACCEPT_EFFORT_NONE else efforts,
    )
