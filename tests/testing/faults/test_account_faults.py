"""Test the faults of the token endpoint. `tests/routing` tests the faults of workspaces with the client."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from codex_backend_sdk.auth._jwt import parse_account_id
from codex_backend_sdk.types import Secret


def refresh(raw_client: Any) -> httpx2.Response:
    body = {
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
        "grant_type": "refresh_token",
        "refresh_token": raw_client.tokens["refresh_token"],
    }
    response: httpx2.Response = raw_client.http.post(f"{raw_client.sim.issuer}/oauth/token", json=body)
    return response


@pytest.mark.parametrize("code", ["refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated"])
def test_rejected_refresh_does_not_use_up_the_token(raw_client: Any, code: str) -> None:
    raw_client.sim.fail(code, f"{code}:text", f"{code}:code,400")
    first, second, third = (refresh(raw_client) for _ in range(3))
    assert (first.status_code, first.json()["error"]["code"]) == (401, code)
    assert (second.status_code, second.json()) == (401, {"error": code})
    assert (third.status_code, third.json()["code"]) == (400, code)
    assert refresh(raw_client).status_code == 200


def test_rejected_refresh_has_the_body_of_the_issuer(raw_client: Any) -> None:
    assert refresh(raw_client).status_code == 200
    raw_client.sim.fail("refresh_token_reused")
    assert refresh(raw_client).json() == refresh(raw_client).json()


def test_other_refresh_faults_set_the_status(raw_client: Any) -> None:
    raw_client.sim.fail(
        "refresh_refused", "invalid_grant", "token_status:429", "token_status", "html@token", "reset@token"
    )
    assert [refresh(raw_client).status_code for _ in range(5)] == [401, 400, 429, 503, 200]
    with pytest.raises(httpx2.ReadError):
        refresh(raw_client)


def test_lost_response_to_a_refresh_uses_up_the_token(raw_client: Any) -> None:
    raw_client.sim.fail("cut_after_bytes:10@token")
    with pytest.raises(httpx2.RemoteProtocolError):
        refresh(raw_client)
    assert refresh(raw_client).json()["error"]["code"] == "refresh_token_reused"


def test_member_is_removed_from_the_response(raw_client: Any) -> None:
    raw_client.sim.fail("token_without:id_token")
    assert {"id_token", "access_token", "refresh_token"} - set(refresh(raw_client).json()) == {"id_token"}


def test_refresh_returns_tokens_of_another_account(raw_client: Any) -> None:
    raw_client.sim.fail("token_other_account", times=2)
    tokens = refresh(raw_client).json()
    account_id = parse_account_id(Secret(tokens["id_token"]), Secret(tokens["access_token"]))
    assert account_id not in (None, raw_client.tokens["account_id"])
    assert refresh(raw_client).status_code == 401, "a rejected refresh is not modified"
