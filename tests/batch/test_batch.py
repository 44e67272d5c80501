"""Test batches of both clients on the simulator: each scenario runs with threads and with tasks."""

from __future__ import annotations

import gc
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pydantic
import pytest
from support.clocks import RecordingClock

import codex_backend_sdk as sdk
from codex_backend_sdk.batch.results import BatchError
from codex_backend_sdk.testing import SimulatedLimits, SimulatedWindow, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from codex_backend_sdk.testing import Simulator

PROMPTS = [f"Prompt {number}" for number in range(12)]


class City(pydantic.BaseModel):
    name: str


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "batch.journal"


def lines(count: int) -> list[dict[str, Any]]:
    return [{"custom_id": f"line-{number}", "input": f"Prompt {number}"} for number in range(count)]


def prompts(bodies: Callable[[], list[dict[str, Any]]]) -> list[str]:
    return [body["input"][-1]["content"][0]["text"] for body in bodies()]


def test_batch_yields_each_line_once(client: Any, bodies: Any) -> None:
    results = list(client.codex.batch(PROMPTS))
    assert sorted(result.index for result in results) == list(range(12))
    assert all(result.error is None and result.output_text and not result.is_from_journal for result in results)
    assert sorted(prompts(bodies)) == sorted(PROMPTS)


def test_result_has_response_and_official_line(client: Any, sim: Simulator) -> None:
    sim.script("Hello")
    (result,) = client.codex.batch([{"custom_id": "a", "body": {"input": "hi", "model": "gpt-5.5"}}])
    line = json.loads(json.dumps(result.to_line()))
    assert (line["custom_id"], line["error"], line["response"]["status_code"]) == ("a", None, 200)
    assert line["response"]["body"]["output"][-1]["content"][0]["text"] == "Hello"
    assert (result.output_text, result.response.output_text, result.response.model) == ("Hello", "Hello", "gpt-5.5")
    assert line["response"]["request_id"].startswith("req_")


def test_parameters_of_the_batch_apply_to_lines_without_them(client: Any, bodies: Any) -> None:
    list(client.codex.batch(["a", {"input": "b", "model": "gpt-5.5"}], concurrency=1, model="gpt-6.1-sol"))
    assert [body["model"] for body in bodies()] == ["gpt-6.1-sol", "gpt-5.5"]


def test_ordered_results_have_the_order_of_lines(client: Any, sim: Simulator) -> None:
    sim.script(Turn.text("slow").delayed(0.5))
    assert [result.index for result in client.codex.batch(PROMPTS, ordered=True)] == list(range(12))


def test_finished_lines_are_not_sent_again(client: Any, journal: Path, bodies: Any) -> None:
    first = {result.custom_id: result.output_text for result in client.codex.batch(lines(5), journal=journal)}
    results = list(client.codex.batch(lines(8), journal=journal))
    assert len(bodies()) == 8
    assert [result.is_from_journal for result in results] == [True] * 5 + [False] * 3
    assert first.items() <= {result.custom_id: result.output_text for result in results}.items()


def test_resumed_results_can_be_ordered(client: Any, journal: Path) -> None:
    list(client.codex.batch(lines(8)[2:5], journal=journal))
    results = list(client.codex.batch(lines(8), journal=journal, ordered=True))
    assert [(result.index, result.is_from_journal) for result in results] == [(n, n in (2, 3, 4)) for n in range(8)]


def test_inserted_line_keeps_the_others(client: Any, journal: Path, bodies: Any) -> None:
    """Prompts without ids have ids of their content, so their position has no meaning."""
    list(client.codex.batch(PROMPTS, journal=journal))
    results = list(client.codex.batch(["New", *PROMPTS[:3], *PROMPTS[:3]], journal=journal))
    assert len(bodies()) == 12 + 1 + 3
    assert sorted(result.index for result in results) == list(range(7))


def test_lines_that_left_the_input_are_not_yielded(client: Any, journal: Path) -> None:
    list(client.codex.batch(lines(5), journal=journal))
    assert [result.custom_id for result in client.codex.batch(lines(5)[3:], journal=journal)] == ["line-3", "line-4"]


