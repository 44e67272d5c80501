"""Test the items of the default reply. Calls and JSON values are validated against their schemas."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import jsonschema
import pytest

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
INTRODUCTION = "This is the simulator, not a model."


def assistant(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def json_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "name": "thing", "strict": False, "schema": schema}}


# Text


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Say hello", "hello"),
        ("say 'yes' two times.", "yes yes"),
        ("Say hi five times.", "hi hi hi hi hi"),
        ("Say two\nlines!", "two\nlines"),
        ("hi", f'{INTRODUCTION} You wrote: "hi"'),
        ("And mergesort.", f'{INTRODUCTION} You wrote: "And mergesort."'),
        ("two\n  lines", f'{INTRODUCTION} You wrote: "two lines"'),
        ("x" * 300, f'{INTRODUCTION} You wrote: "{"x" * 199}…"'),
        ("", f"{INTRODUCTION} You wrote nothing."),
    ],
)
def test_text_quotes_the_prompt(raw_client: Any, prompt: str, text: str) -> None:
    assert raw_client.text(prompt) == text


def test_text_quotes_earlier_messages(raw_client: Any) -> None:
    context = "<environment_context>of the Codex CLI</environment_context>"
    text = raw_client.text(context, "My name is Ada.", assistant("Hello."), "And I am 36.", "What is my name?")
    assert text == (
        f'{INTRODUCTION} You wrote: "What is my name?" Before that, you wrote: "My name is Ada." "And I am 36."'
    )


def test_compaction_contains_earlier_messages(raw_client: Any) -> None:
    first = raw_client.items("My name is Ada.", assistant("ok"), {"type": "compaction_trigger"})
    assert [item["type"] for item in first] == ["compaction"]
    second = raw_client.items(first[0], "My dog is Rex.", {"type": "compaction_trigger"})
    assert raw_client.text(second[0], "And now?").endswith('Before that, you wrote: "My name is Ada." "My dog is Rex."')


# Tools


def test_first_tool_is_called_with_valid_arguments(raw_client: Any) -> None:
    (call,) = raw_client.items("Please help.", tools=[MAIL, WEATHER])
    assert (call["type"], call["name"], call["status"]) == ("function_call", "send_mail", "completed")
    jsonschema.validate(json.loads(call["arguments"]), MAIL["parameters"])


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("none", None),
        ("auto", "get_weather"),
        ("required", "get_weather"),
        ({"type": "function", "name": "send_mail"}, "send_mail"),
        ({"type": "function", "name": "get_weather"}, "get_weather"),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_weather"}]},
            "get_weather",
        ),
    ],
)
def test_tool_choice_is_obeyed(raw_client: Any, choice: Any, name: str | None) -> None:
    (item,) = raw_client.items("What's the weather in Paris?", tools=[MAIL, WEATHER], tool_choice=choice)
    assert item.get("name") == name


TIME = {"type": "function", "name": "currentTime", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("prompt", "members", "names"),
    [
        ("What are the weather and the time in Rome?", {}, ["get_weather", "currentTime"]),
        ("WEATHER? Time?", {}, ["get_weather", "currentTime"]),
        ("What are the weather and the time?", {"parallel_tool_calls": True}, ["get_weather", "currentTime"]),
        ("What are the weather and the time?", {"parallel_tool_calls": False}, ["get_weather"]),
        ("What's the weather?", {}, ["get_weather"]),
        ("Please send a mail, then get the weather.", {}, ["send_mail", "get_weather"]),
        ("Get it.", {}, ["send_mail"]),
        ("the time", {"tool_choice": {"type": "function", "name": "get_weather"}}, ["get_weather"]),
    ],
)
def test_tools_that_the_prompt_names_are_called(
    raw_client: Any, prompt: str, members: dict[str, Any], names: list[str]
) -> None:
    items = raw_client.items(prompt, tools=[MAIL, WEATHER, TIME], **members)
    assert [item["name"] for item in items] == names
    assert len({item["call_id"] for item in items}) == len(names)


def test_search_and_function_call_have_no_message_yet(raw_client: Any) -> None:
    items = raw_client.items("Search for the weather", tools=[{"type": "web_search"}, WEATHER])
    assert [item["type"] for item in items] == ["web_search_call", "function_call"]


def test_coding_agent_gets_no_invented_command(raw_client: Any) -> None:
    shell = {"type": "function", "name": "exec_command", "parameters": {"type": "object", "properties": {}}}
    assert raw_client.items("Run the tests", tools=[shell, WEATHER])[0]["type"] == "message"
    assert raw_client.items("Run", tools=[shell], tool_choice="required")[0]["type"] == "function_call"
    namespace = {"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}
    tools = {"type": "additional_tools", "role": "developer", "tools": [namespace]}
    assert raw_client.items(tools, "Run the tests")[0]["type"] == "message"


def test_namespace_tool_is_called_with_its_namespace(raw_client: Any) -> None:
    tools = [{"type": "namespace", "name": "city", "tools": [WEATHER]}]
    (call,) = raw_client.items("What's the weather in Paris?", tools=tools)
    assert (call["namespace"], call["name"]) == ("city", "get_weather")


def test_custom_tool_is_called_with_the_prompt(raw_client: Any) -> None:
    (call,) = raw_client.items("print hello", tools=[{"type": "custom", "name": "code"}])
    assert (call["type"], call["name"], call["input"]) == ("custom_tool_call", "code", "print hello")


def test_tool_output_is_quoted(raw_client: Any) -> None:
    (call,) = raw_client.items("What's the weather in Paris?", tools=[WEATHER])
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny, 22 degrees"}
    text = raw_client.text("What's the weather in Paris?", call, output, tools=[WEATHER])
    assert text == "get_weather returned: sunny, 22 degrees"


def test_several_tool_outputs_are_quoted_in_order(raw_client: Any) -> None:
    calls = [
        {"type": "function_call", "call_id": "a", "name": "one", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "two", "input": ""},
    ]
    outputs = [
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "1"}]},
        {"type": "custom_tool_call_output", "call_id": "b", "output": ""},
    ]
    assert raw_client.text("go", *calls, *outputs) == "one returned: 1\ntwo returned: (nothing)"


def test_web_search_is_followed_by_a_message(raw_client: Any) -> None:
    tools = [{"type": "web_search"}]
    search, message = raw_client.items("Explain tides", tools=tools)
    assert (search["type"], message["type"]) == ("web_search_call", "message")
    assert search["action"] == {"type": "search", "query": "Explain tides", "queries": ["Explain tides"]}
    chosen = raw_client.items("Explain tides", tools=[WEATHER, *tools], tool_choice={"type": "web_search"})
    assert [item["type"] for item in chosen] == ["web_search_call", "message"]


def test_citations_mark_the_links_in_the_text(raw_client: Any) -> None:
    _, message = raw_client.items("Explain “tides” 🌊", tools=[{"type": "web_search"}])
    (part,) = message["content"]
    assert len(part["annotations"]) == 2
    for annotation in part["annotations"]:
        cited = part["text"][annotation["start_index"] : annotation["end_index"]]
        assert annotation["type"] == "url_citation"
        assert annotation["title"]
        assert cited.startswith("([")
        assert cited.endswith(f"]({annotation['url']}))")


@pytest.mark.parametrize("members", [{"text": json_format(PERSON)}, {"tool_choice": "none"}])
def test_other_texts_have_no_citations(raw_client: Any, members: dict[str, Any]) -> None:
    message = raw_client.items("Explain tides", tools=[{"type": "web_search"}], **members)[-1]
    assert message["content"][0]["annotations"] == []
    assert raw_client.text("Say hello", tools=[{"type": "web_search"}]) == "hello"


def test_sources_of_a_search_are_sent_on_request(raw_client: Any) -> None:
    include = ["web_search_call.action.sources"]
    search, message = raw_client.items("tides", tools=[{"type": "web_search"}], include=include)
    urls = [source["url"] for source in search["action"]["sources"]]
    assert urls == [annotation["url"] for annotation in message["content"][0]["annotations"]]


def test_image_generation_returns_a_png(raw_client: Any) -> None:
    tools = [{"type": "image_generation"}]
    image, message = raw_client.items("Draw a cat", tools=tools)
    assert (image["type"], image["status"], image["output_format"]) == ("image_generation_call", "completed", "png")
    assert message["content"][0]["text"]
    assert decode_png(base64.b64decode(image["result"])) == (64, 64)
    other, _ = raw_client.items("Draw a dog", tools=tools)
    assert other["result"] != image["result"]
    chosen, *_ = raw_client.items("Please paint the weather", tools=[{"type": "web_search"}, *tools])
    assert chosen["type"] == "image_generation_call"


def decode_png(data: bytes) -> tuple[int, int]:
    """Check the chunks of a PNG and return its width and height."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position, chunks = 8, {}
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        name, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        assert struct.unpack(">I", data[position + 8 + length : position + 12 + length]) == (zlib.crc32(name + body),)
        chunks[name] = body
        position += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)
    return width, height


