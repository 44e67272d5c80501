"""A table row per fault: the error or response of every type of call on either client, and the requests sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import openai
import pytest
from support.calls import STREAM_CALLS, requested_paths
from support.clocks import RecordingClock

import codex_backend_sdk as sdk

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

__all__ = [
    "AVAILABLE_MODELS_MESSAGE",
    "BAD_REQUEST",
    "OUT_OF_CREDITS_MESSAGE",
    "PARAMETER_CODES",
    "POLICY_CODES",
    "POLICY_MESSAGE",
    "QUOTA_CODES",
    "RATE_LIMIT",
    "RESPONSES_AND_CATALOG",
    "SERVER_ERROR",
    "TWO_RETRY_WAITS",
    "Row",
    "assert_row",
    "row_id",
]

# The waits of a call with `max_retries=2` if the response has no `retry-after` and the jitter is at its maximum.
TWO_RETRY_WAITS = (0.5, 1.0)

# Error classes of openai.
BAD_REQUEST = openai.BadRequestError
RATE_LIMIT = openai.RateLimitError
SERVER_ERROR = openai.InternalServerError

# Messages and codes that are the same for an HTTP status and for an event in a stream.
OUT_OF_CREDITS_MESSAGE = "The workspace is out of credits"
QUOTA_CODES = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
)
POLICY_MESSAGE = "rejected the request under its usage policy"
POLICY_CODES = ("cyber_policy", "bio_policy", "invalid_prompt", "misalignment_policy_violation")
PARAMETER_CODES = {
    "service_tier_not_supported": "service_tier",
    "unsupported_service_tier": "service_tier",
    "reasoning_effort_not_supported": "reasoning.effort",
    "unsupported_reasoning_effort": "reasoning.effort",
}
# For a model that does not exist the client requests the catalog, because the error lists the available models.
AVAILABLE_MODELS_MESSAGE = "Available models: gpt-6.2-sol, "
RESPONSES_AND_CATALOG = ("responses", "models")


class Row(NamedTuple):
    """A fault, and the result of a call while the fault is active.

    `error_class` is the class of this package (None: the call succeeds), `official_class` a class of openai that must
    catch the error too, and `message` a part of its message. `waits` are the seconds before each retry, `stream_waits`
    those of a streamed call if they differ. `text` is the text received before the fault (None: no response began),
    and `event_count` the number of events that a stream delivers. `requests` are the requested paths (None: only
    `responses`, once for each attempt). `is_retryable` is that of the error (None: true if there are waits).
    """

    fault: str
    error_class: type[Exception] | None
    official_class: type[Exception] | None
    message: str
    status: int | None = None
    code: str | None = None
    waits: tuple[float, ...] = ()
    stream_waits: tuple[float, ...] | None = None
    text: str | None = None
    event_count: int = 0
    requests: tuple[str, ...] | None = None
    is_retryable: bool | None = None


def row_id(row: Row) -> str:
    """Return the test id of a row."""
    return row.fault


def assert_row(row: Row, call: Callable[..., str], *, sim: Simulator, new_client: Any, **options: Any) -> None:
    """Make the call while the fault is active; compare its outcome, waits, requests and events with the row.

    A restarted stream delivers the events of each attempt.
    """
    clock, events = RecordingClock(), list[Any]()
    sim.fail(row.fault, times=None)
    client = new_client(**{"max_retries": 2, "clock": clock, "codex_events": True, **options})
    if row.error_class is None:
        assert call(client, events) == row.text
    else:
        with pytest.raises(row.error_class) as caught:
            call(client, events)
        _assert_error(row, caught.value)
    waits = row.waits if row.stream_waits is None or call not in STREAM_CALLS else row.stream_waits
    assert clock.waits == list(waits)
    assert requested_paths(sim) == list(row.requests or ["responses"] * (len(waits) + 1))
    if call in STREAM_CALLS:
        attempts = len(waits) + 1 if options.get("on_interrupt") == "restart" else 1
        assert len(events) == row.event_count * attempts
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert text == (row.text or "") * attempts


def _assert_error(row: Row, error: Any) -> None:
    assert row.official_class is not None
    assert row.error_class is not None
    assert isinstance(error, row.error_class)
    assert type(error).__name__ == row.error_class.__name__  # a picklable subclass of an official class has its name
    assert isinstance(error, row.official_class)
    assert row.message in str(error)
    assert getattr(error, "status_code", None) == row.status
    assert error.code == row.code
    assert error.is_retryable is (bool(row.waits) if row.is_retryable is None else row.is_retryable)
    if isinstance(error, sdk.CodexBackendUnsupportedParameterError):
        assert error.parameters == (error.param,)
    partial = getattr(error, "partial", None)
    assert (None if partial is None else partial.output_text) == row.text
