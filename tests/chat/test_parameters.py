"""Test the table of parameters, and the translation of each."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from openai.types.chat import completion_create_params as official

from codex_backend_sdk import InvalidChatRequestError
from codex_backend_sdk._chat.parameters import PARAMETERS, TranslatedRequest, Treatment, translate_request

HI = {"role": "user", "content": "hi"}
ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
F = {"name": "f", "parameters": {"type": "object", "properties": {}}}
TOOL = {"type": "function", "function": F}
CUSTOM = {"type": "custom", "custom": {"name": "c", "description": "d"}}


def translate(is_lenient: bool = False, efforts: tuple[str, ...] = (), **parameters: Any) -> TranslatedRequest:
    given = {"model": "m", "messages": [HI], **parameters}
    return translate_request(given, model="default", is_lenient=is_lenient, efforts=efforts)


def body(**parameters: Any) -> dict[str, Any]:
    """Return the parameters of Responses, without the model and the input."""
    translated = translate(**parameters)
    assert (translated.droppable, translated.refused) == ((), ())
    return {name: value for name, value in translated.parameters.items() if name not in ("model", "input")}


def test_every_official_parameter_has_a_row() -> None:
    streaming, other = official.CompletionCreateParamsStreaming, official.CompletionCreateParamsNonStreaming
    names = {*get_type_hints(streaming), *get_type_hints(other)}
    assert names <= PARAMETERS.keys()
    assert list(PARAMETERS) == sorted(PARAMETERS)


def test_default_model_and_input() -> None:
    translated = translate_request({"messages": [HI]}, model="default")
    assert translated.parameters == {"model": "default", "input": [ITEM]}
    assert translated.settings.model == "default"


SCHEMA = {"type": "object", "properties": {}}
# Parameters of Chat Completions → those of Responses
TRANSLATIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"stream": True, "n": 1, "logprobs": False, "top_logprobs": 0, "store": True, "prediction": {}}, {}),
    ({"logit_bias": {}, "modalities": ["text"], "stream_options": {"include_obfuscation": False}}, {}),
    ({"temperature": 0.5, "max_tokens": 9, "seed": 1}, {"temperature": 0.5, "max_tokens": 9, "seed": 1}),
    ({"prompt_cache_key": "k", "service_tier": "auto"}, {"prompt_cache_key": "k", "service_tier": "auto"}),
    # reasoning and text
    ({"reasoning_effort": "low", "verbosity": "low"}, {"reasoning": {"effort": "low"}, "text": {"verbosity": "low"}}),
    ({"reasoning": {"summary": "auto"}}, {"reasoning": {"summary": "auto"}}),
    (
        {"reasoning": {"effort": "high", "exclude": True}, "reasoning_effort": "low"},
        {"reasoning": {"effort": "low"}},
    ),
    (
        {"reasoningEffort": "low", "reasoningSummary": "auto", "textVerbosity": "high", "promptCacheKey": "k"},
        {
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"verbosity": "high"},
            "prompt_cache_key": "k",
        },
    ),
    ({"reasoning_effort": "low", "reasoningEffort": "high"}, {"reasoning": {"effort": "low"}}),
    ({"instructions": "x", "include": ["a"]}, {"instructions": "x", "include": ["a"]}),
    ({"response_format": {"type": "text"}}, {}),
    (
        {
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}},
            "verbosity": "low",
        },
        {
            "text": {
                "verbosity": "low",
                "format": {"type": "json_schema", "name": "s", "schema": SCHEMA, "strict": False},
            }
        },
    ),
    (
        {"response_format": {"type": "json_schema", "name": "s", "schema": SCHEMA, "strict": True}},
        {"text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA, "strict": True}}},
    ),
    # tools
    ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
    ({"tool_choice": TOOL}, {}),
    ({"tools": [TOOL]}, {"tools": [{"type": "function", **F, "strict": False}]}),
    (
        {"tools": [{"type": "function", "function": {**F, "strict": True}}], "parallel_tool_calls": False},
        {"tools": [{"type": "function", **F, "strict": True}], "parallel_tool_calls": False},
    ),
    ({"tools": [{"type": "function", **F}]}, {"tools": [{"type": "function", **F, "strict": False}]}),
    ({"tools": [{"type": "web_search"}]}, {"tools": [{"type": "web_search"}]}),
    ({"tools": [CUSTOM]}, {"tools": [{"type": "custom", "name": "c", "description": "d"}]}),
    (
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "c",
                        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
                    },
                }
            ]
        },
        {
            "tools": [
                {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}
            ]
        },
    ),
    (
        {"functions": [F], "function_call": "auto"},
        {
            "tools": [{"type": "function", **F, "strict": False}],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
        },
    ),
    (
        {"functions": [F], "function_call": {"name": "f"}},
        {
            "tools": [{"type": "function", **F, "strict": False}],
            "tool_choice": {"type": "function", "name": "f"},
            "parallel_tool_calls": False,
        },
    ),
    # web search
    ({"web_search_options": {}}, {"tools": [{"type": "web_search"}]}),
    (
        {
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Paris"}},
            }
        },
        {
            "tools": [
                {
                    "type": "web_search",
                    "search_context_size": "low",
                    "user_location": {"type": "approximate", "city": "Paris"},
                }
            ]
        },
    ),
    ({"web_search_options": {}, "tools": [{"type": "web_search"}]}, {"tools": [{"type": "web_search"}]}),
]


@pytest.mark.parametrize(("given", "sent"), TRANSLATIONS)
def test_parameters_are_translated(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert body(**given) == sent


CHOICES: list[tuple[Any, Any]] = [
    (None, None),
    ("none", "none"),
    ("required", "required"),
    ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
    ({"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
    ({"type": "custom", "custom": {"name": "c"}}, {"type": "custom", "name": "c"}),
    ({"type": "web_search"}, {"type": "web_search"}),
    (
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
    ),
    (
        {"type": "allowed_tools", "tools": [{"type": "custom", "name": "c"}]},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "c"}]},
    ),
]


@pytest.mark.parametrize(("choice", "sent"), CHOICES)
def test_every_form_of_tool_choice_is_translated(choice: Any, sent: Any) -> None:
    given = {} if choice is None else {"tool_choice": choice}
    assert body(tools=[TOOL, CUSTOM], **given).get("tool_choice") == sent


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "f"}}}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [{"type": "function", "name": "g"}]}}},
            "tool_choice",
        ),
        ({"function_call": {"name": "g"}}, "function_call"),
    ],
)
def test_choice_of_an_unknown_tool_is_refused(given: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidChatRequestError, match=r"which is not in `tools`\. Use one of") as caught:
        translate(tools=[TOOL], **given)
    assert caught.value.param == param


SETTINGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"stop": (), "includes_usage": False, "shows_reasoning": False, "returns_details": True}),
    ({"stop": "a"}, {"stop": ("a",)}),
    ({"stop": ["a", "", 5, "b", "c", "d", "e"]}, {"stop": ("a", "b", "c", "d", "e")}),
    ({"stream_options": {"include_usage": True}}, {"includes_usage": True}),
    ({"reasoning": {"summary": "auto"}}, {"shows_reasoning": True, "returns_details": True}),
    ({"reasoning": {"summary": "auto", "exclude": True}}, {"shows_reasoning": False, "returns_details": False}),
    ({"functions": [F]}, {"uses_functions": True}),
    ({"functions": [F], "tools": [TOOL]}, {"uses_functions": False}),
]


@pytest.mark.parametrize(("given", "expected"), SETTINGS)
def test_settings_of_the_reader(given: dict[str, Any], expected: dict[str, Any]) -> None:
    settings = translate(**given).settings
    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize(
    "given",
    [
        {"n": 2},
        {"logprobs": True},
        {"top_logprobs": 3},
        {"modalities": ["text", "audio"]},
        {"audio": {"voice": "alloy", "format": "wav"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("is_lenient", [False, True])
def test_parameter_with_another_meaning_is_refused(given: dict[str, Any], is_lenient: bool) -> None:
    translated = translate(is_lenient=is_lenient, **given)
    assert [name for name, _ in translated.refused] == list(given)
    assert all(remedy for _, remedy in translated.refused)
    refused = {name for name, row in PARAMETERS.items() if row.treatment is Treatment.REFUSED}
    assert {name for name, _ in translated.refused} <= refused


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"logit_bias": {"1": 5}}, ["logit_bias"]),
        ({"stream_options": {"include_usage": True, "other": 1}}, ["stream_options"]),
        ({"enable_thinking": True, "top_k": 5}, ["enable_thinking", "top_k"]),
    ],
)
def test_unknown_parameter_is_droppable(given: dict[str, Any], names: list[str]) -> None:
    translated = translate(**given)
    assert [name for name, _ in translated.droppable] == names
    assert translated.parameters.keys() == {"model", "input"}


# Response formats

JSON_OBJECT = {"type": "json_object"}


@pytest.mark.parametrize("role", ["user", "system", "assistant"])
def test_json_object_needs_the_word_in_a_message(role: str) -> None:
    messages = [HI, {"role": role, "content": "As JSON, please."}]
    assert body(messages=messages, response_format=JSON_OBJECT) == {"text": {"format": JSON_OBJECT}}
    with pytest.raises(InvalidChatRequestError, match="the word 'json'") as caught:
        translate(response_format=JSON_OBJECT, instructions="json")
    assert caught.value.param == "messages"


def test_lenient_json_object_adds_the_word() -> None:
    translated = translate(is_lenient=True, response_format=JSON_OBJECT)
    assert translated.parameters["input"][-1]["role"] == "developer"
    assert "JSON" in translated.parameters["input"][-1]["content"][0]["text"]
    assert [name for name, _ in translated.repairs] == ["response_format"]


@pytest.mark.parametrize(
    ("json_schema", "param"),
    [
        ({"schema": SCHEMA}, "response_format.json_schema.name"),
        ({"name": "a b", "schema": SCHEMA}, "response_format.json_schema.name"),
        ({"name": "x" * 65, "schema": SCHEMA}, "response_format.json_schema.name"),
        ({"name": "s"}, "response_format.json_schema.schema"),
    ],
)
def test_invalid_schema_is_refused(json_schema: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidChatRequestError) as caught:
        translate(response_format={"type": "json_schema", "json_schema": json_schema})
    assert caught.value.param == param


# Efforts


def test_effort_that_the_model_does_not_accept_is_refused() -> None:
    with pytest.raises(InvalidChatRequestError, match=r"'minimal'.*low, high") as caught:
        translate(efforts=("low", "high"), reasoning_effort="minimal")
    assert caught.value.param == "reasoning_effort"
    assert translate(reasoning_effort="minimal").parameters["reasoning"] == {"effort": "minimal"}  # nothing is known


EFFORTS = ("none", "low", "medium", "high", "max")


@pytest.mark.parametrize(
    ("effort", "sent"),
    [("minimal", "low"), ("ultra", "max"), ("xhigh", "max"), ("low", "low"), ("none", "none"), ("silly", "medium")],
)
def test_lenient_effort_is_the_nearest(effort: str, sent: str) -> None:
    translated = translate(is_lenient=True, efforts=EFFORTS, reasoning_effort=effort)
    assert translated.parameters["reasoning"] == {"effort": sent}
    assert [name for name, _ in translated.repairs] == ([] if effort in EFFORTS else ["reasoning_effort"])


def test_lenient_request_names_its_repairs() -> None:
    translated = translate(is_lenient=True, messages=[HI, {"role": "tool", "tool_call_id": "a", "content": "x"}])
    assert translated.repairs == (("messages[1]", "messages[1] (tool_call_id 'a') has no call before it"),)


@pytest.mark.parametrize(
    ("value", "items"),
    [("hi", [{"role": "user", "content": "hi"}]), ([ITEM], [ITEM]), ([ITEM, "more"], [ITEM, "more"])],
)
def test_input_replaces_the_messages(value: Any, items: list[Any]) -> None:
    translated = translate_request({"model": "m", "input": value, "instructions": "i"}, model="default")
    assert translated.parameters == {"model": "m", "input": items, "instructions": "i"}
    assert translated.droppable == ()


def test_input_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidChatRequestError) as caught:
        translate_request({"input": 1}, model="default")
    assert caught.value.param == "input"


@pytest.mark.parametrize("content", ["as JSON", [{"type": "input_text", "text": "as JSON"}]])
def test_json_word_in_the_input_counts(content: Any) -> None:
    given = {"input": [{"role": "user", "content": content}], "response_format": {"type": "json_object"}}
    assert translate_request(given, model="m").repairs == ()


@pytest.mark.parametrize("name", ["background", "conversation", "previous_response_id", "prompt"])
def test_stored_state_is_passed_on_to_be_refused(name: str) -> None:
    translated = translate_request({"messages": [HI], name: "x"}, model="m", is_lenient=True)
    assert translated.parameters[name] == "x"
    assert translated.droppable == ()
