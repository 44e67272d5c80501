from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure() -> None:
    """Let the programs that tests start be interrupted, even where the tests run in the background of a shell.

    A shell starts such a job with SIGINT ignored, and what is ignored stays so in every process below it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Iterator[int]:
    """Start two workers more than there are processors: two thirds of the time, a test of ours waits."""
    processors: int = yield
    return processors + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that may take minutes, so that none is left when the other workers have nothing more to do."""
    items.sort(key=_seconds_allowed, reverse=True)


def _seconds_allowed(item: pytest.Item) -> float:
    of_its_own = item.get_closest_marker("timeout")
    return 0 if of_its_own is None else of_its_own.args[0]