@pytest.mark.parametrize("changes", [{"model": "gpt-6.1-sol"}, {"instructions": "Be brief."}, {"text_format": City}])
def test_changed_request_is_an_error_with_the_count(changes: Any, client: Any, journal: Path, bodies: Any) -> None:
    list(client.codex.batch(lines(3), journal=journal))
    with pytest.raises(sdk.BatchInputError, match=r"In 3 of 4 lines, the request has changed") as caught:
        list(client.codex.batch(lines(4), journal=journal, **changes))
    assert caught.value.changed == 3
    assert len(bodies()) == 3


def test_options_of_the_client_are_part_of_the_request(new_client: Any, journal: Path) -> None:
    list(new_client().codex.batch(lines(2), journal=journal))
    with pytest.raises(sdk.BatchInputError, match="2 of 2 lines"):
        list(new_client(instructions="Be brief.").codex.batch(lines(2), journal=journal))


@pytest.mark.parametrize(("on_change", "requests"), [("redo", 2), ("keep", 0)])
def test_changed_line_is_redone_or_kept(on_change: Any, requests: int, client: Any, journal: Path, bodies: Any) -> None:
    list(client.codex.batch(lines(3), journal=journal))
    changed = [lines(3)[0], *({**line, "input": "Other"} for line in lines(3)[1:])]
    results = list(client.codex.batch(changed, journal=journal, on_change=on_change))
    assert len(bodies()) == 3 + requests
    assert sorted(result.index for result in results) == [0, 1, 2]
    assert sum(result.is_from_journal for result in results) == 3 - requests
    if on_change == "redo":
        assert all(result.is_from_journal for result in client.codex.batch(changed, journal=journal))


@pytest.mark.parametrize(
    "requests",
    [[{"custom_id": "a", "input": "1"}, "x", {"custom_id": "a", "input": "2"}], ["x", "y", {"prompt": "z"}]],
)
def test_invalid_input_is_found_before_the_first_request(requests: Any, client: Any, bodies: Any) -> None:
    with pytest.raises(sdk.BatchInputError, match="Line 3 of the batch"):
        list(client.codex.batch(requests))
    assert not bodies()


def test_input_is_read_as_a_stream(client: Any) -> None:
    """An iterator of any length is accepted, and its lines are not kept in memory."""

    class Counted(dict[str, Any]):
        pass

    def requests() -> Iterator[Any]:
        for number in range(300):
            yield Counted(input=f"Prompt {number}")

    seen = 0
    for _ in client.codex.batch(requests(), concurrency=4):
        seen += 1
        if seen == 100:
            gc.collect()
            assert sum(isinstance(each, Counted) for each in gc.get_objects()) == 0
    assert seen == 300


def test_requests_run_concurrently_and_bounded(client: Any, sim: Simulator) -> None:
    peak: list[int] = []
    batch = client.codex.batch(PROMPTS, concurrency=3, on_progress=lambda progress: peak.append(progress.running))
    sim.script(*[Turn.text("x").delayed(0.05) for _ in PROMPTS])
    list(batch)
    assert max(peak) == 3


def test_same_requests_are_sent_once_with_dedupe(client: Any, bodies: Any, journal: Path) -> None:
    requests = [{"custom_id": f"{n}", "input": f"Prompt {n % 3}"} for n in range(30)]
    results = list(client.codex.batch(requests, dedupe=True, journal=journal))
    assert len(bodies()) == 3
    assert sorted(int(result.custom_id) for result in results) == list(range(30))
    assert all(result.output_text and result.to_line()["custom_id"] == result.custom_id for result in results)
    assert all(result.is_from_journal for result in client.codex.batch(requests, journal=journal))


def test_dedupe_uses_results_of_earlier_runs(client: Any, bodies: Any, journal: Path) -> None:
    list(client.codex.batch([{"custom_id": "a", "input": "x"}], journal=journal))
    results = list(client.codex.batch([{"custom_id": c, "input": "x"} for c in "bca"], dedupe=True, journal=journal))
    assert len(bodies()) == 1
    assert sorted(result.custom_id for result in results) == ["a", "b", "c"]


@pytest.mark.parametrize(("fault", "requests"), [("cyber_policy", 41), ("status:500", 42)])
def test_dedupe_settles_lines_after_a_failure(
    fault: str, requests: int, client: Any, sim: Simulator, bodies: Any
) -> None:
    """A line that is read after the failure of its request has that failure, or sends the request again."""
    sim.fail(fault)
    rows = [{"custom_id": "a", "input": "x"}, *lines(40), {"custom_id": "b", "input": "x"}]
    results = list(client.codex.batch(rows, dedupe=True, concurrency=1, retries=0))
    assert sorted(result.index for result in results) == list(range(42))
    assert len(bodies()) == requests
    assert sum(result.error is not None for result in results) == (2 if requests == 41 else 1)


