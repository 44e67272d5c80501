"""Test the parsing of workspaces and their routing."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codex_backend_sdk._routing.workspace_parsing import (
    RoutingProblem,
    apply_routing,
    needs_lookup,
    parse_routing,
    parse_workspaces,
)
from codex_backend_sdk._urls import LOOPBACK_HOSTS
from codex_backend_sdk.types import Login, Routing, Secret, Workspace

OPENAI = "https://chatgpt.com/backend-api/codex/"
LOCAL = "http://127.0.0.1:9000/backend-api/codex/"
LOCAL_TLS = "https://localhost:9000/backend-api/codex/"


def login(plan: str | None = "enterprise", **claims: Any) -> Login:
    return Login(access_token=Secret("x"), **{"account_id": "acc-1", "plan": plan, **claims})


def entry(origin: object = "NO_CONSTRAINT", override: object = "NO_CONSTRAINT", **members: Any) -> dict[str, Any]:
    return {"id": "acc-1", "workspace_backend_origin": origin, "account_routing_override": override, **members}


def parse(*entries: object, backend: str = OPENAI) -> Routing | RoutingProblem:
    return parse_routing(json.dumps({"accounts": entries}).encode(), account_id="acc-1", backend=backend)


# Which logins and backends need a lookup


@pytest.mark.parametrize(
    ("user_login", "expected"),
    [
        *[(login(plan), False) for plan in ("free", "go", "plus", "pro", "prolite", "promax")],
        *[(login(plan), True) for plan in ("team", "business", "enterprise", "edu", "future_plan", None)],
        (login("pro", residency="eu"), True),
        (login("pro", is_fedramp=True), True),
        (login(account_id=None), False),
        (login(account_id=""), False),
    ],
)
def test_personal_plan_without_region_needs_no_lookup(user_login: Login, expected: bool) -> None:
    assert needs_lookup(user_login, backend=OPENAI) is expected


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        (OPENAI, True),
        ("https://gov.chatgpt.com/backend-api/codex", True),
        (LOCAL, True),
        (LOCAL_TLS, True),
        ("https://gateway.example.com/backend-api/codex", False),
        ("https://notchatgpt.com/backend-api/codex", False),
        ("https://chatgpt.com.example.com/backend-api/codex", False),
    ],
)
def test_gateway_needs_no_lookup(backend: str, expected: bool) -> None:
    assert needs_lookup(login(), backend=backend) is expected


# The routing of one account


@pytest.mark.parametrize(
    ("backend", "origin", "expected"),
    [
        (OPENAI, "NO_CONSTRAINT", None),
        (OPENAI, "https://chatgpt.com", None),
        (OPENAI, "https://CHATGPT.com:443/", None),
        (OPENAI, "https://eu.chatgpt.com", "https://eu.chatgpt.com"),
        (OPENAI, "https://eu.chatgpt.com/", "https://eu.chatgpt.com"),
        (OPENAI, "https://eu.api.openai.com:8443", "https://eu.api.openai.com:8443"),
        (LOCAL, "http://localhost:9001", "http://localhost:9001"),
        (LOCAL, "http://[::1]:9001", "http://[::1]:9001"),
        (LOCAL, "https://127.0.0.1:9001", "https://127.0.0.1:9001"),
        (LOCAL, "https://chatgpt.com", None),
        (LOCAL, "https://example.com", None),
        (LOCAL_TLS, "https://chatgpt.com", None),
    ],
)
def test_acceptable_origin_is_followed(backend: str, origin: str, expected: str | None) -> None:
    assert parse(entry(origin), backend=backend) == Routing(origin=expected)


@pytest.mark.parametrize(("override", "expected"), [("NO_CONSTRAINT", None), ("us", "us"), ("us_cr", "us_cr")])
def test_override_is_parsed(override: str, expected: str | None) -> None:
    assert parse(entry(override=override)) == Routing(override=expected)


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([], RoutingProblem.NO_ENTRY),
        ([entry(id="acc-2")], RoutingProblem.NO_ENTRY),
        (["acc-1", None, {"id": 1}], RoutingProblem.NO_ENTRY),
        ([entry(), entry(override="us")], RoutingProblem.DUPLICATE),
        ([entry(None)], RoutingProblem.NO_ORIGIN),
        ([entry("")], RoutingProblem.NO_ORIGIN),
        ([entry(7)], RoutingProblem.NO_ORIGIN),
        ([entry(override="eu")], RoutingProblem.UNKNOWN_OVERRIDE),
        ([entry(override=None)], RoutingProblem.UNKNOWN_OVERRIDE),
        *[
            ([entry(origin)], RoutingProblem.INVALID_ORIGIN)
            for origin in (
                "http://chatgpt.com",
                "http://eu.chatgpt.com",
                "http://127.0.0.1:9000",
                "http://localhost",
                "https://x[v1.chatgpt.com].evil.test",
                "https://[v1.chatgpt.com]",
                "https://xn--a.chatgpt.com",
                "https://a..chatgpt.com",
                "https://evil.test%2f.chatgpt.com",
                "wss://eu.chatgpt.com",
                "eu.chatgpt.com",
                "//eu.chatgpt.com",
                "https://",
                "https://eu.chatgpt.com/backend-api",
                "https://eu.chatgpt.com?x",
                "https://eu.chatgpt.com#x",
                "https://me@eu.chatgpt.com",
                "https://me:secret@eu.chatgpt.com",
                "https://chatgpt.com@example.com",
                "https://chatgpt.com\\@example.com",
                " https://eu.chatgpt.com",
                "https://eu.chatgpt.com\n",
                "https://eu.chatgpt.com:port",
                "https://e\u0445.chatgpt.com",
                "javascript:alert(1)",
            )
        ],
        *[
            ([entry(origin)], RoutingProblem.FOREIGN_ORIGIN)
            for origin in (
                "https://example.com",
                "https://notchatgpt.com",
                "https://chatgpt.com.example.com",
                "https://chatgpt.com.",
                "https://localhost",
                "https://127.0.0.1:9000",
                "https://[::1]",
                "https://169.254.169.254",
                "https://xn--hatgpt-9xf.com",
            )
        ],
    ],
)
def test_unacceptable_response_is_a_problem(entries: list[object], problem: RoutingProblem) -> None:
    assert parse(*entries) is problem


def test_loopback_with_tls_is_not_downgraded() -> None:
    assert parse(entry("http://127.0.0.1:9001"), backend=LOCAL_TLS) is RoutingProblem.INVALID_ORIGIN


def test_consistent_duplicate_entries_are_accepted() -> None:
    assert parse(entry(override="us"), entry(override="us", name="again")) == Routing(override="us")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"accounts": null}', b'{"accounts": 1}', b"\xff"])
def test_invalid_body_has_no_entry(body: bytes) -> None:
    assert parse_routing(body, account_id="acc-1", backend=OPENAI) is RoutingProblem.NO_ENTRY


# Workspaces


def test_list_of_accounts_has_all_workspaces() -> None:
    ours = entry(name="Ours", plan_type="team", structure="workspace")
    body = {"accounts": [ours, {"account_id": "acc-2"}, {"id": ""}], "default_account_id": "acc-2"}
    other = Workspace(
        account_id="acc-2",
        name=None,
        plan=None,
        structure=None,
        is_default=True,
        backend_origin=None,
        routing_override=None,
    )
    assert parse_workspaces(body) == [
        Workspace(
            account_id="acc-1",
            name="Ours",
            plan="team",
            structure="workspace",
            is_default=False,
            backend_origin="NO_CONSTRAINT",
            routing_override="NO_CONSTRAINT",
        ),
        other,
    ]


def test_mapping_has_the_ordered_workspaces() -> None:
    accounts = {name: {"account": {"account_id": name}} for name in ("acc-1", "acc-2", "hidden")}
    body = {"accounts": {**accounts, "odd": 1}, "account_ordering": ["acc-2", "acc-1", "odd", "gone", 3]}
    assert [workspace.account_id for workspace in parse_workspaces(body)] == ["acc-2", "acc-1"]
    assert parse_workspaces({"accounts": accounts}) == []


# Applying a routing


@pytest.mark.parametrize("backend", [OPENAI, OPENAI.rstrip("/")])
def test_routing_replaces_the_origin_and_keeps_the_path(backend: str) -> None:
    url = "https://eu.chatgpt.com/backend-api/codex/responses"
    header = {"x-openai-account-routing-override": "us_cr"}
    routing = Routing(origin="https://eu.chatgpt.com", override="us_cr")
    assert apply_routing(routing, backend=backend, path="/responses") == (url, header)
    assert apply_routing(Routing(), backend=backend, path="/responses") == ("/responses", {})


HOST_PARTS = [
    "chatgpt.com", "openai.com", "v1", ".", "..", "-", "_", "[", "]", "::1", ":", ":443", ":0", "%2e", "%", "/", "//",
    "\\", "@", "#", "?", "evil.test", "xn--", "xn--a", "a" * 63, "\u00e9", "\u3002", " ", "\t", "127.0.0.1", "0x7f",
    "localhost", "&", ",", ";", "*", "~",
]  # fmt: skip


@pytest.mark.parametrize("backend", [OPENAI, LOCAL, LOCAL_TLS])
@given(
    st.lists(st.sampled_from(HOST_PARTS), max_size=6),
    st.sampled_from(["https://", "http://", "https:"]),
    st.sampled_from(["", ".chatgpt.com", ".chatgpt.com:443", ":9000"]),
)
@example(["x", "[", "v1", ".", "chatgpt.com", "]", ".", "evil.test"], "https://", "")
@example(["[", "v1", ".", "chatgpt.com", "]"], "https://", "")
def test_host_is_the_one_that_httpx_connects_to(backend: str, parts: list[str], scheme: str, end: str) -> None:
    routing = parse(entry(scheme + "".join(parts) + end), backend=backend)
    if not isinstance(routing, Routing) or routing.origin is None:
        return
    url = httpx2.Request("GET", routing.origin + "/backend-api/codex/responses").url
    assert url.path == "/backend-api/codex/responses"
    assert not url.userinfo
    allowed = LOOPBACK_HOSTS if backend != OPENAI else ()
    assert url.host in allowed or (backend == OPENAI and re.search(r"(^|\.)(chatgpt|openai)\.com$", url.host))
    assert url.scheme == "https" or backend == LOCAL
    url.host.encode("idna")  # as the look-up of the address does
