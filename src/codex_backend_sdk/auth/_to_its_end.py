"""What Ctrl-C must not cut.

A renewal whose answer nobody stores has used up the refresh token, and with it the login.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["to_its_end"]

_T = TypeVar("_T")


def to_its_end(action: Callable[[], _T]) -> _T:
    """Run `action` and wait for it; where an interrupt takes the caller away, it runs on. The process waits for it."""
    if threading.current_thread() is not threading.main_thread():  # an interrupt reaches the main thread alone
        return action()
    outcome: Future[_T] = Future()

    def work() -> None:
        try:
            outcome.set_result(action())
        except BaseException as error:  # whatever it is, it is the caller's
            outcome.set_exception(error)

    thread = threading.Thread(target=work, name="codex-login")
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending: no more threads, and no more interrupts
        return action()
    return outcome.result()
