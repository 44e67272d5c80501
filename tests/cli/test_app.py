"""Test the command line: start-up, help, errors, exit codes and colors."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import click
import pytest
from cli.command_runs import CommandResult

from codex_backend_sdk.cli.app import codex_backend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.command_runs import Run, Spawn, StoreLogin

    from codex_backend_sdk.testing import Simulator

HIDE_PACKAGE = "import sys; sys.modules[{!r}] = None"
COMMANDS = tuple(codex_backend.list_commands(click.Context(codex_backend)))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("ask", "--help"),
        ("login", "--help"),
        ("status",),
        ("logout",),
        ("--version",),
        ("completion", "bash"),
    ],
)
def test_start_up_imports_nothing_heavy(
    run_in_process: Run, store_login: StoreLogin, print_imports: str, arguments: tuple[str, ...]
) -> None:
    store_login()
    result = run_in_process(*arguments, code=print_imports)
    assert (result.code, result.err) == (0, "imported: []\n")
    assert result.out


def test_print_imports_reports_an_import(run_in_process: Run, store_login: StoreLogin, print_imports: str) -> None:
    store_login()
    assert "'openai'" in run_in_process("usage", code=print_imports).err


def test_help_describes_every_command(run: Run) -> None:
    listed = re.findall(r"^  (\w+)  +(\S.*)$", run("--help").out.partition("Commands:")[2], re.MULTILINE)
    assert tuple(name for name, _ in listed) == COMMANDS
    assert all(text.endswith(".") and not text.endswith("...") for _, text in listed)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: codex-backend {command} ")


def test_version_matches_the_package(run: Run) -> None:
    assert run("--version").out == f"codex-backend, version {version('codex-backend-sdk')}\n"


def test_python_dash_m_runs_the_command(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "codex_backend_sdk", "status"]
    result = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=40, check=False)
    assert (result.returncode, result.stderr) == (3, "")
    assert result.stdout.startswith("Not logged in\n")


@pytest.mark.parametrize("command", ["demo", "simulate"])
@pytest.mark.parametrize("package", ["uvicorn", "starlette", "zstandard"])
def test_missing_simulator_package_names_the_extra(run_in_process: Run, command: str, package: str) -> None:
    result = run_in_process(command, code=HIDE_PACKAGE.format(package))
    assert result.code == 1
    assert f"the package {package}" in result.err
    assert "(in a checkout: pip install '.[testing]')" in result.err
    assert "Traceback" not in result.err


def test_unknown_command_is_a_usage_error(run: Run) -> None:
    result = run("modles")
    assert result.code == 2
    assert "No such command 'modles'. Did you mean 'models'?\n" in result.err
    assert re.search(r"No such option:? '?--zzzz'?\.?\n$", run("--zzzz").err)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("Say hello",), "codex-backend ask 'Say hello'"),
        (("Say", "hello"), "codex-backend ask 'Say hello'"),
        (("zzzz",), "codex-backend ask zzzz"),
        (("it's \x1b[2Jred",), "codex-backend ask 'it'\"'\"'s red'"),
    ],
)
def test_prompt_without_a_command_is_proposed_to_ask(run: Run, arguments: tuple[str, ...], command: str) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert result.err.endswith(f"To send it as a prompt, run: {command}\n")


def test_wrong_path_names_the_variable_once(
    run: Run, store_login: StoreLogin, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_login()
    monkeypatch.setenv("CODEX_BASE_URL", f"{sim.url}/wrong/path")
    err = run("models").err
    assert "correct CODEX_BASE_URL: the path" in err


def test_json_error_is_printed_once_on_a_terminal(run_in_terminal: Callable[..., str]) -> None:
    for options in (("--json",), ("--jsonl",)):
        output = run_in_terminal("ask", "hi", *options, code=3)
        assert output.count("There is no login") == 1, output


def test_error_is_one_line_unless_debug_is_given(run_in_process: Run) -> None:
    result = run_in_process("models")
    assert (result.code, result.out) == (3, "")
    assert re.fullmatch(r"Error: There is no login in .*`codex-backend login`.*\n", result.err)
    assert "client." not in result.err
    with_debug = run_in_process("--debug", "models")
    assert with_debug.code == 1
    assert "Traceback" in with_debug.err


def test_invalid_url_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_BASE_URL", "http://example.com/x")
    result = run("models")
    assert result.code == 1
    assert re.fullmatch(r"Error: .*https.*\n", result.err)


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send SIGINT to another process")
def test_ctrl_c_exits_with_130_without_a_traceback(spawn: Spawn) -> None:
    with spawn("login", "--no-browser", "--port", "0") as process:
        while "Waiting" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip() == "Cancelled."


def test_ctrl_c_during_start_up_prints_no_traceback(run_in_process: Run) -> None:
    code = """
