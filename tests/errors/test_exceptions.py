"""Test what the exceptions share: their base classes and `is_retryable`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk import _exceptions
from codex_backend_sdk._errors import exception_mapping
from codex_backend_sdk._errors.classify import FailureKind, classify

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

# The exceptions that a retry can fix. All others need a change by the user, or a report.
RETRYABLE = {
    "IdleTimeoutError",
    "ResponseFailedError",
    "OutputValidationError",
    "ServerOverloadedError",
    "StreamInterruptedError",
    "TokenRefreshError",
    "TooManyRequestsError",
}


@pytest.mark.parametrize("name", _exceptions.__all__)
def test_is_retryable_has_a_default_in_each_class(name: str) -> None:
    error_class = getattr(_exceptions, name)
    assert issubclass(error_class, sdk.CodexError)
    assert error_class.is_retryable is (name in RETRYABLE)


@pytest.mark.parametrize("failure_kind", FailureKind)
def test_class_and_failure_table_agree(failure_kind: FailureKind) -> None:
    error_class: Any = exception_mapping._EXCEPTION_CLASSES.get(failure_kind)
    # FLEX_UNAVAILABLE has the class of TOO_MANY_REQUESTS, but flex capacity does not return within seconds.
    if error_class is not None and failure_kind is not FailureKind.FLEX_UNAVAILABLE:
        assert error_class.is_retryable is failure_kind.is_retryable


@pytest.mark.parametrize(
    ("fault", "is_retryable"),
    [("status:500", True), ("status:409", True), ("status:404", False), ("bad_request:No.", False), ("reset", True)],
)
def test_official_exceptions_have_is_retryable(fault: str, is_retryable: bool, sim: Simulator, client: Any) -> None:
    sim.fail(fault, times=None)
    with pytest.raises(openai.APIError) as caught:
        client.with_options(max_retries=0).responses.create(input="hi")
    assert not isinstance(caught.value, sdk.CodexError)
    assert caught.value.is_retryable is is_retryable


def test_unreachable_backend_is_retryable(new_client: Any) -> None:
    client = new_client(base_url="http://127.0.0.1:1/backend-api/codex", max_retries=0)
    with pytest.raises(openai.APIConnectionError, match="could not be reached") as caught:
        client.responses.create(input="hi")
    assert caught.value.is_retryable


def test_total_timeout_is_not_retryable(new_client: Any, sim: Simulator) -> None:
    sim.fail("delayed:20")
    with pytest.raises(sdk.TotalTimeoutError) as caught:
        new_client(total_timeout=0.3).responses.create(input="hi")
    assert not caught.value.is_retryable


def test_unknown_event_code_is_retryable() -> None:
    response = httpx2.Response(200, request=httpx2.Request("POST", "https://example.com"))
    failure = classify(None, {"error": {"code": "new_code"}}, {}, now=datetime.now(UTC))
    error: Any = exception_mapping.from_stream(failure, response, partial=None)
    assert isinstance(error, sdk.ResponseFailedError)
    assert error.is_retryable


@pytest.mark.parametrize("expected", [sdk.LoginRequiredError, openai.AuthenticationError, sdk.LoginRejectedError])
@pytest.mark.parametrize("stream", [False, True])
def test_rejected_login_is_caught_by_either_class(expected: Any, stream: bool, sim: Simulator, client: Any) -> None:
    sim.fail("unauthorized:token_expired", times=None)
    with pytest.raises(expected) as caught:
        client.responses.create(input="hi", stream=stream)
    error: Any = caught.value
    assert type(error) is sdk.LoginRejectedError
    assert (error.status_code, error.code, error.is_retryable) == (401, "token_expired", False)
    assert "codex-backend login" in str(error)
    paths = [request.path.rpartition("/")[2] for request in sim.requests]
    assert paths == ["responses", "token", "responses"], "the token is refreshed once"
