"""The chat in a real terminal: Ctrl-C, paste, resize, a pipe, approval; and its errors without one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cli.command_runs import Run, StoreLogin

    from codex_backend_sdk.testing import Simulator

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a pty is POSIX")

PROMPT = "\n>"
SECONDS = 50.0  # a bound; the tests wait for text
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[=>()][A-Z0-9]?|\r")


class Terminal:
    """A process in a pty. `wait_for` reads until a text appears after what was found before."""

    def __init__(self, command: list[str], environment: dict[str, str], *, columns: int, stdin: str | None) -> None:
        import pty

        self.master, slave = pty.openpty()
        self.resize(columns)
        read_end = None
        if stdin is not None:
            read_end, write_end = os.pipe()
            os.write(write_end, stdin.encode())
            os.close(write_end)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SET_TERMINAL, *command],
            stdin=slave if read_end is None else read_end,
            stdout=slave,
            stderr=slave,
            env={**environment, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
            start_new_session=True,
        )
        os.close(slave)
        if read_end is not None:
            os.close(read_end)
        self.text = ""
        self._found = 0

    def resize(self, columns: int, rows: int = 24) -> None:
        import fcntl
        import termios

        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, text: str) -> str:
        """Return the plain text up to this one, from the end of the last one."""
        deadline = time.monotonic() + SECONDS
        while (position := self.text.find(text, self._found)) < 0:
            assert time.monotonic() < deadline, f"no {text!r} in {self.text!r}"
            if not self._read():
                raise AssertionError(f"ended without {text!r}: {self.text!r}")
        before, self._found = self.text[self._found : position], position + len(text)
        return before

    def wait(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        return self.process.wait(SECONDS)

    def _read(self) -> bool:
        if not select.select([self.master], [], [], SECONDS)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: the process has ended
            return False
        self.text += ESCAPES.sub("", data.decode("utf-8", "replace"))
        return bool(data)


# Makes the pty the controlling terminal, so that Ctrl-C is a signal and /dev/tty exists.
SET_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
from codex_backend_sdk.cli import main
sys.argv = ["codex-backend", *sys.argv[1:]]
sys.exit(main())
"""


