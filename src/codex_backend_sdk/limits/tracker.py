"""Record the usage limits that responses report, and keep the newest.

Every response reports limits, in its headers, in a `codex.rate_limits` event or as a usage report, but few programs
read them. So a report is stored unparsed. It is parsed when the limits are read, or at once if there is an `on_limits`
callback. Reports are merged in the order in which they were received (`limit_parsing.merge`).

Limits belong to an account. When a report of another account is received, all earlier limits are removed.

With a usage history, every report is parsed at once and passed on to it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._options import require_callback
from .._threads import create_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import ModuleType

    import httpx2

    from .limit_types import RateLimits
    from .usage_history import UsageHistory

__all__ = ["LimitsState", "LimitsTracker"]

_log = logging.getLogger("codex_backend_sdk")

# A report replaces an unparsed report with the same fields, so usually two or three are pending. If a server varies its
# headers, pending reports are parsed above this number, so that their number stays bounded.
_MAX_PENDING_REPORTS: Final = 8
_LIMIT_NAME_FIELDS: Final = ("metered_limit_name", "limit_name")


def _parser() -> ModuleType:
    # Imported here, because a program that never reads limits starts faster without the parser.
    from . import limit_parsing

    return limit_parsing


class _Report(NamedTuple):
    """The unparsed limits of one response. A complete report replaces all earlier limits; others are merged."""

    account_id: str | None
    received_at: datetime
    parse: Callable[[datetime], RateLimits | None]
    is_complete: bool


class LimitsState:
    """The newest limits and the unparsed reports, which a client and its copies share."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = create_lock()
        self._pending: dict[object, _Report] = {}
        self._account_id: str | None = None
        self._newest: RateLimits | None = None

    def add(
        self,
        key: object,
        parse: Callable[[datetime], RateLimits | None],
        *,
        account_id: str | None,
        is_complete: bool = False,
    ) -> None:
        """Store a report. It replaces an unparsed report with the same `key`, which stands for its set of fields."""
        with self._lock:
            self._pending.pop(key, None)  # move the report to the end: reports are merged in the order received
            self._pending[key] = _Report(account_id, self._now(), parse, is_complete)
            is_full = len(self._pending) > _MAX_PENDING_REPORTS
        if is_full:
            self.update()

    def update(self) -> tuple[RateLimits | None, RateLimits | None]:
        """Parse and merge the stored reports. Return the limits before and after."""
        with self._lock:
            before = self._newest
            pending, self._pending = self._pending, {}
            for report in pending.values():
                limits = report.parse(report.received_at)
                if limits is None:
                    continue
                is_partial = report.account_id == self._account_id and not report.is_complete
                self._newest = _parser().merge(self._newest if is_partial else None, limits)
                self._account_id = report.account_id
            return before, self._newest


class LimitsTracker:
    """Records the limits that the responses to a client report, and calls `on_limits` when they change.

    With `history`, it also passes every report on to the usage history.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        on_limits: Callable[[RateLimits], object] | None = None,
        history: UsageHistory | None = None,
        state: LimitsState | None = None,
    ) -> None:
        require_callback("on_limits", on_limits)
        self.now = now
        self.history = history
        self._on_limits = on_limits
        self._state = state or LimitsState(now=now)

    def for_copy(
        self,
        on_limits: Callable[[RateLimits], object] | None,
        history: UsageHistory | None,
        *,
        has_same_login: bool,
    ) -> LimitsTracker:
        """Return the tracker for a copy of the client. It shares the limits if the copy has the same login.

        It uses `on_limits` unless that is None.
        """
        return LimitsTracker(
            now=self.now,
            on_limits=on_limits or self._on_limits,
            history=history,
            state=self._state if has_same_login else None,
        )

    @property
    def newest(self) -> RateLimits | None:
        """The newest limits, or None before the first report."""
        return self._state.update()[1]

    def record_headers(self, headers: httpx2.Headers, *, account_id: str | None) -> None:
        """Record the limits in the headers of a response of any status."""
        names = tuple([name for name, _ in headers.raw])
        self._record(names, lambda received_at: _parser().parse_headers(headers, received_at=received_at), account_id)

    def record_event(self, event: dict[str, Any], *, account_id: str | None) -> None:
        """Record a `codex.rate_limits` event."""
        names = [name if isinstance(name := event.get(field), str) else None for field in _LIMIT_NAME_FIELDS]
        self._record(
            ("event", *names), lambda received_at: _parser().parse_event(event, received_at=received_at), account_id
        )

    def record_refusal(self, limits: RateLimits, *, account_id: str | None) -> None:
        """Record the limits of an error that reports a used-up limit. Their percentages may be below 100."""
        self._record("refusal", lambda received_at: limits, account_id)

    def record_usage(self, usage: dict[str, Any], *, account_id: str | None) -> None:
        """Record a response of the usage endpoint, which is complete."""
        self._record(
            "usage",
            lambda received_at: _parser().parse_usage(usage, received_at=received_at),
            account_id,
            is_complete=True,
        )

    def _record(
        self,
        key: object,
        parse: Callable[[datetime], RateLimits | None],
        account_id: str | None,
        *,
        is_complete: bool = False,
    ) -> None:
        self._state.add(key, parse, account_id=account_id, is_complete=is_complete)
        if self._on_limits is None and self.history is None:
            return
        before, after = self._state.update()
        if after is None:
            return
        if self.history is not None:
            self.history.record(after, account_id=account_id)
        if self._on_limits is not None and (before is None or _state_of(before) != _state_of(after)):
            # The lock is not held here, because the callback may use the client.
            try:
                self._on_limits(after)
            except Exception:  # a bug in the callback must not make the call fail
                _log.exception("`on_limits` raised an exception. The call that reported the limits continues.")


def _state_of(limits: RateLimits) -> RateLimits:
    """Return the limits without what differs between the reports of one response.

    Headers do not have `limit_reached`, which the event of the same response has.
    """
    return replace(
        limits,
        limit_reached=limits.is_exhausted,
        reached_type=None,
        active_limit=None,
        additional=tuple(replace(limit, limit_reached=limit.is_exhausted) for limit in limits.additional),
    )