# --- failures --------------------------------------------------------------------------------------------------------


def test_failure_is_a_result_with_its_status(client: Any, sim: Simulator, journal: Path, bodies: Any) -> None:
    sim.fail("cyber_policy")
    (result,) = client.codex.batch(["x"], journal=journal)
    assert result.error.type == "PolicyViolationError"
    assert not result.error.is_retryable
    assert (result.response, result.output_text, result.output_parsed) == (None, "", None)
    assert result.to_line()["error"]["message"] == result.error.message
    # It is finished, unless the caller wants to try again.
    assert [again.is_from_journal for again in client.codex.batch(["x"], journal=journal)] == [True]
    (again,) = client.codex.batch(["x"], journal=journal, retry_failed=True)
    assert again.error is None
    assert len(bodies()) == 2


def test_temporary_failure_is_sent_again_by_the_next_run(client: Any, sim: Simulator, journal: Path) -> None:
    sim.fail("status:500", times=1)
    (failed,) = client.codex.batch(["x"], journal=journal, retries=0)
    assert failed.error.is_retryable
    assert failed.to_line()["response"]["status_code"] == 500
    (result,) = client.codex.batch(["x"], journal=journal)
    assert (result.error, result.is_from_journal) == (None, False)


def test_failures_are_retried_and_counted(client: Any, sim: Simulator) -> None:
    client = client.with_options(clock=RecordingClock())
    sim.fail("status:503", "reset", "overloaded")
    batch = client.codex.batch(PROMPTS[:3], concurrency=1)
    assert [result.error for result in batch] == [None] * 3
    assert batch.progress.retries == 3


def test_overload_lowers_the_concurrency(client: Any, sim: Simulator) -> None:
    client = client.with_options(clock=RecordingClock())
    sim.fail("overloaded")
    batch = client.codex.batch(PROMPTS[:1], concurrency=8)
    list(batch)
    assert batch.progress.concurrency == 4


def test_two_batches_share_the_limit_of_a_client(client: Any) -> None:
    list(client.codex.batch(PROMPTS))
    assert client.with_options(model="gpt-5.5").codex.batch([]).progress.concurrency > 4


def test_wrong_parameter_fails_its_line_only(client: Any) -> None:
    results = list(
        client.codex.batch(["x", {"input": "y", "unknown_parameter": 1}, {"input": "z", "temperature": 0.5}])
    )
    assert sorted(result.index for result in results if result.error is None) == [0]
    assert {result.error.type for result in results if result.error} == {
        "TypeError",
        "CodexBackendUnsupportedParameterError",
    }


