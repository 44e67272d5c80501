"""Whose personal access token it is: the issuer knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..types import Login
from ._failures import login_required, refresh_failed

if TYPE_CHECKING:
    from ..types import Secret
    from ._issuer import Issuer

__all__ = ["whose"]


def whose(issuer: Issuer, token: Secret, *, place: str, remedy: str) -> Login:
    """Return the login. LoginRequiredError when the token is refused, TokenRefreshError when a later try may succeed."""
    found = issuer.whoami(token)
    if isinstance(found, Login):
        return found
    what = f"The personal access token in {place} cannot be used. {found.message}"
    raise login_required(what, remedy=remedy) if found.is_permanent else refresh_failed(what)
