"""Fixtures of the auth tests: a clock and an OAuth issuer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from issuer_stub import IssuerStub
from manager_support import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[IssuerStub]:
    with IssuerStub(clock=clock) as stub:
        yield stub
