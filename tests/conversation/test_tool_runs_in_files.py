"""Runs of tools that end with their process, and continue in another one."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from support.forked_programs import run_python_file

from codex_backend_sdk import RunPausedError
from codex_backend_sdk.testing import Turn
from codex_backend_sdk.tools import Allow, Deny, Pause
from codex_backend_sdk.tools.calls import MAY_HAVE_RUN

if TYPE_CHECKING:
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator

# Arguments: the conversation, the log of the side effects, the client, what happens in the call with x=2.
PROGRAM = """
import os, pathlib, signal, sys, time
import anyio
from codex_backend_sdk import AsyncOpenAI, OpenAI, RunPausedError
from codex_backend_sdk.tools import Allow, Deny, Pause
path, log, client_name, event = sys.argv[1:]

def count(x: int) -> str:
    with open(log, "a") as file:
        file.write(f"{x}\\n")
    if x == 2 and event == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if x == 1 and event in SIGNALS:
        while pathlib.Path(path).read_text().count('"call_finished"') < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), SIGNALS[event])
        time.sleep(600)
    return f"counted {x}"

SIGNALS = {"kill of the first": signal.SIGKILL, "Ctrl-C": signal.SIGINT}

def decide(call):
    if event != "pause":
        return True
    return {1: Allow(), 2: Pause(), 3: Deny("not three")}[call.kwargs["x"]]

options = {"tools": [count], "on_call": decide, "parallel": event in SIGNALS}
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    if client_name == "sync":
        with OpenAI(max_retries=0) as client, client.codex.conversation(path) as conversation:
            conversation.run("Count.", **options)
    else:
        async def main():
            async with AsyncOpenAI(max_retries=0) as client:
                async with await anyio.to_thread.run_sync(client.codex.conversation, path) as conversation:
                    await conversation.run("Count.", **options)
        anyio.run(main, backend=client_name)
except RunPausedError:
    sys.exit(42)
except KeyboardInterrupt:
    sys.exit(43)
"""
CALLS = [("count", {"x": 1}), ("count", {"x": 2}), ("count", {"x": 3})]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "private" / "chat.jsonl"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "effects"


def run_program(sim: Simulator, tmp_path: Path, *arguments: object) -> int:
    home = tmp_path / "home"
    sim.write_codex_home(home)
    environment = {**os.environ, **sim.environment, "CODEX_HOME": str(home)}
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    done = run_python_file(program, *map(str, arguments), cwd=tmp_path, env=environment, timeout=50)
    return done.returncode


def counting(log: Path) -> Any:
    def count(x: int) -> str:
        with log.open("a") as file:
            file.write(f"{x}\n")
        return f"counted {x}"

    return count


def outputs(conversation: Any) -> list[Any]:
    return [item["output"] for item in conversation.items if item["type"] == "function_call_output"]


@pytest.mark.parametrize("client_name", ["sync", "asyncio", "trio"])
def test_side_effects_are_not_repeated_after_a_kill(
    sim: Simulator, tmp_path: Path, path: Path, log: Path, client_name: str
) -> None:
    sim.script(Turn.calls(CALLS), Turn.text("done"))
    assert run_program(sim, tmp_path, path, log, client_name, "kill") == -signal.SIGKILL
    assert log.read_text().split() == ["1", "2"]
    with sim.client() as client, client.codex.load_conversation(path) as conversation:
        assert conversation.resume(tools=[counting(log)]).output_text == "done"
        assert outputs(conversation) == ["counted 1", MAY_HAVE_RUN, "counted 3"]
    assert log.read_text().split() == ["1", "2", "3"]


@pytest.mark.parametrize("client_name", ["sync", "asyncio", "trio"])
@pytest.mark.parametrize(("event", "status"), [("kill of the first", -signal.SIGKILL), ("Ctrl-C", 43)])
@pytest.mark.parametrize("is_repeated", [False, True])
def test_results_of_finished_calls_survive(
    sim: Simulator, tmp_path: Path, path: Path, log: Path, client_name: str, event: str, status: int, is_repeated: bool
) -> None:
    sim.script(Turn.calls(CALLS), Turn.text("done"))
    assert run_program(sim, tmp_path, path, log, client_name, event) == status
    assert sorted(log.read_text().split()) == ["1", "2", "3"]
    with sim.client() as client, client.codex.load_conversation(path) as conversation:
        (call,) = conversation.pending_calls
        decisions = {call["call_id"]: Allow()} if is_repeated else None
        assert conversation.resume(decisions, tools=[counting(log)]).output_text == "done"
        assert outputs(conversation) == ["counted 1" if is_repeated else MAY_HAVE_RUN, "counted 2", "counted 3"]
    assert sorted(log.read_text().split()) == [*["1"] * (1 + is_repeated), "2", "3"]


@pytest.mark.parametrize("client_name", ["sync", "asyncio", "trio"])
def test_paused_run_is_resumed_by_another_process(
    sim: Simulator, tmp_path: Path, path: Path, log: Path, client_name: str
) -> None:
    sim.script(Turn.calls(CALLS), Turn.text("done"))
    assert run_program(sim, tmp_path, path, log, client_name, "pause") == 42
    assert not log.exists()
    with sim.client() as client, client.codex.load_conversation(path) as conversation:
        with pytest.raises(RunPausedError) as caught:
            conversation.resume(tools=[counting(log)])
        (waiting,) = caught.value.calls
        assert waiting["arguments"] == {"x": 2}
    with sim.client() as client, client.codex.load_conversation(path) as conversation:
        response = conversation.resume({waiting["call_id"]: Allow()}, tools=[counting(log)], parallel=False)
        assert response.output_text == "done"
        assert outputs(conversation) == ["counted 1", "counted 2", "The call was denied: not three"]
    assert log.read_text().split() == ["1", "2"]


def test_saved_conversation_has_the_decisions(sim: Simulator, path: Path, log: Path) -> None:
    sim.script(Turn.calls(CALLS[:2]), Turn.text("done"))
    with sim.client() as client:
        with client.codex.conversation() as conversation:
            with pytest.raises(RunPausedError):
                conversation.run("Count.", tools=[counting(log)], on_call=lambda call: pause_or_deny(call.kwargs["x"]))
            conversation.save(path)
        with client.codex.load_conversation(path) as conversation:
            assert conversation.resume(tools=[counting(log)], on_call=lambda _: True).output_text == "done"
            assert outputs(conversation) == ["The call was denied: no", "counted 2"]


def pause_or_deny(x: int) -> Deny | Pause:
    return Deny("no") if x == 1 else Pause()
