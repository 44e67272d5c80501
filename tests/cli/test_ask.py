"""Test `codex-backend ask`."""

from __future__ import annotations

import io
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from cli.command_runs import Run, Spawn, StoreLogin

    from codex_backend_sdk.testing import Simulator

posix_only = pytest.mark.skipif(os.name != "posix", reason="arguments are bytes on POSIX only")
both_modes = pytest.mark.parametrize("option", ["--stream", "--no-stream"])


@pytest.fixture(autouse=True)
def logged_in(store_login: StoreLogin) -> None:
    store_login()


@pytest.mark.parametrize("options", [(), ("--stream",), ("--no-stream",)])
def test_response_is_printed(run: Run, options: tuple[str, ...]) -> None:
    result = run("ask", "Say hi five times.", *options)
    assert (result.code, result.out, result.err) == (0, "hi hi hi hi hi\n", "")


def test_model_option_replaces_the_default(run: Run, sim: Simulator) -> None:
    run("ask", "hi", "--model", "gpt-5.5")
    run("ask", "hi")
    assert [request.json()["model"] for request in sim.requests] == ["gpt-5.5", "gpt-6.1-terra"]


def test_interrupted_stream_prints_the_received_text(spawn: Spawn, sim: Simulator) -> None:
    sim.script(*[Turn.text("one two three").cut_after_events(7)] * 3)
    with spawn("ask", "Count.") as process:
        out, err = process.communicate(timeout=40)
    assert process.returncode == 5
    assert out.startswith("one ")
    assert out.endswith("\n"), "the error starts on its own line"
    assert err == "Error: The response was interrupted and is incomplete. Run the command again.\n"


def test_interrupted_response_prints_nothing(run: Run, sim: Simulator) -> None:
    sim.fail("cut_after_events:4", times=None)
    result = run("ask", "Count.", "--no-stream")
    assert (result.code, result.out) == (5, "")
    assert result.err == "Error: The response was interrupted and is incomplete. Run the command again.\n"


@pytest.mark.parametrize("fault", ["cloudflare:challenge", "failed:context_length_exceeded"])
def test_error_names_no_python_argument(run: Run, sim: Simulator, fault: str) -> None:
    sim.fail(fault, times=None)
    result = run("ask", "hi")
    assert result.code == 1
    assert re.fullmatch(r"Error: .*(another network|Shorten the prompt)\.\n", result.err)
    assert "`" not in result.err


def test_prompt_is_read_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Say hello."))
    assert run("ask", "-").out == "hello\n"


@pytest.mark.parametrize("prompt", ["", "  "])
def test_empty_prompt_is_a_usage_error(run: Run, sim: Simulator, prompt: str) -> None:
    assert run("ask", prompt).code == 2
    assert sim.requests == []


@both_modes
def test_incomplete_response_is_printed_and_fails(run: Run, sim: Simulator, option: str) -> None:
    sim.script(Turn.incomplete("max_output_tokens", text="Once upon"))
    result = run("ask", "Tell a story.", option)
    assert (result.code, result.out) == (5, "Once upon\n")
    assert result.err == "Error: The response is incomplete: max_output_tokens. Change the prompt and try again.\n"


@both_modes
def test_failed_response_is_one_line(run: Run, sim: Simulator, option: str) -> None:
    sim.script(Turn.failed("invalid_prompt", "This prompt\nis not allowed."))
    result = run("ask", "Hm.", option)
    assert result.code == 5
    assert re.fullmatch(r"Error: .*This prompt is not allowed\..*\n", result.err)


def test_unknown_model_is_one_line(run: Run) -> None:
    result = run("ask", "hi", "--model", "gpt-0")
    assert result.code == 1
    assert re.fullmatch(r"Error: .*gpt-0.*\n", result.err)


@both_modes
def test_response_cannot_control_the_terminal(run: Run, sim: Simulator, option: str) -> None:
    sim.script(Turn.text("a\x1b]0;title\x07b\x9b2Jc\r\td\n"))
    assert run("ask", "hi", option).out == "abc\td\n"


@pytest.mark.parametrize("argument", [b"caf\xe9", b"\xff", b"a \xed\xa0\xbd"], ids=["latin-1", "byte", "surrogate"])
@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
@posix_only
def test_prompt_of_another_encoding_is_a_usage_error(
    spawn: Spawn, sim: Simulator, argument: bytes, locale: dict[str, str]
) -> None:
    for arguments, source in (((argument,), "PROMPT"), (("-",), "Standard input")):
        with spawn("ask", *arguments, env=locale, stdin=subprocess.PIPE) as process:
            process.stdin.buffer.write(argument)
            out, err = process.communicate(timeout=40)
        assert (process.returncode, out) == (2, "")
        assert f"Error: {source} is not valid text: it has the byte 0x" in err
        assert "Convert it to UTF-8" in err
    assert sim.requests == []


@posix_only
def test_prompt_is_utf8_without_a_locale(spawn: Spawn, sim: Simulator) -> None:
    locale = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with spawn("ask", "süß 漢".encode(), env=locale) as process:
        process.communicate(timeout=40)
    assert process.returncode == 0
    assert sim.requests[-1].json()["input"][0]["content"][0]["text"] == "süß 漢"
