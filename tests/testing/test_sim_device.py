"""The issuer's device codes and personal access tokens, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from codex_backend_sdk.testing import DeviceLoginSettings, SimulatedAccount

CLIENT = "app_EMoamEEZ73f0CkXaXp7hrann"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def begin(wire: Any) -> Any:
    return wire.http.post(f"{wire.sim.issuer}/api/accounts/deviceauth/usercode", json={"client_id": CLIENT})


def poll(wire: Any, code: dict[str, Any]) -> Any:
    body = {"device_auth_id": code["device_auth_id"], "user_code": code["user_code"]}
    return wire.http.post(f"{wire.sim.issuer}/api/accounts/deviceauth/token", json=body)


def decide(wire: Any, user_code: str, decision: str) -> int:
    page = wire.http.get(f"{wire.sim.issuer}/codex/device", params={"user_code": user_code, "decision": decision})
    return int(page.status_code)


def test_a_code_is_pending_as_often_as_asked_for_and_then_gives_a_login(start_wire: Callable[..., Any]) -> None:
    wire = start_wire(device_login=DeviceLoginSettings(pending_polls=2, interval_seconds=7))
    code = begin(wire).json()
    assert re.fullmatch(r"[A-Z]{4}-\d{5}", code["user_code"])
    assert code["interval"] == "7", "a string, as from the real issuer"
    assert [poll(wire, code).status_code for _ in range(2)] == [403, 403]
    given = poll(wire, code).json()
    form = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "code": given["authorization_code"],
        "redirect_uri": f"{wire.sim.issuer}/deviceauth/callback",
        "code_verifier": given["code_verifier"],
    }
    tokens = wire.http.post(f"{wire.sim.issuer}/oauth/token", data=form)
    assert tokens.status_code == 200
    assert poll(wire, code).status_code == 404, "the answer is given once"


@pytest.mark.parametrize(("decision", "status"), [("approve", 200), ("deny", 400)])
def test_the_page_decides_where_a_person_is_asked(start_wire: Callable[..., Any], decision: str, status: int) -> None:
    wire = start_wire(approval="manual")
    code = begin(wire).json()
    assert [poll(wire, code).status_code for _ in range(3)] == [403, 403, 403]
    page = wire.http.get(f"{wire.sim.issuer}/codex/device", params={"user_code": '"><b>'})
    assert "<b>" not in page.text
    assert decide(wire, "WXYZ-00000", decision) == 404
    assert decide(wire, f" {code['user_code'].lower()} ", decision) == 200
    assert decide(wire, code["user_code"], "approve") == 200, "the first decision stays"
    assert poll(wire, code).status_code == status


def test_denying_refusing_and_forgetting(start_wire: Callable[..., Any]) -> None:
    clock = Clock()
    wire = start_wire(approval="deny", clock=clock)
    assert poll(wire, begin(wire).json()).json()["error"]["code"] == "access_denied"
    late = begin(wire).json()
    clock.now += timedelta(minutes=15)
    assert poll(wire, late).status_code == 404
    assert decide(wire, late["user_code"], "approve") == 404
    assert poll(wire, {"device_auth_id": "x", "user_code": "y"}).status_code == 404
    assert wire.http.post(f"{wire.sim.issuer}/api/accounts/deviceauth/usercode", json={}).status_code == 401


def test_device_codes_can_be_switched_off(start_wire: Callable[..., Any]) -> None:
    assert begin(start_wire(device_login=DeviceLoginSettings(enabled=False))).status_code == 404


def test_a_personal_access_token_tells_whose_it_is_and_is_good_at_the_backend(start_wire: Callable[..., Any]) -> None:
    wire = start_wire(account=SimulatedAccount(account_id="acc-7", email="ada@example.com", plan="plus"))
    token = wire.sim.personal_access_token()
    assert token.startswith("at-")
    whoami = f"{wire.sim.issuer}/api/accounts/v1/user-auth-credential/whoami"
    assert wire.http.get(whoami, headers={"authorization": f"Bearer {token}"}).json() == {
        "email": "ada@example.com",
        "chatgpt_user_id": "user-simulated",
        "chatgpt_account_id": "acc-7",
        "chatgpt_plan_type": "plus",
        "chatgpt_account_is_fedramp": False,
    }
    headers = {"authorization": f"Bearer {token}", "chatgpt-account-id": "acc-7"}
    assert wire.http.get(f"{wire.sim.chatgpt_url}/wham/usage", headers=headers).status_code == 200
    wire.http.post(f"{wire.sim.issuer}/oauth/revoke", json={"token": token})
    for authorization in (f"Bearer {token}", "Bearer at-unknown", f"Basic {token}"):
        assert wire.http.get(whoami, headers={"authorization": authorization}).status_code == 401


def test_only_an_id_token_that_is_good_is_exchanged_for_an_api_key(start_wire: Callable[..., Any]) -> None:
    clock = Clock()
    wire = start_wire(clock=clock)
    tokens = wire.sim.login_document()["tokens"]

    def exchange(subject: str) -> int:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "client_id": CLIENT,
            "requested_token": "openai-api-key",
            "subject_token": subject,
        }
        return int(wire.http.post(f"{wire.sim.issuer}/oauth/token", data=form).status_code)

    assert [exchange(tokens["id_token"]), exchange(tokens["access_token"]), exchange("x")] == [200, 400, 400]
    clock.now += timedelta(hours=1)
    assert exchange(tokens["id_token"]) == 400
