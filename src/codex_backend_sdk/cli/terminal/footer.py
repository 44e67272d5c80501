"""The lines after a response: time, tokens and use of the plan. This module has no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..._timefmt import format_local_time
from ...limits.limit_types import format_percent

if TYPE_CHECKING:
    from ...limits.limit_types import RateLimits, RateLimitWindow

__all__ = ["TokenCounts", "cache_warning", "footer_lines", "limit_warnings"]

_THRESHOLDS: Final = (90, 75)  # percent of a window
_MIN_CACHED_TOKENS: Final = 2_000  # the backend caches prompts from about 1,000 tokens on
_CACHE_SECONDS: Final = 300.0  # after which a miss is no surprise


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """The tokens of one response, or of several."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @classmethod
    def of(cls, usage: Any) -> TokenCounts:
        """Read the usage of a response, a response, the usage of a conversation, or None."""
        usage = getattr(usage, "usage", usage)
        inputs, outputs = getattr(usage, "input_tokens_details", usage), getattr(usage, "output_tokens_details", usage)
        return cls(
            input_tokens=getattr(usage, "input_tokens", None) or 0,
            cached_tokens=getattr(inputs, "cached_tokens", None) or 0,
            output_tokens=getattr(usage, "output_tokens", None) or 0,
            reasoning_tokens=getattr(outputs, "reasoning_tokens", None) or 0,
        )

    def since(self, before: TokenCounts) -> TokenCounts:
        """Return the difference to an earlier count."""
        return TokenCounts(
            input_tokens=self.input_tokens - before.input_tokens,
            cached_tokens=self.cached_tokens - before.cached_tokens,
            output_tokens=self.output_tokens - before.output_tokens,
            reasoning_tokens=self.reasoning_tokens - before.reasoning_tokens,
        )


def footer_lines(
    usage: Any, *, seconds: float, before: RateLimits | None = None, after: RateLimits | None = None
) -> list[str]:
    """Return a line about time and tokens, and one about the plan if its limits are known.

    Args:
        usage: A response, its usage, `TokenCounts`, or None if the backend sent none.
        seconds: The duration of the call.
        before: The limits before the call.
        after: The limits after it.
    """
    counts = TokenCounts.of(usage)
    parts = [f"{seconds:.1f} s"]
    if counts.input_tokens or counts.output_tokens:
        new = counts.input_tokens - counts.cached_tokens
        details = f" ({counts.cached_tokens:,} cached, {new:,} new)" if counts.cached_tokens else ""
        reasoning = f" ({counts.reasoning_tokens:,} reasoning)" if counts.reasoning_tokens else ""
        parts += [f"{counts.input_tokens:,} tokens in{details}", f"{counts.output_tokens:,} out{reasoning}"]
    lines = [" · ".join(parts)]
    if after is not None and after.windows:
        lines.append("plan used: " + " · ".join(_change(window, before) for window in after.windows))
    return lines


def _change(window: RateLimitWindow, before: RateLimits | None) -> str:
    earlier = _same_window(window, before)
    now = format_percent(window.used_percent)
    has_changed = earlier is not None and format_percent(earlier.used_percent) != now
    return f"{window.name} " + (f"{format_percent(earlier.used_percent)} → {now}" if has_changed and earlier else now)


def _same_window(window: RateLimitWindow, limits: RateLimits | None) -> RateLimitWindow | None:
    windows = limits.windows if limits is not None else ()
    return next((each for each in windows if each.name == window.name), None)


def limit_warnings(before: RateLimits | None, after: RateLimits | None) -> list[str]:
    """Return a line for each window of the plan that is above 75 % or 90 % now, and was not before."""
    warnings = []
    for window in after.windows if after is not None else ():
        earlier = _same_window(window, before)
        passed = next((each for each in _THRESHOLDS if window.used_percent >= each), None)
        if passed is not None and (earlier is None or earlier.used_percent < passed):
            reset = f", resets {format_local_time(window.resets_at)}" if window.resets_at else ""
            warnings.append(f"The {window.name} limit is {format_percent(window.used_percent)} used{reset}.")
    return warnings


def cache_warning(before: Any, after: Any, *, idle_seconds: float) -> str | None:
    """Return a warning if a call found much less in the prompt cache than the call before it had sent.

    `before` and `after` are the usages of two responses of a conversation, of which only the end has changed, and
    `idle_seconds` the time between them.
    """
    expected, counts = TokenCounts.of(before).input_tokens, TokenCounts.of(after)
    if expected < _MIN_CACHED_TOKENS or idle_seconds > _CACHE_SECONDS or counts.cached_tokens > expected / 2:
        return None
    return (
        f"Only {counts.cached_tokens:,} of {counts.input_tokens:,} input tokens came from the prompt cache, although "
        f"about {expected:,} were sent before. This call used more of the plan."
    )
