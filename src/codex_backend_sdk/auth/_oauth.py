"""Build the OAuth requests to the issuer and parse its responses. This module has no I/O.

Standards: RFC 6749 (authorization code), RFC 7636 (PKCE), RFC 8693 (token exchange).
Wire source: Codex CLI, login/src/server.rs, login/src/pkce.rs, login/src/auth/manager.rs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

from .._coerce import as_text, parse_json, parse_json_object
from .._constants import CALLBACK_PATH, CLIENT_ID, LOGIN_SCOPES
from .._redaction import excerpt
from ..types import Login, Secret
from ._auth_json import TokenResponse, is_header_safe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._jwt import RefreshReason

__all__ = [
    "TOKEN_NAMES",
    "WHOAMI_PATH",
    "AuthorizationGrant",
    "AuthorizationResponse",
    "Pkce",
    "RefreshFailure",
    "WhoamiFailure",
    "build_api_key_form",
    "build_authorize_url",
    "build_code_exchange_form",
    "build_refresh_body",
    "build_revoke_body",
    "classify_refresh_failure",
    "describe_error",
    "encode_base64url",
    "parse_api_key",
    "parse_authorization_response",
    "parse_error_code",
    "parse_pasted_url",
    "parse_token_response",
    "parse_whoami",
]

# The issuer may append this to the state when the login began on an onboarding page. Codex CLI: login/src/server.rs.
_STATE_SUFFIXES: Final = ("", ".onboarding_entrypoint=life_sciences")

# The Codex CLI's texts: login/src/server.rs.
_NO_ENTITLEMENT: Final = (
    "Codex is not enabled for your workspace. Contact your workspace administrator to request access to Codex."
)
_NO_CODE: Final = "Missing authorization code. Sign-in could not be completed."


# --- authorization in the browser --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pkce:
    """A PKCE verifier, which is sent in the code exchange, and its S256 challenge, which is sent in the login URL."""

    verifier: Secret
    challenge: str

    @classmethod
    def from_random(cls, random_bytes: bytes) -> Pkce:
        """Derive both from random bytes. As in the Codex CLI, 64 bytes result in a verifier of 86 characters."""
        verifier = encode_base64url(random_bytes)
        return cls(Secret(verifier), encode_base64url(hashlib.sha256(verifier.encode()).digest()))


def encode_base64url(data: bytes) -> str:
    """Encode as base64url without padding, as in PKCE, the state and JWTs."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def build_authorize_url(
    issuer: str,
    *,
    redirect_uri: str,
    challenge: str,
    state: str,
    originator: str,
    scope: str = LOGIN_SCOPES,
    workspace_id: str | None = None,
) -> str:
    """Return the URL of the login page, with the parameters in the same order as in the Codex CLI."""
    parameters = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": redirect_uri,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": state,
        "scope": scope,
        "id_token_add_organizations": "true",
        "codex_cli_simplified_flow": "true",
        "originator": originator,
    }
    if workspace_id is not None:
        parameters["allowed_workspace_id"] = workspace_id
    return f"{issuer}/oauth/authorize?{urlencode(parameters)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationGrant:
    """An authorization code, and the values that the issuer requires to exchange it for tokens."""

    code: Secret
    verifier: Secret
    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """The parsed query of a callback (RFC 6749, 4.1.2): a `code`, or an `error_code` with a message for the user."""

    code: Secret | None = None
    error_code: str | None = None
    error_message: str | None = None


def parse_authorization_response(query: str, *, expected_state: str) -> AuthorizationResponse | None:
    """Parse the query of a callback. Return None if its state differs: the request is not from this login."""
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    if not _is_expected_state(parameters.get("state", ""), expected_state):
        return None
    error, code = parameters.get("error"), parameters.get("code")
    description = parameters.get("error_description") or error or "unknown error"
    if error == "access_denied" and "missing_codex_entitlement" in description:
        return AuthorizationResponse(error_code=error, error_message=_NO_ENTITLEMENT)
    if error is not None:
        return AuthorizationResponse(
            error_code=excerpt(error), error_message=f"Login failed: {excerpt(description) or 'unknown error'}"
        )
    if not code:
        return AuthorizationResponse(error_code="missing_authorization_code", error_message=_NO_CODE)
    return AuthorizationResponse(code=Secret(code))


