"""Where a workspace's requests go: asked once, followed, and never to a place that must not have the login."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from support.blocking import Blocking

import codex_backend_sdk as sdk
from codex_backend_sdk import Routing
from codex_backend_sdk._routing.resolver import WorkspaceRouting
from codex_backend_sdk.testing import SimulatedAccount, Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEADER = "x-openai-account-routing-override"
MINUTE, DAY = 60, 24 * 3600


@pytest.fixture(scope="module")
def simulators() -> Iterator[tuple[Simulator, Simulator]]:
    with Simulator(account=SimulatedAccount(plan="enterprise")) as main, Simulator(accepts_logins_of=main) as own:
        yield main, own


@pytest.fixture
def main(simulators: tuple[Simulator, Simulator]) -> Simulator:
    """The backend that everybody knows."""
    simulators[0].clear()
    simulators[0].routing = Routing()
    return simulators[0]


@pytest.fixture
def own(simulators: tuple[Simulator, Simulator]) -> Simulator:
    """The workspace's own."""
    simulators[1].clear()
    return simulators[1]


@pytest.fixture
def member(new_client: Callable[..., Any], main: Simulator) -> Callable[..., Any]:
    """Make clients of somebody in the workspace."""
    signed_in = main.credentials()
    return lambda **options: new_client(**{"base_url": main.base_url, "credentials": signed_in, **options})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def asked(sim: Simulator) -> list[str]:
    return [request.path.rpartition("/")[2] for request in sim.requests]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# --- it is followed ---


def test_model_requests_go_to_the_backend_of_the_workspace(
    member: Callable[..., Any], main: Simulator, own: Simulator
) -> None:
    main.routing = Routing(origin=own.url, override="us")
    client = member()
    assert client.codex.routing is None
    assert client.responses.create(input="hi").status == "completed"
    assert list(client.responses.create(input="hi", stream=True))[-1].type == "response.completed"
    client.responses.compact(model="gpt-5.5", input="hi")
    client.with_options(timeout=9).models.list()
    assert client.codex.routing == main.routing
    assert client.codex.explain(input="hi").prepared_request.url == f"{own.base_url}/responses"
    client.codex.usage()
    assert asked(main) == ["check", "usage"]
    assert asked(own) == ["responses", "responses", "responses", "models"]
    assert {request.headers[HEADER] for request in own.requests} == {"us"}
    assert {f"http://{request.headers['host']}" for request in own.requests} == {own.url}
    assert all(HEADER not in request.headers for request in main.requests)


def test_it_survives_a_401_and_a_retry(member: Callable[..., Any], main: Simulator, own: Simulator) -> None:
    main.routing = Routing(origin=own.url, override="us_cr")
    own.fail("unauthorized:token_expired", "overloaded")
    member(max_retries=1).responses.create(input="hi")
    assert asked(main) == ["check", "token"]
    assert asked(own) == ["responses"] * 3
    assert [request.headers[HEADER] for request in own.requests] == ["us_cr"] * 3


def test_an_override_alone_stays_where_it_is(member: Callable[..., Any], main: Simulator) -> None:
    main.routing = Routing(override="us")
    main.fail("workspace_map")
    member().responses.create(input="hi")
    assert asked(main) == ["check", "responses"]
    assert main.requests[1].headers[HEADER] == "us"


def test_without_a_constraint_nothing_changes(member: Callable[..., Any], main: Simulator) -> None:
    client = member()
    client.responses.create(input="hi")
    client.responses.create(input="hi")
    assert asked(main) == ["check", "responses", "responses"]
    assert HEADER not in main.requests[1].headers
    assert client.codex.routing == Routing()


# --- it is asked once ---


def test_twenty_first_calls_ask_once(member: Callable[..., Any], main: Simulator, own: Simulator) -> None:
    main.routing = Routing(origin=own.url)
    main.fail("delayed:0.3@accounts")
    client = member()
    copies = [client.with_options(timeout=30), client]
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda n: copies[n % 2].responses.create(input="hi"), range(20)))
    assert {answer.status for answer in answers} == {"completed"}
    assert asked(main) == ["check"]
    assert len(own.requests) == 20


def test_another_account_is_asked_about_by_itself(member: Callable[..., Any], main: Simulator) -> None:
    class Changing:
        name = "a source of my own"
        login = main.credentials().current()

        def ready(self) -> sdk.Login:
            return self.login

        current = ready

        def renew(self, rejected: sdk.Login) -> sdk.Login:
            return self.login

    source = Changing()
    client = member(credentials=source)
    client.responses.create(input="hi")
    source.login = replace(source.login, account_id="acc-2")
    for _ in range(2):
        with pytest.raises(openai.PermissionDeniedError):
            client.responses.create(input="hi")
    assert asked(main) == ["check", "responses", "check", "responses", "responses"]


