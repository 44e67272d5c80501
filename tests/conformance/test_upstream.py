"""Run openai's own tests on the official client and on the client of this package.

The source distribution of each openai release contains its tests. `python scripts/fetch_upstream_tests.py VERSION`
downloads them, and `python scripts/conformance.py` runs this file on several versions and interpreters.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from suite import MODES, ROOT, run_alone, run_suite, unpacked_tests
from verdict import judge, read_expectations

OPENAI = version("openai")
UPSTREAM = unpacked_tests(OPENAI)
REPORTS = ROOT / ".cache" / "conformance" / "reports" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
EXPECTED = read_expectations(Path(__file__).with_name("expected.toml"))
REQUIRED = ("aiohttp", "inline_snapshot", "PIL", "pytest_asyncio", "rich", "trio", "websockets", "xdist")
MISSING = [name for name in REQUIRED if find_spec(name) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"pip install -r scripts/conformance-requirements.txt  ({MISSING})")
@pytest.mark.skipif(not UPSTREAM.exists(), reason=f"python scripts/fetch_upstream_tests.py {OPENAI}")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", MODES)
def test_official_tests_deviate_only_as_listed(mode: str) -> None:
    folder = REPORTS / f"openai-{OPENAI}"
    folder.mkdir(parents=True, exist_ok=True)
    expected = EXPECTED.failures(mode, OPENAI)
    run = run_suite(mode, UPSTREAM, folder / f"{mode}.json")
    outcomes, reasons = {**run.outcomes}, {**run.reasons}
    if failures := judge(outcomes, expected).unexpected_failures:
        # A failure counts only if the test fails again in a sequential run: some tests measure time.
        again = run_alone(mode, UPSTREAM, folder / f"{mode}-again.json", failures)
        outcomes.update({test: again.outcomes[test] for test in failures if test in again.outcomes})
        reasons.update(again.reasons)
    verdict = judge(outcomes, expected)
    unexpected = [f"{test}: {reasons[test]}" for test in verdict.unexpected_failures]
    assert not unexpected, "These tests failed and are not on the list:\n" + "\n".join(unexpected)
    assert not verdict.unexpected_passes, "These tests passed. Remove them from the list."
    assert verdict.passed >= EXPECTED.floor(mode, OPENAI), run.output[-3000:]
    if EXPECTED.newest == OPENAI:
        assert not verdict.unmatched_entries, "No test matches these entries of the list."
