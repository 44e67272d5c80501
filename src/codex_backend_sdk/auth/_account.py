"""Who is signed in, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._account_types import Account
    from ..types import Login

__all__ = ["account_from"]


def account_from(login: Login, *, stored_in: str | None) -> Account:
    """Leave the secret out of a login."""
    from .._account_types import Account  # a program that only makes calls does without

    return Account(
        email=login.email,
        plan=login.plan,
        account_id=login.account_id,
        user_id=login.user_id,
        expires_at=login.expires_at,
        stored_in=stored_in,
    )
