"""The device-code login: show a code, and ask until it was typed into a browser on any other device."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from .._device_code import Refusal
from .._failures import login_failed
from .._oauth import Grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...types import DeviceCode, Login
    from .._deadline import Limit
    from .._issuer import Issuer

__all__ = ["sign_in"]

log = logging.getLogger("codex_backend_sdk.auth")


def sign_in(
    complete: Callable[[Grant], Login],
    *,
    issuer: Issuer,
    on_code: Callable[[DeviceCode], object] | None,
    limit: Limit,
) -> Login:
    """Show a code and wait for the login, within `limit` and no longer than the code lives.

    LoginFailedError when it is denied, cancelled, switched off for the account, or out of time; and whatever `complete`
    raises, which has to look at the limit before it stores anything.
    """
    code = limit.run(issuer.user_code)
    if isinstance(code, Refusal):
        raise login_failed(code.message, code=code.code)
    limit = limit.shorter(code.expires_in.total_seconds())
    _show(code, on_code)
    while True:
        outcome = limit.run(partial(issuer.poll, code))
        if isinstance(outcome, Grant):
            return limit.run(partial(complete, outcome))
        if isinstance(outcome, Refusal):
            raise login_failed(outcome.message, code=outcome.code)
        limit.pause(code.interval.total_seconds())


def _show(code: DeviceCode, on_code: Callable[[DeviceCode], object] | None) -> None:
    if on_code is not None:
        on_code(code)
        return
    log.warning(
        "Open %s on any device and enter the code %s. Enter it nowhere else, and no code that somebody sent you.",
        code.url,
        code.user_code,
    )
