"""Draw the terminal pictures of the documentation, `docs/pictures/*.svg`, from real runs on the simulator.

    python scripts/terminal_pictures.py [NAME ...]     draw these pictures (default: all)

Each command runs in a pseudo-terminal, on a fixed date and with the names of a fixed machine, so that two runs print
the same. rich turns the output into SVG. The pictures load no font.
"""

from __future__ import annotations

import argparse
import fcntl
import inspect
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from codex_backend_sdk.testing import SimulatedAdditionalLimit as AdditionalLimit
from codex_backend_sdk.testing import SimulatedLimits as Limits
from codex_backend_sdk.testing import SimulatedWindow as Window
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PICTURES", "draw"]

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "pictures"
NOW: Final = datetime(2026, 12, 1, 9, 30, 5, tzinfo=UTC)
_COLUMNS: Final = 80
_TIMEOUT_SECONDS: Final = 60

# Runs the command in a process whose clock starts at `NOW`, on a machine with fixed names.
_CHILD: Final = f"""
import platform, sys, time_machine
from datetime import datetime
platform.system = lambda: "Linux"
platform.release = lambda: "6.12.0"
platform.machine = lambda: "x86_64"
platform.python_version = lambda: "3.13.9"
from codex_backend_sdk.cli import main
with time_machine.travel(datetime.fromisoformat("{NOW.isoformat()}"), tick=True):
    sys.exit(main(sys.argv[1:]))
"""

_LIMITS: Final = Limits(
    primary=Window(72, minutes=300, resets_at=NOW + timedelta(hours=1, minutes=48, seconds=50)),
    secondary=Window(34, minutes=10080, resets_at=NOW + timedelta(days=3, hours=4, minutes=30)),
    additional=(AdditionalLimit(primary=Window(5, minutes=300, resets_at=NOW + timedelta(hours=4, seconds=50))),),
    has_credits=True,
    credit_balance="12.50",
    reset_credits=1,
)
_ANSWER: Final = """\
Quicksort sorts a list **in place**:

1. Choose a pivot, for example the middle element.
2. Move smaller elements to its left, and larger ones to its right.
3. Sort both sides in the same way.

```python
def quicksort(items):
    if len(items) < 2:
        return items
    pivot, *rest = items
    return (
        quicksort([x for x in rest if x < pivot])
        + [pivot]
        + quicksort([x for x in rest if x >= pivot])
    )
```

It takes `O(n log n)` steps on average.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A command, what the simulator replies, and texts that differ between two runs."""

    name: str
    arguments: tuple[str, ...]
    turns: tuple[Turn, ...] = ()
    replacements: tuple[tuple[str, str], ...] = ()


PICTURES: Final = (
    Picture(name="usage", arguments=("usage",)),
    Picture(name="models", arguments=("models",)),
    Picture(
        name="doctor",
        arguments=("doctor",),
        # The versions, the browser of this machine, and the call at the end, whose headers have random IDs.
        replacements=(
            (r"codex-backend-sdk \d\S+,", "codex-backend-sdk 1.0.0,"),
            (r"openai \d+\.\d+\.\d+", "openai 3.57.0"),
            (r"(?sm)^[^\n]*Browser login.*?(?=^[^\n]*Network)", ""),
            (r"(?s)\n[^\n]*The call:.*", ""),
        ),
    ),
    Picture(
        name="ask",
        arguments=("ask", "Explain quicksort."),
        turns=(Turn.text(_ANSWER),),
        replacements=((r"\d+\.\d s\b", "3.2 s"),),
    ),
    Picture(
        name="demo",
        arguments=("demo",),
        replacements=(
            (r"127\.0\.0\.1:\d{5}", "127.0.0.1:41069"),
            (r"codex-backend-demo-\w{8}", "codex-backend-demo-a1b2c3d4"),
            (r"(?s)\n[^\n]*\n[^\n]*4\. Structured output.*", ""),  # the first three steps
        ),
    ),
)


def draw(picture: Picture) -> str:
    """Run the command of the picture and return the SVG."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home, Simulator(clock=lambda: NOW) as simulator:
        simulator.write_codex_home(Path(home))
        simulator.limits = _LIMITS
        simulator.script(*picture.turns)
        output = _run(picture.arguments, home, simulator.environment)
        # Each replacement has the length of its text, because lines were wrapped at this length.
        output = output.replace(home, "/home/sam/.codex").replace(simulator.url, "http://127.0.0.1:41069")
    for pattern, replacement in picture.replacements:
        output = re.sub(pattern, replacement, output)
    return _svg(picture, output)


def _run(arguments: Iterable[str], home: str, environment: dict[str, str]) -> str:
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, _COLUMNS, 0, 0))
    variables = {
        **{name: os.environ[name] for name in ("PATH",) if name in os.environ},
        **environment,
        "CODEX_HOME": home,
        "HOME": home,
        "TERM": "xterm-256color",
        "TZ": "UTC",
        "LANG": "C.UTF-8",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=variables,
        cwd=home,
        start_new_session=True,
    )
    os.close(terminal)
    output = bytearray()
    try:
        while chunk := _read(master):
            output += chunk
        process.wait(_TIMEOUT_SECONDS)
    finally:
        os.close(master)
        process.kill()
        process.wait()
    return output.decode()


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # Linux: the process has ended
        return b""


def _svg(picture: Picture, output: str) -> str:
    console = Console(record=True, width=_COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ codex-backend {_shell(picture.arguments)}", style="bold"))
    console.print(Text.from_ansi(output.replace("\r\n", "\n").rstrip() + "\n"))
    template: str = inspect.signature(console.export_svg).parameters["code_format"].default
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", template, flags=re.DOTALL)
    template = template.replace("Fira Code", "ui-monospace, SFMono-Regular, Menlo, Consolas")
    svg = console.export_svg(title="", theme=MONOKAI, code_format=template, unique_id=picture.name)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE).rstrip() + "\n"


def _shell(arguments: Iterable[str]) -> str:
    return " ".join(f'"{argument}"' if " " in argument else argument for argument in arguments)


def main() -> int:
    """Draw the pictures whose names are given, or all."""
    parser = argparse.ArgumentParser(description="Draw the terminal pictures of the documentation.")
    parser.add_argument("names", nargs="*", choices=[[], *(picture.name for picture in PICTURES)])
    names = parser.parse_args().names
    FOLDER.mkdir(exist_ok=True)
    for picture in PICTURES:
        if not names or picture.name in names:
            (FOLDER / f"{picture.name}.svg").write_text(draw(picture), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
