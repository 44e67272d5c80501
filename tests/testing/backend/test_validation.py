"""Test one row for each validation rule of the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.testing.backend.validation import RULES, UNSUPPORTED_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HI = {"type": "message", "role": "user", "content": "hi"}
VALID: dict[str, Any] = {"model": "gpt-6.1-sol", "store": False, "stream": True, "input": [HI]}

OPEN_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
OPTIONAL_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
NO_ITEMS = {"type": "object", "properties": {"a": {"type": "array"}}}


def closed(node: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with one property."""
    return {"type": "object", "properties": {"a": node}, "required": ["a"], "additionalProperties": False}


def function(name: str = "f", **members: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}, **members}


def output_format(schema: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "name": "s", "schema": schema, **members}}


def call(call_id: str = "call_1") -> dict[str, Any]:
    return {"type": "function_call", "name": "f", "arguments": "{}", "call_id": call_id}


def output(call_id: str = "call_1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "ok"}


def answer(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(parts)}


def reasoning(length: int) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}] * length}


def image_message(url: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": url}]}


IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
OUTPUT = {**answer({"type": "output_text", "text": "a", "annotations": []}), "id": "msg_1"}
UPDATE = {"type": "configuration_update", "reasoning": {"effort": "low"}}
ASSISTANT_VALUES = "Invalid value: '{}'. Supported values are: 'output_text' and 'refusal'."


# (rule, changes to a valid request, part of the error text). None removes a member.
INVALID: list[tuple[str, dict[str, Any], str]] = [
    ("model_required", {"model": None}, "Missing required parameter: 'model'."),
    ("store_false", {"store": True}, "Store must be set to false"),
    ("store_false", {"store": None}, "Store must be set to false"),
    ("stream_true", {"stream": False}, "Stream must be set to true"),
    ("stream_true", {"stream": None}, "Stream must be set to true"),
    *[
        ("unsupported_parameter", {name: 1}, f"Unsupported parameter: {name}")
        for name in UNSUPPORTED_PARAMETERS
        if name != "stream_options"
    ],
    ("unsupported_parameter", {"stream_options": {"include_usage": True}}, "Unsupported parameter: stream_options"),
    ("input_list", {"input": "hi"}, "Input must be a list"),
    ("input_list", {"input": None}, "Input must be a list"),
    ("wrong_type", {"instructions": ["x"]}, "Invalid type for 'instructions': expected a string, but got an array"),
    ("no_system_message", {"input": [{"role": "system", "content": "x"}]}, "System messages are not allowed"),
    ("service_tier", {"service_tier": "auto"}, "Unsupported service_tier: auto"),
    (
        "model_available",
        {"model": "gpt-5.4"},
        "The 'gpt-5.4' model is not supported when using Codex with a ChatGPT account.",
    ),
    (
        "reasoning_effort",
        {"reasoning": {"effort": "minimal"}},
        "Unsupported value: 'minimal' is not supported with the 'gpt-6.1-sol' model. Supported values are: 'low', ",
    ),
    ("tool_type", {"tools": [{"type": "code_interpreter"}]}, "Unsupported tool type: code_interpreter"),
    ("tool_type", {"tools": [{"type": "apply_patch"}]}, "Unsupported tool type: apply_patch"),
    ("prompt_cache_key", {"prompt_cache_key": "k" * 65}, "string with length 65 instead."),
    ("tool_name", {"tools": [function(), function("a b")]}, "Invalid 'tools[1].name'"),
    ("array_items", {"tools": [function(parameters=NO_ITEMS)]}, "array schema missing items."),
    ("array_items", {"text": output_format(NO_ITEMS)}, "Invalid schema for response_format 's'"),
    ("strict_schema", {"tools": [function(strict=True, parameters=OPEN_SCHEMA)]}, "'additionalProperties' is required"),
    ("strict_schema", {"text": output_format(OPTIONAL_SCHEMA, strict=True)}, "Missing 'a'."),
    ("strict_schema", {"tools": [function(strict=True, parameters=closed({}))]}, "schema must have a 'type' key."),
    ("strict_schema", {"text": output_format(closed({"enum": [1]}), strict=True)}, "In context=('properties', 'a')"),
    (
        "strict_schema",
        {"tools": [function(strict=True, parameters=closed({"type": "string", "format": "uri"}))]},
        "'uri' is not a valid format.",
    ),
    ("item_type", {"input": [HI, {"content": "hi"}]}, "Invalid value: ''. Supported values are: 'additional_tools', '"),
    ("item_type", {"input": [{"type": "", "role": "user", "content": "hi"}]}, "'tool_search_output', and 'web_search_"),
    ("item_value", {"input": [HI, answer({"type": "input_text", "text": "a"})]}, ASSISTANT_VALUES.format("input_text")),
    ("item_value", {"input": [answer(IMAGE)]}, ASSISTANT_VALUES.format("input_image")),
    ("item_value", {"input": [{**HI, "content": [{"type": "text", "text": "a"}]}]}, "Invalid value: 'text'. Supported"),
    ("item_value", {"input": [{**HI, "content": [IMAGE, {"type": "image_url"}]}]}, "'summary_text', and 'encrypted_co"),
    ("item_value", {"input": [HI, {"type": "web_search_call", "action": {"type": "other"}}]}, "Invalid value: 'other'"),
    (
        "image_url",
        {"input": [HI, image_message("../photo.png")]},
        "'input[1].content[0].image_url'. Expected a valid URL",
    ),
    ("image_url", {"input": [image_message("file:///photo.png")]}, "Expected a valid URL, but got a value with an in"),
    ("image_url", {"input": [image_message("iVBORw0KGgo=")]}, "Expected a valid URL"),
    (
        "reasoning_content",
        {"input": [HI, reasoning(1)]},
        "array with maximum length 0, but got an array with length 1 ",
    ),
    ("reasoning_content", {"input": [HI, reasoning(3)]}, "Invalid 'input[1].content': array too long."),
    ("item_id", {"input": [HI, {**call(), "id": "msg_1"}, output()]}, "'msg_1'. Expected an ID that begins with 'fc'."),
    (
        "item_id",
        {"input": [{**HI, "id": "msg_" + "x" * 61}]},
        "Expected a string with maximum length 64, but got a str",
    ),
    ("duplicate_item", {"input": [OUTPUT, HI, OUTPUT]}, "Duplicate item found with id msg_1. Remove duplicate items"),
    (
        "duplicate_item",
        {"input": [{**call(), "id": "fc_1"}, {**output(), "id": "fc_1"}]},
        "Duplicate item found with id fc_1.",
    ),
    (
        "configuration_updates",
        {"input": [HI, UPDATE, UPDATE]},
        "Consecutive configuration_update items are not allowed",
    ),
    (
        "unknown_member",
        {"input": [{**HI, "reasoning_content": "x"}]},
        "Unknown parameter: 'input[0].reasoning_content'.",
    ),
    (
        "unknown_member",
        {"input": [HI, {"type": "reasoning", "summary": [], "status": "completed"}]},
        "Unknown parameter: 'input[1].status'.",
    ),
    ("call_id", {"input": [HI, call("c" * 65), output("c" * 65)]}, "string with length 65 instead."),
    ("call_id", {"input": [HI, call("c|1"), output("c|1")]}, "Invalid 'input[1].call_id': 'c|1'."),
    ("item_reference", {"input": [{"type": "item_reference", "id": "msg_1"}]}, "Item with id 'msg_1' not found."),
    ("item_reference", {"input": [HI, {"type": "reasoning", "id": "rs_1", "summary": []}]}, "Item with id 'rs_1' not"),
    (
        "encrypted_content",
        {"input": [HI, {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABforeign"}]},
        "could not be verified.",
    ),
    ("orphaned_output", {"input": [HI, output()]}, "No tool call found for function call output with call_id call_1."),
    ("missing_output", {"input": [HI, call()]}, "No tool output found for function call call_1."),
]


def request_with(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**VALID, **changes}.items() if value is not None}


@pytest.mark.parametrize(("rule", "change", "text"), INVALID)
def test_invalid_request_returns_the_text_of_the_backend(
    raw_client: Any, rule: str, change: dict[str, Any], text: str
) -> None:
    assert raw_client.post(VALID).status_code == 200
    response = raw_client.post(request_with(change))
    assert response.status_code == (404 if rule == "item_reference" else 400)
    body = response.json()
    assert text in (body.get("detail") or body["error"]["message"])


# Without `input_list`, the rule `wrong_type` or the default response rejects the request.
@pytest.mark.parametrize(("rule", "change"), [(rule, change) for rule, change, _ in INVALID if rule != "input_list"])
def test_rule_can_be_turned_off(start_raw_client: Callable[..., Any], rule: str, change: dict[str, Any]) -> None:
    # An absent model violates two rules.
    rules = {rule: False, **({"model_available": False} if rule == "model_required" else {})}
    raw_client = start_raw_client(validation_rules=rules)
    assert raw_client.post(request_with(change)).status_code == 200


def test_instructions_are_required_if_the_rule_is_on(start_raw_client: Callable[..., Any]) -> None:
    raw_client = start_raw_client(validation_rules={"instructions_required": True})
    assert raw_client.post(VALID).json() == {"detail": "Instructions are required"}
    assert raw_client.post({**VALID, "instructions": "Be brief."}).status_code == 200


def test_lite_header_forbids_parallel_tool_calls(raw_client: Any) -> None:
    lite = {"x-openai-internal-codex-responses-lite": "true"}
    assert "requires parallel_tool_calls to be false" in raw_client.post(VALID, **lite).json()["detail"]
    assert raw_client.post({**VALID, "parallel_tool_calls": False}, **lite).status_code == 200


NAMES = "'low', 'medium', 'high', 'xhigh', and 'max'."
# The map of the clients that send `none`, and the sentence of the backend.
EFFORTS = [
    ("gpt-6.1-terra", "none", None),
    ("gpt-6-sol", "none", None),
    ("gpt-6-luna", "none", None),
    ("gpt-5.6-sol", "none", None),
    ("gpt-5.6-terra", "none", None),
    ("gpt-5.6-luna", "none", None),
    ("gpt-6.1-sol", "none", NAMES),
    ("gpt-6.2-sol", "none", NAMES),
    ("gpt-6-astra", "none", NAMES),
    ("gpt-5.6-luna", "minimal", f"'none', {NAMES}"),
    ("gpt-6.2-sol", "ultra", NAMES),
    ("gpt-6.2-sol", "max", None),
    ("gpt-5.5", "max", "'low', 'medium', 'high', and 'xhigh'."),
]


@pytest.mark.parametrize("is_update", [False, True])
@pytest.mark.parametrize(("model", "effort", "names"), EFFORTS)
def test_effort_is_accepted_by_model(
    raw_client: Any, model: str, effort: str, names: str | None, is_update: bool
) -> None:
    reasoning = {"effort": effort}
    parameters = {"input": [UPDATE | {"reasoning": reasoning}, HI]} if is_update else {"reasoning": reasoning}
    response = raw_client.create("hi", model=model, **parameters)
    if names is None:
        assert response.status_code == 200
        return
    error = response.json()["error"]
    assert (error["param"], error["code"]) == ("reasoning.effort", "unsupported_value")
    text = f"Unsupported value: '{effort}' is not supported with the '{model}' model. Supported values are: {names}"
    assert error["message"] == text


def test_every_rule_is_tested() -> None:
    rules_with_their_own_test = {"instructions_required", "lite_parallel_tool_calls"}
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in INVALID} | rules_with_their_own_test


@pytest.mark.parametrize(
    "members",
    [
        {"stream_options": {"reasoning_summary_delivery": "sequential_cutoff"}},
        {"service_tier": "priority"},
        {"reasoning": {"effort": "max", "summary": "auto"}, "include": ["reasoning.encrypted_content"]},
        {"reasoning": {"effort": 80}},
        {"tools": [{"type": "web_search"}, function(strict=False, parameters=OPEN_SCHEMA)], "tool_choice": "none"},
        {"tools": [function(strict=True, parameters=closed({"anyOf": [{"type": "string", "format": "date"}]}))]},
        {"tools": [function(strict=False, parameters=closed({"format": "uri"}))]},
        {"prompt_cache_key": "k" * 64, "parallel_tool_calls": True, "text": {"verbosity": "low"}},
        {"client_metadata": {"session_id": "x"}, "instructions": ""},
        {"input": [HI, call(), output()]},
        {"input": [image_message("https://example.com/a.png"), image_message("DATA:image/png;base64,AA==")]},
        {"input": [call(), {**output(), "output": [IMAGE]}]},
        {"input": [HI, OUTPUT, {**OUTPUT, "id": "msg_2"}, HI]},
        {"input": [{**OUTPUT, "content": "a string"}, answer({"type": "refusal", "refusal": "no"}), answer()]},
        {"input": [{**HI, "content": [IMAGE, {"type": "input_text", "text": "a"}, {"type": "input_file"}]}]},
        {"input": [{"role": "developer", "content": "x"}, HI, UPDATE, HI, UPDATE]},
        {"input": [HI, {**reasoning(0), "content": None}, reasoning(0)]},
        {"input": [HI, {"type": "web_search_call", "action": {"type": "open_page", "url": "x"}}]},
    ],
)
def test_valid_request_is_accepted(raw_client: Any, members: dict[str, Any]) -> None:
    assert raw_client.post({**VALID, **members}).status_code == 200


def test_reasoning_is_bound_to_its_model_and_compaction_is_not(raw_client: Any) -> None:
    reasoning = raw_client.items("Explain tides", include=["reasoning.encrypted_content"])[0]
    compaction = raw_client.items("Explain tides", {"type": "compaction_trigger"})[0]
    assert raw_client.create(reasoning, compaction, "go on").status_code == 200
    other_model = raw_client.create(reasoning, "go on", model="gpt-5.5")
    assert other_model.json()["error"]["code"] == "invalid_encrypted_content"
    assert raw_client.create(compaction, "go on", model="gpt-5.5").status_code == 200


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", rb'{"model": "\ud800"}', b"[" * 100_000])
def test_body_that_is_not_a_json_object_is_rejected(raw_client: Any, content: bytes) -> None:
    response = raw_client.http.post(f"{raw_client.sim.base_url}/responses", content=content, headers=raw_client.headers)
    assert response.status_code == 400
    assert "detail" in response.json()


ITEM_ERRORS = [
    ([HI, {"content": "hi"}], "input[1]", "invalid_value"),
    ([HI, answer({"type": "output_text", "text": "a"}, IMAGE)], "input[1].content[1]", "invalid_value"),
    ([{**HI, "content": [IMAGE, {"type": "text"}]}], "input[0].content[1].type", "invalid_value"),
    ([HI, {"type": "web_search_call", "action": {"type": "x"}}], "input[1].action.type", "invalid_value"),
    ([reasoning(2)], "input[0].content", "array_above_max_length"),
    ([OUTPUT, OUTPUT], "input", None),
]


@pytest.mark.parametrize(("items", "param", "code"), ITEM_ERRORS)
def test_item_error_names_the_path_and_the_code(raw_client: Any, items: list[Any], param: str, code: str) -> None:
    error = raw_client.post({**VALID, "input": items}).json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


@pytest.mark.parametrize(
    ("change", "param", "expected"),
    [
        ({"reasoning": "low"}, "reasoning", "expected an object, but got a string"),
        ({"reasoning": {"effort": True}}, "reasoning.effort", "expected a string or an integer or a number, but got"),
        ({"input": [HI, "hi"]}, "input[1]", "expected an object, but got a string"),
        ({"input": [HI, {"role": ["user"]}]}, "input[1].role", "expected a string, but got an array"),
        ({"input": [{**HI, "content": [None]}]}, "input[0].content[0]", "expected an object, but got null"),
        ({"tools": [function(parameters="{}")]}, "tools[0].parameters", "expected an object, but got a string"),
        ({"parallel_tool_calls": "yes"}, "parallel_tool_calls", "expected a boolean, but got a string"),
    ],
)
def test_wrong_type_error_names_the_path(raw_client: Any, change: dict[str, Any], param: str, expected: str) -> None:
    error = raw_client.post(request_with(change)).json()["error"]
    assert (error["param"], error["code"]) == (param, "invalid_type")
    assert error["message"].startswith(f"Invalid type for '{param}': {expected}")


# A tool call and structured output, so that the simulator reads every member of the request.
REQUEST_WITH_ALL_MEMBERS: dict[str, Any] = {
    **VALID,
    "instructions": "x",
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "call f"}]}, call(), output()],
    "tools": [{**function(), "description": "d"}, {"type": "namespace", "name": "n", "tools": [function("g")]}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "parallel_tool_calls": True,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {
        "format": {
            "type": "json_schema",
            "name": "s",
            "schema": {"type": "object", "properties": {"a": {"type": "string"}}},
        },
        "verbosity": "low",
    },
    "include": ["reasoning.encrypted_content"],
    "service_tier": "priority",
    "prompt_cache_key": "k",
    "client_metadata": {},
    "stream_options": {"reasoning_summary_delivery": "sequential_cutoff"},
}
INVALID_TYPES: list[Any] = [
    None, True, 5, 1.5, "", "x", [], [5], [None], [[]], {}, {"x": 1}, {"type": []}, {"$ref": "#/x"}
]  # fmt: skip


def with_invalid_types(value: Any) -> Iterator[Any]:
    """Yield copies of the value in which one entry, at any depth, has another type."""
    entries: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(entries):
        for invalid_value in [*INVALID_TYPES, *with_invalid_types(child)]:
            copied = value.copy()
            copied[key] = invalid_value
            yield copied


@pytest.mark.parametrize("name", [name for name in REQUEST_WITH_ALL_MEMBERS if name not in ("store", "stream")])
def test_invalid_types_never_return_500(raw_client: Any, name: str) -> None:
    # Without `text`, the default response calls a tool; without `tools`, it is structured output.
    without_text = {key: value for key, value in REQUEST_WITH_ALL_MEMBERS.items() if key != "text"} | {
        "input": REQUEST_WITH_ALL_MEMBERS["input"][:1]
    }
    without_tools = {
        key: value for key, value in REQUEST_WITH_ALL_MEMBERS.items() if key not in ("tools", "tool_choice")
    }
    for base in (without_text, without_tools):
        for change in with_invalid_types({name: REQUEST_WITH_ALL_MEMBERS[name]}):
            response = raw_client.post({**base, **change})
            assert response.status_code < 500, (change, response.text)
