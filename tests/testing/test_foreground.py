"""`serve`, as the command line uses it: a process of its own, ended by a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from codex_backend_sdk.testing import Simulator, serve

CODE = """
import sys
from codex_backend_sdk.testing import serve
sys.exit(serve(0, echo=lambda line: print(line, flush=True), codex_home=(sys.argv[1:] or [None])[0]))
"""
# A signal at the very moment in which the last line is said.
AT_ONCE = """
import os, signal, sys
from codex_backend_sdk.testing import serve
def echo(line):
    if "Ctrl-C" in line:
        os.kill(os.getpid(), int(sys.argv[1]))
sys.exit(serve(0, echo=echo))
"""
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
NOT_ON_WINDOWS = pytest.mark.skipif(os.name == "nt", reason="a signal cannot be sent to one process on Windows")


def exports(process: subprocess.Popen[str]) -> dict[str, str]:
    """Read what is printed until it is ready; return the variables."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Press Ctrl-C"):
        lines.append(process.stdout.readline())
        assert lines[-1], "ended before it was ready"
    return dict(line.strip().removeprefix("export ").split("=", 1) for line in lines if "  export" in line)


@NOT_ON_WINDOWS
@SIGNALS
def test_it_prints_what_a_user_needs_and_ends_with_0_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "codex"
    with subprocess.Popen([sys.executable, "-c", CODE, str(home)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            values = exports(process)
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{values['CODEX_BASE_URL']}/models?client_version=0.169.0", timeout=5)
            assert values["CODEX_ISSUER_URL"] in values["CODEX_BASE_URL"]
            assert values["CODEX_HOME"] == str(home.resolve())
            assert sorted(os.listdir(home)) == ["auth.json", "config.toml"]
            process.send_signal(number)
            assert process.wait(10) == 0
            assert process.stdout.read() == "Stopped.\n"
            assert home.exists()
        finally:
            process.kill()


@NOT_ON_WINDOWS
def test_without_a_folder_it_makes_a_login_of_its_own_and_takes_it_away_at_the_end() -> None:
    """Whoever followed the exports without one would send the real refresh token here and lose the real login."""
    with subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True) as process:
        try:
            values = exports(process)
            home = Path(values["CODEX_HOME"])
            tokens = json.loads((home / "auth.json").read_text())["tokens"]
            request = urllib.request.Request(f"{values['CODEX_BASE_URL']}/models?client_version=0.169.0")
            request.add_header("authorization", f"Bearer {tokens['access_token']}")
            request.add_header("chatgpt-account-id", tokens["account_id"])
            assert urllib.request.urlopen(request, timeout=5).status == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert not home.exists()
        finally:
            process.kill()


@NOT_ON_WINDOWS
@SIGNALS
def test_a_signal_right_after_the_last_line_is_no_crash(number: signal.Signals) -> None:
    command = [sys.executable, "-c", AT_ONCE, str(int(number))]
    assert subprocess.run(command, timeout=30, check=False).returncode == 0


def test_a_taken_port_is_said_and_not_a_traceback() -> None:
    said: list[str] = []
    with Simulator() as sim:
        assert serve(int(sim.url.rsplit(":", 1)[1]), echo=said.append) == 1
    assert "Choose another port" in said[0]
