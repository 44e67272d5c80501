"""Errors within a stream and in its transport, one row per fault: exception, message, retries and events.

A call without a stream is retried. A stream is retried until it has delivered an event, or always with
`on_interrupt="restart"`. Source of the codes: Codex CLI, codex-api/src/sse/responses_error.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from errors.test_request_faults import EXHAUSTED_LIMITS, INVALID_REQUESTS, OTHER_STATUSES
from support.calls import CALLS, STREAM_CALLS, requested_paths
from support.clocks import RecordingClock
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
from codex_backend_sdk.testing.faults.fault_catalog import FAULTS

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

_CONNECTION = openai.APIConnectionError
_INVALID = openai.APIResponseValidationError
_ANY = openai.APIError


def _ended(
    fault: str,
    raises: Any,
    official: Any,
    message: str,
    status: int,
    code: str | None,
    waits: tuple[float, ...] = (),
    *,
    text: str = "half",
    requests: tuple[str, ...] | None = None,
) -> Row:
    """Return the row of a response that failed after one text delta."""
    events = 10 if text else 4
    named = f"{fault},{text}" if text else fault
    return Row(named, raises, official, message, status, code, waits, (), text, events, requests)


ENDINGS = [
    _ended("failed:server_error", sdk.ResponseFailedError, _ANY, "You can retry", 200, "server_error", TWO_RETRY_WAITS),
    _ended("failed:new_code", sdk.ResponseFailedError, _ANY, "(code: new_code)", 200, "new_code", TWO_RETRY_WAITS),
    _ended(
        "failed_without_error",
        sdk.ResponseFailedError,
        _ANY,
        "Send the request again.",
        200,
        None,
        TWO_RETRY_WAITS,
        text="",
    ),
    _ended(
        "failed:context_length_exceeded",
        sdk.ContextLengthExceededError,
        BAD_REQUEST,
        "does not fit",
        400,
        "context_length_exceeded",
    ),
    *(
        _ended(f"failed:{code}", sdk.QuotaExceededError, RATE_LIMIT, OUT_OF_CREDITS_MESSAGE, 429, code)
        for code in QUOTA_CODES
    ),
    _ended(
        "failed:usage_not_included",
        sdk.UsageNotIncludedError,
        RATE_LIMIT,
        "not include Codex",
        429,
        "usage_not_included",
    ),
    _ended(
        "failed:usage_limit_reached", sdk.UsageLimitError, RATE_LIMIT, "The usage limit", 429, "usage_limit_reached"
    ),
    *(
        _ended(f"failed:{code}", sdk.PolicyViolationError, BAD_REQUEST, POLICY_MESSAGE, 400, code)
        for code in POLICY_CODES
    ),
    _ended(
        "failed:flex_unavailable",
        sdk.TooManyRequestsError,
        RATE_LIMIT,
        "Remove `service_tier`",
        429,
        "flex_unavailable",
    ),
    _ended(
        "failed:server_is_overloaded",
        sdk.ServerOverloadedError,
        SERVER_ERROR,
        "at capacity",
        503,
        "server_is_overloaded",
        TWO_RETRY_WAITS,
    ),
    _ended("failed:slow_down", sdk.ServerOverloadedError, SERVER_ERROR, "slow down", 503, "slow_down", TWO_RETRY_WAITS),
    _ended(
        "failed_retry_after",
        sdk.ServerOverloadedError,
        SERVER_ERROR,
        "Retry after 3 s",
        503,
        "slow_down",
        (3.0, 3.0),
        text="",
    ),
    _ended(
        "failed:rate_limit_exceeded",
        sdk.TooManyRequestsError,
        RATE_LIMIT,
        "1.5 s",
        429,
        "rate_limit_exceeded",
        (1.5, 1.5),
    ),
    *(
        _ended(
            f"failed_try_again:{wait}",
            sdk.TooManyRequestsError,
            RATE_LIMIT,
            f"Retry after {seconds:g} s.",
            429,
            "rate_limit_exceeded",
            (seconds, seconds),
            text="",
        )
        for wait, seconds in (("11.054s", 11.054), ("3.2s", 3.2), ("250ms", 0.25), ("3 seconds", 3.0))
    ),
    *(
        _ended(f"failed:{code}", sdk.UnsupportedParameterError, BAD_REQUEST, f"does not support `{param}`", 400, code)
        for code, param in PARAMETER_CODES.items()
    ),
    *(
        _ended(
            f"failed_param:{param}",
            sdk.UnsupportedParameterError,
            BAD_REQUEST,
            f"does not support `{param}`",
            400,
            "invalid_value",
            text="",
        )
        for param in ("service_tier", "reasoning.effort")
    ),
    _ended(
        "error_event:server_error", sdk.ResponseFailedError, _ANY, "You can retry", 200, "server_error", TWO_RETRY_WAITS
    ),
    _ended(
        "error_event:slow_down", sdk.ServerOverloadedError, SERVER_ERROR, "slow down", 503, "slow_down", TWO_RETRY_WAITS
    ),
    _ended(
        "error_event:usage_limit_reached", sdk.UsageLimitError, RATE_LIMIT, "is reached", 429, "usage_limit_reached"
    ),
    _ended("error_event:cyber_policy", sdk.PolicyViolationError, BAD_REQUEST, POLICY_MESSAGE, 400, "cyber_policy"),
]

# The error lists the available models, however late it arrives.
MODELS = [
    *(
        _ended(f"failed:{code}", sdk.ModelNotAvailableError, BAD_REQUEST, AVAILABLE_MODELS_MESSAGE, 404, code)
        for code in ("model_not_found", "model_not_supported", "unsupported_model")
    ),
    _ended(
        "failed_param:model",
        sdk.ModelNotAvailableError,
        BAD_REQUEST,
        AVAILABLE_MODELS_MESSAGE,
        404,
        "invalid_value",
        text="",
    ),
]

# Incomplete responses are no errors: the official object has the reason, and the caller decides.
INCOMPLETE = [
    Row(f"incomplete:{reason},half", None, None, "", text="half", event_count=11)
    for reason in ("max_output_tokens", "content_filter", "interrupted", "anything")
]


def _broken(fault: str, message: str, text: str | None, events: int) -> Row:
    stream_waits = () if events else None
    return Row(
        fault, sdk.StreamInterruptedError, _CONNECTION, message, 200, None, TWO_RETRY_WAITS, stream_waits, text, events
    )


def _unreached(fault: str, message: str, kind: Any = openai.APIConnectionError) -> Row:
    return Row(fault, kind, openai.APIConnectionError, message, waits=TWO_RETRY_WAITS)


def _unexpected(fault: str, message: str, text: str | None = None, events: int = 0) -> Row:
    return Row(fault, sdk.UnexpectedResponseError, _INVALID, message, 200, text=text, event_count=events)


def _harmless(fault: str, events: int = 13) -> Row:
    return Row(fault, None, None, "", text="hello", event_count=events)


BROKEN = [
    _broken("cut_after_bytes:0", "before any event", None, 0),
    _broken("cut_after_bytes", "before any event", None, 0),
    _broken("cut_after_bytes:1500", "after 3 events", "", 3),
    _broken("cut_after_events:0", "before any event", None, 0),
    _broken("cut_after_events:4", "after 4 events", "", 4),
    _broken("cut_after_events:12", "after 12 events", "hello", 12),
    _broken("clean_end_after_events:0", "before any event", None, 0),
    _broken("clean_end_after_events:4", "after 4 events", "", 4),
    _broken("clean_end_after_events:12", "after 12 events", "hello", 12),
    _broken("reset:0", "The response was interrupted", None, 0),
    _broken("compressed:gzip+cut_after_bytes:40", "before any event", None, 0),
    _unreached("reset", "could not be reached"),
    _unreached("not_http", "sent an invalid HTTP response (illegal status line"),
    _unreached("huge_header:1000000", "sent a header that is too long"),
    _unexpected("header:content-encoding,gzip", "cannot be decompressed as gzip"),
    _unexpected("garbage:0", "Event 1 of the response is damaged"),
    _unexpected("garbage:3", "Event 4 of the response is damaged", events=3),
    _unexpected("html", "an HTML page titled “Hello” instead of an event stream"),
    _unexpected("empty", "an empty body instead of an event stream"),
    _unexpected("content_type", "text/html, "),
    _unexpected("content_type:application/json", "application/json, "),
    _unexpected("status:200", "JSON with the message “OK”"),
]

HARMLESS = [
    _harmless("byte_by_byte"),
    _harmless("throttled:400,0.001"),
    _harmless("keepalives:0.3", 19),
    _harmless("stalled:5,0.3"),
    _harmless("delayed:0.3"),
    *(_harmless(f"compressed:{encoding}") for encoding in ("gzip", "zstd", "br")),
    _harmless("compressed:zstd+throttled:50,0"),
    _harmless("header:x-unknown,value"),
    _harmless("huge_header"),
    _harmless("input_transformations:prefix_mismatch"),
    _harmless("huge_event", 14),
    _harmless("informational"),
    _harmless("informational:100,3"),
    _harmless("repeated_last_event:3"),
    _harmless("data_after_end"),
    _harmless("bytes_after_response"),
]

# With timeouts of half a second.
TIMEOUTS = [
    _unreached(
        "delayed:20", "did not begin to respond within 0.5 s. Increase `first_byte_timeout`", openai.APITimeoutError
    ),
    Row("stalled:0,20", sdk.IdleTimeoutError, openai.APITimeoutError, "`idle_timeout`", 200, None, TWO_RETRY_WAITS),
    Row(
        "stalled:9,20", sdk.IdleTimeoutError, _CONNECTION, "after 9 events", 200, None, TWO_RETRY_WAITS, (), "hello", 9
    ),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("row", ENDINGS + INCOMPLETE, ids=row_id)
def test_incomplete_response_raises_its_class(row: Row, call: Any, sim: Simulator, new_client: Any) -> None:
    assert_row(row, call, sim=sim, new_client=new_client)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("row", MODELS, ids=row_id)
def test_model_rejected_in_a_stream_raises_its_class(row: Row, call: Any, sim: Simulator, new_client: Any) -> None:
    assert_row(row._replace(requests=RESPONSES_AND_CATALOG), call, sim=sim, new_client=new_client)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("row", BROKEN + HARMLESS, ids=row_id)
def test_transport_fault_raises_its_class_or_has_no_effect(
    row: Row, call: Any, sim: Simulator, new_client: Any
) -> None:
    assert_row(row, call, sim=sim, new_client=new_client)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("row", TIMEOUTS, ids=row_id)
def test_missing_data_raises_a_timeout(row: Row, call: Any, sim: Simulator, new_client: Any) -> None:
    assert_row(row, call, sim=sim, new_client=new_client, first_byte_timeout=0.5, idle_timeout=0.5)


@pytest.mark.parametrize("call", STREAM_CALLS)
@pytest.mark.parametrize("row", [row for row in ENDINGS + BROKEN if row.stream_waits == ()], ids=row_id)
def test_stream_restarts_if_allowed(row: Row, call: Any, sim: Simulator, new_client: Any) -> None:
    assert_row(row._replace(stream_waits=None), call, sim=sim, new_client=new_client, on_interrupt="restart")


@pytest.mark.parametrize("call", STREAM_CALLS)
def test_restarted_stream_delivers_both_attempts(call: Any, sim: Simulator, new_client: Any) -> None:
    sim.fail("cut_after_events:9")
    seen: list[Any] = []
    client = new_client(max_retries=1, clock=RecordingClock(), on_interrupt="restart", codex_events=True)
    assert call(client, seen) == "hello"
    assert [event.type for event in seen].count("response.created") == 2
    assert len(seen) == 9 + 13


@pytest.mark.parametrize("failure", ["plain", "alert", "closed", "reset", "silent"])
@pytest.mark.parametrize("call", CALLS)
def test_tls_handshake_failure_is_retried(failure: str, call: Any, sim: Simulator, new_client: Any) -> None:
    clock = RecordingClock()
    sim.fail(f"tls_failure:{failure}", times=None)
    address = sim.base_url.replace("http:", "https:")
    client = new_client(base_url=address, clock=clock, max_retries=2, connect_timeout=0.5)
    with pytest.raises(openai.APIConnectionError) as caught:
        call(client, [])
    assert isinstance(caught.value, openai.APITimeoutError) is (failure == "silent")
    assert clock.waits == list(TWO_RETRY_WAITS)
    assert requested_paths(sim) == [], "nothing is sent without TLS"


def test_every_simulator_fault_has_a_row() -> None:
    rows = [
        *INVALID_REQUESTS,
        *OTHER_STATUSES,
        *EXHAUSTED_LIMITS,
        *ENDINGS,
        *MODELS,
        *INCOMPLETE,
        *BROKEN,
        *HARMLESS,
        *TIMEOUTS,
    ]
    covered = {part.partition(":")[0] for row in rows for part in row.fault.split("+")}
    # `status` and `failed` stand for all codes. Faults of other endpoints and of WebSockets are tested elsewhere.
    names = {fault.name for fault in FAULTS.values() if fault.route == "responses" and not fault.is_for_websockets}
    assert names - covered == set()
