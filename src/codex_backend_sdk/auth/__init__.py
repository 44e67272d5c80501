"""Signing in to ChatGPT, keeping the login, and renewing it.

Importing this package does not import `openai`.
"""

from __future__ import annotations

from codex_backend_sdk._types import Login, Secret
from codex_backend_sdk.auth.credentials import Credentials, resolve_credentials
from codex_backend_sdk.auth.keyring_store import KeyringStore
from codex_backend_sdk.auth.redis_store import RedisStore
from codex_backend_sdk.auth.source import CredentialSource
from codex_backend_sdk.auth.store import CredentialStore, FileStore, MemoryStore

__all__ = [
    "CredentialSource",
    "CredentialStore",
    "Credentials",
    "FileStore",
    "KeyringStore",
    "Login",
    "MemoryStore",
    "RedisStore",
    "Secret",
    "resolve_credentials",
]
