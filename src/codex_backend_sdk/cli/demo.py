"""The command `demo`: show code that uses this package, run it against the simulator, and check its output.

The steps are functions in `demo_steps`. The demo reads their source from that module, so it shows the code that runs.
"""

from __future__ import annotations

import ast
import inspect
import io
import os
import re
import shlex
import shutil
import sys
import textwrap
import time
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from .output import line_width, print_block, print_text, requires_extra, style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .demo_steps import Step

__all__ = ["OutputTee", "demo", "function_body", "restart_command", "run_step"]

_COMMAND: Final = "codex-backend"
_TOKENS_PER_SECOND: Final = 60
_INDENT: Final = "    "
_OUTPUT_MARK: Final = "  > "
# Requests to the simulator must not use a proxy. The lower-case name has precedence over the upper-case name.
_NO_PROXY: Final = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
_TYPE_IGNORE: Final = re.compile(r"  # type: ignore.*")


@click.command()
def demo() -> None:
    """Demonstrate this package on a simulated backend."""
    started = time.monotonic()
    with requires_extra("testing"):
        from ..testing import SimulatedAccount, Simulator

        # The pace makes a stream visible.
        simulator = Simulator(account=SimulatedAccount(plan="plus"), pace=_TOKENS_PER_SECOND)
    from .demo_steps import STEPS

    with simulator, TemporaryDirectory(prefix="codex-backend-demo-") as home:
        simulator.write_codex_home(home)
        settings = {**simulator.environment, "CODEX_HOME": home}
        _print_introduction(settings)
        os.environ.update({**settings, **_NO_PROXY})  # this process ends with the demo
        simulator.script(*STEPS[0].script)
        with run_step(1, STEPS[0]) as client:
            for number, step in enumerate(STEPS[1:], 2):
                simulator.script(*step.script)
                run_step(number, step, client)
    seconds = time.monotonic() - started
    print_text(f"\nAll {len(STEPS)} steps succeeded in {seconds:.1f} s.", fg="green", bold=True)
    print_text(f"To run this code on the real backend, log in with `{restart_command(sys.argv[0])} login`.")


def restart_command(program: str, *, path: str | None = None) -> str:
    """Return the command that starts this program again. `program` is `sys.argv[0]`, and `path` overrides PATH.

    The result is the name of the command if PATH contains it.
    """
    file = Path(program)
    if file.name == "__main__.py":
        return shlex.join([sys.executable, "-m", "codex_backend_sdk"])
    on_path = shutil.which(_COMMAND, path=path)
    if file.stem != _COMMAND or (on_path and file.exists() and file.samefile(on_path)):
        return _COMMAND
    return shlex.quote(program)


def _print_introduction(settings: Mapping[str, str]) -> None:
    print_text("The official OpenAI client on the ChatGPT Codex backend", bold=True)
    print_text(
        "\nThe backend in this demo is a simulator on 127.0.0.1, so you need no account, and your own login is not "
        "used. The responses are prepared texts, not those of a model. Three settings select the simulator:\n"
    )
    for name, value in settings.items():
        print_block(f"{_INDENT}{name}={value}", dim=True)


def run_step(number: int, step: Step, *arguments: Any) -> Any:
    """Show the code of a step, run it and check its output. Return the result of the step."""
    print_text(f"\n{number}. {inspect.getdoc(step.run)}\n", fg="cyan", bold=True)
    _print_code("\n\n".join([*map(_source, step.definitions), function_body(step.run)]))
    print_block("")
    tee = OutputTee(sys.stdout)
    with redirect_stdout(tee):
        result = step.run(*arguments)
    tee.end_line()
    if not re.search(step.expected, tee.text, re.MULTILINE):
        raise click.ClickException(
            f"Step {number} printed {tee.text!r}, which does not match {step.expected!r}. Report this as a bug."
        )
    return result


def _source(definition: Callable[..., Any]) -> str:
    return _TYPE_IGNORE.sub("", textwrap.dedent(inspect.getsource(definition))).rstrip()


def function_body(function: Callable[..., Any]) -> str:
    """Return the source of a function's statements, without its docstring and a final `return`."""
    source = _source(function)
    function_node = ast.parse(source).body[0]
    assert isinstance(function_node, ast.FunctionDef)
    statements = function_node.body[1:]
    if isinstance(statements[-1], ast.Return):
        statements = statements[:-1]
    lines = source.splitlines()[statements[0].lineno - 1 : statements[-1].end_lineno]
    return textwrap.dedent("\n".join(lines))


def _print_code(code: str) -> None:
    """Print code. On a terminal, highlight its syntax and wrap it between words."""
    if not sys.stdout.isatty():
        print_block(textwrap.indent(code, _INDENT))
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.syntax import Syntax

    context = click.get_current_context(silent=True)
    has_color = not (context and context.color is False)
    # Without colors, rich still wraps the code between words.
    syntax = Syntax(code, "python", theme="ansi_dark", background_color="default", word_wrap=True)
    console = Console(file=sys.stdout, highlight=False, color_system="auto" if has_color else None)
    console.print(Padding(syntax, (0, 0, 0, len(_INDENT))))


class OutputTee(io.TextIOBase):
    """The standard output of a step. It prints text immediately, marked and wrapped, and stores a copy in `text`.

    It wraps each word as it is written, because the text of a stream arrives in deltas of a few words.
    """

    def __init__(self, target: TextIO, *, width: int | None = None) -> None:
        self.text = ""
        self._target = target
        self._width = line_width() if width is None else width
        self._column = 0

    def write(self, text: str) -> int:
        """Print text word by word. Start a new line before a word that is too long for the current line."""
        self.text += text
        for part in re.findall(r"\n|[^\S\n]+|\S+", text):
            if part == "\n":
                self._put(part if self._column else f"{_OUTPUT_MARK}\n", column=0)
                continue
            if self._column > len(_OUTPUT_MARK) and self._column + len(part) > self._width:
                self._put("\n", column=0)
                part = part.lstrip()
            if not self._column:
                self._put(_OUTPUT_MARK, column=len(_OUTPUT_MARK))
            self._put(part, column=self._column + len(part))
        self._target.flush()
        return len(text)

    def end_line(self) -> None:
        """Print a newline, unless the output is already at the start of a line."""
        if self._column:
            self._put("\n", column=0)

    def _put(self, text: str, *, column: int) -> None:
        styled = style(text, fg="green") if text.strip() else text
        click.echo(styled, file=self._target, nl=False)
        self._column = column
