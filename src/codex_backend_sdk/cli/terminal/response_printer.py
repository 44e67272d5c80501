"""Print a response while it arrives.

The text is the result and goes to standard output. Everything else (reasoning, calls of tools, searches, sources) goes
to standard error. Control characters of the model never reach the terminal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

from ..._redaction import remove_control_characters

if TYPE_CHECKING:
    from openai.types.responses import Response

__all__ = ["ResponsePrinter"]


class ResponsePrinter:
    """Print one response, or the responses of one run of tools.

    Pass every event of the stream to `event()` and call `finish()` in the end, also after an error or Ctrl-C. A program
    without a stream calls `text()` and the other methods itself.

    Args:
        out: The stream of the text (default: `sys.stdout`).
        err: The stream of everything else (default: `sys.stderr`).
        raw: Print the text as it is, without rendering its Markdown. It is always raw if `out` is not a terminal.
        show_reasoning: Print the summaries of the reasoning, if `err` is a terminal.
        width: The width of the lines (default: that of the terminal).
    """

    def __init__(
        self,
        *,
        out: TextIO | None = None,
        err: TextIO | None = None,
        raw: bool = False,
        show_reasoning: bool = True,
        width: int | None = None,
    ) -> None:
        self._out, self._err = out or sys.stdout, err or sys.stderr
        self._raw = raw or not self._out.isatty()
        self._show_reasoning = show_reasoning and self._err.isatty()
        self._width = width
        self._last = "\n"

    def event(self, event: Any) -> None:
        """Print what an event of a stream adds. Events of other types are ignored."""
        match event.type:
            case "response.output_text.delta" | "response.refusal.delta":
                self.text(event.delta)
            case "response.reasoning_summary_text.delta":
                self.reasoning(event.delta)
            case "tool_call.started":
                self.tool_call(event.call.name, event.call.arguments)
            case "tool_call.finished" if event.error is not None:
                self.notice(f"{event.call.name} failed: {event.error}")
            case "response.output_item.done" if event.item.type == "web_search_call":
                self.web_search(getattr(event.item.action, "query", None) or "")

    def text(self, delta: str) -> None:
        """Print a part of the text."""
        self._write(self._out, delta)

    def reasoning(self, delta: str) -> None:
        """Print a part of the summary of the reasoning, dimmed."""
        if self._show_reasoning:
            self._write(self._err, delta)

    def tool_call(self, name: str, arguments: str) -> None:
        """Print that a tool is called. `arguments` are JSON, or the input of a custom tool."""
        self.notice(f"{name} {arguments}")

    def web_search(self, query: str) -> None:
        """Print that the backend searched the web."""
        self.notice(f"Searched the web: {query}")

    def notice(self, text: str) -> None:
        """Print a line on standard error, between the parts of the response."""
        self._start_line()
        self._write(self._err, text + "\n")

    def finish(self, response: Response | None = None) -> None:
        """Print what is still withheld, and the sources that the response cites."""
        self._start_line()
        for number, url in enumerate(cited_urls(response), start=1):
            self._write(self._err, f"[{number}] {url}\n")

    def _start_line(self) -> None:
        if self._last != "\n":
            self._write(self._out, "\n")

    def _write(self, stream: TextIO, text: str) -> None:
        text = remove_control_characters(text)
        if text:
            stream.write(text)
            stream.flush()
            self._last = text[-1]


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
    return list(dict.fromkeys(each.url for each in annotations if each.type == "url_citation"))
