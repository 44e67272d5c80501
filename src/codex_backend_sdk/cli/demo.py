"""`demo`: the main job on the simulator, step by step, each checked."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import time
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from .extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from .steps import Step

__all__ = ["again", "demo", "perform"]

_COMMAND: Final = "codex-backend"
_INDENT: Final = "    "
_MARK: Final = "  > "
# A proxy of this machine must not be asked for what is on this machine. The lower-case name wins over the other.
_NO_PROXY: Final = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@click.command()
def demo() -> None:
    """Show what this package does, on a simulated backend."""
    began = time.monotonic()
    with needs_extra("testing"):
        from ..testing import Simulator

        simulator = Simulator()
    console = _console()
    with simulator, TemporaryDirectory(prefix="codex-backend-demo-") as home:
        _introduce(console, simulator.environment)
        with _environment({**simulator.environment, **_NO_PROXY, "CODEX_HOME": home}):
            count = _show_all(console, home=Path(home))
    console.print(
        f"\nAll {count} steps gave what they should, in {time.monotonic() - began:.1f} s.", style="bold green"
    )
    login = f"{again(sys.argv[0])} login"
    console.print(f"Sign in with `{login}`, and the same code asks the real backend.", soft_wrap=True)


def again(started: str, *, path: str | None = None) -> str:
    """Say how a process whose `sys.argv[0]` is `started` can be started again: by name, where `path` (PATH) has it."""
    file = Path(started)
    if file.name == "__main__.py":
        return shlex.join([sys.executable, "-m", "codex_backend_sdk"])
    known = shutil.which(_COMMAND, path=path)
    if file.stem != _COMMAND or (known and file.exists() and file.samefile(known)):
        return _COMMAND
    return shlex.quote(started)


def _console() -> Console:
    from rich.console import Console

    # Without a colour system not even bold type is sent: it would be an escape sequence, too.
    # The file is named because a console without one would follow `sys.stdout`, which the steps are given another of.
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(file=sys.stdout, color_system=colours, highlight=False, markup=False)


def _introduce(console: Console, environment: Mapping[str, str]) -> None:
    console.print("The official OpenAI client on the ChatGPT Codex backend", style="bold")
    console.print(
        "\nThe backend here is a simulator on 127.0.0.1. It makes up all answers below;\n"
        "no model is asked, nothing leaves this machine, your own login is not touched.\n"
        "All that differs from the real thing: an empty CODEX_HOME, and\n",
        soft_wrap=True,
    )
    for name, value in environment.items():
        console.print(f"{_INDENT}{name}={value}", style="dim", soft_wrap=True)


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _show_all(console: Console, *, home: Path) -> int:
    """Run all steps; ClickException when one does not give what it should."""
    from .steps import SIGN_IN, STEPS

    with perform(console, 1, SIGN_IN) as client:
        if not (home / "auth.json").is_file():
            raise click.ClickException("step 1 has stored no login")
        for number, step in enumerate(STEPS, 2):
            perform(console, number, step, client)
    return 1 + len(STEPS)


def perform(console: Console, number: int, step: Step, *arguments: Any) -> Any:
    """Show the code of a step, run it, and check what it has printed."""
    from .said import Said
    from .snippet import body, heading, whole

    console.print(f"\n{number}. {heading(step.run)}\n", style="bold cyan", soft_wrap=True)
    _show_code(console, "\n\n".join([*map(whole, step.definitions), body(step.run)]))
    console.print()
    said = Said(console, mark=_MARK, style="green")
    with redirect_stdout(said):
        result = step.run(*arguments)
    said.end()
    if not re.search(step.expects, said.text, re.MULTILINE):
        raise click.ClickException(f"step {number} printed {said.text!r}, in which {step.expects!r} is missing")
    if said.writes < step.writes:
        raise click.ClickException(f"step {number} came in {said.writes} pieces, not in {step.writes} or more")
    return result


def _show_code(console: Console, code: str) -> None:
    if console.color_system is None:
        console.print("\n".join(_INDENT + line if line else "" for line in code.splitlines()), soft_wrap=True)
        return
    from rich.padding import Padding
    from rich.syntax import Syntax

    code_in_colour = Syntax(code, "python", theme="ansi_dark", background_color="default", word_wrap=True)
    console.print(Padding(code_in_colour, (0, 0, 0, len(_INDENT))))
