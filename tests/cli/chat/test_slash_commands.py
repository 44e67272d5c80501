"""The slash commands: their table, the page about them, and what they do to a conversation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.cli.chat.active_chat import ActiveChat, LeaveChat
from codex_backend_sdk.cli.chat.repl import run_chat
from codex_backend_sdk.cli.chat.slash_commands import COMMANDS, HELP_TOPICS, KEYS, run_command
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from codex_backend_sdk import OpenAI
    from codex_backend_sdk.testing import Simulator

PAGE = (Path(__file__).parents[3] / "docs" / "chat.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEX_BACKEND_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "conversations"


@pytest.fixture
def client(sim: Simulator) -> Iterator[OpenAI]:
    with sim.client() as client:
        yield client


@pytest.fixture
def new_chat(client: OpenAI) -> Iterator[Callable[..., ActiveChat]]:
    chats: list[ActiveChat] = []

    def create(**arguments: Any) -> ActiveChat:
        chats.append(ActiveChat(client, client.codex.conversation(repair=True), **arguments))
        return chats[-1]

    yield create
    for chat in chats:
        chat.conversation.close()


class Script:
    """A prompt that returns these texts and raises these exceptions, and then EOFError, as Ctrl-D does."""

    def __init__(self, *texts: str | type[BaseException]) -> None:
        self.defaults: list[str] = []
        self._texts = iter(texts)

    def read(self, default: str = "") -> str:
        self.defaults.append(default)
        text = next(self._texts, EOFError)
        if isinstance(text, str):
            return text
        raise text


def sent_texts(sim: Simulator) -> list[str]:
    return [request.body["input"][-1]["content"][0]["text"] for request in sim.model_requests]


def test_page_has_the_tables_of_the_code() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", PAGE.replace("\\|", "¦"), re.MULTILINE)
    found = [(name.strip("`").replace("¦", "|"), text) for name, text in rows]
    for row in [*((command.usage, command.help) for command in COMMANDS), *KEYS]:
        assert row in found
    assert len(found) == len(COMMANDS) + len(KEYS) + 2  # the headings


@pytest.mark.parametrize(
    ("name", "argument", "message"),
    [
        ("modle", "", "Did you mean /model?"),
        ("xyz", "", "/help lists the commands"),
        ("retry", "x", "takes no argument"),
        ("retry", "", "no message to send again"),
        ("undo", "", "no message to undo"),
        ("copy", "", "no response to copy"),
        ("web", "maybe", "neither on nor off"),
        ("help", "web", "Use messages, conversations, keys."),
        ("model", "luna", "Did you mean gpt-6-luna?"),
        ("effort", "ultra", "does not support the effort 'ultra'"),
        ("effort", "huge", "does not support the effort 'huge'"),
        ("model", "gpt-6.2-slo", "Did you mean gpt-6.2-sol?"),
        ("load", "nope", "no conversation 'nope'"),
        ("save", "a/b", "cannot be the name"),
    ],
)
def test_wrong_command_is_explained(
    new_chat: Callable[..., ActiveChat], name: str, argument: str, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        run_command(new_chat(), name, argument)


@pytest.mark.parametrize("topic", ["", *HELP_TOPICS])
def test_help_fits_a_small_terminal_above_the_prompt(
    new_chat: Callable[..., ActiveChat],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    topic: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run_command(new_chat(), "help", topic)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 24 - 8, "the prompt, its menu and its toolbar take eight lines"
    assert all(f"/help {each}" in lines[-1] for each in HELP_TOPICS if each != (topic or "messages"))


def test_model_list_is_aligned_and_says_how_to_choose(
    new_chat: Callable[..., ActiveChat], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run_command(new_chat(), "model", "")
    *rows, hint = capsys.readouterr().err.splitlines()
    assert len({row.index("Simulated") for row in rows}) == 1
    assert "/model MODEL" in hint


@pytest.mark.parametrize("name", ["exit", "quit", "q"])
def test_exit_leaves(new_chat: Callable[..., ActiveChat], name: str) -> None:
    with pytest.raises(LeaveChat) as leaving:
        run_command(new_chat(), name, "")
    assert leaving.value.exit_code == 0


def test_settings_apply_to_the_next_message(new_chat: Callable[..., ActiveChat]) -> None:
    chat = new_chat()
    for text in ("/model gpt-6.2-sol", "/effort low", "/instructions Be brief.", "/web on"):
        name, _, argument = text[1:].partition(" ")
        run_command(chat, name, argument)
    chat.send("Hello")
    conversation = chat.conversation
    assert (conversation.model, conversation.effort, conversation.instructions) == ("gpt-6.2-sol", "low", "Be brief.")
    assert conversation.tools == [{"type": "web_search"}]
    run_command(chat, "web", "")
    assert conversation.tools == []


def test_message_is_saved_before_it_is_sent(new_chat: Callable[..., ActiveChat], data: Path) -> None:
    chat = new_chat(name="trip")
    assert not data.exists()
    chat.send("Hello")
    assert (data / "trip.jsonl").exists()
    assert chat.id == "trip"


def test_nothing_is_saved_with_no_save(new_chat: Callable[..., ActiveChat], data: Path) -> None:
    chat = new_chat(is_saved=False)
    chat.send("Hello")
    run_command(chat, "fork", "")
    chat.send("More")
    assert not data.exists()
    run_command(chat, "save", "late")
    assert [path.name for path in data.glob("*.jsonl")] == ["late.jsonl"]


def test_save_gives_a_saved_conversation_a_name(new_chat: Callable[..., ActiveChat], data: Path) -> None:
    chat = new_chat()
    chat.send("Hello")
    before = len(chat.conversation)
    run_command(chat, "save", "trip")
    assert [path.name for path in data.glob("*.jsonl")] == ["trip.jsonl"]
    chat.send("More")
    assert len(chat.conversation) > before


def test_fork_load_and_new_change_the_conversation(new_chat: Callable[..., ActiveChat]) -> None:
    chat = new_chat(name="one")
    chat.send("Hello")
    run_command(chat, "fork", "two")
    chat.send("Only in two")
    assert (chat.id, len(chat.conversation)) == ("two", 6)
    run_command(chat, "load", "one")
    assert (chat.id, len(chat.conversation)) == ("one", 3)
    run_command(chat, "new", "")
    assert (chat.id, len(chat.conversation)) == (None, 0)


def test_undo_returns_the_text_and_retry_sends_it(
    new_chat: Callable[..., ActiveChat], sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = new_chat()
    chat.send("One")
    chat.send("Two")
    capsys.readouterr()
    assert run_command(chat, "undo", "") == "Two"
    assert "in the prompt again" in " ".join(capsys.readouterr().err.split())
    run_command(chat, "retry", "")
    assert sent_texts(sim) == ["One", "Two", "One"]
    assert len(chat.conversation) == 3


def test_retry_after_an_error_sends_the_message_again(
    new_chat: Callable[..., ActiveChat], sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = new_chat()
    sim.fail("usage_limit:plus,3600")
    assert chat.send("Hello") is None
    error = capsys.readouterr().err
    assert "Error: " in error
    assert "UTC" in error  # the time of the reset
    assert "/retry" in error
    sim.clear()
    run_command(chat, "retry", "")
    assert sent_texts(sim)[-1] == "Hello"
    assert chat.last_text


def test_copy_takes_the_response_or_a_code_block(
    new_chat: Callable[..., ActiveChat],
    sim: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SSH_TTY", "/dev/pts/1")
    sim.script(Turn.text("```\none\n```\n```\ntwo\n```\n"))
    chat = new_chat()
    chat.send("Code?")
    capsys.readouterr()
    run_command(chat, "copy", "2")
    assert capsys.readouterr().out == "\x1b]52;c;dHdv\x07"
    for argument in ("3", "0", "x"):
        with pytest.raises(ValueError, match="has 2 code blocks"):
            run_command(chat, "copy", argument)


def test_export_writes_a_new_file_only(new_chat: Callable[..., ActiveChat], tmp_path: Path) -> None:
    chat = new_chat(name="trip")
    chat.send("Hello")
    run_command(chat, "export", "")
    run_command(chat, "export", "trip.json")
    assert "Hello" in (tmp_path / "trip.md").read_text(encoding="utf-8")
    assert (tmp_path / "trip.json").read_text(encoding="utf-8").startswith("{")
    with pytest.raises(FileExistsError):
        run_command(chat, "export", "")


def test_attachments_are_sent_once(new_chat: Callable[..., ActiveChat], sim: Simulator, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("the notes", encoding="utf-8")
    chat = new_chat()
    run_command(chat, "file", "notes.txt")
    chat.send(chat.message("Summarize"))
    assert "the notes" in str(sim.model_requests[-1].body["input"][-1])
    assert chat.message("Next") == "Next"
    run_command(chat, "file", "notes.txt")
    run_command(chat, "file", "off")
    assert chat.attachments == []


@pytest.mark.parametrize("name", ["help", "usage", "model", "effort", "load", "instructions", "tools", "image"])
def test_command_without_an_argument_prints_something(
    new_chat: Callable[..., ActiveChat], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    chat = new_chat()
    chat.send("Hello")
    capsys.readouterr()
    run_command(chat, name, "")
    captured = capsys.readouterr()
    assert captured.err.strip()
    assert captured.out == ""


# --- the loop --------------------------------------------------------------------------------------------------------


def test_chat_sends_messages_and_reports_errors(
    new_chat: Callable[..., ActiveChat], sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = new_chat()
    prompt = Script("Hello", "/nope", "", ":::\nTwo\nlines\n:::", "/undo", "/load nope", "/file missing.txt")
    assert run_chat(chat, prompt, first_message="First") == 0
    assert sent_texts(sim) == ["First", "Hello", "Two\nlines"]
    err = capsys.readouterr().err
    assert err.count("Error: ") == 3
    assert prompt.defaults[5] == "Two\nlines"
    assert f"codex-backend chat --conversation {chat.id}" in err.replace("\n", " ")


def test_second_ctrl_c_at_an_empty_prompt_leaves(
    new_chat: Callable[..., ActiveChat], sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = Script(KeyboardInterrupt, "Hello", KeyboardInterrupt, KeyboardInterrupt, "never")
    assert run_chat(new_chat(), prompt) == 0
    assert sent_texts(sim) == ["Hello"]
    assert capsys.readouterr().err.count("Press Ctrl-C again") == 2
