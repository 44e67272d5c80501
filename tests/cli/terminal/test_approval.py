"""Test that keys typed before a question about a tool do not answer it."""

from __future__ import annotations

import os
import sys

import pytest

from codex_backend_sdk.cli.terminal.approval import discard_terminal_input
from codex_backend_sdk.cli.terminal.echo import discard_typed_text


def test_typed_text_is_discarded() -> None:
    pty = pytest.importorskip("pty")  # not on Windows
    controller, descriptor = pty.openpty()
    with open(descriptor, encoding="utf-8") as terminal:
        os.write(controller, b"y\n")
        discard_typed_text(terminal)
        os.write(controller, b"n\n")
        assert terminal.readline() == "n\n"
    os.close(controller)


def test_standard_input_is_discarded_if_it_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without `/dev/tty`, which a process without a controlling terminal does not have."""
    pty = pytest.importorskip("pty")
    controller, descriptor = pty.openpty()
    with open(descriptor, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        os.write(controller, b"y\n")
        discard_terminal_input()
        os.write(controller, b"n\n")
        assert terminal.readline() == "n\n"
    os.close(controller)


def test_text_of_a_pipe_is_kept() -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"y\n")
    os.close(write_end)
    with open(read_end, encoding="utf-8") as pipe:
        discard_typed_text(pipe)
        assert pipe.readline() == "y\n"
    discard_typed_text(None)
