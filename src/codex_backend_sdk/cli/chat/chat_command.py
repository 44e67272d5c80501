"""The command `chat`: its options, and the list of saved conversations."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from ..._timefmt import format_local_time
from ..exit_codes import ExitCode, ExitError
from ..output import NARROW_WIDTH_COLUMNS, join, line_width, print_json, print_text, style
from ..prompt_options import PromptCommand, prompt_options
from ..stdin_text import read_stdin_text
from .sessions import (
    complete_session,
    delete_session,
    find_session,
    list_sessions,
    new_session_path,
    newest_session,
    parse_age,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from ... import CompactionEvent, OpenAI
    from ...conversation.conversation import Conversation
    from ..prompt_options import PromptOptions
    from .sessions import Session

__all__ = ["chat"]


def _parse_age(context: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    try:
        return None if value is None else parse_age(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(cls=PromptCommand)
@click.argument("message", required=False)
@prompt_options
@click.option("-c", "--continue", "continues", is_flag=True, help="Continue the conversation that was used last.")
@click.option(
    "--conversation",
    "id_or_name",
    metavar="ID",
    shell_complete=complete_session,
    help="Continue the conversation with this ID or name.",
)
@click.option("--fork", is_flag=True, help="Continue in a copy, even if another process has the conversation open.")
@click.option(
    "--no-save", "--ephemeral", "no_save", is_flag=True, help="Keep the conversation and the typed text in memory only."
)
@click.option("--list", "lists", is_flag=True, help="List the saved conversations.")
@click.option("--show", metavar="ID", shell_complete=complete_session, help="Print a saved conversation as Markdown.")
@click.option(
    "--delete",
    metavar="ID",
    multiple=True,
    shell_complete=complete_session,
    help="Delete a saved conversation. Can be repeated.",
)
@click.option(
    "--delete-older-than",
    "max_age",
    metavar="AGE",
    callback=_parse_age,
    help="Delete the conversations that have not changed for this long, such as 30d, 12h or 4w.",
)
@click.option("--json", "as_json", is_flag=True, help="With --list, --show and --delete: print JSON.")
@click.pass_context
def chat(
    context: click.Context,
    message: str | None,
    options: PromptOptions,
    continues: bool,
    id_or_name: str | None,
    fork: bool,
    no_save: bool,
    lists: bool,
    show: str | None,
    delete: tuple[str, ...],
    max_age: timedelta | None,
    as_json: bool,
) -> None:
    """Chat in the terminal.

    The first message is MESSAGE, with the text of a pipe. `/help` lists the commands and keys of the chat.
    Conversations are saved in the data folder of the user.
    """
    actions = [lists, show is not None, bool(delete), max_age is not None]
    if sum(actions) > 1:
        raise click.UsageError("Pass one of --list, --show, --delete and --delete-older-than.")
    if any(actions):
        _manage(lists=lists, show=show, delete=delete, max_age=max_age, as_json=as_json)
        return
    if as_json:
        raise click.UsageError("--json needs --list, --show or --delete. For a response as JSON, use `ask --json`.")
    if continues and id_or_name is not None:
        raise click.UsageError("Pass either --continue or --conversation.")
    if fork and not (continues or id_or_name is not None):
        raise click.UsageError("--fork needs --continue or --conversation.")
    context.exit(_chat(message, options, continues=continues, id_or_name=id_or_name, is_fork=fork, no_save=no_save))


# --- saved conversations ---------------------------------------------------------------------------------------------


def _manage(
    *, lists: bool, show: str | None, delete: tuple[str, ...], max_age: timedelta | None, as_json: bool
) -> None:
    if lists:
        _list(as_json=as_json)
    elif show is not None:
        _show(find_session(show), as_json=as_json)
    elif max_age is not None:
        oldest = datetime.now(UTC) - max_age
        _delete([session for session in list_sessions() if session.updated_at < oldest], as_json=as_json)
    else:
        _delete([find_session(each) for each in dict.fromkeys(delete)], as_json=as_json)


def _list(*, as_json: bool) -> None:
    sessions = list_sessions()
    if as_json:
        print_json({"conversations": [session.to_json() for session in sessions]})
        return
    if not sessions:
        print_text("There are no saved conversations. `codex-backend chat` starts one.", err=True)
    width = max((len(session.id) for session in sessions), default=0)
    is_narrow = line_width() < NARROW_WIDTH_COLUMNS
    for session in sessions:
        time = format_local_time(session.updated_at)
        head = style(session.id if is_narrow else session.id.ljust(width), bold=True)
        print_text(join(head, "  ", style(time, dim=True), f"  {session.title}"), indent=4)


def _show(session: Session, *, as_json: bool) -> None:
    from ...conversation.conversation_file import ConversationFile
    from ..terminal.response_printer import ResponsePrinter

    file = ConversationFile.open(session.path, read_only=True)
    if as_json:
        print_json(json.loads(file.export("json", redact=True)), is_model_text=True)
        return
    printer = ResponsePrinter()
    printer.text(file.export("markdown", redact=True))
    printer.finish()


def _delete(sessions: list[Session], *, as_json: bool) -> None:
    from ... import JournalError

    deleted, failures = [], []
    for session in sessions:
        try:
            delete_session(session)
        except JournalError as error:
            failures.append(str(error))
        else:
            deleted.append(session.id)
    if as_json:
        print_json({"deleted": deleted, "failed": failures})
    else:
        for each in deleted:
            print_text(f"Deleted {each}.", err=True)
        if not sessions:
            print_text("There is nothing to delete.", err=True)
    if failures:
        raise ExitError(" ".join(failures), ExitCode.ERROR)


# --- the chat --------------------------------------------------------------------------------------------------------


def _chat(
    message: str | None,
    options: PromptOptions,
    *,
    continues: bool,
    id_or_name: str | None,
    is_fork: bool,
    no_save: bool,
) -> int:
    from ..terminal.approval import has_terminal

    if not sys.stdout.isatty() or not has_terminal():
        raise ExitError(
            "`chat` needs a terminal. In a script or a pipe, use `codex-backend ask`, which also has --save and "
            "--continue.",
            ExitCode.USAGE,
        )
    stdin_text, text = None, message or ""
    reads_stdin = options.reads_stdin
    if not sys.stdin or not sys.stdin.isatty():
        stdin_text = read_stdin_text(
            "never" if reads_stdin else "auto",
            has_prompt=message is not None,
            notify=_notify,
            warn=_notify,
            is_watched=True,
        )
    has_first = bool(text or stdin_text or options.attachments)
    first_message = options.message(text, stdin_text=stdin_text) if has_first else None
    if not sys.stdin or not sys.stdin.isatty():
        _read_keys_from_terminal()
    from ... import OpenAI
    from .active_chat import ActiveChat
    from .prompt import ChatPrompt, open_history
    from .repl import run_chat

    tools = options.functions()
    session = find_session(id_or_name) if id_or_name is not None else newest_session() if continues else None
    with OpenAI(model=options.model) as client:
        client.credentials.current()  # a missing login is reported before the user types
        conversation = _open(
            client,
            options,
            session,
            is_fork=is_fork,
            no_save=no_save,
            on_compaction=lambda event: active.report_compaction(event),
        )
        active = ActiveChat(
            client,
            conversation,
            is_saved=not no_save,
            tools=tools,
            allow_all=options.yes,
            show_reasoning=options.show_reasoning,
        )
        if options.web and session is not None:
            active.set_web_search(True)
        active.introduce()
        return run_chat(active, ChatPrompt(active, open_history(is_saved=not no_save)), first_message=first_message)


def _notify(text: str) -> None:
    print_text(text, err=True)


def _read_keys_from_terminal() -> None:
    """Make the terminal standard input, after a pipe was read: for the prompt, for questions and for editors."""
    name = "CONIN$" if sys.platform == "win32" else "/dev/tty"
    descriptor = os.open(name, os.O_RDWR)
    os.dup2(descriptor, 0)
    os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - stays open


def _open(
    client: OpenAI,
    options: PromptOptions,
    session: Session | None,
    *,
    is_fork: bool,
    no_save: bool,
    on_compaction: Callable[[CompactionEvent], object],
) -> Conversation:
    """Return the conversation: a new one in memory, that of a file, or a fork of it."""
    from ... import JournalLockedError

    settings: dict[str, Any] = {"repair": True, "on_compaction": on_compaction, **options.settings()}
    if session is None:
        return client.codex.conversation(**settings)
    settings.pop("tools", None)  # those of the file stay; the caller adds the search
    if not is_fork and not no_save:
        try:
            return client.codex.load_conversation(session.path, **settings)
        except JournalLockedError as error:
            owner = f"process {error.pid}" if error.pid else "another process"
            raise ExitError(
                f"The conversation {session.id} is open in {owner}. `codex-backend chat --conversation {session.id} "
                f"--fork` continues in a copy, and `codex-backend chat --show {session.id}` prints it.",
                ExitCode.ERROR,
            ) from error
    with client.codex.load_conversation(session.path, read_only=True, **settings) as original:
        return original.fork(None if no_save else new_session_path())
