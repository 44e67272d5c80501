"""The values that users receive from this package or pass to it, apart from limits (`codex_backend_sdk.limits`).

All of them are immutable, and none shows a token when it is printed. This module imports neither `openai` nor `httpx2`,
so that `codex-backend status` starts quickly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from datetime import datetime, timedelta

__all__ = [
    "Account",
    "Clock",
    "DeviceCode",
    "Login",
    "Routing",
    "Secret",
    "Workspace",
]


class Secret:
    """A token that does not show itself: `repr()` and `str()` give at most its last four characters.

    `reveal()` returns the token. A `Secret` cannot be pickled.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the token itself. Call this only where the token goes into a request or a store."""
        return self._text

    def __repr__(self) -> str:
        # The last four characters are too much of a short secret.
        tail = self._text[-4:] if len(self._text) >= 16 else ""
        return f"Secret('…{tail}')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret cannot be pickled. Store the login with a CredentialStore instead.")

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """An access token and the claims in it: everything that is needed to sign a request.

    `expires_at` is None when the expiry of the access token cannot be read. `residency` is the region in which
    responses have to be computed according to the access token, None for no constraint.
    """

    access_token: Secret
    account_id: str | None = field(repr=False)
    is_fedramp: bool = False
    expires_at: datetime | None = None
    email: str | None = field(default=None, repr=False)
    plan: str | None = None
    user_id: str | None = field(default=None, repr=False)
    residency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user who is logged in. It holds no secret.

    `expires_at` is the expiry of the access token, None when it is unknown; the client refreshes the token before that.
    `stored_in` describes the credential store, None for a login that exists only in this process.
    """

    email: str | None
    plan: str | None
    account_id: str | None
    user_id: str | None
    expires_at: datetime | None
    stored_in: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """The code for a login on another device: the user opens `url` there and enters `user_code` within `expires_in`.

    `interval` is how often the client polls the issuer. `device_auth_id` identifies this login attempt to the issuer.
    """

    user_code: str
    url: str
    expires_in: timedelta
    interval: timedelta
    device_auth_id: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A ChatGPT workspace (account) that the login belongs to. A member that the backend does not send is None.

    `structure` is for example `personal`. `backend_origin` and `routing_override` are as the backend sent them, not
    validated; the value `NO_CONSTRAINT` means that requests may go anywhere.
    """

    account_id: str
    name: str | None
    plan: str | None
    structure: str | None
    is_default: bool
    backend_origin: str | None
    routing_override: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Where the model requests of a workspace go.

    `origin` (`https://host`) replaces the origin of `base_url`; None keeps it. `override` is sent with each request
    in the header `x-openai-account-routing-override`; None sends no such header.
    """

    origin: str | None = None
    override: str | None = None


class Clock(Protocol):
    """The clock of a client. Tests pass one of their own, so that retries take no time."""

    def now(self) -> datetime:
        """Return the current time, aware of its time zone."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start; they never go backwards."""
        ...

    def jitter(self) -> float:
        """Return a random number between 0 and 1 for the jitter of a backoff."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block for this many seconds."""

    async def sleep_async(self, seconds: float) -> None:
        """Wait for this many seconds without blocking the event loop."""
