"""Provide pytest fixtures for a simulator and a client, and a marker for faults.

pytest loads this plugin in every test run once the package is installed, so it must not import large modules before a
test uses a fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .. import OpenAI
    from . import Simulator

__all__ = ["codex_client", "codex_simulator", "pytest_configure", "pytest_runtest_setup"]

_MARKER = "codex_faults"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    description = "make requests to codex_simulator fail, with the arguments of Simulator.fail"
    config.addinivalue_line("markers", f"{_MARKER}(*faults, times=1, route=None, probability=None): {description}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that has the marker but uses no simulator, because its faults would have no effect."""
    uses_simulator = "codex_simulator" in getattr(item, "fixturenames", ())  # `codex_client` also requests it
    if not uses_simulator and item.get_closest_marker(_MARKER) is not None:
        pytest.fail(
            f"The marker `{_MARKER}` has no effect. Use the fixture `codex_simulator` or `codex_client` in this test.",
            pytrace=False,
        )


@pytest.fixture
def codex_simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A running `Simulator`. It stops after the test. Requires the extra `testing`.

    `@pytest.mark.codex_faults("overloaded", "usage_limit:plus")` makes requests fail, as `Simulator.fail` does.
    """
    from . import Simulator  # not at the top of the module: see the module docstring

    with Simulator() as simulator:
        # Apply the outermost marker first: the faults of a class precede those of its methods.
        for marker in reversed(list(request.node.iter_markers(_MARKER))):
            simulator.fail(*marker.args, **marker.kwargs)
        yield simulator


@pytest.fixture
def codex_client(codex_simulator: Simulator) -> Iterator[OpenAI]:
    """A client that is logged in to the `codex_simulator` of the test. It is closed after the test."""
    with codex_simulator.client() as client:
        yield client
