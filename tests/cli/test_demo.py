"""Test `codex-backend demo`: its steps, and the output around them."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from codex_backend_sdk.cli import demo, demo_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.command_runs import Run

SOURCE = re.sub(r"  # type: ignore.*", "", Path(demo_steps.__file__).read_text(encoding="utf-8"))


def test_demo_shows_every_step_and_succeeds(run_in_process: Run, home: Path) -> None:
    variables = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "CODEX_BASE_URL": "https://x"}
    result = run_in_process("demo", env=variables)
    assert (result.code, result.err) == (0, "")
    assert len(re.findall(r"^\d\. .+$", result.out, re.MULTILINE)) == len(demo_steps.STEPS)
    for step in demo_steps.STEPS:
        assert textwrap.indent(demo.function_body(step.run), "    ") in result.out
    assert "\x1b" not in result.out
    assert len(result.out.splitlines()) <= 95
    assert "  > UsageLimitError: " in result.out
    assert "upgrade to the Pro plan" in result.out, "the error names its remedy"
    assert not re.search(r"http[a-z0-9]*\.(get|post)|extra_headers", result.out)
    assert "  > 5 h: 12 % used\n" in result.out
    assert not home.exists(), "the demo must not change the login of the user"


@pytest.mark.parametrize(("columns", "environment"), [(40, {}), (80, {"NO_COLOR": "1"})])
def test_demo_wraps_and_colors_its_text(
    run_in_terminal: Callable[..., str], columns: int, environment: dict[str, str]
) -> None:
    output = run_in_terminal("demo", columns=columns, **environment)
    assert ("\x1b" in output) == (not environment)
    *_, last_paragraph = click.unstyle(output).split("\n\n")
    assert last_paragraph.startswith("All ")
    assert all(len(line) <= columns or len(line.split()) <= 2 for line in last_paragraph.splitlines()), last_paragraph


def test_each_step_fits_a_terminal_of_24_lines(run_in_terminal: Callable[..., str]) -> None:
    output = click.unstyle(run_in_terminal("demo", columns=80))
    steps = re.split(r"^(?=\d\. )", output, flags=re.MULTILINE)
    assert len(steps) == len(demo_steps.STEPS) + 1
    for step in steps:
        assert len(step.rstrip().splitlines()) <= 24, step
    assert max(map(len, output.splitlines())) <= 80


def test_narrow_terminal_does_not_cut_words(run_in_terminal: Callable[..., str]) -> None:
    output = click.unstyle(run_in_terminal("demo", columns=40, NO_COLOR="1"))
    for line in output.splitlines():
        is_one_word = len(line.split()) <= 2  # a marker and an URL, or a setting
        assert len(line.rstrip()) <= 40 or is_one_word, line


def test_demo_ends_with_a_command_that_works(environment: dict[str, str]) -> None:
    script = Path(sys.executable).with_name("codex-backend")
    for path, command in ((os.defpath, str(script)), (f"{script.parent}{os.pathsep}{os.defpath}", "codex-backend")):
        env = environment | {"PATH": path}
        result = subprocess.run([script, "demo"], env=env, capture_output=True, text=True, timeout=40, check=True)
        assert result.stdout.endswith(f"`{command} login`.\n")


def test_restart_command_names_the_running_program(tmp_path: Path) -> None:
    script = tmp_path / "an environment" / "codex-backend"
    script.parent.mkdir()
    script.touch(mode=0o755)
    linked = tmp_path / "codex-backend"
    linked.symlink_to(script)
    for program, path, command in (
        (str(script), str(tmp_path / "nowhere"), f"'{script}'"),
        (str(script), str(script.parent), "codex-backend"),
        (str(linked), str(script.parent), "codex-backend"),
        (str(script), os.path.dirname(sys.executable), f"'{script}'"),
        ("-c", str(tmp_path / "nowhere"), "codex-backend"),
        ("/lib/codex_backend_sdk/__main__.py", str(tmp_path), f"{sys.executable} -m codex_backend_sdk"),
    ):
        assert demo.restart_command(program, path=path) == command


@pytest.mark.parametrize("step", demo_steps.STEPS, ids=lambda step: step.run.__name__)
def test_shown_code_is_the_code_that_runs(step: demo_steps.Step) -> None:
    code = demo.function_body(step.run)
    compile(code, "shown", "exec")
    assert textwrap.indent(code, "    ") in SOURCE
    assert not code.startswith('"""')
    assert not re.search(r"^return", code, re.MULTILINE)
    assert max(map(len, code.splitlines())) <= 76  # indented by 4, it fits a terminal of 80 columns


def test_unexpected_output_fails_the_demo() -> None:
    def print_nothing() -> None:
        """Print nothing"""
        sys.stdout.write("")

    with pytest.raises(click.ClickException, match=r"Step 3 printed '', which does not match 'hi'\."):
        demo.run_step(3, demo_steps.Step(run=print_nothing, expected="hi"))


def test_error_of_a_step_ends_the_demo() -> None:
    def fail() -> None:
        """Fail"""
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        demo.run_step(3, demo_steps.Step(run=fail, expected="hi"))


def test_tee_marks_each_line() -> None:
    target = io.StringIO()
    tee = demo.OutputTee(target)
    for chunk in ("one ", "two\nthr", "ee", "\n", "\n", "four"):
        tee.write(chunk)
    tee.end_line()
    tee.end_line()
    assert target.getvalue() == "  > one two\n  > three\n  > \n  > four\n"
    assert tee.text == "one two\nthree\n\nfour"


def test_tee_wraps_between_words() -> None:
    target = io.StringIO()
    demo.OutputTee(target, width=20).write("a sentence that is longer than one line of it\n")
    assert target.getvalue() == "  > a sentence that \n  > is longer than \n  > one line of it\n"


def test_function_body_keeps_comments() -> None:
    def example(callback: Callable[[int], None]) -> int:
        """Do it"""
        value = 1 + 1  # a reason

        callback(value)
        return value

    assert demo.function_body(example) == "value = 1 + 1  # a reason\n\ncallback(value)"
