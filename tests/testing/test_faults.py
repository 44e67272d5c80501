"""Every named fault, asked for by a header: what a client gets to see."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from codex_backend_sdk.testing.faults.fault_catalogue import FAULTS
from codex_backend_sdk.testing.faults.fault_syntax import planned
from codex_backend_sdk.testing.replies.sentences import POLICY_CODES, QUOTA_CODES, UNSUPPORTED_CODES

# What the client makes of an answer that is none.
BROKEN = 0


def seen(wire: Any, fault: str) -> tuple[int, Any]:
    """Ask with this fault; return the status and the JSON, the events or the text."""
    try:
        answer = wire.post(wire.body("Say one two three"), **{"x-simulator-fault": fault})
    except httpx2.TransportError as error:
        return BROKEN, type(error).__name__
    if "event-stream" in answer.headers.get("content-type", ""):
        return answer.status_code, answer.text
    return answer.status_code, answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


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
def test_refusals_of_the_backend_itself(wire: Any, fault: str, text: str) -> None:
    assert seen(wire, fault) == (400, {"detail": text})


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
    ("schema_not_closed", 400, "invalid_function_parameters"),
    ("rate_limited", 429, "rate_limit_exceeded"),
    ("overloaded", 503, "server_is_overloaded"),
    ("slow_down", 503, "slow_down"),
    ("region_not_supported", 403, "unsupported_country_region_territory"),
    ("unauthorized:token_expired", 401, "token_expired"),
    ("unauthorized:token_revoked", 401, "token_revoked"),
    ("unauthorized:token_invalidated", 401, "token_invalidated"),
]


@pytest.mark.parametrize(("fault", "status", "code"), CODES)
def test_refusals_with_a_code(wire: Any, fault: str, status: int, code: str) -> None:
    got, body = seen(wire, fault)
    assert (got, body["error"]["code"]) == (status, code)
    assert len(body["error"]["message"]) > 10


def test_the_image_and_the_parameter_are_told_by_what_the_client_looks_for(wire: Any) -> None:
    assert "does not represent a valid image" in seen(wire, "invalid_image")[1]["error"]["message"]
    assert seen(wire, "unsupported_effort")[1]["error"]["param"] == "reasoning.effort"
    assert seen(wire, "unknown_parameter:input[0].x")[1]["error"]["param"] == "input[0].x"


@pytest.mark.parametrize("status", [402, 403, 404, 413, 422, 500, 502, 503, 520])
def test_any_status(wire: Any, status: int) -> None:
    assert seen(wire, f"status:{status}")[0] == status


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_that_has_no_body(wire: Any, status: int, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        answer = wire.post(wire.body("hi"), **{"x-simulator-fault": f"status:{status}"})
        assert (answer.status_code, answer.content) == (status, b"")
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_other_statuses(wire: Any) -> None:
    assert seen(wire, "unauthorized") == (401, {"detail": "Unauthorized"})
    assert seen(wire, "upgrade_required") == (426, {"detail": "Upgrade Required"})
    for kind in ("challenge", "blocked"):
        answer = wire.post(wire.body("hi"), **{"x-simulator-fault": f"cloudflare:{kind}"})
        assert (answer.status_code, answer.headers.get("cf-mitigated")) == (
            403,
            "challenge" if kind != "blocked" else None,
        )
        assert "cf-ray" in answer.headers
        assert "<html" in answer.text
    assert {"Cloudflare", "blocked"} <= set(re.findall(r"\w+", answer.text))


def test_retry_after_is_a_header(wire: Any) -> None:
    for fault in ("rate_limited:7", "slow_down:7"):
        assert wire.post(wire.body("hi"), **{"x-simulator-fault": fault}).headers["retry-after"] == "7"
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    assert wire.post(wire.body("hi"), **{"x-simulator-fault": f"rate_limited:{date}"}).headers["retry-after"] == date


REACHED = (
    "rate_limit_reached",
    "workspace_owner_credits_depleted",
    "workspace_member_credits_depleted",
    "workspace_owner_usage_limit_reached",
    "workspace_member_usage_limit_reached",
)


def test_the_limits_of_plans(start_wire: Any) -> None:
    moment = datetime(2026, 11, 22, 12, tzinfo=UTC)
    wire = start_wire(clock=lambda: moment)

    def limit(fault: str) -> tuple[dict[str, Any], dict[str, str]]:
        answer = wire.post(wire.body("hi"), **{"x-simulator-fault": fault})
        assert answer.status_code == 429
        assert answer.json()["error"]["type"].startswith("usage_")
        found = {n.removeprefix("x-codex-"): v for n, v in answer.headers.items() if n.startswith("x-codex-")}
        return answer.json()["error"], found

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
    for reached in REACHED:
        assert limit(f"usage_limit_workspace:{reached}")[1]["rate-limit-reached-type"] == reached
    assert limit("usage_limit_promo:Add more")[1]["promo-message"] == "Add more"
    headers = limit("usage_limit_model:GPT-X")[1]
    assert (headers["active-limit"], headers["bengalfox-limit-name"]) == ("codex_bengalfox", "GPT-X")
    assert limit("usage_not_included")[0]["type"] == "usage_not_included"


def last(wire: Any, fault: str) -> dict[str, Any]:
    status, text = seen(wire, fault)
    assert status == 200
    event: dict[str, Any] = json.loads(text.strip().rpartition("data: ")[2])
    return event


ANY_CODES = [
    *QUOTA_CODES,
    *POLICY_CODES,
    *UNSUPPORTED_CODES,
    "rate_limit_exceeded",
    "slow_down",
    "server_is_overloaded",
]
ANY_CODES += ["context_length_exceeded", "usage_not_included", "usage_limit_reached", "server_error", "unknown_code"]


@pytest.mark.parametrize("code", ANY_CODES)
def test_every_code_can_come_inside_a_stream(wire: Any, code: str) -> None:
    failed, event = last(wire, f"failed:{code}"), last(wire, f"error_event:{code}")
    assert (failed["type"], failed["response"]["error"]["code"]) == ("response.failed", code)
    assert (event["type"], event["error"]["code"]) == ("error", code)
    assert failed["response"]["error"]["message"] == event["error"]["message"] != ""


def test_other_ends_of_a_stream(wire: Any) -> None:
    assert last(wire, "failed_without_error")["response"]["error"] is None
    assert last(wire, "failed_param:service_tier")["response"]["error"]["param"] == "service_tier"
    assert last(wire, "failed_retry_after:9")["response"]["error"]["headers"] == {"Retry-After": "9"}
    assert "try again in 20ms." in last(wire, "failed_try_again:20ms")["response"]["error"]["message"]
    for reason in ("content_filter", "interrupted", "max_output_tokens", "else"):
        response = last(wire, f"incomplete:{reason},Half, and no more")["response"]
        assert response["incomplete_details"] == {"reason": reason}
    for fault in ("failed:server_error,Half", "error_event:server_error,Half", "incomplete:else,Half"):
        assert '"delta":"Half"' in seen(wire, fault)[1]


def test_the_connection_fails(wire: Any) -> None:
    assert seen(wire, "reset") == (BROKEN, "ReadError")
    assert seen(wire, "reset:100")[0] == BROKEN
    assert seen(wire, "not_http") == (BROKEN, "RemoteProtocolError")
    assert seen(wire, "cut_after_bytes:100") == (BROKEN, "RemoteProtocolError")
    assert seen(wire, "cut_after_events:2") == (BROKEN, "RemoteProtocolError")
    assert wire.text("Say still there") == "still there"


def test_what_is_no_stream(wire: Any) -> None:
    assert seen(wire, "empty") == (200, "")
    assert seen(wire, "html")[1].startswith("<!doctype html>")
    assert seen(wire, "content_type:text/plain")[1].startswith("event: codex.rate_limits")
    assert "response.completed" not in seen(wire, "ended_after_events:3")[1]


def test_a_redirect_goes_to_another_host_which_is_this_machine(wire: Any) -> None:
    answer = wire.post(wire.body("hi"), **{"x-simulator-fault": "redirect"})
    assert (answer.status_code, answer.headers["location"]) == (
        307,
        wire.sim.base_url.replace("127.0.0.1", "localhost") + "/responses",
    )


EXAMPLES = {
    "header": "header:x-a,b",
    "redirect": "redirect:http://127.0.0.1:1/",
    "stalled": "stalled:2,0.01",
    "delayed": "delayed:0.01",
    "kept_alive": "kept_alive:0.05",
    "byte_by_byte": "failed+byte_by_byte",
    "throttled": "failed+throttled:500,0.001",
}


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.place == "responses"])
def test_every_fault_of_a_model_answer_can_be_had_by_its_name(wire: Any, name: str) -> None:
    """And leaves the simulator in order: a failure of its own would be a 500 that says so."""
    status, said = seen(wire, EXAMPLES.get(name, name))
    assert "The simulator's scripted turn failed" not in str(said)
    assert status != 500 or name == "status"
    # On a connection of its own: bytes behind an answer spoil the next one on theirs.
    assert httpx2.get(wire.sim.url, trust_env=False, verify=False).status_code == 404


def test_the_names_say_what_they_do_and_are_read_without_arguments() -> None:
    for name, fault in FAULTS.items():
        assert planned(name).times is None
        assert fault.says
        assert re.fullmatch(r"[a-z_]+", name)
        assert fault.usage.startswith(name)
