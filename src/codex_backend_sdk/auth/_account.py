"""Who is signed in, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..types import Account

if TYPE_CHECKING:
    from ..types import Login

__all__ = ["account_from"]


def account_from(login: Login, *, stored_in: str | None) -> Account:
    """Leave the secret out of a login."""
    return Account(
        email=login.email,
        plan=login.plan,
        account_id=login.account_id,
        user_id=login.user_id,
        expires_at=login.expires_at,
        stored_in=stored_in,
    )
