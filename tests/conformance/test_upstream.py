"""The official package's own tests, with our classes in place of the official ones.

They ship in the source distribution of each openai release. `python scripts/fetch_upstream_tests.py VERSION`
fetches them; `python scripts/conformance.py` runs this file on several versions and interpreters.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from suite import FILES_BY_MODE, ROOT, run, unpacked_tests
from verdict import judge, read_expectations

OPENAI = version("openai")
UPSTREAM = unpacked_tests(OPENAI)
REPORTS = ROOT / ".cache" / "conformance" / "reports" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
EXPECTED = read_expectations(Path(__file__).with_name("expected.toml"))
NEEDED = ("aiohttp", "inline_snapshot", "PIL", "pytest_asyncio", "rich", "trio", "websockets", "xdist")
MISSING = [name for name in NEEDED if find_spec(name) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"pip install -r scripts/conformance-requirements.txt  ({MISSING})")
@pytest.mark.skipif(not UPSTREAM.exists(), reason=f"python scripts/fetch_upstream_tests.py {OPENAI}")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", FILES_BY_MODE)
def test_the_official_tests_deviate_only_as_listed(mode: str) -> None:
    folder = REPORTS / f"openai-{OPENAI}"
    folder.mkdir(parents=True, exist_ok=True)
    done = run(mode, UPSTREAM, folder / f"{mode}.json")
    verdict = judge(done.outcomes, EXPECTED.failures(mode, OPENAI))
    told = [f"{test}: {done.reasons[test]}" for test in verdict.unexpected_failures]
    assert not told, "failed, and not on the list:\n" + "\n".join(told)
    assert not verdict.unexpected_passes, "passed, and should leave the list"
    assert verdict.passed >= EXPECTED.floor(mode, OPENAI), done.output[-3000:]
    if EXPECTED.newest == OPENAI:
        assert not verdict.unmatched_entries, "no test bears these names"
