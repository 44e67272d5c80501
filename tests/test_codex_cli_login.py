"""Test that this package and the real Codex CLI share one login in both directions.

The CLI's browser login uses one fixed issuer. A proxy redirects that host to the simulator, with a certificate that the
test creates, and rejects every other host, so no request leaves this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import pytest
from support.codex_cli import BINARY, REQUIREMENTS, isolated_environment
from support.tunnels import serve_proxy, serve_tls

from codex_backend_sdk.auth import Credentials, FileStore
from codex_backend_sdk.testing import DeviceLoginSettings, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIMEOUT_SECONDS = 40
ISSUER = "auth.openai.com"
AUTHORIZE_URL = re.compile(rf"https://{re.escape(ISSUER)}/oauth/authorize\?\S+\n")
COLOR = re.compile(r"\x1b\[[0-9;]*m")

pytestmark = REQUIREMENTS


class SharedHome:
    """A CODEX_HOME that this package and the CLI share."""

    def __init__(self, scratch: Path, sim: Simulator) -> None:
        self.folder = scratch / "codex"
        self.folder.mkdir()
        config = 'cli_auth_credentials_store = "file"\ncheck_for_update_on_startup = false\n'
        (self.folder / "config.toml").write_text(config)
        self.sim = sim
        self.store = FileStore(self.folder / "auth.json")
        self.credentials = Credentials(self.store, issuer=sim.issuer)
        self._scratch = scratch

    @contextlib.contextmanager
    def run_cli(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        assert BINARY is not None
        with subprocess.Popen(
            [BINARY, *arguments],
            cwd=self._scratch,
            env=isolated_environment(self._scratch, self.folder, BROWSER="true", **environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):  # the whole group has ended already
                    os.killpg(process.pid, signal.SIGKILL)

    def status(self) -> tuple[int, str]:
        with self.run_cli("login", "status") as process:
            output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        return process.returncode, output.strip().splitlines()[-1] if output.strip() else ""

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "auth.json").read_text())
        return document


@pytest.fixture
def home(tmp_path: Path) -> Iterator[SharedHome]:
    with Simulator(device_login=DeviceLoginSettings(interval_seconds=1, pending_polls=1)) as sim:
        yield SharedHome(tmp_path, sim)


def log_in(home: SharedHome, flow: str) -> None:
    if flow == "browser":
        home.credentials.authenticate(
            open_browser=lambda url: httpx2.get(url, follow_redirects=True), ports=(0,), timeout=TIMEOUT_SECONDS
        )
    else:
        home.credentials.authenticate_device_code(on_code=lambda code: None)


LOGGED_IN = (0, "Logged in using ChatGPT")
LOGGED_OUT = (1, "Not logged in")


@pytest.mark.parametrize("flow", ["browser", "device code"])
def test_login_and_refresh_are_shared_with_the_cli(home: SharedHome, flow: str) -> None:
    assert home.status() == LOGGED_OUT
    log_in(home, flow)
    assert home.status() == LOGGED_IN
    before = home.document()
    home.credentials.refresh(home.credentials.current())
    after = home.document()
    assert before["tokens"]["refresh_token"] != after["tokens"]["refresh_token"]
    assert home.status() == LOGGED_IN
    home.credentials.logout()
    assert home.status() == LOGGED_OUT


def read_until(process: subprocess.Popen[str], pattern: re.Pattern[str]) -> str:
    """Read the output of the CLI until the pattern matches, and return the match."""
    assert process.stdout is not None
    output = ""
    for line in process.stdout:
        output += COLOR.sub("", line)
        if (match := pattern.search(output)) is not None:
            return match[0]
    raise AssertionError(output)


# The browser login of the CLI uses a fixed port, so only one test at a time may run it.


def run_cli_browser_login(home: SharedHome) -> str:
    authority = pytest.importorskip("trustme").CA()
    pem = home.folder.parent / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    request_lines: list[str] = []
    with (
        serve_tls(authority.issue_cert(ISSUER), urlsplit(home.sim.url).port or 0) as issuer,
        serve_proxy(request_lines, local_ports={ISSUER: urlsplit(issuer).port or 0}) as proxy_url,
        home.run_cli("login", CODEX_CA_CERTIFICATE=str(pem), HTTPS_PROXY=proxy_url) as process,
    ):
        page = read_until(process, AUTHORIZE_URL).strip().replace(f"https://{ISSUER}", home.sim.issuer)
        httpx2.get(page, follow_redirects=True, timeout=TIMEOUT_SECONDS).raise_for_status()
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, output
    assert {line.split()[1] for line in request_lines} == {f"{ISSUER}:443"}
    return str(output)


def run_cli_device_login(home: SharedHome) -> str:
    with home.run_cli("login", "--device-auth", "--experimental_issuer", home.sim.issuer) as process:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, output
    return str(output)


@pytest.mark.parametrize("run_cli_login", [run_cli_browser_login, run_cli_device_login])
def test_cli_login_is_shared_and_refreshed(home: SharedHome, run_cli_login: Callable[[SharedHome], str]) -> None:
    assert "Successfully logged in" in run_cli_login(home)
    before = home.document()
    login = home.credentials.authenticate(interactive=False)
    assert (login.email, login.plan, login.account_id) == ("user@example.com", "pro", home.sim.account.account_id)
    assert home.credentials.account().stored_in == str(home.folder / "auth.json")
    renewed = home.credentials.refresh(login)
    after = home.document()
    assert after["tokens"]["access_token"] == renewed.access_token.reveal() != before["tokens"]["access_token"]
    known = {"tokens", "last_refresh"}
    assert {k: v for k, v in after.items() if k not in known} == {k: v for k, v in before.items() if k not in known}
    assert before["tokens"].keys() == after["tokens"].keys(), "unknown members are kept"
    assert home.status() == LOGGED_IN
    assert (home.folder / "auth.json").stat().st_mode & 0o777 == 0o600


def test_expired_cli_login_is_refreshed(home: SharedHome) -> None:
    (home.folder / "config.toml").unlink()  # of this test: the simulator overwrites only its own
    home.sim.write_codex_home(home.folder, expires_in=-timedelta(hours=1))
    assert home.status() == LOGGED_IN
    assert home.credentials.current().email == "user@example.com"
    assert home.status() == LOGGED_IN
    with home.sim.client(credentials=home.credentials) as client:
        assert client.responses.create(input="hi").status == "completed"
