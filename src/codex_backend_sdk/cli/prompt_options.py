"""The options that `ask` and `chat` share: model, effort, instructions, attachments and tools."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import logging
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .._redaction import excerpt
from .attachments import STDIN, attachment_part, read_text_file, tagged_text
from .exit_codes import ExitCode, ExitError
from .known_models import complete_effort, complete_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..tools import ToolSet
    from .attachments import AttachmentKind

__all__ = ["PromptCommand", "PromptOptions", "load_tools", "prompt_options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """The options that were passed. None, or an empty tuple, stands for an option that was not."""

    model: str | None = None
    effort: str | None = None
    instructions: str | None = None
    attachments: tuple[tuple[AttachmentKind, Path], ...] = ()
    web: bool = False
    tools_paths: tuple[Path, ...] = ()
    yes: bool = False
    show_reasoning: bool = True

    def settings(self) -> dict[str, Any]:
        """Return the options as arguments of `client.codex.conversation()`: only those that were passed.

        Functions of `--tools` are not among them. Raises click.UsageError if the file of the instructions cannot be
        read.
        """
        instructions = self.instructions
        if instructions is not None and instructions.startswith("@"):
            instructions = read_text_file(Path(instructions[1:])).strip()
        settings: dict[str, Any] = {"model": self.model, "effort": self.effort, "instructions": instructions}
        if self.web:
            settings["tools"] = [{"type": "web_search"}]
        return {name: value for name, value in settings.items() if value is not None}

    def create_params(self) -> dict[str, Any]:
        """Return the options as parameters of `responses.create()`; see `settings`."""
        params = self.settings()
        params["reasoning"] = {"summary": "auto"}
        if "effort" in params:
            params["reasoning"]["effort"] = params.pop("effort")
        return params

    def message(self, prompt: str, *, stdin_text: str | None = None) -> dict[str, Any]:
        """Return the message of the user: the prompt, the attachments, and the text of standard input.

        Raises click.UsageError if an attachment cannot be sent.
        """
        parts = [{"type": "input_text", "text": prompt}] if prompt else []
        parts += [attachment_part(path, kind) for kind, path in self.attachments]
        if stdin_text:
            parts.append({"type": "input_text", "text": tagged_text("stdin", stdin_text)})
        return {"type": "message", "role": "user", "content": parts}

    def functions(self) -> ToolSet | None:
        """Return the functions of `--tools`, or None without it. See `load_tools`."""
        return load_tools(*self.tools_paths) if self.tools_paths else None

    @property
    def reads_stdin(self) -> bool:
        """Whether an attachment is standard input. Raises click.UsageError if several are."""
        count = sum(path == STDIN for _, path in self.attachments)
        if count > 1:
            raise click.UsageError("Standard input (`-`) can be sent once. Pass the names of the other files.")
        return count == 1


class _FilePath(click.Path):
    """The path of a file. A URL, which `Path` would change, is an error."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value).lower().startswith(("http://", "https://")):
            raise click.UsageError(
                f"{excerpt(str(value))} is a URL, not a file. Download it first, or let the model find it with --web."
            )
        return super().convert(value, param, ctx)


_FILE_TYPE: Final = _FilePath()

_OPTIONS: Final = (
    click.option(
        "-m",
        "--model",
        metavar="MODEL",
        shell_complete=complete_model,
        help="Model; `codex-backend models` lists them.",
    ),
    click.option(
        "-e",
        "--effort",
        metavar="EFFORT",
        shell_complete=complete_effort,
        help="Reasoning effort, such as low, medium or high; `codex-backend models` lists those of each model.",
    ),
    click.option(
        "-s", "--instructions", metavar="TEXT|@FILE", help="Instructions (system prompt), or a file with them."
    ),
    click.option(
        "-i",
        "--image",
        "images",
        type=_FILE_TYPE,
        multiple=True,
        metavar="FILE",
        help="Send an image; `-` is standard input. Can be repeated.",
    ),
    click.option(
        "-f",
        "--file",
        "files",
        type=_FILE_TYPE,
        multiple=True,
        metavar="FILE",
        help="Send a text or PDF file; `-` is standard input. Can be repeated.",
    ),
    click.option(
        "-a",
        "others",
        type=_FILE_TYPE,
        multiple=True,
        metavar="FILE",
        help="Send a file of any of these types; `-` is standard input. Can be repeated.",
    ),
    click.option("--web", is_flag=True, help="Let the model search the web. The sources are listed at the end."),
    click.option(
        "--tools",
        "tools_paths",
        type=_FILE_TYPE,
        multiple=True,
        metavar="FILE.py",
        help="Let the model call functions of a Python file: those with the decorator `@tool`, or else all public "
        "ones. You confirm each call. Can be repeated.",
    ),
    click.option("--hide-reasoning", is_flag=True, help="Do not show the summary of the reasoning."),
    click.option("--yes", is_flag=True, help="Run the calls of --tools without confirmation."),
)


