"""Reject resources of openai that open their own connection, which `prepare` cannot check.

`prepare` rejects every other method that the Codex backend does not have when the method sends its request.
"""

from __future__ import annotations

from typing import NoReturn

from openai.resources.beta import AsyncBeta as OfficialAsyncBeta
from openai.resources.beta import Beta as OfficialBeta

from .._request.prepare import reject_resource

__all__ = ["AsyncBeta", "Beta"]


class Beta(OfficialBeta):
    """openai's beta resources. The Codex backend has none of them: using one raises UnsupportedEndpointError."""

    @property
    def realtime(self) -> NoReturn:
        """Raises UnsupportedEndpointError."""
        reject_resource("beta.realtime")


class AsyncBeta(OfficialAsyncBeta):
    """openai's beta resources. The Codex backend has none of them: using one raises UnsupportedEndpointError."""

    @property
    def realtime(self) -> NoReturn:
        """Raises UnsupportedEndpointError."""
        reject_resource("beta.realtime")
