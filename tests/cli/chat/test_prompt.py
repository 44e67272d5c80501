"""The keys and the completion of the prompt."""

from __future__ import annotations

import stat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from codex_backend_sdk.cli.chat.prompt import ChatPrompt, open_history

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prompt_toolkit.input import PipeInput


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


def new_prompt() -> ChatPrompt:
    models = [SimpleNamespace(id="gpt-a", display_name="A"), SimpleNamespace(id="gpt-b", display_name=None)]
    chat: Any = SimpleNamespace(attachments=[], models=models, status=lambda: "status", model=lambda: None)
    return ChatPrompt(chat, InMemoryHistory())


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("hello\r", "hello"),
        ("one\ntwo\r", "one\ntwo"),  # Ctrl+J
        ("one\x1b\rtwo\r", "one\ntwo"),  # Alt+Enter
        ("\x1b[200~one\r\ntwo\rthree\x1b[201~\r", "one\ntwo\nthree"),  # a paste
        (":::\rone\rtwo\r:::\r", ":::\none\ntwo\n:::"),
        ("wrong\x03right\r", "right"),  # Ctrl+C clears the text
        ("\r\rhello\r", "hello"),
        ("/mo\r", "/mo"),
    ],
)
def test_keys_give_the_text(keys: PipeInput, typed: str, text: str) -> None:
    keys.send_text(typed)
    assert new_prompt().read() == text


@pytest.mark.parametrize(("typed", "error"), [("\x03", KeyboardInterrupt), ("\x04", EOFError)])
def test_keys_that_leave_raise(keys: PipeInput, typed: str, error: type[BaseException]) -> None:
    keys.send_text(typed)
    with pytest.raises(error):
        new_prompt().read()


def test_default_text_can_be_sent(keys: PipeInput) -> None:
    keys.send_text(" more\r")
    assert new_prompt().read("some") == "some more"


@pytest.mark.parametrize(
    ("text", "completions"),
    [
        ("/mo", ["model"]),
        ("/e", ["effort", "edit", "export", "exit"]),
        ("/model gpt-", ["gpt-a", "gpt-b"]),
        ("/effort m", ["medium", "max"]),
        ("/web o", ["on", "off"]),
        ("/help k", ["keys"]),
        ("/image no", ["tes.txt"]),
        ("/instructions @no", ["tes.txt"]),
        ("/load tr", ["trip"]),
        ("/retry ", []),
        ("/nope x", []),
        ("hello", []),
        ("/mo\nx", []),
    ],
)
def test_tab_completes_commands_and_arguments(
    keys: PipeInput,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    completions: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODEX_BACKEND_DATA", str(tmp_path))
    (tmp_path / "notes.txt").touch()
    (tmp_path / "conversations").mkdir()
    (tmp_path / "conversations" / "trip.jsonl").write_text('{"journal":"codex-backend-sdk","version":"1.0"}\n')
    completer = new_prompt()._session.completer
    assert completer is not None
    found = completer.get_completions(Document(text), CompleteEvent())
    assert [completion.text for completion in found] == completions


def test_toolbar_needs_sixty_columns(keys: PipeInput, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = new_prompt()
    for columns, shown in ((59, ""), (60, "status")):
        monkeypatch.setattr(
            prompt._session.app.output, "get_size", lambda columns=columns: SimpleNamespace(columns=columns)
        )
        assert prompt._toolbar() == shown


def test_history_is_a_private_file_or_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_BACKEND_DATA", str(tmp_path / "data"))
    assert isinstance(open_history(is_saved=False), InMemoryHistory)
    assert not (tmp_path / "data").exists()
    open_history(is_saved=True).append_string("hello")
    path = tmp_path / "data" / "chat_history"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(open_history(is_saved=True).load_history_strings()) == ["hello"]


def test_history_is_in_memory_if_it_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").touch()
    monkeypatch.setenv("CODEX_BACKEND_DATA", str(tmp_path / "data"))
    assert isinstance(open_history(is_saved=True), InMemoryHistory)
