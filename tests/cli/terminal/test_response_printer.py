"""A response that is printed while it arrives."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from codex_backend_sdk.cli.terminal.approval import ToolApproval
from codex_backend_sdk.cli.terminal.response_printer import ResponsePrinter, cited_urls, format_arguments
from codex_backend_sdk.tools import Allow, Deny, ToolCall


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def event(kind: str, **members: Any) -> Any:
    return SimpleNamespace(type=kind, **members)


def response(*urls: str) -> Any:
    annotations = [event("url_citation", url=url) for url in urls]
    part = event("output_text", annotations=[*annotations, event("file_citation")])
    return SimpleNamespace(output=[event("reasoning"), event("message", content=[part, event("refusal")])])


def print_all(out: io.StringIO, err: io.StringIO, **options: Any) -> None:
    printer = ResponsePrinter(out=out, err=err, width=40, **options)
    printer.event(event("response.reasoning_summary_text.delta", delta="**Thinking**"))
    printer.event(event("response.reasoning_summary_part.done"))
    call = SimpleNamespace(name="weather", arguments={"city": "Rome\x1b[2J"})
    printer.event(event("tool_call.started", call=call))
    printer.event(event("tool_call.finished", call=call, error=ValueError("no\nnetwork")))
    printer.event(event("tool_call.finished", call=call, error=None))
    search = SimpleNamespace(type="web_search_call", action=SimpleNamespace(query="rome"))
    printer.event(event("response.output_item.done", item=search))
    printer.event(event("response.output_text.delta", delta="Some **bold** te\x1b"))
    printer.event(event("response.output_text.delta", delta="]52;c;eA==\x07xt."))
    printer.event(event("response.output_text.done"))
    printer.event(event("response.other"))
    printer.finish(response("https://a.example/\x1b[31mx", "https://b.example", "https://b.example"))


def test_pipe_gets_the_text_as_it_is() -> None:
    out, err = io.StringIO(), io.StringIO()
    print_all(out, err)
    assert out.getvalue() == "Some **bold** text.\n"
    assert err.getvalue() == (
        'weather(city="Rome\\u001b[2J")\nweather failed: ValueError: no network\nSearched the web: rome\n'
        "Sources:\n[1] https://a.example/x\n[2] https://b.example\n"
    )


def test_terminal_gets_rendered_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out, err = Terminal(), Terminal()
    print_all(out, err)
    assert "\x1b[1mbold\x1b[0m" in out.getvalue()
    assert "52;c" not in out.getvalue()
    assert "\x1b[1;2mThinking" in err.getvalue()


def test_raw_text_is_not_rendered_on_a_terminal() -> None:
    out, err = Terminal(), Terminal()
    print_all(out, err, raw=True, show_reasoning=False)
    assert "Some **bold** text.\n" in out.getvalue()
    assert "Thinking" not in err.getvalue()


def test_no_color_leaves_no_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    printer = ResponsePrinter(out=out, err=out)
    printer.text("`code`\n\n```py\nreturn\n```\n")
    printer.finish()
    assert "\x1b[3" not in out.getvalue()


def test_summaries_of_the_reasoning_are_separated() -> None:
    out, err = Terminal(), Terminal()
    printer = ResponsePrinter(out=out, err=err, color=False)
    for title in ("One", "Two"):
        printer.event(event("response.reasoning_summary_text.delta", delta=title))
        printer.event(event("response.reasoning_summary_part.done"))
    printer.notice("a call")
    printer.event(event("response.reasoning_summary_part.done"))
    printer.notice("another")
    printer.finish()
    assert err.getvalue() == "One\n\nTwo\n\na call\nanother\n"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("rome", "rome"),
        ("x" * 121, "x" * 120 + "… (121 characters)"),
        ("two\nlines", "two lines"),
    ],
)
def test_query_of_a_search_is_short(query: str, text: str) -> None:
    err = io.StringIO()
    ResponsePrinter(out=io.StringIO(), err=err).web_search(query)
    assert err.getvalue() == f"Searched the web: {text}\n"


def test_text_without_a_newline_ends_with_one() -> None:
    out = io.StringIO()
    printer = ResponsePrinter(out=out, err=io.StringIO())
    printer.text("a")
    printer.finish()
    printer.finish()
    assert out.getvalue() == "a\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"a": 1, "b": "x\\ny"}', 'a=1, b="x\\ny"'),
        ({"a": [1, None]}, "a=[1, null]"),
        ("not json", "not json"),
        ("[1]", "[1]"),
        ("two\nlines\x1b[31m", "two lines"),
        ("x" * 500, "x" * 400 + "… (500 characters)"),
        ("{}", ""),
        ("[" * 100_000, "[" * 400 + "… (100,000 characters)"),
    ],
)
def test_arguments_are_one_line(arguments: Any, text: str) -> None:
    assert format_arguments(arguments) == text


def test_response_without_text_cites_nothing() -> None:
    assert cited_urls(None) == cited_urls(response()) == []


# --- approval --------------------------------------------------------------------------------------------------------


def approve(*answers: str, calls: int = 1, **options: Any) -> tuple[list[type], str]:
    err, lines = io.StringIO(), iter(answers)
    approval = ToolApproval(err=err, read_line=lambda: next(lines), **options)
    call = ToolCall(call_id="c", name="delete\x1b[2J", arguments={"path": "\x1b]52;c;x\x07"}, tool=None)
    return [type(approval(call)) for _ in range(calls)], err.getvalue()


@pytest.mark.parametrize(
    ("answers", "calls", "decisions"),
    [
        (["y\n"], 1, [Allow]),
        (["YES\n"], 1, [Allow]),
        (["n\n"], 1, [Deny]),
        (["what\n", "\n", "no\n"], 1, [Deny]),
        ([""], 1, [Deny]),
        (["a\n"], 3, [Allow, Allow, Allow]),
        (["y\n", "n\n"], 2, [Allow, Deny]),
    ],
)
def test_answer_decides_on_the_call(answers: list[str], calls: int, decisions: list[type]) -> None:
    assert approve(*answers, calls=calls)[0] == decisions


def test_question_shows_the_call_without_control_characters() -> None:
    _, question = approve("y\n")
    assert "delete(path=" in question
    assert "\x1b" not in question
    assert "\x07" not in question


def test_yes_asks_nothing() -> None:
    assert approve(allow_all=True, calls=2) == ([Allow, Allow], "")


def test_call_that_may_have_run_says_so() -> None:
    err = io.StringIO()
    approval = ToolApproval(err=err, read_line=lambda: "n\n")
    approval(ToolCall(call_id="c", name="pay", arguments={}, tool=None, may_have_run=True))
    assert "may have run already" in err.getvalue()
