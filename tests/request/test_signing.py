"""Test the signing of requests, and the refresh after the backend rejects the login."""

from __future__ import annotations

import contextlib
import time
import traceback
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from support.calls import requested_paths

import codex_backend_sdk as sdk
from codex_backend_sdk.auth import Credentials, MemoryStore
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable


def store_of(sim: Simulator, *, expires_in: timedelta) -> MemoryStore:
    return MemoryStore(sim.login_document(expires_in=expires_in))


def test_no_request_without_login(new_client: Callable[..., Any], sim: Simulator) -> None:
    client = new_client(credentials=MemoryStore())
    for call in (
        lambda: client.responses.create(input="hi"),
        lambda: client.models.list(),
        lambda: client.codex.usage(),
        lambda: client.authenticate(interactive=False),
    ):
        with pytest.raises(sdk.LoginRequiredError, match="authenticate") as caught:
            call()
        assert isinstance(caught.value, openai.OpenAIError)
        assert isinstance(caught.value, RuntimeError)
    assert sim.requests == []


def test_request_headers_identify_the_login(new_client: Callable[..., Any], sim: Simulator) -> None:
    new_client(originator="my_app").responses.create(input="hi")
    headers = sim.requests[0].headers
    assert headers["authorization"].startswith("Bearer ey")
    assert headers["chatgpt-account-id"] == sim.account.account_id
    assert headers["originator"] == "my_app"
    assert headers["user-agent"].startswith("my_app codex-backend-sdk/")
    assert not [name for name in headers if name.startswith(("openai-", "x-stainless-os", "x-stainless-lang"))]


