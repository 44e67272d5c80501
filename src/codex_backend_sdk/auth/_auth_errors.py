"""Login exceptions, imported when the first one is raised or caught, and the texts that several messages share.

The module of the exceptions imports `openai`, which takes a third of a second; `codex-backend status` and a login
should not wait for it. Raise and catch the exceptions as attributes of this module: `raise
_auth_errors.LoginRequiredError(…)`, `except _auth_errors.CredentialStoreError:`. Python evaluates the expression of an
`except` clause only if the `try` block raises, so neither imports `openai` until an exception is raised.
(`contextlib.suppress` evaluates its argument at once.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .._exceptions import CodexError as CodexError
    from .._exceptions import CredentialStoreError as CredentialStoreError
    from .._exceptions import LoginFailedError as LoginFailedError
    from .._exceptions import LoginRequiredError as LoginRequiredError
    from .._exceptions import TokenRefreshError as TokenRefreshError
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .. import _exceptions

        value = globals()[name] = getattr(_exceptions, name)
        return value


__all__ = [
    "CANCELLED_MESSAGE",
    "LOG_IN_AGAIN_REMEDY",
    "CodexError",
    "CredentialStoreError",
    "IssuerConnectionError",
    "LoginFailedError",
    "LoginRequiredError",
    "TokenRefreshError",
]

CANCELLED_MESSAGE: Final = "Login cancelled"  # the Codex CLI's text, on the page and in the terminal

LOG_IN_AGAIN_REMEDY: Final = "Log in again with client.authenticate(force=True) or `codex-backend login`."


class IssuerConnectionError(Exception):
    """The issuer sent no valid response. `message` is a sentence; `is_transient` is True if a retry may succeed.

    Internal: `IssuerClient` converts it to one of the exceptions above.
    """

    def __init__(self, message: str, *, is_transient: bool) -> None:
        super().__init__(message)
        self.is_transient = is_transient