def test_it_is_asked_again_after_a_day(member: Callable[..., Any], main: Simulator, own: Simulator) -> None:
    clock = Clock()
    client = member(workspace_routing=WorkspaceRouting(clock=clock))
    client.responses.create(input="hi")
    clock.now = DAY - 1
    client.responses.create(input="hi")
    main.routing = Routing(origin=own.url)
    clock.now = DAY + 1
    client.responses.create(input="hi")
    assert asked(main) == ["check", "responses", "responses", "check"]
    assert asked(own) == ["responses"]


@pytest.mark.parametrize(("plan", "residency", "asks"), [("plus", "no_constraint", False), ("plus", "us", True)])
def test_a_personal_account_does_not_ask(new_client: Callable[..., Any], plan: str, residency: str, asks: bool) -> None:
    with Simulator(account=SimulatedAccount(plan=plan, residency=residency)) as sim:
        client = new_client(base_url=sim.base_url, credentials=sim.credentials())
        client.responses.create(input="hi")
        assert asked(sim) == ["check"] * asks + ["responses"]
        region = sim.requests[-1].headers.get("x-openai-internal-codex-residency")
        assert region == (residency if asks else None)
        assert client.codex.routing == Routing()


def test_it_can_be_switched_off(member: Callable[..., Any], main: Simulator, own: Simulator) -> None:
    main.routing = Routing(origin=own.url)
    client = member(workspace_routing=False)
    client.responses.create(input="hi")
    client.with_options(timeout=9).responses.create(input="hi")
    member().with_options(workspace_routing=False).responses.create(input="hi")
    assert asked(main) == ["responses"] * 3


def test_no_more_accounts_are_kept_than_fit(main: Simulator) -> None:
    known = WorkspaceRouting()
    login = main.credentials().current()
    for number in range(1001):
        known.known(replace(login, account_id=f"acc-{number}"), backend=main.base_url)
    assert len(known._accounts) == 1000


