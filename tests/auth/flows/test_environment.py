"""Test the detection of a usable browser, and the login with a logged or pasted URL."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from codex_backend_sdk._exceptions import LoginFailedError
from codex_backend_sdk.auth import (
    Credentials,
    MemoryStore,
)
from codex_backend_sdk.auth.flows.environment import browser_unavailable_reason
from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("platform", "environment", "files", "reason"),
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
def test_browser_is_unavailable_in_ssh_and_containers(
    platform: str, environment: dict[str, str], files: tuple[str, ...], reason: str | None
) -> None:
    assert (
        browser_unavailable_reason(
            environment=environment, platform=platform, exists=lambda path: path in files, has_browser=lambda: True
        )
        == reason
    )


def test_missing_browser_is_reported() -> None:
    options: dict[str, Any] = {"environment": {}, "platform": "darwin", "has_browser": lambda: False}
    assert browser_unavailable_reason(**options) == "no browser is installed"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system browser cannot be hidden on this platform")
@pytest.mark.parametrize("installed", [False, True])
def test_installed_browser_is_detected(installed: bool, tmp_path: Path) -> None:
    if installed:
        (tmp_path / "firefox").write_text("#!/bin/sh\n")
        (tmp_path / "firefox").chmod(0o755)
    program = "from codex_backend_sdk.auth.flows import environment; print(environment.browser_unavailable_reason())"
    env = {"DISPLAY": ":0", "PATH": str(tmp_path)}
    output = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, timeout=40, check=True
    ).stdout
    assert output.decode().strip() == ("None" if installed else "no browser is installed")


def test_url_is_logged_with_the_reason_for_no_browser(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")
    with pytest.raises(LoginFailedError, match="not finished"):
        Credentials(MemoryStore(), issuer=sim.issuer).authenticate(ports=(0,), timeout=1.5)
    assert (
        "No browser is opened: this is an SSH session. Open this URL in a browser to log in:\nhttp://127.0.0.1"
        in caplog.text
    )
    assert capfd.readouterr() == ("", "")


def test_pasted_url_completes_the_login(sim: Simulator) -> None:
    urls: list[str] = []
    prompts: list[str] = []

    def paste_url(prompt: str) -> str:
        prompts.append(prompt)
        if len(prompts) == 1:
            return "https://example.com/"
        if len(prompts) == 2:
            return "http://127.0.0.1:1455/auth/callback?code=ac_1&state=wrong"
        if len(prompts) == 3:
            return "http://127.0.0.1:1455/auth/callback?code=ac_1&state=\udce4"  # a surrogate for invalid UTF-8
        return str(httpx2.get(urls[0]).headers["location"])

    credentials = Credentials(MemoryStore(), issuer=sim.issuer)
    started = time.monotonic()
    login = credentials.authenticate(open_browser=False, on_url=urls.append, paste=paste_url, ports=(0,), timeout=20)
    assert login.email == "user@example.com"
    assert time.monotonic() - started < 3, "the login does not wait for a callback page"
    assert len(prompts) == 4
    assert "Paste the URL that contains" in prompts[1]


def test_invalid_text_is_not_requested_for_ever(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    prompts: list[str] = []
    urls: list[str] = []

    def paste(prompt: str) -> str:
        prompts.append(prompt)
        if len(prompts) == 20:
            threading.Timer(0.5, lambda: httpx2.get(urls[0], follow_redirects=True)).start()
        return "no URL"

    credentials = Credentials(MemoryStore(), issuer=sim.issuer)
    credentials.authenticate(open_browser=False, on_url=urls.append, paste=paste, ports=(0,), timeout=20)
    assert len(prompts) == 20
    assert "None of 20 pasted texts was the redirect URL" in caplog.text


@pytest.mark.parametrize("pasted", [None, "", EOFError()])
def test_callback_still_works_if_nothing_is_pasted(sim: Simulator, pasted: object) -> None:
    urls: list[str] = []

    def paste(prompt: str) -> Any:
        threading.Timer(0.2, lambda: httpx2.get(urls[0], follow_redirects=True)).start()
        if isinstance(pasted, Exception):
            raise pasted
        return pasted

    credentials = Credentials(MemoryStore(), issuer=sim.issuer)
    login = credentials.authenticate(open_browser=False, on_url=urls.append, paste=paste, ports=(0,), timeout=20)
    assert login.email == "user@example.com"


def test_scopes_are_sent_to_the_issuer(sim: Simulator) -> None:
    urls: list[str] = []
    cancel = threading.Event()
    credentials = Credentials(MemoryStore(), issuer=sim.issuer)

    def on_url(url: str) -> None:
        urls.append(url)
        cancel.set()

    with pytest.raises(LoginFailedError, match="Login cancelled"):
        credentials.authenticate(
            open_browser=False, on_url=on_url, scopes=["openid", "email"], ports=(0,), cancel=cancel
        )
    assert "&scope=openid+email&" in urls[0]


def test_scopes_must_be_a_sequence(sim: Simulator) -> None:
    credentials = Credentials(MemoryStore(), issuer=sim.issuer)
    with pytest.raises(TypeError, match="sequence of strings"):
        credentials.authenticate(scopes="openid email")
