"""Define the steps of `codex-backend demo`. The demo shows the body of each function and then runs it.

The type of `client` is Any. With its real type, mypy requires annotations of the lists of dictionaries, which users
would not write.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from .. import UsageLimitError
from ..testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk import OpenAI

__all__ = ["STEPS", "Step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A function that the demo shows and runs. Its docstring is the heading; `definitions` are shown above its body.

    The output must match the pattern `expected`. Except in the first step, `run` receives the client. `script` sets the
    simulator's next responses.
    """

    run: Callable[..., Any]
    expected: str
    definitions: tuple[Callable[..., Any], ...] = ()
    script: tuple[Turn | str, ...] = ()


def plain_call() -> OpenAI:
    """A call: the official client, with the login of your ChatGPT plan"""
    from codex_backend_sdk import OpenAI

    client = OpenAI().authenticate()  # opens a browser if needed
    response = client.responses.create(input="Explain quicksort briefly.")
    print(response.output_text)
    return client


def streamed_call(client: Any) -> None:
    """A stream, printed as it arrives"""
    events = client.responses.create(input="Count to twenty.", stream=True)
    for event in events:
        if event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)


def weekday(day: str) -> str:
    """Return the weekday of a date, such as 2026-01-31."""
    return date.fromisoformat(day).strftime("%A")


def conversation_with_a_tool(client: Any) -> None:
    """A conversation that keeps its history and calls a Python function"""
    with client.codex.conversation() as conversation:
        question = "Which weekday was the first Moon landing?"
        print(conversation.run(question, tools=[weekday]).output_text)
        print(conversation.send("And in German?").output_text)


class Event(BaseModel):
    name: str
    day: str
    people: list[str]


def structured_output(client: Any) -> None:
    """Structured output"""
    text = "Alice and Bob are going to a science fair on Friday."
    event = client.responses.parse(input=text, text_format=Event).output_parsed
    print(repr(event))


def limits(client: Any) -> None:
    """The limits of the plan, which every response reports"""
    for window in client.codex.limits.windows:
        print(f"{window.name}: {window.used_percent:g} % used")


def async_calls(client: Any) -> None:
    """Async calls, at the same time"""

    from codex_backend_sdk import AsyncOpenAI

    async def greet() -> None:
        async with AsyncOpenAI() as client:
            texts = ["Say buongiorno.", "Say buenos días."]
            calls = [client.responses.create(input=text) for text in texts]
            responses = await asyncio.gather(*calls)
            print(*[response.output_text for response in responses], sep=", ")

    asyncio.run(greet())


def typed_error(client: Any) -> None:
    """An error: its class says what happened, its message what to do"""
    try:
        client.responses.create(input="Hi")
    except UsageLimitError as error:
        print(f"{type(error).__name__}: {error}")


_QUICKSORT: Final = (
    "Quicksort picks a pivot, moves the smaller elements before it and the larger ones behind it, and sorts both parts "
    "in the same way."
)
_LANDING: Final = "It was a Sunday: Apollo 11 landed on 20 July 1969."
_EVENT_JSON: Final = '{"name": "science fair", "day": "Friday", "people": ["Alice", "Bob"]}'

STEPS: Final = (
    Step(run=plain_call, expected="pivot", script=(_QUICKSORT,)),
    Step(run=streamed_call, expected="^1 2 3 .* 20$", script=(" ".join(map(str, range(1, 21))),)),
    Step(
        run=conversation_with_a_tool,
        expected=r"Sunday[^\n]*\n.*Sonntag",
        definitions=(weekday,),
        script=(Turn.call("weekday", {"day": "1969-07-20"}), _LANDING, "Es war ein Sonntag."),
    ),
    Step(run=structured_output, expected="'Friday'.*'Alice', 'Bob'", definitions=(Event,), script=(_EVENT_JSON,)),
    Step(run=limits, expected=r"\d+ % used"),
    Step(run=async_calls, expected="^buongiorno, buenos días$"),
    Step(run=typed_error, expected="^UsageLimitError: .*limit", script=(Turn.usage_limit("plus"),)),
)
