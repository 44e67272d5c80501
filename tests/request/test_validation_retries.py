"""Test that `parse(validation_retries=n)` sends the errors of an invalid output back to the model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.resources.responses import Responses as OfficialResponses
from openai.types.responses import Response
from pydantic import BaseModel, field_validator

import codex_backend_sdk as sdk
from codex_backend_sdk._request.validation_retries import ParseAttempts
from codex_backend_sdk.resources.responses import AsyncResponses, Responses
from codex_backend_sdk.testing import Simulator, Turn


class Person(BaseModel):
    name: str
    age: int

    @field_validator("age")
    @classmethod
    def check_age(cls, value: int) -> int:
        if value > 200:
            raise ValueError("nobody is that old")
        return value


VALID = '{"name": "Bob", "age": 42}'
TOOL = openai.pydantic_function_tool(Person)


def parse(client: Any, **params: Any) -> Any:
    return client.responses.parse(**{"input": "Who?", "text_format": Person, **params})


def calls(*arguments: str, text: str | None = None, custom: bool = False) -> Turn:
    """Return a response with a reasoning item, an optional text, and calls of the tool."""
    items: list[dict[str, Any]] = [{"type": "reasoning", "id": "rs_1", "summary": []}]
    if text is not None:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        items.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content})
    for number, value in enumerate(arguments, 1):
        call = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": "Person"}
        items.append({**call, "arguments": value, "status": "completed"})
    if custom:
        items.append({"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_c", "name": "sh", "input": "ls"})
    events: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": "resp_1", "output": []}}]
    for index, item in enumerate(items):
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    return Turn.events([*events, {"type": "response.completed", "response": {"id": "resp_1"}}])


def message_of(body: dict[str, Any]) -> str:
    """Return the text of the last item of the input, which must be a user message."""
    message = body["input"][-1]
    assert (message["type"], message["role"]) == ("message", "user")
    (part,) = message["content"]
    return str(part["text"])


# An invalid text → what the message says about it, and a value of the text that it must not repeat.
TEXTS = [
    ('{"name": "Bob-7f3a", "age": "old-91c2"}', "- age: Input should be a valid integer", "old-91c2"),
    ('{"age": 4171}', "- name: Field required", "4171"),
    ('{"name": "Bob", "age": 4171}', "- age: Value error, nobody is that old", "4171"),
    ("Bob-7f3a is old", "- value: Invalid JSON", "Bob-7f3a"),
    ("", "- value: Invalid JSON", None),
    ("[" * 5000, "- value: Invalid JSON", "[[["),
]


@pytest.mark.parametrize(("text", "error", "secret"), TEXTS)
def test_errors_of_a_text_are_sent_back(
    sim: Simulator, client: Any, bodies: Callable[[], list[Any]], text: str, error: str, secret: str | None
) -> None:
    sim.script(Turn.text(text), Turn.text(VALID))
    response = parse(client, validation_retries=1)
    assert response.output_parsed == Person(name="Bob", age=42)
    first, second = bodies()
    assert second["input"][: len(first["input"])] == first["input"]
    assert second["input"][-2]["content"][0]["text"] == text
    message = message_of(second)
    assert error in message
    assert secret is None or secret not in message
    assert {**first, "input": None} == {**second, "input": None}


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_last_invalid_text_raises(sim: Simulator, client: Any, bodies: Callable[[], list[Any]], retries: int) -> None:
    sim.script(*(Turn.text(f"text {number}") for number in range(3)))
    with pytest.raises(sdk.OutputValidationError) as caught:
        parse(client, validation_retries=retries)
    assert caught.value.response_object.output_text == f"text {retries}"
    assert len(bodies()) == retries + 1
    texts = [item["content"][0]["text"] for item in bodies()[-1]["input"] if item.get("role") == "assistant"]
    assert texts == [f"text {number}" for number in range(retries)]


def test_usage_is_that_of_the_last_attempt(sim: Simulator, client: Any) -> None:
    sim.script(Turn.text("not json"), Turn.text(VALID))
    retried = parse(client, validation_retries=3)
    sim.script(Turn.text(VALID))
    history = [{"role": "user", "content": "Who?"}]
    assert retried.usage.output_tokens == parse(client, input=history).usage.output_tokens


@pytest.mark.parametrize("arguments", ['{"name": "Bob", "age": "old-91c2"}', '{"name": "old-91c2', ""])
def test_errors_of_arguments_are_sent_back(
    sim: Simulator, client: Any, bodies: Callable[[], list[Any]], arguments: str
) -> None:
    sim.script(calls(VALID, arguments, custom=True), calls(VALID))
    response = parse(client, tools=iter([TOOL]), text_format=openai.omit, validation_retries=1)
    assert response.output[-1].parsed_arguments == Person(name="Bob", age=42)
    replayed = bodies()[1]["input"]
    outputs = [(item["type"], item["call_id"]) for item in replayed if item["type"].endswith("_output")]
    assert outputs == [
        ("function_call_output", "call_1"),
        ("function_call_output", "call_2"),
        ("custom_tool_call_output", "call_c"),
    ]
    message = message_of(bodies()[1])
    assert message.count("`Person` are invalid") == 1
    assert "old-91c2" not in message


def test_last_invalid_arguments_are_returned(sim: Simulator, client: Any, bodies: Callable[[], list[Any]]) -> None:
    sim.script(calls("{}"), calls("{}"))
    response = parse(client, tools=[TOOL], text_format=openai.omit, validation_retries=1)
    assert response.output[-1].parsed_arguments is None
    assert len(bodies()) == 2


def test_text_and_arguments_are_corrected_together(
    sim: Simulator, client: Any, bodies: Callable[[], list[Any]]
) -> None:
    sim.script(calls("{}", text="no"), Turn.text(VALID))
    parse(client, tools=[TOOL], validation_retries=1)
    message = message_of(bodies()[1])
    assert "Your text does not match" in message
    assert "- name: Field required" in message


def test_many_errors_are_shortened(sim: Simulator, client: Any, bodies: Callable[[], list[Any]]) -> None:
    class People(BaseModel):
        people: list[Person]

    sim.script(Turn.text('{"people": [' + ", ".join(["{}"] * 500) + "]}"), Turn.text('{"people": []}'))
    parse(client, text_format=People, validation_retries=1)
    message = message_of(bodies()[1])
    assert "- people.0.name: Field required" in message
    assert message.count("Field required") == 20
    assert "- and 980 more errors" in message


@pytest.mark.parametrize(
    ("turn", "params"),
    [
        (Turn.incomplete("max_output_tokens", text='{"na'), {}),
        (Turn.text(VALID), {}),
        (calls(VALID), {"tools": [TOOL], "text_format": openai.omit}),
        (
            calls("{}"),
            {"tools": [{**TOOL["function"], "type": "function", "strict": False}], "text_format": openai.omit},
        ),
        (calls("{}"), {"text_format": openai.omit}),
    ],
    ids=["incomplete", "valid text", "valid call", "tool is not strict", "no tools"],
)
def test_other_responses_are_not_retried(
    sim: Simulator, client: Any, bodies: Callable[[], list[Any]], turn: Turn, params: dict[str, Any]
) -> None:
    sim.script(turn)
    parse(client, validation_retries=2, **params)
    assert len(bodies()) == 1


USER = {"role": "user", "content": "Who?"}


@pytest.mark.parametrize(
    "params",
    [
        {"input": "Who?"},
        {"input": USER},
        {"input": [USER]},
        {"input": (USER,)},
        {"input": iter([USER])},
        {"input": "Replaced.", "extra_body": {"input": [USER]}},
    ],
    ids=["text", "mapping", "list", "tuple", "iterator", "extra_body"],
)
def test_input_of_every_form_is_extended(params: dict[str, Any]) -> None:
    attempts = ParseAttempts({**params, "extra_headers": {"x": "1"}}, 1)
    response = Response.model_construct(id="resp_1", status="completed", output=[])
    with attempts:
        pass
    assert attempts.add_errors(response, RecursionError("too deep"))
    assert attempts.params["input"][0] == USER
    assert "- too deep" in attempts.params["input"][1]["content"]
    assert "input" not in attempts.params.get("extra_body", {})
    assert not attempts.add_errors(response, RecursionError("too deep"))


@pytest.mark.parametrize("value", [None, 5])
def test_invalid_input_is_left_to_the_request(value: Any) -> None:
    assert ParseAttempts({"input": value}, 1).params == {"input": value}


@pytest.mark.parametrize(
    ("retries", "error"),
    [(-1, ValueError), (True, TypeError), ("2", TypeError), (1.0, TypeError), (None, TypeError)],
)
def test_invalid_number_is_rejected_before_sending(
    sim: Simulator, client: Any, retries: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="`validation_retries` must be"):
        parse(client, validation_retries=retries)
    assert sim.requests == []


def test_raw_responses_cannot_be_retried(sim: Simulator, client: Any) -> None:
    with pytest.raises(ValueError, match="without `with_raw_response`"):
        client.responses.with_raw_response.parse(input="Who?", text_format=Person, validation_retries=1)
    assert sim.requests == []
    sim.script(Turn.text(VALID))
    raw = client.responses.with_raw_response.parse(input="Who?", text_format=Person, validation_retries=0)
    assert raw.parse().output_parsed == Person(name="Bob", age=42)


@pytest.mark.parametrize("resource", [Responses, AsyncResponses])
def test_parameter_is_in_signature_and_docstring(resource: type) -> None:
    method: Any = resource.parse  # type: ignore[attr-defined]
    signature = inspect.signature(method)
    assert signature.parameters["validation_retries"].default == 0
    assert signature.parameters.keys() > inspect.signature(OfficialResponses.parse).parameters.keys()
    assert "`response.usage` is that of the last attempt" in (method.__doc__ or "")
