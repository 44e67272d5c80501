"""pytest fixtures; the plugin is found by pytest itself once the package is installed.

Nothing is imported here before a test asks for a fixture: the plugin is loaded in every test run of its users.
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
    """Make the marker known."""
    text = "let requests to codex_simulator fail, as Simulator.fail does"
    config.addinivalue_line("markers", f"{_MARKER}(*faults, times=1, route=None, probability=None): {text}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose faults nobody would see."""
    is_used = "codex_simulator" in getattr(item, "fixturenames", ())  # `codex_client` is made of it
    if not is_used and item.get_closest_marker(_MARKER) is not None:
        pytest.fail(f"`{_MARKER}` needs the fixture `codex_simulator` or `codex_client`.", pytrace=False)


@pytest.fixture
def codex_simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A started `Simulator`, stopped after the test; needs the extra `codex-backend-sdk[testing]`.

    `@pytest.mark.codex_faults("overloaded", "usage_limit:plus")` lets requests fail, as `Simulator.fail` does.
    """
    from . import Simulator

    with Simulator() as simulator:
        # From the outside in: a class's faults come before those of its method.
        for marker in reversed(list(request.node.iter_markers(_MARKER))):
            simulator.fail(*marker.args, **marker.kwargs)
        yield simulator


@pytest.fixture
def codex_client(codex_simulator: Simulator) -> Iterator[OpenAI]:
    """A client that is signed in to the test's `codex_simulator`, closed after the test."""
    with codex_simulator.client() as client:
        yield client
