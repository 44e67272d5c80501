"""Simulate the usage limits of the account, in the three formats in which the backend reports them.

The response headers, the `codex.rate_limits` event and `GET /wham/usage` are built from one `SimulatedLimits` object,
so they are consistent. A test assigns the limits that it needs, a `usage_limit` fault exhausts a window, and a reset
credit resets the windows. With `limit_after`, each model request uses a share of the primary window. While a window is
exhausted and the account has no credits, the backend rejects model requests (`AccountLimits.find_exhausted`).
"""

from __future__ import annotations

import threading
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..simulated_account import SimulatedAccount

__all__ = ["AccountLimits", "ExhaustedLimit", "SimulatedAdditionalLimit", "SimulatedLimits", "SimulatedWindow"]

_GRANTED_AT = "2026-06-17T00:00:00Z"
# These values of `rate_limit_reached_type` report a reached spend cap. The other values report exhausted credits.
_SPEND_CAP_TYPES = ("workspace_owner_usage_limit_reached", "workspace_member_usage_limit_reached")


@dataclass(frozen=True, slots=True)
class SimulatedWindow:
    """A limit window: its length in minutes and the used share in percent.

    The used share becomes 0 at `resets_at` (an aware datetime). If `resets_at` is None, the reported reset is the end
    of the current interval of this length since the Unix epoch, and the used share does not change.
    """

    used_percent: int
    _: KW_ONLY
    minutes: int
    resets_at: datetime | None = None

    def used_percent_at(self, now: datetime) -> int:
        """Return the used share at this time, in percent."""
        return 0 if self.resets_at is not None and self.resets_at <= now else self.used_percent

    def next_reset(self, now: datetime) -> int:
        """Return the time of the next reset as a Unix timestamp."""
        if self.resets_at is not None and self.resets_at > now:
            return int(self.resets_at.timestamp())
        length_seconds = self.minutes * 60
        return (int(now.timestamp()) // length_seconds + 1) * length_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedAdditionalLimit:
    """A limit of a single model, in addition to the limits of the plan.

    `model` is the slug of the model whose requests are rejected while the limit is exhausted. With None, the limit is
    only reported.
    """

    id: str = "codex_bengalfox"
    name: str = "GPT-X-Spark"
    primary: SimulatedWindow = SimulatedWindow(1, minutes=300)
    secondary: SimulatedWindow | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLimits:
    """The usage limits, the credits and the spend cap of an account.

    - `primary`, `secondary`: the limit windows of the plan.
    - `additional`: the limits of single models.
    - `reached_type`: the exhausted limit of a workspace, as the backend spells it: `workspace_owner_credits_depleted`,
      ….
    - `reset_credits`: the number of available reset credits. None simulates an account without this feature.
    """

    primary: SimulatedWindow = SimulatedWindow(12, minutes=300)
    secondary: SimulatedWindow | None = SimulatedWindow(34, minutes=10080)
    additional: tuple[SimulatedAdditionalLimit, ...] = ()
    has_credits: bool = False
    credit_balance: str = "0"
    spend_cap_reached: bool = False
    reached_type: str | None = None
    reset_credits: int | None = 0

    def headers(self, now: datetime) -> list[tuple[str, str]]:
        """Return the headers of a model response (Codex CLI: codex-api/src/rate_limits.rs)."""
        headers = list(_window_headers("codex", self.primary, self.secondary, now))
        for limit in self.additional:
            family = limit.id.replace("_", "-")
            headers += _window_headers(family, limit.primary, limit.secondary, now)
            headers.append((f"x-{family}-limit-name", limit.name))
        return [
            *headers,
            ("x-codex-credits-has-credits", str(self.has_credits).lower()),
            ("x-codex-credits-unlimited", "false"),
            ("x-codex-credits-balance", self.credit_balance),
        ]

    def event(self, account: SimulatedAccount, now: datetime) -> dict[str, Any]:
        """Return the `codex.rate_limits` event. It precedes `response.created`."""
        additional = {
            limit.name: {
                "primary": _event_window(limit.primary, now),
                "secondary": _event_window(limit.secondary, now),
            }
            for limit in self.additional
        }
        return {
            "type": "codex.rate_limits",
            "plan_type": account.plan,
            "rate_limits": {
                **_limit_state(self.primary, self.secondary, now),
                "primary": _event_window(self.primary, now),
                "secondary": _event_window(self.secondary, now),
            },
            "code_review_rate_limits": None,
            "additional_rate_limits": additional or None,
            "credits": {
                "has_credits": self.has_credits,
                "unlimited": False,
                "balance": self.credit_balance,
            },
            "promo": None,
        }

    def usage(self, account: SimulatedAccount, now: datetime) -> dict[str, Any]:
        """Return the body of `GET /wham/usage` (Codex CLI: codex-backend-openapi-models/)."""
        return {
            "user_id": account.user_id,
            "account_id": account.account_id,
            "email": account.email,
            "plan_type": account.plan,
            "rate_limit": _usage_limit(self.primary, self.secondary, now),
            "code_review_rate_limit": None,
            "additional_rate_limits": [
                {
                    "limit_name": limit.name,
                    "metered_feature": limit.id,
                    "normal_model_slug": None,
                    "rate_limit": _usage_limit(limit.primary, limit.secondary, now),
                }
                for limit in self.additional
            ],
            "credits": {
                "has_credits": self.has_credits,
                "unlimited": False,
                "overage_limit_reached": False,
                "balance": self.credit_balance,
                "approx_local_messages": [0, 0],
                "approx_cloud_messages": [0, 0],
            },
            "spend_control": {"reached": self.spend_cap_reached, "individual_limit": None},
            "rate_limit_reached_type": None if self.reached_type is None else {"type": self.reached_type},
            "model_usage": {},
            "rate_limit_reset_credits": (
                None if self.reset_credits is None else {"available_count": self.reset_credits}
            ),
            "rate_limit_upsell": None,
            "promo": None,
            "referral_beacon": None,
        }


def _window_headers(
    family: str, primary: SimulatedWindow, secondary: SimulatedWindow | None, now: datetime
) -> Iterator[tuple[str, str]]:
    for name, window in (("primary", primary), ("secondary", secondary)):
        if window is not None:
            yield f"x-{family}-{name}-used-percent", f"{window.used_percent_at(now):.1f}"
            yield f"x-{family}-{name}-window-minutes", str(window.minutes)
            yield f"x-{family}-{name}-reset-at", str(window.next_reset(now))


def _limit_state(primary: SimulatedWindow, secondary: SimulatedWindow | None, now: datetime) -> dict[str, bool]:
    windows = (primary, secondary)
    is_reached = any(window is not None and window.used_percent_at(now) >= 100 for window in windows)
    return {"allowed": not is_reached, "limit_reached": is_reached}


def _event_window(window: SimulatedWindow | None, now: datetime) -> dict[str, int] | None:
    return None if window is None else {"window_minutes": window.minutes, **_window_state(window, now)}


def _usage_limit(primary: SimulatedWindow, secondary: SimulatedWindow | None, now: datetime) -> dict[str, Any]:
    return {
        **_limit_state(primary, secondary, now),
        "primary_window": _usage_window(primary, now),
        "secondary_window": _usage_window(secondary, now),
    }


def _usage_window(window: SimulatedWindow | None, now: datetime) -> dict[str, int] | None:
    return None if window is None else {"limit_window_seconds": window.minutes * 60, **_window_state(window, now)}


def _window_state(window: SimulatedWindow, now: datetime) -> dict[str, int]:
    reset_at = window.next_reset(now)
    return {
        "used_percent": window.used_percent_at(now),
        "reset_after_seconds": reset_at - int(now.timestamp()),
        "reset_at": reset_at,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhaustedLimit:
    """An exhausted window, and what the backend says about it when it rejects a request.

    - `has_reset`: whether the error contains the time of the reset.
    - `plan`: the plan in the error. None stands for the account's plan.
    - `reached_type`, `promo`: the values of two headers of the error.
    - `additional`: the limit of a single model that is exhausted. None stands for the plan's limit.
    - `is_from_fault`: whether a `usage_limit` fault exhausted the window.
    """

    window: SimulatedWindow
    has_reset: bool = True
    plan: str | None = None
    reached_type: str | None = None
    promo: str | None = None
    additional: SimulatedAdditionalLimit | None = None
    is_from_fault: bool = False


class AccountLimits:
    """The current limits and the reset credits of the account. The class is thread-safe.

    An assignment to `current` replaces the limits and all reset credits, including the redeemed ones. `limit_after` is
    the number of model requests that use up the primary window, or None if requests do not change the limits.
    """

    def __init__(
        self, limits: SimulatedLimits, *, limit_after: int | None = None, clock: Callable[[], datetime]
    ) -> None:
        self._lock = threading.Lock()
        self._initial = (limits, limit_after)
        self._clock = clock
        self.restore()

    @property
    def current(self) -> SimulatedLimits:
        """The limits that responses report."""
        return self._current

    @current.setter
    def current(self, limits: SimulatedLimits) -> None:
        with self._lock:
            self._current = limits
            # By credit id: the time when the credit was redeemed, or None if it is available.
            self._redeemed_at: dict[str, str | None] = {
                f"RateLimitResetCredit_{number + 1}": None for number in range(limits.reset_credits or 0)
            }
            self._redeem_request_ids: set[str] = set()

    @property
    def limit_after(self) -> int | None:
        """The number of model requests that use up the primary window."""
        return self._limit_after

    @limit_after.setter
    def limit_after(self, count: int | None) -> None:
        if count is not None and count < 0:
            raise ValueError(f"Invalid value of limit_after: {count}. Pass a number of requests, or None.")
        with self._lock:
            self._limit_after, self._request_count = count, 0
            if count is not None:
                self._set_primary_use(self._clock())

    def restore(self) -> None:
        """Restore the limits and `limit_after` that were passed to the constructor."""
        self._fault: ExhaustedLimit | None = None
        self.current, self.limit_after = self._initial

    def count_request(self, now: datetime) -> None:
        """Add a model request to the use of the primary window, if `limit_after` is set."""
        with self._lock:
            if self._limit_after is not None:
                window = self._current.primary
                if window.resets_at is not None and window.resets_at <= now:
                    self._request_count = 0
                self._request_count += 1
                self._set_primary_use(now)

    def _set_primary_use(self, now: datetime) -> None:
        count, limit, window = self._request_count, self._limit_after or 0, self._current.primary
        resets_at = window.resets_at
        if resets_at is None or resets_at <= now:
            resets_at = now + timedelta(minutes=window.minutes)
        used_percent = 100 if count >= limit else 100 * count // limit
        self._current = replace(
            self._current, primary=SimulatedWindow(used_percent, minutes=window.minutes, resets_at=resets_at)
        )

    def find_exhausted(self, model: str, now: datetime) -> ExhaustedLimit | None:
        """Return the exhausted limit because of which the backend rejects a request for this model, or None.

        Credits replace the limits of the plan.
        """
        with self._lock:
            limits, fault = self._current, self._fault
        plan = ExhaustedLimit(window=limits.primary, reached_type=limits.reached_type)
        candidates = [] if limits.has_credits else [plan, replace(plan, window=limits.secondary or limits.primary)]
        for limit in limits.additional:
            if limit.model == model:
                exhausted = ExhaustedLimit(window=limit.primary, additional=limit)
                candidates += [exhausted, replace(exhausted, window=limit.secondary or limit.primary)]
        for candidate in candidates:
            if candidate.window.used_percent_at(now) >= 100:
                return fault if fault is not None and fault.window == candidate.window else candidate
        return None

    def exhaust(self, exhausted: ExhaustedLimit) -> None:
        """Replace a window by this exhausted one: a window of a single model's limit, or a window of the plan.

        In the plan, it replaces the secondary window if this has the same length, and the primary window otherwise.
        """
        window, additional, reached_type = exhausted.window, exhausted.additional, exhausted.reached_type
        with self._lock:
            limits, self._fault = self._current, exhausted
            if additional is not None:
                other_limits = tuple(limit for limit in limits.additional if limit.id != additional.id)
                self._current = replace(limits, additional=(*other_limits, replace(additional, primary=window)))
                return
            is_secondary = limits.secondary is not None and limits.secondary.minutes == window.minutes
            self._current = replace(
                limits,
                primary=limits.primary if is_secondary else window,
                secondary=window if is_secondary else limits.secondary,
                reached_type=reached_type,
                spend_cap_reached=limits.spend_cap_reached or reached_type in _SPEND_CAP_TYPES,
            )

    # Reset credits. Codex CLI: backend-client/src/client/rate_limit_resets.rs.

    def reset_credits(self) -> dict[str, Any] | None:
        """Return the response body that lists the reset credits, or None if the account does not have this feature."""
        if self._current.reset_credits is None:
            return None
        credits = [
            {
                "id": credit_id,
                "reset_type": "codex_rate_limits",
                "status": "available" if redeemed_at is None else "redeemed",
                "granted_at": _GRANTED_AT,
                "expires_at": None,
                "redeemed_at": redeemed_at,
                "title": "Rate limit reset",
                "description": "Resets your usage limits once.",
            }
            for credit_id, redeemed_at in self._redeemed_at.items()
        ]
        return {"credits": credits, "available_count": self._current.reset_credits}

    def consume_reset_credit(self, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Redeem a reset credit and return the response body. A repeated `redeem_request_id` redeems nothing."""
        with self._lock:
            request_id, credit_id = request["redeem_request_id"], request.get("credit_id")
            available_ids = [name for name, redeemed_at in self._redeemed_at.items() if redeemed_at is None]
            if request_id in self._redeem_request_ids or (
                credit_id is not None and self._redeemed_at.get(credit_id) is not None
            ):
                return {"code": "already_redeemed", "windows_reset": 0}
            if not available_ids or (credit_id is not None and credit_id not in available_ids):
                return {"code": "no_credit", "windows_reset": 0}
            limits = self._current
            windows = [window for window in (limits.primary, limits.secondary) if window is not None]
            reset_count = sum(window.used_percent_at(now) > 0 for window in windows)
            if not reset_count:
                return {"code": "nothing_to_reset", "windows_reset": 0}
            self._redeem_request_ids.add(request_id)
            redeemed_at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
            self._redeemed_at[credit_id or available_ids[0]] = redeemed_at
            self._request_count = 0
            self._current = replace(
                limits,
                primary=SimulatedWindow(0, minutes=limits.primary.minutes),
                secondary=limits.secondary and SimulatedWindow(0, minutes=limits.secondary.minutes),
                reached_type=None,
                reset_credits=len(available_ids) - 1,
            )
            return {"code": "reset", "windows_reset": reset_count}
