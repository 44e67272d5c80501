"""The loop of the chat: read a message or a slash command, and run it."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from ..._redaction import excerpt
from ..exit_codes import ExitCode
from .active_chat import LeaveChat, text_of
from .message_text import split_command, without_fences
from .slash_commands import run_command

if TYPE_CHECKING:
    from .active_chat import ActiveChat

__all__ = ["Prompt", "run_chat"]


class Prompt(Protocol):
    """What the loop needs of a prompt."""

    def read(self, default: str = "") -> str:
        """Return the text; `default` is in the prompt already. Raises KeyboardInterrupt and EOFError."""
        ...


def run_chat(chat: ActiveChat, prompt: Prompt, *, first_message: Any = None) -> int:
    """Chat until the user leaves, and return the exit code.

    The first message, if any, is sent before the first prompt.
    """
    try:
        if first_message is not None:
            chat.note(f"> {excerpt(text_of(first_message))}")
            chat.send(first_message)
        _load_models(chat)
        _read_and_run(chat, prompt)
    except LeaveChat as leaving:
        return leaving.exit_code
    finally:
        chat.conversation.close()
        if chat.id is not None:
            chat.note(f"Saved as {chat.id}. `codex-backend chat --conversation {chat.id}` continues it.")
    return 0


def _read_and_run(chat: ActiveChat, prompt: Prompt) -> None:
    default = ""
    is_leaving = False  # after Ctrl-C in an empty prompt
    while True:
        try:
            text = prompt.read(default)
            is_leaving, default = False, ""
            chat.running_calls.clear()  # the user goes on
            default = _run(chat, text) or ""
        except KeyboardInterrupt:
            if chat.running_calls:
                raise LeaveChat(ExitCode.INTERRUPTED) from None
            if is_leaving:
                return
            is_leaving = True
            chat.note("Press Ctrl-C again, or Ctrl-D, to leave.")
        except EOFError:
            return


def _run(chat: ActiveChat, text: str) -> str | None:
    """Run a command or send a message. Return the text that the next prompt begins with."""
    command = split_command(text)
    if command is not None:
        with chat.reported_errors():
            return run_command(chat, *command)
        return None
    text = without_fences(text)
    if text or chat.attachments:
        chat.send(chat.message(text))
    return None


def _load_models(chat: ActiveChat) -> None:
    """Request the catalog in the background, for the toolbar and the completion. They work without it."""

    def load() -> None:
        try:
            chat.load_models()
        except Exception:
            return

    Thread(target=load, name="codex-chat-models", daemon=True).start()
