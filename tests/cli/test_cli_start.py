from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from threading import Thread
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.runs import Run, Spawn, StoreLogin


ABSENT = "import sys; sys.modules[{!r}] = None"
COMMANDS = ("login", "logout", "status", "usage", "models", "ask", "doctor", "demo", "simulate")


@pytest.mark.parametrize("arguments", [("--help",), ("login", "--help"), ("status",), ("logout",), ("--version",)])
def test_what_needs_no_backend_imports_nothing_heavy(
    run_alone: Run, store_login: StoreLogin, listing: str, arguments: tuple[str, ...]
) -> None:
    store_login()
    ran = run_alone(*arguments, code=listing)
    assert ran.code == 0, ran
    assert ran.err == "imported: []\n"
    assert ran.out


def test_the_listing_of_imports_notices_an_import(run_alone: Run, store_login: StoreLogin, listing: str) -> None:
    store_login()
    assert "'openai'" in run_alone("usage", code=listing).err


def test_the_help_lists_every_command_with_a_whole_sentence(run: Run) -> None:
    listed = re.findall(r"^  (\w+)  +(\S.*)$", run("--help").out.partition("Commands:")[2], re.MULTILINE)
    assert tuple(name for name, _ in listed) == COMMANDS
    assert all(text.endswith(".") and not text.endswith("...") for _, text in listed)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    ran = run(command, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: codex-backend {command} ")


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").out == f"codex-backend, version {version('codex-backend-sdk')}\n"


def test_python_dash_m_is_the_command_with_its_exit_code(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "codex_backend_sdk", "status"]
    ran = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=40, check=False)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout.startswith("Not signed in\n")


def test_without_click_the_extra_is_named(run_alone: Run) -> None:
    ran = run_alone("--help", code=ABSENT.format("click"))
    assert (ran.code, ran.out) == (1, "")
    assert "pip install 'codex-backend-sdk[cli]'" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("command", ["demo", "simulate"])
@pytest.mark.parametrize("package", ["uvicorn", "starlette", "zstandard"])
def test_without_the_simulators_packages_the_extra_is_named(run_alone: Run, command: str, package: str) -> None:
    ran = run_alone(command, code=ABSENT.format(package))
    assert ran.code == 1
    assert f"the package {package}" in ran.err
    assert "pip install 'codex-backend-sdk[cli,testing]'" in ran.err
    assert "Traceback" not in ran.err


def test_a_command_that_does_not_exist_is_a_usage_error(run: Run) -> None:
    ran = run("frobnicate")
    assert ran.code == 2
    assert "frobnicate" in ran.err


def test_an_error_is_one_line_and_its_traceback_is_shown_on_request(run_alone: Run) -> None:
    ran = run_alone("models")
    assert (ran.code, ran.out) == (1, "")
    assert re.fullmatch(r"Error: There is no login in .* Sign in with `codex-backend login`.\n", ran.err)
    shown = run_alone("--debug", "models")
    assert shown.code == 1
    assert "Traceback" in shown.err


def test_a_wrong_address_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_BASE_URL", "http://example.com/x")
    ran = run("models")
    assert ran.code == 1
    assert ran.err.startswith("Error: ")
    assert "https" in ran.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT between processes")
def test_ctrl_c_ends_with_130_and_no_traceback(spawn: Spawn) -> None:
    with spawn("login", "--no-browser", "--port", "0") as process:
        while "Waiting" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip() == "Cancelled."


@pytest.mark.skipif(os.name == "nt", reason="Windows reports a closed pipe in another way")
def test_a_reader_that_goes_away_causes_no_noise(spawn: Spawn, store_login: StoreLogin) -> None:
    store_login()
    with spawn("models", "--json") as process:
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=20)
    assert err == ""


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_a_closed_output_changes_no_exit_code(run_alone: Run, store_login: StoreLogin, command: str) -> None:
    store_login()
    ran = run_alone(command, code="import sys; sys.stdout = None")
    assert (ran.code, ran.err) == (run_alone(command).code, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
@pytest.mark.parametrize("command", ["status", "usage"])
def test_a_full_disk_is_said_in_a_line(run_alone: Run, store_login: StoreLogin, command: str) -> None:
    store_login()
    with open("/dev/full", "w") as full:
        ran = run_alone(command, stdout=full)
    assert (ran.code, ran.err) == (1, "Error: No space left on device\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("command", ["status", "usage", "demo"])
def test_colour_is_for_terminals_only(run_alone: Run, store_login: StoreLogin, command: str) -> None:
    store_login()
    assert "\x1b" in on_terminal(run_alone, command)
    assert "\x1b" not in on_terminal(run_alone, command, env={"NO_COLOR": "1", "TERM": "xterm-256color"})
    assert "\x1b" not in run_alone(command).out


def on_terminal(run_alone: Run, command: str, *, env: dict[str, str] | None = None) -> str:
    """Run a command whose output is a terminal, and return what the terminal was sent."""
    import pty  # not on Windows

    ours, theirs = pty.openpty()
    received = bytearray()
    with open(ours, "rb", buffering=0) as reader, open(theirs, "wb", buffering=0) as terminal:

        def read() -> None:
            try:
                while piece := reader.read(65536):
                    received.extend(piece)
            except OSError:  # how Linux tells that the other end was closed
                pass

        thread = Thread(target=read)
        thread.start()
        ran = run_alone(command, stdout=terminal, env=env or {"TERM": "xterm-256color"})
        terminal.close()
        thread.join(timeout=10)
    assert ran.code == 0, ran.err
    return received.decode()


def test_a_command_that_is_misspelt(run: Run) -> None:
    assert "No such command 'modles'. Did you mean 'models'?\n" in run("modles").err
    assert run("zzzz").err.endswith("No such command 'zzzz'.\n")
