"""The command `ask`: send one prompt and print the response.

Standard output gets only the result: the text of the response, or JSON. Everything else goes to standard error. Each
call is a conversation, in memory unless it is saved, so that plain calls, tools and continued conversations take the
same path.
"""

from __future__ import annotations

import io
import os
import sys
import time
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .._constants import TRANSPORT_ENV
from .._redaction import excerpt, remove_control_characters
from .chat.sessions import complete_session, find_session, new_session_path, newest_session, session_id
from .exit_codes import ExitCode, ExitError
from .output import json_text, print_block, print_json, print_response_text, print_text
from .prompt_options import PromptCommand, prompt_options
from .stdin_text import read_stdin_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from openai.types.responses import Response

    from .. import OpenAI
    from ..conversation.conversation import Conversation
    from ..tools import ToolCall, ToolSet
    from ..tools.execution import OnCall
    from .output_schema import OutputSchema
    from .prompt_options import PromptOptions
    from .terminal.response_printer import ResponsePrinter

__all__ = ["ask"]

# Options that contradict each other.
_CONFLICTS: Final = (
    ("--json", "--jsonl"),
    ("--extract", "--json"),
    ("--extract", "--jsonl"),
    ("--extract", "--schema"),
    ("--output", "--jsonl"),
    ("--save", "--no-save"),
    ("--continue", "--conversation"),
    ("--stdin", "--no-stdin"),
    ("--dry-run", "--jsonl"),
    ("--dry-run", "--extract"),
    ("--dry-run", "--output"),
)


