"""Define the command group: its commands and the handling of their errors.

An expected error (every `openai.OpenAIError`, `ValueError` for invalid settings, and `OSError` for a file) is printed
as one line on standard error; `exit_codes` has its exit code. If the command was called with an option for the
parameter `as_json` (or `as_jsonl`), standard output gets the error as a JSON object. Any other exception is a bug and
shows its traceback. `--debug` shows all tracebacks, with exit code 1.
"""

from __future__ import annotations

import errno
import os
import shlex
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

import click

from .._errors.advice import Interface, advise
from .._redaction import excerpt, redact, redact_data
from .exit_codes import JSON_LINES, ExitCode, ExitError, exit_code_of
from .help_format import CommandContext
from .output import print_json, print_text, set_output_encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CommandGroup", "codex_backend", "error_message", "is_expected_error", "run"]

# The module of each command, in the order in which `--help` lists them. It is imported when the command is used.
_COMMAND_MODULES: Final = {
    "login": "login",
    "logout": "login",
    "status": "status",
    "usage": "usage",
    "models": "models_command",
    "ask": "ask",
    "batch": "batch_command",
    "chat": "chat.chat_command",
    "doctor": "doctor.doctor_command",
    "demo": "demo",
    "serve": "serve",
    "simulate": "simulate",
    "completion": "completion",
}
_CALLED_COMMAND: Final = f"{__name__}.called_command"  # a key of `click.Context.meta`


class CommandGroup(click.Group):
    """Commands of this package, which are imported when they are used, and the messages of their errors."""

    context_class = CommandContext

    def __init__(
        self,
        *args: Any,
        command_names: Sequence[str] = tuple(_COMMAND_MODULES),
        interface: Interface = Interface.COMMAND,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._command_names = command_names
        self._interface = interface

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of `--help`."""
        return list(self._command_names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return the command, or None."""
        if cmd_name not in self._command_names:
            return None
        module = import_module(f"{__package__}.{_COMMAND_MODULES[cmd_name]}")
        command = cast("click.Command", getattr(module, cmd_name))
        command.context_class = CommandContext
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Raise UsageError that suggests a command for a wrong name."""
        try:
            resolved = super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches  # 5 ms, only for a misspelt command

            matches = get_close_matches(args[0], self._command_names, n=1)
            if matches:
                raise click.UsageError(f"{error.message} Did you mean {matches[0]!r}?", ctx) from None
            if args[0].startswith("-"):
                raise
            command = shlex.join(["codex-backend", "ask", excerpt(" ".join(args))])
            raise click.UsageError(f"{error.message} To send it as a prompt, run: {command}", ctx) from None
        ctx.meta[_CALLED_COMMAND] = (resolved[1], list(resolved[2]))  # a copy: parsing empties the list
        return resolved

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raise ExitError for an expected error."""
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except (Exception, SystemExit) as error:
            if not is_expected_error(error):
                raise
            message, code = error_message(error, self._interface), exit_code_of(error)
            json_form, is_debugged = _json_form(ctx), ctx.params.get("debug", False)
            if json_form is not None:
                data = _error_data(error, message, code)
                is_one_line = json_form == "as_jsonl" or ctx.meta.get(JSON_LINES, False)
                print_json(data, is_model_text=True, is_one_line=is_one_line)
                if not is_debugged and sys.stdout.isatty():  # the terminal shows the message already
                    raise click.exceptions.Exit(code) from error
            if isinstance(error, click.ClickException) or (is_debugged and not isinstance(error, SystemExit)):
                raise
            raise ExitError(message, code) from error


def _json_form(context: click.Context) -> str | None:
    """Return the parameter that the arguments of the called command set, also if others are invalid: `as_json`,
    `as_jsonl`, or None.
    """
    command, arguments = context.meta.get(_CALLED_COMMAND, (None, []))
    if command is None:
        return None
    settings = {"resilient_parsing": True, "ignore_unknown_options": True, "allow_extra_args": True}
    with command.make_context(command.name, list(arguments), parent=context, **settings) as parsed:
        return next((name for name in ("as_json", "as_jsonl") if parsed.params.get(name)), None)


def _error_data(error: BaseException, message: str, code: ExitCode) -> dict[str, Any]:
    """Return the JSON object of an error. `output_text` is the text that the model had sent before the error."""
    resets_at = getattr(error, "resets_at", None)
    data: dict[str, Any] = {
        **(error.data if isinstance(error, ExitError) else {}),
        "error": redact_data(
            {
                "type": type(error).__name__,
                "message": message,
                "exit_code": int(code),
                "code": getattr(error, "code", None),
                "request_id": getattr(error, "request_id", None),
                "resets_at": resets_at.isoformat() if resets_at is not None else None,
            }
        ),
    }
    progress = getattr(error, "progress", None)
    if progress is not None:  # of a batch
        from .batch_command import progress_data

        data.update(progress_data(progress))
    partial = getattr(error, "partial", None)
    if partial is not None:
        data["output_text"] = partial.output_text
    return data


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="codex-backend-sdk", prog_name="codex-backend")
@click.option("--debug", is_flag=True, help="Show the traceback of an error; the exit code is 1.")
@click.pass_context
def codex_backend(context: click.Context, debug: bool) -> None:
    """Use the ChatGPT Codex backend with your own ChatGPT plan.

    CODEX_HOME is the folder that stores the login (default: ~/.codex, shared with the Codex CLI and `llm codex`).
    CODEX_BASE_URL and CODEX_ISSUER_URL select another backend and issuer.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line interface with these arguments (default: `sys.argv[1:]`) and return the exit code."""
    _open_closed_streams()
    set_output_encoding()
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
        return ExitCode.INTERRUPTED
    except SystemExit as error:  # without standalone mode, click exits only after a completion (0) or a broken pipe
        return ExitCode.COMPLETE if error.code == 0 else ExitCode.BROKEN_PIPE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # Redirect standard output to devnull. Otherwise, the interpreter fails again when it flushes it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print_text(
            "Error: Cannot write to standard output, because the disk is full. Free some space and try again.", err=True
        )
        return 1


