"""The HTTP conversation with the OAuth issuer: code exchange, refresh, revocation."""

from __future__ import annotations

import logging
import os
import platform
import re
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import httpx2

from codex_backend_sdk._constants import CA_CERTIFICATE_ENV, ISSUER_URL, ISSUER_URL_ENV
from codex_backend_sdk._core import oauth
from codex_backend_sdk.auth._failures import login_failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_backend_sdk._core.tokens import RefreshReason
    from codex_backend_sdk._types import Secret

__all__ = ["Issuer", "issuer_url"]

log = logging.getLogger("codex_backend_sdk.auth")

_TIMEOUT: Final = httpx2.Timeout(30, connect=10)
_REVOKE_TIMEOUT: Final = httpx2.Timeout(10)  # Codex CLI: login/src/auth/revoke.rs
_OK: Final = 200


def issuer_url(given: str | None) -> str:
    """Return the issuer: the argument, else `$CODEX_ISSUER_URL`, else OpenAI's. ValueError when it is not safe."""
    if given is not None:
        return oauth.require_safe_url(given, what="issuer")
    return oauth.require_safe_url(os.environ.get(ISSUER_URL_ENV) or ISSUER_URL, what=ISSUER_URL_ENV)


class Issuer:
    """Speaks to one issuer. `http` is the caller's own client, which stays open; else each request opens one."""

    def __init__(self, url: str, *, originator: str, http: httpx2.Client | None = None) -> None:
        self.url = url
        self._http = http
        # The name of a calling application may hold what a header value may not. Codex CLI:
        # login/src/auth/default_client.rs replaces such characters, too.
        self.originator = re.sub(r"[^ -~]", "_", originator)

    def exchange(self, *, code: Secret, redirect_uri: str, verifier: Secret) -> oauth.TokenAnswer:
        """Turn an authorization code into tokens; LoginFailed when the issuer refuses or cannot be reached."""
        form = oauth.exchange_form(code=code, redirect_uri=redirect_uri, verifier=verifier)
        try:
            answer = self._post("/oauth/token", data=form)
        except httpx2.HTTPError as error:
            raise _exchange_failed(f"{self.url} could not be reached ({_cause(error)})") from error
        if answer.status_code != _OK:
            said = oauth.error_text(answer.content, hide=code)
            raise _exchange_failed(f"the token endpoint returned status {answer.status_code}: {said}")
        try:
            return oauth.read_answer(answer.content, required=oauth.TOKEN_NAMES)
        except ValueError as error:
            raise _exchange_failed(str(error)) from None

    def refresh(self, refresh_token: Secret, *, reason: RefreshReason) -> oauth.TokenAnswer | oauth.RefreshFailure:
        """Ask for new tokens. A failure is a value: what to do about it depends on who asks."""
        try:
            answer = self._post("/oauth/token", json=oauth.refresh_body(refresh_token, reason=reason))
        except httpx2.HTTPError as error:
            return oauth.RefreshFailure("transient", f"{self.url} could not be reached ({_cause(error)}).")
        if answer.status_code != _OK:
            return oauth.classify_refresh(answer.status_code, answer.content)
        try:
            return oauth.read_answer(answer.content)
        except ValueError as error:
            return oauth.RefreshFailure("transient", f"{self.url} answered the refresh, but {error}.")

    def revoke(self, *, refresh_token: Secret | None, access_token: Secret) -> bool:
        """Make the tokens worthless at the issuer; False when it did not confirm."""
        body = oauth.revoke_body(refresh_token=refresh_token, access_token=access_token)
        try:
            answer = self._post("/oauth/revoke", json=body, timeout=_REVOKE_TIMEOUT)
        except httpx2.HTTPError as error:
            log.warning("The login could not be revoked at %s (%s).", self.url, _cause(error))
            return False
        return answer.is_success

    def _post(self, path: str, *, timeout: httpx2.Timeout = _TIMEOUT, **body: Any) -> httpx2.Response:
        with self._client() as http:
            return http.post(
                self.url + path,
                headers={"originator": self.originator, "user-agent": _user_agent()},
                timeout=timeout,
                follow_redirects=False,  # the tokens are for this host alone
                auth=httpx2.Auth(),  # signs nothing: neither a client's default nor ~/.netrc has a say here
                **body,
            )

    @contextmanager
    def _client(self) -> Iterator[httpx2.Client]:
        if self._http is not None:
            yield self._http
            return
        # Plain http is for loopback alone: a proxy from the environment would carry the tokens off this machine.
        is_tls = self.url.startswith("https:")
        with httpx2.Client(trust_env=is_tls, verify=_certificates() if is_tls else True) as http:
            yield http


def _certificates() -> Any:
    """Return the default TLS settings, with the certificates of `$CODEX_CA_CERTIFICATE` added."""
    file = os.environ.get(CA_CERTIFICATE_ENV)
    if not file:
        return True
    context = httpx2.create_ssl_context()
    try:
        context.load_verify_locations(cafile=file)
    except OSError as error:
        raise ValueError(f"{CA_CERTIFICATE_ENV} names no readable PEM file: {file}") from error
    return context


def _cause(error: httpx2.HTTPError) -> str:
    return str(error) or type(error).__name__


def _user_agent() -> str:
    version = metadata.version("codex-backend-sdk")
    return f"codex_backend_sdk/{version} ({platform.system() or 'unknown'}; {platform.machine() or 'unknown'})"


def _exchange_failed(detail: str) -> Exception:
    return login_failed(f"Token exchange failed: {detail}.", code="token_exchange_failed")
