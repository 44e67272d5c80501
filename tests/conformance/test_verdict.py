"""Test the rules of the list of expected failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version
from suite import MODES
from verdict import Expectations, judge, read_expectations

EXPECTED = read_expectations(Path(__file__).with_name("expected.toml"))

LISTED = """
newest = "4.0.0"
[[floor]]
mode = "client"
passed = 10
[[floor]]
mode = "client"
openai = ">=3.5"
passed = 20
[[group]]
mode = "client"
reason = "always"
tests = ["a.py::one"]
[[group]]
mode = "client"
reason = "in the old ones"
openai = "<3.5"
tests = ["a.py::two"]
"""


@pytest.fixture
def listed(tmp_path: Path) -> Expectations:
    path = tmp_path / "expected.toml"
    path.write_text(LISTED)
    return read_expectations(path)


def test_unlisted_failure_is_unexpected() -> None:
    verdict = judge({"a.py::one": "failed", "a.py::two": "passed"}, [])
    assert verdict.unexpected_failures == ("a.py::one",)
    assert verdict.unexpected_passes == ()


def test_listed_test_that_passes_is_unexpected() -> None:
    verdict = judge({"a.py::one": "passed"}, ["a.py::one"])
    assert verdict.unexpected_passes == ("a.py::one",)
    assert verdict.unexpected_failures == ()


def test_listed_failures_and_skips_are_expected() -> None:
    verdict = judge({"a.py::one": "failed", "a.py::two": "skipped"}, ["a.py::one", "a.py::two"])
    assert verdict == judge({"a.py::one": "failed", "a.py::two": "skipped"}, ["a.py::*"])
    assert (verdict.unexpected_failures, verdict.unexpected_passes, verdict.unmatched_entries) == ((), (), ())
    assert (verdict.passed, verdict.failed, verdict.skipped) == (0, 1, 1)


def test_entry_without_a_test_is_reported() -> None:
    assert judge({"a.py::one": "failed"}, ["a.py::one", "a.py::gone"]).unmatched_entries == ("a.py::gone",)


@pytest.mark.parametrize(
    ("entry", "matches"),
    [
        ("a.py::one", ["a.py::one", "a.py::one[x]", "a.py::one[y-\n]"]),
        ("a.py::one[x]", ["a.py::one[x]"]),
        ("a.py::one[*y-*]", ["a.py::one[y-\n]"]),
        ("a.py::*", ["a.py::one", "a.py::one[x]", "a.py::one[y-\n]", "a.py::one_more"]),
        ("a*py::one_more", ["a.py::one_more"]),
    ],
)
def test_entry_matches(entry: str, matches: list[str]) -> None:
    tests = ["a.py::one", "a.py::one[x]", "a.py::one[y-\n]", "a.py::one_more", "b_py::one"]
    verdict = judge(dict.fromkeys(tests, "failed"), [entry])
    assert sorted(set(tests) - set(verdict.unexpected_failures)) == sorted(matches)


@pytest.mark.parametrize(("version", "tests"), [("3.4.0", ("a.py::one", "a.py::two")), ("3.5.0", ("a.py::one",))])
def test_group_applies_to_its_versions(listed: Expectations, version: str, tests: tuple[str, ...]) -> None:
    assert listed.failures("client", version) == tests
    assert listed.failures("off", version) == ()


@pytest.mark.parametrize(("version", "floor"), [("3.4.0", 10), ("3.5.0", 20)])
def test_highest_floor_applies(listed: Expectations, version: str, floor: int) -> None:
    assert listed.floor("client", version) == floor


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("version", ["3.15.0", EXPECTED.newest, str(Version(EXPECTED.newest).major) + ".999.0"])
def test_checked_in_list_has_a_floor(mode: str, version: str) -> None:
    assert EXPECTED.floor(mode, version) > 0


@pytest.mark.parametrize("mode", MODES)
def test_newest_version_has_a_higher_floor(mode: str) -> None:
    assert EXPECTED.floor(mode, "3.15.0") < EXPECTED.floor(mode, EXPECTED.newest)


def test_only_our_client_has_expected_failures() -> None:
    assert {group.mode for group in EXPECTED.groups} <= {"client"}
