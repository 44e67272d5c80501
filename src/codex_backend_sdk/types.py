"""Frozen values that every client has: its login and its settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, Protocol

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "Clock",
    "Login",
    "Retries",
    "Routing",
    "Secret",
    "Settings",
    "Timeouts",
]


class Secret:
    """A token that does not show itself: `repr`, `str` and pickling give at most its last four characters.

    `reveal()` returns the text; it is called only where the token is put on the wire or into a store.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the token itself."""
        return self._text

    def __repr__(self) -> str:
        # A short secret would be half shown by its last four characters.
        tail = self._text[-4:] if len(self._text) >= 16 else ""
        return f"Secret('…{tail}')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret cannot be pickled; store a login with a CredentialStore instead.")

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a request needs to be signed, read from a stored login.

    `expires_at` is None when the access token's expiry cannot be read. `residency` is the region in which the
    access token says that answers have to be computed, None when it says nothing or sets no constraint.
    """

    access_token: Secret
    account_id: str | None = field(repr=False)
    is_fedramp: bool = False
    expires_at: datetime | None = None
    email: str | None = field(default=None, repr=False)
    plan: str | None = None
    user_id: str | None = field(default=None, repr=False)
    residency: str | None = None


class Clock(Protocol):
    """The time, as retries see it; tests give a clock of their own."""

    def now(self) -> datetime:
        """Return the time of day, aware."""

    def monotonic(self) -> float:
        """Return seconds from an unknown beginning."""

    def jitter(self) -> float:
        """Return a number between 0 and 1 that nobody can foresee."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    async def sleep_async(self, seconds: float) -> None:
        """Wait, and let others run."""


class Retries(NamedTuple):
    """When a failed call is sent again, beside the official `max_retries`; times in seconds.

    `deadline` is for all attempts and the waits between them, `max_retry_after` the longest wait that the backend may
    ask for, `wait_for_limit` the longest time to wait for a used-up plan to be filled up again.
    """

    deadline: float | None = None
    max_retry_after: float = 60.0
    wait_for_limit: timedelta = timedelta(0)
    on_interrupt: Literal["raise", "restart"] = "raise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Where the model requests of a workspace go.

    `origin` (`https://host`) takes the place of the one of `base_url`, None leaves it. `override` is sent with each
    request as `x-openai-account-routing-override`, None for no such header.
    """

    origin: str | None = None
    override: str | None = None


class Timeouts(NamedTuple):
    """How long each part of a call may take, in seconds; `math.inf` is for ever.

    None leaves the first three to the official `timeout`. `total` is for a whole call, its attempts and the waits
    between them included; None is for ever.
    """

    connect: float | None = None
    first_byte: float | None = None
    idle: float | None = None
    total: float | None = None


class Settings(NamedTuple):
    """What a client was told, beyond the official arguments; `with_options()` hands it on."""

    model: str
    instructions: str
    originator: str
    unsupported: Literal["raise", "drop"]
    retries: Retries
    timeouts: Timeouts
