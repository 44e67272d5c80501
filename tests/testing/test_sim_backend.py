"""Who may ask, and what the routes besides the model answer give."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from codex_backend_sdk.testing import ModelCatalog, SimulatedAccount
from codex_backend_sdk.testing.backend.simulated_limits import SimulatedLimits, SimulatedWindow

PATHS = ["/codex/models?client_version=0.169.0", "/wham/usage", "/wham/accounts/check", "/wham/config/bundle"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic eDp5", "Bearer a.b.c"])
def test_a_caller_without_a_good_token_is_unauthorized(wire: Any, path: str, authorization: str | None) -> None:
    headers = {"chatgpt-account-id": wire.tokens["account_id"]}
    if authorization is not None:
        headers["authorization"] = authorization
    answer = wire.http.get(wire.sim.chatgpt_url + path, headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Unauthorized"})


def test_an_expired_token_says_so(start_wire: Callable[..., Any]) -> None:
    now = [datetime(2026, 11, 22, tzinfo=UTC)]
    wire = start_wire(clock=lambda: now[0], access_token_lifetime=timedelta(minutes=5))
    now[0] += timedelta(minutes=5, seconds=-1)
    assert wire.get("/wham/usage").status_code == 200
    now[0] += timedelta(seconds=1)
    answer = wire.get("/wham/usage")
    assert answer.status_code == 401
    assert answer.json() == {
        "error": {
            "message": "Provided authentication token is expired. Please try signing in again.",
            "type": None,
            "code": "token_expired",
            "param": None,
        },
        "status": 401,
    }


def test_the_account_has_to_be_named_and_to_be_the_tokens_own(wire: Any) -> None:
    wire.headers["chatgpt-account-id"] = "acc-other"
    assert wire.get("/wham/usage").status_code == 403
    del wire.headers["chatgpt-account-id"]
    answer = wire.get("/wham/usage")
    assert (answer.status_code, "ChatGPT-Account-ID" in answer.json()["detail"]) == (400, True)


def test_models_have_an_etag_and_are_complete_entries(wire: Any) -> None:
    answer = wire.get("/codex/models", params={"client_version": "0.169.0"})
    models = answer.json()["models"]
    assert models[0]["slug"] == "gpt-6.1-sol"
    assert len(models) == 12
    required = {
        "slug", "display_name", "supported_reasoning_levels", "shell_type", "visibility", "supported_in_api",
        "priority", "support_verbosity", "truncation_policy", "experimental_supported_tools", "base_instructions",
    }  # fmt: skip
    assert all(required <= set(model) for model in models)
    assert [m["priority"] for m in models] == sorted(m["priority"] for m in models)
    etag = answer.headers["etag"]
    again = wire.http.get(
        f"{wire.sim.base_url}/models",
        params={"client_version": "0.169.0"},
        headers={**wire.headers, "if-none-match": etag},
    )
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert wire.ask("hi").headers["x-models-etag"] == etag


@pytest.mark.parametrize("version", [None, "", "latest", "0.169", "v0.169.0", "0.169.0-alpha"])
def test_models_need_a_numeric_client_version(wire: Any, version: str | None) -> None:
    answer = wire.get("/codex/models", params={} if version is None else {"client_version": version})
    assert answer.status_code == 400


def test_an_old_client_is_not_shown_new_models(wire: Any) -> None:
    models = wire.get("/codex/models", params={"client_version": "0.140.0"}).json()["models"]
    assert [m["slug"] for m in models if m["slug"].startswith("gpt-6")] == []
    assert "gpt-5.5" in [m["slug"] for m in models]


def test_a_catalogue_of_ones_own(start_wire: Callable[..., Any]) -> None:
    wire = start_wire(model_catalog=ModelCatalog.of("alpha", "beta"))
    models = wire.get("/codex/models", params={"client_version": "0.169.0"}).json()["models"]
    assert [model["slug"] for model in models] == ["alpha", "beta"]
    assert wire.ask("hi", model="beta").status_code == 200
    assert wire.ask("hi").status_code == 400


def test_usage_and_the_headers_of_an_answer_tell_the_same(start_wire: Callable[..., Any]) -> None:
    now = datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)
    wire = start_wire(
        account=SimulatedAccount(plan="plus"),
        clock=lambda: now,
        limits=SimulatedLimits(primary=SimulatedWindow(81, minutes=300), has_credits=True),
    )
    usage = wire.get("/wham/usage").json()
    answer = wire.ask("hi")
    window = usage["rate_limit"]["primary_window"]
    assert usage["plan_type"] == "plus"
    assert (window["used_percent"], window["limit_window_seconds"]) == (81, 18000)
    assert window["reset_at"] == int(now.timestamp()) + window["reset_after_seconds"]
    assert 0 < window["reset_after_seconds"] <= 18000
    assert answer.headers["x-codex-primary-used-percent"] == "81.0"
    assert answer.headers["x-codex-primary-reset-at"] == str(window["reset_at"])
    assert answer.headers["x-codex-secondary-window-minutes"] == "10080"
    assert answer.headers["x-codex-credits-has-credits"] == "true"
    assert answer.headers["openai-model"] == "gpt-6.1-sol"
    event = wire.events("hi")[0]
    assert event["rate_limits"]["primary"]["reset_at"] == window["reset_at"]


def test_the_account_list_keeps_the_caller_on_this_machine(wire: Any) -> None:
    answer = wire.get("/wham/accounts/check").json()
    (account,) = answer["accounts"]
    assert account["id"] == answer["default_account_id"] == wire.tokens["account_id"]
    assert account["workspace_backend_origin"] == account["account_routing_override"] == "NO_CONSTRAINT"


def test_the_configuration_bundle_is_empty(wire: Any) -> None:
    assert wire.get("/wham/config/bundle").json() == {}


@pytest.mark.parametrize("path", ["/", "/backend-api", "/backend-api/codex/responses/compact", "/v1/responses"])
def test_any_other_path_is_not_found(wire: Any, path: str) -> None:
    answer = wire.http.post(wire.sim.url + path, headers=wire.headers)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    assert answer.headers["x-request-id"].startswith("req_")


def test_a_websocket_is_told_to_use_http(wire: Any) -> None:
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    answer = wire.http.get(f"{wire.sim.base_url}/responses", headers={**wire.headers, **upgrade})
    assert answer.status_code == 426


def test_the_turn_state_is_given_once_in_a_turn(wire: Any) -> None:
    given = wire.ask("hi").headers["x-codex-turn-state"]
    request = {"model": "gpt-5.5", "store": False, "stream": True, "input": [{"role": "user", "content": "hi"}]}
    assert "x-codex-turn-state" not in wire.post(request, **{"x-codex-turn-state": given}).headers
