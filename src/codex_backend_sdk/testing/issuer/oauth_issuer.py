"""Issue, refresh, check and revoke the tokens of the simulated account. This module contains no HTTP.

The tokens of one login form a family, and the revocation of one token revokes the family. A refresh token can be used
only once. A second use returns `refresh_token_reused` and revokes the family, as observed on the real issuer
(openai/codex#10332). An unknown or revoked refresh token returns `refresh_token_invalidated` (the codes are in the
Codex CLI, login/src/auth/manager.rs).

Refresh tokens do not expire here; the fault `refresh_token_expired` simulates their expiry. An authorization code is
valid for one attempt, even if the attempt fails.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode, urlsplit

from ..._constants import CLIENT_ID, LOGIN_SCOPES
from ..id_generator import IdGenerator
from ..simulated_account import IssuedTokens
from .jwt_claims import access_token_claims, encode_jwt, id_token_claims

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..simulated_account import SimulatedAccount

__all__ = ["Approval", "OAuthIssuer", "StatusAndBody"]

# The decision of the login pages: `auto` approves every login, `manual` shows two buttons, `deny` denies every login.
Approval = Literal["auto", "manual", "deny"]

# The HTTP status and the JSON body of a response.
StatusAndBody = tuple[int, dict[str, Any]]

_CODE_LIFETIME = timedelta(minutes=10)
_ID_TOKEN_LIFETIME = timedelta(hours=1)
_PERSONAL_TOKEN_LIFETIME = timedelta(days=365)
_CHALLENGE_LENGTH = 43  # base64url of a SHA-256 digest, without padding
# The simulator shares no code with the client, so it does not import the hosts from `_urls`.
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

# The Codex CLI classifies rejected refreshes by these codes (login/src/auth/manager.rs). The messages are from the
# issuer.
_REFRESH_ERRORS = {
    "refresh_token_reused": (
        "Your refresh token has already been used to generate a new access token. Please try signing in again."
    ),
    "refresh_token_invalidated": "Your refresh token has been invalidated. Please try signing in again.",
}
# The codes with which the backend rejects an access token (Codex CLI: codex-api/src/api_bridge.rs).
_ACCESS_ERRORS = {
    "token_expired": "Provided authentication token is expired. Please try signing in again.",
    "token_revoked": "Your authentication token has been invalidated. Please try signing in again.",
}


@dataclass(slots=True)
class _TokenFamily:
    """The state that all tokens of one login share."""

    scope: str
    is_revoked: bool = False


@dataclass(frozen=True, slots=True)
class _AuthorizationCode:
    redirect_uri: str
    challenge: str
    scope: str
    expires_at: datetime


@dataclass(slots=True)
class _RefreshToken:
    family: _TokenFamily
    is_used: bool = False


@dataclass(frozen=True, slots=True)
class _BearerToken:
    """An access token or an ID token."""

    family: _TokenFamily
    expires_at: datetime


class OAuthIssuer:
    """The OAuth issuer of one account. The class is thread-safe."""

    def __init__(
        self,
        *,
        account: SimulatedAccount,
        ids: IdGenerator,
        clock: Callable[[], datetime],
        get_url: Callable[[], str],
        access_token_lifetime: timedelta,
    ) -> None:
        self._account = account
        self._ids = ids
        self._clock = clock
        self._get_url = get_url
        self._access_token_lifetime = access_token_lifetime
        self._lock = threading.RLock()
        self._codes: dict[str, _AuthorizationCode] = {}
        self._refresh_tokens: dict[str, _RefreshToken] = {}
        self._access_tokens: dict[str, _BearerToken] = {}
        self._id_tokens: dict[str, _BearerToken] = {}

    # The authorization endpoint

    def authorization_error(self, query: Mapping[str, str]) -> str | None:
        """Return the error to display instead of a redirect (RFC 6749, 4.1.2.1), or None if a redirect is allowed."""
        if query.get("client_id") != CLIENT_ID:
            return "invalid_client: unknown client_id"
        if not _is_loopback(query.get("redirect_uri", "")):
            return "invalid_redirect_uri: redirect_uri must be an http URL on this machine, with a port"
        return None

    def approve(self, query: Mapping[str, str]) -> str:
        """Return the redirect URL with an authorization code, or with an error code if the request is invalid."""
        for name, expected in (("response_type", "code"), ("code_challenge_method", "S256")):
            if query.get(name) != expected:
                return _redirect_url(query, error="invalid_request", error_description=f"{name} must be {expected}")
        if len(query.get("code_challenge", "")) != _CHALLENGE_LENGTH:
            description = f"code_challenge must have {_CHALLENGE_LENGTH} characters"
            return _redirect_url(query, error="invalid_request", error_description=description)
        scope = query.get("scope", "")
        if not set(scope.split()) <= set(LOGIN_SCOPES.split()):
            return _redirect_url(query, error="invalid_scope", error_description="The requested scope is invalid.")
        code = self._issue_code(query["redirect_uri"], query["code_challenge"], scope)
        return _redirect_url(query, code=code, scope=scope)

    def deny(self, query: Mapping[str, str]) -> str:
        """Return the redirect URL with the error `access_denied`."""
        return _redirect_url(query, error="access_denied", error_description="The user denied the request.")

    def issue_code_for_device(self, redirect_uri: str, *, verifier: str, scope: str) -> tuple[str, str]:
        """Return an authorization code and the challenge of `verifier`, for a device code login."""
        challenge = _s256_challenge(verifier)
        return self._issue_code(redirect_uri, challenge, scope), challenge

    def _issue_code(self, redirect_uri: str, challenge: str, scope: str) -> str:
        code = self._ids.new("ac", 40)
        with self._lock:
            self._codes[code] = _AuthorizationCode(redirect_uri, challenge, scope, self._clock() + _CODE_LIFETIME)
        return code

    # The token endpoint

    def handle_token_request(self, request: Mapping[str, Any]) -> StatusAndBody:
        """Return the response of the token endpoint to these parameters."""
        handlers: dict[Any, Callable[[Mapping[str, Any]], StatusAndBody]] = {
            "authorization_code": self._exchange_code,
            "refresh_token": self._refresh,
            _TOKEN_EXCHANGE: self._exchange_id_token,
        }
        handler = handlers.get(request.get("grant_type"))
        if handler is None:
            return _oauth_error("unsupported_grant_type", "This grant type is not supported.")
        if request.get("client_id") != CLIENT_ID:
            return _oauth_error("invalid_client", "Unknown client_id.", status=401)
        with self._lock:
            return handler(request)

    def _exchange_code(self, request: Mapping[str, Any]) -> StatusAndBody:
        # Delete the code even if the attempt fails: an authorization code must not be used twice (RFC 6749, 4.1.2).
        code = self._codes.pop(str(request.get("code")), None)
        if code is None or code.expires_at <= self._clock():
            return _oauth_error("invalid_grant", "The authorization code is unknown, used or expired.")
        if request.get("redirect_uri") != code.redirect_uri:
            return _oauth_error("invalid_grant", "redirect_uri does not match the authorization request.")
        if _s256_challenge(str(request.get("code_verifier", ""))) != code.challenge:
            return _oauth_error("invalid_grant", "code_verifier does not match the code_challenge.")
        return 200, _token_response(self._issue_tokens(_TokenFamily(code.scope), self._access_token_lifetime))

    def _refresh(self, request: Mapping[str, Any]) -> StatusAndBody:
        token = self._refresh_tokens.get(str(request.get("refresh_token")))
        if token is None or token.family.is_revoked:
            return _refresh_error("refresh_token_invalidated")
        if token.is_used:
            token.family.is_revoked = True
            return _refresh_error("refresh_token_reused")
        token.is_used = True
        return 200, _token_response(self._issue_tokens(token.family, self._access_token_lifetime))

    def _exchange_id_token(self, request: Mapping[str, Any]) -> StatusAndBody:
        """Exchange an ID token for an API key (RFC 8693)."""
        if request.get("requested_token") != "openai-api-key" or not request.get("subject_token"):
            return _oauth_error("invalid_request", "requested_token and subject_token are required.")
        token = self._id_tokens.get(str(request["subject_token"]))
        if token is None or token.family.is_revoked or token.expires_at <= self._clock():
            return _oauth_error("invalid_grant", "The subject token is unknown, revoked or expired.")
        return 200, {"access_token": self._ids.new("sk-simulated", 32), "token_type": "Bearer"}

    def issue_login(self, *, lifetime: timedelta | None = None) -> IssuedTokens:
        """Return the tokens of a new login, without a login flow. `lifetime` overrides that of the access token."""
        access_token_lifetime = self._access_token_lifetime if lifetime is None else lifetime
        with self._lock:
            return self._issue_tokens(_TokenFamily(LOGIN_SCOPES), access_token_lifetime)

    def issue_personal_access_token(self) -> str:
        """Return a new personal access token, as a user creates it in the settings of the account."""
        token = self._ids.new("at", 48).replace("_", "-", 1)  # real personal access tokens begin with `at-`
        with self._lock:
            expires_at = self._clock() + _PERSONAL_TOKEN_LIFETIME
            self._access_tokens[token] = _BearerToken(_TokenFamily(LOGIN_SCOPES), expires_at)
        return token

    def _issue_tokens(self, family: _TokenFamily, lifetime: timedelta) -> IssuedTokens:
        now = self._clock()
        account, issuer, expires_at = self._account, self._get_url(), now + lifetime
        tokens = IssuedTokens(
            id_token=encode_jwt(
                id_token_claims(account, issuer=issuer, issued_at=now, expires_at=now + _ID_TOKEN_LIFETIME)
            ),
            access_token=encode_jwt(
                access_token_claims(
                    account,
                    issuer=issuer,
                    issued_at=now,
                    expires_at=expires_at,
                    token_id=self._ids.new("jti"),
                    scope=family.scope,
                )
            ),
            refresh_token=self._ids.new("rt", 48),
            lifetime=lifetime,
            scope=family.scope,
        )
        self._access_tokens[tokens.access_token] = _BearerToken(family, expires_at)
        self._id_tokens[tokens.id_token] = _BearerToken(family, now + _ID_TOKEN_LIFETIME)
        self._refresh_tokens[tokens.refresh_token] = _RefreshToken(family)
        return tokens

    # Access checks and revocation

    def revoke(self, token: str) -> None:
        """Revoke the login of a refresh or access token. Ignore an unknown token (RFC 7009, 2.2)."""
        with self._lock:
            issued_token = self._refresh_tokens.get(token) or self._access_tokens.get(token)
            if issued_token is not None:
                issued_token.family.is_revoked = True

    def check_access(self, authorization: str | None) -> dict[str, Any] | None:
        """Return the body of a 401 response for this `Authorization` header, or None if its access token is valid."""
        scheme, _, access_token = (authorization or "").partition(" ")
        with self._lock:
            token = self._access_tokens.get(access_token) if scheme.lower() == "bearer" else None
            if token is None:
                return {"detail": "Unauthorized"}
            if token.family.is_revoked:
                return _access_error_body("token_revoked")
            if token.expires_at <= self._clock():
                return _access_error_body("token_expired")
            return None


def _is_loopback(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:  # the port is not an integer
        return False
    return parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS and port is not None


def _s256_challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, 4.6)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _redirect_url(query: Mapping[str, str], **parameters: str) -> str:
    if "state" in query:
        parameters["state"] = query["state"]
    return f"{query['redirect_uri']}?{urlencode(parameters)}"


def _token_response(tokens: IssuedTokens) -> dict[str, Any]:
    return {
        "id_token": tokens.id_token,
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "token_type": "Bearer",
        "expires_in": int(tokens.lifetime.total_seconds()),
        "scope": tokens.scope,
    }


def _oauth_error(code: str, description: str, *, status: int = 400) -> StatusAndBody:
    return status, {"error": code, "error_description": description}


def _refresh_error(code: str) -> StatusAndBody:
    error = {"message": _REFRESH_ERRORS[code], "type": "invalid_request_error", "param": None, "code": code}
    return 401, {"error": error}


def _access_error_body(code: str) -> dict[str, Any]:
    error = {"message": _ACCESS_ERRORS[code], "type": None, "code": code, "param": None}
    return {"error": error, "status": 401}