def parse_pasted_url(pasted: str) -> str | None:
    """Return the path and query of the redirect URL that a user pasted, None if it is not a redirect URL.

    A query without a URL is also accepted. `parse_authorization_response` checks its state.
    """
    url = "".join(pasted.split())  # a terminal breaks long lines
    try:
        url.encode()  # raises for lone surrogates, which are bytes that the terminal could not decode
        query = urlsplit(url).query or ("" if "://" in url else url.lstrip("?"))
    except ValueError:
        return None
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    return f"{CALLBACK_PATH}?{query}" if parameters.keys() & {"code", "error"} else None


def _is_expected_state(state: str, expected: str) -> bool:
    return any(hmac.compare_digest(state.encode(), (expected + suffix).encode()) for suffix in _STATE_SUFFIXES)


# --- requests to the token endpoint ------------------------------------------------------------------------------


def build_code_exchange_form(grant: AuthorizationGrant) -> dict[str, str]:
    """Return the form that exchanges an authorization code for tokens (RFC 6749, 4.1.3)."""
    return {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "code": grant.code.reveal(),
        "redirect_uri": grant.redirect_uri,
        "code_verifier": grant.verifier.reveal(),
    }


def build_api_key_form(id_token: Secret) -> dict[str, str]:
    """Return the form that exchanges an ID token for an API key of the OpenAI platform (RFC 8693)."""
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "client_id": CLIENT_ID,
        "requested_token": "openai-api-key",
        "subject_token": id_token.reveal(),
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    }


def build_refresh_body(refresh_token: Secret, *, reason: RefreshReason) -> dict[str, str]:
    """Return the JSON body of a refresh. The Codex CLI sends JSON here, but a form for the code exchange."""
    return {
        "client_id": CLIENT_ID,
        "grant_type": "refresh_token",
        "refresh_reason": reason,
        "refresh_token": refresh_token.reveal(),
    }


def build_revoke_body(*, refresh_token: Secret | None, access_token: Secret) -> dict[str, str]:
    """Return the JSON body of a revocation. Revoking the refresh token, if there is one, ends the whole login."""
    if refresh_token is None:
        return {"token": access_token.reveal(), "token_type_hint": "access_token"}
    return {"token": refresh_token.reveal(), "token_type_hint": "refresh_token", "client_id": CLIENT_ID}


# --- responses of the token endpoint -----------------------------------------------------------------------------


TOKEN_NAMES: Final = ("id_token", "access_token", "refresh_token")


def parse_token_response(body: bytes, *, required: tuple[str, ...] = ()) -> TokenResponse:
    """Parse the body of a successful response. Members that are not tokens are ignored.

    The refresh has used up the old refresh token, so an invalid member must not discard the valid ones. Raises
    ValueError if the body is not a JSON object, lacks a `required` token, or has token members and all are invalid.
    """
    response = parse_json(body)
    if not isinstance(response, dict):
        raise ValueError("the response is not a JSON object")  # noqa: TRY004  (invalid data, not a wrong argument)
    present = {name: response[name] for name in TOKEN_NAMES if response.get(name) is not None}
    tokens = {name: value for name, value in present.items() if isinstance(value, str) and is_header_safe(value)}
    missing = [name for name in required if name not in tokens] or ([] if tokens else list(present))
    if missing:
        raise ValueError(f"the response has no valid {' and '.join(missing)}")
    return TokenResponse(**{name: Secret(token) for name, token in tokens.items()})


def parse_api_key(body: bytes) -> Secret:
    """Parse the body of a successful response to `build_api_key_form`. Raises ValueError if it has no key."""
    key = parse_token_response(body, required=("access_token",)).access_token
    assert key is not None  # `required` guarantees this
    return key


def parse_error_code(body: bytes) -> str | None:
    """Return the error code of a response (`error.code`, `error` or `code`) in lower case, None if it has none."""
    response = parse_json_object(body)
    error = response.get("error")
    code = (error.get("code") if isinstance(error, dict) else error) or response.get("code")
    return excerpt(code).lower() or None if isinstance(code, str) else None


