"""The conversations of these tests use HTTP, where each recorded request has the whole history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def client(new_client: Callable[..., Any]) -> Any:
    return new_client(transport="http")
