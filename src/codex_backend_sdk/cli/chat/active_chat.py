"""The conversation of a chat: send messages, print the responses, and change its settings.

The file of a conversation is created with its first message, so that a chat without one leaves nothing behind. An
expected error is printed with its way out, and never ends the chat.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from ..._redaction import excerpt
from ..._timefmt import format_local_time
from ..app import error_message, is_expected_error
from ..exit_codes import ExitCode
from ..known_models import remember_models
from ..output import print_text
from ..terminal.approval import ToolApproval
from ..terminal.echo import terminal_echo
from ..terminal.footer import TokenCounts, cache_warning, footer_lines, limit_warnings
from ..terminal.response_printer import ResponsePrinter, one_line
from .sessions import new_session_path, session_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from openai.types.responses import Response

    from ... import CompactionEvent, OpenAI, RateLimits
    from ...conversation.conversation import Conversation
    from ...resources.models import Model
    from ...tools import ToolSet

__all__ = ["ActiveChat", "LeaveChat", "text_of"]

_FUNCTION_TYPES: Final = ("function", "custom")
_WEB_SEARCH: Final = {"type": "web_search"}


class LeaveChat(BaseException):
    """End the chat with an exit code. It is no `Exception`, so that no library catches it."""

    def __init__(self, exit_code: int = ExitCode.COMPLETE) -> None:
        self.exit_code = exit_code


class ActiveChat:
    """The conversation that the user sees, and what is to be sent with the next message.

    Args:
        client: The client.
        conversation: The conversation, in a file or in memory.
        is_saved: Whether a conversation in memory is saved with its first message.
        name: The name of the file that is created then (default: a random id).
        tools: The functions that the model may call.
        allow_all: Whether the calls need no confirmation.
        show_reasoning: Whether to print the summaries of the reasoning.
    """

    def __init__(
        self,
        client: OpenAI,
        conversation: Conversation,
        *,
        is_saved: bool = True,
        name: str | None = None,
        tools: ToolSet | None = None,
        allow_all: bool = False,
        show_reasoning: bool = True,
    ) -> None:
        self.client = client
        self.conversation = conversation
        self.is_saved = is_saved
        self.tools = tools
        self.attachments: list[tuple[str, dict[str, Any]]] = []  # the path, and the part of the message
        self.models: Sequence[Model] = ()
        self.last_text = last_response_text(conversation)
        self.running_calls: dict[str, str] = {}  # id → tool; after Ctrl-C, the calls that cannot be stopped
        self._name = name
        self._show_reasoning = show_reasoning
        self._approval = ToolApproval(allow_all=allow_all)
        self._warned_limits: RateLimits | None = None
        self._last_message: Any = None  # of a call that left nothing in the history
        self._last_usage: Any = None
        self._cache_is_valid = True
        self._last_end = 0.0
        self._drop_functions()

    def introduce(self) -> None:
        """Print which conversation this is, and the last message of a saved one."""
        self.note(f"{self.conversation.model} · /help lists the commands · Ctrl-D leaves")
        if self.last_text:
            question = next((item for item in reversed(self.conversation.items) if item.get("role") == "user"), {})
            self.note(f"Continuing {self.id or 'a copy'}. You wrote: {excerpt(text_of(question))}")
            printer = ResponsePrinter()
            printer.text(self.last_text)
            printer.finish()

    def message(self, text: str) -> Any:
        """Return the message of the user, with the attachments."""
        if not self.attachments:
            return text
        parts = [{"type": "input_text", "text": text}] if text else []
        return {"type": "message", "role": "user", "content": [*parts, *(part for _, part in self.attachments)]}

    # --- messages ------------------------------------------------------------------------------------------------

    def send(self, message: Any) -> Response | None:
        """Send a message and print the response. Return it, or None after an error or Ctrl-C.

        Ctrl-C ends the response, and what was received of it stays. A second Ctrl-C, while the first one is still
        waiting for something, leaves the chat.
        """
        self._save_if_new()
        self.running_calls.clear()
        printer = ResponsePrinter(show_reasoning=self._show_reasoning)
        before, counts = self.client.codex.limits, TokenCounts.of(self.conversation.usage)
        items_before, started = len(self.conversation), time.monotonic()
        response: Response | None = None
        try:
            with _second_interrupt_leaves(), terminal_echo(False):
                print_text("", err=True)  # between the prompt and the response
                try:
                    response = self._stream(message, printer)
                finally:
                    printer.finish(response)
        except KeyboardInterrupt:
            self._after_interrupt(has_kept=len(self.conversation) > items_before)
        except (Exception, SystemExit) as error:
            if not is_expected_error(error):
                raise
            self._print_error(error)
        self._last_message = message if len(self.conversation) == items_before else None
        if response is None:
            return None
        self.last_text = response.output_text
        self.attachments.clear()
        self._print_footer(response, started, before, TokenCounts.of(self.conversation.usage).since(counts))
        return response

    def _stream(self, message: Any, printer: ResponsePrinter) -> Response:
        options: dict[str, Any] = {"reasoning": {"summary": "auto"}}
        if self.tools is not None:
            stream = self.conversation.run_stream(message, tools=self.tools, on_call=self._approval, **options)
        else:
            stream = self.conversation.stream(message, **options)
        event: Any
        with stream:
            for event in stream:
                if event.type == "tool_call.started":
                    self.running_calls[event.call.call_id] = event.call.name
                elif event.type == "tool_call.finished":
                    self.running_calls.pop(event.call.call_id, None)
                printer.event(event)
        return stream.response

    def _after_interrupt(self, *, has_kept: bool) -> None:
        kept = "The response so far is kept." if has_kept else "Nothing was received."
        self.note(f"Stopped. {kept} /retry sends the message again.")
        if self.running_calls:
            names = ", ".join(map(one_line, dict.fromkeys(self.running_calls.values())))
            self.warn(f"A call still runs and cannot be stopped: {names}. Press Ctrl-C again to leave the chat.")

    def _print_error(self, error: BaseException) -> None:
        print_text(f"Error: {error_message(error)}", err=True, fg="red")
        resets_at = getattr(error, "resets_at", None)
        if resets_at is not None and format_local_time(resets_at) not in str(error):
            self.note(f"The limit resets {format_local_time(resets_at)}.")
        self.note("/retry sends the message again.")

    def _print_footer(self, response: Response, started: float, before: RateLimits | None, counts: TokenCounts) -> None:
        after = self.client.codex.limits
        print_text("", err=True)
        for line in footer_lines(counts, seconds=time.monotonic() - started, before=before, after=after):
            self.note(line)
        if response.status == "incomplete" and response.incomplete_details is not None:
            self.warn(f"The response is incomplete: {response.incomplete_details.reason}.")
        idle_seconds = started - self._last_end
        if self._last_usage is not None and self._cache_is_valid:
            warning = cache_warning(self._last_usage, response.usage, idle_seconds=idle_seconds)
            if warning is not None:
                self.warn(warning)
        self._last_usage, self._cache_is_valid, self._last_end = response.usage, True, time.monotonic()
        for warning in limit_warnings(self._warned_limits, after):
            self.warn(warning)
        self._warned_limits = after or self._warned_limits

    def retry(self) -> None:
        """Send the last message again: after an error, after Ctrl-C, or for another response."""
        message = self._last_message
        if message is None:
            message = next((item for item in reversed(self.conversation.items) if item.get("role") == "user"), None)
            if message is None:
                raise ValueError("There is no message to send again.")
            self.conversation.rollback()
        self.expect_cache_miss()
        self.send(message)

    def undo(self) -> str:
        """Remove the last message and all that follows from the history. Return its text."""
        message = next((item for item in reversed(self.conversation.items) if item.get("role") == "user"), None)
        if message is None:
            raise ValueError("There is no message to undo.")
        self.conversation.rollback()
        self.expect_cache_miss()
        return text_of(message)

    def compact(self) -> None:
        """Compact the history. `on_compaction` reports it."""
        self.conversation.compact()
        self.expect_cache_miss()

    def report_compaction(self, event: CompactionEvent) -> None:
        """Print that the history was compacted, by the user or by itself."""
        self._cache_is_valid = False
        self.note(f"Compacted the history: {event.tokens_before:,} → {event.tokens_after:,} tokens.")

    def expect_cache_miss(self) -> None:
        """Note that the next call finds less in the prompt cache, because the user changed something."""
        self._cache_is_valid = False

    # --- settings ------------------------------------------------------------------------------------------------

    @property
    def has_web_search(self) -> bool:
        """Whether the model may search the web."""
        return any(tool.get("type") == "web_search" for tool in self.conversation.tools)

    def set_web_search(self, is_on: bool) -> None:
        """Let the model search the web, or not."""
        others = [tool for tool in self.conversation.tools if tool.get("type") != "web_search"]
        self.conversation.tools = [*others, _WEB_SEARCH] if is_on else others
        self.expect_cache_miss()

    def set_tools(self, tools: ToolSet | None) -> None:
        """Let the model call these functions."""
        self.tools = tools
        self._drop_functions()
        self.expect_cache_miss()

    def _drop_functions(self) -> None:
        """Remove definitions of functions that the file has and this chat has not: the model could call them."""
        definitions = self.conversation.tools
        others = [tool for tool in definitions if tool.get("type") not in _FUNCTION_TYPES]
        if self.tools is None and len(others) < len(definitions):
            self.conversation.tools = others

    def load_models(self) -> Sequence[Model]:
        """Return the models of the catalog; it is requested once. Raises what the request raises."""
        if not self.models:
            self.models = list(self.client.models.list().data)
            remember_models(self.models)
        return self.models

    def model(self) -> Model | None:
        """Return the entry of the current model in the catalog, or None if it was not requested yet."""
        return next((model for model in self.models if model.id == self.conversation.model), None)

    # --- files ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str | None:
        """The id or the name of the file, or None for a conversation in memory."""
        path = self.conversation.path
        return None if path is None else session_id(path)

    def _save_if_new(self) -> None:
        if self.is_saved and self.conversation.path is None:
            try:
                self.conversation.save(new_session_path(self._name))
            except Exception as error:
                if not is_expected_error(error):
                    raise
                self.is_saved = False
                self.warn(f"This conversation is not saved: {error_message(error)}")

    def save(self, name: str | None) -> str:
        """Save a conversation in memory, or give a saved one another name. Return its id."""
        if self.conversation.path is None:
            self.conversation.save(new_session_path(name))
        elif name is not None:
            # Forks refer to their parent by its name, so a file is not renamed: a fork of it takes over its records.
            old, path = self.conversation, new_session_path(name)
            old.fork(path).close()
            old.delete(forks="keep")
            self.open(path)
        self.is_saved = True
        return self.id or ""

    def open(self, path: Path, *, read_only: bool = False) -> None:
        """Continue the conversation in another file. The current one is closed."""
        opened = self.client.codex.load_conversation(
            path, read_only=read_only, repair=True, on_compaction=self.report_compaction
        )
        self.replace(opened)

    def fork(self, name: str | None) -> str | None:
        """Continue in a copy; the conversation stays as it is. Return the id of the copy."""
        self.replace(self.conversation.fork(new_session_path(name) if self.is_saved else None))
        return self.id

    def replace(self, conversation: Conversation) -> None:
        """Continue with another conversation. The current one is closed."""
        self.conversation.close()
        self.conversation = conversation
        self._name = self._last_message = self._last_usage = None
        self.last_text = last_response_text(conversation)
        self._drop_functions()

    # --- printing ------------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Print a dimmed line."""
        print_text(text, err=True, dim=True)

    def warn(self, text: str) -> None:
        """Print a line that the user should see."""
        print_text(text, err=True, fg="yellow")

    @contextmanager
    def reported_errors(self) -> Iterator[None]:
        """Print an expected error, or that the user pressed Ctrl-C, instead of raising it."""
        try:
            yield
        except KeyboardInterrupt:
            self.note("Cancelled.")
        except Exception as error:
            if isinstance(error, click.ClickException):
                message = error.format_message()
            elif is_expected_error(error) or isinstance(error, OSError):
                message = error_message(error)
            else:
                raise
            print_text(f"Error: {message}", err=True, fg="red")

    def status(self) -> str:
        """Return the state for the toolbar: model, effort, used context and plan."""
        parts = [self.conversation.model, self.conversation.effort or "default effort"]
        tokens, model = self.conversation.context_tokens, self.model()
        window = model.context_window if model is not None else None
        if tokens:
            parts.append(f"context {100 * tokens / window:.0f} %" if window else f"{tokens:,} tokens")
        limits = self.client.codex.limits
        binding = limits.binding_window if limits is not None else None
        if binding is not None:
            parts.append(f"{binding.name} {binding.used_percent:.0f} % used")
        return " · ".join(parts)


@contextmanager
def _second_interrupt_leaves() -> Iterator[None]:
    """Raise LeaveChat at a second Ctrl-C: the first one waits, for example for a tool."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def interrupt(number: int, frame: Any) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise LeaveChat(ExitCode.INTERRUPTED)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def text_of(item: Any) -> str:
    """Return the text of a message: of an item, or a text."""
    content = item if isinstance(item, str) else item.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or () if isinstance(part, dict) and "text" in part)


def last_response_text(conversation: Conversation) -> str:
    """Return the text of the last message of the model, or an empty text."""
    items = reversed(conversation.items)
    return next((text_of(item) for item in items if item.get("role") == "assistant"), "")
