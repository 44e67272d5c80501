"""Test errors that the backend reports with an HTTP status, with one row for each fault.

Sources of the rows: Codex CLI, codex-api/src/api_bridge.rs and protocol/src/error.rs, and reports of users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from support.calls import CALLS
from support.fault_rows import (
    AVAILABLE_MODELS_MESSAGE,
    BAD_REQUEST,
    OUT_OF_CREDITS_MESSAGE,
    PARAMETER_CODES,
    POLICY_CODES,
    POLICY_MESSAGE,
    QUOTA_CODES,
    RATE_LIMIT,
    RESPONSES_AND_CATALOG,
    SERVER_ERROR,
    TWO_RETRY_WAITS,
    Row,
    assert_row,
    row_id,
)

import codex_backend_sdk as sdk

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

_DENIED = openai.PermissionDeniedError
_STATUS = openai.APIStatusError
_USAGE_LIMIT_CODE = "usage_limit_reached"
# The token is refreshed once for a rejected login.
_WITH_REFRESH = ("responses", "token", "responses")

INVALID_REQUESTS = [
    Row("store_not_false", BAD_REQUEST, _STATUS, "400 - Store must be set to false", 400),
    Row("stream_not_true", BAD_REQUEST, _STATUS, "400 - Stream must be set to true", 400),
    Row("instructions_required", BAD_REQUEST, _STATUS, "400 - Instructions are required", 400),
    Row("instructions_not_valid", BAD_REQUEST, _STATUS, "400 - Instructions are not valid", 400),
    Row("input_not_list", BAD_REQUEST, _STATUS, "400 - Input must be a list", 400),
    Row("system_message", BAD_REQUEST, _STATUS, "400 - System messages are not allowed", 400),
    Row("lite_parallel_tool_calls", BAD_REQUEST, _STATUS, "requires parallel_tool_calls to be false", 400),
    Row("account_id_missing", BAD_REQUEST, _STATUS, "400 - The header ChatGPT-Account-ID is required", 400),
    Row(
        "invalid_function_parameters",
        BAD_REQUEST,
        _STATUS,
        "'additionalProperties' is required",
        400,
        "invalid_function_parameters",
    ),
    Row(
        "unsupported_parameter",
        sdk.UnsupportedParameterError,
        BAD_REQUEST,
        "does not support `temperature` or its value",
        400,
    ),
    Row(
        "unsupported_tool_type",
        sdk.UnsupportedParameterError,
        BAD_REQUEST,
        "does not support `tools` or its value",
        400,
    ),
    Row(
        "unsupported_tier",
        sdk.UnsupportedParameterError,
        BAD_REQUEST,
        "does not support `service_tier` or its value",
        400,
    ),
    Row(
        "unsupported_effort",
        sdk.UnsupportedParameterError,
        BAD_REQUEST,
        "does not support `reasoning.effort`",
        400,
        "unsupported_value",
    ),
    Row(
        "unknown_parameter",
        sdk.UnsupportedParameterError,
        BAD_REQUEST,
        "`input[1].reasoning_content`",
        400,
        "unknown_parameter",
    ),
    Row(
        "unsupported_model_detail",
        sdk.ModelNotAvailableError,
        openai.NotFoundError,
        AVAILABLE_MODELS_MESSAGE,
        400,
        requests=RESPONSES_AND_CATALOG,
    ),
    Row("unauthorized", sdk.LoginRejectedError, _STATUS, "codex-backend login", 401, requests=_WITH_REFRESH),
    *(
        Row(
            f"unauthorized:{code}",
            sdk.LoginRejectedError,
            openai.AuthenticationError,
            "try signing in again",
            401,
            code,
            requests=_WITH_REFRESH,
        )
        for code in ("token_expired", "token_invalidated", "token_revoked")
    ),
]

OTHER_STATUSES = [
    Row("bad_request:No.", BAD_REQUEST, _STATUS, "Error code: 400 - No.", 400),
    Row(
        "context_length_exceeded",
        sdk.ContextLengthExceededError,
        BAD_REQUEST,
        "with `client.responses.compact(...)`",
        400,
        "context_length_exceeded",
    ),
    Row(
        "invalid_encrypted_content",
        sdk.InvalidEncryptedContentError,
        BAD_REQUEST,
        "Remove the `reasoning` items",
        400,
        "invalid_encrypted_content",
    ),
    Row("invalid_image", BAD_REQUEST, _STATUS, "does not represent a valid image", 400, "invalid_image"),
    *(Row(code, sdk.PolicyViolationError, BAD_REQUEST, POLICY_MESSAGE, 400, code) for code in POLICY_CODES),
    Row("cyber_policy:403", sdk.PolicyViolationError, _DENIED, "possible cybersecurity risk", 403, "cyber_policy"),
    Row(
        "model_not_found",
        sdk.ModelNotAvailableError,
        openai.NotFoundError,
        AVAILABLE_MODELS_MESSAGE,
        404,
        "model_not_found",
        requests=RESPONSES_AND_CATALOG,
    ),
    Row(
        "model_not_found:400",
        sdk.ModelNotAvailableError,
        LookupError,
        AVAILABLE_MODELS_MESSAGE,
        400,
        "model_not_found",
        requests=RESPONSES_AND_CATALOG,
    ),
    Row(
        "model_not_supported",
        sdk.ModelNotAvailableError,
        BAD_REQUEST,
        AVAILABLE_MODELS_MESSAGE,
        400,
        "model_not_supported",
        requests=RESPONSES_AND_CATALOG,
    ),
    Row(
        "unsupported_model",
        sdk.ModelNotAvailableError,
        BAD_REQUEST,
        AVAILABLE_MODELS_MESSAGE,
        400,
        "unsupported_model",
        requests=RESPONSES_AND_CATALOG,
    ),
    *(
        Row(code, sdk.UnsupportedParameterError, BAD_REQUEST, f"does not support `{param}`", 400, code)
        for code, param in PARAMETER_CODES.items()
    ),
    Row("status:402", openai.APIStatusError, openai.APIError, "Error code: 402 - Payment Required", 402),
    Row("status:403", _DENIED, _STATUS, "Error code: 403 - Forbidden", 403),
    Row("status:404", openai.NotFoundError, _STATUS, "Error code: 404 - Not Found", 404),
    Row("status:408", openai.APIStatusError, openai.APIError, "Error code: 408", 408, waits=TWO_RETRY_WAITS),
    Row("status:409", openai.ConflictError, _STATUS, "Error code: 409 - Conflict", 409, waits=TWO_RETRY_WAITS),
    Row("status:413", openai.APIStatusError, openai.APIError, "Error code: 413", 413),
    Row("status:422", openai.UnprocessableEntityError, _STATUS, "Error code: 422", 422),
    Row("status:500", openai.InternalServerError, _STATUS, "Error code: 500", 500, waits=TWO_RETRY_WAITS),
    Row("status:502", openai.InternalServerError, _STATUS, "Error code: 502 - Bad Gateway", 502, waits=TWO_RETRY_WAITS),
    Row("status:503", openai.InternalServerError, _STATUS, "Error code: 503", 503, waits=TWO_RETRY_WAITS),
    Row("status:529", openai.InternalServerError, _STATUS, "Error code: 529", 529, waits=TWO_RETRY_WAITS),
    Row("status:426", openai.APIStatusError, openai.APIError, "Error code: 426 - Upgrade Required", 426),
    Row("redirect", openai.APIStatusError, openai.APIError, "redirects to http://localhost:", 307),
    Row(
        "overloaded",
        sdk.ServerOverloadedError,
        SERVER_ERROR,
        "at capacity",
        503,
        "server_is_overloaded",
        TWO_RETRY_WAITS,
    ),
    Row("slow_down", sdk.ServerOverloadedError, SERVER_ERROR, "Please slow down", 503, "slow_down", TWO_RETRY_WAITS),
    Row("slow_down:4", sdk.ServerOverloadedError, SERVER_ERROR, "Retry after 4 s", 503, "slow_down", (4.0, 4.0)),
    Row("cloudflare", sdk.CloudflareBlockedError, _DENIED, "(cf-ray 8f0000000000sim-ZRH)", 403),
    Row("cloudflare:blocked", sdk.CloudflareBlockedError, _DENIED, "use another network", 403),
    Row(
        "region_not_supported",
        sdk.RegionNotSupportedError,
        _DENIED,
        "does not support requests from your country",
        403,
        "unsupported_country_region_territory",
    ),
]

EXHAUSTED_LIMITS = [
    Row(
        "rate_limited",
        sdk.TooManyRequestsError,
        RATE_LIMIT,
        "Too many requests",
        429,
        "rate_limit_exceeded",
        (1.5, 1.5),
    ),
    Row(
        "rate_limited:7",
        sdk.TooManyRequestsError,
        RATE_LIMIT,
        "Retry after 7 s",
        429,
        "rate_limit_exceeded",
        (7.0, 7.0),
    ),
    Row(
        "rate_limited:60",
        sdk.TooManyRequestsError,
        RATE_LIMIT,
        "Retry after 60 s",
        429,
        "rate_limit_exceeded",
        (60.0, 60.0),
    ),
    # Retryable, but the client does not wait for longer than `max_retry_after`.
    Row(
        "rate_limited:61",
        sdk.TooManyRequestsError,
        RATE_LIMIT,
        "Retry after 61 s",
        429,
        "rate_limit_exceeded",
        is_retryable=True,
    ),
    Row("status:429", sdk.TooManyRequestsError, RATE_LIMIT, "Too many requests", 429, waits=TWO_RETRY_WAITS),
    Row("flex_unavailable", sdk.TooManyRequestsError, RATE_LIMIT, "Remove `service_tier`", 429, "flex_unavailable"),
    Row(
        "usage_not_included",
        sdk.UsageNotIncludedError,
        RATE_LIMIT,
        "chatgpt.com/explore/plus",
        429,
        "usage_not_included",
    ),
    *(Row(code, sdk.QuotaExceededError, RATE_LIMIT, OUT_OF_CREDITS_MESSAGE, 429, code) for code in QUOTA_CODES),
    Row("usage_limit", sdk.UsageLimitError, RATE_LIMIT, "The 5 h usage limit of the pro plan", 429, _USAGE_LIMIT_CODE),
    Row(
        "usage_limit_week:go",
        sdk.UsageLimitError,
        RATE_LIMIT,
        "The weekly usage limit of the go plan",
        429,
        _USAGE_LIMIT_CODE,
    ),
    Row(
        "usage_limit_no_reset",
        sdk.UsageLimitError,
        RATE_LIMIT,
        "is reached. To continue, buy credits",
        429,
        _USAGE_LIMIT_CODE,
    ),
    Row(
        "usage_limit_model:Spark", sdk.UsageLimitError, RATE_LIMIT, "limit of Spark is reached", 429, _USAGE_LIMIT_CODE
    ),
    Row(
        "usage_limit_model",
        sdk.UsageLimitError,
        RATE_LIMIT,
        "To continue before that, use another model.",
        429,
        _USAGE_LIMIT_CODE,
    ),
    Row("usage_limit_promo:Half price", sdk.UsageLimitError, RATE_LIMIT, "Half price.", 429, _USAGE_LIMIT_CODE),
    *(
        Row(f"usage_limit_workspace:{reached_type}", sdk.UsageLimitError, RATE_LIMIT, message, 429, _USAGE_LIMIT_CODE)
        for reached_type, message in (
            ("workspace_owner_credits_depleted", "To continue, add credits to the workspace."),
            ("workspace_member_credits_depleted", "ask the workspace's owner to add credits"),
            ("workspace_owner_usage_limit_reached", "raise the cap in the workspace's settings"),
            ("workspace_member_usage_limit_reached", "ask the workspace's owner to raise it"),
        )
    ),
    *(
        Row(f"usage_limit:{plan}", sdk.UsageLimitError, RATE_LIMIT, message, 429, _USAGE_LIMIT_CODE)
        for plan, message in (
            ("free", "before that, upgrade to the Plus plan (https://chatgpt.com/explore/plus)."),
            ("go", "before that, upgrade to the Plus plan"),
            ("plus", "the Pro plan (https://chatgpt.com/explore/pro) or buy credits"),
            ("pro", "before that, buy credits (https://chatgpt.com/settings/usage)."),
            ("prolite", "before that, buy credits"),
            ("promax", "before that, buy credits"),
            ("team", "ask your workspace's admin to raise the limit"),
            ("business", "ask your workspace's admin"),
            ("self_serve_business_usage_based", "ask your workspace's admin"),
            ("enterprise_cbp_usage_based", "ask your workspace's admin"),
            ("ent26", "ask your workspace's admin"),
            ("enterprise", "of the enterprise plan is reached. It resets at"),
            ("edu", "of the edu plan is reached. It resets at"),
            ("edu_plus", "of the edu_plus plan is reached. It resets at"),
            ("unknown_plan", "of the unknown_plan plan is reached. It resets at"),
        )
    ),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("row", INVALID_REQUESTS + OTHER_STATUSES, ids=row_id)
def test_error_status_raises_its_class(row: Row, call: Any, sim: Simulator, new_client: Any) -> None:
    assert_row(row, call, sim=sim, new_client=new_client)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("row", EXHAUSTED_LIMITS, ids=row_id)
def test_exhausted_limit_raises_its_class(row: Row, call: Any, sim: Simulator, new_client: Any) -> None:
    assert_row(row, call, sim=sim, new_client=new_client)


@pytest.mark.parametrize("plan", ["enterprise", "edu", "unknown_plan"])
def test_plan_without_a_remedy_has_none_in_its_message(plan: str, sim: Simulator, client: Any) -> None:
    sim.fail(f"usage_limit:{plan}")
    with pytest.raises(sdk.UsageLimitError) as caught:
        client.responses.create(input="hi")
    assert "To continue" not in str(caught.value)


def test_redirect_to_another_host_is_not_followed(sim: Simulator, client: Any) -> None:
    sim.fail("redirect")
    with pytest.raises(openai.APIStatusError):
        client.responses.create(input="hi")
    assert [request.headers["host"].partition(":")[0] for request in sim.requests] == ["127.0.0.1"]


def test_causes_that_are_a_cycle_end_the_call(sim: Simulator) -> None:
    """A transport that raises the same object for each attempt makes its cause refer to itself."""
    error, cause = httpx2.ConnectError("refused"), RuntimeError("cause")
    error.__cause__, cause.__context__ = cause, error

    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise error

    http_client = httpx2.Client(transport=httpx2.MockTransport(refuse))
    with sim.client(http_client=http_client, max_retries=0) as client, pytest.raises(openai.APIConnectionError):
        client.responses.create(input="hi")
