"""A conversation whose backend fails at random, and the rules that each of its calls must keep.

`FaultRun` takes turns on the simulator: a question, the call of a tool, its output, a text. Before each call it queues
faults, and sometimes it replaces the client, ages the connections or leaves the stream. A call that fails is repeated,
as a program does. The rules, checked after every call:

- It returns the response or raises an exception of openai, within a bounded time.
- The caller gets the events of one response, each once and in order.
- Once the caller has an event, the client sends no other request: no response is paid twice.

The waits of retries and cool-downs use a clock that does not wait, and the lifetime of connections that of the
simulator, so a run takes milliseconds for most calls.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import openai
from support.clocks import RecordingClock

from codex_backend_sdk._websocket.connection import Timing
from codex_backend_sdk.testing import Simulator, WebSocketSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FaultRun", "SimulatedClock", "comparable"]

WEATHER: Final = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
# Short, but long enough for a machine that is busy: a timeout that no fault caused is one more failure, no error.
TIMEOUTS: Final = {"connect_timeout": 5.0, "first_byte_timeout": 2.0, "idle_timeout": 1.0}
TIMING: Final = Timing(ping=0.1, pong=0.5, retire=3.0)
MAX_RETRIES: Final = 2
# Attempts of a call times the connections of an attempt, and a request over HTTP instead of the last one.
_MAX_REQUESTS: Final = (MAX_RETRIES + 1) * 4
# All attempts may run into a timeout. The rest is for a busy machine.
_MAX_SECONDS: Final = 60.0
_MAX_TRIES: Final = 12
_FAULTLESS_TRY: Final = 6
_FAULT_SHARE: Final = 0.5

# Faults of a model request; `{}` is the number of events before it. Each kind is as likely as the others.
MESSAGE_FAULTS: Final = (
    "close:1000,{}",
    "close:1006,{}",
    "close:1011,{}",
    "close:1009,0",
    "close:1009,{}",
    "cut_after_events:{}",
    "reset:0",
    "reset:700",
    "connection_limit:{}",
    "previous_response_not_found",
    "delayed:0.01",
    "stalled:{},0.01",
    "overloaded",
    "slow_down:1",
    "rate_limited:1",
    "status:500",
    "status:502",
    "unauthorized:token_expired",
    "failed:server_error",
    "error_event:server_error,Hal",
    "error_without_status:{}",
    "binary_message:{}",
    "fragmented:7",
    "pings:20,{}",
    "keepalives:0.02",
    "throttled:500,0.001",
    "data_after_end",
    "repeated_last_event",
    "garbage:{}",
)
# They cost a timeout each, so they are rare.
SLOW_FAULTS: Final = ("stalled:{}", "silent:{}")
_SLOW_SHARE: Final = 0.03
# Faults of the upgrade. The connection is cut as well, so that the client needs another one.
UPGRADE_FAULTS: Final = (
    "status:503@websocket",
    "status:403@websocket",
    "unauthorized:token_expired@websocket",
    "upgrade_required@websocket",
    "reset@websocket",
    "delayed:0.01@websocket",
)


class SimulatedClock:
    """The clock of a simulator, which a test may advance."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


class _Left(Exception):
    """The program left the stream."""


class _Requests(NamedTuple):
    messages: int
    posts: int

    @property
    def total(self) -> int:
        return self.messages + self.posts


