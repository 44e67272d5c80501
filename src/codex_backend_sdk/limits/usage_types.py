"""What the account's own endpoints answer, as frozen values that users receive.

A member that the backend did not tell is None or empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .limit_types import Shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from .limit_types import AdditionalLimit, RateLimits

__all__ = ["ModelUsage", "ResetCredit", "ResetCredits", "ResetResult", "UsageReport"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ModelUsage(Shown):
    """Whether one model can be used now, or from when on, or with credits."""

    model: str
    available: bool | None = None
    available_at: datetime | None = None
    credits_would_enable: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UsageReport(Shown):
    """All that the backend tells of the plan's usage.

    `reset_credits` is how many there are, None for an account that has none to do with. `banner` is the backend's
    offer for this account, as it came.
    """

    limits: RateLimits
    email: str | None = field(default=None, repr=False)
    account_id: str | None = field(default=None, repr=False)
    user_id: str | None = field(default=None, repr=False)
    code_review: AdditionalLimit | None = None
    models: tuple[ModelUsage, ...] = ()
    reset_credits: int | None = None
    banner: dict[str, Any] | None = field(default=None, hash=False)

    @property
    def plan(self) -> str | None:
        """The plan, as the backend spells it."""
        return self.limits.plan

    def __str__(self) -> str:
        return str(self.limits)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ResetCredit(Shown):
    """A credit that fills the limits up again before their time. `status` was seen to be `available`."""

    id: str
    status: str | None = None
    reset_type: str | None = None
    granted_at: datetime | None = None
    expires_at: datetime | None = None
    redeemed_at: datetime | None = None
    title: str | None = None
    description: str | None = None

    @property
    def is_available(self) -> bool:
        """Whether it can be used."""
        return self.status == "available"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ResetCredits(Shown):
    """The reset credits of the account; iterate over it for each."""

    available_count: int
    credits: tuple[ResetCredit, ...] = ()

    def __iter__(self) -> Iterator[ResetCredit]:
        return iter(self.credits)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ResetResult(Shown):
    """What became of a reset credit.

    `code` is the backend's word: `reset`, `nothing_to_reset`, `no_credit`, `already_redeemed`, `cooldown_active`,
    `redeeming`, or a newer one. `windows_reset` says how many windows were filled up.
    """

    code: str | None
    windows_reset: int | None = None
    redeem_request_id: str

    @property
    def was_reset(self) -> bool:
        """Whether the limits were filled up by this request, or by an earlier one with the same key."""
        return self.code in ("reset", "already_redeemed")
