"""The slash commands of the chat: one table, from which `/help`, the completion and the page docs/chat.md are made."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from ..._catalog import EFFORTS, similar_model
from ..._redaction import excerpt
from ..._timefmt import format_count
from ..output import NARROW_WIDTH_COLUMNS, join, line_width, print_text, style
from ..terminal.markdown_blocks import code_blocks
from .active_chat import ActiveChat, LeaveChat
from .clipboard import copy_text
from .sessions import find_session, list_sessions

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "COMMANDS",
    "HELP_TOPICS",
    "KEYS",
    "ArgumentKind",
    "SlashCommand",
    "find_command",
    "run_command",
    "supported_efforts",
]

ArgumentKind = Literal["", "model", "effort", "file", "switch", "session", "topic"]

HELP_TOPICS: Final = ("messages", "conversations", "keys")

_OFF: Final = "off"


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """A command of the chat.

    Attributes:
        name: The name, without the slash.
        argument: The argument as `/help` shows it; in brackets if it is optional.
        help: What the command does, in a few words.
        run: Called with the chat and the argument. It may return a text, which the next prompt begins with.
        completes: What the argument is.
        aliases: Other names.
        topic: The part of `/help` that has it. Each part fits a small terminal, above the prompt and its menu.
    """

    name: str
    argument: str
    help: str
    run: Callable[[ActiveChat, str], str | None]
    completes: ArgumentKind = ""
    aliases: tuple[str, ...] = ()
    topic: Literal["messages", "conversations"] = "messages"

    @property
    def usage(self) -> str:
        """The command with its argument, for `/help`."""
        return f"/{self.name} {self.argument}".rstrip()


def find_command(name: str) -> SlashCommand | None:
    """Return the command with this name or alias, or None."""
    return next((command for command in COMMANDS if name == command.name or name in command.aliases), None)


def run_command(chat: ActiveChat, name: str, argument: str) -> str | None:
    """Run a command, and return the text that the next prompt begins with. Raises ValueError if there is none."""
    command = find_command(name)
    if command is None:
        close = get_close_matches(name, [each.name for each in COMMANDS], n=1)
        hint = f"Did you mean /{close[0]}?" if close else "/help lists the commands."
        raise ValueError(f"There is no command /{excerpt(name)}. {hint} A message may begin with a space and a slash.")
    if command.argument and not command.argument.startswith("[") and not argument:
        raise ValueError(f"/{command.name} needs an argument: {command.usage}")
    if argument and not command.argument:
        raise ValueError(f"/{command.name} takes no argument.")
    return command.run(chat, argument)


# --- settings --------------------------------------------------------------------------------------------------------


def _model(chat: ActiveChat, argument: str) -> None:
    models = chat.load_models()
    names = [model.id for model in models]
    if not argument:
        current = chat.conversation.model
        listed = [model for model in models if model.visibility != "hide" or model.id == current]
        width = max((len(model.id) for model in listed), default=0)
        for model in listed:
            name = style(model.id.ljust(width), bold=True)
            line = join("→ " if model.id == current else "  ", name, f"  {model.description or ''}")
            print_text(line, indent=width + 4 if line_width(err=True) >= NARROW_WIDTH_COLUMNS else 4, err=True)
        chat.note("`/model MODEL` uses another one from the next message on.")
        return
    if names and argument not in names:
        similar = similar_model(argument, names)
        hint = f" Did you mean {similar}?" if similar is not None else " /model lists the models."
        raise ValueError(f"There is no model {excerpt(argument)!r}.{hint}")
    if argument != chat.conversation.model:
        chat.conversation.model = argument
        chat.expect_cache_miss()
    chat.note(f"The model is {argument} from now on.")


def _effort(chat: ActiveChat, argument: str) -> None:
    efforts = supported_efforts(chat)
    if not argument:
        chat.note(
            f"The effort is {chat.conversation.effort or 'the default of the model'}. Others: {', '.join(efforts)}."
        )
        return
    if argument not in efforts:
        raise ValueError(
            f"{chat.conversation.model} does not support the effort {excerpt(argument)!r}. Use {', '.join(efforts)}."
        )
    chat.conversation.effort = argument
    chat.note(f"The effort is {argument} from now on.")


def supported_efforts(chat: ActiveChat) -> list[str]:
    """Return the efforts of the current model."""
    model = chat.model()
    levels = [level.effort for level in model.supported_reasoning_levels] if model is not None else []
    return levels or list(EFFORTS)


def _web(chat: ActiveChat, argument: str) -> None:
    chat.set_web_search(_switch(argument, current=chat.has_web_search))
    chat.note(f"Web search is {'on' if chat.has_web_search else 'off'}.")


def _switch(argument: str, *, current: bool) -> bool:
    if argument.lower() not in ("", "on", _OFF):
        raise ValueError(f"{excerpt(argument)!r} is neither on nor off.")
    return not current if not argument else argument.lower() == "on"


def _tools(chat: ActiveChat, argument: str) -> None:
    from ..prompt_options import load_tools

    if argument.lower() == _OFF:
        chat.set_tools(None)
    elif argument:
        chat.set_tools(load_tools(Path(argument).expanduser()))
    names = [tool.name for tool in chat.tools or ()]
    chat.note(f"Tools: {', '.join(names)}. You confirm each call." if names else "There are no tools.")


def _instructions(chat: ActiveChat, argument: str) -> None:
    from ..attachments import read_text_file

    if not argument:
        print_text(chat.conversation.instructions or "There are no instructions.", err=True)
        return
    is_file = argument.startswith("@")
    chat.conversation.instructions = read_text_file(Path(argument[1:]).expanduser()).strip() if is_file else argument
    chat.expect_cache_miss()
    chat.note("The instructions are changed. The next call finds nothing in the prompt cache.")


# --- messages --------------------------------------------------------------------------------------------------------


def _image(chat: ActiveChat, argument: str) -> None:
    _attach(chat, argument, "image")


def _file(chat: ActiveChat, argument: str) -> None:
    _attach(chat, argument, "file")


def _attach(chat: ActiveChat, argument: str, kind: Any) -> None:
    from ..attachments import attachment_part

    if argument.lower() == _OFF:
        chat.attachments.clear()
    elif argument:
        path = Path(argument.strip("\"'")).expanduser()
        chat.attachments.append((path.name, attachment_part(path, kind)))
    names = ", ".join(excerpt(name) for name, _ in chat.attachments)
    chat.note(f"Sent with the next message: {names}." if names else "There are no attachments.")


def _retry(chat: ActiveChat, argument: str) -> None:
    chat.retry()


def _undo(chat: ActiveChat, argument: str) -> str:
    text = chat.undo()
    chat.note(
        "Removed the last message and its response from the history. Its text is in the prompt again: Enter sends it, "
        "Ctrl-C clears it."
    )
    return text


def _edit(chat: ActiveChat, argument: str) -> str | None:
    text = click.edit(argument)
    if text is None:
        chat.note("The text was not saved in the editor, so nothing was changed.")
        return None
    return text.strip("\n")


def _copy(chat: ActiveChat, argument: str) -> None:
    text = chat.last_text
    if not text:
        raise ValueError("There is no response to copy.")
    if argument:
        blocks = code_blocks(text)
        number = int(argument) if argument.isdecimal() else 0
        if not 1 <= number <= len(blocks):
            count = f"{len(blocks)} code block{'s' if len(blocks) != 1 else ''}"
            raise ValueError(f"The last response has {count}, so {excerpt(argument)!r} cannot be copied.")
        text = blocks[number - 1]
    chat.note(f"Copied {len(text):,} characters {copy_text(text)}.")


# --- conversations ---------------------------------------------------------------------------------------------------


def _compact(chat: ActiveChat, argument: str) -> None:
    chat.compact()


def _save(chat: ActiveChat, argument: str) -> None:
    chat.note(f"Saved as {chat.save(argument or None)}.")


def _load(chat: ActiveChat, argument: str) -> None:
    if not argument:
        for session in list_sessions()[:20]:
            print_text(join(style(session.id, bold=True), f"  {session.title}"), indent=4, err=True)
        return
    session = find_session(argument)
    if session.id != chat.id:
        chat.open(session.path)
    chat.note(f"Continuing {session.id}: {session.title}")


def _fork(chat: ActiveChat, argument: str) -> None:
    before = chat.id
    after = chat.fork(argument or None)
    chat.note(f"Continuing in {after or 'a copy in memory'}. {before or 'The conversation before'} stays as it is.")


def _new(chat: ActiveChat, argument: str) -> None:
    old = chat.conversation
    tools = [tool for tool in old.tools if tool.get("type") not in ("function", "custom")]
    chat.replace(
        chat.client.codex.conversation(
            model=old.model,
            effort=old.effort,
            instructions=old.instructions,
            tools=tools,
            repair=True,
            on_compaction=chat.report_compaction,
        )
    )
    chat.note("A new conversation with the same settings.")


def _export(chat: ActiveChat, argument: str) -> None:
    path = Path(argument).expanduser() if argument else Path(f"{chat.id or 'conversation'}.md")
    text = chat.conversation.export("json" if path.suffix == ".json" else "markdown")
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    chat.note(f"Wrote {excerpt(str(path))}. Keys and passwords that have a known form are removed.")


def _usage(chat: ActiveChat, argument: str) -> None:
    from datetime import UTC, datetime

    from ..usage_report import usage_lines

    usage = chat.conversation.usage
    print_text(
        f"This conversation: {usage.input_tokens:,} tokens in ({usage.cached_tokens:,} cached), "
        f"{usage.output_tokens:,} out, in {format_count(usage.responses, 'response')}. Context: "
        f"{format_count(chat.conversation.context_tokens, 'token')}.",
        err=True,
    )
    report, width = chat.client.codex.usage_report(), line_width(err=True)
    for line, indent in usage_lines(report, now=datetime.now(UTC), width=width):
        print_text(line, indent=indent, err=True)


def _help(chat: ActiveChat, argument: str) -> None:
    topic = argument.lower() or "messages"
    if topic not in HELP_TOPICS:
        raise ValueError(f"There is no help on {excerpt(argument)!r}. Use {', '.join(HELP_TOPICS)}.")
    commands = ((command.usage, command.help) for command in COMMANDS if command.topic == topic)
    rows = list(KEYS if topic == "keys" else commands)
    width = max(len(name) for name, _ in rows)
    is_narrow = line_width(err=True) < NARROW_WIDTH_COLUMNS
    for name, meaning in rows:
        head = name if is_narrow else name.ljust(width)
        print_text(join(style(head, bold=True), f"  {meaning}"), indent=4 if is_narrow else width + 2, err=True)
    chat.note(f"More: {' and '.join(f'/help {name}' for name in HELP_TOPICS if name != topic)}.")


def _exit(chat: ActiveChat, argument: str) -> None:
    raise LeaveChat


KEYS: Final = (
    ("Enter", "send the message"),
    ("Alt-Enter, Ctrl-J", "add a line; pasted lines are added, too"),
    (":::", "on a line of its own: add lines until the next :::"),
    ("Ctrl-X Ctrl-E", "write the message in $EDITOR"),
    ("Ctrl-C", "stop the response and keep its text; at the prompt, clear the text; twice, leave"),
    ("Ctrl-D", "leave"),
)

COMMANDS: Final = (
    SlashCommand("model", "[MODEL]", "use another model, or list the models", _model, "model"),
    SlashCommand("effort", "[EFFORT]", "change the reasoning effort", _effort, "effort"),
    SlashCommand("image", "[FILE|off]", "send an image with the next message", _image, "file"),
    SlashCommand("file", "[FILE|off]", "send a text or PDF file with the next message", _file, "file"),
    SlashCommand("web", "[on|off]", "let the model search the web", _web, "switch"),
    SlashCommand("tools", "[FILE.py|off]", "let the model call functions of a Python file", _tools, "file"),
    SlashCommand("instructions", "[TEXT|@FILE]", "show or change the instructions", _instructions, "file"),
    SlashCommand("retry", "", "send the last message again", _retry),
    SlashCommand("undo", "", "remove the last message and its response", _undo),
    SlashCommand("edit", "[TEXT]", "write a message in $EDITOR", _edit),
    SlashCommand("copy", "[N]", "copy the last response, or its code block N", _copy),
    SlashCommand("compact", "", "replace the history with a summary", _compact, topic="conversations"),
    SlashCommand("save", "[NAME]", "save the conversation, or give it a name", _save, topic="conversations"),
    SlashCommand(
        "load", "[ID]", "continue another conversation, or list them", _load, "session", topic="conversations"
    ),
    SlashCommand("fork", "[NAME]", "continue in a copy of the conversation", _fork, topic="conversations"),
    SlashCommand("new", "", "start a new conversation", _new, topic="conversations"),
    SlashCommand(
        "export", "[FILE]", "write the conversation as Markdown, or as .json", _export, "file", topic="conversations"
    ),
    SlashCommand("usage", "", "show the use of the plan and the tokens", _usage, topic="conversations"),
    SlashCommand("help", "[TOPIC]", "list the commands and keys", _help, "topic", aliases=("?",)),
    SlashCommand("exit", "", "leave the chat", _exit, aliases=("quit", "q")),
)
