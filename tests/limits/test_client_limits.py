"""Test `client.codex.limits`, usage reports, `on_limits` and reset credits, on both clients."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from support.calls import requested_paths

from codex_backend_sdk import OpenAI, RateLimits, UsageLimitError
from codex_backend_sdk.testing import SimulatedAdditionalLimit, SimulatedLimits, SimulatedWindow, Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FIVE_HOURS = timedelta(hours=5)


@pytest.fixture(autouse=True)
def clean_simulator(sim: Simulator) -> Iterator[None]:
    yield
    sim.clear()


def used_percents(client: Any) -> list[tuple[str, float]]:
    limits = client.codex.limits
    return [(window.name, window.used_percent) for window in limits.windows]


# Limits in responses


def test_limits_are_none_before_the_first_response(client: Any, sim: Simulator) -> None:
    assert client.codex.limits is None
    assert requested_paths(sim) == []


def test_every_response_reports_limits(client: Any, sim: Simulator) -> None:
    before = datetime.now(UTC)
    client.responses.create(input="hi")
    limits = client.codex.limits
    assert used_percents(client) == [("5 h", 12), ("weekly", 34)]
    assert (limits.plan, limits.is_exhausted) == ("pro", False)
    assert before <= limits.received_at <= datetime.now(UTC)
    assert limits.five_hours.resets_at > before
    assert requested_paths(sim) == ["responses"]


def test_headers_alone_report_limits(client: Any, sim: Simulator) -> None:
    sim.script(Turn.events([{"type": "response.completed", "response": {"id": "r", "output": []}}]))
    client.responses.create(input="hi")
    assert used_percents(client) == [("5 h", 12), ("weekly", 34)]
    assert client.codex.limits.plan is None  # not in the headers


EVENT = {
    "type": "codex.rate_limits",
    "plan_type": "plus",
    "rate_limits": {"primary": {"used_percent": 77, "window_minutes": 300}},
}
END = {"type": "response.completed", "response": {"id": "r", "output": []}}


@pytest.mark.parametrize("stream", [False, True])
def test_event_reports_limits_streamed_or_not(client: Any, sim: Simulator, stream: bool) -> None:
    sim.script(Turn.events([EVENT, END]))
    result = client.responses.create(input="hi", stream=stream)
    if stream:
        assert [event.type for event in result] == ["response.completed"]
    assert used_percents(client) == [("5 h", 77), ("weekly", 34)]
    assert client.codex.limits.plan == "plus"


def test_invalid_event_is_ignored(client: Any, sim: Simulator) -> None:
    sim.script(Turn.events([{"type": "codex.rate_limits", "limit_name": [1], "rate_limits": "much"}, END]))
    assert client.responses.create(input="hi").status == "completed"
    assert used_percents(client) == [("5 h", 12), ("weekly", 34)]


def test_usage_limit_error_reports_limits(client: Any, sim: Simulator) -> None:
    sim.script(Turn.text("hi"), Turn.usage_limit("plus", timedelta(hours=1)))
    client.responses.create(input="hi")
    with pytest.raises(UsageLimitError) as caught:
        client.responses.create(input="hi")
    limits = client.codex.limits
    assert used_percents(client) == [("5 h", 100), ("weekly", 34)]  # the error reports the exhausted window
    assert limits.is_exhausted
    assert limits.exhausted_window.resets_at == limits.five_hours.resets_at == caught.value.resets_at


REFUSAL = {"type": "usage_limit_reached", "message": "no"}


def test_refusal_in_a_stream_at_99_percent_is_exhausted(client: Any, sim: Simulator) -> None:
    sim.limits = SimulatedLimits(primary=SimulatedWindow(99, minutes=300), secondary=SimulatedWindow(34, minutes=10080))
    sim.script(Turn.events([{"type": "response.failed", "response": {"id": "r", "error": REFUSAL}}]))
    with pytest.raises(UsageLimitError) as caught:
        client.responses.create(input="hi")
    for limits in (client.codex.limits, caught.value.limits):
        assert (limits.is_exhausted, limits.exhausted_window.used_percent) == (True, 99)
    client.responses.create(input="hi")
    assert not client.codex.limits.is_exhausted  # the backend accepts requests again


@pytest.mark.parametrize("active_limit", ["codex", "codex_spark"])
def test_refused_status_at_99_percent_is_exhausted(sim: Simulator, active_limit: str) -> None:
    headers = {
        "x-codex-primary-used-percent": "99",
        "x-codex-spark-primary-used-percent": "98",
        "x-codex-spark-limit-name": "Spark",
        "x-codex-active-limit": active_limit,
    }
    transport = httpx2.MockTransport(lambda request: httpx2.Response(429, headers=headers, json={"error": REFUSAL}))
    with sim.client(http_client=httpx2.Client(transport=transport), workspace_routing=False) as client:
        with pytest.raises(UsageLimitError):
            client.responses.create(input="hi")
        limits = client.codex.limits
    assert limits is not None
    spark = limits.limit("Spark")
    assert spark is not None
    assert (limits.is_exhausted, spark.is_exhausted) == (active_limit == "codex", active_limit != "codex")


def test_model_limit_leaves_the_plans_own(client: Any, sim: Simulator) -> None:
    sim.fail("usage_limit_model:Spark")
    with pytest.raises(UsageLimitError):
        client.responses.create(input="hi")
    limits = client.codex.limits
    assert (limits.active_limit, limits.is_exhausted) == ("codex_bengalfox", False)
    assert limits.limit("Spark") is limits.limit("codex_bengalfox")
    assert limits.limit("Spark").is_exhausted


def test_html_response_leaves_the_limits(client: Any, sim: Simulator) -> None:
    client.responses.create(input="hi")
    known = client.codex.limits
    sim.fail("cloudflare")
    with pytest.raises(openai.PermissionDeniedError):
        client.responses.create(input="hi")
    assert client.codex.limits is known


def test_weekly_window_may_come_first(client: Any, sim: Simulator) -> None:
    sim.limits = SimulatedLimits(primary=SimulatedWindow(90, minutes=10080), secondary=None)
    client.responses.create(input="hi")
    assert used_percents(client) == [("weekly", 90)]
    assert client.codex.limits.five_hours is None


# Usage reports


def test_refresh_limits_requests_the_usage(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, additional=(SimulatedAdditionalLimit(),), has_credits=True, credit_balance="12.50")
    limits = client.codex.refresh_limits()
    assert limits == client.codex.limits
    assert [limit.name for limit in limits.additional] == ["GPT-X-Spark"]
    assert str(limits.credits) == "12.50"
    assert requested_paths(sim) == ["usage"]


def test_headers_keep_what_only_usage_reports(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, additional=(SimulatedAdditionalLimit(),))
    client.codex.usage()
    sim.limits = SimulatedLimits(primary=SimulatedWindow(50, minutes=300))
    client.responses.create(input="hi")
    assert used_percents(client) == [("5 h", 50), ("weekly", 34)]
    assert client.codex.limits.limit("GPT-X-Spark").windows[0].used_percent == 1
    client.codex.usage()
    assert client.codex.limits.additional == ()


def test_usage_report_is_typed(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, reset_credits=2)
    report = client.codex.usage_report()
    assert (report.plan, report.email, report.reset_credits) == ("pro", "user@example.com", 2)
    assert report.account_id == sim.account.account_id
    assert report.limits == client.codex.limits
    assert client.codex.usage()["rate_limit_reset_credits"] == {"available_count": 2}


# on_limits


def test_on_limits_is_called_for_changes_only(new_client: Callable[..., Any], sim: Simulator) -> None:
    received: list[RateLimits] = []
    # Windows that do not reset during the test.
    sim.limits = SimulatedLimits(
        primary=SimulatedWindow(12, minutes=300, resets_at=datetime.now(UTC) + FIVE_HOURS), secondary=None
    )
    client = new_client(on_limits=received.append)
    client.responses.create(input="hi")
    client.responses.create(input="hi")
    assert [limits.plan for limits in received] == [None, "pro"]  # the first event adds what the headers lack
    client.codex.usage()
    before = len(received)
    client.codex.usage()
    assert len(received) == before
    sim.limits = replace(sim.limits, primary=SimulatedWindow(13, minutes=300, resets_at=sim.limits.primary.resets_at))
    client.codex.usage()
    assert [limits.windows[0].used_percent for limits in received] == [12] * before + [13]
    assert received[-1] is client.codex.limits


def test_on_limits_is_called_before_the_error_is_raised(new_client: Callable[..., Any], sim: Simulator) -> None:
    received: list[bool] = []
    client = new_client(on_limits=lambda limits: received.append(limits.is_exhausted))
    sim.fail("usage_limit")
    with pytest.raises(UsageLimitError):
        client.responses.create(input="hi")
    assert received == [True]


def test_exception_in_on_limits_does_not_break_the_call(
    new_client: Callable[..., Any], sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(limits: RateLimits) -> None:
        raise RuntimeError("not today")

    client = new_client(on_limits=fail)
    assert client.responses.create(input="Say hello").output_text == "hello"
    assert "not today" in caplog.text
    assert used_percents(client) == [("5 h", 12), ("weekly", 34)]


def test_on_limits_may_use_the_client(sim: Simulator) -> None:
    seen: list[Any] = []
    with sim.client(on_limits=lambda limits: seen.append(client.codex.limits)) as client:
        client.responses.create(input="hi")
    assert seen
    assert all(isinstance(limits, RateLimits) for limits in seen)


def test_coroutine_function_as_on_limits_is_rejected(new_client: Callable[..., Any]) -> None:
    async def on_limits(limits: RateLimits) -> None:
        pass

    with pytest.raises(TypeError, match="must be a synchronous function"):
        new_client(on_limits=on_limits)
    with pytest.raises(TypeError, match="must be a synchronous function"):
        new_client().with_options(on_limits=on_limits)


# Copies


def test_copies_share_limits(client: Any) -> None:
    copy = client.with_options(model="gpt-5.5")
    copy.responses.create(input="hi")
    assert client.codex.limits is copy.codex.limits is not None


def test_copy_may_have_its_own_on_limits(new_client: Callable[..., Any]) -> None:
    mine: list[RateLimits] = []
    client = new_client()
    client.with_options(on_limits=mine.append).responses.create(input="hi")
    assert mine[-1] is client.codex.limits
    count = len(mine)
    client.responses.create(input="hi")
    assert len(mine) == count


def test_copy_inherits_on_limits(new_client: Callable[..., Any]) -> None:
    received: list[RateLimits] = []
    new_client(on_limits=received.append).with_options(model="gpt-5.5").responses.create(input="hi")
    assert received


def test_copy_with_other_login_has_no_limits(new_client: Callable[..., Any], sim: Simulator) -> None:
    received: list[RateLimits] = []
    client = new_client(on_limits=received.append)
    client.responses.create(input="hi")
    count = len(received)
    copy = client.with_options(credentials=sim.credentials())
    assert copy.codex.limits is None
    copy.responses.create(input="hi")
    assert len(received) > count  # the copy inherits the callback


# Reset credits


def test_reset_credits_are_listed_and_consumed(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, reset_credits=2)
    credits = client.codex.reset_credits.list()
    assert credits.available_count == 2
    assert [credit.is_available for credit in credits] == [True, True]
    assert requested_paths(sim) == ["rate-limit-reset-credits"]
    result = client.codex.reset_credits.consume(credits.credits[1].id)
    assert (result.code, result.windows_reset, result.was_reset) == ("reset", 2, True)
    assert sim.requests[-1].json() == {
        "redeem_request_id": result.redeem_request_id,
        "credit_id": credits.credits[1].id,
    }
    assert sim.limits.reset_credits == 1
    client.codex.refresh_limits()
    assert used_percents(client) == [("5 h", 0), ("weekly", 0)]


def test_same_request_id_consumes_one_credit(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, reset_credits=2)
    first = client.codex.reset_credits.consume(redeem_request_id="mine")
    again = client.codex.reset_credits.consume(redeem_request_id="mine")
    assert (first.code, again.code, again.redeem_request_id) == ("reset", "already_redeemed", "mine")
    assert sim.limits.reset_credits == 1


def test_retries_share_the_request_id(new_client: Callable[..., Any], sim: Simulator) -> None:
    sim.limits = replace(sim.limits, reset_credits=2)
    sim.fail("status:503@consume", "reset@consume")
    result = new_client(max_retries=2).codex.reset_credits.consume()
    # The credit was consumed by the attempt whose response was lost.
    assert (result.code, result.was_reset, sim.limits.reset_credits) == ("already_redeemed", True, 1)
    assert [request.json()["redeem_request_id"] for request in sim.requests] == [result.redeem_request_id] * 3


def test_each_call_has_its_own_request_id(client: Any, sim: Simulator) -> None:
    sim.limits = replace(sim.limits, reset_credits=2)
    keys = {client.codex.reset_credits.consume().redeem_request_id for _ in range(2)}
    assert len(keys) == 2


def test_failed_call_notes_its_request_id(client: Any, sim: Simulator) -> None:
    sim.fail("status:503@consume")
    with pytest.raises(openai.InternalServerError) as caught:
        client.codex.reset_credits.consume(redeem_request_id="mine")
    assert "consume(redeem_request_id='mine')" in caught.value.__notes__[0]
    sim.fail("status:503@reset_credits")
    with pytest.raises(openai.InternalServerError) as caught:
        client.codex.reset_credits.list()
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("method", ["list", "consume"])
def test_account_without_reset_credits_is_not_found(client: Any, sim: Simulator, method: str) -> None:
    sim.limits = replace(sim.limits, reset_credits=None)
    with pytest.raises(openai.NotFoundError, match="has no reset credits for this account"):
        getattr(client.codex.reset_credits, method)()
    assert client.codex.usage_report().reset_credits is None


def test_account_endpoints_follow_base_url(sim: Simulator) -> None:
    paths: list[str] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.path)
        return httpx2.Response(200, json={"code": "reset"})

    http_client = httpx2.Client(transport=httpx2.MockTransport(respond))
    with OpenAI(base_url="https://example.com/v1", credentials=sim.credentials(), http_client=http_client) as client:
        client.codex.reset_credits.consume()
    assert paths[-1] == "/v1/api/codex/rate-limit-reset-credits/consume"