def _open_closed_streams() -> None:
    """Connect the standard streams that the shell closed, as with `2>&-`, to the null device.

    Without it, the descriptor would belong to the next file that is opened, and messages would be written there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - stays open


def is_expected_error(error: BaseException) -> bool:
    """Return whether the message of the error is written for users. SystemExit comes from a function of `--tools`.

    If `openai` is not imported, the error cannot be an instance of its classes, so this function does not import it.
    Another thread may be importing it: then it has no classes yet.
    """
    openai_error = getattr(sys.modules.get("openai"), "OpenAIError", ValueError)
    return isinstance(error, (ValueError, SystemExit, click.ClickException, openai_error)) or _is_file_error(error)


def _is_file_error(error: BaseException) -> bool:
    """Return whether a file of the user is the cause. An error of a standard stream or a socket names no file."""
    return isinstance(error, OSError) and error.filename is not None


def error_message(error: BaseException, interface: Interface = Interface.COMMAND) -> str:
    """Return the message in one line, with advice for the command line or for `llm`."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, SystemExit):
        return "A function of --tools called sys.exit(). Raise an exception in it instead."
    if isinstance(error, OSError) and error.filename is not None:
        return (
            f"Cannot use {excerpt(os.fsdecode(error.filename))}: {error.strerror}. Check the path and its permissions."
        )
    text = _command_line_message(error) if "openai" in sys.modules else None
    if text is None:
        text = str(error) or type(error).__name__
    return advise(" ".join(text.split()), interface).replace("Error code: ", "")  # of openai's messages


def _command_line_message(error: BaseException) -> str | None:
    """Return a message for an error whose own message suggests Python code, or None for any other error."""
    import openai

    from .. import _exceptions as exceptions
    from .._errors import error_text

    if isinstance(error, openai.APIStatusError) and not isinstance(error, exceptions.CodexError):
        # The message of the backend, or else that of the exception: “Error code: 502 - The response is …”.
        quoted = error_text.quote_backend(redact(error_text.error_message({"error": error.body}) or ""))
        reason = f" with status {error.status_code}.{quoted}" if quoted else f": {str(error).rstrip('.')}."
        if error.status_code >= 500:
            return f"The backend failed{reason} Run the command again in a moment."
        if error.status_code == 400:
            return f"The backend rejected the request{reason} Change the prompt, the files or the options."
    if isinstance(error, exceptions.JournalLockedError):
        return "Another process writes to this conversation. Wait for it, or pass --no-save to continue without saving."
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
