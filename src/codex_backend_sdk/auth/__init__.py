"""Signing in to ChatGPT, keeping the login, and renewing it.

Importing this package does not import `openai`.
"""

from __future__ import annotations

from codex_backend_sdk._types import Account, DeviceCode, Login, Secret
from codex_backend_sdk.auth.access_token import AccessToken
from codex_backend_sdk.auth.credentials import Credentials, exchange_api_key, resolve_credentials
from codex_backend_sdk.auth.keyring_store import KeyringStore
from codex_backend_sdk.auth.redis_store import RedisStore
from codex_backend_sdk.auth.source import CredentialSource
from codex_backend_sdk.auth.store import CredentialStore, FileStore, MemoryStore

__all__ = [
    "AccessToken",
    "Account",
    "CredentialSource",
    "CredentialStore",
    "Credentials",
    "DeviceCode",
    "FileStore",
    "KeyringStore",
    "Login",
    "MemoryStore",
    "RedisStore",
    "Secret",
    "exchange_api_key",
    "resolve_credentials",
]