def test_markdown_on_request_has_the_elements_of_a_renderer(raw_client: Any) -> None:
    text = raw_client.text("Explain tides in Markdown.")
    for element in ("# ", "\n- ", "\n1. ", "\n| --- |", "\n```python\n", "**", "](https://", "\n> "):
        assert element in text, element
    assert "Explain tides in Markdown." in text
    assert "\n" not in raw_client.text("Explain markdowns.")


# JSON


def test_json_schema_returns_valid_json(raw_client: Any) -> None:
    jsonschema.validate(json.loads(raw_client.text("Extract: Bob is 42.", text=json_format(PERSON))), PERSON)
    call = {"type": "function_call", "call_id": "a", "name": "look_up", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "a", "output": "Grace, 85"}
    jsonschema.validate(json.loads(raw_client.text("who?", call, output, text=json_format(PERSON))), PERSON)


def test_json_object_contains_the_reply(raw_client: Any) -> None:
    assert json.loads(raw_client.text("Say hello", text={"format": {"type": "json_object"}})) == {"reply": "hello"}


def test_unsatisfiable_schema_is_rejected_with_the_reason(raw_client: Any) -> None:
    response = raw_client.create(
        "hi", text=json_format({"type": "object", "properties": {"a": False}, "required": ["a"]})
    )
    assert response.status_code == 400
    assert "The simulator cannot generate a value" in response.json()["error"]["message"]


# Reasoning


@pytest.mark.parametrize(
    ("members", "has_summary", "is_encrypted"),
    [
        ({"reasoning": {"effort": "low"}}, False, False),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, True, False),
        ({"include": ["reasoning.encrypted_content"]}, False, True),
        ({"reasoning": {"summary": "concise"}, "include": ["reasoning.encrypted_content"]}, True, True),
    ],
)
def test_requested_reasoning_precedes_the_message(
    raw_client: Any, members: dict[str, Any], has_summary: bool, is_encrypted: bool
) -> None:
    reasoning, message = raw_client.items("Explain tides", **members)
    assert (reasoning["type"], message["type"]) == ("reasoning", "message")
    assert bool(reasoning["summary"]) is has_summary
    assert reasoning.get("encrypted_content", "").startswith("gAAAA") is is_encrypted


def test_reasoning_is_absent_by_default(raw_client: Any) -> None:
    assert [item["type"] for item in raw_client.items("Explain tides")] == ["message"]
