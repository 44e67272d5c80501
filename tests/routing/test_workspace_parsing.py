from __future__ import annotations

import json
from typing import Any

import pytest

from codex_backend_sdk._routing.workspace_parsing import Unusable, is_asked, read_routing, read_workspaces, routed
from codex_backend_sdk.types import Login, Routing, Secret, Workspace

OPENAIS = "https://chatgpt.com/backend-api/codex/"
LOCAL = "http://127.0.0.1:9000/backend-api/codex/"
LOCAL_TLS = "https://localhost:9000/backend-api/codex/"


def login(plan: str | None = "enterprise", **claims: Any) -> Login:
    return Login(access_token=Secret("x"), **{"account_id": "acc-1", "plan": plan, **claims})


def entry(origin: object = "NO_CONSTRAINT", override: object = "NO_CONSTRAINT", **members: Any) -> dict[str, Any]:
    return {"id": "acc-1", "workspace_backend_origin": origin, "account_routing_override": override, **members}


def read(*entries: object, backend: str = OPENAIS) -> Routing | Unusable:
    return read_routing(json.dumps({"accounts": entries}).encode(), account_id="acc-1", backend=backend)


# --- who is asked, and whom ---


@pytest.mark.parametrize(
    ("who", "is_asked_about"),
    [
        *[(login(plan), False) for plan in ("free", "go", "plus", "pro", "prolite", "promax")],
        *[(login(plan), True) for plan in ("team", "business", "enterprise", "edu", "one of next year", None)],
        (login("pro", residency="eu"), True),
        (login("pro", is_fedramp=True), True),
        (login(account_id=None), False),
        (login(account_id=""), False),
    ],
)
def test_a_personal_plan_without_a_region_is_not_asked_about(who: Login, is_asked_about: bool) -> None:
    assert is_asked(who, backend=OPENAIS) is is_asked_about


@pytest.mark.parametrize(
    ("backend", "is_one_to_ask"),
    [
        (OPENAIS, True),
        ("https://gov.chatgpt.com/backend-api/codex", True),
        (LOCAL, True),
        (LOCAL_TLS, True),
        ("https://gateway.example.com/backend-api/codex", False),
        ("https://notchatgpt.com/backend-api/codex", False),
        ("https://chatgpt.com.example.com/backend-api/codex", False),
    ],
)
def test_a_gateway_is_not_asked(backend: str, is_one_to_ask: bool) -> None:
    assert is_asked(login(), backend=backend) is is_one_to_ask


# --- what the answer says ---


@pytest.mark.parametrize(
    ("backend", "origin", "goes_to"),
    [
        (OPENAIS, "NO_CONSTRAINT", None),
        (OPENAIS, "https://chatgpt.com", None),
        (OPENAIS, "https://CHATGPT.com:443/", None),
        (OPENAIS, "https://eu.chatgpt.com", "https://eu.chatgpt.com"),
        (OPENAIS, "https://eu.chatgpt.com/", "https://eu.chatgpt.com"),
        (OPENAIS, "https://eu.api.openai.com:8443", "https://eu.api.openai.com:8443"),
        (LOCAL, "http://localhost:9001", "http://localhost:9001"),
        (LOCAL, "http://[::1]:9001", "http://[::1]:9001"),
        (LOCAL, "https://127.0.0.1:9001", "https://127.0.0.1:9001"),
        (LOCAL, "https://chatgpt.com", None),
        (LOCAL, "https://example.com", None),
        (LOCAL_TLS, "https://chatgpt.com", None),
    ],
)
def test_where_it_leads(backend: str, origin: str, goes_to: str | None) -> None:
    assert read(entry(origin), backend=backend) == Routing(origin=goes_to)


@pytest.mark.parametrize(("word", "sent"), [("NO_CONSTRAINT", None), ("us", "us"), ("us_cr", "us_cr")])
def test_the_override(word: str, sent: str | None) -> None:
    assert read(entry(override=word)) == Routing(override=sent)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], Unusable.NO_ENTRY),
        ([entry(id="acc-2")], Unusable.NO_ENTRY),
        (["acc-1", None, {"id": 1}], Unusable.NO_ENTRY),
        ([entry(), entry(override="us")], Unusable.DUPLICATE),
        ([entry(None)], Unusable.NO_ORIGIN),
        ([entry("")], Unusable.NO_ORIGIN),
        ([entry(7)], Unusable.NO_ORIGIN),
        ([entry(override="eu")], Unusable.UNKNOWN_OVERRIDE),
        ([entry(override=None)], Unusable.UNKNOWN_OVERRIDE),
        *[
            ([entry(origin)], Unusable.NOT_AN_ORIGIN)
            for origin in (
                "http://chatgpt.com",
                "http://eu.chatgpt.com",
                "http://127.0.0.1:9000",
                "http://localhost",
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
            ([entry(origin)], Unusable.FOREIGN_ORIGIN)
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
def test_what_cannot_be_followed(entries: list[object], reason: Unusable) -> None:
    assert read(*entries) is reason


def test_a_backend_with_tls_on_this_machine_leads_to_no_plain_http() -> None:
    assert read(entry("http://127.0.0.1:9001"), backend=LOCAL_TLS) is Unusable.NOT_AN_ORIGIN


def test_an_account_that_is_there_twice_with_the_same_words_is_one() -> None:
    assert read(entry(override="us"), entry(override="us", name="again")) == Routing(override="us")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"accounts": null}', b'{"accounts": 1}', b"\xff"])
def test_what_is_no_answer_has_no_entry(body: bytes) -> None:
    assert read_routing(body, account_id="acc-1", backend=OPENAIS) is Unusable.NO_ENTRY


# --- its two forms ---


def test_the_list_gives_all_workspaces() -> None:
    mine = entry(name="Ours", plan_type="team", structure="workspace")
    answer = {"accounts": [mine, {"account_id": "acc-2"}, {"id": ""}], "default_account_id": "acc-2"}
    other = Workspace(
        account_id="acc-2",
        name=None,
        plan=None,
        structure=None,
        is_default=True,
        backend_origin=None,
        routing_override=None,
    )
    assert read_workspaces(answer) == [
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


def test_the_map_gives_those_that_are_ordered() -> None:
    accounts = {name: {"account": {"account_id": name}} for name in ("acc-1", "acc-2", "hidden")}
    answer = {"accounts": {**accounts, "odd": 1}, "account_ordering": ["acc-2", "acc-1", "odd", "gone", 3]}
    assert [workspace.account_id for workspace in read_workspaces(answer)] == ["acc-2", "acc-1"]
    assert read_workspaces({"accounts": accounts}) == []


# --- what a request makes of it ---


@pytest.mark.parametrize("backend", [OPENAIS, OPENAIS.rstrip("/")])
def test_a_request_changes_its_origin_and_keeps_its_path(backend: str) -> None:
    address = "https://eu.chatgpt.com/backend-api/codex/responses"
    header = {"x-openai-account-routing-override": "us_cr"}
    routing = Routing(origin="https://eu.chatgpt.com", override="us_cr")
    assert routed(routing, backend=backend, path="/responses") == (address, header)
    assert routed(Routing(), backend=backend, path="/responses") == ("/responses", {})
