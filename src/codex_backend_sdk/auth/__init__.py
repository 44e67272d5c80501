"""Signing in to ChatGPT, keeping the login, and renewing it.

Importing this package does not import `openai`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._account_types import Account as Account
    from .._account_types import DeviceCode as DeviceCode
    from ..types import Login as Login
    from ..types import Secret as Secret
    from .credentials import Credentials as Credentials
    from .credentials import exchange_api_key as exchange_api_key
    from .credentials import resolve_credentials as resolve_credentials
    from .static_token import StaticToken as StaticToken
    from .stores.file import CredentialStore as CredentialStore
    from .stores.file import FileStore as FileStore
    from .stores.file import MemoryStore as MemoryStore
    from .stores.keyring import KeyringStore as KeyringStore
    from .stores.redis import RedisStore as RedisStore
    from .token_manager import CredentialSource as CredentialSource

# Where each name lives. Imported on first use: a client is made with one store and one way to sign in.
_HOMES = {
    "_account_types": ("Account", "DeviceCode"),
    "types": ("Login", "Secret"),
    "auth.static_token": ("StaticToken",),
    "auth.credentials": ("Credentials", "exchange_api_key", "resolve_credentials"),
    "auth.stores.keyring": ("KeyringStore",),
    "auth.stores.redis": ("RedisStore",),
    "auth.token_manager": ("CredentialSource",),
    "auth.stores.file": ("CredentialStore", "FileStore", "MemoryStore"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"codex_backend_sdk.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