# --- it fails ---


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("status:500@accounts", "it answered with status 500"),
        ("status:404@accounts", "it answered with status 404"),
        ("redirect@accounts", "it answered with status 307"),
        ("cloudflare@accounts", "it answered with status 403"),
        ("html@accounts", "has no entry for this account"),
        ("empty@accounts", "has no entry for this account"),
        ("reset@accounts", r"could not be reached \((ReadError|RemoteProtocolError)\)"),
        ("cut_after_bytes:10@accounts", r"could not be reached \(\w+\)"),
        ("not_http@accounts", r"could not be reached \(RemoteProtocolError\)"),
        ("workspace_missing", "has no entry for this account"),
        ("workspace_duplicate", "contradict each other"),
        ("workspace_origin", "names no origin"),
        ("workspace_origin:http://example.com", "is not https"),
        ("workspace_origin:http://127.0.0.1:1/path", "is not https, or has a path"),
        ("workspace_override:moon", "a routing override that is not known here"),
    ],
)
def test_a_question_that_fails_lets_the_calls_go_on_and_is_put_again(
    member: Callable[..., Any], main: Simulator, fault: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    client = member(workspace_routing=WorkspaceRouting(clock=clock))
    main.fail(fault, times=2)
    for now in (0, MINUTE - 1, MINUTE + 1, 2 * MINUTE + 2):
        clock.now = now
        assert client.responses.create(input="hi").status == "completed"
    assert asked(main) == ["check", "responses", "responses", "check", "responses", "check", "responses"]
    (warning,) = warnings(caplog)
    caplog.clear()
    assert re.search(reason, warning)
    assert "They go to base_url" in warning
    assert client.codex.routing == Routing()


def test_what_was_known_is_kept_when_it_fails(
    member: Callable[..., Any], main: Simulator, own: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    main.routing = Routing(origin=own.url)
    client = member(workspace_routing=WorkspaceRouting(clock=clock))
    client.responses.create(input="hi")
    clock.now = DAY + 1
    main.fail("status:500@accounts")
    client.responses.create(input="hi")
    assert asked(main) == ["check", "check"]
    assert asked(own) == ["responses", "responses"]
    assert "They go where they went before" in warnings(caplog)[0]


@pytest.mark.parametrize("fault", ["delayed:9@accounts", "throttled:10,0.1@accounts"])
def test_a_slow_answer_is_not_waited_for(
    member: Callable[..., Any], main: Simulator, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    main.fail(fault)
    client = member(workspace_routing=WorkspaceRouting(limit=0.4))
    assert client.responses.create(input="hi").status == "completed"
    assert "the answer did not end within 0.4 s" in warnings(caplog)[0]


def test_a_401_renews_the_login_and_asks_once_more(member: Callable[..., Any], main: Simulator) -> None:
    main.fail("unauthorized:token_expired@accounts")
    member().responses.create(input="hi")
    assert asked(main) == ["check", "token", "check", "responses"]
    tokens = [request.headers.get("authorization") for request in main.requests]
    assert tokens[0] != tokens[2] == tokens[3]


def test_a_login_that_cannot_be_renewed_is_said_as_ever(member: Callable[..., Any], main: Simulator) -> None:
    main.fail("unauthorized:token_expired@accounts", "refresh_token_expired")
    with pytest.raises(sdk.LoginRequiredError, match="has expired"):
        member().responses.create(input="hi")
    assert asked(main) == ["check", "token"]


def test_an_endless_answer_is_not_read(
    member: Callable[..., Any], main: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    entry = {
        "id": main.account.account_id,
        "workspace_backend_origin": "NO_CONSTRAINT",
        "account_routing_override": "us",
    }
    body = json.dumps({"accounts": [entry]}).encode()
    main.fail(Turn.raw(200, {}, b" " * (1 << 21) + body), Turn.raw(200, {}, body), route="accounts")
    for routing in (None, Routing(override="us")):
        client = member()
        client.responses.create(input="hi")
        assert client.codex.routing == routing
    assert "has no entry" in warnings(caplog)[0]


# --- where the login goes ---


@pytest.mark.parametrize(
    ("base_url", "origin", "hosts"),
    [
        (None, "https://eu.chatgpt.com", ["chatgpt.com", "eu.chatgpt.com"]),
        (None, "https://example.com", ["chatgpt.com", "chatgpt.com"]),
        (None, "http://eu.chatgpt.com", ["chatgpt.com", "chatgpt.com"]),
        (None, "http://127.0.0.1:9", ["chatgpt.com", "chatgpt.com"]),
        (None, "https://127.0.0.1:9", ["chatgpt.com", "chatgpt.com"]),
        (None, "https://chatgpt.com@example.com", ["chatgpt.com", "chatgpt.com"]),
        ("https://gateway.example.com/v1", "https://eu.chatgpt.com", ["gateway.example.com"]),
        ("http://127.0.0.1:9/backend-api/codex", "https://chatgpt.com", ["127.0.0.1", "127.0.0.1"]),
        ("http://127.0.0.1:9/backend-api/codex", "https://example.com", ["127.0.0.1", "127.0.0.1"]),
    ],
)
def test_the_login_goes_nowhere_else(
    new_client: Callable[..., Any],
    main: Simulator,
    base_url: str | None,
    origin: str,
    hosts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        heard.append(request.url)
        if request.url.path.endswith("/check"):
            entry = {
                "id": main.account.account_id,
                "workspace_backend_origin": origin,
                "account_routing_override": "NO_CONSTRAINT",
            }
            return httpx2.Response(200, json={"accounts": [entry]})
        return httpx2.Response(418, json={"detail": "no model here"})

    monkeypatch.delenv("CODEX_BASE_URL", raising=False)
    heard: list[httpx2.URL] = []
    kind = httpx2.AsyncClient if isinstance(new_client(), Blocking) else httpx2.Client
    client = new_client(
        base_url=base_url,
        credentials=main.credentials(),
        http_client=kind(transport=httpx2.MockTransport(answer), follow_redirects=True),
    )
    with pytest.raises(openai.APIStatusError, match="no model here"):
        client.responses.create(input="hi")
    assert [url.host for url in heard] == hosts
    assert heard[-1].path == ("/v1/responses" if len(hosts) == 1 else "/backend-api/codex/responses")
    assert heard[-1].scheme == ("http" if hosts[0] == "127.0.0.1" else "https")


# --- tasks ---


def test_the_event_loop_goes_on_and_a_cancelled_task_takes_the_question_along(main: Simulator) -> None:
    async def run() -> tuple[int, str | None]:
        ticks = 0  # of 10 ms, while the question is open
        async with main.async_client() as client:
            client.credentials.current()  # so that the first task is the one that asks
            first = asyncio.create_task(client.responses.create(input="hi"))
            second = asyncio.create_task(client.responses.create(input="hi"))
            while "check" not in asked(main) or ticks < 20:
                await asyncio.sleep(0.01)
                ticks += 1
            assert asked(main) == ["check"]
            first.cancel()
            return ticks, (await second).status

    main.fail("delayed:20@accounts")
    ticks, status = asyncio.run(asyncio.wait_for(run(), 15))
    assert (ticks >= 20, status) == (True, "completed")
    assert asked(main) == ["check", "check", "responses"]


def test_one_client_in_two_event_loops(main: Simulator) -> None:
    async def call() -> str | None:
        async with main.async_client(workspace_routing=known, credentials=signed_in) as client:
            return (await client.responses.create(input="hi")).status

    known, signed_in = WorkspaceRouting(), main.credentials()
    assert [asyncio.run(call()) for _ in range(2)] == ["completed", "completed"]
    assert asked(main) == ["check", "responses", "responses"]


# --- the accounts themselves ---


def test_the_accounts_of_a_login(member: Callable[..., Any], main: Simulator) -> None:
    main.fail("workspace_map")
    client = member()
    for _ in range(2):
        (workspace,) = client.codex.workspaces()
        assert (workspace.account_id, workspace.plan) == (main.account.account_id, "enterprise")
        assert workspace.is_default
        assert workspace.backend_origin == "NO_CONSTRAINT"
