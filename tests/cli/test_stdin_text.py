"""Test the reading of standard input: silent, slow, closed, and of all kinds of files."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from codex_backend_sdk.cli.stdin_text import decode_text, read_stdin_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO
    from pathlib import Path
    from typing import Any

    from cli.command_runs import Run, Spawn, StoreLogin

    from codex_backend_sdk.cli.stdin_text import StdinMode
    from codex_backend_sdk.testing import Simulator

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")
with_and_without_select = pytest.mark.parametrize("can_select", [pytest.param(True, marks=posix_only), False])


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileIO]:
    """The writing end of a pipe that is standard input."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as stdin, os.fdopen(writer, "wb", buffering=0) as file:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield file


def read(mode: StdinMode = "auto", *, has_prompt: bool = True, **options: Any) -> tuple[str | None, list[str]]:
    notices: list[str] = []
    settings: dict[str, Any] = {"notify": notices.append, "warn": notices.append, "is_watched": False}
    return read_stdin_text(mode, has_prompt=has_prompt, **(settings | options)), notices


@with_and_without_select
def test_silent_pipe_is_ignored(pipe: FileIO, can_select: bool) -> None:
    text, notices = read(can_select=can_select)
    assert text is None
    assert notices == ["Standard input is open but silent. It is ignored without --stdin."]


@with_and_without_select
@pytest.mark.parametrize("is_watched", [True, False])
def test_pipe_with_data_is_read(pipe: FileIO, can_select: bool, is_watched: bool) -> None:
    pipe.write(b"some text\n")
    pipe.close()
    assert read(can_select=can_select, is_watched=is_watched) == ("some text\n", [])


@pytest.mark.parametrize(
    ("mode", "has_prompt", "count"), [("auto", True, 1), ("required", True, 1), ("auto", False, 0)]
)
def test_empty_pipe_is_reported_if_there_is_a_prompt(
    pipe: FileIO, mode: StdinMode, has_prompt: bool, count: int
) -> None:
    pipe.close()
    warnings: list[str] = []
    assert read(mode, has_prompt=has_prompt, warn=warnings.append) == ("", [])
    assert warnings == ["Standard input is empty. Only the prompt is sent."] * count


@posix_only
def test_silent_pipe_loses_no_data_for_others(pipe: FileIO) -> None:
    read()
    pipe.write(b"later")
    assert os.read(sys.stdin.fileno(), 10) == b"later"


@with_and_without_select
@pytest.mark.parametrize(
    ("mode", "has_prompt", "is_watched"), [("required", True, False), ("auto", False, False), ("auto", True, True)]
)
def test_slow_input_is_awaited(
    pipe: FileIO, mode: StdinMode, has_prompt: bool, is_watched: bool, can_select: bool
) -> None:
    notices: list[str] = []

    def end(notice: str) -> None:
        notices.append(notice)
        pipe.write(b"late")
        pipe.close()

    settings: dict[str, Any] = {"is_watched": is_watched, "can_select": can_select, "notice_seconds": 0.01}
    assert read(mode, has_prompt=has_prompt, notify=end, **settings) == ("late", [])
    assert notices == ["Waiting for the end of standard input. Ctrl-C cancels; --no-stdin does not read it."]


@posix_only
def test_non_blocking_pipe_is_read_to_its_end(pipe: FileIO) -> None:
    os.set_blocking(sys.stdin.fileno(), False)
    pipe.write(b"one ")

    def end(notice: str) -> None:
        pipe.write(b"two")
        pipe.close()

    assert read(notify=end, notice_seconds=0.05) == ("one two", [])


@pytest.mark.parametrize(
    ("mode", "position", "expected"),
    [("auto", 0, "first\nsecond\n"), ("auto", 6, None), ("required", 6, "second\n"), ("never", 0, None)],
)
def test_file_is_read_from_its_start_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: StdinMode, position: int, expected: str | None
) -> None:
    (tmp_path / "list").write_bytes(b"first\r\nsecond\n" if not position else b"first\nsecond\n")
    with (tmp_path / "list").open("rb", buffering=0) as file:
        file.seek(position)
        monkeypatch.setattr(sys, "stdin", file)
        text, notices = read(mode)
    assert text == expected
    assert len(notices) == (1 if (mode, position) == ("auto", 6) else 0)


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_closed_standard_input_has_no_text(monkeypatch: pytest.MonkeyPatch, mode: StdinMode) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert read(mode) == (None, [])


@pytest.mark.parametrize(("mode", "expected"), [("auto", None), ("required", "text")])
def test_stream_without_a_descriptor(monkeypatch: pytest.MonkeyPatch, mode: StdinMode, expected: str | None) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("text"))
    assert read(mode) == (expected, [])


def test_too_long_text_is_a_usage_error(pipe: FileIO) -> None:
    pipe.write(b"four")
    with pytest.raises(click.UsageError, match="Standard input has more than 3 bytes"):
        read(max_bytes=3)


def test_binary_data_is_offered_as_a_file(pipe: FileIO) -> None:
    pipe.write(b"\x89PNG")
    pipe.close()
    with pytest.raises(click.UsageError, match=r"it has the byte 0x89.* with `-a -`"):
        read()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("süß 漢".encode(), "süß 漢"),
        ("süß".encode("utf-8-sig"), "süß"),
        ("süß\r\n".encode("utf-16"), "süß\n"),
    ],
)
def test_text_of_windows_programs_is_decoded(data: bytes, text: str) -> None:
    assert decode_text(data, "x") == text


