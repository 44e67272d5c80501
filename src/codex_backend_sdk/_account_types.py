"""Frozen values about accounts that users receive; a program that only makes calls does without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from .types import Secret

__all__ = ["Account", "DeviceCode", "Workspace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who is signed in; for people, it holds no secret.

    `expires_at` is when the access token runs out (None: not known); a login that can be renewed lives on after
    that. `stored_in` names the place of the login, None when it is nowhere but in this program.
    """

    email: str | None
    plan: str | None
    account_id: str | None
    user_id: str | None
    expires_at: datetime | None
    stored_in: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """What a person needs to sign in on another device: open `url` there and type `user_code`, within `expires_in`."""

    user_code: str
    url: str
    expires_in: timedelta
    interval: timedelta
    device_auth_id: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """One of the accounts that a login belongs to, in the backend's words; what it does not say is None.

    `structure` is for example `personal`. `backend_origin` and `routing_override` are not checked; `NO_CONSTRAINT` in
    them means that requests go anywhere.
    """

    account_id: str
    name: str | None
    plan: str | None
    structure: str | None
    is_default: bool
    backend_origin: str | None
    routing_override: str | None
