"""Test what `codex-backend ask` prints on a terminal: rendered Markdown, and statistics at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.command_runs import StoreLogin

    from codex_backend_sdk.testing import Simulator

MARKDOWN = "# Cats 🐈\n\nA **cat** is a 小さな animal that sleeps for most of the day.\n\n```python\nprint(1)\n```\n"


@pytest.fixture(autouse=True)
def logged_in(store_login: StoreLogin) -> None:
    store_login()


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
def test_markdown_fits_the_terminal(run_in_terminal: Callable[..., str], sim: Simulator, columns: int) -> None:
    sim.script(Turn.text(MARKDOWN))
    lines = click.unstyle(run_in_terminal("ask", "hi", columns=columns)).splitlines()
    assert "print(1)" in lines, "code is not indented, and has no box"
    assert not [line for line in lines if "**" in line or "```" in line]
    assert max(map(len, lines)) <= columns
    assert any("plan used:" in line for line in lines)


@pytest.mark.parametrize("option", ["--raw", "--quiet"])
def test_raw_and_quiet_on_a_terminal(run_in_terminal: Callable[..., str], sim: Simulator, option: str) -> None:
    sim.script(Turn.text(MARKDOWN))
    output = click.unstyle(run_in_terminal("ask", "hi", option))
    assert ("**cat**" in output) == (option == "--raw")
    assert ("plan used:" in output) == (option == "--raw")


def test_colors_are_off_with_no_color(run_in_terminal: Callable[..., str], sim: Simulator) -> None:
    sim.script(Turn.text(MARKDOWN), Turn.text(MARKDOWN))
    assert "\x1b[3" in run_in_terminal("ask", "hi")
    assert "\x1b[3" not in run_in_terminal("ask", "hi", NO_COLOR="1")