@click.command(cls=PromptCommand)
@click.argument("prompt", required=False)
@prompt_options
@click.option(
    "--schema",
    "--output-schema",
    "schema_source",
    metavar="FILE|JSON",
    help="Require JSON that matches this JSON Schema, or the one in this file.",
)
@click.option("--save", is_flag=True, help="Save the conversation, so that you can continue it.")
@click.option("-c", "--continue", "continue_newest", is_flag=True, help="Continue the conversation that was used last.")
@click.option(
    "--conversation",
    "conversation_id",
    metavar="ID|NAME",
    shell_complete=complete_session,
    help="Continue the conversation with this ID or name. With --save, create it if needed.",
)
@click.option(
    "--no-save", "--ephemeral", "no_save", is_flag=True, help="Continue a conversation without saving the new messages."
)
@click.option("--stdin", "require_stdin", is_flag=True, help="Wait for standard input, and send it with the prompt.")
@click.option("--no-stdin", is_flag=True, help="Do not read standard input.")
@click.option("--raw", is_flag=True, help="Print the Markdown of the response as it is, also on a terminal.")
@click.option("-x", "--extract", is_flag=True, help="Print only the first code block, without its fence.")
@click.option(
    "--stream/--no-stream", default=True, help="Print the response as it arrives (default), or when it is complete."
)
@click.option(
    "-o",
    "--output",
    "output_path",
    type=click.Path(path_type=Path, allow_dash=True),
    callback=lambda context, parameter, path: None if path == Path("-") else path,
    metavar="FILE",
    help="Write the result to this file instead of standard output (`-`).",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the result and errors.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--jsonl", "as_jsonl", is_flag=True, help="Print the events, and then the result, as JSON Lines.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@click.pass_context
def ask(context: click.Context, /, **arguments: Any) -> None:
    """Send PROMPT and print the response.

    Text that is piped into the command is sent with the prompt; without a PROMPT, or if it is `-`, it is the prompt.
    The exit code is 0 only if the response is complete.
    """
    _check_conflicts(context)
    call = _Call(**arguments)
    if call.dry_run:
        context.exit(call.explain())
    call.run()


def _check_conflicts(context: click.Context) -> None:
    given = {
        option
        for parameter in context.command.params
        if isinstance(parameter, click.Option) and context.params.get(parameter.name or "") not in (None, False, ())
        for option in parameter.opts
    }
    for first, second in _CONFLICTS:
        if first in given and second in given:
            raise click.UsageError(f"{first} and {second} cannot be combined. Remove one of them.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call of the command: its arguments, and what they mean."""

    prompt: str | None
    options: PromptOptions
    schema_source: str | None
    save: bool
    continue_newest: bool
    conversation_id: str | None
    no_save: bool
    require_stdin: bool
    no_stdin: bool
    raw: bool
    extract: bool
    stream: bool
    output_path: Path | None
    quiet: bool
    as_json: bool
    as_jsonl: bool
    dry_run: bool

    def run(self) -> None:
        message, schema, tools = self._message(), self._schema(), self.options.functions()
        if tools is not None and not self.options.yes:
            from .terminal.approval import has_terminal

            if not has_terminal():
                raise click.UsageError("There is no terminal to confirm the calls of --tools. Pass --yes to allow all.")
        from .. import OpenAI

        path = self._path()
        is_new = path is not None and not path.exists()
        with (
            _OutputFile(self.output_path) as file,
            OpenAI() as client,
            self._conversation(client, path) as conversation,
        ):
            if path is not None:
                self._notify(f"Conversation: {session_id(path)}")
            try:
                self._send(client, conversation, message, schema, tools, file)
            finally:
                if is_new and not len(conversation):
                    conversation.delete()  # nothing was received

    def explain(self) -> int:
        """Print what the call would send. Return the exit code."""
        from .. import OpenAI

        schema, tools, params = self._schema(), self.options.functions(), self.options.create_params()
        items: list[Any] = [self._message()]
        message = items[0]
        with OpenAI() as client:
            path = self._path()
            if path is not None and path.exists():
                with client.codex.load_conversation(path, read_only=True) as conversation:
                    items = [*conversation.items, *items]
                    params = {"model": conversation.model, "instructions": conversation.instructions} | params
                    params["tools"] = _tools_of_message(conversation, params.get("tools", ()))
            if tools is not None:
                params["tools"] = [*params.get("tools", ()), *tools.definitions]
            if schema is not None:
                params["text"] = schema.text_parameter()
            explanation = client.codex.explain(**params, input=items)
        if self.as_json:
            print_json({"is_refused": explanation.is_refused, **asdict(explanation)}, is_model_text=True)
        else:
            # The login in the file is not loaded, so that nothing is sent; `status` shows it.
            findings = tuple(each for each in explanation.findings if "client.authenticate()" not in str(each.remedy))
            print_block(str(replace(explanation, findings=findings)))
            if params.get("instructions"):
                print_block(f"\nInstructions:\n{params['instructions']}")
            print_block(f"\nMessage:\n{_message_text(message)}")
        return ExitCode.ERROR if explanation.is_refused else ExitCode.COMPLETE

    # Input

    def _notify(self, text: str) -> None:
        if not self.quiet:
            print_text(text, err=True)

    def _message(self) -> dict[str, Any]:
        """Return the message of the user. Raises click.UsageError if it is empty or cannot be read."""
        prompt = None if self.prompt == "-" else self.prompt
        if self.prompt == "-" and self.no_stdin:
            raise click.UsageError("The prompt `-` and --no-stdin cannot be combined. Pass a text.")
        reads_stdin = self.options.reads_stdin
        if reads_stdin and (prompt is None or self.require_stdin):
            raise click.UsageError("Standard input is the file `-`, so it cannot be the prompt as well. Pass a text.")
        prompt = None if prompt is None else _decoded(prompt)
        text = read_stdin_text(
            "never"
            if self.no_stdin or reads_stdin
            else "required"
            if self.require_stdin or self.prompt == "-"
            else "auto",
            has_prompt=prompt is not None,
            notify=self._notify,
            warn=lambda text: print_text(text, err=True),  # also with --quiet: it concerns the result
            is_watched=any(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr)),
        )
        if prompt is None:
            prompt, text = text or "", None
        if not prompt.strip():
            raise click.UsageError("The prompt is empty. Pass a text.")
        return self.options.message(prompt, stdin_text=text)

    def _schema(self) -> OutputSchema | None:
        if self.schema_source is None:
            return None
        from .output_schema import OutputSchema

        return OutputSchema.read(self.schema_source)

    # The conversation

    def _path(self) -> Path | None:
        """Return the file of the conversation, which may not exist yet, or None for one in memory."""
        if self.continue_newest:
            return newest_session().path
        if self.conversation_id is not None:
            try:
                return find_session(self.conversation_id).path
            except ValueError as error:
                if not self.save:
                    raise ValueError(f"{error} To create it, add --save.") from None
            return new_session_path(self.conversation_id)
        return new_session_path() if self.save else None

    def _conversation(self, client: OpenAI, path: Path | None) -> Conversation:
        settings = self.options.settings()
        if TRANSPORT_ENV not in os.environ and not self.options.tools_paths:
            settings["transport"] = "http"  # one request does not need a WebSocket
        if path is None:
            return client.codex.conversation(auto_compact=False, **settings)
        if not path.exists():
            return client.codex.conversation(path, **settings)
        tools = settings.pop("tools", [])
        conversation = client.codex.load_conversation(path, read_only=self.no_save, **settings)
        tools = _tools_of_message(conversation, tools)
        if tools != conversation.tools:
            conversation.tools = tools
        if not self.no_save:
            return conversation
        with conversation:
            return conversation.fork()

    # Output

    def _send(
        self,
        client: OpenAI,
        conversation: Conversation,
        message: dict[str, Any],
        schema: OutputSchema | None,
        tools: ToolSet | None,
        file: _OutputFile,
    ) -> None:
        from .ask_result import require_complete, result_data
        from .terminal.footer import TokenCounts, footer_lines, limit_warnings
        from .terminal.response_printer import ResponsePrinter

        # A run of tools has texts between the calls, which are not the result.
        has_file, is_terminal = self.output_path is not None, sys.stdout.isatty()
        is_streamed = self.stream and not (self.as_json or self.as_jsonl or self.extract or has_file)
        is_streamed = is_streamed and (tools is None or is_terminal)
        err: Any = io.StringIO() if self.quiet else sys.stderr
        is_raw = self.raw or schema is not None
        printer = ResponsePrinter(
            out=sys.stdout if is_streamed else io.StringIO(),
            err=err,
            raw=is_raw,
            show_reasoning=self.options.show_reasoning,
        )
        parameters: dict[str, Any] = {"reasoning": {"summary": "auto"}}
        if schema is not None:
            parameters["text"] = schema.text_parameter()
        before, started_at = TokenCounts.of(conversation.usage), time.monotonic()
        if tools is None:
            stream = conversation.stream(message, **parameters)
        else:
            stream = conversation.run_stream(message, tools=tools, on_call=self._approval(printer), **parameters)
        out, has_text = sys.stdout, False
        with stream, redirect_stdout(sys.stderr):  # a tool may print
            try:
                event: Any
                for event in stream:
                    has_text = has_text or event.type in ("response.output_text.delta", "response.refusal.delta")
                    if event.type != "tool_call.started":  # shown before the call, by the approval
                        printer.event(event)
                    if self.as_jsonl:
                        out.write(json_text(_event_data(event), is_one_line=True) + "\n")
                        out.flush()
            finally:
                printer.end_part()
        response = stream.response
        seconds, tokens = time.monotonic() - started_at, TokenCounts.of(conversation.usage).since(before)
        error: ExitError | None = None
        output = None
        try:
            require_complete(response)
            output = None if schema is None else schema.parse(response.output_text)
        except ExitError as failure:
            error = failure
        data = result_data(
            response,
            output=output,
            conversation=session_id(conversation.path) if conversation.path is not None else None,
            tokens=tokens,
            seconds=seconds,
            limits=client.codex.limits,
        )
        if self.as_json or self.as_jsonl:
            if error is not None:
                error.data = data
                raise error
            result = {"type": "ask.result", **data} if self.as_jsonl else data
            file.write(json_text(result, is_one_line=self.as_jsonl) + "\n")
        elif not (is_streamed and has_text):
            self._print_result(response, file, raw=is_raw)
        printer.finish(response)
        if not self.quiet and sys.stderr.isatty():
            limits = client.codex.limits
            if is_terminal:
                print_text("", err=True)
            for line in (*footer_lines(tokens, seconds=seconds, after=limits), *limit_warnings(None, limits)):
                print_text(line, err=True, dim=True)
        if error is not None:
            raise error

    def _approval(self, printer: ResponsePrinter) -> OnCall:
        """Return the function that shows each call before it runs, and asks the user unless --yes was given."""
        from ..tools import Allow
        from .terminal.approval import ToolApproval

        def show(call: ToolCall) -> Allow:
            printer.tool_call(call.name, call.arguments)
            return Allow()

        return show if self.options.yes else ToolApproval()

    def _print_result(self, response: Response, file: _OutputFile, *, raw: bool) -> None:
        from .ask_result import first_code_block
        from .terminal.response_printer import ResponsePrinter

        text = _text_of(response)
        block = first_code_block(text) if self.extract else None
        if self.extract and block is None:
            self._notify("The response has no code block; this is its whole text.")
        if block is not None or self.output_path is not None:
            file.write(block if block is not None else text.removesuffix("\n") + "\n")
            return
        printer = ResponsePrinter(raw=raw)
        printer.text(text)
        printer.end_part()


def _tools_of_message(conversation: Conversation, tools: Sequence[Any]) -> list[Any]:
    """Return the tools for the next message: those of the conversation but web search, and those of the options."""
    saved = [tool for tool in conversation.tools if tool.get("type") != "web_search"]
    return [*saved, *(tool for tool in tools if tool not in saved)]


def _message_text(message: dict[str, Any]) -> str:
    """Return a message of the user as text: an image or a PDF file as its type and size."""
    return "\n".join(
        part["text"]
        if "text" in part
        else f"[{part.get('filename', part['type'])}, {len(part.get('image_url') or part.get('file_data') or ''):,} "
        "characters as base64]"
        for part in message["content"]
    )


def _text_of(response: Response) -> str:
    """Return the text of a response, or of its refusal."""
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    return "".join(part.text if part.type == "output_text" else part.refusal for part in parts)


def _event_data(event: Any) -> dict[str, Any]:
    """Return an event as JSON data: an official event, or the start or the end of a call of a tool."""
    if hasattr(event, "to_dict"):
        return {"type": event.type, **event.to_dict(mode="json")}  # the type comes first
    call = event.call
    data = {"type": event.type, "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
    if event.type == "tool_call.finished":
        data |= {"was_run": event.was_run, "error": None if event.error is None else excerpt(str(event.error))}
    return data


def _decoded(prompt: str) -> str:
    """Return the prompt as text. Decode bytes that the locale does not define (`LC_ALL=C`) as UTF-8."""
    try:
        return prompt.encode("utf-8", "surrogateescape").decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"PROMPT is not valid text: it has the byte 0x{error.object[error.start]:02X}. Convert it to UTF-8."
        ) from None
    except UnicodeEncodeError:  # Windows
        raise click.UsageError("PROMPT contains a lone surrogate, which is not a character. Remove it.") from None


class _OutputFile:
    """The file of `--output`, or standard output. That it can be written is checked before the request is sent."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._is_new = path is not None and not path.exists()

    def __enter__(self) -> Self:
        if self._path is not None and (self._is_new or self._path.is_file() or self._path.is_dir()):
            try:
                self._path.open("a").close()
            except OSError as error:
                raise click.UsageError(
                    f"Cannot write to {excerpt(str(self._path))}: {error.strerror}. Pass another file."
                ) from None
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is not None and self._is_new and self._path.is_file() and not self._path.stat().st_size:
            self._path.unlink()

    def write(self, text: str) -> None:
        """Write the result, without control characters."""
        if self._path is None:
            print_response_text(text, is_complete=False)
            return
        try:
            self._path.write_text(remove_control_characters(text), encoding="utf-8", newline="\n", errors="replace")
        except OSError as error:
            raise ExitError(f"Cannot write to {excerpt(str(self._path))}: {error.strerror}.") from error
