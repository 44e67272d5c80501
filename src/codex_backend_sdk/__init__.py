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
    from ._account_types import Account as Account
    from ._account_types import DeviceCode as DeviceCode
    from ._account_types import Workspace as Workspace
    from ._client import AsyncOpenAI as AsyncOpenAI
    from ._client import OpenAI as OpenAI
    from ._core.events import UnknownEvent as UnknownEvent
    from ._core.explanation import Explanation as Explanation
    from ._core.explanation import Finding as Finding
    from ._core.explanation import TokenEstimate as TokenEstimate
    from ._core.explanation import WouldBeSent as WouldBeSent
    from ._core.items import UnknownItem as UnknownItem
    from ._errors import CloudflareBlocked as CloudflareBlocked
    from ._errors import CodexBackendUnsupportedParameterError as CodexBackendUnsupportedParameterError
    from ._errors import CodexError as CodexError
    from ._errors import ContextLengthExceeded as ContextLengthExceeded
    from ._errors import CredentialStoreError as CredentialStoreError
    from ._errors import IdleTimeout as IdleTimeout
    from ._errors import InvalidEncryptedContent as InvalidEncryptedContent
    from ._errors import LoginFailed as LoginFailed
    from ._errors import LoginRequired as LoginRequired
    from ._errors import ModelNotAvailable as ModelNotAvailable
    from ._errors import PolicyViolation as PolicyViolation
    from ._errors import QuotaExceeded as QuotaExceeded
    from ._errors import RateLimited as RateLimited
    from ._errors import RegionNotSupported as RegionNotSupported
    from ._errors import ResponseFailed as ResponseFailed
    from ._errors import ServerOverloaded as ServerOverloaded
    from ._errors import StreamInterrupted as StreamInterrupted
    from ._errors import TokenRefreshError as TokenRefreshError
    from ._errors import TotalTimeout as TotalTimeout
    from ._errors import UnexpectedAnswer as UnexpectedAnswer
    from ._errors import UnsupportedEndpoint as UnsupportedEndpoint
    from ._errors import UnsupportedParameter as UnsupportedParameter
    from ._errors import UsageLimitReached as UsageLimitReached
    from ._errors import UsageNotIncluded as UsageNotIncluded
    from ._limit_types import AdditionalLimit as AdditionalLimit
    from ._limit_types import Credits as Credits
    from ._limit_types import RateLimits as RateLimits
    from ._limit_types import RateLimitWindow as RateLimitWindow
    from ._limit_types import SpendControl as SpendControl
    from ._types import Login as Login
    from ._types import Routing as Routing
    from ._types import Secret as Secret
    from ._usage_types import ModelUsage as ModelUsage
    from ._usage_types import ResetCredit as ResetCredit
    from ._usage_types import ResetCredits as ResetCredits
    from ._usage_types import ResetResult as ResetResult
    from ._usage_types import UsageReport as UsageReport
    from .auth.access_token import AccessToken as AccessToken
    from .resources.models import Model as Model

# Where each public name lives. Imported on first use: `import codex_backend_sdk` alone must not cost openai's import.
_HOMES = {
    "_account_types": ("Account", "DeviceCode", "Workspace"),
    "_client": ("AsyncOpenAI", "OpenAI"),
    "_core.events": ("UnknownEvent",),
    "_core.explanation": ("Explanation", "Finding", "TokenEstimate", "WouldBeSent"),
    "_core.items": ("UnknownItem",),
    "_errors": (
        "CloudflareBlocked",
        "CodexBackendUnsupportedParameterError",
        "CodexError",
        "ContextLengthExceeded",
        "CredentialStoreError",
        "IdleTimeout",
        "InvalidEncryptedContent",
        "LoginFailed",
        "LoginRequired",
        "ModelNotAvailable",
        "PolicyViolation",
        "QuotaExceeded",
        "RateLimited",
        "RegionNotSupported",
        "ResponseFailed",
        "ServerOverloaded",
        "StreamInterrupted",
        "TokenRefreshError",
        "TotalTimeout",
        "UnexpectedAnswer",
        "UnsupportedEndpoint",
        "UnsupportedParameter",
        "UsageLimitReached",
        "UsageNotIncluded",
    ),
    "_limit_types": ("AdditionalLimit", "Credits", "RateLimitWindow", "RateLimits", "SpendControl"),
    "_types": ("Login", "Routing", "Secret"),
    "_usage_types": ("ModelUsage", "ResetCredit", "ResetCredits", "ResetResult", "UsageReport"),
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
