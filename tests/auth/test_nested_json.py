"""Test that deeply nested JSON in a token, a document or a response of the issuer raises no RecursionError."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from issuer_stub import IssuerStub
from store_types import CustomStore

import codex_backend_sdk as sdk
from codex_backend_sdk.auth import Credentials, MemoryStore, StaticToken, exchange_api_key

if TYPE_CHECKING:
    from collections.abc import Callable

DEPTHS = (300, 980, 1000, 100_000)


def nested(depth: int, kind: str) -> str:
    return "[" * depth + "]" * depth if kind == "list" else '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("status", "member"), [(200, "access_token"), (400, "error"), (401, "error"), (503, "error")])
def test_nested_response_is_a_typed_error(status: int, member: str, depth: int, kind: str) -> None:
    calls: list[Callable[[Credentials], object]] = [
        lambda credentials: credentials.refresh(credentials.current()),
        exchange_api_key,
    ]
    for body in (nested(depth, kind), f'{{"{member}": {nested(depth, kind)}}}'):
        with IssuerStub(token_response=(status, body.encode(), {})) as issuer:
            for call in calls:
                if body.startswith('{"a"') and status == 200 and depth < 1000:
                    continue  # a valid response without tokens, which keeps those that are stored
                with pytest.raises(sdk.CodexError):
                    call(Credentials(MemoryStore(issuer.document()), issuer=issuer.url))


@pytest.mark.parametrize("depth", DEPTHS)
def test_nested_claims_are_readable_or_ignored(depth: int) -> None:
    payload = base64.urlsafe_b64encode(f'{{"exp": {nested(depth, "list")}}}'.encode()).rstrip(b"=").decode()
    token = f"eyJhbGciOiJub25lIn0.{payload}.sig"
    with suppress(ValueError):
        StaticToken(token)
    with IssuerStub() as issuer:
        document = issuer.document()
        document["tokens"]["id_token"] = token
        login = Credentials(MemoryStore(document), issuer=issuer.url).current()
        assert (login.account_id, login.email) == ("acc-1", None)


@pytest.mark.parametrize("depth", DEPTHS[:3])
def test_nested_document_of_a_custom_store_is_refreshed(depth: int) -> None:
    """A custom store may accept what a file does not."""
    store = CustomStore()
    with IssuerStub() as issuer:
        value: Any = []
        for _ in range(depth):
            value = [value]
        store.save(issuer.document(unknown_field=value))
        credentials = Credentials(store, issuer=issuer.url)
        login = credentials.refresh(credentials.current())
        stored = store.load()
        assert stored is not None
        assert stored["tokens"]["access_token"] == login.access_token.reveal()
        assert stored["unknown_field"] is value
    with pytest.raises(sdk.CredentialStoreError, match="nested more than 127 levels deep"):
        MemoryStore({"auth_mode": "chatgpt", "unknown_field": value})
