"""Log in to ChatGPT, store the login, and refresh its tokens.

Importing this package does not import `openai`, which takes a third of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._public import lazy_names

if TYPE_CHECKING:
    from ..types import Account as Account
    from ..types import DeviceCode as DeviceCode
    from ..types import Login as Login
    from ..types import Secret as Secret
    from .credentials import Credentials as Credentials
    from .credentials import exchange_api_key as exchange_api_key
    from .credentials import resolve_credentials as resolve_credentials
    from .static_token import StaticToken as StaticToken
    from .stores.base import CredentialStore as CredentialStore
    from .stores.file import FileStore as FileStore
    from .stores.keyring import KeyringStore as KeyringStore
    from .stores.memory import MemoryStore as MemoryStore
    from .stores.redis import RedisStore as RedisStore
    from .token_manager import CredentialSource as CredentialSource
else:
    __all__, __getattr__, __dir__ = lazy_names(__name__)
