"""The commands by name, and what becomes of an error: one line on stderr and exit code 1."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["codex_backend", "run"]

# In the order in which the help lists them; the module is imported when the command is asked for.
_MODULE_OF = {
    "login": "login",
    "logout": "login",
    "status": "status",
    "usage": "usage",
    "models": "models_command",
    "ask": "ask",
    "doctor": "doctor.command",
    "demo": "demo",
    "simulate": "simulate",
}

# What a program can do in place of a command, where an error names both.
_CALL_OR = re.compile(r"`?client\.authenticate\([^)]*\)`? or (?=`codex-backend )")
_INTERRUPTED = 130  # 128 + SIGINT, as shells count


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULE_OF)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULE_OF:
            return None
        module = import_module(f"codex_backend_sdk.cli.{_MODULE_OF[cmd_name]}")
        return cast("click.Command", getattr(module, cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            close = get_close_matches(args[0], _MODULE_OF, n=1)
            if not close:
                raise
            raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if ctx.params["debug"] or not _speaks_for_itself(error):
                raise
            raise click.ClickException(_one_line(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="codex-backend-sdk", prog_name="codex-backend")
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
@click.pass_context
def codex_backend(context: click.Context, debug: bool) -> None:
    """Use the ChatGPT Codex backend with your own ChatGPT plan.

    CODEX_HOME is the folder of the login (default: ~/.codex, shared with the Codex CLI). CODEX_BASE_URL and
    CODEX_ISSUER_URL point at another backend and sign-in server.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    sys.stdout = sys.stdout or io.StringIO()  # None where the shell closed it: `>&-`
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # An answer may hold characters that an old terminal cannot show.
            stream.reconfigure(errors="replace")
    try:
        return codex_backend.main(arguments, prog_name="codex-backend", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:  # click's name for Ctrl-C
        click.echo("Cancelled.", err=True)
        return _INTERRUPTED
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        if error.errno == errno.ENOSPC:
            click.echo(f"Error: {error.strerror}", err=True)
        return _reader_has_gone()


def _speaks_for_itself(error: Exception) -> bool:
    """Tell an error whose message says what to do from a defect. Never imports `openai` only to compare."""
    openai = sys.modules.get("openai")
    return isinstance(error, ValueError) or (openai is not None and isinstance(error, openai.OpenAIError))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    text = _CALL_OR.sub("", text)
    return text.removeprefix("Error code: ")  # how the official exceptions begin, after click's own "Error: "


def _reader_has_gone() -> int:
    """End quietly after `codex-backend … | head` or on a full disk; Python would complain once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