@pytest.mark.parametrize(
    ("turn", "code"),
    [
        (Turn.incomplete("max_output_tokens", text="half"), "incomplete"),
        (
            Turn.items({"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}),
            "refusal",
        ),
    ],
)
def test_incomplete_and_refused_responses_are_failures(turn: Turn, code: str, client: Any, sim: Simulator) -> None:
    sim.script(turn)
    (result,) = client.codex.batch(["x"])
    assert result.error.code == code
    assert result.response is not None


def test_login_error_ends_the_run_without_failed_lines(client: Any, sim: Simulator, journal: Path) -> None:
    sim.fail("unauthorized:token_expired", times=None)
    batch = client.codex.batch(PROMPTS, journal=journal)
    with pytest.raises(sdk.LoginRejectedError):
        list(batch)
    assert batch.progress.failed == 0
    sim.clear()
    assert [result.error for result in client.codex.batch(PROMPTS, journal=journal)] == [None] * 12


def test_unreachable_backend_stops_the_run(new_client: Any, journal: Path) -> None:
    client = new_client(base_url="http://127.0.0.1:1/backend-api/codex")
    batch = client.codex.batch(lines(100), journal=journal, retries=0)
    with pytest.raises(sdk.BatchStoppedError, match="many requests in a row failed") as caught:
        list(batch)
    assert caught.value.reason == "failures"
    assert caught.value.progress.failed < 20


# --- structured output -----------------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text_format", "expected"),
    [(City, City(name="Rome")), (SCHEMA, {"name": "Rome"}), ({"schema": SCHEMA}, {"name": "Rome"})],
)
def test_output_is_parsed(
    text_format: Any, expected: Any, client: Any, sim: Simulator, journal: Path, bodies: Any
) -> None:
    sim.script('{"name": "Rome"}')
    for _ in range(2):  # the second result is from the journal
        (result,) = client.codex.batch(["x"], text_format=text_format, journal=journal)
        assert result.output_parsed == expected
    assert bodies()[0]["text"]["format"]["type"] == "json_schema"


@pytest.mark.parametrize("text_format", [City, SCHEMA])
@pytest.mark.parametrize("invalid", ["no JSON", '{"name": 7}', "[]"])
def test_invalid_output_is_requested_once_more(text_format: Any, invalid: str, client: Any, sim: Simulator) -> None:
    sim.script(invalid, '{"name": "Rome"}')
    batch = client.codex.batch(["x"], text_format=text_format)
    (result,) = batch
    assert (result.error, result.validation_retries, batch.progress.retries) == (None, 1, 1)


def test_output_that_stays_invalid_is_a_failure(client: Any, sim: Simulator, bodies: Any) -> None:
    sim.script("no JSON", "no JSON")
    (result,) = client.codex.batch(["x"], text_format=City)
    assert (result.error.code, result.output_parsed, result.output_text) == ("invalid_output", None, "no JSON")
    assert len(bodies()) == 2


def test_text_that_is_no_object_fails_its_line_only(client: Any, sim: Simulator) -> None:
    sim.script('{"name": "Rome"}')
    results = list(client.codex.batch([{"input": "a", "text": "x"}, "b"], text_format=SCHEMA))
    assert [result.error is None for result in sorted(results, key=lambda result: result.index)] == [False, True]


@pytest.mark.parametrize(
    "text", ["[" * 300 + "]" * 300, "[" * 300, '{"name":' * 100_000], ids=["closed", "open", "objects"]
)
@pytest.mark.parametrize("text_format", [City, SCHEMA])
def test_nested_output_is_invalid(text: str, text_format: Any, client: Any, sim: Simulator) -> None:
    sim.script(text, text)
    (result,) = client.codex.batch(["x"], text_format=text_format)
    assert result.error.code == "invalid_output"


def test_invalid_schema_is_named(client: Any) -> None:
    with pytest.raises(ValueError, match=r"not a valid JSON schema: \$\.properties\.n\.type"):
        client.codex.batch(["x"], text_format={"properties": {"n": {"type": 7}}})


# --- usage limits ----------------------------------------------------------------------------------------------------


def test_limit_stops_the_run_and_fails_no_line(client: Any, sim: Simulator, journal: Path) -> None:
    sim.script(*["x"] * 3, *[Turn.text("x")] * 0)
    sim.fail("usage_limit:plus,3600", times=20)
    batch = client.codex.batch(lines(10), journal=journal)
    done = []
    with pytest.raises(sdk.BatchStoppedError, match="Run it again to continue") as caught:
        done.extend(batch)
    error = caught.value
    assert (error.reason, len(done), error.progress.failed) == ("usage_limit", 3, 0)
    assert isinstance(error.__cause__, sdk.UsageLimitError)
    assert timedelta(minutes=50) < error.resets_at - datetime.now(UTC) < timedelta(minutes=70)
    assert len(sim.model_requests) <= 3 + 4, "no request is started after the limit"
    sim.clear()
    results = list(client.codex.batch(lines(10), journal=journal))
    assert [sum(result.is_from_journal is known for result in results) for known in (True, False)] == [3, 7]


def test_run_waits_for_the_reset_and_probes(new_client: Any, sim: Simulator) -> None:
    clock = RecordingClock()
    client = new_client(clock=clock)
    pauses: list[Any] = []
    sim.script("x")
    # The clock of the client is not that of the simulator, where `usage_limit` would last a minute.
    error = {"type": "usage_limit_reached", "plan_type": "plus", "resets_in_seconds": 60, "limit_window_minutes": 300}
    sim.fail(Turn.error(429, {"error": {**error, "resets_at": int(clock.now().timestamp()) + 60}}), times=4)
    batch = client.codex.batch(
        PROMPTS, wait_for_limit=True, on_progress=lambda progress: pauses.append(progress.paused_until)
    )
    results = list(batch)
    assert [result.error for result in results] == [None] * 12
    assert sum(clock.waits) >= 61
    assert any(pauses)


def test_wait_has_a_maximum(new_client: Any, sim: Simulator) -> None:
    clock = RecordingClock()
    client = new_client(clock=clock, wait_for_limit=timedelta(minutes=1))
    sim.fail("usage_limit:plus,86400", times=4)
    with pytest.raises(sdk.BatchStoppedError) as caught:
        list(client.codex.batch(PROMPTS))
    assert caught.value.reason == "usage_limit"
    assert sum(clock.waits) == 0


def test_stop_at_leaves_a_part_of_the_plan(client: Any, sim: Simulator) -> None:
    sim.limits = SimulatedLimits(primary=SimulatedWindow(91, minutes=300))
    done: list[Any] = []
    with pytest.raises(sdk.BatchStoppedError, match=r"90 % of a usage limit of the plan is used") as caught:
        done.extend(client.codex.batch(PROMPTS, stop_at=90))
    assert 1 <= len(done) <= 4, "the limits are known after the first response"
    assert caught.value.resets_at is not None


@pytest.mark.parametrize("is_finished", [{0, 1, 2}, {1, 4, 9}, {5, 6, 7, 8, 9}])
def test_ordered_run_yields_finished_lines_at_a_limit(
    is_finished: set[int], client: Any, sim: Simulator, journal: Path
) -> None:
    list(client.codex.batch([line for n, line in enumerate(lines(10)) if n in is_finished], journal=journal))
    sim.fail("usage_limit:plus,3600", times=10)
    batch, done = client.codex.batch(lines(10), journal=journal, ordered=True), []
    with pytest.raises(sdk.BatchStoppedError, match=f"stopped after {len(is_finished)} of 10 lines"):
        done.extend(batch)
    assert [result.index for result in done] == sorted(is_finished)
    assert batch.progress.from_journal == len(is_finished)


def test_stopped_ordered_run_yields_results_after_a_gap(client: Any, sim: Simulator) -> None:
    sim.script(Turn.text("x").delayed(30))
    sim.script(*["x"] * 9)
    batch, done = None, []

    def stop(progress: Any) -> None:
        if progress.remaining == 1:
            getattr(batch, "_target", batch).stop(0.1)  # not through the adapter: this runs in the event loop

    batch = client.codex.batch(lines(10), ordered=True, concurrency=2, on_progress=stop)
    with pytest.raises(sdk.BatchStoppedError, match="after 9 of 10 lines"):
        done.extend(batch)
    assert len(done) == 9
    assert [result.index for result in done] == sorted(result.index for result in done)


# --- stop, close, misuse ---------------------------------------------------------------------------------------------


def test_stop_finishes_what_runs(client: Any, sim: Simulator, journal: Path) -> None:
    batch = client.codex.batch(lines(50), journal=journal, concurrency=2)
    done: list[Any] = []
    with pytest.raises(sdk.BatchStoppedError, match="was stopped after") as caught:
        done.extend(result for result in batch if batch.stop() is None)
    assert caught.value.reason == "stopped"
    assert 1 <= len(done) <= 6
    assert len(sim.model_requests) == len(done)
    assert f"after {len(done)} of 50 lines" in str(caught.value)
    assert caught.value.progress.completed == len(done)


def test_stop_before_the_last_response_is_no_error(client: Any, sim: Simulator) -> None:
    sim.script("x", *[Turn.text("x").delayed(0.5)] * 2)
    batch = client.codex.batch(lines(3), concurrency=3)
    assert len([result for result in batch if batch.stop() is None]) == 3


def test_stop_abandons_requests_after_the_grace(client: Any, sim: Simulator) -> None:
    sim.script("x")
    sim.script(*[Turn.text("x").delayed(30)] * 3)
    batch = client.codex.batch(lines(4), concurrency=2)
    with pytest.raises(sdk.BatchStoppedError):
        list(map(lambda _: batch.stop(grace_seconds=0.2), batch))  # noqa: C417


def test_stop_during_a_pause_ends_the_run(new_client: Any, sim: Simulator) -> None:
    clock = RecordingClock()
    sim.fail("usage_limit:plus,3600", times=4)
    batch: Any = None

    def stop(progress: Any) -> None:
        if progress.paused_until is not None:
            getattr(batch, "_target", batch).stop()  # not through the adapter: this runs in the event loop

    batch = new_client(clock=clock).codex.batch(PROMPTS, wait_for_limit=True, on_progress=stop)
    with pytest.raises(sdk.BatchStoppedError, match="was stopped"):
        list(batch)
    assert sum(clock.waits) < 3600


def test_left_batch_keeps_finished_lines(client: Any, journal: Path) -> None:
    with client.codex.batch(lines(20), journal=journal, concurrency=1) as batch:
        for number, _ in enumerate(batch):
            if number == 4:
                break
    results = list(client.codex.batch(lines(20), journal=journal))
    assert sum(result.is_from_journal for result in results) >= 5


def test_batch_is_iterated_once(client: Any) -> None:
    batch = client.codex.batch(["x"])
    list(batch)
    with pytest.raises(RuntimeError, match="can be iterated once"):
        list(batch)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"concurrency": 0}, ValueError, "`concurrency` must be"),
        ({"stop_at": 101}, ValueError, "`stop_at` must be a percentage"),
        ({"max_wait": 60}, TypeError, "`max_wait` must be a timedelta"),
        ({"on_change": "ignore"}, ValueError, "`on_change` must be"),
    ],
)
def test_wrong_argument_is_named(arguments: Any, error: Any, message: str, client: Any) -> None:
    with pytest.raises(error, match=message):
        client.codex.batch([], **arguments)


