from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from codex_backend_sdk._errors.classify import AVAILABLE, Kind, classify

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CLOUDFLARE_PAGE = "<!DOCTYPE html><title>Attention Required! | Cloudflare</title>You have been blocked"

CODES = [
    ("usage_limit_reached", Kind.USAGE_LIMIT),
    ("usage_not_included", Kind.USAGE_NOT_INCLUDED),
    ("insufficient_quota", Kind.QUOTA),
    ("credit_balance_exhausted", Kind.QUOTA),
    ("organization_spend_limit_exceeded", Kind.QUOTA),
    ("project_spend_limit_exceeded", Kind.QUOTA),
    ("organization_usage_limit_exceeded", Kind.QUOTA),
    ("flex_unavailable", Kind.FLEX_UNAVAILABLE),
    ("rate_limit_exceeded", Kind.RATE_LIMITED),
    ("server_is_overloaded", Kind.OVERLOADED),
    ("slow_down", Kind.OVERLOADED),
    ("context_length_exceeded", Kind.CONTEXT_LENGTH),
    ("invalid_encrypted_content", Kind.ENCRYPTED_CONTENT),
    ("cyber_policy", Kind.POLICY),
    ("bio_policy", Kind.POLICY),
    ("misalignment_policy_violation", Kind.POLICY),
    ("invalid_prompt", Kind.POLICY),
    ("unsupported_country_region_territory", Kind.REGION),
    ("model_not_found", Kind.MODEL),
    ("model_not_supported", Kind.MODEL),
    ("unsupported_model", Kind.MODEL),
    ("unsupported_parameter", Kind.PARAMETER),
    ("unknown_parameter", Kind.PARAMETER),
    ("unsupported_value", Kind.PARAMETER),
    ("service_tier_not_supported", Kind.PARAMETER),
    ("unsupported_service_tier", Kind.PARAMETER),
    ("reasoning_effort_not_supported", Kind.PARAMETER),
    ("unsupported_reasoning_effort", Kind.PARAMETER),
    ("server_error", None),
    ("no_such_code", None),
]


def kind(status: int | None, body: Any, **headers: str) -> Kind:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify(status, body, named, now=NOW).kind


@pytest.mark.parametrize(("code", "expected"), CODES)
@pytest.mark.parametrize(("status", "otherwise"), [(400, Kind.REFUSED), (429, Kind.RATE_LIMITED), (None, Kind.FAULT)])
@pytest.mark.parametrize("member", ["code", "type"])
def test_the_code_decides_however_the_error_came(
    code: str, expected: Kind | None, status: int | None, otherwise: Kind, member: str
) -> None:
    assert kind(status, {"error": {member: code, "message": "…"}}) is (expected or otherwise)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"detail": "Unsupported parameter: user"}, Kind.PARAMETER),
        (400, {"detail": "Unsupported service_tier: auto"}, Kind.PARAMETER),
        (400, {"detail": "Unsupported tool type: apply_patch"}, Kind.PARAMETER),
        (400, {"error": {"param": "reasoning.effort", "message": "No."}}, Kind.PARAMETER),
        (None, {"error": {"param": "service_tier"}}, Kind.PARAMETER),
        (400, {"detail": "The 'gpt-x' model is not supported when using Codex with a ChatGPT account."}, Kind.MODEL),
        (404, {"error": {"param": "model"}}, Kind.MODEL),
        (400, {"detail": "Store must be set to false"}, Kind.REFUSED),
        (401, {"error": {"code": "usage_limit_reached"}}, Kind.UNAUTHORIZED),
        (402, {}, Kind.REFUSED),
        (403, {}, Kind.REFUSED),
        (403, CLOUDFLARE_PAGE, Kind.CLOUDFLARE),
        (403, "<html>Forbidden</html>", Kind.REFUSED),
        (503, CLOUDFLARE_PAGE, Kind.FAULT),
        (404, "Not Found", Kind.REFUSED),
        (408, None, Kind.FAULT),
        (409, None, Kind.FAULT),
        (413, None, Kind.REFUSED),
        (422, {"detail": [{"loc": ["body"]}]}, Kind.REFUSED),
        (429, None, Kind.RATE_LIMITED),
        (500, None, Kind.FAULT),
        (502, "<html>", Kind.FAULT),
        (None, {"error": {}}, Kind.FAULT),
        (None, None, Kind.FAULT),
    ],
)
def test_words_parameters_and_statuses(status: int | None, body: Any, expected: Kind) -> None:
    assert kind(status, body) is expected