def test_environment_does_not_change_requests(
    new_client: Callable[..., Any], sim: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password wrong\n")
    environment = {
        "NETRC": str(netrc),
        "OPENAI_API_KEY": "sk-wrong",
        "OPENAI_ADMIN_KEY": "sk-admin",
        "OPENAI_ORG_ID": "org-wrong",
        "OPENAI_PROJECT_ID": "proj-wrong",
        "OPENAI_BASE_URL": "https://wrong.invalid/v1",
        "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer wrong\nHost: wrong.invalid\nUser-Agent: wrong\nx-key: wrong",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = new_client(default_headers={"x-mine": "1"})
    for each in (client, client.with_options(max_retries=1), client.with_options(default_headers={"x-mine": "1"})):
        assert each.responses.create(input="hi").status == "completed"
    client.models.list()
    assert client.api_key == "the-login-is-not-an-api-key"
    assert (client.organization, client.project, client.admin_api_key) == (None, None, None)
    for request in sim.requests:
        assert request.headers["authorization"].startswith("Bearer ey")
        assert request.headers["x-mine"] == "1"
        assert "wrong" not in str(dict(request.headers))
        assert not request.headers.keys() & {"openai-organization", "openai-project", "x-key"}


def test_extra_headers_do_not_replace_the_login(client: Any, sim: Simulator) -> None:
    client.responses.create(input="hi", extra_headers={"AUTHORIZATION": "Bearer wrong", "x-mine": "1"})
    assert sim.requests[0].headers["authorization"].startswith("Bearer ey")
    assert sim.requests[0].headers["x-mine"] == "1"


def test_expiring_login_is_refreshed_first(new_client: Callable[..., Any], sim: Simulator) -> None:
    store = store_of(sim, expires_in=timedelta(minutes=4))
    client = new_client(credentials=Credentials(store, issuer=sim.issuer))
    client.responses.create(input="hi")
    client.responses.create(input="hi")
    assert requested_paths(sim) == ["token", "responses", "responses"]


def test_slow_issuer_does_not_block_valid_token(new_client: Callable[..., Any], sim: Simulator) -> None:
    sim.fail("delayed:6@token")
    client = new_client(credentials=Credentials(store_of(sim, expires_in=timedelta(minutes=4)), issuer=sim.issuer))
    started_at = time.monotonic()
    client.responses.create(input="hi")
    first = time.monotonic() - started_at
    client.responses.create(input="hi")
    assert first < 5.5
    assert time.monotonic() - started_at - first < 2, "later calls do not wait as long"
    while time.monotonic() - started_at < 40 and sim.requests[-1].headers["authorization"] == authorization_of(sim, 1):
        time.sleep(0.2)
        client.responses.create(input="hi")
    assert requested_paths(sim).count("token") == 1
    assert authorization_of(sim, -1) != authorization_of(sim, 1), "the late token is used"


def authorization_of(sim: Simulator, number: int) -> str:
    header: str = [request for request in sim.requests if "authorization" in request.headers][number].headers[
        "authorization"
    ]
    return header


@pytest.mark.parametrize("stream", [False, True])
def test_rejected_login_is_refreshed_and_resent(new_client: Callable[..., Any], sim: Simulator, stream: bool) -> None:
    client = new_client(credentials=Credentials(store_of(sim, expires_in=timedelta(days=1)), issuer=sim.issuer))
    sim.script(Turn.error(401, {"detail": "Unauthorized"}), Turn.text("welcome"))
    response = client.responses.create(input="hi", stream=stream)
    text = list(response)[-1].response.output_text if stream else response.output_text
    assert text == "welcome"
    assert requested_paths(sim) == ["responses", "token", "responses"]
    first, _, second = sim.requests
    assert first.headers["authorization"] != second.headers["authorization"]
    assert first.json() == second.json()


def test_login_rejected_twice_raises(client: Any, sim: Simulator) -> None:
    sim.script(*[Turn.error(401, {"detail": "Unauthorized"})] * 2)
    with pytest.raises(openai.AuthenticationError, match=r"rejected the access token.* message: “Unauthorized”"):
        client.responses.create(input="hi")
    assert requested_paths(sim) == ["responses", "token", "responses"]


def test_unrefreshable_login_names_the_remedy(new_client: Callable[..., Any], sim: Simulator) -> None:
    document = sim.login_document(expires_in=timedelta(seconds=-1))
    document["tokens"]["refresh_token"] = "rt_unknown"
    client = new_client(credentials=Credentials(MemoryStore(document), issuer=sim.issuer))
    with pytest.raises(sdk.LoginRequiredError, match="codex-backend login"):
        client.responses.create(input="hi")
    assert requested_paths(sim) == ["token"]


def test_authenticate_returns_the_client(new_client: Callable[..., Any]) -> None:
    client = new_client()
    assert client.authenticate().responses.create(input="hi").status == "completed"


def test_authenticate_logs_in_with_a_browser(new_client: Callable[..., Any], sim: Simulator) -> None:
    store = MemoryStore()

    def browser(url: str) -> None:
        import threading

        threading.Thread(target=lambda: httpx2.get(url, follow_redirects=True), daemon=True).start()

    client = new_client(credentials=store)
    client.authenticate(open_browser=browser, ports=(0,), timeout=20)
    assert client.responses.create(input="hi").status == "completed"
    document = store.load()
    assert document is not None
    assert document["tokens"]["account_id"] == sim.account.account_id


def test_custom_credential_source(new_client: Callable[..., Any], sim: Simulator) -> None:
    login = sim.credentials().current()

    class StaticSource:
        def ready(self) -> sdk.Login | None:
            return None

        def current(self) -> sdk.Login:
            return login

        def refresh(self, rejected: sdk.Login) -> sdk.Login:
            raise sdk.LoginRequiredError("Ask the administrator.")

    client = new_client(credentials=StaticSource())
    assert client.authenticate().responses.create(input="hi").status == "completed"
    sim.script(Turn.error(401, {}))
    with pytest.raises(sdk.LoginRequiredError, match="Ask the administrator"):
        client.responses.create(input="hi")


@pytest.mark.parametrize("mark", ["\u00e9", "\udce9", "\n", " ", "\u20ac"])
@pytest.mark.parametrize("member", ["access_token", "account_id"])
def test_login_invalid_as_header_is_not_shown(
    new_client: Callable[..., Any], sim: Simulator, member: str, mark: str
) -> None:
    good = sim.credentials().current()
    text = f"SECRET-SECRET{mark}SECRET-SECRET"
    login = replace(good, **{member: sdk.Secret(text) if member == "access_token" else text})

    class StaticSource:
        ready = staticmethod(lambda: login)
        current = staticmethod(lambda: login)
        refresh = staticmethod(lambda rejected: login)

    with pytest.raises(
        sdk.LoginRequiredError, match=f"The {member.replace('_', ' ')} of this login is empty or"
    ) as caught:
        new_client(credentials=StaticSource()).codex.usage()
    error = caught.value.with_traceback(caught.value.__traceback__.tb_next)  # type: ignore[union-attr]
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "SECRET-SECRET" not in shown.replace(repr(text), "")
    assert sim.requests == []


def test_assigned_base_url_is_checked(sim: Simulator) -> None:
    with sim.client() as client:
        client.codex.usage()
        client.base_url = "http://example.com/backend-api/codex"
        for _ in range(2):
            with pytest.raises(ValueError, match="base_url must be an https URL"):
                client.codex.usage()
    assert len(sim.requests) == 1


def test_assigned_base_url_is_used(sim: Simulator) -> None:
    with sim.client(max_retries=0) as client:
        for base in ("/backend-api/codex", "/elsewhere", "/backend-api/codex"):
            client.base_url = sim.url + base
            with contextlib.suppress(openai.NotFoundError):
                client.responses.create(input="hi")
            with contextlib.suppress(openai.NotFoundError):
                client.codex.usage()
    assert [request.path for request in sim.requests] == [
        *("/backend-api/codex/responses", "/backend-api/wham/usage"),
        *("/elsewhere/responses", "/elsewhere/api/codex/usage"),
        *("/backend-api/codex/responses", "/backend-api/wham/usage"),
    ]


def test_redirect_is_not_followed(client: Any, sim: Simulator) -> None:
    sim.script(Turn.raw(307, {"location": f"{sim.url}/elsewhere"}))
    with pytest.raises(openai.APIStatusError, match="307"):
        client.responses.create(input="hi")
    assert len(sim.requests) == 1


def test_exhausted_plan_is_not_retried(new_client: Callable[..., Any], sim: Simulator) -> None:
    error = {"type": "usage_limit_reached", "message": "…", "plan_type": "plus", "resets_at": 1795360000}
    sim.script(Turn.error(429, {"error": error}))
    with pytest.raises(sdk.UsageLimitError, match=r"resets at 2026-11-2[23] ") as caught:
        new_client(max_retries=3).responses.create(input="hi")
    assert isinstance(caught.value, openai.RateLimitError)
    assert caught.value.plan == "plus"
    assert len(sim.requests) == 1


def test_backend_message_is_included(client: Any, sim: Simulator) -> None:
    sim.script(Turn.error(400, {"detail": "Store must be set to false"}))
    with pytest.raises(openai.BadRequestError, match="Error code: 400 - Store must be set to false"):
        client.responses.create(input="hi")


def test_traceback_locals_show_no_token(sim: Simulator) -> None:
    source = sim.credentials()
    token = source.current().access_token.reveal()
    with sim.client(credentials=source, max_retries=0) as client:
        sim.script(Turn.error(400, {"detail": "No."}), Turn.raw(200, {"content-type": "text/html"}, b"<html>"))
        for _ in range(2):
            with pytest.raises(openai.APIError) as caught:
                client.responses.create(input="hi")
            below_this_test = caught.value.__traceback__.tb_next  # type: ignore[union-attr]
            error = caught.value.with_traceback(below_this_test)
            shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
            assert "_send_request" in shown or "_make_status_error" in shown
            assert token not in shown


def test_unreachable_address_is_named(new_client: Callable[..., Any]) -> None:
    client = new_client(base_url="http://127.0.0.1:9/backend-api/codex")
    with pytest.raises(
        openai.APIConnectionError, match=r"http://127\.0\.0\.1:9/backend-api/codex/responses could not be"
    ):
        client.responses.create(input="hi")
