"""Logins are shared with the real Codex CLI, both ways.

Its browser login knows one issuer only. Here a proxy leads that name to the simulator, with a certificate of our own;
every other host is refused, so nothing leaves this machine.
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
from real_cli import BINARY, NEEDED, alone
from support.tunnels import proxy, tls

from codex_backend_sdk.auth import Credentials, FileStore
from codex_backend_sdk.testing import DeviceLoginSettings, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECONDS = 40
ISSUER = "auth.openai.com"
URL = re.compile(rf"https://{re.escape(ISSUER)}/oauth/authorize\?\S+\n")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

pytestmark = NEEDED


class Home:
    """A CODEX_HOME that both use."""

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
    def codex(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        assert BINARY is not None
        with subprocess.Popen(
            [BINARY, *arguments],
            cwd=self._scratch,
            env=alone(self._scratch, self.folder, BROWSER="true", **environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):  # all of it has ended
                    os.killpg(process.pid, signal.SIGKILL)

    def status(self) -> tuple[int, str]:
        with self.codex("login", "status") as process:
            said, _ = process.communicate(timeout=SECONDS)
        return process.returncode, said.strip().splitlines()[-1] if said.strip() else ""

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "auth.json").read_text())
        return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Simulator(device_login=DeviceLoginSettings(interval_seconds=1, pending_polls=1)) as sim:
        yield Home(tmp_path, sim)


def sign_in(home: Home, way: str) -> None:
    if way == "browser":
        home.credentials.authenticate(
            open_browser=lambda url: httpx2.get(url, follow_redirects=True), ports=(0,), timeout=SECONDS
        )
    else:
        home.credentials.authenticate_device_code(on_code=lambda code: None)


IN = (0, "Logged in using ChatGPT")
OUT = (1, "Not logged in")


@pytest.mark.parametrize("way", ["browser", "device code"])
def test_the_cli_reads_what_we_wrote_and_renewed(home: Home, way: str) -> None:
    assert home.status() == OUT
    sign_in(home, way)
    assert home.status() == IN
    before = home.document()
    home.credentials.renew(home.credentials.current())
    after = home.document()
    assert before["tokens"]["refresh_token"] != after["tokens"]["refresh_token"]
    assert home.status() == IN
    home.credentials.logout()
    assert home.status() == OUT


def told(process: subprocess.Popen[str], pattern: re.Pattern[str]) -> str:
    """Read what the CLI prints until the pattern is found."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += COLOUR.sub("", line)
        if (found := pattern.search(seen)) is not None:
            return found[0]
    raise AssertionError(seen)


# The browser login of the CLI takes its well-known port: only one of these tests may run it at a time.


def cli_signs_in_with_a_browser(home: Home) -> str:
    authority = pytest.importorskip("trustme").CA()
    pem = home.folder.parent / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    heads: list[str] = []
    with (
        tls(authority.issue_cert(ISSUER), urlsplit(home.sim.url).port or 0) as issuer,
        proxy(heads, only={ISSUER: urlsplit(issuer).port or 0}) as way_out,
        home.codex("login", CODEX_CA_CERTIFICATE=str(pem), HTTPS_PROXY=way_out) as process,
    ):
        page = told(process, URL).strip().replace(f"https://{ISSUER}", home.sim.issuer)
        httpx2.get(page, follow_redirects=True, timeout=SECONDS).raise_for_status()
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    assert {head.split()[1] for head in heads} == {f"{ISSUER}:443"}
    return str(said)


def cli_signs_in_with_a_device_code(home: Home) -> str:
    with home.codex("login", "--device-auth", "--experimental_issuer", home.sim.issuer) as process:
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    return str(said)


@pytest.mark.parametrize("sign_in", [cli_signs_in_with_a_browser, cli_signs_in_with_a_device_code])
def test_we_read_what_the_cli_wrote_and_it_reads_our_renewal(home: Home, sign_in: Callable[[Home], str]) -> None:
    assert "Successfully logged in" in sign_in(home)
    before = home.document()
    login = home.credentials.authenticate(interactive=False)
    assert (login.email, login.plan, login.account_id) == ("user@example.com", "pro", home.sim.account.account_id)
    assert home.credentials.account().stored_in == str(home.folder / "auth.json")
    renewed = home.credentials.renew(login)
    after = home.document()
    assert after["tokens"]["access_token"] == renewed.access_token.reveal() != before["tokens"]["access_token"]
    known = {"tokens", "last_refresh"}
    assert {k: v for k, v in after.items() if k not in known} == {k: v for k, v in before.items() if k not in known}
    assert before["tokens"].keys() == after["tokens"].keys(), "what we do not know is kept"
    assert home.status() == IN
    assert (home.folder / "auth.json").stat().st_mode & 0o777 == 0o600


def test_an_expired_login_of_the_cli_is_renewed_by_us(home: Home) -> None:
    home.sim.write_codex_home(home.folder, expires_in=-timedelta(hours=1))
    assert home.status() == IN
    assert home.credentials.current().email == "user@example.com"
    assert home.status() == IN
    with home.sim.client(credentials=home.credentials) as client:
        assert client.responses.create(input="hi").status == "completed"
