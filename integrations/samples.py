"""The prompt, the tool and the type that the tests of all libraries use."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

__all__ = [
    "EXTRACT",
    "MODEL",
    "QUESTION",
    "WEATHER",
    "Person",
    "assert_poem_was_read",
    "assert_tool_call_with_effort",
    "get_weather",
]

MODEL = "gpt-6.1-terra"
QUESTION = "What's the weather in Paris?"
EXTRACT = "Extract: Bob is 42 years old."
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Return the weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


def assert_tool_call_with_effort(bodies: list[dict[str, Any]], effort: str = "low") -> None:
    """Assert that each request had the effort and the tool, and that the last one sent the output of the call."""
    assert {body["reasoning"]["effort"] for body in bodies} == {effort}
    assert all("get_weather" in str(body["tools"]) for body in bodies)
    types = [item.get("type") for item in bodies[-1]["input"]]
    assert types.count("function_call") == types.count("function_call_output") == 1


def assert_poem_was_read(body: dict[str, Any]) -> None:
    """Assert that a request has the output of one call: the file `poem.txt` of the local server's programs."""
    (item,) = (item for item in body["input"] if item.get("type") == "function_call_output")
    assert "roses are red" in str(item["output"])
