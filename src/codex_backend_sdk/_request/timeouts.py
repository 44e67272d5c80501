"""Set the timeouts of a call on its HTTP request.

httpcore takes its timeouts from the request's `timeout` extension: `connect`, `pool` and `write`, and `read` for each
read of the response. It looks `read` up twice, before the headers and before the body. The request therefore begins
with the first-byte timeout, and `set_idle_timeout` replaces it with the idle timeout after the headers. httpcore starts
each of them again with every read and write. `_connections` enforces them, and the request deadline, for whole phases.
"""

from __future__ import annotations

import math
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
        raise TypeError(f"`timeout` must be a number of seconds, an `openai.Timeout` or None, not {timeout!r}.")


def set_timeouts(request: httpx2.Request, timeouts: TimeoutOptions, *, has_call_timeout: bool) -> float | None:
    """Set the timeouts up to the first byte. Return the idle timeout in seconds, or None for no limit.

    `has_call_timeout` means that the call has its own official `timeout`, which overrides the timeouts of the client.
    """
    extension: dict[str, float | None] = request.extensions.get("timeout", {})
    read = _seconds(extension.get("read"))
    idle = min(_DEFAULT_IDLE_SECONDS, read) if timeouts.idle is None else timeouts.idle
    if has_call_timeout:
        idle = min(idle, read)
    else:
        client_timeouts = {"connect": timeouts.connect, "read": timeouts.first_byte}
        extension.update({name: seconds for name, seconds in client_timeouts.items() if seconds is not None})
    for name, seconds in extension.items():
        extension[name] = _none_if_infinite(_seconds(seconds))
    return _none_if_infinite(idle)


def set_idle_timeout(request: httpx2.Request, context: RequestContext) -> None:
    """Set the idle timeout of the response. Call this after its headers and before its body."""
    extension: dict[str, float | None] = request.extensions.get("timeout", {})
    extension["read"] = context.idle_timeout


def _seconds(timeout: float | None) -> float:
    return math.inf if timeout is None else timeout


def _none_if_infinite(seconds: float) -> float | None:
    return None if math.isinf(seconds) else seconds