@pytest.mark.parametrize("requests", ["one prompt", b"x", {"input": "x"}, Path("in.jsonl")])
def test_single_value_is_not_taken_for_lines(requests: Any, client: Any) -> None:
    with pytest.raises(TypeError, match="must be a list or another iterable of lines"):
        client.codex.batch(requests)


@pytest.mark.parametrize("parameter", ["stream", "background"])
def test_parameter_of_the_delivery_is_refused(parameter: str, client: Any) -> None:
    with pytest.raises(TypeError, match=f"Remove `{parameter}`"):
        client.codex.batch(["x"], **{parameter: True})


def test_input_can_be_stopped_while_it_is_read(client: Any, bodies: Any) -> None:
    def requests() -> Iterator[str]:
        yield "x"
        getattr(batch, "_target", batch).stop()
        yield from map(str, range(10**9))

    batch = client.codex.batch(requests())
    with pytest.raises(sdk.BatchStoppedError, match="while it read the input"):
        list(batch)
    assert not bodies()


def test_journal_has_one_batch_at_a_time(client: Any, journal: Path) -> None:
    batch = client.codex.batch(lines(5), journal=journal)
    iterator = iter(batch)
    next(iterator)
    with pytest.raises(sdk.JournalLockedError, match=r"A batch in process \d+ uses the journal"):
        list(client.codex.batch(lines(5), journal=journal))
    batch.close()


