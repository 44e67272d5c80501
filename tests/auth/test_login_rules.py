"""The rules of logging in and refreshing, as tables with one expectation in each row. Source: Codex CLI 0.169.0."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from queue import Queue
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from issuer_stub import IssuerStub

from codex_backend_sdk._exceptions import CredentialStoreError, LoginFailedError
from codex_backend_sdk.auth import Credentials, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, DAY, SECOND = timedelta(minutes=1), timedelta(days=1), timedelta(seconds=1)

NOT_ENABLED = (
    "Codex is not enabled for your workspace. Contact your workspace administrator to request access to Codex."
)
NO_CODE = "Missing authorization code. Sign-in could not be completed."


@pytest.fixture
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub(clock=lambda: NOW) as stub:
        yield stub


class Full(MemoryStore):
    def save(self, document: dict[str, Any]) -> None:
        raise CredentialStoreError("Cannot write memory: No space left on device.")


# --- the callback: Codex CLI login/src/server.rs -----------------------------------------------------------------

REFUSED = b'{"error": "invalid_grant", "error_description": "ac_1 is no good"}'

# query of the callback · response to the code exchange · options → code and text of the failure
CALLBACKS = {
    "denied": ({"error": "access_denied"}, None, {}, "access_denied", "Login failed: access_denied"),
    "described": (
        {"error": "server_error", "error_description": "Try later"},
        None,
        {},
        "server_error",
        "Login failed: Try later",
    ),
    "not entitled": (
        {"error": "access_denied", "error_description": "x missing_codex_entitlement y"},
        None,
        {},
        "access_denied",
        NOT_ENABLED,
    ),
    "entitlement of another error": (
        {"error": "server_error", "error_description": "missing_codex_entitlement"},
        None,
        {},
        "server_error",
        "Login failed: missing_codex_entitlement",
    ),
    "error and code": ({"error": "access_denied", "code": "ac_1"}, None, {}, "access_denied", "Login failed"),
    "no code": ({}, None, {}, "missing_authorization_code", NO_CODE),
    "empty code": ({"code": ""}, None, {}, "missing_authorization_code", NO_CODE),
    "exchange refused": (
        {"code": "ac_1"},
        (400, REFUSED, {}),
        {},
        "token_exchange_failed",
        "Token exchange failed: the token endpoint returned status 400: [REDACTED] is no good.",
    ),
    "exchange of nothing": ({"code": "ac_1"}, (200, b"{}", {}), {}, "token_exchange_failed", "Token exchange failed: "),
    "exchange redirected": (
        {"code": "ac_1"},
        (307, b"", {"Location": "http://127.0.0.1:9/oauth/token"}),
        {},
        "token_exchange_failed",
        "redirects to another address, which is not followed.",
    ),
    "another workspace": (
        {"code": "ac_1"},
        None,
        {"workspace_id": "acc-other"},
        "workspace_restriction",
        "Login is restricted to workspace id(s) acc-other.",
    ),
    "cannot be saved": ({"code": "ac_1"}, None, {"store": Full()}, "persist_failed", "Cannot write memory"),
}


@pytest.mark.parametrize("row", CALLBACKS.values(), ids=list(CALLBACKS))
def test_failed_callback_gives_code_message_and_page(row: Any, issuer: IssuerStub) -> None:
    query, issuer.refusal, options, code, words = row
    store = options.get("store", MemoryStore())
    workspace = {name: value for name, value in options.items() if name != "store"}
    pages: Queue[httpx2.Response] = Queue()  # a browser may still be reading when the login returns

    def visit(url: str) -> None:
        given = dict(parse_qsl(urlsplit(url).query))
        issuer.challenge = given["code_challenge"]
        back = {"state": given["state"], **query}
        pages.put(httpx2.get(f"{given['redirect_uri']}?{urlencode(back)}", timeout=20))

    with pytest.raises((LoginFailedError, CredentialStoreError)) as caught:
        Credentials(store, issuer=issuer.url, clock=issuer.clock).authenticate(
            open_browser=visit, ports=(0,), timeout=20, **workspace
        )
    assert (caught.value.code or "persist_failed") == code
    assert words in str(caught.value)
    page = pages.get(timeout=20)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert code in page.text
    assert "You are logged in" not in page.text
    assert store.load() is None


# --- refresh before the expiry: Codex CLI login/src/auth/manager.rs --------------------------------------------------

# time until the expiry (None: unreadable) · age of the last refresh (None: unknown) → reason of the refresh
AHEAD_OF_TIME = [
    (6 * MINUTE, 9 * DAY, None),
    (5 * MINUTE + SECOND, 9 * DAY, None),
    (5 * MINUTE, 0 * DAY, "proactive_expiry"),
    (4 * MINUTE, 0 * DAY, "proactive_expiry"),
    (-MINUTE, 0 * DAY, "proactive_expiry"),
    (6 * MINUTE, None, None),
    (None, 8 * DAY - SECOND, None),
    (None, 8 * DAY + SECOND, "scheduled"),
    (None, None, "scheduled"),
]


def stored(issuer: IssuerStub, expires_in: timedelta | None, age: timedelta | None) -> dict[str, Any]:
    document = issuer.document(expires_in=expires_in or MINUTE)
    if expires_in is None:
        document["tokens"]["access_token"] = "opaque"
    document["last_refresh"] = None if age is None else (NOW - age).isoformat()
    return document


@pytest.mark.parametrize(("expires_in", "age", "reason"), AHEAD_OF_TIME)
def test_refresh_happens_when_it_is_due(
    issuer: IssuerStub, expires_in: timedelta | None, age: timedelta | None, reason: str | None
) -> None:
    Credentials(MemoryStore(stored(issuer, expires_in, age)), issuer=issuer.url, clock=issuer.clock).current()
    assert [request.json["refresh_reason"] for request in issuer.requests_to("/oauth/token")] == [reason] * bool(reason)


@pytest.mark.parametrize(
    ("expires_in", "age", "reason"), [row for row in AHEAD_OF_TIME if row[2] and row[0] != -MINUTE]
)
@pytest.mark.parametrize("status", [429, 503, 401])
def test_failed_refresh_keeps_the_old_token(
    issuer: IssuerStub, expires_in: timedelta | None, age: timedelta | None, reason: str, status: int
) -> None:
    document = stored(issuer, expires_in, age)
    issuer.refusal = status, json.dumps({"error": {"code": "refresh_token_expired"}}).encode(), {}
    login = Credentials(MemoryStore(document), issuer=issuer.url, clock=issuer.clock).current()
    assert login.access_token.reveal() == document["tokens"]["access_token"]
