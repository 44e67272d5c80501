"""The person who is signed in to the simulator."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Account"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A ChatGPT account, as the claims of its tokens and the usage answer describe it.

    `plan` is spelled as the backend spells it: `free`, `plus`, `pro`, `team`, `business`, `enterprise`, … `residency`
    is the region in the access token's claims.
    """

    account_id: str = "acc-00000000-0000-4000-8000-000000000001"
    user_id: str = "user-simulated"
    email: str = "user@example.com"
    plan: str = "pro"
    is_fedramp: bool = False
    residency: str = "no_constraint"
