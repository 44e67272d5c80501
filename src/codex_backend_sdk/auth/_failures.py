"""The exceptions that a login raises, made at the moment of raising.

Their module imports `openai`, which takes half a second; signing in and out must not wait for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._exceptions import CredentialStoreError, LoginFailedError, LoginRequiredError, TokenRefreshError

__all__ = [
    "CANCELLED",
    "REMEDY",
    "Unreachable",
    "is_login_required",
    "is_store_failure",
    "login_failed",
    "login_required",
    "not_finished",
    "refresh_failed",
    "store_failed",
]

CANCELLED = "Login cancelled"  # as the Codex CLI words it

REMEDY = "Sign in again with client.authenticate(force=True) or `codex-backend login`."


class Unreachable(Exception):
    """No answer of the issuer that could be used; the text says why, as a sentence without its full stop.

    `may_pass` tells whether another try may succeed. Whoever asked makes one of the exceptions below of it.
    """

    def __init__(self, text: str, *, may_pass: bool) -> None:
        super().__init__(text)
        self.may_pass = may_pass


def login_required(what: str, *, remedy: str = REMEDY) -> LoginRequiredError:
    """Make the exception that says what is missing, and the call and the command that mend it."""
    from .._exceptions import LoginRequiredError

    return LoginRequiredError(f"{what} {remedy}")


def is_login_required(error: BaseException) -> bool:
    """Tell a LoginRequiredError from the other exceptions."""
    from .._exceptions import LoginRequiredError

    return isinstance(error, LoginRequiredError)


def is_store_failure(error: BaseException) -> bool:
    """Tell a CredentialStoreError from the other exceptions."""
    from .._exceptions import CredentialStoreError

    return isinstance(error, CredentialStoreError)


def login_failed(message: str, *, code: str | None = None) -> LoginFailedError:
    """Make the exception for a sign-in that ended without a login."""
    from .._exceptions import LoginFailedError

    return LoginFailedError(message, code=code)


def not_finished(seconds: float | None) -> str:
    """Word the end of a sign-in's time limit."""
    return f"The sign-in was not finished within {seconds:g} seconds."


def refresh_failed(message: str) -> TokenRefreshError:
    """Make the exception for a renewal that may succeed later."""
    from .._exceptions import TokenRefreshError

    return TokenRefreshError(message)


def store_failed(message: str) -> CredentialStoreError:
    """Make the exception for a store that cannot be read or written."""
    from .._exceptions import CredentialStoreError

    return CredentialStoreError(message)
