"""The conversation with the OAuth issuer, decided without speaking: what to ask and what an answer means.

Facts: Codex CLI login/src/server.rs, login/src/pkce.rs, login/src/auth/manager.rs. PKCE: RFC 7636.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

from .._coerce import parse_json, parse_json_object
from .._constants import CALLBACK_PATH, CLIENT_ID, LOGIN_SCOPES
from ..types import Secret
from ._auth_json import is_token

if TYPE_CHECKING:
    from ._jwt import RefreshReason

__all__ = [
    "CallbackOutcome",
    "Grant",
    "Pkce",
    "RefreshFailure",
    "TokenAnswer",
    "api_key_form",
    "authorize_url",
    "base64url",
    "check_callback",
    "classify_refresh",
    "error_code",
    "error_text",
    "exchange_form",
    "pasted_target",
    "pkce",
    "read_answer",
    "read_api_key",
    "refresh_body",
    "revoke_body",
]

# The issuer may add this to the state when the login was begun from an onboarding page.
STATE_SUFFIXES: Final = ("", ".onboarding_entrypoint=life_sciences")
SHOWN_ERROR_CHARACTERS: Final = 300  # an error body can be a whole HTML page

NO_ENTITLEMENT: Final = (
    "Codex is not enabled for your workspace. Contact your workspace administrator to request access to Codex."
)
NO_CODE: Final = "Missing authorization code. Sign-in could not be completed."


# --- the browser's way out and back ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pkce:
    """A verifier to keep, and the challenge (method S256) to send ahead of it."""

    verifier: Secret
    challenge: str


def base64url(data: bytes) -> str:
    """Encode without padding, as PKCE, the state and a JWT have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def pkce(random_bytes: bytes) -> Pkce:
    """Derive verifier and challenge; 64 random bytes give the 86 characters that the Codex CLI uses."""
    verifier = base64url(random_bytes)
    return Pkce(Secret(verifier), base64url(hashlib.sha256(verifier.encode()).digest()))


def authorize_url(
    issuer: str,
    *,
    redirect_uri: str,
    challenge: str,
    state: str,
    originator: str,
    scope: str = LOGIN_SCOPES,
    workspace_id: str | None = None,
) -> str:
    """Build the address that the user's browser opens, its parameters in the Codex CLI's order."""
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
class Grant:
    """What a finished sign-in is worth: with these three the issuer hands out tokens."""

    code: Secret
    verifier: Secret
    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackOutcome:
    """What a callback means: go on with `code`, end with `error_code` and `message`, or (`mismatch`) ignore it."""

    kind: Literal["mismatch", "refused", "code"]
    code: Secret | None = None
    error_code: str | None = None
    message: str | None = None