def describe_error(body: bytes, *, secrets: Iterable[Secret] = ()) -> str:
    """Return the message of an error response in one line of at most 301 characters, without `secrets` and tokens."""
    values = tuple(secret.reveal() for secret in secrets)
    response = parse_json_object(body)
    error = response.get("error")
    candidates = (
        response.get("error_description"),
        error.get("message") if isinstance(error, dict) else None,
        error.get("code") if isinstance(error, dict) else error,
        body.decode("utf-8", "replace"),
    )
    messages = (excerpt(candidate, values) for candidate in candidates if isinstance(candidate, str))
    return next(filter(None, messages), "unknown error")


FailureReason: TypeAlias = Literal["expired", "exhausted", "revoked", "other", "transient"]


@dataclass(frozen=True, slots=True)
class RefreshFailure:
    """The reason why a refresh failed: a category for programs and a message for users."""

    reason: FailureReason
    message: str

    @property
    def is_permanent(self) -> bool:
        """True if the user must log in again."""
        return self.reason != "transient"


# Status, error code (None: any), reason, message. The first matching row applies. Codex CLI:
# login/src/auth/manager.rs.
_REFRESH_FAILURES: Final[tuple[tuple[frozenset[int], str | None, FailureReason, str], ...]] = (
    (frozenset({400, 401}), "refresh_token_expired", "expired", "The refresh token has expired."),
    (frozenset({400, 401}), "refresh_token_reused", "exhausted", "The refresh token was already used."),
    (frozenset({400, 401}), "refresh_token_invalidated", "revoked", "The refresh token was revoked."),
    (frozenset({400}), "invalid_grant", "other", "The issuer no longer accepts the refresh token."),
    (frozenset({401}), None, "other", "The issuer no longer accepts the refresh token."),
)


def classify_refresh_failure(status: int, body: bytes) -> RefreshFailure:
    """Classify a failed refresh by status and error code. The issuer's text may contain the token and is not shown."""
    code = parse_error_code(body)
    for statuses, known_code, reason, message in _REFRESH_FAILURES:
        if status in statuses and known_code in (None, code):
            return RefreshFailure(reason, message)
    return RefreshFailure("transient", f"The issuer returned status {status} for the token refresh. Retry later.")


# --- personal access tokens --------------------------------------------------------------------------------------

# A personal access token has no claims; this endpoint returns them. Codex CLI: login/src/auth/personal_access_token.rs.
WHOAMI_PATH: Final = "/api/accounts/v1/user-auth-credential/whoami"
_REJECTED_STATUSES: Final = frozenset({401, 403})
_REQUIRED_MEMBERS: Final = ("chatgpt_account_id", "chatgpt_user_id")  # the backend needs both


@dataclass(frozen=True, slots=True)
class WhoamiFailure:
    """The reason why the whoami request for a personal access token failed. `is_permanent` excludes a retry."""

    message: str
    is_permanent: bool


def parse_whoami(token: Secret, status: int, body: bytes) -> Login | WhoamiFailure:
    """Return the login of a personal access token from the response of the whoami endpoint, or the failure."""
    if status in _REJECTED_STATUSES:
        return WhoamiFailure(f"The issuer rejected it with status {status}.", is_permanent=True)
    if status != 200:
        return WhoamiFailure(f"The issuer returned status {status} for its account. Retry later.", is_permanent=False)
    response = parse_json_object(body)
    if not all(isinstance(response.get(name), str) and is_header_safe(response[name]) for name in _REQUIRED_MEMBERS):
        return WhoamiFailure("The issuer's response has no account ID. Retry later.", is_permanent=False)
    return Login(
        access_token=token,
        account_id=response["chatgpt_account_id"],
        user_id=response["chatgpt_user_id"],
        email=as_text(response.get("email")),
        plan=as_text(response.get("chatgpt_plan_type")),
        is_fedramp=response.get("chatgpt_account_is_fedramp") is True,
    )
