"""Rewrite the advice of an error message for the interface that the user works with.

A message names what fixes the problem in terms of `client.responses`. Users of another interface cannot follow it: chat
completions have other parameters, programs on the local server send JSON members, and commands have options. `_ROWS`
has a row for each such phrase, with the same advice for the other interfaces. A row without an entry for an interface
leaves the phrase unchanged there. A later row may rewrite the result of an earlier one: `_request.prepare` rewrites the
message of a chat completion before the local server does. This module has no I/O, clock or randomness.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final, NamedTuple

__all__ = ["Interface", "advise", "advise_error", "replace_message"]


class Interface(Enum):
    """The interface that the user works with. The value is the column of the table."""

    CHAT = "chat"  # client.chat.completions
    SERVER = "server"  # a program on `codex-backend serve`, which sends JSON
    COMMAND = "command"  # codex-backend
    LLM = "llm"  # the plugin of llm; a row without an entry for it uses that of the command


class _Row(NamedTuple):
    """A phrase of a message, and the phrase for each other interface. None leaves it unchanged."""

    phrase: str
    chat: str | None = None
    server: str | None = None
    command: str | None = None
    llm: str | None = None


_ROWS: Final = (
    # Parameters
    _Row(
        "`reasoning={'effort': ...}`",
        chat="`reasoning_effort='low'`",
        server='`"reasoning": {"effort": "low"}`',
        llm="`-o reasoning_effort low`",
    ),
    _Row("`reasoning_effort='low'`", server='`"reasoning_effort": "low"`'),
    _Row(
        "`text={'verbosity': 'low'}`",
        chat="`verbosity='low'`",
        server='`"text": {"verbosity": "low"}`',
        llm="`-o verbosity low`",
    ),
    _Row("`text={'verbosity': ...}`", server='`"text": {"verbosity": "low"}`'),
    _Row("`verbosity='low'`", server='`"verbosity": "low"`'),
    _Row("`reasoning.effort`", chat="`reasoning_effort`"),
    _Row("`text.verbosity`", chat="`verbosity`"),
    _Row(
        "describe the style in `instructions`",
        chat="describe the style in a system message",
        llm="describe the style with `-s`",
    ),
    _Row("pass `instructions` and `input`", chat="pass the text in `messages`"),
    _Row(
        "use `client.codex.conversation()`, or pass the earlier items in `input`",
        chat="pass the earlier messages in `messages`",
        server="pass the earlier items in `input`",
        llm="continue the conversation with `llm -c`",
    ),
    _Row("pass the earlier items in `input`:", chat="pass the earlier messages in `messages`:"),
    _Row(
        "pass `max_turns` to `client.codex.conversation().run(...)`",
        server="count the calls in your program",
        llm="pass `--chain-limit`",
    ),
    _Row(
        "compact the history with `client.responses.compact(...)`",
        server="shorten the history",
        llm="begin a new conversation",
    ),
    _Row(
        ", or construct the client with `unsupported='drop'`",
        server=", or start `codex-backend serve` with `--unsupported drop`",
        command="",
    ),
    _Row(
        "Pass a tool as a dict with its JSON schema: {'type': 'function', 'name': ..., 'parameters': {...}}.",
        chat="Pass a tool as a dict with its JSON schema: {'type': 'function', 'function': {'name': ..., 'parameters': "
        "{...}}}.",
    ),
    _Row(
        "Pass a function as {'type': 'function', 'name': ..., 'parameters': {...}}",
        chat="Pass a function as {'type': 'function', 'function': {'name': ..., 'parameters': {...}}}",
        server='Pass a function as {"type": "function", "name": ..., "parameters": {...}}',
    ),
    _Row("Use `client.responses.parse(text_format=...)`", llm="Use `--schema`"),
    _Row(": this is an option of the client", llm=": this is an option of the Python client"),
    # Errors of the backend
    _Row(
        " List the available models with `client.models.list()`.",
        server="",
        command=" `codex-backend models` lists the available models.",
    ),
    _Row(
        "Remove older items from `input`, or shorten them with `client.responses.compact(...)`.",
        chat="Remove older messages from `messages`.",
        server="Remove older items from `input`.",
        command="Shorten the input.",
        llm="Shorten the prompt, or begin a new conversation.",
    ),
    _Row(
        "cannot decrypt the reasoning in `input`, because it belongs to another account or model. Remove the "
        "`reasoning` items and",
        chat="cannot decrypt the reasoning in `messages`, because it belongs to another account or model. Remove "
        "`reasoning_details` from the messages and",
    ),
    _Row(
        "`reasoning.effort` or its value. Remove it or change its value.",
        command="this reasoning effort. Pass another one.",
    ),
    _Row(" `error.partial` has the output received before the interruption.", server="", command=""),
    _Row(" `error.partial` has its output, which may be incomplete.", server="", command=""),
    _Row(", or set your program's name with `OpenAI(originator=...)`", server=""),
    # The login
    _Row(
        "Log in again with `client.authenticate(force=True)` or `codex-backend login`",
        server="Run `codex-backend login`",
    ),
    _Row("call client.authenticate_device_code() or run `codex-backend", command="run `codex-backend"),
    _Row("Call client.authenticate() to use that account.", command="Run the command again to use that account."),
    _Row("with a longer `timeout`", command="with a longer `--timeout`"),
    _Row("pass another `workspace_id`", command="pass another `--workspace`"),
    # The connection
    _Row("`base_url` (CODEX_BASE_URL)", server="CODEX_BASE_URL", command="CODEX_BASE_URL"),
    _Row("`base_url`", server="CODEX_BASE_URL", command="CODEX_BASE_URL"),
    _Row(
        "Increase `first_byte_timeout`.",
        server="Send the request again.",
        command="Run the command again.",
        llm="Send the prompt again.",
    ),
    _Row("Increase `connect_timeout`.", server="Check the network.", command="Check the network."),
    # Batches
    _Row('`on_change="redo"`', command="`--on-change redo`"),
    _Row('`on_change="keep"`', command="`--on-change keep`"),
    _Row("choose another journal", command="choose another output"),
)

# Some messages name a Python call or a command. The pattern matches the Python call, which is removed.
_LOGIN_CALL: Final = re.compile(r"(Call )?`?client\.authenticate\([^)]{0,40}+\)`? or (?:run )?(?=`codex-backend )")
# The commands that `llm codex` has, too.
_SHARED_COMMAND: Final = re.compile(r"\bcodex-backend (?=(?:login|logout|status|usage|models|doctor)\b)")
# Options of the plugin are arguments of `create`.
_UNKNOWN_ARGUMENT: Final = re.compile(r"\b[\w.]*create\(\) got an unexpected keyword argument '(\w+)'\.?")


def advise(text: str, interface: Interface) -> str:
    """Return a message with the advice for this interface. Other text is unchanged."""
    is_command = interface in (Interface.COMMAND, Interface.LLM)
    for row in _ROWS:
        replacement = getattr(row, interface.value)
        if replacement is None and interface is Interface.LLM:
            replacement = row.command
        if replacement is not None:
            text = text.replace(row.phrase, replacement)
    if is_command:
        text = _LOGIN_CALL.sub(lambda match: "Run " if match[1] else "", text)
    if interface is Interface.LLM:
        text = _UNKNOWN_ARGUMENT.sub(
            r"The option `\1` does not exist: `llm models -q codex --options` lists the options.", text
        )
        text = _SHARED_COMMAND.sub("llm codex ", text)
    return text


def advise_error(error: BaseException, interface: Interface) -> None:
    """Rewrite the message of an exception, which keeps its class and its attributes."""
    replace_message(error, advise(str(error), interface))


def replace_message(error: BaseException, message: str) -> None:
    """Replace the message of an exception."""
    error.args = (message, *error.args[1:])
    if hasattr(error, "message"):  # an exception of openai
        untyped_error: Any = error
        untyped_error.message = message