def test_empty_batch_has_no_results(client: Any, journal: Path) -> None:
    assert list(client.codex.batch([], journal=journal)) == []


def test_progress_counts_lines(client: Any, sim: Simulator, journal: Path) -> None:
    list(client.codex.batch(lines(3), journal=journal))
    sim.fail("cyber_policy")
    seen: list[Any] = []
    batch = client.codex.batch(lines(10), journal=journal, on_progress=seen.append)
    list(batch)
    last = batch.progress
    assert seen[-1] == last
    assert (last.total, last.completed, last.failed, last.from_journal, last.remaining) == (10, 9, 1, 3, 0)
    assert last.limits is not None


def test_error_of_a_callback_reaches_the_caller(client: Any) -> None:
    def fail(_: Any) -> None:
        raise LookupError("bug")

    with pytest.raises(LookupError):
        list(client.codex.batch(["x"], on_progress=fail))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_async_batch_runs_on_both_event_loops(anyio_backend: str, sim: Simulator) -> None:
    async with sim.async_client() as client, client.codex.batch(PROMPTS) as batch:
        assert sorted([result.index async for result in batch]) == list(range(12))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_cancelled_batch_cancels_its_requests(anyio_backend: str, sim: Simulator) -> None:
    sim.script(*[Turn.text("x").delayed(30)] * 4)
    async with sim.async_client() as client:
        with anyio.move_on_after(0.5) as scope:
            async with client.codex.batch(PROMPTS) as batch:
                async for _ in batch:
                    pass
        assert scope.cancelled_caught


def test_no_thread_is_left_after_a_batch(sim: Simulator, journal: Path) -> None:
    with sim.client() as client:
        list(client.codex.batch(PROMPTS, journal=journal))
    names = [thread.name for thread in threading.enumerate()]
    assert "codex-batch-journal" not in names


def test_error_has_the_members_of_the_line() -> None:
    assert BatchError("c", "m").is_retryable is False
