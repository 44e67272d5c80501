"""A plugin for `llm` (https://llm.datasette.io): the models of your ChatGPT plan as `codex/<model>`.

`llm` finds this package by its entry point. It imports it at every start, for every command, so this module imports
neither the client nor the login, and the models come from a file: a start of `llm` sends no request.

    llm_input    the messages of llm → input items
    llm_output   events of a response → events of llm
    llm_options  the options of `-o`
    llm_models   the model classes, sync and async

The plugin drives `OpenAI` and `AsyncOpenAI`. Everything about requests, retries, the login and limits is theirs. The
commands of `llm codex` are those of `codex-backend`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from llm import hookimpl

from .._constants import DEFAULT_MODEL
from .._errors.advice import Interface
from ..cli.app import CommandGroup

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["register_commands", "register_models"]

_ALIAS: Final = "codex"  # of the default model
_HELP: Final = """Log in, and show the usage and the models of your ChatGPT plan.

The login is shared with the Codex CLI and `codex-backend`."""
_COMMANDS: Final = ("login", "logout", "status", "usage", "models", "doctor")


@hookimpl  # type: ignore[untyped-decorator]
def register_models(register: Callable[..., None]) -> None:
    """Register the models of the cached catalog. Print a line instead if the installed `llm` is too old."""
    try:
        from .llm_models import AsyncCodexModel, CodexModel, catalog_models
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "llm":
            raise
        click.echo(f"codex-backend-sdk needs llm 0.34 or newer ({error}). Run `llm install --upgrade llm`.", err=True)
        return
    for model in catalog_models():
        aliases = (_ALIAS,) if model["id"] == DEFAULT_MODEL else ()
        register(CodexModel(model), AsyncCodexModel(model), aliases=aliases)


@hookimpl  # type: ignore[untyped-decorator]
def register_commands(cli: Any) -> None:
    """Add `llm codex`."""
    cli.add_command(CommandGroup("codex", help=_HELP, command_names=_COMMANDS, interface=Interface.LLM))
