"""Test workspace routing: looked up once per account, applied to requests, and restricted to allowed hosts."""

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
from support.calls import requested_paths
from support.sync_adapter import SyncAdapter

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
    with (
        Simulator(account=SimulatedAccount(plan="enterprise")) as configured_backend,
        Simulator(accepts_logins_of=configured_backend) as workspace_backend,
    ):
        yield configured_backend, workspace_backend


@pytest.fixture
def configured_backend(simulators: tuple[Simulator, Simulator]) -> Simulator:
    """The configured backend."""
    simulators[0].clear()
    simulators[0].routing = Routing()
    return simulators[0]


@pytest.fixture
def workspace_backend(simulators: tuple[Simulator, Simulator]) -> Simulator:
    """The dedicated backend of the workspace."""
    simulators[1].clear()
    return simulators[1]


@pytest.fixture
def new_member_client(new_client: Callable[..., Any], configured_backend: Simulator) -> Callable[..., Any]:
    """Create clients for a member of the workspace."""
    credentials = configured_backend.credentials()
    return lambda **options: new_client(
        **{"base_url": configured_backend.base_url, "credentials": credentials, **options}
    )


class FakeMonotonic:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# Applied routing


def test_model_requests_go_to_the_workspace_backend(
    new_member_client: Callable[..., Any], configured_backend: Simulator, workspace_backend: Simulator
) -> None:
    configured_backend.routing = Routing(origin=workspace_backend.url, override="us")
    client = new_member_client()
    assert client.codex.routing is None
    assert client.responses.create(input="hi").status == "completed"
    assert list(client.responses.create(input="hi", stream=True))[-1].type == "response.completed"
    client.responses.compact(model="gpt-5.5", input="hi")
    client.with_options(timeout=9).models.list()
    assert client.codex.routing == configured_backend.routing
    assert client.codex.explain(input="hi").prepared_request.url == f"{workspace_backend.base_url}/responses"
    client.codex.usage()
    assert requested_paths(configured_backend) == ["check", "usage"]
    assert requested_paths(workspace_backend) == ["responses", "responses", "responses", "models"]
    assert {request.headers[HEADER] for request in workspace_backend.requests} == {"us"}
    assert {f"http://{request.headers['host']}" for request in workspace_backend.requests} == {workspace_backend.url}
    assert all(HEADER not in request.headers for request in configured_backend.requests)


def test_routing_applies_after_a_401_and_a_retry(
    new_member_client: Callable[..., Any], configured_backend: Simulator, workspace_backend: Simulator
) -> None:
    configured_backend.routing = Routing(origin=workspace_backend.url, override="us_cr")
    workspace_backend.fail("unauthorized:token_expired", "overloaded")
    new_member_client(max_retries=1).responses.create(input="hi")
    assert requested_paths(configured_backend) == ["check", "token"]
    assert requested_paths(workspace_backend) == ["responses"] * 3
    assert [request.headers[HEADER] for request in workspace_backend.requests] == ["us_cr"] * 3


def test_override_alone_keeps_the_backend(new_member_client: Callable[..., Any], configured_backend: Simulator) -> None:
    configured_backend.routing = Routing(override="us")
    configured_backend.fail("workspace_map")
    new_member_client().responses.create(input="hi")
    assert requested_paths(configured_backend) == ["check", "responses"]
    assert configured_backend.requests[1].headers[HEADER] == "us"


def test_unconstrained_workspace_keeps_the_backend(
    new_member_client: Callable[..., Any], configured_backend: Simulator
) -> None:
    client = new_member_client()
    client.responses.create(input="hi")
    client.responses.create(input="hi")
    assert requested_paths(configured_backend) == ["check", "responses", "responses"]
    assert HEADER not in configured_backend.requests[1].headers
    assert client.codex.routing == Routing()


# Shared lookups


def test_twenty_concurrent_calls_share_one_lookup(
    new_member_client: Callable[..., Any], configured_backend: Simulator, workspace_backend: Simulator
) -> None:
    configured_backend.routing = Routing(origin=workspace_backend.url)
    configured_backend.fail("delayed:0.3@accounts")
    client = new_member_client()
    copies = [client.with_options(timeout=30), client]
    with ThreadPoolExecutor(20) as threads:
        responses = list(threads.map(lambda n: copies[n % 2].responses.create(input="hi"), range(20)))
    assert {response.status for response in responses} == {"completed"}
    assert requested_paths(configured_backend) == ["check"]
    assert len(workspace_backend.requests) == 20


