"""What the simulator says without a script; calls and JSON are checked against their schema."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
MAIL = {
    "type": "function",
    "name": "send_mail",
    "description": "Send an e-mail",
    "parameters": {
        "type": "object",
        "properties": {"email": {"type": "string"}, "text": {"type": "string"}},
        "required": ["email", "text"],
    },
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def answered(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content}


def form(schema: dict[str, Any]) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "name": "thing", "strict": False, "schema": schema}}


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("hi", "Hello! I am the Codex backend simulator."),
        ("Say hi five times.", "hi hi hi hi hi"),
        ("Say 'yes' twice", "yes yes"),
        ("Reply with exactly: all good", "all good"),
        ("What is 17 + 25?", "17 + 25 is 42."),
        ("My name is Ada.", "Nice to meet you, Ada."),
        ("What is my name?", "You have not told me what your name is."),
    ],
)
def test_prose(wire: Any, prompt: str, text: str) -> None:
    assert wire.text(prompt) == text


@pytest.mark.parametrize(
    ("prompt", "subject"),
    [
        ("Explain quicksort in one paragraph.", "quicksort"),
        ("Please tell me about the Roman Empire", "the Roman Empire"),
        ("What is a monad?", "a monad"),
        ("", "nothing in particular"),
    ],
)
def test_prose_about_anything_else_names_its_subject_and_says_that_it_is_simulated(
    wire: Any, prompt: str, subject: str
) -> None:
    text = wire.text(prompt)
    assert text.startswith(f"You asked about {subject}. ")
    assert "simulated" in text


def test_what_was_said_earlier_is_remembered(wire: Any) -> None:
    said = ["My name is Ada and my favourite colour is green.", answered("Nice to meet you.")]
    assert wire.text(*said, "What's my name?") == "Your name is Ada."
    assert wire.text(*said, "What is my favourite colour?") == "Your favourite colour is green."


def test_what_was_said_is_remembered_through_a_compaction(wire: Any) -> None:
    items = wire.items("My name is Ada.", answered("ok"), {"type": "compaction_trigger"})
    assert [item["type"] for item in items] == ["compaction"]
    assert wire.text(items[0], "What is my name?") == "Your name is Ada."
    again = wire.items(items[0], "My dog is Rex.", {"type": "compaction_trigger"})
    assert wire.text(again[0], "What is my name?") == "Your name is Ada."


def test_a_function_is_called_with_arguments_that_fit_and_come_from_the_prompt(wire: Any) -> None:
    (call,) = wire.items("What's the weather in Paris?", tools=[MAIL, WEATHER])
    assert (call["type"], call["name"], call["status"]) == ("function_call", "get_weather", "completed")
    assert json.loads(call["arguments"]) == {"city": "Paris"}


def test_the_first_tool_is_called_when_none_fits_better(wire: Any) -> None:
    (call,) = wire.items("Proceed.", tools=[MAIL, WEATHER])
    jsonschema.validate(json.loads(call["arguments"]), MAIL["parameters"])
    assert call["name"] == "send_mail"


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("none", None),
        ("auto", "get_weather"),
        ("required", "get_weather"),
        ({"type": "function", "name": "send_mail"}, "send_mail"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "send_mail"}]}, "send_mail"),
    ],
)
def test_tool_choice_is_obeyed(wire: Any, choice: Any, name: str | None) -> None:
    (item,) = wire.items("What's the weather in Paris?", tools=[MAIL, WEATHER], tool_choice=choice)
    assert item.get("name") == name


def test_a_greeting_calls_nothing_unless_a_call_is_required(wire: Any) -> None:
    assert wire.items("hello", tools=[WEATHER])[0]["type"] == "message"
    assert wire.items("hello", tools=[WEATHER], tool_choice="required")[0]["type"] == "function_call"


def test_a_coding_agent_is_never_given_a_command_that_was_made_up(wire: Any) -> None:
    shell = {"type": "function", "name": "exec_command", "parameters": {"type": "object", "properties": {}}}
    assert wire.items("Run the tests and delete what fails", tools=[shell, WEATHER])[0]["type"] == "message"
    namespace = {"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}
    tools = {"type": "additional_tools", "role": "developer", "tools": [namespace]}
    assert wire.items(tools, "Run the tests")[0]["type"] == "message"


def test_a_tool_of_a_namespace_is_called_with_its_namespace(wire: Any) -> None:
    tools = [{"type": "namespace", "name": "city", "tools": [WEATHER]}]
    (call,) = wire.items("What's the weather in Paris?", tools=tools)
    assert (call["namespace"], call["name"]) == ("city", "get_weather")


def test_a_custom_tool_is_called_with_text(wire: Any) -> None:
    (call,) = wire.items("print hello", tools=[{"type": "custom", "name": "code"}])
    assert (call["type"], call["name"], call["input"]) == ("custom_tool_call", "code", "print hello")


def test_the_output_of_a_tool_is_told(wire: Any) -> None:
    (call,) = wire.items("What's the weather in Paris?", tools=[WEATHER])
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny, 22 degrees"}
    text = wire.text("What's the weather in Paris?", call, output, tools=[WEATHER])
    assert text == "get_weather answered: sunny, 22 degrees"


def test_the_outputs_of_several_tools_are_told_in_their_order(wire: Any) -> None:
    calls = [
        {"type": "function_call", "call_id": "a", "name": "one", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "two", "input": ""},
    ]
    outputs = [
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "1"}]},
        {"type": "custom_tool_call_output", "call_id": "b", "output": ""},
    ]
    assert wire.text("go", *calls, *outputs) == "one answered: 1\ntwo answered: (nothing)"


def test_json_fits_the_schema_and_says_what_the_prompt_says(wire: Any) -> None:
    assert json.loads(wire.text("Extract: Bob is 42 years old.", text=form(PERSON))) == {"name": "Bob", "age": 42}


def test_json_after_a_tool_uses_the_output(wire: Any) -> None:
    call = {"type": "function_call", "call_id": "a", "name": "look_up", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "a", "output": "Grace, 85"}
    assert json.loads(wire.text("who?", call, output, text=form(PERSON))) == {"name": "Grace", "age": 85}


def test_a_json_object_is_one(wire: Any) -> None:
    assert json.loads(wire.text("hi", text={"format": {"type": "json_object"}}))["answer"].startswith("Hello!")


def test_a_schema_that_no_value_can_be_made_for_is_refused_with_the_reason(wire: Any) -> None:
    answer = wire.ask("hi", text=form({"type": "object", "properties": {"a": False}, "required": ["a"]}))
    assert answer.status_code == 400
    assert "The simulator cannot make a value" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("members", "summary", "sealed"),
    [
        ({"reasoning": {"effort": "low"}}, False, False),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, True, False),
        ({"include": ["reasoning.encrypted_content"]}, False, True),
        ({"reasoning": {"summary": "concise"}, "include": ["reasoning.encrypted_content"]}, True, True),
    ],
)
def test_reasoning_comes_first_when_it_was_asked_for(
    wire: Any, members: dict[str, Any], summary: bool, sealed: bool
) -> None:
    reasoning, message = wire.items("Explain tides", **members)
    assert (reasoning["type"], message["type"]) == ("reasoning", "message")
    assert bool(reasoning["summary"]) is summary
    assert reasoning.get("encrypted_content", "").startswith("gAAAA") is sealed


def test_no_reasoning_when_none_was_asked_for(wire: Any) -> None:
    assert [item["type"] for item in wire.items("Explain tides")] == ["message"]


def test_a_web_search_is_shown_when_the_prompt_or_the_choice_asks_for_one(wire: Any) -> None:
    tools = [{"type": "web_search"}]
    assert [i["type"] for i in wire.items("hi", tools=tools)] == ["message"]
    found = wire.items("Search the web for tides", tools=tools)
    assert [i["type"] for i in found] == ["web_search_call", "message"]
    forced = wire.items("Explain tides", tools=tools, tool_choice={"type": "web_search"})
    assert forced[0]["action"] == {"type": "search", "query": "Explain tides"}


def test_an_image_is_noticed(wire: Any) -> None:
    content = [
        {"type": "input_text", "text": "Describe this"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
    ]
    assert "1 image," in wire.text({"role": "user", "content": content})


def test_usage_grows_with_what_was_said(wire: Any) -> None:
    short = wire.events("hi")[-1]["response"]["usage"]
    long = wire.events("hi " * 400, reasoning={"summary": "auto"})[-1]["response"]["usage"]
    assert long["input_tokens"] > short["input_tokens"] + 200
    assert long["output_tokens_details"]["reasoning_tokens"] > short["output_tokens_details"]["reasoning_tokens"] == 0
    assert long["total_tokens"] == long["input_tokens"] + long["output_tokens"]


KINDS: list[dict[str, Any]] = [
    {"prompt": "Explain tides", "reasoning": {"effort": "low", "summary": "auto"}},
    {"prompt": "Explain tides", "include": ["reasoning.encrypted_content"], "instructions": "Be brief."},
    {"prompt": "What's the weather in Paris?", "tools": [WEATHER], "tool_choice": "required"},
    {"prompt": "print", "tools": [{"type": "custom", "name": "code"}]},
    {"prompt": "Search for tides", "tools": [{"type": "web_search"}]},
    {"prompt": "Bob is 42", "text": form(PERSON)},
]


@pytest.mark.parametrize("members", KINDS)
def test_every_event_is_one_of_the_official_types(wire: Any, members: dict[str, Any]) -> None:
    official: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    prompt = members["prompt"]
    events = wire.events(prompt, **{name: value for name, value in members.items() if name != "prompt"})
    for event in events[2:]:
        assert official.validate_python(event).type == event["type"]


def test_the_events_of_a_message_come_in_the_backends_order(wire: Any) -> None:
    events = wire.events("Say hi twice")
    assert [event["type"] for event in events] == [
        "codex.rate_limits",
        "codex.response.metadata",
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in events[2:]] == list(range(10))
    assert "".join(e["delta"] for e in events if e["type"].endswith(".delta")) == "hi hi"
    assert events[-1]["response"]["output"] == []


def test_the_events_of_a_call_spell_its_arguments(wire: Any) -> None:
    events = wire.events("What's the weather in New York?", tools=[WEATHER])
    deltas = [e["delta"] for e in events if e["type"] == "response.function_call_arguments.delta"]
    done = next(e for e in events if e["type"] == "response.function_call_arguments.done")
    assert len(deltas) > 1
    assert "".join(deltas) == done["arguments"] == '{"city": "New York"}'


def test_whitespace_survives_being_split_into_deltas(wire: Any) -> None:
    wire.sim.script("  two  spaces\n\nand a line ")
    events = wire.events("x")
    assert "".join(e["delta"] for e in events if e["type"].endswith("text.delta")) == "  two  spaces\n\nand a line "