import sys

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == "click":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
"""
    assert run_in_process("status", code=code) == CommandResult(130, "", "")


@pytest.mark.skipif(os.name == "nt", reason="Windows reports a closed pipe differently")
def test_closed_pipe_prints_no_error(spawn: Spawn, store_login: StoreLogin) -> None:
    store_login()
    with spawn("models", "--json") as process:
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=20)
    assert err == ""


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_closed_stdout_keeps_the_exit_code(run_in_process: Run, store_login: StoreLogin, command: str) -> None:
    store_login()
    result = run_in_process(command, code="import sys; sys.stdout = None")
    assert (result.code, result.err) == (run_in_process(command).code, "")


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("ask", "Say hello", "--save"), 0), (("models", "--json"), 0), (("ask", "-i", "missing.png", "hi", "--json"), 2)],
)
def test_closed_stderr_gets_nothing_else(
    environment: dict[str, str], store_login: StoreLogin, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    store_login()
    env = environment | {"CODEX_BACKEND_DATA": str(tmp_path / "data")}
    script = 'exec "$0" -m codex_backend_sdk "$@" <&- 2>&-'
    result = subprocess.run(
        ["sh", "-c", script, sys.executable, *arguments], env=env, capture_output=True, encoding="utf-8", timeout=60
    )
    assert (result.returncode, result.stderr) == (code, "")
    if "--json" in arguments:
        assert ("error" in json.loads(result.stdout)) == (code != 0)
    else:
        assert result.stdout == "hello\n"


@pytest.mark.parametrize(
    "arguments", [("ask", "hi", "--save"), ("ask", "hi", "-c"), ("chat", "--list"), ("chat", "--show", "x")]
)
def test_data_folder_that_is_a_file_is_one_line(
    run: Run, store_login: StoreLogin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    store_login()
    (tmp_path / "data").write_text("")
    monkeypatch.setenv("CODEX_BACKEND_DATA", str(tmp_path / "data"))
    result = run(*arguments, "--json")
    error = json.loads(result.out)["error"]
    assert (result.code, result.err) == (1, f"Error: {error['message']}\n")
    assert error["message"].startswith(f"Cannot use {tmp_path / 'data'}")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
@pytest.mark.parametrize("command", ["status", "usage"])
def test_full_disk_is_one_line(run_in_process: Run, store_login: StoreLogin, command: str) -> None:
    store_login()
    with open("/dev/full", "w") as full:
        result = run_in_process(command, stdout=full)
    assert (result.code, result.err) == (
        1,
        "Error: Cannot write to standard output, because the disk is full. Free some space and try again.\n",
    )


# The tests of the demo, which takes longer, check its colors.
@pytest.mark.parametrize("command", ["status", "usage"])
def test_color_is_printed_to_terminals_only(
    run_in_process: Run, run_in_terminal: Callable[..., str], store_login: StoreLogin, command: str
) -> None:
    store_login()
    assert "\x1b" in run_in_terminal(command)
    assert "\x1b" not in run_in_terminal(command, NO_COLOR="1")
    assert "\x1b" not in run_in_process(command).out


def test_error_in_a_terminal_is_wrapped(run_in_terminal: Callable[..., str]) -> None:
    output = click.unstyle(run_in_terminal("models", columns=60, code=3))
    assert output.startswith("Error: There is no login in")
    assert len(output.splitlines()) > 1


@pytest.mark.parametrize(
    ("arguments", "remedy", "absent"),
    [
        (("ask", "--model", "nope", "hi"), "`codex-backend models` lists the available models", "client."),
        (("login", "--timeout", "0.2", "--no-browser"), "with a longer `--timeout`", "longer `timeout`"),
        (("usage",), "`codex-backend login`", "client."),
    ],
)
def test_remedy_is_one_for_the_command_line(
    run: Run, store_login: StoreLogin, arguments: tuple[str, ...], remedy: str, absent: str
) -> None:
    if arguments[0] == "ask":
        store_login()
    result = run(*arguments)
    assert result.code != 0
    text = " ".join(result.err.split())
    assert remedy in text
    assert absent not in text
