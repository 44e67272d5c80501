"""Compare the outcomes of a run with the checked-in list of expected failures.

The tests on the list must fail, and all others must pass. Every deviation is reported.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

ANY_VERSION = SpecifierSet("")


@dataclass(frozen=True, slots=True)
class Group:
    """Tests that fail in one mode for one reason, on the openai versions in the specifier `openai`.

    An entry of `tests` is a node id. A node id without a bracket matches all parameters of its test, and `*` matches
    any text.
    """

    mode: str
    reason: str
    tests: tuple[str, ...]
    openai: SpecifierSet = ANY_VERSION


@dataclass(frozen=True, slots=True)
class Floor:
    """The minimum number of tests that must pass in one mode, so that an empty run fails."""

    mode: str
    passed: int
    openai: SpecifierSet = ANY_VERSION


@dataclass(frozen=True, slots=True)
class Expectations:
    """The checked-in list. `newest` is the newest openai version that was used to create it."""

    newest: str
    groups: tuple[Group, ...]
    floors: tuple[Floor, ...]

    def failures(self, mode: str, version: str) -> tuple[str, ...]:
        """Return the entries for one mode on one openai version."""
        groups = (group for group in self.groups if group.mode == mode and version in group.openai)
        return tuple(entry for group in groups for entry in group.tests)

    def floor(self, mode: str, version: str) -> int:
        """Return the minimum number of tests that must pass in one mode on one openai version."""
        return max(floor.passed for floor in self.floors if floor.mode == mode and version in floor.openai)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The counts of a run, its deviations from the list, and the entries that match no test."""

    passed: int
    failed: int
    skipped: int
    unexpected_failures: tuple[str, ...]
    unexpected_passes: tuple[str, ...]
    unmatched_entries: tuple[str, ...]


def read_expectations(path: Path) -> Expectations:
    """Read the list. The comment at the top of the file explains its format."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    groups = (
        Group(group["mode"], group["reason"], tuple(group["tests"]), SpecifierSet(group.get("openai", "")))
        for group in document.get("group", ())
    )
    floors = (
        Floor(floor["mode"], floor["passed"], SpecifierSet(floor.get("openai", ""))) for floor in document["floor"]
    )
    return Expectations(document["newest"], tuple(groups), tuple(floors))


def judge(outcomes: Mapping[str, str], expected: Iterable[str]) -> Verdict:
    """Compare outcomes by node id ("passed", "failed", "skipped") with the entries expected to fail."""
    matches = {entry: _matching(entry, outcomes) for entry in expected}
    listed = frozenset[str]().union(*matches.values())
    passed, failed, skipped = (
        frozenset(test for test, outcome in outcomes.items() if outcome == name)
        for name in ("passed", "failed", "skipped")
    )
    return Verdict(
        passed=len(passed),
        failed=len(failed),
        skipped=len(skipped),
        unexpected_failures=tuple(sorted(failed - listed)),
        unexpected_passes=tuple(sorted(passed & listed)),
        unmatched_entries=tuple(sorted(entry for entry, tests in matches.items() if not tests)),
    )


def _matching(entry: str, tests: Iterable[str]) -> frozenset[str]:
    text = ".*".join(map(re.escape, entry.split("*")))
    any_parameters = "" if entry.endswith("]") else r"(\[.*)?"
    return frozenset(filter(re.compile(text + any_parameters, re.DOTALL).fullmatch, tests))
