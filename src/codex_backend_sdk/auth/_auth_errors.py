"""The exceptions of a login, imported when the first one is raised or caught.

Their module imports `openai`, which takes half a second; `codex-backend status` and a login must not wait for that.
Raise and catch them as attributes of this module: `raise _auth_errors.LoginRequiredError(…)`,
`except _auth_errors.CredentialStoreError:`. Python evaluates the expression of an `except` clause only when an
exception arrives there, so both are free while nothing fails. (`contextlib.suppress` evaluates its argument at once.)
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

CANCELLED_MESSAGE: Final = "Login cancelled"  # the Codex CLI's words, on the page and in the terminal

LOG_IN_AGAIN_REMEDY: Final = "Log in again with client.authenticate(force=True) or `codex-backend login`."


class IssuerConnectionError(Exception):
    """The issuer sent no usable response. The text is a sentence without its full stop.

    Internal: `IssuerClient` turns it into one of the exceptions above. `is_transient` is True when a later attempt may
    succeed.
    """

    def __init__(self, text: str, *, is_transient: bool) -> None:
        super().__init__(text)
        self.is_transient = is_transient
