"""Test the wrapping and formatting of the output."""

from __future__ import annotations

import io
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
import pytest

from codex_backend_sdk.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.command_runs import StoreLogin

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("short", ["short"]),
        ("one two three four", ["one two", "  three", "  four"]),
        ("see https://example.com/a/long/path now", ["see", "  https://example.com/a/long/path", "  now"]),
        ("a  b    c-d e", ["a  b", "  c-d e"]),
    ],
)
def test_wrap_breaks_between_words_only(text: str, lines: list[str]) -> None:
    assert output.wrap(text, 8, indent=2).splitlines() == [line for line in lines if line]


def test_wrap_does_not_count_escape_sequences() -> None:
    assert output.wrap(f"{click.style('one', fg='red', bold=True)} two", 7) == "\x1b[31m\x1b[1mone\x1b[0m two"


def test_wrap_takes_linear_time() -> None:
    seconds = []
    for length in (20_000, 200_000):
        started_at = time.perf_counter()
        output.wrap("a" + " " * length, 80)
        seconds.append(time.perf_counter() - started_at)
    assert seconds[1] < 50 * seconds[0] + 0.5, "ten times the length"


def test_styled_text_is_redacted_before_it_is_styled() -> None:
    styled = output.join("\x1b[5ma", output.style("b\x1b[0m", bold=True), output.Styled("\x1b[1m"))
    assert styled == "a\x1b[1mb\x1b[0m\x1b[1m"


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        (timedelta(seconds=59), "now"),
        (-timedelta(seconds=59), "now"),
        (timedelta(seconds=60), "in 1 min"),
        (timedelta(minutes=59, seconds=59), "in 59 min"),
        (timedelta(hours=3, minutes=12), "in 3 h 12 min"),
        (timedelta(days=1, minutes=30), "in 1 d"),
        (timedelta(days=9, hours=23, minutes=59), "in 9 d 23 h"),
        (-timedelta(days=2, hours=1), "2 d 1 h ago"),
    ],
)
def test_relative_time_has_at_most_two_units(delta: timedelta, text: str) -> None:
    assert output.format_relative_time(NOW + delta, now=NOW) == text


@pytest.mark.parametrize(
    ("encoding", "env", "expected"),
    [
        ("cp1252", {}, b"\xe2\x96\x88"),  # Windows, output to a pipe
        ("ascii", {}, b"\xe2\x96\x88"),
        ("latin-1", {"PYTHONIOENCODING": "latin-1"}, b"?"),
    ],
)
def test_output_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str, env: dict[str, str], expected: bytes) -> None:
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    output.set_output_encoding()
    for stream in streams.values():
        stream.write("█")
        stream.flush()
        assert stream.buffer.getvalue() == expected


@pytest.mark.skipif(os.name != "posix", reason="a Windows console accepts UTF-8")
@pytest.mark.parametrize(("percent", "bar"), [(0, "." * 12), (50, "######......"), (100, "#" * 12), (250, "#" * 12)])
def test_usage_bar_is_ascii_if_the_encoding_is(monkeypatch: pytest.MonkeyPatch, percent: float, bar: str) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="iso8859-15"))
    assert click.unstyle(output.usage_bar(percent)) == bar


def test_usage_bar_has_blocks_and_the_given_length() -> None:
    assert click.unstyle(output.bar(50, "green", cells=4)) == "██░░"


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
@pytest.mark.parametrize("is_logged_in", [False, True])
def test_status_wraps_whole_words(
    run_in_terminal: Callable[..., str], store_login: StoreLogin, columns: int, is_logged_in: bool
) -> None:
    if is_logged_in:
        store_login()
    status = click.unstyle(run_in_terminal("status", columns=columns, code=0 if is_logged_in else 3))
    assert "\n" in status
    for line in status.splitlines():
        # Only a word that is longer than the line may exceed it. The test's CODEX_HOME contains a space.
        assert len(line) <= columns or len(line.strip().split()) == 1, line
