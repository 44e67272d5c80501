"""Put the time limits of a call on its HTTP request.

httpcore reads its limits from the request's `timeout` extension: `connect`, `pool` and `write`, and `read` for each
read of the response. It looks `read` up twice, before the headers and before the body. So the request starts out with
the limit for the first byte, and `set_idle_timeout` replaces it by the limit for a silence once the headers are there.
`total_timeout` caps all of them; while a body is read, `_streaming.body` enforces it.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai

if TYPE_CHECKING:
    from .._options import TimeoutOptions
    from .context import RequestContext

__all__ = ["require_official_timeout", "set_idle_timeout", "set_timeouts"]

# Codex CLI: model-provider-info, `stream_idle_timeout_ms`.
_DEFAULT_IDLE_SECONDS: Final = 300.0


def require_official_timeout(timeout: Any) -> None:
    """Raise TypeError for an official `timeout` that is not a number of seconds, a Timeout or None."""
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not (is_number or timeout is None or isinstance(timeout, (tuple, httpx2.Timeout, openai.NotGiven))):
        raise TypeError(
            f"`timeout` must be a number of seconds (or an `openai.Timeout`; None: no limit), not {timeout!r}."
        )


def set_timeouts(
    request: httpx2.Request, timeouts: TimeoutOptions, *, is_explicit: bool, deadline: float | None
) -> float | None:
    """Set the limits up to the first byte; return the one for a silence in the response, in seconds (None: no limit).

    `is_explicit` says that this call has an official `timeout` of its own, which then goes before the limits of the
    client. `deadline` is the monotonic time at which the whole call must be over.
    """
    limits: dict[str, float | None] = request.extensions.get("timeout", {})
    read = _seconds(limits.get("read"))
    idle = min(_DEFAULT_IDLE_SECONDS, read) if timeouts.idle is None else timeouts.idle
    if is_explicit:
        idle = min(idle, read)
    else:
        ours = {"connect": timeouts.connect, "read": timeouts.first_byte}
        limits.update({name: seconds for name, seconds in ours.items() if seconds is not None})
    left = (
        math.inf if deadline is None else max(deadline - time.monotonic(), 0.001)
    )  # 0 would make the socket non-blocking
    for name, seconds in limits.items():
        limits[name] = _none_if_infinite(min(_seconds(seconds), left))
    return _none_if_infinite(idle)


def set_idle_timeout(request: httpx2.Request, context: RequestContext) -> None:
    """Set the limit for a silence in the response. Call this between its headers and its body."""
    limits: dict[str, float | None] = request.extensions.get("timeout", {})
    limits["read"] = context.idle_timeout


def _seconds(limit: float | None) -> float:
    return math.inf if limit is None else limit


def _none_if_infinite(seconds: float) -> float | None:
    return None if math.isinf(seconds) else seconds
