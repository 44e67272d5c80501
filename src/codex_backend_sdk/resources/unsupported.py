"""Official resources that the check of routes cannot refuse, because they open a connection of their own.

Every other official method that the Codex backend does not have fails in `prepare`, when it sends its request.
"""

from __future__ import annotations

from typing import NoReturn

from openai.resources.beta import AsyncBeta as OfficialAsyncBeta
from openai.resources.beta import Beta as OfficialBeta

from .._request.prepare import reject_resource

__all__ = ["AsyncBeta", "Beta"]


class Beta(OfficialBeta):
    """The official beta resources. The Codex backend has none of them: using one raises UnsupportedEndpointError."""

    @property
    def realtime(self) -> NoReturn:
        """Raise UnsupportedEndpointError."""
        reject_resource("beta.realtime")


class AsyncBeta(OfficialAsyncBeta):
    """The official beta resources. The Codex backend has none of them: using one raises UnsupportedEndpointError."""

    @property
    def realtime(self) -> NoReturn:
        """Raise UnsupportedEndpointError."""
        reject_resource("beta.realtime")
