"""The newest limits that answers told of.

Every answer tells them and hardly anybody looks, so an answer is only kept as it came: it is read when somebody asks,
or at once where `on_limits` wants to hear of changes. What came later goes on top of what came before
(`_core/limits.py`). Limits belong to an account: those of another one are forgotten when its first answer comes in.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any, Final

from .._threads import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import ModuleType

    import httpx2

    from .._request.context import RequestContext
    from .limit_types import RateLimits

__all__ = ["LimitsState", "LimitsTracker"]

_log = logging.getLogger("codex_backend_sdk")

# Answers that tell the same members replace each other; of more kinds than these none is kept unread.
_MOST_UNREAD: Final = 8
_LIMIT_NAMES: Final = ("metered_limit_name", "limit_name")


def _core() -> ModuleType:
    """Return what reads limits, loaded when the first are read: a program that never looks does without."""
    from . import limit_parsing

    return limit_parsing


class LimitsState:
    """What is known of the limits, shared by a client and its copies."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = new_lock()
        self._unread: dict[Any, tuple[str | None, datetime, Callable[[datetime], RateLimits | None], bool]] = {}
        self._account_id: str | None = None
        self._newest: RateLimits | None = None

    def newest(self) -> RateLimits | None:
        """Return the newest limits, None before any were seen."""
        return self.change()[1]

    def change(self) -> tuple[RateLimits | None, RateLimits | None]:
        """Read what is unread; return the limits before and after that."""
        with self._lock:
            before = self._newest
            unread, self._unread = self._unread, {}
            for account_id, seen_at, read, is_whole in unread.values():
                found = read(seen_at)
                if found is None:
                    continue
                known = self._newest if account_id == self._account_id and not is_whole else None
                self._newest, self._account_id = _core().merged(known, found), account_id
            return before, self._newest

    def keep(
        self,
        kind: object,
        read: Callable[[datetime], RateLimits | None],
        *,
        account_id: str | None,
        is_whole: bool = False,
    ) -> None:
        """Keep an answer until it is read; a later one of the same kind takes its place."""
        with self._lock:
            self._unread.pop(kind, None)  # so that it stands behind those that came meanwhile
            self._unread[kind] = (account_id, self._now(), read, is_whole)
            is_full = len(self._unread) > _MOST_UNREAD
        if is_full:
            self.change()


class LimitsTracker:
    """Through which a client's answers tell of the limits."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        on_limits: Callable[[RateLimits], object] | None = None,
        known: LimitsState | None = None,
    ) -> None:
        if on_limits is not None and (inspect.iscoroutinefunction(on_limits) or not callable(on_limits)):
            raise TypeError("`on_limits` has to be a plain function; it may start a task or fill a queue.")
        self.now = now
        self._on_limits = on_limits
        self._known = known or LimitsState(now=now)

    def sharing(self, on_limits: Callable[[RateLimits], object] | None) -> LimitsTracker:
        """Return one for a copy of the client: it knows the same, and tells `on_limits` if one is given."""
        return self if on_limits is None else LimitsTracker(now=self.now, on_limits=on_limits, known=self._known)

    def afresh(self, on_limits: Callable[[RateLimits], object] | None) -> LimitsTracker:
        """Return one that knows nothing yet, for another login."""
        return LimitsTracker(now=self.now, on_limits=on_limits or self._on_limits)

    @property
    def newest(self) -> RateLimits | None:
        """The newest limits, None before any were seen."""
        return self._known.newest()

    def in_headers(self, response: httpx2.Response, context: RequestContext) -> None:
        """Note the headers of any answer."""
        headers = response.headers
        names = tuple([name for name, _ in headers.raw])
        self._note(names, lambda at: _core().from_headers(headers, seen_at=at), context)

    def in_event(self, event: dict[str, Any], context: RequestContext) -> None:
        """Note a `codex.rate_limits` event."""
        names = [each if isinstance(each := event.get(name), str) else None for name in _LIMIT_NAMES]
        self._note(("event", *names), lambda at: _core().from_event(event, seen_at=at), context)

    def in_usage(self, answer: dict[str, Any], context: RequestContext) -> None:
        """Note an answer of the usage endpoint."""
        self._note("usage", lambda at: _core().from_usage(answer, seen_at=at), context, is_whole=True)

    def _note(
        self,
        kind: object,
        read: Callable[[datetime], RateLimits | None],
        context: RequestContext,
        *,
        is_whole: bool = False,
    ) -> None:
        account_id = context.login.account_id if context.login is not None else None
        self._known.keep(kind, read, account_id=account_id, is_whole=is_whole)
        if self._on_limits is not None:
            before, now = self._known.change()
            if now is not None and now != before:
                try:
                    self._on_limits(now)
                except Exception:
                    _log.exception("`on_limits` failed; the call that brought the limits goes on.")
