"""Test the device code login over HTTP."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.testing import DeviceLoginSettings

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"


def create_code(raw_client: Any) -> Any:
    return raw_client.http.post(
        f"{raw_client.sim.issuer}/api/accounts/deviceauth/usercode", json={"client_id": CLIENT_ID}
    )


def poll(raw_client: Any, code: dict[str, Any]) -> Any:
    body = {"device_auth_id": code["device_auth_id"], "user_code": code["user_code"]}
    return raw_client.http.post(f"{raw_client.sim.issuer}/api/accounts/deviceauth/token", json=body)


def decide(raw_client: Any, user_code: str, decision: str) -> int:
    page = raw_client.http.get(
        f"{raw_client.sim.issuer}/codex/device", params={"user_code": user_code, "decision": decision}
    )
    return int(page.status_code)


def test_code_is_pending_for_the_given_number_of_polls(start_raw_client: Callable[..., Any]) -> None:
    raw_client = start_raw_client(device_login=DeviceLoginSettings(pending_polls=2, interval_seconds=7))
    code = create_code(raw_client).json()
    assert re.fullmatch(r"[A-Z]{4}-\d{5}", code["user_code"])
    assert code["interval"] == "7", "the real issuer sends a string"
    assert [poll(raw_client, code).status_code for _ in range(2)] == [403, 403]
    code_response = poll(raw_client, code).json()
    form = {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "code": code_response["authorization_code"],
        "redirect_uri": f"{raw_client.sim.issuer}/deviceauth/callback",
        "code_verifier": code_response["code_verifier"],
    }
    assert raw_client.http.post(f"{raw_client.sim.issuer}/oauth/token", data=form).status_code == 200
    assert poll(raw_client, code).status_code == 404, "the decision is reported once"


@pytest.mark.parametrize(("decision", "status"), [("approve", 200), ("deny", 400)])
def test_manual_approval_is_decided_on_the_page(
    start_raw_client: Callable[..., Any], decision: str, status: int
) -> None:
    raw_client = start_raw_client(approval="manual")
    code = create_code(raw_client).json()
    assert [poll(raw_client, code).status_code for _ in range(3)] == [403, 403, 403]
    page = raw_client.http.get(f"{raw_client.sim.issuer}/codex/device", params={"user_code": '"><b>'})
    assert "<b>" not in page.text
    assert decide(raw_client, "WXYZ-00000", decision) == 404
    assert decide(raw_client, f" {code['user_code'].lower()} ", decision) == 200
    assert decide(raw_client, code["user_code"], "approve") == 200, "the first decision counts"
    assert poll(raw_client, code).status_code == status


def test_denied_expired_and_unknown_codes_return_no_login(start_raw_client: Callable[..., Any], clock: Any) -> None:
    raw_client = start_raw_client(approval="deny", clock=clock)
    assert poll(raw_client, create_code(raw_client).json()).json()["error"]["code"] == "access_denied"
    expired = create_code(raw_client).json()
    clock.now += timedelta(minutes=15)
    assert poll(raw_client, expired).status_code == 404
    assert decide(raw_client, expired["user_code"], "approve") == 404
    assert poll(raw_client, {"device_auth_id": "x", "user_code": "y"}).status_code == 404
    assert raw_client.http.post(f"{raw_client.sim.issuer}/api/accounts/deviceauth/usercode", json={}).status_code == 401


def test_device_codes_can_be_disabled(start_raw_client: Callable[..., Any]) -> None:
    assert create_code(start_raw_client(device_login=DeviceLoginSettings(enabled=False))).status_code == 404
