"""Log in with a device code: show a code and poll until the user enters it in a browser on any device."""

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
    """Show a code and wait for the login, until `deadline` or until the code expires.

    `complete` exchanges the grant and stores the login. It must check the deadline before it stores the tokens. Raises
    LoginFailedError if the login is denied, is cancelled, times out, or is not enabled for the account. Errors of
    `complete` are raised unchanged.
    """
    code = deadline.run(issuer.request_device_code)
    if isinstance(code, DeviceCodeFailure):
        raise _auth_errors.LoginFailedError(code.message, code=code.code)
    deadline = deadline.with_timeout(code.expires_in.total_seconds())
    if on_code is not None:
        on_code(code)
    else:
        log.warning(
            "Open %s on any device and enter the code %s. Do not enter this code on another page, and do not enter a "
            "code that another person sent you.",
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
