from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
import pytest
from rich.console import Console

from codex_backend_sdk.cli import demo, snippet, steps
from codex_backend_sdk.cli.said import Said

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.runs import Run


ALL = (steps.SIGN_IN, *steps.STEPS)
SOURCE = re.sub(r"  # type: ignore.*", "", Path(steps.__file__).read_text(encoding="utf-8"))


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=40)


def shown_on(console: Console) -> str:
    return cast("io.StringIO", console.file).getvalue()


def indented(text: str) -> str:
    return "\n".join("    " + line if line else "" for line in text.splitlines())


def test_the_demo_shows_every_step_and_succeeds(run_alone: Run, home: Path) -> None:
    proxied = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "CODEX_BASE_URL": "https://x"}
    ran = run_alone("demo", env=proxied)
    assert (ran.code, ran.err) == (0, "")
    assert re.findall(r"^(\d)\. (.+)$", ran.out, re.MULTILINE) == [
        ("1", "Sign in"),
        ("2", "A call"),
        ("3", "A streamed call, printed as it comes"),
        ("4", "A conversation of two turns"),
        ("5", "A function call"),
        ("6", "Structured output"),
        ("7", "The models of the account"),
        ("8", "The usage of the plan"),
    ]
    for step in ALL:
        assert indented(snippet.body(step.run)) in ran.out
    assert "\x1b" not in ran.out
    assert "It makes up all answers below" in ran.out
    assert "  > Your name is Ada.\n" in ran.out
    assert '  > weekday({"day": "1969-07-20"}) returned Sunday\n' in ran.out
    assert not home.exists()  # the person's own login is not touched


def test_it_ends_with_a_command_that_can_be_typed_in(environment: dict[str, str]) -> None:
    script = Path(sys.executable).with_name("codex-backend")
    for path, named in ((os.defpath, str(script)), (f"{script.parent}{os.pathsep}{os.defpath}", "codex-backend")):
        env = environment | {"PATH": path}
        ran = subprocess.run([script, "demo"], env=env, capture_output=True, text=True, timeout=40, check=True)
        assert ran.stdout.splitlines()[-1].startswith(f"Sign in with `{named} login`, ")


def test_the_command_is_named_by_how_it_can_be_started_again(tmp_path: Path) -> None:
    script = tmp_path / "an environment" / "codex-backend"
    script.parent.mkdir()
    script.touch(mode=0o755)
    linked = tmp_path / "codex-backend"
    linked.symlink_to(script)
    for started, path, named in (
        (str(script), str(tmp_path / "nowhere"), f"'{script}'"),
        (str(script), str(script.parent), "codex-backend"),
        (str(linked), str(script.parent), "codex-backend"),
        (str(script), os.path.dirname(sys.executable), f"'{script}'"),
        ("-c", str(tmp_path / "nowhere"), "codex-backend"),
        ("/lib/codex_backend_sdk/__main__.py", str(tmp_path), f"{sys.executable} -m codex_backend_sdk"),
    ):
        assert demo.again(started, path=path) == named


def test_the_demo_leaves_the_environment_as_it_was(run: Run) -> None:
    before = dict(os.environ)
    assert run("demo").code == 0
    assert dict(os.environ) == before


@pytest.mark.parametrize("step", ALL, ids=lambda step: step.run.__name__)
def test_the_code_shown_is_the_code_that_runs(step: steps.Step) -> None:
    code = snippet.body(step.run)
    compile(code, "shown", "exec")
    assert indented(code) in SOURCE
    assert not code.startswith('"""')
    assert not re.search(r"^return", code, re.MULTILINE)
    assert max(map(len, code.splitlines())) <= 76  # fits a terminal of 80 columns, indented by 4


def test_a_step_without_the_expected_text_fails_the_demo(console: Console) -> None:
    def silent() -> None:
        """Say nothing"""
        sys.stdout.write("")

    with pytest.raises(click.ClickException, match=r"step 3 printed '', in which 'hi' is missing"):
        demo.perform(console, 3, steps.Step(run=silent, expects="hi"))


def test_a_stream_that_comes_in_one_piece_fails_the_demo(console: Console) -> None:
    def at_once() -> None:
        """Say all"""
        sys.stdout.write("hi hi")
        sys.stdout.write("")

    with pytest.raises(click.ClickException, match="step 3 came in 1 pieces, not in 2 or more"):
        demo.perform(console, 3, steps.Step(run=at_once, expects="hi", writes=2))


def test_an_error_of_a_step_ends_the_demo(console: Console) -> None:
    def failing() -> None:
        """Fail"""
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        demo.perform(console, 3, steps.Step(run=failing, expects="hi"))


def test_what_is_said_is_marked_line_by_line(console: Console) -> None:
    said = Said(console, mark="> ", style="")
    for piece in ("one ", "two\nthr", "ee", "\n", "\n"):
        said.write(piece)
    said.write("four")
    said.end()
    said.end()
    assert shown_on(console) == "> one two\n> three\n> \n> four\n"
    assert said.text == "one two\nthree\n\nfour"
    assert said.writes == 4


def test_long_lines_are_broken_between_words_on_a_terminal_only() -> None:
    text = "a sentence that is longer than one line of it"
    for is_terminal, shown in (
        (False, f"> {text}\n"),
        (True, "> a sentence that \n> is longer than \n> one line of it\n"),
    ):
        console = Console(file=io.StringIO(), width=18, force_terminal=is_terminal, color_system=None)
        said = Said(console, mark="> ", style="")
        said.write(text + "\n")
        assert shown_on(console) == shown


def test_a_snippet_keeps_what_matters() -> None:
    def example(given: Callable[[int], None]) -> int:
        """Do it"""
        # a reason
        value = 1 + 1

        given(value)
        return value

    assert snippet.heading(example) == "Do it"
    assert snippet.body(example) == "value = 1 + 1\n\ngiven(value)"
    assert snippet.whole(example).startswith("def example(given: Callable")
