"""Define the steps of `codex-backend demo`. The demo shows the body of each function and then runs it.

The type of `client` is Any. With its real type, mypy requires annotations of the lists of dictionaries, which users
would not write.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, TypeAdapter

from .. import OpenAI, UsageLimitError
from ..testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["STEPS", "Step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A function that the demo shows and runs. Its docstring is the heading; `definitions` are shown above its body.

    The output must match the pattern `expected`. Except in the first step, `run` receives the client. `script` sets the
    simulator's next responses, for a step that needs other responses than the default ones.
    """

    run: Callable[..., Any]
    expected: str
    definitions: tuple[Callable[..., Any], ...] = ()
    script: tuple[Turn | str, ...] = ()


def login() -> OpenAI:
    """Log in"""
    client = OpenAI().authenticate()  # opens a browser if needed
    account = client.account()
    print(f"Logged in as {account.email}, plan {account.plan}.")
    return client


def plain_call(client: Any) -> None:
    """A call"""
    response = client.responses.create(input="Explain quicksort briefly.")
    print(response.output_text)


def streamed_call(client: Any) -> None:
    """A stream, printed as it arrives"""
    events = client.responses.create(input="Say hi five times.", stream=True)
    for event in events:
        if event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)


def weekday(day: str) -> str:
    return date.fromisoformat(day).strftime("%A")


def function_call(client: Any) -> None:
    """A conversation with a function call"""
    schema = TypeAdapter(weekday).json_schema()  # type: ignore[arg-type]  # pydantic accepts functions as well
    tools = [{"type": "function", "name": "weekday", "parameters": schema}]
    history = [{"role": "user", "content": "Which weekday was 1969-07-20?"}]
    response = client.responses.create(input=history, tools=tools)
    call = response.output[-1]
    result = {"type": "function_call_output", "call_id": call.call_id}
    result["output"] = weekday(**json.loads(call.arguments))
    history += [*response.output, result]
    print(client.responses.create(input=history, tools=tools).output_text)


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


def typed_error(client: Any) -> None:
    """An error with its own class (a request header selects the simulated error)"""
    fault = {"x-simulator-fault": "usage_limit"}
    try:
        client.responses.create(input="Hi", extra_headers=fault)
    except UsageLimitError as error:
        print(f"{type(error).__name__}: {error}")


_EVENT_JSON: Final = '{"name": "science fair", "day": "Friday", "people": ["Alice", "Bob"]}'

STEPS: Final = (
    Step(run=login, expected="Logged in as .+@"),
    Step(run=plain_call, expected="quicksort"),
    Step(run=streamed_call, expected="^hi hi hi hi hi$"),
    Step(
        run=function_call,
        expected="Sunday",
        definitions=(weekday,),
        script=(Turn.call("weekday", {"day": "1969-07-20"}), "1969-07-20 was a Sunday."),
    ),
    Step(run=structured_output, expected="'Friday'.*'Alice', 'Bob'", definitions=(Event,), script=(_EVENT_JSON,)),
    Step(run=limits, expected=r"\d+ % used"),
    Step(run=typed_error, expected="^UsageLimitError: .*limit"),
)
