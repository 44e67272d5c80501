"""Test the authentication of requests, and the routes other than the model route."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from codex_backend_sdk.testing import ModelCatalog, SimulatedAccount, SimulatedLimits, SimulatedWindow, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

PATHS = ["/codex/models?client_version=0.169.0", "/wham/usage", "/wham/accounts/check", "/wham/config/bundle"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic eDp5", "Bearer a.b.c"])
def test_request_without_a_valid_token_is_unauthorized(raw_client: Any, path: str, authorization: str | None) -> None:
    headers = {"chatgpt-account-id": raw_client.tokens["account_id"]}
    if authorization is not None:
        headers["authorization"] = authorization
    response = raw_client.http.get(raw_client.sim.chatgpt_url + path, headers=headers)
    assert (response.status_code, response.json()) == (401, {"detail": "Unauthorized"})


def test_expired_token_is_reported_as_expired(start_raw_client: Callable[..., Any], clock: Any) -> None:
    raw_client = start_raw_client(clock=clock, access_token_lifetime=timedelta(minutes=5))
    clock.now += timedelta(minutes=5, seconds=-1)
    assert raw_client.get("/wham/usage").status_code == 200
    clock.now += timedelta(seconds=1)
    response = raw_client.get("/wham/usage")
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


def test_account_is_that_of_the_token_without_the_header(raw_client: Any) -> None:
    del raw_client.headers["chatgpt-account-id"]
    assert raw_client.get("/wham/usage").json()["account_id"] == raw_client.tokens["account_id"]
    assert raw_client.create("hi").status_code == 200
    for other in ("acc-other", ""):
        raw_client.headers["chatgpt-account-id"] = other
        assert raw_client.get("/wham/usage").status_code == 403


@pytest.mark.parametrize("path", PATHS)
def test_account_header_can_be_required(start_raw_client: Callable[..., Any], path: str) -> None:
    raw_client = start_raw_client(account_id_required=True)
    assert raw_client.get(path).status_code != 400
    del raw_client.headers["chatgpt-account-id"]
    response = raw_client.get(path)
    assert (response.status_code, "ChatGPT-Account-ID" in response.json()["detail"]) == (400, True)


def test_models_have_an_etag_and_complete_entries(raw_client: Any) -> None:
    response = raw_client.get("/codex/models", params={"client_version": "0.169.0"})
    models = response.json()["models"]
    assert models[0]["slug"] == "gpt-6.2-sol"
    assert len(models) == 14
    required = {
        "slug", "display_name", "supported_reasoning_levels", "shell_type", "visibility", "supported_in_api",
        "priority", "support_verbosity", "truncation_policy", "experimental_supported_tools", "base_instructions",
    }  # fmt: skip
    assert all(required <= set(model) for model in models)
    assert [model["priority"] for model in models] == sorted(model["priority"] for model in models)
    etag = response.headers["etag"]
    unchanged = raw_client.http.get(
        f"{raw_client.sim.base_url}/models",
        params={"client_version": "0.169.0"},
        headers={**raw_client.headers, "if-none-match": etag},
    )
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    assert raw_client.create("hi").headers["x-models-etag"] == etag


# As in the catalog that is bundled with Codex CLI 0.171.0.
LISTED_MODELS = [
    "gpt-6.2-sol", "gpt-6.2-astra", "gpt-6.1-terra", "gpt-6.1-sol", "gpt-6-astra", "gpt-6-sol", "gpt-6-luna",
    "gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna", "gpt-5.5",
]  # fmt: skip
PLANS_AND_VERSIONS = [
    ("pro", "0.171.0", LISTED_MODELS),
    ("go", "0.166.0", LISTED_MODELS),
    ("pro", "0.165.9", LISTED_MODELS[2:]),
    ("free", "0.171.0", LISTED_MODELS[2:]),
    ("k12", "0.171.0", LISTED_MODELS[2:]),
    ("law", "0.171.0", LISTED_MODELS[:4]),
    ("hc_consumption", "0.171.0", LISTED_MODELS[:3]),
    ("rosalind_academic", "0.171.0", LISTED_MODELS[:2]),
    ("promax", "0.154.0", ["gpt-6.1-terra", "gpt-6.1-sol", "gpt-6-astra", *LISTED_MODELS[7:]]),
    ("pro", "0.143.0", ["gpt-5.5"]),
]


@pytest.mark.parametrize(("plan", "version", "expected"), PLANS_AND_VERSIONS)
def test_models_depend_on_plan_and_version(
    start_raw_client: Callable[..., Any], plan: str, version: str, expected: list[str]
) -> None:
    raw_client = start_raw_client(account=SimulatedAccount(plan=plan))
    models = raw_client.get("/codex/models", params={"client_version": version}).json()["models"]
    assert [model["slug"] for model in models if model["visibility"] == "list"] == expected


def test_model_of_another_plan_is_rejected(start_raw_client: Callable[..., Any]) -> None:
    raw_client = start_raw_client(account=SimulatedAccount(plan="free"))
    detail = raw_client.create("hi", model="gpt-6.2-sol").json()["detail"]
    assert detail == "The 'gpt-6.2-sol' model is not supported when using Codex with a ChatGPT account."
    assert raw_client.create("hi", model="gpt-6.1-terra").status_code == 200


@pytest.mark.parametrize("version", [None, "", "latest", "0.169", "v0.169.0", "0.169.0-alpha"])
def test_models_require_a_numeric_client_version(raw_client: Any, version: str | None) -> None:
    response = raw_client.get("/codex/models", params={} if version is None else {"client_version": version})
    assert response.status_code == 400


def test_new_models_are_hidden_from_old_clients(raw_client: Any) -> None:
    models = raw_client.get("/codex/models", params={"client_version": "0.140.0"}).json()["models"]
    assert [model["slug"] for model in models if model["slug"].startswith("gpt-6")] == []
    assert "gpt-5.5" in [model["slug"] for model in models]


def test_custom_model_catalog_replaces_the_default(start_raw_client: Callable[..., Any]) -> None:
    raw_client = start_raw_client(model_catalog=ModelCatalog.of("alpha", "beta"))
    models = raw_client.get("/codex/models", params={"client_version": "0.169.0"}).json()["models"]
    assert [model["slug"] for model in models] == ["alpha", "beta"]
    assert raw_client.create("hi", model="beta").status_code == 200
    assert raw_client.create("hi").status_code == 400


def test_usage_headers_and_event_agree(start_raw_client: Callable[..., Any], clock: Any) -> None:
    limits = SimulatedLimits(primary=SimulatedWindow(81, minutes=300), has_credits=True)
    clock.now += timedelta(seconds=1)
    raw_client = start_raw_client(account=SimulatedAccount(plan="plus"), clock=clock, limits=limits)
    usage = raw_client.get("/wham/usage").json()
    headers = raw_client.create("hi").headers
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
    event = raw_client.events("hi")[0]
    assert event["rate_limits"]["primary"]["reset_at"] == window["reset_at"]


def test_workspace_origin_is_unconstrained(raw_client: Any) -> None:
    body = raw_client.get("/wham/accounts/check").json()
    (account,) = body["accounts"]
    assert account["id"] == body["default_account_id"] == raw_client.tokens["account_id"]
    assert account["workspace_backend_origin"] == account["account_routing_override"] == "NO_CONSTRAINT"


def test_configuration_bundle_is_empty(raw_client: Any) -> None:
    assert raw_client.get("/wham/config/bundle").json() == {}


@pytest.mark.parametrize("path", ["/", "/backend-api", "/backend-api/codex/responses/compact", "/v1/responses"])
def test_unknown_path_is_not_found(raw_client: Any, path: str) -> None:
    response = raw_client.http.post(raw_client.sim.url + path, headers=raw_client.headers)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
    assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5))])
def test_date_is_that_of_the_clock(zone: timezone) -> None:
    with Simulator(clock=lambda: datetime(2030, 1, 1, 12, tzinfo=zone)) as sim:
        for path in ("/unknown", "/oauth/token", "/backend-api/codex/models"):
            date = httpx2.get(sim.url + path).headers.get_list("date")
            assert [parsedate_to_datetime(value) for value in date] == [datetime(2030, 1, 1, 12, tzinfo=zone)]


def test_turn_state_is_omitted_if_the_client_sends_it(raw_client: Any) -> None:
    turn_state = raw_client.create("hi").headers["x-codex-turn-state"]
    second_response = raw_client.post(raw_client.body("hi"), **{"x-codex-turn-state": turn_state})
    assert "x-codex-turn-state" not in second_response.headers
