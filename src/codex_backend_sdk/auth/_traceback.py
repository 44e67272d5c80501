"""Errors that leave without the variables of the frames they came through.

A store handles the whole document as text, and so do the packages it calls. What an error tells of a failure is its
message and the lines it passed; a crash reporter that sends the variables, too, would send the tokens.
"""

from __future__ import annotations

import functools
import sys
import traceback
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["untold"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def untold(action: Callable[_P, _T]) -> Callable[_P, _T]:
    """Decorate a function: what it raises has empty frames. Its own arguments are still seen, in the wrapper's."""

    @functools.wraps(action)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        before = sys.exception()
        try:
            return action(*args, **kwargs)
        except BaseException as error:
            _forget(error, before)
            raise

    return wrapper


def _forget(error: BaseException, before: BaseException | None) -> None:
    """Empty the frames of an error and of those that led to it, up to the one that was being handled `before`."""
    waiting: list[BaseException | None] = [error]
    seen = {id(None), id(before)}
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if each.__suppress_context__ and each.__context__ is not before:
            each.__context__ = None  # `from None` hides it only: an error of `json` carries the text it has read
        traceback.clear_frames(each.__traceback__)
        waiting += [each.__cause__, each.__context__]
