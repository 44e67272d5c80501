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

    from cli.runs import Process, Run, Spawn


def use_what_it_says(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until it serves, and set the variables that it asks for."""
    said: list[str] = []
    while not said or "Ctrl-C" not in said[-1]:
        said.append(process.stdout.readline())
        assert process.poll() is None
    for name, value in re.findall(r"export (\w+)=(.+)$", "".join(said), re.MULTILINE):
        monkeypatch.setenv(name, value)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT between processes")
def test_simulate_serves_until_it_is_interrupted(spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with spawn("simulate", "--port", "0", "--codex-home", str(tmp_path / "made")) as process:
        use_what_it_says(process, monkeypatch)
        with OpenAI() as client:
            assert client.responses.create(input="Say hello.").output_text == "hello"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert out == "Stopped.\n"


def test_simulate_on_a_port_that_is_taken_says_so(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = run("simulate", "--port", str(taken.getsockname()[1]))
    assert ran.code == 1
    assert "Choose another port with --port." in ran.out


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_simulate_on_a_port_that_is_none_is_a_usage_error(run: Run, port: str) -> None:
    assert run("simulate", "--port", port).code == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT between processes")
def test_requests_fail_as_the_options_say(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    with spawn("simulate", "--fail", "overloaded*1", "--fail", "failed:context_length_exceeded") as process:
        use_what_it_says(process, monkeypatch)
        with OpenAI(max_retries=0) as client:
            with pytest.raises(openai.InternalServerError):
                client.responses.create(input="hi")
            for _ in range(2):
                with pytest.raises(openai.APIError, match="context window"):
                    client.responses.create(input="hi")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_fault_that_does_not_exist_is_a_usage_error(run: Run) -> None:
    ran = run("simulate", "--fail", "usage_limt")
    assert ran.code == 2
    assert "Did you mean usage_limit" in ran.err


def test_the_faults_are_listed(run: Run) -> None:
    ran = run("simulate", "--list-faults")
    assert ran.code == 0
    assert re.search(r"^usage_limit\[:plan,seconds\] +429: the plan is used up$", ran.out, re.MULTILINE)
    assert "(@token)" in ran.out
