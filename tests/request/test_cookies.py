"""Test that the cookies of one login are never sent with the requests of another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import httpx2
import pytest
from support.sync_adapter import SyncAdapter

from codex_backend_sdk.types import Login, Secret

HOST = "https://chatgpt.com/backend-api/codex"
CLOUDFLARE = {"__cf_bm": "bm", "_cfuvid": "uvid", "cf_chl_rc_i": "1"}
OTHERS = {"session": "secret", "__Secure-next-auth.session-token": "secret", "cf": "secret"}
BODY = (
    b'data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"hello"}\n\n'
    b'data: {"type":"response.completed","response":{"id":"resp_1"}}\n\n'
)


class Account:
    """A credential source with one login."""

    def __init__(self, account: str, user: str | None = None) -> None:
        self.login = Login(access_token=Secret(f"token-of-{account}-{user}"), account_id=account, user_id=user)

    def ready(self) -> Login:
        return self.login

    current = ready

    def refresh(self, rejected: Login) -> Login:
        return self.login


class Backend:
    """A backend that sets cookies in each response, and records the cookies of each request."""

    def __init__(self) -> None:
        self.cookies: list[dict[str, str]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.cookies.append({n: m.value for n, m in SimpleCookie(request.headers.get("cookie", "")).items()})
        account = request.headers["chatgpt-account-id"]
        headers = [("content-type", "text/event-stream")]
        for name, value in {**CLOUDFLARE, **OTHERS}.items():
            headers.append(("set-cookie", f"{name}={value}-of-{account}; Path=/; Secure; HttpOnly"))
        return httpx2.Response(200, headers=headers, content=BODY)


def cookies_of(account: str) -> dict[str, str]:
    return {name: f"{value}-of-{account}" for name, value in CLOUDFLARE.items()}


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def new_cookie_client(new_client: Callable[..., Any], backend: Backend) -> Callable[..., Any]:
    def construct(base_url: str = HOST, *, http_options: dict[str, Any] | None = None, **options: Any) -> Any:
        http_class = httpx2.AsyncClient if isinstance(new_client(), SyncAdapter) else httpx2.Client
        http_client = http_class(transport=httpx2.MockTransport(backend), **(http_options or {}))
        options = {"credentials": Account("acc-1"), "workspace_routing": False, **options}
        return new_client(base_url=base_url, http_client=http_client, **options)

    return construct


def call(client: Any) -> None:
    assert client.responses.create(input="hi").output_text == "hello"


def test_each_login_has_its_own_cookies(new_cookie_client: Callable[..., Any], backend: Backend) -> None:
    first = new_cookie_client()
    second = first.with_options(credentials=Account("acc-2"))
    colleague = first.with_options(credentials=Account("acc-2", "user-2"))
    for client in (first, second, colleague, first, second.with_options(max_retries=1), colleague):
        call(client)
    assert backend.cookies == [{}, {}, {}, cookies_of("acc-1"), cookies_of("acc-2"), cookies_of("acc-2")]


def test_changed_login_of_one_client_has_its_own_cookies(
    new_cookie_client: Callable[..., Any], backend: Backend
) -> None:
    source = Account("acc-1")
    client = new_cookie_client(credentials=source)
    call(client)
    source.login = Account("acc-2").login
    call(client)
    assert backend.cookies == [{}, {}]


@pytest.mark.parametrize(
    ("base_url", "has_cookies"),
    [
        (HOST, True),
        ("https://eu.chatgpt.com/backend-api/codex", True),
        ("https://gateway.example.com/v1", False),
        ("https://notchatgpt.com/backend-api/codex", False),
        ("https://chatgpt.com.example.com/backend-api/codex", False),
        ("http://127.0.0.1:9/backend-api/codex", False),
    ],
)
def test_cookies_of_other_hosts_are_not_kept(
    new_cookie_client: Callable[..., Any], backend: Backend, base_url: str, has_cookies: bool
) -> None:
    client = new_cookie_client(base_url)
    call(client)
    call(client)
    assert backend.cookies == [{}, cookies_of("acc-1") if has_cookies else {}]


@pytest.mark.parametrize("place", ["call", "client", "http_client"])
def test_cookie_header_of_the_caller_is_sent(
    new_cookie_client: Callable[..., Any], backend: Backend, place: str
) -> None:
    headers = {"cookie": "mine=1"}
    client = new_cookie_client(
        default_headers=headers if place == "client" else None,
        http_options={"headers": headers} if place == "http_client" else None,
    )
    for _ in range(2):
        client.responses.create(input="hi", extra_headers=headers if place == "call" else None)
    assert backend.cookies == [{"mine": "1"}] * 2


def test_jar_of_the_http_client_is_not_used(new_cookie_client: Callable[..., Any], backend: Backend) -> None:
    call(new_cookie_client(http_options={"cookies": {"session": "of another account"}}))
    assert backend.cookies == [{}]


def test_cookies_are_not_shown(
    new_cookie_client: Callable[..., Any], new_client: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="codex_backend_sdk")
    client = new_cookie_client()
    call(client)
    raw_client = getattr(client, "_target", client)
    assert "of-acc-1" not in repr(vars(raw_client))
    assert "of-acc-1" not in caplog.text


def test_own_http_client_keeps_no_cookies(new_client: Callable[..., Any]) -> None:
    client = new_client()
    http_client = getattr(client, "_target", client)._client
    request = httpx2.Request("GET", HOST)
    http_client.cookies.extract_cookies(httpx2.Response(200, headers={"set-cookie": "a=b"}, request=request))
    assert not http_client.cookies


def test_cookies_of_few_logins_are_kept() -> None:
    from codex_backend_sdk._request.cookies import CloudflareCookies

    cookies = CloudflareCookies()
    logins = [Account(f"acc-{number}").login for number in range(1002)]
    for login in logins:
        request = httpx2.Request("GET", HOST)
        cookies.sign(request, login)
        cookies.store(httpx2.Response(200, headers={"set-cookie": "__cf_bm=1; Path=/"}, request=request))
    sent = []
    for login in logins:
        request = httpx2.Request("GET", HOST)
        cookies.sign(request, login)
        sent.append("cookie" in request.headers)
    assert sent == [False] * 2 + [True] * 1000
