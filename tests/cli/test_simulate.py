"""Test `codex-backend simulate`."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from codex_backend_sdk import OpenAI, UsageLimitError

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
    assert (process.returncode, out) == (0, "Stopped.\n")
    (line,) = err.splitlines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d POST /codex/responses 200 \S+ (message|2 items) [\d,]+\+\d+ tokens \d+\.\d\d s", line
    ), line


def test_simulate_on_a_port_in_use_fails(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_server:
        result = run("simulate", "--port", str(other_server.getsockname()[1]))
    assert (result.code, result.out) == (1, "")
    assert "Choose another port." in result.err


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


def start_document(process: Process, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Read the JSON line of `simulate --json`, and set its variables."""
    document: dict[str, Any] = json.loads(process.stdout.readline())
    for name, value in document["environment"].items():
        monkeypatch.setenv(name, value)
    return document


def stop(process: Process) -> tuple[str, str]:
    """Stop the command and return the rest of its output."""
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=20)
    assert process.returncode == 0, output
    return output


@needs_sigint
def test_json_describes_the_simulator_in_one_line(
    spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "made"
    with spawn("simulate", "--json", "--quiet", "--codex-home", str(home)) as process:
        document = start_document(process, monkeypatch)
        with OpenAI() as client:
            assert client.responses.create(input="Say hello.").output_text == "hello"
        assert stop(process) == ("", "")
    assert document["codex_home"] == document["environment"]["CODEX_HOME"] == str(home.resolve())
    assert document["base_url"] == document["environment"]["CODEX_BASE_URL"]
    assert document["issuer_url"] == document["environment"]["CODEX_ISSUER_URL"]


@needs_sigint
def test_folder_of_an_earlier_run_is_used_again(spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "made"
    for _ in range(2):
        with spawn("simulate", "--json", "--codex-home", str(home)) as process:
            start_document(process, monkeypatch)
            stop(process)
        (home / "models_cache.json").write_text("{}")  # of the Codex CLI


@pytest.mark.parametrize("name", ["notes.txt", "auth.json", "config.toml"])
def test_folder_with_other_files_is_not_changed(run: Run, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / name).write_text("mine")
    result = run("simulate", "--codex-home", str(folder))
    assert result.code == 1
    assert "mine has files that no simulator wrote." in result.err
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, "mine")]


@needs_sigint
def test_options_change_the_simulator(spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "turns.yaml"
    script.write_text("- one\n- calls: [{name: f, arguments: {city: Paris}}]\n", encoding="utf-8")
    arguments = ["--json", "--expired", "--script", str(script), "--limit-after", "2", "--pace", "10000"]
    with spawn("simulate", *arguments, "--no-websocket") as process:
        start_document(process, monkeypatch)
        with OpenAI() as client:
            assert client.responses.create(input="hi").output_text == "one"
            call = client.responses.create(input="hi").output[-1]
            assert getattr(call, "arguments", None) == '{"city": "Paris"}'
            with pytest.raises(UsageLimitError):
                client.responses.create(input="hi")
        _, err = stop(process)
    lines = [re.sub(r"^[\d:]+ (.*?)( [\d.]+ s)?$", r"\1", line) for line in err.splitlines()]
    assert lines[0] == "POST /oauth/token 200", "the login had expired"
    assert lines[-1].startswith("POST /codex/responses 429 gpt")
    assert lines[-1].endswith(" usage_limit_reached")
    assert "function_call" in lines[-2] or "2 items" in lines[-2]


@needs_sigint
@pytest.mark.parametrize(("option", "is_enabled"), [("--websocket", True), ("--no-websocket", False)])
def test_websocket_option_is_in_the_log_and_the_config(
    spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, is_enabled: bool
) -> None:
    home = tmp_path / "made"
    with spawn("simulate", "--json", option, "--codex-home", str(home)) as process:
        start_document(process, monkeypatch)
        with OpenAI() as client, client.codex.conversation() as conversation:
            assert conversation.send("Say hello").output_text == "hello"
        _, err = stop(process)
    assert f"supports_websockets = {str(is_enabled).lower()}" in (home / "config.toml").read_text()
    assert ("WS   /codex/responses 200" in err) is is_enabled
    assert ("POST /codex/responses 200" in err) is not is_enabled
    assert ("GET  /codex/responses 426" in err) is not is_enabled


@needs_sigint
def test_request_log_shows_no_control_characters(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    with spawn("simulate", "--json") as process:
        document = start_document(process, monkeypatch)
        with OpenAI(max_retries=0) as client, pytest.raises(openai.APIStatusError):
            client.responses.create(input="hi", model="a\x1b[31m\nb\u202e")
        with httpx2.Client(trust_env=False) as http:
            assert http.get(f"{document['issuer_url']}/%1b%5d0;x%07%0aforged").status_code == 404
        _, err = stop(process)
    assert len(err.splitlines()) == 3
    assert all(character.isprintable() for line in err.splitlines() for character in line)
    assert "GET  /?]0;x??forged 404" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- one\n- txt: two\n", r"turns.yaml, turn 2 \(line 2\): Unknown key `txt`. Did you mean `text`\?"),
        ("[", "line 1"),
        ("", "a script is a list of turns"),
    ],
)
def test_invalid_script_is_a_usage_error(run: Run, tmp_path: Path, text: str, message: str) -> None:
    script = tmp_path / "turns.yaml"
    script.write_text(text, encoding="utf-8")
    result = run("simulate", "--script", str(script))
    assert (result.code, result.out) == (2, "")
    assert re.search(message, " ".join(result.err.split())), result.err


@pytest.mark.parametrize(
    "arguments", [["--pace", "0"], ["--pace", "nan"], ["--limit-after", "-1"], ["--script", "nowhere.yaml"]]
)
def test_invalid_option_is_a_usage_error(run: Run, arguments: list[str]) -> None:
    assert run("simulate", *arguments).code == 2


def test_unknown_fault_is_a_usage_error(run: Run) -> None:
    result = run("simulate", "--fail", "usage_limt")
    assert result.code == 2
    assert "Did you mean usage_limit" in result.err


def test_list_faults_prints_the_table(run: Run) -> None:
    result = run("simulate", "--list-faults")
    assert result.code == 0
    assert re.search(r"^usage_limit\[:plan,reset_seconds\] +returns 429 .+$", result.out, re.MULTILINE)
    assert "(@token)" in result.out
