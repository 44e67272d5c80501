"""The table of the errors of the local server: exceptions of the client → status, headers and body."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import openai
import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk import _exceptions as exceptions
from codex_backend_sdk._errors.classify import classify
from codex_backend_sdk._errors.exception_mapping import from_status, from_stream
from codex_backend_sdk.server.api_errors import ApiError, api_error_of, argument_error

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
REQUEST = httpx2.Request("POST", "https://chatgpt.com/backend-api/codex/responses")


def backend_error(status: int | None, error: dict[str, Any], headers: dict[str, str] | None = None) -> openai.APIError:
    """Return the exception for an error of the backend. `status` None: within a stream of status 200."""
    headers = headers or {}
    failure = classify(status, {"error": error}, headers, now=NOW)
    response = httpx2.Response(status or 200, headers=headers, request=REQUEST, json={"error": error})
    if status is None:
        return from_stream(failure, response, partial=None)
    classes: dict[int, type[openai.APIStatusError]] = {400: openai.BadRequestError, 404: openai.NotFoundError}
    official = classes.get(status, openai.APIStatusError)
    return from_status(
        failure, response, official=lambda: official(failure.message, response=response, body=failure.body)
    )


OVERFLOW = {"code": "context_length_exceeded", "message": "Your input exceeds the context window of this model."}
USED_UP = {"type": "usage_limit_reached", "plan_type": "plus", "resets_at": int(NOW.timestamp()) + 3600}

BACKEND_ERRORS = [
    # error, status, type, code, x-should-retry, Retry-After
    (OVERFLOW, 400, "invalid_request_error", "context_length_exceeded", None, None),
    (USED_UP, 429, "usage_limit_reached", "usage_limit_reached", "false", "3600"),
    ({"code": "usage_not_included"}, 429, "usage_not_included", "usage_not_included", "false", None),
    ({"code": "insufficient_quota"}, 429, "insufficient_quota", "insufficient_quota", "false", None),
    (
        {"code": "rate_limit_exceeded", "message": "Please try again in 1.5s."},
        *(429, "rate_limit_error", "rate_limit_exceeded", None, "2"),
    ),
    ({"code": "flex_unavailable"}, 429, "rate_limit_error", "flex_unavailable", "false", None),
    ({"code": "server_is_overloaded"}, 503, "server_error", "server_is_overloaded", None, None),
    (
        {"code": "model_not_found", "message": "No such model"},
        404,
        "invalid_request_error",
        "model_not_found",
        None,
        None,
    ),
    ({"code": "invalid_encrypted_content"}, 400, "invalid_request_error", "invalid_encrypted_content", None, None),
    ({"code": "cyber_policy"}, 400, "invalid_request_error", "cyber_policy", None, None),
]


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(("error", "status", "kind", "code", "should_retry", "retry_after"), BACKEND_ERRORS)
def test_backend_error_keeps_its_real_status(
    error: dict[str, Any],
    status: int,
    kind: str,
    code: str,
    should_retry: str | None,
    retry_after: str | None,
    is_streamed: bool,
) -> None:
    api_error = api_error_of(backend_error(None if is_streamed else status, error), now=NOW)
    assert (api_error.status, api_error.type, api_error.code) == (status, kind, code)
    assert api_error.headers.get("x-should-retry") == should_retry
    assert api_error.headers.get("retry-after") == retry_after


def test_context_overflow_keeps_the_words_of_the_backend() -> None:
    assert api_error_of(backend_error(None, OVERFLOW), now=NOW).message == OVERFLOW["message"]


def test_context_overflow_without_words_has_an_explanation() -> None:
    api_error = api_error_of(backend_error(400, {"code": "context_length_exceeded"}), now=NOW)
    assert "context window" in api_error.message
    assert "client." not in api_error.message


def test_used_up_plan_has_its_reset_in_the_body() -> None:
    body = api_error_of(backend_error(None, USED_UP), now=NOW).body["error"]
    assert body["resets_at"] == USED_UP["resets_at"]
    assert (body["resets_in_seconds"], body["plan_type"]) == (3600, "plus")


def test_used_up_plan_without_a_reset_has_no_retry_after() -> None:
    api_error = api_error_of(backend_error(429, {"type": "usage_limit_reached"}), now=NOW)
    assert "retry-after" not in api_error.headers
    assert api_error.headers["x-should-retry"] == "false"
    assert api_error.details == {}


def test_past_reset_is_not_negative() -> None:
    error = backend_error(None, USED_UP)
    assert api_error_of(error, now=NOW + timedelta(hours=2)).headers["retry-after"] == "0"


def test_unknown_failure_in_a_stream_is_a_server_error() -> None:
    api_error = api_error_of(backend_error(None, {"code": "odd", "message": "It broke."}), now=NOW)
    assert (api_error.status, api_error.type, api_error.code) == (500, "server_error", "odd")
    assert "x-should-retry" not in api_error.headers  # it may succeed when it is sent again


@pytest.mark.parametrize(
    ("status", "kind", "should_retry"),
    [(400, "invalid_request_error", None), (404, "invalid_request_error", None), (502, "server_error", None)],
)
def test_other_status_of_the_backend_is_passed_on(status: int, kind: str, should_retry: str | None) -> None:
    api_error = api_error_of(backend_error(status, {"message": "Something."}, {"x-request-id": "req_1"}), now=NOW)
    assert (api_error.status, api_error.type) == (status, kind)
    assert api_error.headers.get("x-should-retry") == should_retry
    assert api_error.headers["x-request-id"] == "req_1"
    assert api_error.message == f"The backend responded with status {status}. Something."


LOCAL_ERRORS: list[tuple[Exception, int, str, str | None]] = [
    (sdk.LoginRequiredError("Not logged in. Call `client.authenticate()`."), 401, "login_required", None),
    (sdk.TokenRefreshError("The issuer is down."), 503, "token_refresh_failed", None),
    (sdk.CredentialStoreError("auth.json is damaged."), 500, "credential_store_error", None),
    (
        sdk.CodexBackendUnsupportedParameterError("No `n`.", parameters=["n", "seed"]),
        *(400, "unsupported_parameter", "n"),
    ),
    (sdk.UnsupportedEndpointError("No embeddings.", resource="embeddings"), 404, "unsupported_endpoint", None),
    (exceptions.InvalidChatRequestError("Bad.", param="messages[0]"), 400, "invalid_value", "messages[0]"),
    (sdk.HistoryError("Orphan.", indexes=[1]), 400, "invalid_value", "input"),
    (sdk.StreamInterruptedError("It ended early.", request=REQUEST), 502, "stream_interrupted", None),
    (sdk.IdleTimeoutError("Silence.", request=REQUEST), 504, "timeout", None),
    (sdk.TotalTimeoutError("Too long.", request=REQUEST), 504, "timeout", None),
    (openai.APITimeoutError(REQUEST), 504, "timeout", None),
    (openai.APIConnectionError(request=REQUEST), 502, "backend_unreachable", None),
    # Bugs: not errors of the caller
    (ValueError("the prompt"), 500, "local_internal_error", None),
    (TypeError("the prompt"), 500, "local_internal_error", None),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "the prompt"), 500, "local_internal_error", None),
]


@pytest.mark.parametrize(("error", "status", "code", "param"), LOCAL_ERRORS, ids=lambda value: type(value).__name__)
def test_local_exception_has_its_row(error: Exception, status: int, code: str, param: str | None) -> None:
    api_error = api_error_of(error, now=NOW)
    assert (api_error.status, api_error.code, api_error.param) == (status, code, param)
    assert api_error.message


@pytest.mark.parametrize(
    ("error", "code"),
    [(ValueError("`input` is not finite."), "invalid_value"), (TypeError("`input` is missing."), "invalid_type")],
)
def test_argument_error_is_that_of_the_caller(error: Any, code: str) -> None:
    api_error = argument_error(error)
    assert (api_error.status, api_error.code, api_error.message) == (400, code, str(error))


@pytest.mark.parametrize("status", [302, 304, 307])
def test_redirect_of_the_backend_is_not_passed_on(status: int) -> None:
    response = httpx2.Response(status, request=REQUEST)
    error = api_error_of(openai.APIStatusError("moved", response=response, body=None), now=NOW)
    assert (error.status, error.type, error.code) == (502, "server_error", "invalid_backend_response")
    assert error.headers["x-should-retry"] == "false"


def test_missing_login_names_the_command() -> None:
    api_error = api_error_of(sdk.LoginRequiredError("Call client.authenticate()."), now=NOW)
    assert "`codex-backend login`" in api_error.message
    assert "client." not in api_error.message


def test_deadline_of_the_owner_is_not_retried() -> None:
    assert api_error_of(sdk.TotalTimeoutError("Long.", request=REQUEST), now=NOW).headers["x-should-retry"] == "false"
    assert "x-should-retry" not in api_error_of(sdk.IdleTimeoutError("Silent.", request=REQUEST), now=NOW).headers


def test_unexpected_exception_shows_no_text() -> None:
    api_error = api_error_of(RuntimeError("the prompt"), now=NOW)
    assert (api_error.status, api_error.code) == (500, "local_internal_error")
    assert "the prompt" not in api_error.message
    assert "codex-backend serve" in api_error.message
    assert api_error.headers == {"x-should-retry": "false"}


def test_secrets_are_not_in_the_message() -> None:
    assert "eyJ" not in argument_error(ValueError("Bearer eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln")).message


def test_unsafe_request_id_is_not_a_header() -> None:
    error = backend_error(400, {"message": "Something."})
    error.request_id = "a\r\nx: y"
    assert "x-request-id" not in api_error_of(error, now=NOW).headers


def test_own_error_is_returned_unchanged() -> None:
    error = ApiError(429, "The queue of codex-backend serve is full.", type="rate_limit_error", code="local_queue_full")
    assert api_error_of(error, now=NOW) is error
    assert error.body == {
        "error": {
            "message": "The queue of codex-backend serve is full.",
            "type": "rate_limit_error",
            "param": None,
            "code": "local_queue_full",
        }
    }


def test_rejected_parameter_hints_at_the_option(new_client: Any) -> None:
    with pytest.raises(sdk.CodexBackendUnsupportedParameterError) as caught:
        new_client().responses.create(input="hi", temperature=0.3)
    api_error = api_error_of(caught.value, now=NOW)
    assert "`--unsupported drop`" in api_error.message
    assert api_error.param == "temperature"
