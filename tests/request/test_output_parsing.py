"""Test that text and arguments that do not match the caller's models never lose the response."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import openai
import pydantic
import pytest
from pydantic import BaseModel

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import Simulator, Turn


class Result(BaseModel):
    answer: str


def parse(client: Any, **params: Any) -> Any:
    return client.responses.parse(input="x", text_format=Result, **params)


def use_helper(client: Any, **params: Any) -> Any:
    with client.responses.stream(model="gpt-5.5", input="x", text_format=Result, **params) as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


CALLS = pytest.mark.parametrize("call", [parse, use_helper])


@CALLS
@pytest.mark.parametrize("text", ['{"answer": "half of i', "", '{"answer": 1}', "[" * 5000, '{"answer": "whole"}'])
def test_incomplete_response_is_returned(sim: Simulator, client: Any, call: Callable[..., Any], text: str) -> None:
    sim.script(Turn.incomplete("max_output_tokens", text=text))
    response = call(client)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.output_text == text
    assert response.output_parsed is None


@CALLS
@pytest.mark.parametrize("text", ['{"answer": "half of i', "Hello", '{"answer": 1}', "[" * 5000, '{"reply": "x"}'])
def test_text_of_another_form_raises_with_the_response(
    sim: Simulator, client: Any, call: Callable[..., Any], text: str
) -> None:
    sim.script(Turn.text(text))
    with pytest.raises(sdk.OutputValidationError, match="does not match the format") as caught:
        call(client)
    error = caught.value
    assert not text or text not in str(error)
    assert isinstance(error, ValueError)
    assert isinstance(error, openai.OpenAIError)
    assert isinstance(error.__cause__, pydantic.ValidationError)
    assert error.response_object.output_text == text
    assert error.response_object.status == "completed"
    assert error.response_object.usage.total_tokens > 0
    assert len(sim.requests) == 1
    assert pickle.loads(pickle.dumps(error)).response_object.output_text == text


@CALLS
def test_valid_text_is_parsed(sim: Simulator, client: Any, call: Callable[..., Any]) -> None:
    sim.script(Turn.text('{"answer": "whole"}'))
    assert call(client).output_parsed == Result(answer="whole")


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "Result", "status": "completed"}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": '{"answer": "whole"}', "annotations": []}],
}


@CALLS
@pytest.mark.parametrize("arguments", ['{"answer": 1}', '{"answer": "ha', "", "null"])
def test_call_with_other_arguments_is_returned(
    sim: Simulator, client: Any, call: Callable[..., Any], arguments: str
) -> None:
    items = [MESSAGE, {**CALL, "arguments": arguments}, {**CALL, "id": "fc_2", "arguments": '{"answer": "yes"}'}]
    events: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": "resp_1", "output": []}}]
    for index, item in enumerate(items):
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    sim.script(Turn.events([*events, {"type": "response.completed", "response": {"id": "resp_1"}}]))
    response = call(client, tools=[openai.pydantic_function_tool(Result)])
    assert response.output_parsed == Result(answer="whole")
    first, second = response.output[1:]
    assert (first.arguments, first.parsed_arguments) == (arguments, None)
    assert second.parsed_arguments == Result(answer="yes")
    assert json.loads(second.arguments) == {"answer": "yes"}


@pytest.mark.parametrize("method", ["parse", "stream"])
@pytest.mark.parametrize(
    ("text_format", "message"),
    [
        ({"type": "object"}, r"not a JSON schema\. Pass a schema in `text="),
        (list[Result], "not list.*Define a model with a field"),
        (dict[str, int], "not dict.*Define a model with a field"),
    ],
)
def test_format_that_is_not_a_model_raises(client: Any, method: str, text_format: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        getattr(client.responses, method)(model="gpt-5.5", input="x", text_format=text_format)
