"""Test the response of every fault of the catalog. A request header selects the fault."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from codex_backend_sdk.testing.faults.fault_catalog import FAULTS
from codex_backend_sdk.testing.replies.messages import POLICY_CODES, QUOTA_CODES, UNSUPPORTED_CODES

# The status if the client raises a transport error instead.
NO_STATUS = 0


def post(raw_client: Any, fault: str) -> httpx2.Response:
    response: httpx2.Response = raw_client.post(raw_client.body("Say one two three"), **{"x-simulator-fault": fault})
    return response


def result(raw_client: Any, fault: str) -> tuple[int, Any]:
    """Return the status and the JSON or text, or NO_STATUS and the name of the error."""
    try:
        response = post(raw_client, fault)
    except httpx2.TransportError as error:
        return NO_STATUS, type(error).__name__
    is_json = "json" in response.headers.get("content-type", "")
    return response.status_code, response.json() if is_json else response.text


DETAILS = {
    "store_not_false": "Store must be set to false",
    "stream_not_true": "Stream must be set to true",
    "instructions_required": "Instructions are required",
    "instructions_not_valid": "Instructions are not valid",
    "input_not_list": "Input must be a list",
    "system_message": "System messages are not allowed",
    "unsupported_parameter:top_p": "Unsupported parameter: top_p",
    "unsupported_tier": "Unsupported service_tier: auto",
    "unsupported_tool_type": "Unsupported tool type: apply_patch",
    "unsupported_model_detail:gpt-y": "The 'gpt-y' model is not supported when using Codex with a ChatGPT account.",
    "lite_parallel_tool_calls": "X-OpenAI-Internal-Codex-Responses-Lite requires parallel_tool_calls to be false.",
    "account_id_missing": "The header ChatGPT-Account-ID is required",
    "bad_request:No, not that": "No, not that",
}


@pytest.mark.parametrize(("fault", "text"), DETAILS.items())
def test_detail_fault_returns_its_text(raw_client: Any, fault: str, text: str) -> None:
    assert result(raw_client, fault) == (400, {"detail": text})


# (fault, status, code)
CODES = [
    *((code, 429, code) for code in (*QUOTA_CODES, "flex_unavailable")),
    *((code, 400, code) for code in POLICY_CODES),
    ("misalignment_policy_violation:403", 403, "misalignment_policy_violation"),
    *((code, 404 if code == "model_not_found" else 400, code) for code in UNSUPPORTED_CODES),
    ("context_length_exceeded", 400, "context_length_exceeded"),
    ("invalid_encrypted_content", 400, "invalid_encrypted_content"),
    ("invalid_image", 400, "invalid_image"),
    ("unsupported_effort", 400, "unsupported_value"),
    ("unknown_parameter", 400, "unknown_parameter"),
    ("invalid_function_parameters", 400, "invalid_function_parameters"),
    ("rate_limited", 429, "rate_limit_exceeded"),
    ("overloaded", 503, "server_is_overloaded"),
    ("slow_down", 503, "slow_down"),
    ("region_not_supported", 403, "unsupported_country_region_territory"),
    ("unauthorized:token_expired", 401, "token_expired"),
    ("unauthorized:token_revoked", 401, "token_revoked"),
    ("unauthorized:token_invalidated", 401, "token_invalidated"),
]


@pytest.mark.parametrize(("fault", "status", "code"), CODES)
def test_api_error_fault_returns_its_code(raw_client: Any, fault: str, status: int, code: str) -> None:
    actual_status, body = result(raw_client, fault)
    assert (actual_status, body["error"]["code"]) == (status, code)
    assert len(body["error"]["message"]) > 10


def test_errors_have_the_details_that_clients_read(raw_client: Any) -> None:
    assert "does not represent a valid image" in result(raw_client, "invalid_image")[1]["error"]["message"]
    assert result(raw_client, "unsupported_effort")[1]["error"]["param"] == "reasoning.effort"
    assert result(raw_client, "unknown_parameter:input[0].x")[1]["error"]["param"] == "input[0].x"
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    for fault, retry_after in (("rate_limited:7", "7"), ("slow_down:7", "7"), (f"rate_limited:{date}", date)):
        assert post(raw_client, fault).headers["retry-after"] == retry_after


@pytest.mark.parametrize("status", [402, 403, 404, 413, 422, 500, 502, 503, 520])
def test_status_fault_returns_its_status(raw_client: Any, status: int) -> None:
    assert result(raw_client, f"status:{status}")[0] == status


@pytest.mark.parametrize("status", [204, 304])
def test_status_without_a_body_has_no_content(raw_client: Any, status: int, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        response = post(raw_client, f"status:{status}")
        assert (response.status_code, response.content) == (status, b"")
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_faults_without_a_code_return_their_status(raw_client: Any) -> None:
    assert result(raw_client, "unauthorized") == (401, {"detail": "Unauthorized"})
    assert result(raw_client, "upgrade_required@responses") == (426, {"detail": "Upgrade Required"})
    redirect = post(raw_client, "redirect")
    assert redirect.status_code == 307
    assert redirect.headers["location"] == raw_client.sim.base_url.replace("127.0.0.1", "localhost") + "/responses"


@pytest.mark.parametrize(("page", "mitigated"), [("challenge", "challenge"), ("blocked", None)])
def test_cloudflare_sends_a_page(raw_client: Any, page: str, mitigated: str | None) -> None:
    response = post(raw_client, f"cloudflare:{page}")
    assert (response.status_code, response.headers.get("cf-mitigated")) == (403, mitigated)
    assert "cf-ray" in response.headers
    assert ("Just a moment" if mitigated else "you have been blocked") in response.text


WORKSPACE_LIMITS = (
    "rate_limit_reached",
    "workspace_owner_credits_depleted",
    "workspace_member_credits_depleted",
    "workspace_owner_usage_limit_reached",
    "workspace_member_usage_limit_reached",
)


def test_usage_limit_faults_set_body_and_headers(start_raw_client: Any) -> None:
    moment = datetime(2026, 11, 22, 12, tzinfo=UTC)
    raw_client = start_raw_client(clock=lambda: moment)

    def limit(fault: str) -> tuple[dict[str, Any], dict[str, str]]:
        response = post(raw_client, fault)
        assert response.status_code == 429
        assert response.json()["error"]["type"].startswith("usage_")
        headers = {n.removeprefix("x-codex-"): v for n, v in response.headers.items() if n.startswith("x-codex-")}
        return response.json()["error"], headers

    now = int(moment.timestamp())
    error, headers = limit("usage_limit:plus,60")
    assert (error["plan_type"], error["resets_at"], error["resets_in_seconds"]) == ("plus", now + 60, 60)
    assert (error["limit_window_minutes"], headers["active-limit"]) == (300, "codex")
    assert headers["primary-used-percent"] == "100.0"
    assert headers["primary-reset-at"] == str(now + 60)
    assert limit("usage_limit")[0]["plan_type"] == "pro"
    assert limit("usage_limit_week")[0]["limit_window_minutes"] == 10080
    error, headers = limit("usage_limit_no_reset:free")
    assert (error["plan_type"], error["resets_at"], "primary-reset-at" in headers) == ("free", None, False)
    for reached in WORKSPACE_LIMITS:
        assert limit(f"usage_limit_workspace:{reached}")[1]["rate-limit-reached-type"] == reached
    assert limit("usage_limit_promo:Add more")[1]["promo-message"] == "Add more"
    headers = limit("usage_limit_model:GPT-X")[1]
    assert (headers["active-limit"], headers["bengalfox-limit-name"]) == ("codex_bengalfox", "GPT-X")
    assert limit("usage_not_included")[0]["type"] == "usage_not_included"


def last_event(raw_client: Any, fault: str) -> dict[str, Any]:
    status, text = result(raw_client, fault)
    assert status == 200
    event: dict[str, Any] = json.loads(text.strip().rpartition("data: ")[2])
    return event


STREAM_CODES = [
    *QUOTA_CODES,
    *POLICY_CODES,
    *UNSUPPORTED_CODES,
    "rate_limit_exceeded",
    "slow_down",
    "server_is_overloaded",
    "context_length_exceeded",
    "usage_not_included",
    "usage_limit_reached",
    "server_error",
    "unknown_code",
]


@pytest.mark.parametrize("code", STREAM_CODES)
def test_every_code_can_end_a_stream(raw_client: Any, code: str) -> None:
    failed, event = last_event(raw_client, f"failed:{code}"), last_event(raw_client, f"error_event:{code}")
    assert (failed["type"], failed["response"]["error"]["code"]) == ("response.failed", code)
    assert (event["type"], event["error"]["code"]) == ("error", code)
    assert failed["response"]["error"]["message"] == event["error"]["message"] != ""


def test_terminal_event_has_the_arguments_of_the_fault(raw_client: Any) -> None:
    assert last_event(raw_client, "failed_without_error")["response"]["error"] is None
    assert last_event(raw_client, "failed_param:service_tier")["response"]["error"]["param"] == "service_tier"
    assert last_event(raw_client, "failed_retry_after:9")["response"]["error"]["headers"] == {"Retry-After": "9"}
    assert "try again in 20ms." in last_event(raw_client, "failed_try_again:20ms")["response"]["error"]["message"]
    for reason in ("content_filter", "interrupted", "max_output_tokens", "else"):
        response = last_event(raw_client, f"incomplete:{reason},Half, and no more")["response"]
        assert response["incomplete_details"] == {"reason": reason}
    for fault in ("failed:server_error,Half", "error_event:server_error,Half", "incomplete:else,Half"):
        assert '"delta":"Half"' in result(raw_client, fault)[1]
    assert "response.completed" not in result(raw_client, "clean_end_after_events:3")[1]


def test_connection_faults_raise_transport_errors(raw_client: Any) -> None:
    assert result(raw_client, "reset") == (NO_STATUS, "ReadError")
    assert result(raw_client, "reset:100")[0] == NO_STATUS
    assert result(raw_client, "not_http") == (NO_STATUS, "RemoteProtocolError")
    assert result(raw_client, "cut_after_bytes:100") == (NO_STATUS, "RemoteProtocolError")
    assert result(raw_client, "cut_after_events:2") == (NO_STATUS, "RemoteProtocolError")
    assert raw_client.text("Say still there") == "still there"


def test_faults_return_other_content_types(raw_client: Any) -> None:
    assert result(raw_client, "empty") == (200, "")
    assert result(raw_client, "html")[1].startswith("<!doctype html>")
    assert result(raw_client, "content_type:text/plain")[1].startswith("event: codex.rate_limits")


# Arguments for faults that are slow with their default arguments.
FASTER_ARGUMENTS = {
    "header": "header:x-a,b",
    "redirect": "redirect:http://127.0.0.1:1/",
    "stalled": "stalled:2,0.01",
    "delayed": "delayed:0.01",
    "keepalives": "keepalives:0.05",
    "byte_by_byte": "failed+byte_by_byte",
    "throttled": "failed+throttled:500,0.001",
}


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.route == "responses"])
def test_every_fault_works_by_name(raw_client: Any, name: str) -> None:
    status, body = result(raw_client, FASTER_ARGUMENTS.get(name, name))
    # An error of the simulator itself is a 500 with this message.
    assert "The simulator's scripted turn failed" not in str(body)
    assert status != 500 or name == "status"
    # On a new connection: `bytes_after_response` makes the old one unusable.
    assert httpx2.get(raw_client.sim.url, trust_env=False, verify=False).status_code == 404


def test_every_fault_has_a_name_and_a_description() -> None:
    for name, fault in FAULTS.items():
        assert re.fullmatch(r"[a-z_]+", name)
        assert fault.syntax.startswith(name)
        assert fault.description
