"""Every way to sign in that is not the browser of this machine, against the simulator; and what is known afterwards."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from codex_backend_sdk._exceptions import LoginFailedError, LoginRequiredError, TokenRefreshError
from codex_backend_sdk.auth import (
    Account,
    Credentials,
    DeviceCode,
    MemoryStore,
    Secret,
    StaticToken,
    exchange_api_key,
    resolve_credentials,
)
from codex_backend_sdk.auth.flows.environment import why_no_browser
from codex_backend_sdk.testing import DeviceLoginSettings, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POLL = "/api/accounts/deviceauth/token"
WHOAMI = "/api/accounts/v1/user-auth-credential/whoami"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def asked(sim: Simulator, path: str) -> int:
    return sum(request.path == path for request in sim.requests)


class Pauses(threading.Event):
    """A cancellation that nobody asks for until `after` pauses were made; a pause takes no time."""

    def __init__(self, after: int | None = None) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._after = after

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        if len(self.seconds) == self._after:
            self.set()
        return self.is_set()


# --- device codes ------------------------------------------------------------------------------------------------


def test_device_code_is_polled_until_entered() -> None:
    with Simulator(device_login=DeviceLoginSettings(pending_polls=3, interval_seconds=7)) as sim:
        store, codes, pauses = MemoryStore(), [], Pauses()
        credentials = Credentials(store, issuer=sim.issuer)
        login = credentials.authenticate_device_code(on_code=codes.append, cancel=pauses)
        (code,) = codes
        assert isinstance(code, DeviceCode)
        assert code.url == f"{sim.issuer}/codex/device"
        assert pauses.seconds == [7.0] * 3, "the first question is asked at once"
        assert asked(sim, POLL) == 4
        assert login.email == "user@example.com"
        stored = store.load()
        assert stored is not None
        assert stored["tokens"]["account_id"] == sim.account.account_id
        assert stored["OPENAI_API_KEY"] is None
        assert credentials.authenticate_device_code() == login, "a stored login needs no code"
        assert asked(sim, "/api/accounts/deviceauth/usercode") == 1


def test_code_is_logged_without_a_callback(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Credentials(MemoryStore(), issuer=sim.issuer).authenticate_device_code()
    assert f"Open {sim.issuer}/codex/device on any device and enter the code " in caplog.text
    assert "deviceauth_" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "approve", "options", "code", "words"),
    [
        (DeviceLoginSettings(enabled=False), "auto", {}, "device_code_not_enabled", "is not enabled for this account"),
        (DeviceLoginSettings(), "deny", {}, "access_denied", "failed with status 400"),
        (DeviceLoginSettings(), "manual", {"cancel": Pauses(after=2)}, "cancelled", "Login cancelled"),
        (
            DeviceLoginSettings(interval_seconds=1),
            "manual",
            {"timeout": 0.2},
            "timeout",
            "not finished within 0.2 seconds",
        ),
        (
            DeviceLoginSettings(),
            "auto",
            {"workspace_id": "acc-other"},
            "workspace_restriction",
            "workspace id.s. acc-other",
        ),
    ],
)
def test_failed_device_login_raises_with_its_code(
    settings: DeviceLoginSettings, approve: Any, options: dict[str, Any], code: str, words: str
) -> None:
    store = MemoryStore()
    with (
        Simulator(approval=approve, device_login=settings) as sim,
        pytest.raises(LoginFailedError, match=words) as caught,
    ):
        Credentials(store, issuer=sim.issuer).authenticate_device_code(on_code=lambda code: None, **options)
    assert caught.value.code == code
    assert store.load() is None


def waits_for_another(sim: Simulator, way: str, **limits: Any) -> tuple[LoginFailedError, list[object]]:
    """How a sign-in ends that waited for the one of another thread, and what it showed."""
    credentials = Credentials(MemoryStore(), issuer=sim.issuer)
    shows, cancel = threading.Event(), threading.Event()
    shown: list[object] = []

    def first() -> None:
        with pytest.raises(LoginFailedError, match="Login cancelled"):
            credentials.authenticate(open_browser=False, on_url=lambda url: shows.set(), ports=(0,), cancel=cancel)

    thread = threading.Thread(target=first)
    thread.start()
    assert shows.wait(10)
    ways: dict[str, Callable[..., object]] = {
        "browser": partial(credentials.authenticate, open_browser=False, on_url=shown.append, ports=(0,)),
        "device code": partial(credentials.authenticate_device_code, on_code=shown.append),
    }
    try:
        with pytest.raises(LoginFailedError) as caught:
            ways[way](**limits)
        with pytest.raises(LoginRequiredError):
            credentials.authenticate(interactive=False)
        assert thread.is_alive(), "neither of them has waited for the person"
    finally:
        cancel.set()
        thread.join(10)
    return caught.value, shown


@pytest.mark.parametrize("way", ["browser", "device code"])
def test_waiting_login_ends_in_time_and_shows_nothing(way: str) -> None:
    with Simulator(approval="manual", device_login=DeviceLoginSettings()) as sim:
        error, shown = waits_for_another(sim, way, timeout=0.3)
        assert (error.code, shown) == ("timeout", [])
        assert "within 0.3 seconds" in str(error)
        cancel = threading.Event()
        threading.Timer(0.3, cancel.set).start()
        error, shown = waits_for_another(sim, way, cancel=cancel)
        assert (error.code, shown) == ("cancelled", [])
        assert asked(sim, "/api/accounts/deviceauth/usercode") == 0


def test_device_login_ends_with_the_lifetime_of_the_code() -> None:
    from codex_backend_sdk.auth._deadline import Deadline
    from codex_backend_sdk.auth._issuer import IssuerClient
    from codex_backend_sdk.auth.flows import device

    now = [0.0]

    class Hours(Pauses):
        def wait(self, timeout: float | None = None) -> bool:
            now[0] += timeout or 0.0
            return super().wait(timeout)

    pauses = Hours()
    with Simulator(approval="manual", device_login=DeviceLoginSettings(interval_seconds=60)) as sim:
        issuer = IssuerClient(sim.issuer, originator="tests")
        with pytest.raises(LoginFailedError, match="not finished within 900 seconds"):
            device.log_in_with_device_code(
                lambda grant: pytest.fail("there is no grant"),
                issuer=issuer,
                on_code=None,
                deadline=Deadline(86400, pauses, clock=lambda: now[0]),
            )
        assert asked(sim, POLL) == 15
    assert pauses.seconds == [60.0] * 15


@pytest.mark.parametrize(
    "fault", ["status:502", "status:429", "html+status:503", "reset", "cut_after_bytes:20", "not_http"]
)
def test_transient_poll_failure_is_retried(fault: str) -> None:
    with Simulator(device_login=DeviceLoginSettings(pending_polls=2)) as sim:
        sim.fail(f"{fault}@{POLL}", times=2)
        credentials = Credentials(MemoryStore(), issuer=sim.issuer)
        assert credentials.authenticate_device_code(cancel=Pauses(), timeout=20).email == "user@example.com"
        assert asked(sim, POLL) >= 3


def test_unreachable_issuer_raises_login_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(LoginFailedError, match=r"The issuer gave no device code: .* could not be reached"):
        Credentials(MemoryStore(), issuer=f"http://127.0.0.1:{port}").authenticate_device_code()


# --- access tokens -----------------------------------------------------------------------------------------------


def test_personal_token_is_identified_once(sim: Simulator) -> None:
    token = StaticToken(sim.personal_access_token(), issuer=sim.issuer)
    assert token.ready() is None
    login = token.current()
    assert (login.account_id, login.email, login.plan) == (sim.account.account_id, "user@example.com", "pro")
    assert token.current() is token.ready() is login
    assert asked(sim, WHOAMI) == 1
    with pytest.raises(LoginRequiredError, match=r"was rejected by the backend \(status 401\) and cannot be refreshed"):
        token.renew(login)


def test_waiting_threads_share_the_failed_identification(sim: Simulator) -> None:
    sim.fail(f"status:500+delayed:1@{WHOAMI}", times=None)
    token = StaticToken(sim.personal_access_token(), issuer=sim.issuer)
    failures: list[Exception] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        try:
            token.current()
        except TokenRefreshError as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(failures), asked(sim, WHOAMI)) == (8, 1)
    sim.clear()
    assert token.current().account_id == sim.account.account_id


def test_jwt_is_used_until_it_expires(sim: Simulator) -> None:
    now = [datetime.now(UTC)]
    given = sim.login_document(expires_in=timedelta(minutes=2))["tokens"]["access_token"]
    token = StaticToken(given, issuer=sim.issuer, clock=lambda: now[0])
    login = token.current()
    assert login.account_id == sim.account.account_id
    assert token.ready() is login, "there is nothing to renew it with, so it is used to its end"
    now[0] += timedelta(minutes=3)
    assert token.ready() is None
    with pytest.raises(LoginRequiredError, match=r"expired at \d{4}-\d\d-\d\d \d\d:\d\d \S+ and cannot be refreshed"):
        token.current()
    assert sim.requests == []


def test_token_variable_takes_precedence_over_the_store(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"issuer": sim.issuer, "originator": "tests"}
    store = MemoryStore(sim.login_document())
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", "  ")
    assert isinstance(resolve_credentials(None, **options), Credentials)
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", f" {sim.personal_access_token()}\n")
    token = resolve_credentials(None, **options)
    assert isinstance(token, StaticToken)
    assert token.account().stored_in == token.name == "CODEX_ACCESS_TOKEN"
    with pytest.raises(LoginRequiredError, match="Set a new one, or unset CODEX_ACCESS_TOKEN"):
        token.renew(token.current())
    explicit = resolve_credentials(store, **options)
    assert isinstance(explicit, Credentials), "what the program says goes before the environment"
    assert explicit.store is store


@pytest.mark.parametrize("given", ["", "sk-proj-secret", "opaque-secret", "at-1 secret"])
def test_invalid_token_is_refused_without_showing_it(given: str) -> None:
    with pytest.raises(ValueError, match=r"StaticToken\(…\) is not an access token: it ") as caught:
        StaticToken(given)
    assert "secret" not in str(caught.value)


def test_token_refused_by_the_issuer_raises_login_required(sim: Simulator) -> None:
    with pytest.raises(LoginRequiredError, match=r"does not accept it \(status 401\)\. Create a new token"):
        StaticToken("at-unknown", issuer=sim.issuer).current()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(TokenRefreshError, match="could not be reached"):
        StaticToken("at-unknown", issuer=f"http://127.0.0.1:{port}").current()


def test_logout_forgets_the_token(sim: Simulator) -> None:
    token = StaticToken(sim.personal_access_token(), issuer=sim.issuer)
    with pytest.raises(LoginFailedError, match="in the settings of ChatGPT"):
        token.revoke()
    assert [token.logout(), token.logout()] == [True, False]
    with pytest.raises(LoginRequiredError, match="was logged out"):
        token.current()
    given = Secret(sim.login_document()["tokens"]["access_token"])
    assert StaticToken(given, issuer=sim.issuer).revoke()
    assert sim.requests[-1].json() == {"token": given.reveal(), "token_type_hint": "access_token"}
    assert given.reveal() not in repr(StaticToken(given, issuer=sim.issuer))


def test_stored_personal_token_cannot_be_refreshed(
    sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore({"OPENAI_API_KEY": None, "personal_access_token": sim.personal_access_token()})
    credentials = Credentials(store, issuer=sim.issuer)
    login = credentials.authenticate(interactive=False)
    assert credentials.current() is credentials.ready() is login
    assert asked(sim, WHOAMI) == 1
    with pytest.raises(LoginRequiredError, match="cannot be refreshed"):
        credentials.renew(login)
    assert asked(sim, "/oauth/token") == 0
    assert credentials.account().email == "user@example.com"
    assert credentials.revoke()
    assert "Revoke it in the settings of ChatGPT" in caplog.text
    assert asked(sim, "/oauth/revoke") == 0
    assert store.load() is None


# --- afterwards --------------------------------------------------------------------------------------------------


def test_account_has_all_fields_and_no_secret(sim: Simulator) -> None:
    document = sim.login_document(expires_in=timedelta(hours=1))
    credentials = Credentials(MemoryStore(document), issuer=sim.issuer)
    account = credentials.account()
    assert account == Account(
        email="user@example.com",
        plan="pro",
        account_id=sim.account.account_id,
        user_id="user-simulated",
        expires_at=credentials.current().expires_at,
        stored_in="memory",
    )
    secrets = [document["tokens"][name] for name in ("id_token", "access_token", "refresh_token")]
    assert not [secret for secret in secrets if secret in repr(account)]
    assert sim.requests == []
    credentials.logout()
    with pytest.raises(LoginRequiredError, match="There is no login in memory"):
        credentials.account()


def test_api_key_is_exchanged_and_not_stored(sim: Simulator) -> None:
    store = MemoryStore(sim.login_document())
    credentials = Credentials(store, issuer=sim.issuer)
    key = exchange_api_key(credentials)
    assert key.reveal().startswith("sk-")
    document = store.load()
    assert document is not None
    assert document["OPENAI_API_KEY"] is None, "it is stored nowhere"
    document["tokens"]["id_token"] = None
    store.save(document)
    with pytest.raises(LoginFailedError, match="no id token"):
        exchange_api_key(credentials)
    document["tokens"]["id_token"] = "not.one.of-it"
    store.save(document)
    with pytest.raises(LoginFailedError, match="returned status 400: The subject token is unknown"):
        exchange_api_key(credentials)


# --- where a browser is of no use --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "environment", "marks", "reason"),
    [
        ("linux", {"DISPLAY": ":0"}, (), None),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, (), None),
        ("darwin", {}, (), None),
        ("win32", {}, (), None),
        ("linux", {"DISPLAY": ":0", "SSH_CONNECTION": "a"}, (), "this is an SSH session"),
        ("darwin", {"SSH_TTY": "/dev/ttys1"}, (), "this is an SSH session"),
        ("linux", {"SSH_TTY": "", "DISPLAY": ":0"}, (), None),
        ("linux", {"DISPLAY": ""}, (), "there is no display"),
        ("linux", {}, ("/.dockerenv",), "this is a container"),
        ("linux", {}, ("/run/.containerenv",), "this is a container"),
        ("linux", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, (), "this is a container"),
        ("linux", {"container": "podman", "DISPLAY": ":0"}, (), None),
        ("linux", {"SSH_CONNECTION": "a", "BROWSER": "code --open"}, ("/.dockerenv",), None),
    ],
)
def test_reason_for_no_browser(
    platform: str, environment: dict[str, str], marks: tuple[str, ...], reason: str | None
) -> None:
    assert (
        why_no_browser(
            environment=environment, platform=platform, exists=lambda path: path in marks, has_browser=lambda: True
        )
        == reason
    )


def test_missing_browser_is_a_reason() -> None:
    given: dict[str, Any] = {"environment": {}, "platform": "darwin", "has_browser": lambda: False}
    assert why_no_browser(**given) == "no browser is installed"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a browser of the system cannot be taken away")
@pytest.mark.parametrize("installed", [False, True])
def test_installed_browser_is_detected(installed: bool, tmp_path: Path) -> None:
    if installed:
        (tmp_path / "firefox").write_text("#!/bin/sh\n")
        (tmp_path / "firefox").chmod(0o755)
    program = "from codex_backend_sdk.auth.flows.environment import why_no_browser; print(why_no_browser())"
    env = {"DISPLAY": ":0", "PATH": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, timeout=40, check=True).stdout
    assert said.decode().strip() == ("None" if installed else "no browser is installed")


def test_url_is_logged_with_the_reason_for_no_browser(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")
    with pytest.raises(LoginFailedError, match="not finished"):
        Credentials(MemoryStore(), issuer=sim.issuer).authenticate(ports=(0,), timeout=1.5)
    assert (
        "No browser is opened: this is an SSH session. Open this address in a browser to log in: http://127.0.0.1"
        in caplog.text
    )
    assert capfd.readouterr() == ("", "")


def test_pasted_address_completes_the_login(sim: Simulator) -> None:
    urls: list[str] = []
    prompts: list[str] = []

    def person(prompt: str) -> str:
        prompts.append(prompt)
        if len(prompts) == 1:
            return "https://example.com/"
        if len(prompts) == 2:
            return "http://127.0.0.1:1455/auth/callback?code=ac_1&state=of-another"
        if len(prompts) == 3:
            return "http://127.0.0.1:1455/auth/callback?code=ac_1&state=\udce4"  # what was not UTF-8
        return str(httpx2.get(urls[0]).headers["location"])

    credentials = Credentials(MemoryStore(), issuer=sim.issuer)
    began = time.monotonic()
    login = credentials.authenticate(open_browser=False, on_url=urls.append, paste=person, ports=(0,), timeout=20)
    assert login.email == "user@example.com"
    assert time.monotonic() - began < 3, "no page is waited for"
    assert len(prompts) == 4
    assert "Paste it again" in prompts[1]


@pytest.mark.parametrize("given", [None, "", EOFError()])
def test_callback_still_works_if_nothing_is_pasted(sim: Simulator, given: object) -> None:
    urls: list[str] = []

    def paste(prompt: str) -> Any:
        threading.Timer(0.2, lambda: httpx2.get(urls[0], follow_redirects=True)).start()
        if isinstance(given, Exception):
            raise given
        return given

    credentials = Credentials(MemoryStore(), issuer=sim.issuer)
    login = credentials.authenticate(open_browser=False, on_url=urls.append, paste=paste, ports=(0,), timeout=20)
    assert login.email == "user@example.com"


def test_scopes_and_cancellation(sim: Simulator) -> None:
    urls: list[str] = []
    cancel = threading.Event()
    credentials = Credentials(MemoryStore(), issuer=sim.issuer)

    def told(url: str) -> None:
        urls.append(url)
        cancel.set()

    with pytest.raises(LoginFailedError, match="Login cancelled"):
        credentials.authenticate(open_browser=False, on_url=told, scopes=["openid", "email"], ports=(0,), cancel=cancel)
    assert "&scope=openid+email&" in urls[0]
    with pytest.raises(TypeError, match="sequence of names"):
        credentials.authenticate(scopes="openid email")