@pytest.mark.parametrize("data", [b"caf\xe9", b"\xff\xfea"])
def test_other_bytes_are_a_usage_error(data: bytes) -> None:
    with pytest.raises(click.UsageError, match="FILE is not valid text: it has the byte 0x"):
        decode_text(data, "FILE")


# --- the command ------------------------------------------------------------------------------------------------------


def silent_pipe(tmp_path: Path) -> tuple[int, int]:
    return os.pipe()


def silent_fifo(tmp_path: Path) -> tuple[int, int]:
    os.mkfifo(tmp_path / "fifo")
    descriptor = os.open(tmp_path / "fifo", os.O_RDWR)
    return descriptor, os.dup(descriptor)


def silent_socket(tmp_path: Path) -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


def silent_terminal(tmp_path: Path) -> tuple[int, int]:
    import pty

    controller, terminal = pty.openpty()
    return terminal, controller


def null_device(tmp_path: Path) -> tuple[int, int]:
    return os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_RDONLY)


@posix_only
@pytest.mark.parametrize("opened", [silent_pipe, silent_fifo, silent_socket, silent_terminal, null_device])
def test_silent_standard_input_does_not_hang(
    spawn: Spawn, store_login: StoreLogin, tmp_path: Path, opened: Callable[[Path], tuple[int, int]]
) -> None:
    store_login()
    stdin, other_end = opened(tmp_path)
    with spawn("ask", "Say hi.", stdin=stdin) as process:
        os.close(stdin)
        out, err = process.communicate(timeout=40)
    os.close(other_end)
    assert (process.returncode, out) == (0, "hi\n")
    assert ("silent" in err) == (opened in (silent_pipe, silent_fifo, silent_socket))


@posix_only
def test_slow_pipe_is_awaited_on_a_terminal(spawn: Spawn, sim: Simulator, store_login: StoreLogin) -> None:
    import pty

    store_login()
    controller, terminal = pty.openpty()
    with spawn("ask", "Summarize.", stdin=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        notice = b""
        while b"--no-stdin" not in notice:  # two seconds after the start
            notice += os.read(controller, 1000)
        process.stdin.write("late")
        process.communicate(timeout=40)
    os.close(controller)
    assert process.returncode == 0
    assert "late" in sim.requests[-1].json()["input"][-1]["content"][1]["text"]


@posix_only
@pytest.mark.parametrize(("is_open", "word"), [(True, "silent"), (False, "empty")])
def test_ignored_pipe_is_reported_with_quiet(spawn: Spawn, store_login: StoreLogin, is_open: bool, word: str) -> None:
    store_login()
    reader, writer = os.pipe()
    if not is_open:
        os.close(writer)
    with spawn("ask", "-q", "Say hi.", stdin=reader) as process:
        out, err = process.communicate(timeout=40)
    os.close(reader)
    if is_open:
        os.close(writer)
    assert (process.returncode, out) == (0, "hi\n")
    assert word in err


@posix_only
@pytest.mark.parametrize("redirection", ["<&-", "</dev/null"])
def test_absent_standard_input_is_no_error(
    environment: dict[str, str], store_login: StoreLogin, redirection: str
) -> None:
    store_login()
    command = ["sh", "-c", f'"{sys.executable}" -m codex_backend_sdk ask "Say hi." {redirection}']
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=40, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "hi\n", "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("Summarize.",), ["Summarize.", "<stdin>\nSay hi.\n</stdin>"]),
        (("Summarize.", "--stdin"), ["Summarize.", "<stdin>\nSay hi.\n</stdin>"]),
        (("Summarize.", "--no-stdin"), ["Summarize."]),
        ((), ["Say hi.\n"]),
        (("-",), ["Say hi.\n"]),
        (("--stdin",), ["Say hi.\n"]),
    ],
)
def test_piped_text_is_context_or_prompt(
    run: Run, pipe: FileIO, sim: Simulator, store_login: StoreLogin, arguments: tuple[str, ...], expected: list[str]
) -> None:
    store_login()
    pipe.write(b"Say hi.\n")
    pipe.close()
    assert run("ask", *arguments).code == 0
    content = sim.requests[-1].json()["input"][-1]["content"]
    assert [part["text"] for part in content] == expected


@posix_only
@pytest.mark.timeout(180)  # three processes, one after another
def test_shell_loop_over_a_file_sees_every_line(
    environment: dict[str, str], sim: Simulator, store_login: StoreLogin, tmp_path: Path
) -> None:
    store_login()
    (tmp_path / "list").write_text("one\ntwo\nthree\n")
    script = f'while read -r line; do "{sys.executable}" -m codex_backend_sdk ask -q "Say $line."; done < list'
    result = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=170, check=True
    )
    assert (result.stdout, result.stderr) == ("one\ntwo\nthree\n", "")


@pytest.mark.parametrize("arguments", [("-", "--no-stdin"), ("hi", "--stdin", "--no-stdin"), ("--no-stdin",)])
def test_contradicting_options_are_usage_errors(run: Run, sim: Simulator, arguments: tuple[str, ...]) -> None:
    assert run("ask", *arguments).code == 2
    assert sim.requests == []
