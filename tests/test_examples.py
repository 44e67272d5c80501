"""Test the programs in `examples/`: each runs in a process of its own, on the simulator, and is short."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from support.forked_programs import run_python_file

from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parent.parent / "examples"
MAX_LINES = 40
TIMEOUT_SECONDS = 120
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Programs:
    """Run examples in an empty directory, logged in to a simulator."""

    def __init__(self, sim: Simulator, directory: Path) -> None:
        self.sim = sim
        self.directory = directory
        home = sim.write_codex_home(directory / "codex")
        self.environment = {**os.environ, **sim.environment, "CODEX_HOME": str(home)}

    def run(self, name: str, *arguments: str, input: str = "") -> subprocess.CompletedProcess[str]:
        return run_python_file(
            EXAMPLES / name,
            *arguments,
            cwd=self.directory,
            env=self.environment,
            input=input,
            timeout=TIMEOUT_SECONDS,
        )


@pytest.fixture
def programs(sim: Simulator, tmp_path: Path) -> Programs:
    return Programs(sim, tmp_path)


@pytest.mark.parametrize(
    ("name", "arguments"), [("agent.py", ()), ("batch.py", ("questions.txt",)), ("image_and_search.py", ())]
)
def test_example_without_arguments_prints_its_usage(programs: Programs, name: str, arguments: tuple[str, ...]) -> None:
    done = programs.run(name, *arguments)
    assert (done.returncode, programs.sim.requests) == (1, [])
    assert f"python examples/{name} " in done.stderr
    assert "Traceback" not in done.stderr


def test_examples_have_command_lines() -> None:
    page = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f"examples/{path.name}" in page or f"{path.stem}:app" in page


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < MAX_LINES


def test_extraction_returns_thirty_objects(programs: Programs) -> None:
    done = programs.run("extract.py")
    assert done.returncode == 0, done.stderr
    assert [line.split("=")[0] for line in done.stdout.splitlines()] == ["product"] * 30


def test_extraction_corrects_an_invalid_response(programs: Programs) -> None:
    programs.sim.script(*["not JSON"] * 8)
    done = programs.run("extract.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("product=") == 30


def test_batch_continues_after_an_interruption(programs: Programs) -> None:
    (programs.directory / "questions.txt").write_text("one\ntwo\nthree\n")
    programs.sim.fail("cyber_policy", times=1)
    first = programs.run("batch.py", "questions.txt", "answers.jsonl")
    assert first.returncode == 0, first.stderr
    second = programs.run("batch.py", "questions.txt", "answers.jsonl")
    assert second.stdout == "\n3 complete, 0 failed, 2 answered before.\n"
    rows = [json.loads(line) for line in (programs.directory / "answers.jsonl").read_text().splitlines()]
    assert len({row["custom_id"] for row in rows}) == len(rows) == 3


def test_image_is_described_and_looked_up(programs: Programs) -> None:
    (programs.directory / "photo.png").write_bytes(PNG)
    programs.sim.script(Turn.text("A red dot."), Turn.text("It is on the web."))
    done = programs.run("image_and_search.py", "photo.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("A red dot.\n\nIt is on the web.")


def test_chat_continues_its_history(programs: Programs) -> None:
    programs.sim.script("First.", "Second.")
    first = programs.run("chat.py", input="Hello\n")
    assert first.returncode == 0, first.stderr
    assert "0 items in chat.jsonl" in first.stdout
    assert "First." in first.stdout
    second = programs.run("chat.py", input="/model gpt-6.1-sol\nAnd now?\n")
    assert "2 items in chat.jsonl" in second.stdout
    assert "Second." in second.stdout
    assert second.returncode == 0, second.stderr


def test_chat_survives_an_error(programs: Programs) -> None:
    programs.sim.script(Turn.failed("cyber_policy"), "Better.")
    done = programs.run("chat.py", input="Hello\nAgain\n")
    assert done.returncode == 0
    assert "Better." in done.stdout
    assert done.stderr


@pytest.mark.parametrize(("answer", "is_written"), [("y", True), ("n", False)])
def test_agent_runs_calls_in_parallel(programs: Programs, answer: str, *, is_written: bool) -> None:
    zones = [("current_time", {"zone": zone}) for zone in ("Asia/Tokyo", "America/Lima")]
    programs.sim.script(Turn.calls(zones), Turn.call("write_file", {"name": "times.txt", "text": "noon"}), "Done.")
    done = programs.run("agent.py", "Write the times.", input=f"{answer}\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("Done.\n")
    assert (programs.directory / "times.txt").exists() == is_written


@pytest.fixture
def server(programs: Programs) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "web_server:app", "--port", str(port), "--app-dir", str(EXAMPLES)]
    with subprocess.Popen(command, env=programs.environment, cwd=programs.directory) as process:
        url = f"http://127.0.0.1:{port}"
        _wait_until_served(url, process)
        yield url
        process.terminate()


def _wait_until_served(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx2.get(f"{url}/openapi.json", timeout=1)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the example did not start")


def test_web_server_streams_text_and_errors(server: str, sim: Simulator) -> None:
    sim.script(Turn.text("Hello"))
    with httpx2.stream("GET", f"{server}/ask", params={"question": "hi"}, timeout=60) as response:
        assert "".join(json.loads(line[6:])["text"] for line in response.iter_lines() if line) == "Hello"
    sim.fail("cyber_policy", times=1)
    error = httpx2.get(f"{server}/ask", params={"question": "hi"}, timeout=60).text
    assert error.startswith("event: error\n")
