"""The OAuth issuer: what it grants, what it refuses, what it remembers.

Refresh tokens are used once. Using one again answers `refresh_token_reused` and revokes every token that came of
the same login, as the real issuer was seen to do (openai/codex#10332); an unknown or revoked one answers
`refresh_token_invalidated`, an old one `refresh_token_expired` (Codex CLI: login/src/auth/manager.rs).
"""

from __future__ import annotations

import base64
import hashlib
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from ..._constants import CLIENT_ID, LOGIN_SCOPES
from .token_mint import Ids, access_claims, id_claims, jwt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..sim_account import Account

__all__ = ["Issuer", "Reply", "Tokens"]

# (status, JSON body)
Reply = tuple[int, dict[str, Any]]

_CODE_LIFETIME = timedelta(minutes=10)
_ID_LIFETIME = timedelta(hours=1)
_PERSONAL_LIFETIME = timedelta(days=365)
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

# Codex CLI: login/src/auth/manager.rs sorts refusals by these codes; the sentences are the server's.
_REFRESH_REFUSALS = {
    "refresh_token_expired": "Your refresh token has expired. Please try signing in again.",
    "refresh_token_reused": (
        "Your refresh token has already been used to generate a new access token. Please try signing in again."
    ),
    "refresh_token_invalidated": "Your refresh token has been invalidated. Please try signing in again.",
}
_ACCESS_REFUSALS = {
    "token_expired": "Provided authentication token is expired. Please try signing in again.",
    "token_revoked": "Your authentication token has been invalidated. Please try signing in again.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a login or a renewal gives."""

    id_token: str
    access_token: str
    refresh_token: str
    lifetime: timedelta
    scope: str


@dataclass(slots=True)
class _Family:
    """All the tokens that came of one login."""

    scope: str
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class _Code:
    redirect_uri: str
    challenge: str
    scope: str
    expires: datetime


@dataclass(slots=True)
class _Refresh:
    family: _Family
    expires: datetime | None
    used: bool = False


@dataclass(frozen=True, slots=True)
class _Access:
    family: _Family
    expires: datetime


@dataclass(slots=True)
class _Memory:
    codes: dict[str, _Code] = field(default_factory=dict)
    refresh: dict[str, _Refresh] = field(default_factory=dict)
    access: dict[str, _Access] = field(default_factory=dict)
    identity: dict[str, _Access] = field(default_factory=dict)  # id tokens


class Issuer:
    """The issuer's rules and memory, without HTTP; safe to use from any thread."""

    def __init__(
        self,
        *,
        account: Account,
        ids: Ids,
        clock: Callable[[], datetime],
        url: Callable[[], str],
        token_lifetime: timedelta,
        refresh_lifetime: timedelta | None,
    ) -> None:
        self._account = account
        self._ids = ids
        self._clock = clock
        self._url = url
        self._token_lifetime = token_lifetime
        self._refresh_lifetime = refresh_lifetime
        self._lock = threading.RLock()
        self._memory = _Memory()

    # The authorize page

    def refuse_authorization(self, query: Mapping[str, str]) -> str | None:
        """Say why a request to the authorize page may not even be redirected, or return None."""
        if query.get("client_id") != CLIENT_ID:
            return "invalid_client: the client is not known here"
        if not _is_loopback(query.get("redirect_uri", "")):
            return "invalid_redirect_uri: the address to return to has to be http on this machine, with its port"
        return None

    def approve(self, query: Mapping[str, str]) -> str:
        """Return the address that brings the browser back with a code, or with the error in the request."""
        for name, wanted in (("response_type", "code"), ("code_challenge_method", "S256")):
            if query.get(name) != wanted:
                return self._return(query, error="invalid_request", error_description=f"{name} has to be {wanted}")
        if len(query.get("code_challenge", "")) != 43:
            return self._return(
                query, error="invalid_request", error_description="code_challenge has to be 43 characters"
            )
        scope = query.get("scope", "")
        if not set(scope.split()) <= set(LOGIN_SCOPES.split()):
            return self._return(query, error="invalid_scope", error_description="The requested scope is invalid.")
        code = self._new_code(query["redirect_uri"], query["code_challenge"], scope)
        return self._return(query, code=code, scope=scope)

    def deny(self, query: Mapping[str, str]) -> str:
        """Return the address that brings the browser back with the person's refusal."""
        return self._return(query, error="access_denied", error_description="The user denied the request.")

    def code_for(self, redirect_uri: str, *, verifier: str, scope: str) -> tuple[str, str]:
        """Return a code that `verifier` exchanges, and its challenge, for a sign-in without an authorize page."""
        challenge = _challenge(verifier)
        return self._new_code(redirect_uri, challenge, scope), challenge

    def _new_code(self, redirect_uri: str, challenge: str, scope: str) -> str:
        code = self._ids.new("ac", 40)
        with self._lock:
            self._memory.codes[code] = _Code(redirect_uri, challenge, scope, self._clock() + _CODE_LIFETIME)
        return code

    def _return(self, query: Mapping[str, str], **answer: str) -> str:
        if "state" in query:
            answer["state"] = query["state"]
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    # The token endpoint

    def grant(self, request: Mapping[str, Any]) -> Reply:
        """Answer a request to the token endpoint."""
        grants: dict[Any, Callable[[Mapping[str, Any]], Reply]] = {
            "authorization_code": self._grant_code,
            "refresh_token": self._grant_refresh,
            _TOKEN_EXCHANGE: self._grant_api_key,
        }
        grant = grants.get(request.get("grant_type"))
        if grant is None:
            return _oauth_error("unsupported_grant_type", "This grant type is not supported.")
        if request.get("client_id") != CLIENT_ID:
            return _oauth_error("invalid_client", "The client is not known here.", status=401)
        with self._lock:
            return grant(request)

    def _grant_code(self, request: Mapping[str, Any]) -> Reply:
        # A code is good for one try: one that was guessed at or stolen must not be tried again.
        code = self._memory.codes.pop(str(request.get("code")), None)
        if code is None or code.expires <= self._clock():
            return _oauth_error("invalid_grant", "The authorization code is unknown, used or expired.")
        if request.get("redirect_uri") != code.redirect_uri:
            return _oauth_error("invalid_grant", "redirect_uri differs from the one of the authorization.")
        if _challenge(str(request.get("code_verifier", ""))) != code.challenge:
            return _oauth_error("invalid_grant", "code_verifier does not fit the code_challenge.")
        return 200, _token_answer(self._mint(_Family(code.scope), self._token_lifetime))

    def _grant_refresh(self, request: Mapping[str, Any]) -> Reply:
        token = self._memory.refresh.get(str(request.get("refresh_token")))
        if token is None or token.family.revoked:
            return _refresh_error("refresh_token_invalidated")
        if token.used:
            token.family.revoked = True
            return _refresh_error("refresh_token_reused")
        if token.expires is not None and token.expires <= self._clock():
            return _refresh_error("refresh_token_expired")
        token.used = True
        return 200, _token_answer(self._mint(token.family, self._token_lifetime))

    def _grant_api_key(self, request: Mapping[str, Any]) -> Reply:
        if request.get("requested_token") != "openai-api-key" or not request.get("subject_token"):
            return _oauth_error("invalid_request", "requested_token and subject_token are required.")
        token = self._memory.identity.get(str(request["subject_token"]))
        if token is None or token.family.revoked or token.expires <= self._clock():
            return _oauth_error("invalid_grant", "The subject token is unknown, revoked or expired.")
        return 200, {"access_token": self._ids.new("sk-simulated", 32), "token_type": "Bearer"}

    def issue(self, *, lifetime: timedelta | None = None) -> Tokens:
        """Return the tokens of a new login, without the conversation that leads to them."""
        with self._lock:
            return self._mint(_Family(LOGIN_SCOPES), self._token_lifetime if lifetime is None else lifetime)

    def personal_access_token(self) -> str:
        """Return a new personal access token, as a person makes one in the settings of the account."""
        token = self._ids.new("at", 48).replace("_", "-", 1)
        with self._lock:
            self._memory.access[token] = _Access(_Family(LOGIN_SCOPES), self._clock() + _PERSONAL_LIFETIME)
        return token

    def _mint(self, family: _Family, lifetime: timedelta) -> Tokens:
        now = self._clock()
        account, issuer, expires = self._account, self._url(), now + lifetime
        tokens = Tokens(
            id_token=jwt(id_claims(account, issuer=issuer, issued=now, expires=now + _ID_LIFETIME)),
            access_token=jwt(
                access_claims(
                    account,
                    issuer=issuer,
                    issued=now,
                    expires=expires,
                    token_id=self._ids.new("jti"),
                    scope=family.scope,
                )
            ),
            refresh_token=self._ids.new("rt", 48),
            lifetime=lifetime,
            scope=family.scope,
        )
        last = None if self._refresh_lifetime is None else now + self._refresh_lifetime
        self._memory.access[tokens.access_token] = _Access(family, expires)
        self._memory.identity[tokens.id_token] = _Access(family, now + _ID_LIFETIME)
        self._memory.refresh[tokens.refresh_token] = _Refresh(family, last)
        return tokens

    # What the tokens are good for

    def revoke(self, token: str) -> None:
        """End the login that a refresh or access token belongs to; an unknown token is no error (RFC 7009)."""
        with self._lock:
            known = self._memory.refresh.get(token) or self._memory.access.get(token)
            if known is not None:
                known.family.revoked = True

    def refuse_access(self, access_token: str | None) -> dict[str, Any] | None:
        """Return the 401 body for an access token, or None when it is good."""
        with self._lock:
            token = self._memory.access.get(access_token or "")
            if token is None:
                return {"detail": "Unauthorized"}
            if token.family.revoked:
                return _access_error("token_revoked")
            if token.expires <= self._clock():
                return _access_error("token_expired")
            return None


def _is_loopback(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:  # a port that is no number
        return False
    return parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS and port is not None


def _challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, 4.6)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _token_answer(tokens: Tokens) -> dict[str, Any]:
    return {
        "id_token": tokens.id_token,
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "token_type": "Bearer",
        "expires_in": int(tokens.lifetime.total_seconds()),
        "scope": tokens.scope,
    }


def _oauth_error(code: str, text: str, *, status: int = 400) -> Reply:
    return status, {"error": code, "error_description": text}


def _refresh_error(code: str) -> Reply:
    return 401, {
        "error": {
            "message": _REFRESH_REFUSALS[code],
            "type": "invalid_request_error",
            "param": None,
            "code": code,
        }
    }


def _access_error(code: str) -> dict[str, Any]:
    return {
        "error": {"message": _ACCESS_REFUSALS[code], "type": None, "code": code, "param": None},
        "status": 401,
    }
