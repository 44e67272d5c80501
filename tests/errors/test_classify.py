"""Test the classification of errors: kind, `Retry-After`, parameter, and message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from codex_backend_sdk._errors.classify import AVAILABLE_MODELS_MEMBER, FailureKind, classify

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CLOUDFLARE_PAGE = "<!DOCTYPE html><title>Attention Required! | Cloudflare</title>You have been blocked"

NOT_FOUND = (
    "Not Found. If other calls fail as well, correct `base_url` (CODEX_BASE_URL): the path of the backend ends in "
    "`/backend-api/codex`."
)
ENDED_WITH_ERROR = "The backend ended the response with an error. Send the request again."
MODEL_NOT_AVAILABLE = "This account cannot use the model. List the available models with `client.models.list()`."

CODES = [
    ("usage_limit_reached", FailureKind.USAGE_LIMIT),
    ("usage_not_included", FailureKind.USAGE_NOT_INCLUDED),
    ("insufficient_quota", FailureKind.QUOTA_EXCEEDED),
    ("credit_balance_exhausted", FailureKind.QUOTA_EXCEEDED),
    ("organization_spend_limit_exceeded", FailureKind.QUOTA_EXCEEDED),
    ("project_spend_limit_exceeded", FailureKind.QUOTA_EXCEEDED),
    ("organization_usage_limit_exceeded", FailureKind.QUOTA_EXCEEDED),
    ("flex_unavailable", FailureKind.FLEX_UNAVAILABLE),
    ("rate_limit_exceeded", FailureKind.TOO_MANY_REQUESTS),
    ("server_is_overloaded", FailureKind.OVERLOADED),
    ("slow_down", FailureKind.OVERLOADED),
    ("context_length_exceeded", FailureKind.CONTEXT_LENGTH),
    ("invalid_encrypted_content", FailureKind.ENCRYPTED_CONTENT),
    ("cyber_policy", FailureKind.POLICY_VIOLATION),
    ("bio_policy", FailureKind.POLICY_VIOLATION),
    ("misalignment_policy_violation", FailureKind.POLICY_VIOLATION),
    ("invalid_prompt", FailureKind.POLICY_VIOLATION),
    ("unsupported_country_region_territory", FailureKind.REGION_NOT_SUPPORTED),
    ("model_not_found", FailureKind.MODEL_NOT_AVAILABLE),
    ("model_not_supported", FailureKind.MODEL_NOT_AVAILABLE),
    ("unsupported_model", FailureKind.MODEL_NOT_AVAILABLE),
    ("unsupported_parameter", FailureKind.UNSUPPORTED_PARAMETER),
    ("unknown_parameter", FailureKind.UNSUPPORTED_PARAMETER),
    ("unsupported_value", FailureKind.UNSUPPORTED_PARAMETER),
    ("service_tier_not_supported", FailureKind.UNSUPPORTED_PARAMETER),
    ("unsupported_service_tier", FailureKind.UNSUPPORTED_PARAMETER),
    ("reasoning_effort_not_supported", FailureKind.UNSUPPORTED_PARAMETER),
    ("unsupported_reasoning_effort", FailureKind.UNSUPPORTED_PARAMETER),
    ("server_error", None),
    ("no_such_code", None),
]


def failure_kind(status: int | None, body: Any, headers: dict[str, str] | None = None) -> FailureKind:
    return classify(status, body, headers or {}, now=NOW).kind


@pytest.mark.parametrize(("code", "expected"), CODES)
@pytest.mark.parametrize(
    ("status", "kind_by_status"),
    [(400, FailureKind.CLIENT_ERROR), (429, FailureKind.TOO_MANY_REQUESTS), (None, FailureKind.SERVER_ERROR)],
)
@pytest.mark.parametrize("member", ["code", "type"])
def test_code_determines_the_kind(
    code: str, expected: FailureKind | None, status: int | None, kind_by_status: FailureKind, member: str
) -> None:
    assert failure_kind(status, {"error": {member: code, "message": "…"}}) is (expected or kind_by_status)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"detail": "Unsupported parameter: user"}, FailureKind.UNSUPPORTED_PARAMETER),
        (400, {"detail": "Unsupported service_tier: auto"}, FailureKind.UNSUPPORTED_PARAMETER),
        (400, {"detail": "Unsupported tool type: apply_patch"}, FailureKind.UNSUPPORTED_PARAMETER),
        (400, {"error": {"param": "reasoning.effort", "message": "No."}}, FailureKind.UNSUPPORTED_PARAMETER),
        (None, {"error": {"param": "service_tier"}}, FailureKind.UNSUPPORTED_PARAMETER),
        (
            400,
            {"detail": "The 'gpt-x' model is not supported when using Codex with a ChatGPT account."},
            FailureKind.MODEL_NOT_AVAILABLE,
        ),
        (404, {"error": {"param": "model"}}, FailureKind.MODEL_NOT_AVAILABLE),
        (400, {"detail": "Store must be set to false"}, FailureKind.CLIENT_ERROR),
        (401, {"error": {"code": "usage_limit_reached"}}, FailureKind.LOGIN_REJECTED),
        (402, {}, FailureKind.CLIENT_ERROR),
        (403, {}, FailureKind.CLIENT_ERROR),
        (403, CLOUDFLARE_PAGE, FailureKind.CLOUDFLARE_BLOCKED),
        (403, "<html>Forbidden</html>", FailureKind.CLIENT_ERROR),
        (503, CLOUDFLARE_PAGE, FailureKind.SERVER_ERROR),
        (404, "Not Found", FailureKind.CLIENT_ERROR),
        (408, None, FailureKind.SERVER_ERROR),
        (409, None, FailureKind.SERVER_ERROR),
        (413, None, FailureKind.CLIENT_ERROR),
        (422, {"detail": [{"loc": ["body"]}]}, FailureKind.CLIENT_ERROR),
        (429, None, FailureKind.TOO_MANY_REQUESTS),
        (500, None, FailureKind.SERVER_ERROR),
        (502, "<html>", FailureKind.SERVER_ERROR),
        (None, {"error": {}}, FailureKind.SERVER_ERROR),
        (None, None, FailureKind.SERVER_ERROR),
    ],
)
def test_message_parameter_or_status_determines_the_kind(status: int | None, body: Any, expected: FailureKind) -> None:
    assert failure_kind(status, body) is expected


def test_cloudflare_challenge_is_recognized() -> None:
    failure = classify(403, "", {"cf-mitigated": "challenge", "cf-ray": "abc-FRA"}, now=NOW)
    assert failure.kind is FailureKind.CLOUDFLARE_BLOCKED
    assert "(cf-ray abc-FRA)" in failure.message
    assert "use another network" in failure.message


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
        ({}, {AVAILABLE_MODELS_MEMBER: 7}, None),
        ({}, {}, None),
    ],
)
def test_retry_after_is_parsed(headers: dict[str, str], error: dict[str, Any], expected: float | None) -> None:
    failure = classify(429, {"error": {"code": "rate_limit_exceeded", **error}}, headers, now=NOW)
    assert failure.retry_after == expected


@pytest.mark.parametrize(
    ("status", "body", "header", "expected"),
    [
        (500, None, "false", False),
        (400, None, "true", True),
        (429, None, "false", False),
        (500, None, "perhaps", True),
        (429, {"error": {"type": "usage_limit_reached"}}, "true", False),
        (400, {"error": {"code": "context_length_exceeded"}}, "true", False),
    ],
)
def test_x_should_retry_applies_without_a_known_code(status: int, body: Any, header: str, expected: bool) -> None:
    assert classify(status, body, {"x-should-retry": header}, now=NOW).is_retryable is expected


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
def test_rejected_parameter_is_reported(body: Any, param: str | None) -> None:
    assert classify(400, body, {}, now=NOW).param == param


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (400, {"error": {"message": "No."}}, {}, "Error code: 400 - No."),
        (400, {}, {}, "Error code: 400"),
        (404, {"detail": "Not Found"}, {}, f"Error code: 404 - {NOT_FOUND}"),
        (404, "", {}, f"Error code: 404 - {NOT_FOUND}"),
        (404, {"detail": "No such credit."}, {}, "Error code: 404 - No such credit."),
        (307, "", {}, "Error code: 307"),
        (
            307,
            "",
            {"location": "http://elsewhere/x?token=1"},
            "Error code: 307 - The server redirects to http://elsewhere/x?…. The client does not follow redirects, "
            "because the target would receive the access token. Check `base_url`.",
        ),
        (
            401,
            {"detail": "Unauthorized"},
            {},
            "The backend rejected the access token, even after a refresh. Log in again with "
            "`client.authenticate(force=True)` or `codex-backend login`. Backend message: “Unauthorized”.",
        ),
        (502, "<html></html>", {}, "Error code: 502"),
        (
            502,
            "<html></html>",
            {"cf-ray": "abc"},
            "Error code: 502 - The response is an HTML page from Cloudflare (cf-ray abc), not from the backend. Send "
            "the request again later.",
        ),
        (
            None,
            {"error": {"code": "x", "message": "Oh."}},
            {},
            "The backend ended the response with an error (code: x). Send the request again. Backend message: “Oh.”",
        ),
        (None, {"error": {"message": "Oh."}}, {}, f"{ENDED_WITH_ERROR} Backend message: “Oh.”"),
        (None, {"error": {}}, {}, ENDED_WITH_ERROR),
        (
            400,
            {"detail": "Unsupported parameter: user"},
            {},
            "The backend does not support `user` or its value. Remove it or change its value. Backend message: "
            "“Unsupported parameter: user”.",
        ),
        (
            400,
            {"detail": "Unsupported tool type: code_interpreter"},
            {},
            "The backend does not support `tools` or its value. Pass only tools of types that it accepts, such as "
            "`function`, `custom` and `web_search`. Backend message: “Unsupported tool type: code_interpreter”.",
        ),
        (
            429,
            {"error": {"message": "Slower."}},
            {"retry-after": "3"},
            "Too many requests were sent in a short time. Send fewer requests at a time. Retry after 3 s. "
            "Backend message: “Slower.”",
        ),
        (
            404,
            {"error": {"code": "model_not_found", "message": "It has: a.", AVAILABLE_MODELS_MEMBER: ["a"]}},
            {},
            "It has: a.",
        ),
    ],
)
def test_message_has_reason_and_remedy(status: int | None, body: Any, headers: dict[str, str], expected: str) -> None:
    assert classify(status, body, headers, now=NOW).message == expected


def test_failure_has_the_error_object_and_the_limit() -> None:
    error = {"type": "usage_limit_reached", "plan_type": "plus", "resets_at": 1795360000}
    failure = classify(None, {"error": error}, {}, now=NOW)
    assert (failure.status, failure.code, failure.body) == (429, "usage_limit_reached", error)
    assert failure.limit is not None
    assert failure.message == failure.limit.message
    assert classify(404, "text", {}, now=NOW).body == "text"


def test_fields_of_the_wrong_type_are_ignored() -> None:
    assert classify(400, {"error": {"code": 7}}, {}, now=NOW).code is None
    assert classify(400, {"error": {"code": None, "type": []}}, {}, now=NOW).code is None
    assert failure_kind(400, {"error": {"code": [], "type": {}, "param": []}}) is FailureKind.CLIENT_ERROR


def test_available_models_are_listed() -> None:
    assert classify(404, {"error": {AVAILABLE_MODELS_MEMBER: ["a"]}}, {}, now=NOW).available_models == ("a",)


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [(10**400, 366 * 86_400), ("Mon, 1 Jan 2024 00:00:00 +99999999999999999999", None)],
    ids=["a number", "a time zone"],
)
def test_excessive_retry_after_is_bounded_or_ignored(retry_after: Any, expected: float | None) -> None:
    assert classify(429, {"error": {"headers": {"Retry-After": retry_after}}}, {}, now=NOW).retry_after == expected
    assert classify(429, None, {"retry-after": str(retry_after)}, now=NOW).retry_after == expected


@pytest.mark.parametrize("available", [None, 3, {"a": 1}])
def test_invalid_list_of_available_models_is_ignored(available: Any) -> None:
    failure = classify(404, {"error": {"code": "model_not_found", AVAILABLE_MODELS_MEMBER: available}}, {}, now=NOW)
    assert failure.available_models is None
    assert failure.message == MODEL_NOT_AVAILABLE


def test_blank_message_counts_as_missing() -> None:
    failure = classify(
        404, {"error": {"code": "model_not_found", "message": " ", AVAILABLE_MODELS_MEMBER: ["m"]}}, {}, now=NOW
    )
    assert failure.message == MODEL_NOT_AVAILABLE
