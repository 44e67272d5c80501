"""The device code login: show a code, and poll until the user has entered it in a browser on any device."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from .. import _auth_errors
from .._device_code import DeviceCodeFailure
from .._oauth import AuthorizationGrant

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...types import DeviceCode, Login
    from .._deadline import LoginDeadline
    from .._issuer import IssuerClient

__all__ = ["log_in_with_device_code"]

log = logging.getLogger("codex_backend_sdk.auth")


def log_in_with_device_code(
    complete: Callable[[AuthorizationGrant], Login],
    *,
    issuer: IssuerClient,
    on_code: Callable[[DeviceCode], object] | None,
    deadline: LoginDeadline,
) -> Login:
    """Show a code and wait for the login, until `deadline` or the end of the code's lifetime.

    `complete` turns the grant into a stored login; it must check the deadline before it stores anything. Raises
    LoginFailedError if the login is denied, cancelled, timed out or not enabled for the account, and whatever
    `complete` raises.
    """
    code = deadline.run(issuer.request_device_code)
    if isinstance(code, DeviceCodeFailure):
        raise _auth_errors.LoginFailedError(code.message, code=code.code)
    deadline = deadline.with_timeout(code.expires_in.total_seconds())
    if on_code is not None:
        on_code(code)
    else:
        log.warning(
            "Open %s on any device and enter the code %s. Enter it nowhere else, and enter no code that you received "
            "from another person.",
            code.url,
            code.user_code,
        )
    while True:
        outcome = deadline.run(partial(issuer.poll_device_code, code))
        if isinstance(outcome, AuthorizationGrant):
            return deadline.run(partial(complete, outcome))
        if isinstance(outcome, DeviceCodeFailure):
            raise _auth_errors.LoginFailedError(outcome.message, code=outcome.code)
        deadline.sleep(code.interval.total_seconds())
