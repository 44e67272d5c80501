from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from cli.runs import Run, Spawn, StoreLogin

    from codex_backend_sdk.testing import Simulator


@pytest.fixture(autouse=True)
def signed_in(store_login: StoreLogin) -> None:
    store_login()


@pytest.mark.parametrize("how", [(), ("--stream",), ("--no-stream",)])
def test_the_answer_is_printed(run: Run, how: tuple[str, ...]) -> None:
    ran = run("ask", "Say hi five times.", *how)
    assert (ran.code, ran.out, ran.err) == (0, "hi hi hi hi hi\n", "")


def test_the_model_is_the_one_asked_for(run: Run, sim: Simulator) -> None:
    run("ask", "hi", "--model", "gpt-5.5")
    run("ask", "hi")
    assert [request.json()["model"] for request in sim.requests] == ["gpt-5.5", "gpt-6.1-sol"]


def test_what_had_come_of_a_cut_answer_is_printed(spawn: Spawn, sim: Simulator) -> None:
    sim.script(*[Turn.text("one two three", cut_after=7)] * 3)
    with spawn("ask", "Count.") as process:
        out, err = process.communicate(timeout=40)
    assert process.returncode == 1
    assert out.startswith("one ")
    assert out.endswith("\n"), "the error begins a line of its own"
    assert err.startswith("Error: The answer was cut")
    assert err.endswith(" What had arrived is above; ask again for a whole answer.\n")
    assert err.count("\n") == 1


def test_a_cut_answer_that_was_not_printed_is_not_above(run: Run, sim: Simulator) -> None:
    sim.fail("cut_after_events:4", times=None)
    ran = run("ask", "Count.", "--no-stream")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith("`response.completed`. Ask again for a whole answer.\n")


def test_a_prompt_can_come_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Say hello."))
    assert run("ask", "-").out == "hello\n"


@pytest.mark.parametrize("prompt", ["", "  "])
def test_an_empty_prompt_is_a_usage_error(run: Run, sim: Simulator, prompt: str) -> None:
    assert run("ask", prompt).code == 2
    assert sim.requests == []


@pytest.mark.parametrize("how", ["--stream", "--no-stream"])
def test_an_incomplete_answer_is_printed_and_is_an_error(run: Run, sim: Simulator, how: str) -> None:
    sim.script(Turn.incomplete("max_output_tokens", text="Once upon"))
    ran = run("ask", "Tell a story.", how)
    assert (ran.code, ran.out) == (1, "Once upon\n")
    assert ran.err == "Error: the answer is incomplete: max_output_tokens\n"


@pytest.mark.parametrize("how", ["--stream", "--no-stream"])
def test_a_failed_answer_is_one_line(run: Run, sim: Simulator, how: str) -> None:
    sim.script(Turn.failed("invalid_prompt", "This prompt\nis not allowed."))
    ran = run("ask", "Hm.", how)
    assert ran.code == 1
    assert ran.err.startswith("Error: ")
    assert "This prompt is not allowed." in ran.err
    assert ran.err.count("\n") == 1


def test_a_model_that_does_not_exist_is_one_line(run: Run) -> None:
    ran = run("ask", "hi", "--model", "gpt-0")
    assert ran.code == 1
    assert ran.err.startswith("Error: This account cannot use the model.")
    assert "gpt-0" in ran.err


@pytest.mark.parametrize("how", ["--stream", "--no-stream"])
def test_an_answer_cannot_steer_the_terminal(run: Run, sim: Simulator, how: str) -> None:
    sim.script(Turn.text("a\x1b]0;title\x07b\x9b2Jc\r\td\n"))
    assert run("ask", "hi", how).out == "a]0;titleb2Jc\td\n\n"
