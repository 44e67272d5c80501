"""How a client is made and copied: the arguments that are ours, beside the official ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

import httpx2
import openai

from ._constants import BACKEND_URL, BACKEND_URL_ENV, DEFAULT_INSTRUCTIONS, DEFAULT_MODEL, DEFAULT_ORIGINATOR
from ._core.oauth import require_safe_url
from ._seam import close_when_forgotten
from ._transport.compression import Compression
from ._transport.identity import printable
from ._transport.known_catalogue import KnownCatalogue
from ._types import Settings
from .auth import resolve_credentials
from .auth.network import opened

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from .auth import CredentialSource, CredentialStore

__all__ = ["Constructed"]

_Policy = Literal["raise", "drop"]

# What stands in the place of an API key: other libraries read `client.api_key` and send it elsewhere.
_NO_API_KEY: Final = "the-login-is-not-an-api-key"
# Upstream closes a connection that was idle for 5 s, and all idle ones but 100: many a tool call takes longer, and many
# an agent has more streams. Codex CLI: reqwest's default, which keeps each for 90 s.
_CONNECTIONS: Final = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=90)
# Official ways to authenticate or to choose a host that the login takes the place of.
_REPLACED: Final = ("provider", "workload_identity", "data_residency")


class Constructed:
    """What both clients are told when they are made."""

    credentials: CredentialSource
    _codex: Settings
    _http_client_class: ClassVar[type[httpx2.Client | httpx2.AsyncClient]]

    def __init__(
        self,
        *,
        credentials: CredentialSource | CredentialStore | None = None,
        model: str | None = None,
        instructions: str | None = None,
        originator: str | None = None,
        unsupported: _Policy = "raise",
        issuer: str | None = None,
        compress_requests: bool | Compression = True,
        **official: Any,
    ) -> None:
        """Construct a client; nothing is read, opened or sent before the first call.

        `model` and `instructions` are used by calls that give none. `originator` names your program to the backend.
        `credentials` is where the login comes from (default: the Codex CLI's own file). `unsupported` says what
        happens to parameters that the backend refuses: "raise", or "drop" with a logged warning. `issuer` is the
        sign-in server. `compress_requests=False` sends long bodies in plain. Everything else is the official client's.
        """
        if unsupported not in ("raise", "drop"):
            raise ValueError(f"`unsupported` must be 'raise' or 'drop', not {unsupported!r}.")
        replaced = [name for name in _REPLACED if official.get(name) not in (None, openai.NOT_GIVEN)]
        if replaced:
            raise ValueError(f"`{replaced[0]}` cannot be used here: the ChatGPT login signs the requests.")
        self._codex = Settings(
            model=model or DEFAULT_MODEL,
            instructions=DEFAULT_INSTRUCTIONS if instructions is None else instructions,
            originator=printable(originator or DEFAULT_ORIGINATOR),
            unsupported=unsupported,
        )
        # A copy is handed the object, so that it knows what this client has learned.
        given = compress_requests
        self._compression = given if isinstance(given, Compression) else Compression(enabled=given)
        self._catalogue = KnownCatalogue()
        self.credentials = resolve_credentials(credentials, issuer=issuer, originator=self._codex.originator)
        official["base_url"] = official.get("base_url") or os.environ.get(BACKEND_URL_ENV) or BACKEND_URL
        official["api_key"] = official.get("api_key") or _NO_API_KEY
        if official.get("http_client") is None:
            official["http_client"] = opened(self._http_client_class, limits=_CONNECTIONS)
            close_when_forgotten(official["http_client"])
        super().__init__(**official)
        require_safe_url(str(self._official.base_url), what="base_url")
        # Upstream looks the platform up in a thread before the first request of every async copy; we do not send it.
        self.__dict__["_platform"] = "Unknown"

    @property
    def _official(self) -> openai.OpenAI:
        """This object, as type checkers may see it: the official class comes after this one."""
        return cast("openai.OpenAI", self)

    def copy(
        self,
        *,
        model: str | None = None,
        instructions: str | None = None,
        originator: str | None = None,
        unsupported: _Policy | None = None,
        credentials: CredentialSource | CredentialStore | None = None,
        issuer: str | None = None,
        compress_requests: bool | None = None,
        _extra_kwargs: Mapping[str, Any] = {},
        **official: Any,
    ) -> Self:
        """Return a client with some arguments changed, which shares the connections and the login of this one."""
        settings = self._codex
        ours = {
            "credentials": credentials or self.credentials,
            "model": model or settings.model,
            "instructions": settings.instructions if instructions is None else instructions,
            "originator": originator or settings.originator,
            "unsupported": unsupported or settings.unsupported,
            "issuer": issuer,
            "compress_requests": self._compression if compress_requests is None else compress_requests,
        }
        copied: Self = super().copy(_extra_kwargs={**ours, **_extra_kwargs}, **official)  # type: ignore[misc]
        copied._catalogue = self._catalogue
        return copied

    with_options = copy