def check_callback(query: str, *, expected_state: str) -> CallbackOutcome:
    """Judge the query of a request to the callback path: the first row whose condition holds decides."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    error = given.get("error")
    description = given.get("error_description") or error or "unknown error"
    code = given.get("code")
    rows = (
        (
            not _is_state(given.get("state", ""), expected_state),
            CallbackOutcome(kind="mismatch", message="State mismatch"),
        ),
        (
            error == "access_denied" and "missing_codex_entitlement" in description,
            CallbackOutcome(kind="refused", error_code=error, message=NO_ENTITLEMENT),
        ),
        (
            error is not None,
            CallbackOutcome(kind="refused", error_code=error, message=f"Sign-in failed: {_shown(description)}"),
        ),
        (
            not code,
            CallbackOutcome(kind="refused", error_code="missing_authorization_code", message=NO_CODE),
        ),
        (True, CallbackOutcome(kind="code", code=Secret(code or ""))),
    )
    return next(outcome for holds, outcome in rows if holds)


def pasted_target(text: str) -> str | None:
    """Return path and query of the address that a browser ended on, None when the text is no such address.

    The query alone is enough. Whether it belongs to this sign-in is the callback's to judge.
    """
    address = "".join(text.split())  # a terminal breaks long lines
    try:
        address.encode()  # what a terminal could not decode are lone surrogates
        query = urlsplit(address).query or ("" if "://" in address else address.lstrip("?"))
    except ValueError:
        return None
    given = dict(parse_qsl(query, keep_blank_values=True))
    return f"{CALLBACK_PATH}?{query}" if given.keys() & {"code", "error"} else None


def _is_state(given: str, expected: str) -> bool:
    return any(hmac.compare_digest(given.encode(), (expected + suffix).encode()) for suffix in STATE_SUFFIXES)


# --- requests to the token endpoint ----------------------------------------------------------------------------


def exchange_form(grant: Grant) -> dict[str, str]:
    """Return the form fields that exchange an authorization code for tokens."""
    return {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "code": grant.code.reveal(),
        "redirect_uri": grant.redirect_uri,
        "code_verifier": grant.verifier.reveal(),
    }


def api_key_form(id_token: Secret) -> dict[str, str]:
    """Return the form fields that exchange an id token for an API key of the platform (RFC 8693)."""
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "client_id": CLIENT_ID,
        "requested_token": "openai-api-key",
        "subject_token": id_token.reveal(),
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    }


def refresh_body(refresh_token: Secret, *, reason: RefreshReason) -> dict[str, str]:
    """Return the JSON body of a refresh; unlike the code exchange it is not a form."""
    return {
        "client_id": CLIENT_ID,
        "grant_type": "refresh_token",
        "refresh_reason": reason,
        "refresh_token": refresh_token.reveal(),
    }


def revoke_body(*, refresh_token: Secret | None, access_token: Secret) -> dict[str, str]:
    """Return the JSON body of a revocation: of the refresh token where there is one, which ends the login."""
    if refresh_token is None:
        return {"token": access_token.reveal(), "token_type_hint": "access_token"}
    return {"token": refresh_token.reveal(), "token_type_hint": "refresh_token", "client_id": CLIENT_ID}


# --- answers of the token endpoint -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """The tokens that came; a refresh may leave any of them out, and the stored one stays in force."""

    id_token: Secret | None = None
    access_token: Secret | None = None
    refresh_token: Secret | None = None


TOKEN_NAMES: Final = ("id_token", "access_token", "refresh_token")


def read_answer(body: bytes, *, required: tuple[str, ...] = ()) -> TokenAnswer:
    """Read a 200 answer, without what is no token in it.

    ValueError when it is not JSON, or a token of `required` is missing or none, or there is none among what came: a
    refresh has used up the old refresh token, so one bad member must not cost the others.
    """
    answer = parse_json(body)
    if not isinstance(answer, dict):
        raise ValueError("the answer is not a JSON object")  # noqa: TRY004  (the issuer's fault, not the caller's)
    came = {name: answer[name] for name in TOKEN_NAMES if answer.get(name) is not None}
    tokens = {name: token for name, token in came.items() if isinstance(token, str) and is_token(token)}
    lacking = [name for name in required if name not in tokens] or ([] if tokens else list(came))
    if lacking:
        raise ValueError(f"the answer lacks a usable {' and '.join(lacking)}")
    return TokenAnswer(**{name: Secret(token) for name, token in tokens.items()})


def read_api_key(body: bytes) -> Secret:
    """Read a 200 answer to `api_key_form`; ValueError when there is no key in it."""
    key = read_answer(body, required=("access_token",)).access_token
    assert key is not None  # it is required
    return key


def error_code(body: bytes) -> str | None:
    """Return the error code of an answer, lower-case: `error.code`, else `error`, else `code`."""
    answer = parse_json_object(body)
    error = answer.get("error")
    found = error.get("code") if isinstance(error, dict) else error
    code = found or answer.get("code")
    return code.lower() if isinstance(code, str) and code else None


def error_text(body: bytes, *, hide: Secret | None = None) -> str:
    """Return what an error answer says, for people, in one short line; occurrences of `hide` are blacked out."""
    members = parse_json_object(body)
    error = members.get("error")
    candidates = (
        members.get("error_description"),
        error.get("message") if isinstance(error, dict) else None,
        error.get("code") if isinstance(error, dict) else error,
        body.decode("utf-8", "replace"),
    )
    texts = (
        text.replace(hide.reveal(), "[REDACTED]") if hide else text for text in candidates if isinstance(text, str)
    )
    return next(filter(None, map(_shown, texts)), "unknown error")


FailureReason: TypeAlias = Literal["expired", "exhausted", "revoked", "other", "transient"]


@dataclass(frozen=True, slots=True)
class RefreshFailure:
    """Why a refresh failed, in words; a permanent failure cannot be mended by asking again."""

    reason: FailureReason
    message: str

    @property
    def is_permanent(self) -> bool:
        """Tell whether only a new login helps."""
        return self.reason != "transient"


# The first row that fits decides; None fits any code.
REFRESH_FAILURES: Final[tuple[tuple[frozenset[int], str | None, FailureReason, str], ...]] = (
    (frozenset({400, 401}), "refresh_token_expired", "expired", "The refresh token has expired."),
    (frozenset({400, 401}), "refresh_token_reused", "exhausted", "The refresh token was already used."),
    (frozenset({400, 401}), "refresh_token_invalidated", "revoked", "The refresh token was revoked."),
    (frozenset({400}), "invalid_grant", "other", "The issuer no longer accepts the refresh token."),
    (frozenset({401}), None, "other", "The issuer no longer accepts the refresh token."),
)


def classify_refresh(status: int, body: bytes) -> RefreshFailure:
    """Say what a refused refresh means, by status and error code. The issuer's own text is not shown."""
    code = error_code(body)
    for statuses, known_code, reason, message in REFRESH_FAILURES:
        if status in statuses and known_code in (None, code):
            return RefreshFailure(reason, message)
    return RefreshFailure("transient", f"The issuer answered the refresh with status {status}.")


def _shown(text: str) -> str:
    """Fit foreign text into one line of a message: no control characters, no endless page."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return line if len(line) <= SHOWN_ERROR_CHARACTERS else line[:SHOWN_ERROR_CHARACTERS] + "…"
