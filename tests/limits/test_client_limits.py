"""`client.codex.limits` and what stands beside it, on both clients."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from codex_backend_sdk import OpenAI, RateLimits, UsageLimitError
from codex_backend_sdk.limits.tracker import LimitsState, LimitsTracker
from codex_backend_sdk.testing import SimulatedAdditionalLimit, SimulatedLimits, SimulatedWindow, Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FIVE_HOURS = timedelta(hours=5)


@pytest.fixture(autouse=True)
def as_at_first(sim: Simulator) -> Iterator[None]:
    yield
    sim.clear()


def used(client: Any) -> list[tuple[str, float]]:
    limits = client.codex.limits
    return [(window.name, window.used_percent) for window in limits.windows]


def asked(sim: Simulator) -> list[str]:
    return [request.path.rpartition("/")[2] for request in sim.requests]


# Where they come from


def test_nothing_is_known_and_nothing_asked_before_the_first_answer(client: Any, sim: Simulator) -> None:
    assert client.codex.limits is None
    assert asked(sim) == []


def test_every_answer_tells_the_limits(client: Any, sim: Simulator) -> None:
    before = datetime.now(UTC)
    client.responses.create(input="hi")
    limits = client.codex.limits
    assert used(client) == [("5 h", 12), ("weekly", 34)]
    assert (limits.plan, limits.is_exhausted) == ("pro", False)
    assert before <= limits.seen_at <= datetime.now(UTC)
    assert limits.five_hours.resets_at > before
    assert asked(sim) == ["responses"]


def test_headers_are_enough(client: Any, sim: Simulator) -> None:
    sim.script(Turn.events([{"type": "response.completed", "response": {"id": "r", "output": []}}]))
    client.responses.create(input="hi")
    assert used(client) == [("5 h", 12), ("weekly", 34)]
    assert client.codex.limits.plan is None  # headers do not say it


EVENT = {
    "type": "codex.rate_limits",
    "plan_type": "plus",
    "rate_limits": {"primary": {"used_percent": 77, "window_minutes": 300}},
}
END = {"type": "response.completed", "response": {"id": "r", "output": []}}


@pytest.mark.parametrize("stream", [False, True])
def test_an_event_tells_them_streamed_or_collected(client: Any, sim: Simulator, stream: bool) -> None:
    sim.script(Turn.events([EVENT, END]))
    answer = client.responses.create(input="hi", stream=stream)
    if stream:
        assert [event.type for event in answer] == ["codex.rate_limits", "response.completed"]
    assert used(client) == [("5 h", 77), ("weekly", 34)]
    assert client.codex.limits.plan == "plus"


def test_an_odd_event_disturbs_nobody(client: Any, sim: Simulator) -> None:
    sim.script(Turn.events([{"type": "codex.rate_limits", "limit_name": [1], "rate_limits": "much"}, END]))
    assert client.responses.create(input="hi").status == "completed"
    assert used(client) == [("5 h", 12), ("weekly", 34)]


def test_a_refusal_tells_them_too(client: Any, sim: Simulator) -> None:
    sim.script(Turn.text("hi"), Turn.usage_limit("plus", timedelta(hours=1)))
    client.responses.create(input="hi")
    with pytest.raises(UsageLimitError) as caught:
        client.responses.create(input="hi")
    limits = client.codex.limits
    assert used(client) == [("5 h", 100), ("weekly", 34)]  # the refusal tells of the one that is used up
    assert limits.is_exhausted
    assert limits.exhausted_window.resets_at == limits.five_hours.resets_at == caught.value.resets_at


def test_a_refusal_of_one_models_limit_says_nothing_of_the_plans(client: Any, sim: Simulator) -> None:
    sim.fail("usage_limit_model:Spark")
    with pytest.raises(UsageLimitError):
        client.responses.create(input="hi")
    limits = client.codex.limits
    assert (limits.active_limit, limits.is_exhausted) == ("codex_bengalfox", False)
    assert limits.limit("Spark") is limits.limit("codex_bengalfox")
    assert limits.limit("Spark").is_exhausted


def test_a_page_of_something_else_leaves_them_as_they_were(client: Any, sim: Simulator) -> None:
    client.responses.create(input="hi")
    known = client.codex.limits
    sim.fail("cloudflare")
    with pytest.raises(openai.PermissionDeniedError):
        client.responses.create(input="hi")
    assert client.codex.limits is known


def test_the_weekly_window_may_be_the_first(client: Any, sim: Simulator) -> None:
    sim.limits = SimulatedLimits(primary=SimulatedWindow(90, minutes=10080), secondary=None)
    client.responses.create(input="hi")
    assert used(client) == [("weekly", 90)]
    assert client.codex.limits.five_hours is None


# Asking


def test_refreshing_asks_and_tells_everything(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, additional=(SimulatedAdditionalLimit(),), has_credits=True, credit_balance="12.50")
    found = client.codex.refresh_limits()
    assert found == client.codex.limits
    assert [limit.name for limit in found.additional] == ["GPT-X-Spark"]
    assert str(found.credits) == "12.50"
    assert asked(sim) == ["usage"]


def test_what_only_usage_knows_stays_when_headers_come_in(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, additional=(SimulatedAdditionalLimit(),))
    client.codex.usage()
    sim.limits = SimulatedLimits(primary=SimulatedWindow(50, minutes=300))
    client.responses.create(input="hi")
    assert used(client) == [("5 h", 50), ("weekly", 34)]
    assert client.codex.limits.limit("GPT-X-Spark").windows[0].used_percent == 1
    client.codex.usage()
    assert client.codex.limits.additional == ()


def test_the_usage_report_is_the_usage_answer_typed(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, reset_credits=2)
    report = client.codex.usage_report()
    assert (report.plan, report.email, report.reset_credits) == ("pro", "user@example.com", 2)
    assert report.account_id == sim.account.account_id
    assert report.limits == client.codex.limits
    assert client.codex.usage()["rate_limit_reset_credits"] == {"available_count": 2}


# on_limits


def test_on_limits_hears_of_changes_only(new_client: Callable[..., Any], sim: Simulator) -> None:
    heard: list[RateLimits] = []
    # Windows that do not end meanwhile.
    sim.limits = SimulatedLimits(
        primary=SimulatedWindow(12, minutes=300, resets_at=datetime.now(UTC) + FIVE_HOURS), secondary=None
    )
    client = new_client(on_limits=heard.append)
    client.responses.create(input="hi")
    client.responses.create(input="hi")
    first = len(heard)
    assert 1 <= first <= 4  # headers know less than the event
    client.codex.usage()
    before = len(heard)
    client.codex.usage()
    assert len(heard) == before
    sim.limits = replace(sim.limits, primary=SimulatedWindow(13, minutes=300, resets_at=sim.limits.primary.resets_at))
    client.codex.usage()
    assert [limits.windows[0].used_percent for limits in heard] == [12] * before + [13]
    assert heard[-1] is client.codex.limits


def test_on_limits_hears_of_a_refusal_before_the_caller_does(new_client: Callable[..., Any], sim: Simulator) -> None:
    heard: list[bool] = []
    client = new_client(on_limits=lambda limits: heard.append(limits.is_exhausted))
    sim.fail("usage_limit")
    with pytest.raises(UsageLimitError):
        client.responses.create(input="hi")
    assert heard == [True]


def test_a_failing_on_limits_breaks_no_call(
    new_client: Callable[..., Any], sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(limits: RateLimits) -> None:
        raise RuntimeError("not today")

    client = new_client(on_limits=fail)
    assert client.responses.create(input="Say hello").output_text == "hello"
    assert "not today" in caplog.text
    assert used(client) == [("5 h", 12), ("weekly", 34)]


def test_on_limits_may_use_the_client(sim: Simulator) -> None:
    seen: list[Any] = []
    with sim.client(on_limits=lambda limits: seen.append(client.codex.limits)) as client:
        client.responses.create(input="hi")
    assert seen
    assert all(isinstance(each, RateLimits) for each in seen)


def test_a_coroutine_function_is_refused_at_once(new_client: Callable[..., Any]) -> None:
    async def on_limits(limits: RateLimits) -> None:
        pass

    with pytest.raises(TypeError, match="plain function"):
        new_client(on_limits=on_limits)
    with pytest.raises(TypeError, match="plain function"):
        new_client().with_options(on_limits=on_limits)


# Copies, accounts, threads


def test_copies_know_what_the_others_know(client: Any) -> None:
    copy = client.with_options(model="gpt-5.5")
    copy.responses.create(input="hi")
    assert client.codex.limits is copy.codex.limits is not None


def test_a_copy_may_have_an_on_limits_of_its_own(new_client: Callable[..., Any]) -> None:
    mine: list[RateLimits] = []
    client = new_client()
    client.with_options(on_limits=mine.append).responses.create(input="hi")
    assert mine[-1] is client.codex.limits
    count = len(mine)
    client.responses.create(input="hi")
    assert len(mine) == count


def test_a_copy_inherits_on_limits(new_client: Callable[..., Any]) -> None:
    heard: list[RateLimits] = []
    new_client(on_limits=heard.append).with_options(model="gpt-5.5").responses.create(input="hi")
    assert heard


def test_another_login_has_other_limits(new_client: Callable[..., Any], sim: Simulator) -> None:
    heard: list[RateLimits] = []
    client = new_client(on_limits=heard.append)
    client.responses.create(input="hi")
    count = len(heard)
    copy = client.with_options(credentials=sim.credentials())
    assert copy.codex.limits is None
    copy.responses.create(input="hi")
    assert len(heard) > count  # it is told, too


HEADERS = {"x-codex-primary-used-percent": "5", "x-codex-primary-window-minutes": "300"}


def test_limits_of_another_account_are_forgotten() -> None:
    seen = LimitsTracker(now=lambda: NOW)
    seen.record_usage({"plan_type": "pro", "credits": {"has_credits": True, "unlimited": True}}, account_id="a")
    seen.record_headers(httpx2.Headers(HEADERS), account_id="a")
    assert seen.newest is not None
    assert seen.newest.plan == "pro"
    seen.record_headers(httpx2.Headers(HEADERS), account_id="b")
    assert seen.newest.plan is None
    assert seen.newest.credits is None


def test_answers_are_read_in_the_order_in_which_they_came() -> None:
    times = iter(NOW + timedelta(seconds=number) for number in range(100))
    seen = LimitsTracker(now=lambda: next(times))
    seen.record_headers(httpx2.Headers(HEADERS), account_id="a")
    seen.record_event({**EVENT, "credits": {"has_credits": True, "unlimited": True}}, account_id="a")
    seen.record_headers(httpx2.Headers({**HEADERS, "x-codex-primary-used-percent": "6"}), account_id="a")
    limits = seen.newest
    assert limits is not None
    assert limits.seen_at == NOW + timedelta(seconds=2)
    assert (limits.plan, [window.used_percent for window in limits.windows]) == ("plus", [6])


def test_unread_answers_do_not_pile_up() -> None:
    state = LimitsState(now=lambda: NOW)
    seen = LimitsTracker(now=lambda: NOW, state=state)
    for number in range(1000):
        headers = {**HEADERS, f"x-{number}-primary-used-percent": "1"}
        seen.record_headers(httpx2.Headers(headers), account_id="a")
        assert len(state._pending) <= 8
    assert seen.newest is not None
    assert len(seen.newest.additional) == 1000


def test_many_threads_lose_nothing() -> None:
    heard: list[RateLimits] = []
    seen = LimitsTracker(now=lambda: NOW, on_limits=heard.append)

    def tell(number: int) -> None:
        for _ in range(20):
            headers = httpx2.Headers({f"x-limit-{number}-primary-used-percent": "1"})
            seen.record_headers(headers, account_id="a")

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.newest is not None
    assert {limit.id for limit in seen.newest.additional} == {f"limit_{number}" for number in range(8)}
    assert any(limits == seen.newest for limits in heard)


# Reset credits


def test_reset_credits_are_listed_and_used_on_demand_only(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, reset_credits=2)
    credits = client.codex.reset_credits.list()
    assert credits.available_count == 2
    assert [credit.is_available for credit in credits] == [True, True]
    assert asked(sim) == ["rate-limit-reset-credits"]
    result = client.codex.reset_credits.consume(credits.credits[1].id)
    assert (result.code, result.windows_reset, result.was_reset) == ("reset", 2, True)
    assert sim.requests[-1].json() == {
        "redeem_request_id": result.redeem_request_id,
        "credit_id": credits.credits[1].id,
    }
    assert sim.limits.reset_credits == 1
    client.codex.refresh_limits()
    assert used(client) == [("5 h", 0), ("weekly", 0)]


def test_the_same_key_uses_no_second_credit(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, reset_credits=2)
    first = client.codex.reset_credits.consume(redeem_request_id="mine")
    again = client.codex.reset_credits.consume(redeem_request_id="mine")
    assert (first.code, again.code, again.redeem_request_id) == ("reset", "already_redeemed", "mine")
    assert sim.limits.reset_credits == 1


def test_all_attempts_of_a_call_have_one_key(new_client: Callable[..., Any], sim: Simulator) -> None:
    sim.limits = replace(sim.limits, reset_credits=2)
    sim.fail("status:503@consume", "reset@consume")
    result = new_client(max_retries=2).codex.reset_credits.consume()
    # The answer that was lost had used the credit up.
    assert (result.code, result.was_reset, sim.limits.reset_credits) == ("already_redeemed", True, 1)
    assert [request.json()["redeem_request_id"] for request in sim.requests] == [result.redeem_request_id] * 3


def test_every_call_has_a_key_of_its_own(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, reset_credits=2)
    keys = {client.codex.reset_credits.consume().redeem_request_id for _ in range(2)}
    assert len(keys) == 2


def test_a_failed_call_names_its_key(client: Any, sim: Simulator) -> None:
    sim.fail("status:503@consume")
    with pytest.raises(openai.InternalServerError) as caught:
        client.codex.reset_credits.consume(redeem_request_id="mine")
    assert "consume(redeem_request_id='mine')" in caught.value.__notes__[0]
    sim.fail("status:503@reset_credits")
    with pytest.raises(openai.InternalServerError) as caught:
        client.codex.reset_credits.list()
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("method", ["list", "consume"])
def test_an_account_without_reset_credits_is_told_so(client: Any, sim: Simulator, method: str) -> None:
    sim.limits = replace(sim.limits, reset_credits=None)
    with pytest.raises(openai.NotFoundError, match="has no reset credits for this account"):
        getattr(client.codex.reset_credits, method)()
    assert client.codex.usage_report().reset_credits is None


def test_the_account_is_asked_beside_any_backend(sim: Simulator) -> None:
    paths: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.path)
        return httpx2.Response(200, json={"code": "reset"})

    http_client = httpx2.Client(transport=httpx2.MockTransport(answer))
    with OpenAI(base_url="https://example.com/v1", credentials=sim.credentials(), http_client=http_client) as client:
        client.codex.reset_credits.consume()
    assert paths[-1] == "/v1/api/codex/rate-limit-reset-credits/consume"
