"""The arguments of `authenticate()`, on both clients."""

from __future__ import annotations

import inspect
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from support.calls import requested_paths

import codex_backend_sdk as sdk
from codex_backend_sdk.auth import Credentials, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

SECRETS = ("access_token", "refresh_token", "id_token")


def approve(url: str) -> None:
    """Act as the browser of a user who approves."""
    httpx2.get(url, follow_redirects=True, timeout=20).raise_for_status()


def never(what: object) -> None:
    raise AssertionError("nothing may be opened")


def test_default_timeout_and_ports() -> None:
    given = inspect.signature(Credentials.authenticate).parameters
    assert (given["timeout"].default, given["ports"].default) == (300.0, (1455, 1457))


def test_login_uses_all_arguments(new_client: Callable[..., Any], sim: Simulator) -> None:
    store, opened, shown = MemoryStore(), list[str](), list[str]()
    client = new_client(credentials=store)

    def open_browser(url: str) -> None:
        opened.append(url)
        approve(url)

    client.authenticate(
        open_browser=open_browser,
        on_url=shown.append,
        workspace_id=sim.account.account_id,
        scopes=["openid", "profile", "email", "offline_access"],
        timeout=30,
        ports=(0,),
    )
    assert opened == shown
    parameters = parse_qs(urlsplit(shown[0]).query)
    assert parameters["scope"] == ["openid profile email offline_access"]
    assert parameters["allowed_workspace_id"] == [sim.account.account_id]
    assert client.account().email == "user@example.com"
    assert requested_paths(sim) == ["authorize", "token"], "no API key is requested"
    document = store.load()
    assert document is not None
    assert document["OPENAI_API_KEY"] is None


def test_stored_login_opens_nothing_unless_forced(new_client: Callable[..., Any], sim: Simulator) -> None:
    store = MemoryStore(sim.login_document())
    before = store.load()
    client = new_client(credentials=store)
    client.authenticate(open_browser=never, on_url=never)
    client.authenticate(interactive=False)
    assert store.load() == before
    client.authenticate(force=True, open_browser=approve, ports=(0,), timeout=30)
    assert store.load() != before
    with pytest.raises(ValueError, match="force=True logs in again"):
        client.authenticate(force=True, interactive=False)


def test_non_interactive_login_opens_nothing(new_client: Callable[..., Any], sim: Simulator) -> None:
    client = new_client(credentials=MemoryStore())
    with pytest.raises(sdk.LoginRequiredError, match="There is no login in memory"):
        client.authenticate(interactive=False, open_browser=never, on_url=never)
    assert sim.requests == []


def test_login_of_another_workspace_is_refused(new_client: Callable[..., Any]) -> None:
    store = MemoryStore()
    client = new_client(credentials=store)
    with pytest.raises(sdk.LoginFailedError, match="restricted to workspace") as caught:
        client.authenticate(open_browser=approve, workspace_id="acc-other", ports=(0,), timeout=30)
    assert caught.value.code == "workspace_restriction"
    assert store.load() is None


@pytest.mark.parametrize("code", ["timeout", "cancelled"])
def test_login_ends_at_timeout_or_cancellation(new_client: Callable[..., Any], code: str) -> None:
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    options: dict[str, Any] = {"timeout": 0.5} if code == "timeout" else {"cancel": cancel}
    began = time.monotonic()
    with pytest.raises(sdk.LoginFailedError) as caught:
        new_client(credentials=MemoryStore()).authenticate(
            open_browser=False, on_url=lambda url: None, ports=(0,), **options
        )
    assert caught.value.code == code
    assert time.monotonic() - began < 4


def test_account_holds_no_secret(new_client: Callable[..., Any], sim: Simulator) -> None:
    document = sim.login_document()
    client = new_client(credentials=MemoryStore(document))
    shown = repr(client.account())
    for name in ("email='user@example.com'", "plan='pro'", "account_id=", "user_id=", "expires_at=", "stored_in="):
        assert name in shown
    assert not [name for name in SECRETS if document["tokens"][name] in shown]


def test_revocation_comes_before_the_deletion(sim: Simulator) -> None:
    store = MemoryStore(sim.login_document())
    was_stored: list[bool] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        was_stored.append(store.load() is not None)
        return httpx2.Response(500)

    with httpx2.Client(transport=httpx2.MockTransport(respond)) as http:
        assert Credentials(store, issuer=sim.issuer, http=http).revoke()
    assert was_stored == [True]
    assert store.load() is None, "whatever the issuer responds"
