"""The steps of the demo. Each function's body is shown, as it stands here, before it runs.

`client` is Any: with its real type the lists of dicts below would need annotations, and people should see the code
that they would write themselves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import httpx2
from pydantic import BaseModel, TypeAdapter

from .. import OpenAI
from .._constants import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SIGN_IN", "STEPS", "Step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A function to show and to run; its docstring is the heading.

    `definitions` are shown with it. What it prints has to contain the pattern `expects`, in at least `writes` pieces.
    """

    run: Callable[..., Any]
    expects: str
    definitions: tuple[Callable[..., Any], ...] = ()
    writes: int = 1


def visit(url: str) -> None:
    """Do as your browser would; the simulator's page approves by itself."""
    httpx2.get(url, follow_redirects=True).raise_for_status()


def sign_in() -> OpenAI:
    """Sign in"""
    client = OpenAI().authenticate(open_browser=visit, ports=(0,), timeout=20)
    login = client.credentials.current()
    print(f"Signed in as {login.email}, plan {login.plan}.")
    return client


def plain_call(client: Any) -> None:
    """A call"""
    response = client.responses.create(input="Explain quicksort briefly.")
    print(response.output_text)


def streamed_call(client: Any) -> None:
    """A streamed call, printed as it comes"""
    events = client.responses.create(input="Say hi five times.", stream=True)
    for event in events:
        if event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)


def conversation(client: Any) -> None:
    """A conversation of two turns"""
    history = [{"role": "user", "content": "My name is Ada."}]
    history += client.responses.create(input=history).output
    history += [{"role": "user", "content": "What is my name?"}]
    print(client.responses.create(input=history).output_text)


def weekday(day: str) -> str:
    """Run on this machine, with what the model asks for."""
    return date.fromisoformat(day).strftime("%A")


def function_call(client: Any) -> None:
    """A function call"""
    schema = TypeAdapter(weekday).json_schema()  # type: ignore[arg-type]  # pydantic takes functions, too
    tools = [{"type": "function", "name": "weekday", "parameters": schema}]
    history = [{"role": "user", "content": "Which weekday was 1969-07-20?"}]
    turn = client.responses.create(input=history, tools=tools)
    call = turn.output[-1]
    output = weekday(**json.loads(call.arguments))
    print(f"{call.name}({call.arguments}) returned {output}")
    result = {"type": "function_call_output", "call_id": call.call_id}
    history += [*turn.output, result | {"output": output}]
    print(client.responses.create(input=history, tools=tools).output_text)


class Event(BaseModel):
    """What is wanted of the text."""

    name: str
    day: str
    people: list[str]


def structured_output(client: Any) -> None:
    """Structured output"""
    text = "Alice and Bob are going to a science fair on Friday."
    event = client.responses.parse(input=text, text_format=Event).output_parsed
    print(repr(event))


def models(client: Any) -> None:
    """The models of the account"""
    for model in client.models.list():
        print(f"{model.id:26}{model.display_name:20}{model.context_window:7,}")


def usage(client: Any) -> None:
    """The usage of the plan"""
    limit = client.codex.usage()["rate_limit"]
    for window in limit["primary_window"], limit["secondary_window"]:
        used, seconds = window["used_percent"], window["limit_window_seconds"]
        print(f"{used} % used of {seconds // 3600} hours")


SIGN_IN: Final = Step(run=sign_in, expects="Signed in as .+@", definitions=(visit,))
STEPS: Final = (
    Step(run=plain_call, expects="quicksort"),
    Step(run=streamed_call, expects="^hi hi hi hi hi$", writes=5),
    Step(run=conversation, expects=r"\bAda\b"),
    Step(run=function_call, expects="returned Sunday\n.*Sunday", definitions=(weekday,)),
    Step(run=structured_output, expects="'Friday'.*'Alice', 'Bob'", definitions=(Event,)),
    Step(run=models, expects=f"{DEFAULT_MODEL} "),
    Step(run=usage, expects=r"\d+ % used"),
)
