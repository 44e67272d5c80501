"""Test that no command prints an escape sequence or a token from the text of another program."""

from __future__ import annotations

import ast
import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.raw_server import event_stream, http_reply, raw_server

import codex_backend_sdk.cli
from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.command_runs import Run, Spawn, StoreLogin

EVIL = "EVIL\x1b[2J\x1b]0;title\x07\x9b31m\u202e\x08 rt_FAKE0123456789abcdef"
FORBIDDEN = ("\x1b", "\x9b", "\x07", "\x08", "\u202e", "title", "FAKE0123")
posix_only = pytest.mark.skipif(os.name != "posix", reason="pipes and /dev/full are POSIX")


def jwt(claims: dict[str, Any]) -> str:
    def encode(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{encode({'alg': 'none'})}.{encode(claims)}.sig"


def evil_document(sim: Simulator) -> dict[str, Any]:
    document = sim.login_document()
    auth = {"chatgpt_plan_type": EVIL, "chatgpt_account_id": "acc-1", "chatgpt_user_id": "user-1"}
    document["tokens"]["id_token"] = jwt({"email": EVIL, "https://api.openai.com/auth": auth})
    return document


USAGE = {
    "plan_type": EVIL,
    "email": EVIL,
    "rate_limit": {"allowed": True, "primary_window": {"used_percent": 1, "limit_window_seconds": 18000}},
    "additional_rate_limits": [
        {"limit_name": EVIL, "metered_feature": EVIL, "rate_limit": {"primary_window": {"used_percent": 2}}}
    ],
    "credits": {"has_credits": True, "balance": EVIL},
}
MODELS = {
    "models": [
        {
            "slug": EVIL,
            "display_name": EVIL,
            "visibility": "list",
            "supported_reasoning_levels": [{"effort": EVIL, "description": EVIL}],
        }
    ]
}


@pytest.fixture
def evil_backend(environment: dict[str, str]) -> Iterator[None]:
    """A backend whose every text is hostile."""

    def reply(head: str, body: bytes) -> bytes:
        path = head.split(" ", 2)[1]
        if "/wham/usage" in path:
            return http_reply(json.dumps(USAGE, ensure_ascii=False).encode())
        if "/accounts/check" in path:
            return http_reply(json.dumps([EVIL]).encode())
        if "/models" in path:
            return http_reply(json.dumps(MODELS, ensure_ascii=False).encode())
        if "hostile error" in body.decode():
            return http_reply(json.dumps({"detail": EVIL}).encode(), status="400 Bad Request")
        delta = {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0}
        done = {"type": "response.completed", "response": {"id": "r", "object": "response", "output": []}}
        return event_stream({**delta, "delta": f"sk-answer {EVIL}"}, done)

    with raw_server(reply) as origin:
        environment["CODEX_BASE_URL"] = f"{origin}/backend-api/codex"
        yield


@pytest.mark.usefixtures("evil_backend")
@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("usage",),
        ("usage", "--json"),
        ("models",),
        ("models", "--json"),
        ("ask", "hostile error"),
        ("ask", "hostile error", "--no-stream"),
        ("doctor", "--timeout", "5"),
        ("doctor", "--timeout", "5", "--json"),
        ("logout",),
    ],
)
def test_hostile_text_is_harmless(
    run: Run, sim: Simulator, store_login: StoreLogin, arguments: tuple[str, ...]
) -> None:
    store_login(evil_document(sim))
    result = run(*arguments)
    shown = result.out + result.err
    assert "Traceback" not in shown
    if arguments[0] != "logout":
        assert "EVIL" in shown
    for text in FORBIDDEN:
        assert text not in shown
    if "--json" in arguments:
        assert json.loads(result.out)


@pytest.mark.usefixtures("evil_backend")
@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
def test_model_text_keeps_what_looks_like_a_token(run: Run, store_login: StoreLogin, option: str) -> None:
    store_login()
    result = run("ask", "hi", option)
    assert result.code == 0
    assert result.out.startswith("sk-answer EVIL")
    assert "rt_FAKE0123456789abcdef" in result.out
    for text in FORBIDDEN[:5]:
        assert text not in result.out


def test_hostile_login_is_harmless_in_the_login_command(run: Run, sim: Simulator, store_login: StoreLogin) -> None:
    store_login(evil_document(sim))  # shown as the login that is replaced
    result = run("login", "--no-browser", "--port", "0", "--timeout", "0.5")
    assert (result.code, "EVIL" in result.out) == (1, True)
    assert "/oauth/authorize?" in result.out
    assert "[REDACTED]" in result.out
    for text in FORBIDDEN:
        assert text not in result.out


def test_only_the_output_module_prints() -> None:
    folder = Path(codex_backend_sdk.cli.__file__).parent
    # The demo prints its own output, and its steps are programs that print.
    allowed = {"output.py": None, "demo.py": 1, "demo_steps.py": None, "__init__.py": None, "response_printer.py": 1}
    for path in folder.rglob("*.py"):
        calls = [
            node.func
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name))
        ]
        names = [call.attr if isinstance(call, ast.Attribute) else call.id for call in calls]
        printing = sum(names.count(name) for name in ("echo", "secho", "print"))
        assert path.name in allowed or printing == 0, path


# Broken pipes, full disks and numbers


@posix_only
@pytest.mark.parametrize("command", ["doctor", "status", "demo", "simulate --list-faults"])
def test_closed_pipe_ends_quietly(spawn: Spawn, store_login: StoreLogin, command: str) -> None:
    store_login()
    reader, writer = os.pipe()
    os.close(reader)
    with spawn(*command.split(), stdout=writer) as process:
        os.close(writer)
        err = process.stderr.read()
        assert process.wait(timeout=40) == 141
    assert err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_doctor_on_a_full_disk_is_one_line(run_in_process: Run, store_login: StoreLogin) -> None:
    store_login()
    with open("/dev/full", "w") as full:
        result = run_in_process("doctor", stdout=full)
    assert result.code == 1
    assert result.err.startswith("Error: Cannot write to standard output, because the disk is full.")
    assert result.err.count("\n") == 1


@posix_only
def test_output_fails_while_openai_is_imported(spawn: Spawn, store_login: StoreLogin) -> None:
    store_login()
    # The state of the import in another thread: a module without classes.
    code = "import sys, types; import openai; sys.modules['openai'] = types.ModuleType('openai')"
    reader, writer = os.pipe()
    os.close(reader)
    with spawn("status", code=code, stdout=writer) as process:
        os.close(writer)
        err = process.stderr.read()
        assert process.wait(timeout=40) == 141
    assert err == ""


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN", "1e400", "-1", "0", "1e300", "x"])
@pytest.mark.parametrize("command", ["doctor", "login"])
def test_timeout_that_is_no_time_is_a_usage_error(run: Run, command: str, value: str) -> None:
    result = run(command, "--timeout", value)
    assert (result.code, result.out) == (2, "")
    assert "Invalid value for '--timeout'" in result.err


@pytest.mark.parametrize("value", ["nan", "inf", "-0.1", "1.1"])
def test_probability_that_is_none_is_a_usage_error(run: Run, value: str) -> None:
    result = run("simulate", "--fail", "overloaded", "--fail-probability", value)
    assert (result.code, result.out) == (2, "")
    assert "Invalid value for '--fail-probability'" in result.err
