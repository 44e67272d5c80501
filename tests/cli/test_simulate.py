"""Test `codex-backend simulate`."""

from __future__ import annotations

import os
import re
import signal
import socket
from typing import TYPE_CHECKING

import openai
import pytest

from codex_backend_sdk import OpenAI

if TYPE_CHECKING:
    from pathlib import Path

    from cli.command_runs import Process, Run, Spawn

needs_sigint = pytest.mark.skipif(os.name == "nt", reason="Windows cannot send SIGINT to another process")


def use_printed_settings(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until the simulator runs, and set the variables that it prints."""
    lines: list[str] = []
    while not lines or "Ctrl-C" not in lines[-1]:
        lines.append(process.stdout.readline())
        assert process.poll() is None
    for name, value in re.findall(r"export (\w+)=(.+)$", "".join(lines), re.MULTILINE):
        monkeypatch.setenv(name, value)


@needs_sigint
def test_simulate_serves_until_ctrl_c(spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with spawn("simulate", "--port", "0", "--codex-home", str(tmp_path / "made")) as process:
        use_printed_settings(process, monkeypatch)
        with OpenAI() as client:
            assert client.responses.create(input="Say hello.").output_text == "hello"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert out == "Stopped.\n"


def test_simulate_on_a_port_in_use_fails(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_server:
        result = run("simulate", "--port", str(other_server.getsockname()[1]))
    assert result.code == 1
    assert "--port" in result.out


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_simulate_on_an_invalid_port_is_a_usage_error(run: Run, port: str) -> None:
    assert run("simulate", "--port", port).code == 2


@needs_sigint
def test_fail_option_injects_faults(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    with spawn("simulate", "--fail", "overloaded*1", "--fail", "failed:context_length_exceeded") as process:
        use_printed_settings(process, monkeypatch)
        with OpenAI(max_retries=0) as client:
            with pytest.raises(openai.InternalServerError):
                client.responses.create(input="hi")
            for _ in range(2):
                with pytest.raises(openai.APIError, match="context window"):
                    client.responses.create(input="hi")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_unknown_fault_is_a_usage_error(run: Run) -> None:
    result = run("simulate", "--fail", "usage_limt")
    assert result.code == 2
    assert "Did you mean usage_limit" in result.err


def test_list_faults_prints_the_table(run: Run) -> None:
    result = run("simulate", "--list-faults")
    assert result.code == 0
    assert re.search(r"^usage_limit\[:plan,reset_seconds\] +returns 429 .+$", result.out, re.MULTILINE)
    assert "(@token)" in result.out
