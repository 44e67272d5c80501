"""Define the public value types, except those for usage limits (`codex_backend_sdk.limits`).

The values are immutable, and their `repr()` hides tokens. This module imports neither `openai` nor `httpx2`, so that
`codex-backend status` starts quickly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    import openai

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
    """A token whose `repr()` and `str()` show at most its last four characters.

    `reveal()` returns the token. A `Secret` cannot be pickled.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the token. Call this only to put the token into a request or a store."""
        return self._text

    def __repr__(self) -> str:
        # Four characters would reveal too much of a short secret.
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
    """An access token and its claims, with which the client signs a request.

    `expires_at` is None if the token has no readable expiry. `residency` is the data-residency region in the claims of
    the token, None for no constraint.
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
    """The account of a login. It contains no secret.

    `expires_at` is the expiry of the access token, None if it is unknown; the client refreshes the token earlier.
    `stored_in` describes the credential store. It is None if the login exists only in this process.
    """

    email: str | None
    plan: str | None
    account_id: str | None
    user_id: str | None
    expires_at: datetime | None
    stored_in: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """A code for a login on another device, where the user opens `url` and enters `user_code`.

    The code expires after `expires_in`. `interval` is the time between two polls of the issuer. `device_auth_id`
    identifies this login attempt to the issuer.
    """

    user_code: str
    url: str
    expires_in: timedelta
    interval: timedelta
    device_auth_id: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A ChatGPT workspace, which the backend's API calls an account. A field that the backend does not send is None.

    `structure` is for example `personal`. `backend_origin` and `routing_override` have the backend's values, which are
    not validated; `NO_CONSTRAINT` means that there is no routing constraint.
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
    """The routing of the model requests of a workspace.

    `origin` (`https://host`) replaces the origin of `base_url`; None keeps it. `override` is sent with each request
    in the header `x-openai-account-routing-override`; None sends no such header.
    """

    origin: str | None = None
    override: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A wait before a request is sent again, as `on_retry` receives it.

    Attributes:
        error: The failure of the last attempt, or the usage limit that stopped another call of this client.
        attempt: The number of attempts of this call so far.
        wait_seconds: How long the client waits before the next attempt, in seconds.
    """

    error: openai.APIError
    attempt: int
    wait_seconds: float


class Clock(Protocol):
    """The time, sleep and randomness that retries use. Tests pass an implementation whose waits take no time."""

    def now(self) -> datetime:
        """Return the current time as an aware datetime."""
        ...

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary start; the value never decreases."""
        ...

    def jitter(self) -> float:
        """Return a random number between 0 and 1 for the jitter of a backoff."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this thread for `seconds`."""

    async def sleep_async(self, seconds: float) -> None:
        """Suspend this task for `seconds` without blocking the event loop."""
