"""The prompt of the chat: keys, completion, history and toolbar, with prompt_toolkit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.styles import Style

from ..._data_folder import data_folder
from ..._files import create_private_file, create_private_folder
from .message_text import is_unfinished
from .sessions import list_sessions
from .slash_commands import COMMANDS, HELP_TOPICS, find_command, supported_efforts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyPressEvent

    from .active_chat import ActiveChat
    from .slash_commands import ArgumentKind

__all__ = ["ChatPrompt", "open_history"]

_MIN_TOOLBAR_COLUMNS: Final = 60
_MENU_LINES: Final = 6
_STYLE: Final = Style.from_dict({"prompt": "bold", "bottom-toolbar": "noreverse", "bottom-toolbar.text": "#888888"})


class ChatPrompt:
    """Reads what the user types."""

    def __init__(self, chat: ActiveChat, history: History) -> None:
        self._chat = chat
        self._session: PromptSession[str] = PromptSession(
            history=history,
            multiline=True,
            key_bindings=_key_bindings(),
            completer=_ChatCompleter(chat),
            complete_while_typing=Condition(self._is_command),
            reserve_space_for_menu=_MENU_LINES,
            enable_open_in_editor=True,
            tempfile_suffix=".md",
            prompt_continuation="  ",
            style=_STYLE,
        )

    def read(self, default: str = "") -> str:
        """Return the text. `default` is in the prompt already.

        Raises KeyboardInterrupt for Ctrl-C in an empty prompt, and EOFError for Ctrl-D.
        """
        names = ", ".join(name for name, _ in self._chat.attachments)
        message = FormattedText([("", f"[{names}]\n" if names else ""), ("class:prompt", "> ")])
        return self._session.prompt(message, default=default, bottom_toolbar=self._toolbar)

    def _is_command(self) -> bool:
        return self._session.default_buffer.text.startswith("/")

    def _toolbar(self) -> str:
        columns = self._session.output.get_size().columns
        return self._chat.status()[:columns] if columns >= _MIN_TOOLBAR_COLUMNS else ""


def open_history(*, is_saved: bool) -> History:
    """Return the history of the prompts: a private file, or only in memory."""
    if not is_saved:
        return InMemoryHistory()
    path = data_folder() / "chat_history"
    try:
        create_private_folder(path.parent)
        if not path.exists():
            _create(path)
    except OSError:  # a chat works without it
        return InMemoryHistory()
    return FileHistory(path)


def _create(path: Path) -> None:
    import os

    os.close(create_private_file(path, like=path))


def _key_bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_unfinished(buffer.text):
            buffer.insert_text("\n")
        elif buffer.text.strip():
            buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    @bindings.add("c-j")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("c-c")
    @bindings.add("<sigint>")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    return bindings


class _ChatCompleter(Completer):
    """Completes slash commands, and the arguments that the table describes."""

    def __init__(self, chat: ActiveChat) -> None:
        self._chat = chat
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        name, separator, argument = text[1:].partition(" ")
        if not separator:
            for each in COMMANDS:
                if each.name.startswith(name):
                    yield Completion(each.name, start_position=-len(name), display_meta=each.help)
            return
        command = find_command(name)
        if command is None:
            return
        if command.completes == "file":
            path = argument.removeprefix("@")
            yield from self._paths.get_completions(Document(path, len(path)), complete_event)
            return
        for value, meta in self._values(command.completes):
            if value.startswith(argument):
                yield Completion(value, start_position=-len(argument), display_meta=meta)

    def _values(self, kind: ArgumentKind) -> Iterable[tuple[str, str]]:
        match kind:
            case "model":
                return [(model.id, model.display_name or "") for model in self._chat.models]
            case "effort":
                return [(effort, "") for effort in supported_efforts(self._chat)]
            case "switch":
                return [("on", ""), ("off", "")]
            case "topic":
                return [(topic, "") for topic in HELP_TOPICS]
            case "session":
                return [(session.id, session.title) for session in list_sessions()]
            case _:
                return []
