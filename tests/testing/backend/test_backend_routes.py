"""Authorization at the backend, and the routes other than model responses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.testing import ModelCatalog, SimulatedAccount, SimulatedLimits, SimulatedWindow

if TYPE_CHECKING:
    from collections.abc import Callable

PATHS = ["/codex/models?client_version=0.169.0", "/wham/usage", "/wham/accounts/check", "/wham/config/bundle"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic eDp5", "Bearer a.b.c"])
def test_request_without_a_valid_token_is_unauthorized(wire: Any, path: str, authorization: str | None) -> None:
    headers = {"chatgpt-account-id": wire.tokens["account_id"]}
    if authorization is not None:
        headers["authorization"] = authorization
    response = wire.http.get(wire.sim.chatgpt_url + path, headers=headers)
    assert (response.status_code, response.json()) == (401, {"detail": "Unauthorized"})


def test_expired_token_is_reported_as_expired(start_wire: Callable[..., Any], clock: Any) -> None:
    wire = start_wire(clock=clock, access_token_lifetime=timedelta(minutes=5))
    clock.now += timedelta(minutes=5, seconds=-1)
    assert wire.get("/wham/usage").status_code == 200
    clock.now += timedelta(seconds=1)
    response = wire.get("/wham/usage")
    assert response.status_code == 401
    assert response.json() == {
        "error": {
            "message": "Provided authentication token is expired. Please try signing in again.",
            "type": None,
            "code": "token_expired",
            "param": None,
        },
        "status": 401,
    }


def test_account_header_is_required_and_must_match_the_token(wire: Any) -> None:
    wire.headers["chatgpt-account-id"] = "acc-other"
    assert wire.get("/wham/usage").status_code == 403
    del wire.headers["chatgpt-account-id"]
    response = wire.get("/wham/usage")
    assert (response.status_code, "ChatGPT-Account-ID" in response.json()["detail"]) == (400, True)


def test_models_have_an_etag_and_complete_entries(wire: Any) -> None:
    response = wire.get("/codex/models", params={"client_version": "0.169.0"})
    models = response.json()["models"]
    assert models[0]["slug"] == "gpt-6.1-sol"
    assert len(models) == 12
    required = {
        "slug", "display_name", "supported_reasoning_levels", "shell_type", "visibility", "supported_in_api",
        "priority", "support_verbosity", "truncation_policy", "experimental_supported_tools", "base_instructions",
    }  # fmt: skip
    assert all(required <= set(model) for model in models)
    assert [m["priority"] for m in models] == sorted(m["priority"] for m in models)
    etag = response.headers["etag"]
    unchanged = wire.http.get(
        f"{wire.sim.base_url}/models",
        params={"client_version": "0.169.0"},
        headers={**wire.headers, "if-none-match": etag},
    )
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    assert wire.create("hi").headers["x-models-etag"] == etag


@pytest.mark.parametrize("version", [None, "", "latest", "0.169", "v0.169.0", "0.169.0-alpha"])
def test_models_require_a_numeric_client_version(wire: Any, version: str | None) -> None:
    response = wire.get("/codex/models", params={} if version is None else {"client_version": version})
    assert response.status_code == 400


def test_new_models_are_hidden_from_old_clients(wire: Any) -> None:
    models = wire.get("/codex/models", params={"client_version": "0.140.0"}).json()["models"]
    assert [m["slug"] for m in models if m["slug"].startswith("gpt-6")] == []
    assert "gpt-5.5" in [m["slug"] for m in models]


def test_custom_model_catalog(start_wire: Callable[..., Any]) -> None:
    wire = start_wire(model_catalog=ModelCatalog.of("alpha", "beta"))
    models = wire.get("/codex/models", params={"client_version": "0.169.0"}).json()["models"]
    assert [model["slug"] for model in models] == ["alpha", "beta"]
    assert wire.create("hi", model="beta").status_code == 200
    assert wire.create("hi").status_code == 400


def test_usage_headers_and_event_agree(start_wire: Callable[..., Any], clock: Any) -> None:
    limits = SimulatedLimits(primary=SimulatedWindow(81, minutes=300), has_credits=True)
    clock.now += timedelta(seconds=1)
    wire = start_wire(account=SimulatedAccount(plan="plus"), clock=clock, limits=limits)
    usage = wire.get("/wham/usage").json()
    headers = wire.create("hi").headers
    window = usage["rate_limit"]["primary_window"]
    assert usage["plan_type"] == "plus"
    assert (window["used_percent"], window["limit_window_seconds"]) == (81, 18000)
    assert window["reset_at"] == int(clock.now.timestamp()) + window["reset_after_seconds"]
    assert 0 < window["reset_after_seconds"] <= 18000
    assert headers["x-codex-primary-used-percent"] == "81.0"
    assert headers["x-codex-primary-reset-at"] == str(window["reset_at"])
    assert headers["x-codex-secondary-window-minutes"] == "10080"
    assert headers["x-codex-credits-has-credits"] == "true"
    assert headers["openai-model"] == "gpt-6.1-sol"
    event = wire.events("hi")[0]
    assert event["rate_limits"]["primary"]["reset_at"] == window["reset_at"]


def test_workspaces_have_no_other_origin(wire: Any) -> None:
    body = wire.get("/wham/accounts/check").json()
    (account,) = body["accounts"]
    assert account["id"] == body["default_account_id"] == wire.tokens["account_id"]
    assert account["workspace_backend_origin"] == account["account_routing_override"] == "NO_CONSTRAINT"


def test_configuration_bundle_is_empty(wire: Any) -> None:
    assert wire.get("/wham/config/bundle").json() == {}


@pytest.mark.parametrize("path", ["/", "/backend-api", "/backend-api/codex/responses/compact", "/v1/responses"])
def test_unknown_path_is_not_found(wire: Any, path: str) -> None:
    response = wire.http.post(wire.sim.url + path, headers=wire.headers)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
    assert response.headers["x-request-id"].startswith("req_")


def test_websocket_upgrade_is_rejected(wire: Any) -> None:
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    response = wire.http.get(f"{wire.sim.base_url}/responses", headers={**wire.headers, **upgrade})
    assert response.status_code == 426


def test_turn_state_is_sent_once_in_a_turn(wire: Any) -> None:
    turn_state = wire.create("hi").headers["x-codex-turn-state"]
    following = wire.post(wire.body("hi"), **{"x-codex-turn-state": turn_state})
    assert "x-codex-turn-state" not in following.headers
