"""What would slip past the check of routes: an official resource that opens a connection of its own."""

from __future__ import annotations

from typing import NoReturn

from openai.resources.beta import AsyncBeta as OfficialAsyncBeta
from openai.resources.beta import Beta as OfficialBeta

from .._request.prepare import reject_resource

__all__ = ["AsyncBeta", "Beta"]


class Beta(OfficialBeta):
    """Nothing of it is there; the other resources under it are refused when they send a request."""

    @property
    def realtime(self) -> NoReturn:
        """Not there: UnsupportedEndpointError."""
        reject_resource("beta.realtime")


class AsyncBeta(OfficialAsyncBeta):
    """Nothing of it is there; the other resources under it are refused when they send a request."""

    @property
    def realtime(self) -> NoReturn:
        """Not there: UnsupportedEndpointError."""
        reject_resource("beta.realtime")
