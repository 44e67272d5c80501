"""A table row per fault: what the caller sees, on either client and with every kind of call, and the requests that were sent."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import openai
import pytest
from support.clocks import Recorded

import codex_backend_sdk as sdk

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

__all__ = [
    "AVAILABLE_MODELS",
    "BAD",
    "CALLS",
    "LIMIT",
    "OUT_OF_CREDITS",
    "PARAMETERS",
    "POLICIES",
    "POLICY",
    "QUOTAS",
    "SERVER",
    "STREAMED",
    "TWO_RETRIES",
    "WITH_CATALOG",
    "Row",
    "RunningClock",
    "assert_row",
    "name",
    "paths",
]

# The waits of a call with `max_retries=2` when the backend names none and the jitter is at its maximum.
TWO_RETRIES = (0.5, 1.0)

# The official classes.
BAD = openai.BadRequestError
LIMIT = openai.RateLimitError
SERVER = openai.InternalServerError

# Messages and codes that are the same for an HTTP status and for an event in a stream.
OUT_OF_CREDITS = "The workspace is out of credits"
QUOTAS = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
)
POLICY = "refused the request under its usage policy"
POLICIES = ("cyber_policy", "bio_policy", "invalid_prompt", "misalignment_policy_violation")
PARAMETERS = {
    "service_tier_not_supported": "service_tier",
    "unsupported_service_tier": "service_tier",
    "reasoning_effort_not_supported": "reasoning.effort",
    "unsupported_reasoning_effort": "reasoning.effort",
}
# For a model that does not exist the client requests the catalog, because the error lists the available models.
AVAILABLE_MODELS = "Available models: gpt-6.1-sol, "
WITH_CATALOG = ("responses", "models")


class Row(NamedTuple):
    """A fault and its consequences.

    `raises` is our class (None: the response is correct), `official` a class of openai that must catch it too. `message`
    is a part of the message. `waits` are the seconds before each retry, `streamed` those of a streamed call if they
    differ. `text` is the text received in spite of the fault (None: not even the beginning of a response), `events` the
    number of events that a stream delivered. `requests` are the requested paths, if not only that of the model.
    `is_retryable` is that of the error, if the waits do not imply it.
    """

    fault: str
    raises: type[Exception] | None
    official: type[Exception] | None
    message: str
    status: int | None = None
    code: str | None = None
    waits: tuple[float, ...] = ()
    streamed: tuple[float, ...] | None = None
    text: str | None = None
    events: int = 0
    requests: tuple[str, ...] | None = None
    is_retryable: bool | None = None


class RunningClock(Recorded):
    """A clock whose time advances by each wait without waiting; it must not block an event loop."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return sum(self.waits)

    def sleep(self, seconds: float) -> None:
        assert asyncio._get_running_loop() is None, "the call blocks the event loop"
        super().sleep(seconds)


def create(client: Any, seen: list[Any]) -> str:
    """Call without streaming: the response is buffered."""
    text: str = client.responses.create(model="gpt-5.5", input="Say hello").output_text
    return text


def stream(client: Any, seen: list[Any]) -> str:
    """Call with a stream of events."""
    for event in client.responses.create(model="gpt-5.5", input="Say hello", stream=True):
        seen.append(event)
    text: str = seen[-1].response.output_text
    return text


def helper(client: Any, seen: list[Any]) -> str:
    """Call with the official stream helper."""
    with client.responses.stream(model="gpt-5.5", input="Say hello") as events:
        for event in events:
            seen.append(event)
        text: str = events.get_final_response().output_text
    return text


CALLS = (create, stream, helper)
STREAMED = (stream, helper)


def name(row: Row) -> str:
    """Return the test id of a row."""
    return row.fault


def paths(sim: Simulator) -> list[str]:
    """Return the last part of each requested path."""
    return [request.path.rpartition("/")[2] for request in sim.requests]


def assert_row(row: Row, call: Callable[..., str], *, sim: Simulator, new_client: Any, **options: Any) -> None:
    """Make the call while the fault is active, and compare everything that is visible.

    A restarted stream delivers the events of each attempt.
    """
    clock, seen = RunningClock(), list[Any]()
    sim.fail(row.fault, times=None)
    client = new_client(**{"max_retries": 2, "clock": clock, **options})
    if row.raises is None:
        assert call(client, seen) == row.text
    else:
        with pytest.raises(row.raises) as caught:
            call(client, seen)
        _assert_error(row, caught.value)
    waits = row.waits if row.streamed is None or call not in STREAMED else row.streamed
    assert clock.waits == list(waits)
    assert paths(sim) == list(row.requests or ["responses"] * (len(waits) + 1))
    if call in STREAMED:
        parts = len(waits) + 1 if options.get("on_interrupt") == "restart" else 1
        assert len(seen) == row.events * parts
        given = "".join(event.delta for event in seen if event.type == "response.output_text.delta")
        assert given == (row.text or "") * parts


def _assert_error(row: Row, error: Any) -> None:
    assert row.official is not None
    assert type(error) is row.raises
    assert isinstance(error, row.official)
    assert row.message in str(error)
    assert getattr(error, "status_code", None) == row.status
    assert error.code == row.code
    assert error.is_retryable is (bool(row.waits) if row.is_retryable is None else row.is_retryable)
    if isinstance(error, sdk.CodexBackendUnsupportedParameterError):
        assert error.parameters == (error.param,)
    partial = getattr(error, "partial", None)
    assert (None if partial is None else partial.output_text) == row.text