def test_a_challenge_of_cloudflare() -> None:
    failure = classify(403, "", {"cf-mitigated": "challenge", "cf-ray": "abc-FRA"}, now=NOW)
    assert failure.kind is Kind.CLOUDFLARE
    assert "(cf-ray abc-FRA)" in failure.message
    assert "another network" in failure.message


@pytest.mark.parametrize(
    ("headers", "error", "expected"),
    [
        ({"retry-after": "7"}, {}, 7.0),
        ({"retry-after": "0.5"}, {}, 0.5),
        ({"retry-after": "-3"}, {}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30 GMT"}, {}, 90.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, {}, 0.0),
        ({"retry-after": "soon"}, {}, None),
        ({"retry-after": "nan"}, {}, None),
        ({"retry-after": "inf"}, {}, 366 * 86_400.0),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, {}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30"}, {}, None),
        ({"retry-after-ms": "1500"}, {}, 1.5),
        ({"retry-after": "2", "retry-after-ms": "1500"}, {}, 2.0),
        ({}, {"headers": {"Retry-After": 4}}, 4.0),
        ({}, {"headers": "junk"}, None),
        ({}, {"message": "Rate limit reached. Please try again in 11.054s. Visit …"}, 11.054),
        ({}, {"message": "Please try again in 20ms."}, 0.02),
        ({}, {"message": "Try again in 3 seconds"}, 3.0),
        ({}, {"message": "try again in 5 minutes"}, None),
        ({}, {"message": f"try again in {'9' * 400}s"}, 366 * 86_400.0),
        ({}, {"message": 7}, None),
        ({}, {AVAILABLE: 7}, None),
        ({}, {}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], error: dict[str, Any], expected: float | None) -> None:
    failure = classify(429, {"error": {"code": "rate_limit_exceeded", **error}}, headers, now=NOW)
    assert failure.retry_after == expected


@pytest.mark.parametrize(
    ("status", "body", "told", "expected"),
    [
        (500, None, "false", False),
        (400, None, "true", True),
        (429, None, "false", False),
        (500, None, "perhaps", True),
        (429, {"error": {"type": "usage_limit_reached"}}, "true", False),
        (400, {"error": {"code": "context_length_exceeded"}}, "true", False),
    ],
)
def test_the_official_header_counts_where_only_the_status_told(
    status: int, body: Any, told: str, expected: bool
) -> None:
    assert classify(status, body, {"x-should-retry": told}, now=NOW).may_repeat is expected


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"error": {"param": "input[1].x", "code": "unknown_parameter"}}, "input[1].x"),
        ({"detail": "Unsupported parameter: user"}, "user"),
        ({"detail": "Unknown parameter: 'input[1].reasoning_content'."}, "input[1].reasoning_content"),
        ({"detail": "Unsupported service_tier: auto"}, "service_tier"),
        ({"detail": "Unsupported tool type: apply_patch"}, "tools"),
        ({"error": {"code": "unsupported_service_tier"}}, "service_tier"),
        ({"error": {"code": "reasoning_effort_not_supported"}}, "reasoning.effort"),
        ({"detail": "No."}, None),
    ],
)
def test_the_parameter_is_named(body: Any, param: str | None) -> None:
    assert classify(400, body, {}, now=NOW).param == param


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (400, {"error": {"message": "No."}}, {}, "Error code: 400 - No."),
        (400, {}, {}, "Error code: 400"),
        (307, "", {}, "Error code: 307"),
        (
            307,
            "",
            {"location": "http://elsewhere/x?token=1"},
            "Error code: 307 - a redirect to http://elsewhere/x, which is not followed: the login would go along. Is "
            "`base_url` right?",
        ),
        (
            401,
            {"detail": "Unauthorized"},
            {},
            "The backend does not accept the login. `client.authenticate(force=True)` or `codex-backend login` signs "
            "in again. The backend says: Unauthorized",
        ),
        (502, "<html></html>", {}, "Error code: 502"),
        (
            502,
            "<html></html>",
            {"cf-ray": "abc"},
            "Error code: 502 - an HTML page of Cloudflare (cf-ray abc), not an answer of the backend",
        ),
        (None, {"error": {"code": "x", "message": "Oh."}}, {}, "The backend ended the answer: Oh. (code: x)"),
        (None, {"error": {"message": "Oh."}}, {}, "The backend ended the answer: Oh."),
        (None, {"error": {}}, {}, "The backend ended the answer: no reason given"),
        (
            400,
            {"detail": "Unsupported parameter: user"},
            {},
            "The backend refuses `user`, or its value; leave it out or change it. The backend says: Unsupported "
            "parameter: user",
        ),
        (
            429,
            {"error": {"message": "Slower."}},
            {"retry-after": "3"},
            "Too many requests in a short time. It asks to wait for 3 s. The backend says: Slower.",
        ),
        (404, {"error": {"code": "model_not_found", "message": "It has: a.", AVAILABLE: ["a"]}}, {}, "It has: a."),
    ],
)
def test_what_the_message_says(status: int | None, body: Any, headers: dict[str, str], expected: str) -> None:
    assert classify(status, body, headers, now=NOW).message == expected


