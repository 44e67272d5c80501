"""Signing in to ChatGPT, keeping the login, and renewing it.

Importing this package does not import `openai`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_backend_sdk._account_types import Account as Account
    from codex_backend_sdk._account_types import DeviceCode as DeviceCode
    from codex_backend_sdk._types import Login as Login
    from codex_backend_sdk._types import Secret as Secret
    from codex_backend_sdk.auth.access_token import AccessToken as AccessToken
    from codex_backend_sdk.auth.credentials import Credentials as Credentials
    from codex_backend_sdk.auth.credentials import exchange_api_key as exchange_api_key
    from codex_backend_sdk.auth.credentials import resolve_credentials as resolve_credentials
    from codex_backend_sdk.auth.keyring_store import KeyringStore as KeyringStore
    from codex_backend_sdk.auth.redis_store import RedisStore as RedisStore
    from codex_backend_sdk.auth.source import CredentialSource as CredentialSource
    from codex_backend_sdk.auth.store import CredentialStore as CredentialStore
    from codex_backend_sdk.auth.store import FileStore as FileStore
    from codex_backend_sdk.auth.store import MemoryStore as MemoryStore

# Where each name lives. Imported on first use: a client is made with one store and one way to sign in.
_HOMES = {
    "_account_types": ("Account", "DeviceCode"),
    "_types": ("Login", "Secret"),
    "auth.access_token": ("AccessToken",),
    "auth.credentials": ("Credentials", "exchange_api_key", "resolve_credentials"),
    "auth.keyring_store": ("KeyringStore",),
    "auth.redis_store": ("RedisStore",),
    "auth.source": ("CredentialSource",),
    "auth.store": ("CredentialStore", "FileStore", "MemoryStore"),
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
