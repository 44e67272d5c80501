"""Run `serve` in a process, as the command line does, and stop it with a signal."""

from __future__ import annotations

import errno
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

SERVE = """
import sys
from codex_backend_sdk.testing import serve
sys.exit(serve(0, echo=lambda line: print(line, flush=True), codex_home=(sys.argv[1:] or [None])[0]))
"""
# Sends the signal while the last line is printed.
SERVE_AND_SIGNAL = """
import os, signal, sys
from codex_backend_sdk.testing import serve
def echo(line):
    if "Ctrl-C" in line:
        os.kill(os.getpid(), int(sys.argv[1]))
sys.exit(serve(0, echo=echo))
"""
EACH_SIGNAL = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
NOT_ON_WINDOWS = pytest.mark.skipif(os.name == "nt", reason="Windows cannot send a signal to one process")


def read_exports(process: subprocess.Popen[str]) -> dict[str, str]:
    """Read the output until the server is ready. Return the environment variables in it."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Press Ctrl-C"):
        lines.append(process.stdout.readline())
        assert lines[-1], "the process ended before it was ready"
    assert all(len(line) <= 80 or "=" in line for line in lines), "a terminal cuts the line within a word"
    return dict(line.strip().removeprefix("export ").split("=", 1) for line in lines if "  export" in line)


@NOT_ON_WINDOWS
@EACH_SIGNAL
def test_serve_prints_variables_and_exits_0_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "codex"
    with subprocess.Popen([sys.executable, "-c", SERVE, str(home)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            variables = read_exports(process)
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{variables['CODEX_BASE_URL']}/models?client_version=0.169.0", timeout=5)
            assert variables["CODEX_ISSUER_URL"] in variables["CODEX_BASE_URL"]
            assert variables["CODEX_HOME"] == str(home.resolve())
            assert sorted(os.listdir(home)) == ["auth.json", "config.toml"]
            process.send_signal(number)
            assert process.wait(10) == 0
            assert process.stdout.read() == "Stopped.\n"
            assert home.exists()
        finally:
            process.kill()


@NOT_ON_WINDOWS
def test_default_codex_home_has_a_login_and_is_removed() -> None:
    # Without CODEX_HOME in the output, a client would send the user's real refresh token to the simulator.
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as process:
        try:
            variables = read_exports(process)
            home = Path(variables["CODEX_HOME"])
            tokens = json.loads((home / "auth.json").read_text())["tokens"]
            request = urllib.request.Request(f"{variables['CODEX_BASE_URL']}/models?client_version=0.169.0")
            request.add_header("authorization", f"Bearer {tokens['access_token']}")
            request.add_header("chatgpt-account-id", tokens["account_id"])
            assert urllib.request.urlopen(request, timeout=5).status == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert not home.exists()
        finally:
            process.kill()


@NOT_ON_WINDOWS
@EACH_SIGNAL
def test_signal_during_the_last_line_exits_0(number: signal.Signals) -> None:
    command = [sys.executable, "-c", SERVE_AND_SIGNAL, str(int(number))]
    assert subprocess.run(command, timeout=30, check=False).returncode == 0


def test_port_in_use_raises() -> None:
    lines: list[str] = []
    problem = r"Cannot listen on 127\.0\.0\.1:\d+: .* Choose another port\."
    with Simulator() as sim, pytest.raises(OSError, match=problem) as caught:
        serve(int(sim.url.rsplit(":", 1)[1]), echo=lines.append)
    assert caught.value.errno == errno.EADDRINUSE
    assert lines == []