@pytest.fixture
def start(environment: dict[str, str], store_login: StoreLogin, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    store_login()
    terminals: list[Terminal] = []

    def start(*arguments: str, columns: int = 80, stdin: str | None = None) -> Terminal:
        env = {**environment, "CODEX_BACKEND_DATA": str(tmp_path / "data"), "CODEX_TRANSPORT": "http"}
        terminals.append(Terminal(["chat", *arguments], env, columns=columns, stdin=stdin))
        return terminals[-1]

    yield start
    for terminal in terminals:
        if terminal.process.poll() is None:
            terminal.process.kill()
        terminal.process.wait(SECONDS)
        with contextlib.suppress(OSError):
            os.close(terminal.master)


def inputs(sim: Simulator) -> list[str]:
    return [request.body["input"][-1]["content"][0]["text"] for request in sim.model_requests]


def test_message_and_pasted_lines_are_answered(start: Callable[..., Terminal], sim: Simulator) -> None:
    sim.script(Turn.text("The **first** response."), Turn.text("The second one."))
    terminal = start("Hello")
    terminal.wait_for("The first response.")
    terminal.wait_for("plan used")
    terminal.wait_for(PROMPT)
    terminal.send("\x1b[200~line 1\nline 2\x1b[201~\r")
    terminal.wait_for("The second one.")
    terminal.wait_for(PROMPT)
    terminal.send("\x04")
    terminal.wait_for("Saved as ")
    assert terminal.wait() == 0
    assert inputs(sim) == ["Hello", "line 1\nline 2"]


def test_ctrl_c_stops_the_response_and_keeps_it(start: Callable[..., Terminal], sim: Simulator) -> None:
    sim.script(Turn.text("word " * 5_000).throttled(200, 0.05), Turn.text("Next."))
    terminal = start("Count")
    terminal.wait_for("word word")
    terminal.send("\x03")
    terminal.wait_for("The response so far is kept")
    terminal.wait_for(PROMPT)
    terminal.send("Go on\r")
    terminal.wait_for("Next.")
    terminal.wait_for(PROMPT)
    terminal.send("\x03")
    terminal.wait_for("Press Ctrl-C again")
    terminal.wait_for(PROMPT)
    terminal.send("\x03")
    assert terminal.wait() == 0
    kept = [item for item in sim.model_requests[-1].body["input"] if item.get("role") == "assistant"]
    assert kept[0]["content"][0]["text"].startswith("word word")


def test_resize_while_streaming_repeats_nothing(start: Callable[..., Terminal], sim: Simulator) -> None:
    numbers = [f"n{number}" for number in range(400)]
    sim.script(Turn.text(" ".join(numbers)).throttled(300, 0.02))
    terminal = start("Count", columns=80)
    terminal.wait_for("n20 ")
    terminal.resize(40)
    terminal.wait_for("plan used")
    assert re.findall(r"n\d+", terminal.text) == numbers
    terminal.wait_for(PROMPT)
    terminal.send("\x04")
    assert terminal.wait() == 0


def test_pipe_is_the_first_message_and_keys_follow(start: Callable[..., Terminal], sim: Simulator) -> None:
    sim.script(Turn.text("First."), Turn.text("Second."))
    terminal = start(stdin="text of the pipe")
    terminal.wait_for("First.")
    terminal.wait_for("plan used")
    terminal.wait_for(PROMPT)
    terminal.send("typed\r")
    terminal.wait_for("Second.")
    terminal.wait_for(PROMPT)
    terminal.send("\x04")
    assert terminal.wait() == 0
    assert "text of the pipe" in inputs(sim)[0]
    assert inputs(sim)[1] == "typed"


def test_tool_runs_after_its_approval(start: Callable[..., Terminal], sim: Simulator, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(
        'def weather(city: str) -> str:\n    """Return it."""\n    return f"{city} is sunny"\n', encoding="utf-8"
    )
    sim.script(
        Turn.call("weather", {"city": "Rome\x1b]52;c;eA==\x07"}),
        Turn.text("Sunny."),
        Turn.call("weather", {"city": "Oslo"}),
        Turn.text("Not run."),
    )
    terminal = start("How is it?", "--tools", str(tmp_path / "tools.py"))
    question = terminal.wait_for("[a]lways: ")
    assert "weather(city=" in question
    terminal.send("y\r")
    terminal.wait_for("Sunny.")
    terminal.wait_for(PROMPT)
    terminal.send("And Oslo?\r")
    terminal.wait_for("[a]lways: ")
    terminal.send("n\r")
    terminal.wait_for("Not run.")
    terminal.wait_for(PROMPT)
    terminal.send("\x04")
    assert terminal.wait() == 0
    outputs = [item["output"] for item in sim.model_requests[-1].body["input"] if "output" in item]
    assert "is sunny" in str(outputs[0])
    assert "does not allow" in str(outputs[1])


def test_second_ctrl_c_during_a_tool_leaves(start: Callable[..., Terminal], sim: Simulator, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(
        'import time\n\n\ndef wait() -> str:\n    """Wait."""\n    time.sleep(600)\n    return ""\n', encoding="utf-8"
    )
    sim.script(Turn.call("wait", {}))
    terminal = start("Wait", "--yes", "--tools", str(tmp_path / "tools.py"))
    terminal.wait_for("wait()")
    terminal.send("\x03")
    terminal.wait_for("A call still runs and cannot be stopped: wait.")
    terminal.wait_for(PROMPT)
    terminal.send("\x03")
    assert terminal.wait() == 130
    assert "Press Ctrl-C again, or Ctrl-D" not in terminal.text


def test_message_after_a_stopped_tool_stays_in_the_chat(
    start: Callable[..., Terminal], sim: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "tools.py").write_text(
        'import time\n\n\ndef wait() -> str:\n    """Wait."""\n    time.sleep(600)\n    return ""\n', encoding="utf-8"
    )
    sim.script(Turn.call("wait", {}), Turn.text("Fine."))
    terminal = start("Wait", "--yes", "--tools", str(tmp_path / "tools.py"))
    terminal.wait_for("wait()")
    terminal.send("\x03")
    terminal.wait_for(PROMPT)
    terminal.send("Go on\r")
    terminal.wait_for("Fine.")
    terminal.wait_for(PROMPT)
    terminal.send("\x03")
    terminal.wait_for("Press Ctrl-C again, or Ctrl-D")
    terminal.wait_for(PROMPT)
    terminal.send("\x04")
    assert terminal.wait() == 0


def test_error_does_not_end_the_chat(start: Callable[..., Terminal], sim: Simulator) -> None:
    sim.fail("usage_limit:plus,3600")
    terminal = start("Hello")
    terminal.wait_for("Error: ")
    terminal.wait_for("/retry sends the message again")
    terminal.wait_for(PROMPT)
    sim.clear()  # the limit has reset
    terminal.send("/retry\r")
    terminal.wait_for("You wrote")
    terminal.wait_for(PROMPT)
    terminal.send("/exit\r")
    assert terminal.wait() == 0


@pytest.mark.parametrize("columns", [20, 40])
def test_narrow_terminal_shows_everything(start: Callable[..., Terminal], sim: Simulator, columns: int) -> None:
    sim.script(Turn.text("一二三四五六七八九十" * 3 + "\n\n- item 🎉\n\n```py\nx = 'a long line of code'\n```\n"))
    terminal = start("Hello", columns=columns)
    terminal.wait_for("x = 'a long line of code'\n")
    terminal.wait_for(PROMPT)
    terminal.send("\x04")
    assert terminal.wait() == 0


def test_open_conversation_names_fork_and_show(start: Callable[..., Terminal], sim: Simulator) -> None:
    terminal = start("Hello")
    terminal.wait_for("plan used")
    terminal.wait_for(PROMPT)
    second = start("--continue")
    second.wait_for("--fork` continues in a copy")
    assert second.wait() == 1
    third = start("--continue", "--fork")
    third.wait_for("You wrote: Hello")
    third.wait_for(PROMPT)
    third.send("\x04")
    assert third.wait() == 0


# --- without a terminal ----------------------------------------------------------------------------------------------


def test_chat_without_a_terminal_names_ask(run_in_process: Run, store_login: StoreLogin) -> None:
    store_login()
    result = run_in_process("chat", "Hello")
    assert result.code == 2
    assert "`codex-backend ask`" in result.err


def test_saved_conversations_are_listed_shown_and_deleted(
    start: Callable[..., Terminal], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEX_BACKEND_DATA", str(tmp_path / "data"))
    assert run("chat", "--list").code == 0
    terminal = start("Plan a trip")
    terminal.wait_for("plan used")
    terminal.wait_for(PROMPT)
    terminal.send("\x04")
    assert terminal.wait() == 0
    (listed,) = json.loads(run("chat", "--list", "--json").out)["conversations"]
    assert listed["title"] == "Plan a trip"
    assert "Plan a trip" in run("chat", "--list").out
    assert "Plan a trip" in run("chat", "--show", listed["id"][:4]).out
    assert json.loads(run("chat", "--show", listed["id"], "--json").out)
    assert run("chat", "--delete-older-than", "1d").code == 0
    deleted = run("chat", "--delete", listed["id"], "--json")
    assert json.loads(deleted.out) == {"deleted": [listed["id"]], "failed": []}
    assert json.loads(run("chat", "--list", "--json").out) == {"conversations": []}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--list", "--show", "x"), "Pass one of"),
        (("--json",), "--json needs"),
        (("--continue", "--conversation", "x"), "either --continue or"),
        (("--fork",), "--fork needs"),
        (("--delete-older-than", "x"), "30d"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(run: Run, arguments: tuple[str, ...], message: str) -> None:
    result = run("chat", *arguments)
    assert result.code == 2
    assert message in " ".join(result.err.split())
