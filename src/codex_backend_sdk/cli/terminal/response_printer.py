"""Print a response while it arrives.

The text is the result and goes to standard output; everything else (reasoning, calls of tools, searches, sources) goes
to standard error. On a terminal, Markdown is rendered, and only by appending: what was printed is never drawn again, so
scrolling, copying and resizing work. Elsewhere, the text is printed as it is.

Control characters of the model reach neither.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from ..._redaction import remove_control_characters
from .escape_filter import EscapeFilter
from .markdown_stream import MarkdownStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from openai.types.responses import Response
    from rich.console import Console

    from .markdown_spans import Span

__all__ = ["ResponsePrinter", "cited_urls", "format_arguments", "one_line", "print_spans"]

_MAX_ARGUMENTS: Final = 400  # characters of the arguments of a call
_MAX_QUERY: Final = 120  # characters; the backend may repeat the whole prompt
_MIN_WIDTH: Final = 20


class ResponsePrinter:
    """Print one response, or the responses of one run of tools.

    Pass every event of the stream to `event()` and call `finish()` in the end, also after an error or Ctrl-C. A program
    without a stream calls `text()` and the other methods itself.

    Args:
        out: The stream of the text (default: `sys.stdout`).
        err: The stream of everything else (default: `sys.stderr`).
        raw: Print the text as it is, without rendering its Markdown. It is always raw if `out` is not a terminal.
        show_reasoning: Print the summaries of the reasoning, if `err` is a terminal.
        width: The width of the lines (default: that of the terminal, also after it was resized).
        color: Whether to use styles (default: if the stream is a terminal; `NO_COLOR` leaves bold and dim text).
    """

    def __init__(
        self,
        *,
        out: TextIO | None = None,
        err: TextIO | None = None,
        raw: bool = False,
        show_reasoning: bool = True,
        width: int | None = None,
        color: bool | None = None,
    ) -> None:
        from rich.console import Console  # slow to import

        self._out, self._err = out or sys.stdout, err or sys.stderr
        self._consoles = {
            stream: Console(file=stream, width=width, force_terminal=color, highlight=False, legacy_windows=False)
            for stream in (self._out, self._err)
        }
        self._is_raw = raw or not self._out.isatty()
        self._show_reasoning = show_reasoning and self._err.isatty()
        self._filter = EscapeFilter()
        self._stream: MarkdownStream | None = None
        self._part: Literal["", "text", "reasoning", "notice"] = ""
        self._has_ended_summary = False
        self._is_line_start = True

    def event(self, event: Any) -> None:
        """Print what an event of a stream adds. Events of other types are ignored."""
        match event.type:
            case "response.output_text.delta" | "response.refusal.delta":
                self.text(event.delta)
            case "response.reasoning_summary_text.delta":
                self.reasoning(event.delta)
            case "response.reasoning_summary_part.done":
                self.end_part()
                self._has_ended_summary = self._part == "reasoning"  # an empty line follows
            case "response.output_text.done" | "response.refusal.done":
                self.end_part()
            case "tool_call.started":
                self.tool_call(event.call.name, event.call.arguments)
            case "tool_call.finished" if event.error is not None:
                from ...tools.outputs import error_text

                self.notice(f"{event.call.name} failed: {error_text(event.error)}")
            case "response.output_item.done" if event.item.type == "web_search_call":
                self.web_search(_query(event.item))

    def text(self, delta: str) -> None:
        """Print a part of the text."""
        if self._is_raw:
            self._begin("text")
            self._print(self._out, [(self._filter.feed(delta), "")])
        else:
            self._render("text", self._out, delta)

    def reasoning(self, delta: str) -> None:
        """Print a part of the summary of the reasoning, dimmed."""
        if self._show_reasoning:
            self._render("reasoning", self._err, delta, style="dim")

    def tool_call(self, name: str, arguments: Any) -> None:
        """Print that a tool is called. `arguments` are a dict, JSON, or the input of a custom tool."""
        self.notice(f"{one_line(name)}({format_arguments(arguments)})")

    def web_search(self, query: str) -> None:
        """Print that the backend searched the web. `query` may be empty."""
        self.notice(f"Searched the web: {_shortened(one_line(query), _MAX_QUERY)}" if query else "Searched the web")

    def notice(self, text: str) -> None:
        """Print a dimmed line on standard error, between the parts of the response."""
        self._begin("notice")
        self._print(self._err, [(one_line(text), "dim"), ("\n", "")])

    def end_part(self) -> None:
        """Print what is withheld of the text or the reasoning, and end its line."""
        stream = self._err if self._part == "reasoning" else self._out
        if self._stream is not None:
            spans, self._stream = self._stream.finish(), None
            self._print(stream, spans)
        rest = self._filter.finish()
        self._print(stream, [(rest, "")])
        if not self._is_line_start:
            self._print(stream, [("\n", "")])

    def finish(self, response: Response | None = None) -> None:
        """Print what is withheld, and the sources that the response cites."""
        self.end_part()
        urls = cited_urls(response)
        if urls:
            self._begin("notice")
            heading = [("\n", "")] if self._err.isatty() else []
            lines = [(f"[{number}] {url}\n", "dim") for number, url in enumerate(urls, start=1)]
            self._print(self._err, [*heading, ("Sources:\n", "dim"), *lines])
        self._part = ""

    def _render(self, part: Literal["text", "reasoning"], stream: TextIO, delta: str, *, style: str = "") -> None:
        self._begin(part)
        if self._stream is None:
            console = self._consoles[stream]
            self._stream = MarkdownStream(lambda: max(_MIN_WIDTH, console.width), style=style)
        self._print(stream, self._stream.feed(delta))

    def _begin(self, part: Literal["text", "reasoning", "notice"]) -> None:
        """End the part before, if this is another one. On a terminal, an empty line separates them."""
        if part == self._part and not self._has_ended_summary:
            return
        before, self._has_ended_summary = self._part, False
        self.end_part()
        self._part = part
        if before and self._err.isatty() and self._out.isatty():
            self._print(self._err, [("\n", "")])

    def _print(self, stream: TextIO, spans: Iterable[Span]) -> None:
        spans = [span for span in spans if span[0]]
        if spans:
            self._is_line_start = spans[-1][0].endswith("\n")  # before the output: Ctrl-C may come right after it
            print_spans(self._consoles[stream], spans)
            stream.flush()


def print_spans(console: Console, spans: Sequence[Span]) -> None:
    """Print spans as they are: no wrapping, no tabs expanded, nothing padded."""
    from rich.segment import Segment, Segments

    if not console.is_terminal:
        console.file.write("".join(text for text, _ in spans))
        return
    segments = [Segment(text, console.get_style(style) if style else None) for text, style in spans]
    console.print(Segments(segments), end="", soft_wrap=True)


def one_line(text: str) -> str:
    """Return a text without control characters, as one line."""
    return " ".join(remove_control_characters(text).split())


def format_arguments(arguments: Any) -> str:
    """Return the arguments of a call as one line: `city="Rome", days=2`; text that is no JSON object as it is."""
    members = arguments
    if isinstance(arguments, str):
        try:
            members = json.loads(arguments)
        except (ValueError, RecursionError):
            members = None
    text = str(arguments)
    if isinstance(members, dict):
        text = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in members.items())
    return _shortened(one_line(text), _MAX_ARGUMENTS)


def _shortened(line: str, limit: int) -> str:
    return line if len(line) <= limit else f"{line[:limit]}… ({len(line):,} characters)"


def _query(item: Any) -> str:
    action = getattr(item, "action", None)
    return str(getattr(action, "query", None) or getattr(action, "url", None) or "")


def cited_urls(response: Response | None) -> list[str]:
    """Return the URLs of the citations in the text of a response, each once, in their order."""
    annotations = [
        annotation
        for item in (response.output if response is not None else ())
        if item.type == "message"
        for part in item.content
        if part.type == "output_text"
        for annotation in part.annotations
    ]
    return list(dict.fromkeys(one_line(each.url) for each in annotations if each.type == "url_citation"))
