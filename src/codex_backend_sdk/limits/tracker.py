"""Keep the newest usage limits that responses reported.

Every response reports limits, in its headers, in a `codex.rate_limits` event or as a whole usage report, but few
programs read them. So a report is stored unparsed, and parsed when the limits are read, or at once when there is
an `on_limits` callback. Reports are merged in the order in which they arrived (`limit_parsing.merge`).

Limits belong to an account. When a report of another account arrives, everything known of the one before is dropped.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._threads import create_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import ModuleType

    import httpx2

    from .limit_types import RateLimits

__all__ = ["LimitsState", "LimitsTracker"]

_log = logging.getLogger("codex_backend_sdk")

# A report replaces an unparsed one with the same members, so two or three are pending as a rule. Servers that vary
# their headers must not make the store grow: when it holds more than this, it is parsed.
_MAX_PENDING: Final = 8
_LIMIT_NAMES: Final = ("metered_limit_name", "limit_name")


def _parser() -> ModuleType:
    # Loaded with the first limits that are read: a program that never reads them starts faster without.
    from . import limit_parsing

    return limit_parsing


class _Report(NamedTuple):
    """Limits as one response reported them, not yet parsed. A complete report replaces what is known."""

    account_id: str | None
    received_at: datetime
    parse: Callable[[datetime], RateLimits | None]
    is_complete: bool


class LimitsState:
    """The limits that are known, and the reports that are not parsed yet; shared by a client and its copies."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = create_lock()
        self._pending: dict[object, _Report] = {}
        self._account_id: str | None = None
        self._newest: RateLimits | None = None

    def add(
        self,
        kind: object,
        parse: Callable[[datetime], RateLimits | None],
        *,
        account_id: str | None,
        is_complete: bool = False,
    ) -> None:
        """Store a report. It replaces an unparsed one of the same kind, that is, with the same members."""
        with self._lock:
            self._pending.pop(kind, None)  # the new report goes to the end: reports are merged in order of arrival
            self._pending[kind] = _Report(account_id, self._now(), parse, is_complete)
            is_full = len(self._pending) > _MAX_PENDING
        if is_full:
            self.update()

    def update(self) -> tuple[RateLimits | None, RateLimits | None]:
        """Parse and merge the stored reports. Return the limits before and after that."""
        with self._lock:
            before = self._newest
            pending, self._pending = self._pending, {}
            for report in pending.values():
                limits = report.parse(report.received_at)
                if limits is None:
                    continue
                keeps_known = report.account_id == self._account_id and not report.is_complete
                self._newest = _parser().merge(self._newest if keeps_known else None, limits)
                self._account_id = report.account_id
            return before, self._newest


class LimitsTracker:
    """Collect the limits that a client's responses report, and call `on_limits` when they change."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        on_limits: Callable[[RateLimits], object] | None = None,
        state: LimitsState | None = None,
    ) -> None:
        if on_limits is not None and (inspect.iscoroutinefunction(on_limits) or not callable(on_limits)):
            raise TypeError(
                f"`on_limits` must be a plain function, not {on_limits!r}. To do more, start a task or fill a queue in "
                "it."
            )
        self.now = now
        self._on_limits = on_limits
        self._state = state or LimitsState(now=now)

    def with_callback(self, on_limits: Callable[[RateLimits], object] | None) -> LimitsTracker:
        """Return the tracker for a copy of the client: it shares the limits and has its own `on_limits`, if given."""
        return self if on_limits is None else LimitsTracker(now=self.now, on_limits=on_limits, state=self._state)

    def for_other_login(self, on_limits: Callable[[RateLimits], object] | None) -> LimitsTracker:
        """Return a tracker without limits for a copy of the client that has another login."""
        return LimitsTracker(now=self.now, on_limits=on_limits or self._on_limits)

    @property
    def newest(self) -> RateLimits | None:
        """The newest limits, None before the first report."""
        return self._state.update()[1]

    def record_headers(self, headers: httpx2.Headers, *, account_id: str | None) -> None:
        """Record the headers of a response, whatever its status."""
        names = tuple([name for name, _ in headers.raw])
        self._record(names, lambda at: _parser().parse_headers(headers, received_at=at), account_id)

    def record_event(self, event: dict[str, Any], *, account_id: str | None) -> None:
        """Record a `codex.rate_limits` event."""
        names = [name if isinstance(name := event.get(member), str) else None for member in _LIMIT_NAMES]
        self._record(("event", *names), lambda at: _parser().parse_event(event, received_at=at), account_id)

    def record_usage(self, usage: dict[str, Any], *, account_id: str | None) -> None:
        """Record a response of the usage endpoint, which is complete."""
        self._record("usage", lambda at: _parser().parse_usage(usage, received_at=at), account_id, is_complete=True)

    def _record(
        self,
        kind: object,
        parse: Callable[[datetime], RateLimits | None],
        account_id: str | None,
        *,
        is_complete: bool = False,
    ) -> None:
        self._state.add(kind, parse, account_id=account_id, is_complete=is_complete)
        if self._on_limits is None:
            return
        before, after = self._state.update()
        if after is not None and after != before:
            # Outside of the lock, because the callback may use the client.
            try:
                self._on_limits(after)
            except Exception:  # the callback is the caller's code; its bugs must not break the call
                _log.exception("`on_limits` raised an exception. The call that reported the limits continues.")
