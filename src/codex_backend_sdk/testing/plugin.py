"""pytest fixtures; the plugin is found by pytest itself once the package is installed.

Nothing is imported here before a test asks for a fixture: the plugin is loaded in every test run of its users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_backend_sdk import OpenAI

    from . import Simulator

__all__ = ["codex_client", "codex_simulator"]


@pytest.fixture
def codex_simulator() -> Iterator[Simulator]:
    """A started `Simulator`, stopped after the test; needs the extra `codex-backend-sdk[testing]`."""
    from . import Simulator

    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def codex_client(codex_simulator: Simulator) -> Iterator[OpenAI]:
    """A client that is signed in to the test's `codex_simulator`, closed after the test."""
    with codex_simulator.client() as client:
        yield client
