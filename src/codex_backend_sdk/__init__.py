"""The official OpenAI Python client, running on the ChatGPT Codex backend with your own ChatGPT plan.

    from codex_backend_sdk import OpenAI

    client = OpenAI().authenticate()
    print(client.responses.create(input="Explain quicksort in one paragraph.").output_text)

Independent of OpenAI and not endorsed by it; the endpoints are not documented and may change without notice.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from ._client import AsyncOpenAI as AsyncOpenAI
    from ._client import OpenAI as OpenAI
    from ._core.events import UnknownEvent as UnknownEvent
    from ._core.explanation import Explanation as Explanation
    from ._core.explanation import Finding as Finding
    from ._core.explanation import TokenEstimate as TokenEstimate
    from ._core.explanation import WouldBeSent as WouldBeSent
    from ._core.items import UnknownItem as UnknownItem
    from ._errors import CodexBackendUnsupportedParameterError as CodexBackendUnsupportedParameterError
    from ._errors import CodexError as CodexError
    from ._errors import CredentialStoreError as CredentialStoreError
    from ._errors import LoginFailed as LoginFailed
    from ._errors import LoginRequired as LoginRequired
    from ._errors import ModelNotFound as ModelNotFound
    from ._errors import ResponseFailed as ResponseFailed
    from ._errors import StreamInterrupted as StreamInterrupted
    from ._errors import TokenRefreshError as TokenRefreshError
    from ._errors import UnexpectedAnswer as UnexpectedAnswer
    from ._errors import UnsupportedEndpoint as UnsupportedEndpoint
    from ._errors import UsageLimitReached as UsageLimitReached
    from ._types import Account as Account
    from ._types import DeviceCode as DeviceCode
    from ._types import Login as Login
    from ._types import Secret as Secret
    from .auth.access_token import AccessToken as AccessToken
    from .resources.models import Model as Model

# Where each public name lives. Imported on first use: `import codex_backend_sdk` alone must not cost openai's import.
_HOMES = {
    "_client": ("AsyncOpenAI", "OpenAI"),
    "_core.events": ("UnknownEvent",),
    "_core.explanation": ("Explanation", "Finding", "TokenEstimate", "WouldBeSent"),
    "_core.items": ("UnknownItem",),
    "_errors": (
        "CodexBackendUnsupportedParameterError",
        "CodexError",
        "CredentialStoreError",
        "LoginFailed",
        "LoginRequired",
        "ModelNotFound",
        "ResponseFailed",
        "StreamInterrupted",
        "TokenRefreshError",
        "UnexpectedAnswer",
        "UnsupportedEndpoint",
        "UsageLimitReached",
    ),
    "_types": ("Account", "DeviceCode", "Login", "Secret"),
    "auth.access_token": ("AccessToken",),
    "resources.models": ("Model",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
