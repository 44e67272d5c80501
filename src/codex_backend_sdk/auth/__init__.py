"""Signing in to ChatGPT, keeping the login, and renewing it.

Importing this package does not import `openai`.
"""

from __future__ import annotations

from codex_backend_sdk._types import Login, Secret
from codex_backend_sdk.auth.credentials import Credentials, resolve_credentials
from codex_backend_sdk.auth.source import CredentialSource
from codex_backend_sdk.auth.store import CredentialStore, FileStore, MemoryStore

__all__ = [
    "CredentialSource",
    "CredentialStore",
    "Credentials",
    "FileStore",
    "Login",
    "MemoryStore",
    "Secret",
    "resolve_credentials",
]
