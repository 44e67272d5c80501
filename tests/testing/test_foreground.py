"""`serve`, as the command line uses it: a process of its own, ended by a signal."""

from __future__ import annotations

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
sys.exit(serve(0, echo=lambda line: print(line, flush=True), codex_home=sys.argv[1]))
"""


@pytest.mark.skipif(os.name == "nt", reason="a signal cannot be sent to one process on Windows")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_what_a_user_needs_and_ends_with_0_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "codex"
    with subprocess.Popen([sys.executable, "-c", CODE, str(home)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = []
            while not lines or not lines[-1].startswith("Press Ctrl-C"):
                lines.append(process.stdout.readline())
                assert lines[-1], "ended before it was ready"
            values = dict(line.strip().removeprefix("export ").split("=", 1) for line in lines if "export" in line)
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{values['CODEX_BASE_URL']}/models?client_version=0.169.0", timeout=5)
            assert values["CODEX_ISSUER_URL"] in values["CODEX_BASE_URL"]
            assert sorted(os.listdir(values["CODEX_HOME"])) == ["auth.json", "config.toml"]
            process.send_signal(number)
            assert process.wait(10) == 0
            assert process.stdout.read() == "Stopped.\n"
        finally:
            process.kill()


def test_a_taken_port_is_said_and_not_a_traceback() -> None:
    said: list[str] = []
    with Simulator() as sim:
        assert serve(int(sim.url.rsplit(":", 1)[1]), echo=said.append) == 1
    assert "Choose another port" in said[0]
