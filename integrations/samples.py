"""The prompt, the tool and the type that the tests of all libraries use."""

from __future__ import annotations

from pydantic import BaseModel

__all__ = ["EXTRACT", "MODEL", "QUESTION", "WEATHER", "Person", "get_weather"]

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
