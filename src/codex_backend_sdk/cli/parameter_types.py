"""Define the types of numeric options. Unlike click's, they reject NaN and infinity."""

from __future__ import annotations

import math
from typing import Any, Final

import click

__all__ = ["SECONDS", "FiniteFloatRange"]

_MAX_SECONDS: Final = 1_000_000.0  # 11 days; the system's calls reject much longer timeouts


class FiniteFloatRange(click.FloatRange):
    """A number within a range. NaN is in no range, although click accepts it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with a usage error."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


SECONDS: Final = FiniteFloatRange(min=0, min_open=True, max=_MAX_SECONDS)