class PromptCommand(click.Command):
    """A command whose argument is a prompt, which must be one word of the shell."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Explain those that follow the prompt."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "unexpected extra argument" not in error.message:
                raise
            message = f"{error.message.rstrip('.')}. Put the prompt in quotes: it is one argument."
            raise click.UsageError(message, ctx) from None


def prompt_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command with the options. It gets them as one `PromptOptions` in the argument `options`."""

    @functools.wraps(function)
    def command(
        *args: Any,
        model: str | None,
        effort: str | None,
        instructions: str | None,
        web: bool,
        tools_paths: tuple[Path, ...],
        yes: bool,
        hide_reasoning: bool,
        images: tuple[Path, ...],
        files: tuple[Path, ...],
        others: tuple[Path, ...],
        **arguments: Any,
    ) -> Any:
        options = PromptOptions(
            model=model,
            effort=effort,
            instructions=instructions,
            attachments=(
                *(("image", path) for path in images),
                *(("file", path) for path in files),
                *(("any", path) for path in others),
            ),
            web=web,
            tools_paths=tools_paths,
            yes=yes,
            show_reasoning=not hide_reasoning,
        )
        return function(*args, options=options, **arguments)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def load_tools(*paths: Path) -> ToolSet:
    """Run Python files and return their tools: of each, those decorated with `@tool`, or else its public functions.

    What a file prints goes to standard error. Raises click.UsageError if a file has no tool, one that the sync client
    cannot run, or one without a schema, or if two files have one of the same name. Raises ExitError if a file raises
    an exception.
    """
    from .._exceptions import ToolDefinitionError
    from ..tools import ToolSet

    _hide_tool_log()
    try:
        return ToolSet([tool for path in dict.fromkeys(paths) for tool in _load_file(path)])
    except ToolDefinitionError as error:
        raise click.UsageError(f"{', '.join(excerpt(str(path)) for path in paths)}: {error}") from None


def _load_file(path: Path) -> ToolSet:
    from .._exceptions import ToolDefinitionError
    from ..tools import CustomTool, FunctionTool, ToolSet
    from ..tools.execution import check_sync

    name = excerpt(str(path))
    module = _run_file(path, name)
    values = list(vars(module).values())
    tools: list[Any] = [each for each in values if isinstance(each, (FunctionTool, CustomTool))]
    try:
        tool_set = ToolSet(tools or [each for each in values if _is_public_function(each, module.__name__)])
        check_sync(tool_set)
    except ToolDefinitionError as error:
        raise click.UsageError(f"{name}: {error}") from None
    if not len(tool_set):
        raise click.UsageError(f"{name} has no public function. Define one, with a docstring and type annotations.")
    return tool_set


def _hide_tool_log() -> None:
    """Do not log failed calls, which the printer shows in one line, unless `--debug` asks for their tracebacks."""
    context, log = click.get_current_context().find_root(), logging.getLogger("codex_backend_sdk.tools")
    if not context.params.get("debug"):
        log.setLevel(logging.ERROR)
        context.call_on_close(functools.partial(log.setLevel, logging.NOTSET))


def _is_public_function(value: object, module_name: str) -> bool:
    return inspect.isfunction(value) and value.__module__ == module_name and not value.__name__.startswith("_")


def _run_file(path: Path, name: str) -> Any:
    read_text_file(path)  # reports a file that cannot be read
    module_name = f"codex_backend_tools_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path.resolve())
    if spec is None or spec.loader is None:
        raise click.UsageError(f"{name} is not a Python file. Rename it to end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and pydantic look their annotations up there
    sys.path.insert(0, str(path.resolve().parent))
    try:
        with redirect_stdout(sys.stderr):  # standard output has only the result
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        line = _line_in(error, str(path.resolve()))
        place = f", line {line}" if line else ""
        raise ExitError(
            f"{name}{place} raised {type(error).__name__}: {excerpt(str(error))}. Correct the file.", ExitCode.ERROR
        ) from error
    return module


def _line_in(error: BaseException, file: str) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return lines[-1] if lines else None