def test_each_account_has_its_own_lookup(new_member_client: Callable[..., Any], configured_backend: Simulator) -> None:
    class SwitchingSource:
        name = "a source with two accounts"
        login = configured_backend.credentials().current()

        def ready(self) -> sdk.Login:
            return self.login

        current = ready

        def refresh(self, rejected: sdk.Login) -> sdk.Login:
            return self.login

    source = SwitchingSource()
    client = new_member_client(credentials=source)
    client.responses.create(input="hi")
    source.login = replace(source.login, account_id="acc-2")
    for _ in range(2):
        with pytest.raises(openai.PermissionDeniedError):
            client.responses.create(input="hi")
    assert requested_paths(configured_backend) == ["check", "responses", "check", "responses", "responses"]


def test_lookup_is_repeated_after_a_day(
    new_member_client: Callable[..., Any], configured_backend: Simulator, workspace_backend: Simulator
) -> None:
    clock = FakeMonotonic()
    client = new_member_client(workspace_routing=WorkspaceRouting(clock=clock))
    client.responses.create(input="hi")
    clock.now = DAY - 1
    client.responses.create(input="hi")
    configured_backend.routing = Routing(origin=workspace_backend.url)
    clock.now = DAY + 1
    client.responses.create(input="hi")
    assert requested_paths(configured_backend) == ["check", "responses", "responses", "check"]
    assert requested_paths(workspace_backend) == ["responses"]


@pytest.mark.parametrize(("plan", "residency", "has_lookup"), [("plus", "no_constraint", False), ("plus", "us", True)])
def test_lookup_depends_on_plan_and_residency(
    new_client: Callable[..., Any], plan: str, residency: str, has_lookup: bool
) -> None:
    with Simulator(account=SimulatedAccount(plan=plan, residency=residency)) as sim:
        client = new_client(base_url=sim.base_url, credentials=sim.credentials())
        client.responses.create(input="hi")
        assert requested_paths(sim) == ["check"] * has_lookup + ["responses"]
        region = sim.requests[-1].headers.get("x-openai-internal-codex-residency")
        assert region == (residency if has_lookup else None)
        assert client.codex.routing == Routing()


def test_lookup_can_be_turned_off(
    new_member_client: Callable[..., Any], configured_backend: Simulator, workspace_backend: Simulator
) -> None:
    configured_backend.routing = Routing(origin=workspace_backend.url)
    client = new_member_client(workspace_routing=False)
    client.responses.create(input="hi")
    client.with_options(timeout=9).responses.create(input="hi")
    new_member_client().with_options(workspace_routing=False).responses.create(input="hi")
    assert requested_paths(configured_backend) == ["responses"] * 3


def test_cache_evicts_beyond_a_thousand_accounts(configured_backend: Simulator) -> None:
    routing = WorkspaceRouting()
    login = configured_backend.credentials().current()
    for number in range(1001):
        routing.get(replace(login, account_id=f"acc-{number}"), backend=configured_backend.base_url)
    assert len(routing._entries) == 1000


