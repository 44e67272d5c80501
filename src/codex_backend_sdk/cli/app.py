"""Define the command group: its commands and the handling of their errors.

An expected error (every `openai.OpenAIError`, and `ValueError` for invalid settings) is printed as one line on standard
error, with exit code 1. Any other exception is a bug and shows its traceback. `--debug` shows all tracebacks.

Exit codes: 0 success, 1 error, 2 usage error (as in click), 130 Ctrl-C, 141 broken pipe.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

import click

from .output import print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["codex_backend", "run"]

# The module of each command, in the order in which `--help` lists them. It is imported when the command is used.
_COMMAND_MODULES: Final = {
    "login": "login",
    "logout": "login",
    "status": "account_commands",
    "usage": "account_commands",
    "models": "account_commands",
    "ask": "ask",
    "doctor": "doctor.command",
    "demo": "demo",
    "simulate": "simulate",
}
# Some error messages suggest a Python call or a command. The pattern matches the Python call, which is removed here.
_PYTHON_REMEDY: Final = re.compile(r"(Call )?`?client\.authenticate\([^)]{0,40}+\)`? or (?:run )?(?=`codex-backend )")
_EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as in a shell
_EXIT_BROKEN_PIPE: Final = 141  # 128 + SIGPIPE


class _CommandGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMAND_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMAND_MODULES:
            return None
        module = import_module(f"{__package__}.{_COMMAND_MODULES[cmd_name]}")
        return cast("click.Command", getattr(module, cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches  # 5 ms, only for a misspelt command

            matches = get_close_matches(args[0], _COMMAND_MODULES, n=1)
            if not matches:
                raise
            raise click.UsageError(f"{error.message} Did you mean {matches[0]!r}?", ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if ctx.params["debug"] or not _is_expected_error(error):
                raise
            raise click.ClickException(_error_message(error)) from error


@click.group(cls=_CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="codex-backend-sdk", prog_name="codex-backend")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def codex_backend(context: click.Context, debug: bool) -> None:
    """Use the ChatGPT Codex backend with your own ChatGPT plan.

    CODEX_HOME is the folder that stores the login (default: ~/.codex, shared with the Codex CLI). CODEX_BASE_URL and
    CODEX_ISSUER_URL select another backend and issuer.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line interface with these arguments (default: `sys.argv[1:]`) and return the exit code."""
    sys.stdout = sys.stdout or io.StringIO()  # None when the shell closed it with `>&-`
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A response may contain characters that the terminal cannot encode.
            stream.reconfigure(errors="replace")
    try:
        return codex_backend.main(arguments, prog_name="codex-backend", standalone_mode=False) or 0
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        print_text(f"Error: {error.message}", err=True)
        return error.exit_code
    except click.Abort:  # click's exception for Ctrl-C
        print_text("Cancelled.", err=True)
        return _EXIT_INTERRUPTED
    except SystemExit:  # without standalone mode, click exits only after a broken pipe (`codex-backend … | head`)
        return _EXIT_BROKEN_PIPE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # Redirect standard output to devnull. Otherwise, the interpreter fails again when it flushes it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print_text(
            "Error: Cannot write to standard output, because the disk is full. Free some space and try again.", err=True
        )
        return 1


def _is_expected_error(error: Exception) -> bool:
    """Return whether the message of the error is written for users.

    If `openai` is not imported, the error cannot be an instance of its classes, so this function does not import it.
    Another thread may be importing it: then it has no classes yet.
    """
    return isinstance(error, (ValueError, getattr(sys.modules.get("openai"), "OpenAIError", ValueError)))


def _error_message(error: Exception) -> str:
    """Return the message in one line, with remedies for the command line."""
    text = _command_line_message(error) if "openai" in sys.modules else None
    if text is None:
        text = str(error) or type(error).__name__
    for python, command in _COMMAND_REMEDIES.items():
        text = text.replace(python, command)
    text = _PYTHON_REMEDY.sub(lambda match: "Run " if match[1] else "", " ".join(text.split()))
    return text.removeprefix("Error code: ")  # the prefix of openai's messages


# A part of a message for programs → the same for users of the command.
_COMMAND_REMEDIES: Final = {
    "with a longer `timeout`": "with a longer `--timeout`",
    "pass another `workspace_id`": "pass another `--workspace`",
    "List the available models with `client.models.list()`.": "`codex-backend models` lists the available models.",
    "call client.authenticate_device_code() or run `codex-backend": "run `codex-backend",
    "Call client.authenticate() to use that account.": "Run the command again to use that account.",
}


def _command_line_message(error: Exception) -> str | None:
    """Return a message for an error whose own message suggests Python code, or None for any other error."""
    from .. import _exceptions as exceptions

    if isinstance(error, exceptions.CloudflareBlockedError):
        ray = f" (cf-ray {error.cf_ray})" if error.cf_ray else ""
        return (
            f"Cloudflare blocked the request before it reached the backend{ray}. It blocks data centers, VPNs, some "
            "regions and clients that send too many requests. Wait a few minutes or use another network."
        )
    if isinstance(error, exceptions.ContextLengthExceededError):
        return "The prompt is too long for the context window of the model. Shorten the prompt."
    if isinstance(error, exceptions.StreamInterruptedError):
        outcome = "timed out" if isinstance(error, exceptions.IdleTimeoutError) else "was interrupted"
        return f"The response {outcome} and is incomplete. Run the command again."
    return None