def test_a_failure_has_what_the_error_object_has() -> None:
    error = {"type": "usage_limit_reached", "plan_type": "plus", "resets_at": 1795360000}
    failure = classify(None, {"error": error}, {}, now=NOW)
    assert (failure.status, failure.code, failure.error) == (429, "usage_limit_reached", error)
    assert failure.limit is not None
    assert failure.message == failure.limit.message
    assert classify(404, "text", {}, now=NOW).error == "text"
    assert classify(400, {"error": {"code": 7}}, {}, now=NOW).code is None
    assert classify(400, {"error": {"code": [], "type": {}, "param": []}}, {}, now=NOW).kind is Kind.REFUSED
    assert classify(400, {"error": {"code": None, "type": []}}, {}, now=NOW).code is None
    assert classify(404, {"error": {AVAILABLE: ["a"]}}, {}, now=NOW).available == ("a",)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(10**400, 366 * 86_400), ("Mon, 1 Jan 2024 00:00:00 +99999999999999999999", None)],
    ids=["a number", "a time zone"],
)
def test_a_time_to_wait_that_makes_no_sense(given: Any, expected: float | None) -> None:
    assert classify(429, {"error": {"headers": {"Retry-After": given}}}, {}, now=NOW).retry_after == expected
    assert classify(429, None, {"retry-after": str(given)}, now=NOW).retry_after == expected


@pytest.mark.parametrize("available", [None, 3, {"a": 1}])
def test_the_member_of_our_own_answer_about_models_may_be_anybodys(available: Any) -> None:
    failure = classify(404, {"error": {"code": "model_not_found", AVAILABLE: available}}, {}, now=NOW)
    assert failure.available is None
    assert failure.message == "This account cannot use the model."


def test_a_message_of_blanks_is_none() -> None:
    failure = classify(404, {"error": {"code": "model_not_found", "message": " ", AVAILABLE: ["m"]}}, {}, now=NOW)
    assert failure.message == "This account cannot use the model."