# Failed lookups


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("status:500@accounts", "the response has status 500"),
        ("status:404@accounts", "the response has status 404"),
        ("redirect@accounts", "the response has status 307"),
        ("cloudflare@accounts", "the response has status 403"),
        ("html@accounts", "has no valid entry for this account"),
        ("empty@accounts", "has no valid entry for this account"),
        ("reset@accounts", r"the connection failed \((ReadError|RemoteProtocolError)\)"),
        ("cut_after_bytes:10@accounts", r"the connection failed \(\w+\)"),
        ("not_http@accounts", r"the connection failed \(RemoteProtocolError\)"),
        ("workspace_missing", "has no valid entry for this account"),
        ("workspace_duplicate", "contradictory entries"),
        ("workspace_origin", "has no origin"),
        ("workspace_origin:http://example.com", "is not https"),
        ("workspace_origin:http://127.0.0.1:1/path", "is not https, has an invalid host, or has a path"),
        ("workspace_origin:https://[v1.chatgpt.com]", "has an invalid host"),
        ("workspace_origin:https://a..chatgpt.com", "has an invalid host"),
        ("workspace_override:moon", "an unknown routing override"),
    ],
)
def test_failed_lookup_is_repeated_after_a_minute(
    new_member_client: Callable[..., Any],
    configured_backend: Simulator,
    fault: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeMonotonic()
    client = new_member_client(workspace_routing=WorkspaceRouting(clock=clock))
    configured_backend.fail(fault, times=2)
    for now in (0, MINUTE - 1, MINUTE + 1, 2 * MINUTE + 2):
        clock.now = now
        assert client.responses.create(input="hi").status == "completed"
    assert requested_paths(configured_backend) == [
        "check",
        "responses",
        "responses",
        "check",
        "responses",
        "check",
        "responses",
    ]
    (warning,) = warnings(caplog)
    caplog.clear()
    assert re.search(reason, warning)
    assert "Its requests go to base_url" in warning
    assert client.codex.routing == Routing()


def test_failed_lookup_keeps_the_cached_routing(
    new_member_client: Callable[..., Any],
    configured_backend: Simulator,
    workspace_backend: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeMonotonic()
    configured_backend.routing = Routing(origin=workspace_backend.url)
    client = new_member_client(workspace_routing=WorkspaceRouting(clock=clock))
    client.responses.create(input="hi")
    clock.now = DAY + 1
    configured_backend.fail("status:500@accounts")
    client.responses.create(input="hi")
    assert requested_paths(configured_backend) == ["check", "check"]
    assert requested_paths(workspace_backend) == ["responses", "responses"]
    assert "Its requests go to the same backend as before" in warnings(caplog)[0]


@pytest.mark.parametrize("fault", ["delayed:9@accounts", "throttled:10,0.1@accounts"])
def test_lookup_has_a_timeout(
    new_member_client: Callable[..., Any], configured_backend: Simulator, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    configured_backend.fail(fault)
    client = new_member_client(workspace_routing=WorkspaceRouting(timeout=0.4))
    assert client.responses.create(input="hi").status == "completed"
    assert "no complete response was received within 0.4 s" in warnings(caplog)[0]


def test_lookup_refreshes_a_rejected_login_once(
    new_member_client: Callable[..., Any], configured_backend: Simulator
) -> None:
    configured_backend.fail("unauthorized:token_expired@accounts")
    new_member_client().responses.create(input="hi")
    assert requested_paths(configured_backend) == ["check", "token", "check", "responses"]
    tokens = [request.headers.get("authorization") for request in configured_backend.requests]
    assert tokens[0] != tokens[2] == tokens[3]


def test_login_that_cannot_be_refreshed_ends_the_call(
    new_member_client: Callable[..., Any], configured_backend: Simulator
) -> None:
    configured_backend.fail("unauthorized:token_expired@accounts", "refresh_token_expired")
    with pytest.raises(sdk.LoginRequiredError, match="has expired"):
        new_member_client().responses.create(input="hi")
    assert requested_paths(configured_backend) == ["check", "token"]


def test_oversized_response_is_ignored(
    new_member_client: Callable[..., Any], configured_backend: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    entry = {
        "id": configured_backend.account.account_id,
        "workspace_backend_origin": "NO_CONSTRAINT",
        "account_routing_override": "us",
    }
    body = json.dumps({"accounts": [entry]}).encode()
    configured_backend.fail(Turn.raw(200, {}, b" " * (1 << 21) + body), Turn.raw(200, {}, body), route="accounts")
    for routing in (None, Routing(override="us")):
        client = new_member_client()
        client.responses.create(input="hi")
        assert client.codex.routing == routing
    assert "the response is larger than 1,000,000 bytes" in warnings(caplog)[0]


# Allowed hosts


@pytest.mark.parametrize(
    ("base_url", "origin", "hosts"),
    [
        (None, "https://eu.chatgpt.com", ["chatgpt.com", "eu.chatgpt.com"]),
        (None, "https://example.com", ["chatgpt.com", "chatgpt.com"]),
        (None, "http://eu.chatgpt.com", ["chatgpt.com", "chatgpt.com"]),
        (None, "http://127.0.0.1:9", ["chatgpt.com", "chatgpt.com"]),
        (None, "https://127.0.0.1:9", ["chatgpt.com", "chatgpt.com"]),
        (None, "https://chatgpt.com@example.com", ["chatgpt.com", "chatgpt.com"]),
        (None, "https://x[v1.chatgpt.com].example.com", ["chatgpt.com", "chatgpt.com"]),
        (None, "https://[v1.chatgpt.com]", ["chatgpt.com", "chatgpt.com"]),
        (None, "https://xn--a.chatgpt.com", ["chatgpt.com", "chatgpt.com"]),
        ("https://gateway.example.com/v1", "https://eu.chatgpt.com", ["gateway.example.com"]),
        ("http://127.0.0.1:9/backend-api/codex", "https://chatgpt.com", ["127.0.0.1", "127.0.0.1"]),
        ("http://127.0.0.1:9/backend-api/codex", "https://example.com", ["127.0.0.1", "127.0.0.1"]),
    ],
)
def test_login_is_sent_to_allowed_hosts_only(
    new_client: Callable[..., Any],
    configured_backend: Simulator,
    base_url: str | None,
    origin: str,
    hosts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def respond(request: httpx2.Request) -> httpx2.Response:
        urls.append(request.url)
        if request.url.path.endswith("/check"):
            entry = {
                "id": configured_backend.account.account_id,
                "workspace_backend_origin": origin,
                "account_routing_override": "NO_CONSTRAINT",
            }
            return httpx2.Response(200, json={"accounts": [entry]})
        return httpx2.Response(418, json={"detail": "no model here"})

    monkeypatch.delenv("CODEX_BASE_URL", raising=False)
    urls: list[httpx2.URL] = []
    client_class = httpx2.AsyncClient if isinstance(new_client(), SyncAdapter) else httpx2.Client
    client = new_client(
        base_url=base_url,
        credentials=configured_backend.credentials(),
        http_client=client_class(transport=httpx2.MockTransport(respond), follow_redirects=True),
    )
    with pytest.raises(openai.APIStatusError, match="no model here"):
        client.responses.create(input="hi")
    assert [url.host for url in urls] == hosts
    assert urls[-1].path == ("/v1/responses" if len(hosts) == 1 else "/backend-api/codex/responses")
    assert urls[-1].scheme == ("http" if hosts[0] == "127.0.0.1" else "https")


# Tasks and event loops


def test_lookup_is_repeated_after_its_task_is_cancelled(configured_backend: Simulator) -> None:
    async def run() -> tuple[int, str | None]:
        ticks = 0  # of 10 ms, while the lookup runs: the event loop is not blocked
        async with configured_backend.async_client() as client:
            client.credentials.current()  # so that the first task runs the lookup
            first = asyncio.create_task(client.responses.create(input="hi"))
            second = asyncio.create_task(client.responses.create(input="hi"))
            while "check" not in requested_paths(configured_backend) or ticks < 20:
                await asyncio.sleep(0.01)
                ticks += 1
            assert requested_paths(configured_backend) == ["check"]
            first.cancel()
            return ticks, (await second).status

    configured_backend.fail("delayed:20@accounts")
    ticks, status = asyncio.run(asyncio.wait_for(run(), 15))
    assert (ticks >= 20, status) == (True, "completed")
    assert requested_paths(configured_backend) == ["check", "check", "responses"]


def test_routing_is_shared_by_two_event_loops(configured_backend: Simulator) -> None:
    async def call() -> str | None:
        async with configured_backend.async_client(workspace_routing=routing, credentials=credentials) as client:
            return (await client.responses.create(input="hi")).status

    routing, credentials = WorkspaceRouting(), configured_backend.credentials()
    assert [asyncio.run(call()) for _ in range(2)] == ["completed", "completed"]
    assert requested_paths(configured_backend) == ["check", "responses", "responses"]


# Workspaces


def test_workspaces_lists_the_default_workspace(
    new_member_client: Callable[..., Any], configured_backend: Simulator
) -> None:
    configured_backend.fail("workspace_map")
    client = new_member_client()
    for _ in range(2):
        (workspace,) = client.codex.workspaces()
        assert (workspace.account_id, workspace.plan) == (configured_backend.account.account_id, "enterprise")
        assert workspace.is_default
        assert workspace.backend_origin == "NO_CONSTRAINT"