class FaultRun:
    """A run of `turns` turns, which `seed` determines apart from the timing.

    `new_client` constructs a client of either kind with a sync interface. With `fault_share=0` nothing fails.
    """

    def __init__(
        self,
        sim: Simulator,
        sim_clock: SimulatedClock,
        new_client: Callable[..., Any],
        path: Path,
        *,
        seed: int,
        fault_share: float = _FAULT_SHARE,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._sim, self._sim_clock, self._new_client, self._path = sim, sim_clock, new_client, path
        self._random = random.Random(seed)
        self._fault_share = fault_share
        self._clock = RecordingClock()
        self._client: Any = None
        self._conversation: Any = None
        self._websocket: Any = None
        self._faults: list[str] = []
        self._is_replaced = False

    def run(self, turns: int) -> list[dict[str, Any]]:
        """Take the turns, and return the history."""
        try:
            for number in range(turns):
                if self._client is None or self._is_likely(
                    0.05 if self._websocket.availability.is_available() else 0.5
                ):
                    self._replace_client()
                output = self._repeat(f"What is the weather in city number {number}?")
                (call,) = [item for item in output if item.type == "function_call"]
                text = f"{number}: " + "warm and dry " * random.Random(number).randrange(200)
                self._repeat([{"type": "function_call_output", "call_id": call.call_id, "output": text}])
            items: list[dict[str, Any]] = self._conversation.items
            return items
        finally:
            self._close()

    def _is_likely(self, share: float) -> bool:
        return self._fault_share > 0 and self._random.random() < share

    def _needs_client(self) -> bool:
        # After a 426, a client uses HTTP for good.
        return self._client is None or self._is_likely(0.05 if self._websocket.availability.is_available() else 0.5)

    def _replace_client(self) -> None:
        """Continue the conversation of the file in another client, as a program does that was started again."""
        self._close()
        self._client = self._new_client(clock=self._clock, max_retries=MAX_RETRIES, **TIMEOUTS)
        self._websocket = getattr(self._client, "_target", self._client)._websocket
        self._websocket.timing = TIMING
        self._conversation = self._client.codex.conversation(self._path, tools=[WEATHER], keep_partial=False)
        self._conversation.__enter__()
        self.counts["clients"] += 1

    def _close(self) -> None:
        if self._client is not None:
            self._conversation.__exit__(None, None, None)
            self._client.close()

    # A call, and its repetitions

    def _repeat(self, given: Any) -> list[Any]:
        """Make the call until it succeeds. Return the output of the response."""
        for number in range(_MAX_TRIES):
            self._sim.clear()
            self._prepare_faults(is_last=number >= _FAULTLESS_TRY)
            before = self._conversation.items
            try:
                output: list[Any] = self._call(given)
            except (openai.OpenAIError, _Left) as error:
                self.counts[f"error {type(error).__name__}"] += 1
                assert self._conversation.items == before, f"{self._faults} changed the history of a failed call"
                continue
            return output
        raise AssertionError(f"The call failed {_MAX_TRIES} times, the last ones without faults.")

    def _prepare_faults(self, *, is_last: bool) -> None:
        self._faults = []
        self._clock.advance(self._random.choice((0, 1, 70, 4000)))
        if is_last or self._fault_share == 0:
            return
        while self._random.random() < self._fault_share:
            kinds = SLOW_FAULTS if self._is_likely(_SLOW_SHARE) else MESSAGE_FAULTS
            self._faults.append(self._random.choice(kinds).format(self._random.randrange(16)))
        if self._is_likely(0.1):
            self._faults.append("close:1006,0")
            self._faults += [self._random.choice(UPGRADE_FAULTS) for _ in range(self._random.randrange(1, 3))]
        if self._is_likely(0.1):
            self._sim_clock.offset += timedelta(minutes=61)
        if self._is_likely(0.1):
            limit = self._random.choice((None, None, None, 20_000))  # a longer history then uses HTTP
            self._sim.websocket = WebSocketSettings(accepts_deflate=self._is_likely(0.5), max_message_bytes=limit)
        if self._faults:
            self._sim.fail(*self._faults)
            self.counts.update(fault.partition(":")[0] for fault in self._faults)

    def _call(self, given: Any) -> list[Any]:
        leave_after = self._random.randrange(9) if self._is_likely(0.03) else None
        age_after = self._random.randrange(9) if self._is_likely(0.03) else None
        events: list[Any] = []
        at_first_event: _Requests | None = None
        start = time.monotonic()
        try:
            with self._conversation.stream(given) as stream:
                for event in stream:
                    if not events:
                        at_first_event = self._requests()
                    events.append(event)
                    if len(events) == leave_after:
                        raise _Left
                    if len(events) == age_after:
                        self._sim_clock.offset += timedelta(minutes=61)
            output: list[Any] = stream.response.output
        finally:
            seconds = time.monotonic() - start
            self._check(events, at_first_event, seconds)
        assert events[-1].type == "response.completed", f"{self._faults} ended the events with {events[-1].type}"
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert text == stream.response.output_text, f"{self._faults} lost a part of the text"
        self.counts["responses"] += 1
        return output

    def _check(self, events: list[Any], at_first_event: _Requests | None, seconds: float) -> None:
        requests = self._requests()
        self.counts.update(messages=requests.messages, posts=requests.posts)
        assert seconds < _MAX_SECONDS, f"{self._faults} took {seconds:.1f} s"
        assert requests.total <= _MAX_REQUESTS, f"{self._faults} led to {requests}"
        assert at_first_event in (None, requests), f"{self._faults}: {requests} after {at_first_event} at an event"
        numbers = [event.sequence_number for event in events]
        assert numbers == list(range(len(events))), f"{self._faults} led to the events {numbers}"
        ids = {event.response.id for event in events if hasattr(event, "response")}
        assert len(ids) <= 1, f"{self._faults} mixed the responses {ids}"

    def _requests(self) -> _Requests:
        """Count the requests that the simulator has received during this call."""
        messages = [frame for frame in self._sim.websocket_frames if frame.json()["type"] == "response.create"]
        posts = [request for request in self._sim.requests if request.path.endswith("/responses")]
        return _Requests(len(messages), len([request for request in posts if request.method == "POST"]))


def comparable(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the items without what differs between two runs: ids, and the content that is encrypted with them."""
    calls: dict[str, str] = {}
    result = []
    for item in items:
        kept = {name: value for name, value in item.items() if name not in ("id", "encrypted_content")}
        with suppress(KeyError):
            kept["call_id"] = calls.setdefault(item["call_id"], f"call {len(calls)}")
        result.append(kept)
    return result
