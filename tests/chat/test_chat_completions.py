"""Test `client.chat.completions` of both clients against the simulator: one scenario for each feature."""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel
from support.clocks import RecordingClock

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

    Bodies = Callable[[], list[dict[str, Any]]]

MODEL = "gpt-5.5"
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello"}]
TOOL: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
PNG = "data:image/png;base64,iVBORw0KGgo="


def create(client: Any, **parameters: Any) -> Any:
    return client.chat.completions.create(**{"model": MODEL, "messages": CHAT, **parameters})


def validated_chunks(stream: Any) -> list[ChatCompletionChunk]:
    """Return the chunks. Each is valid for the official type in strict mode."""
    chunks = list(stream)
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.to_dict(), strict=True)
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    return chunks


def content(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def item(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": kind, "id": f"{kind}_1", "status": "completed", **members}


def message(text: str, *annotations: Any, **members: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": list(annotations), "logprobs": []}
    return item("message", role="assistant", content=[part], **members)


# Text


def test_text(client: Any, sim: Simulator, bodies: Bodies) -> None:
    sim.script("hello there")
    completion = create(client)
    ChatCompletion.model_validate(completion.to_dict(), strict=True)
    assert isinstance(completion, ChatCompletion)
    assert completion.choices[0].message.content == "hello there"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion._request_id
    (body,) = bodies()
    assert [each["role"] for each in body["input"]] == ["developer", "user"]
    assert "instructions" not in body
    assert "messages" not in body
    assert body["prompt_cache_key"] == sim.requests[0].headers["session-id"]


@pytest.mark.parametrize("includes_usage", [False, True])
def test_streamed_text(client: Any, sim: Simulator, includes_usage: bool) -> None:
    sim.script("one two three")
    options = {"stream_options": {"include_usage": True}} if includes_usage else {}
    stream = create(client, stream=True, **options)
    chunks = validated_chunks(stream)
    assert content(chunks) == "one two three"
    assert chunks[0].choices[0].delta.to_dict() == {"role": "assistant", "content": ""}
    assert [bool(chunk.choices) for chunk in chunks] == [True] * (len(chunks) - includes_usage) + [
        False
    ] * includes_usage
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert reasons == [None] * (len(reasons) - 1) + ["stop"]
    assert (chunks[-1].usage is not None) is includes_usage
    assert stream.restarts == 0
    assert stream.dropped_parameters == ()


def test_text_deltas(client: Any, sim: Simulator) -> None:
    sim.script("one two", "never")
    assert list(create(client, stream=True).text_deltas()) == ["one ", "two"]


def test_model_is_chosen_as_in_responses(client: Any, bodies: Bodies) -> None:
    completion = create(client, model="auto")
    assert bodies()[0]["model"] == completion.model != "auto"


def test_cache_key_is_the_same_for_the_turns_of_a_chat(client: Any, bodies: Bodies) -> None:
    first = create(client)
    chat = [*CHAT, first.choices[0].message, {"role": "user", "content": "Go on"}]
    second = create(client, messages=chat)
    create(client, messages=[{"role": "user", "content": "another chat"}])
    keys = [body["prompt_cache_key"] for body in bodies()]
    assert keys[0] == keys[1] != keys[2]
    assert second.usage.prompt_tokens_details.cached_tokens > 0


def test_instructions_of_the_client_come_first(new_client: Any, bodies: Bodies) -> None:
    create(new_client(instructions="Speak French."))
    assert bodies()[0]["instructions"] == "Speak French."
    assert bodies()[0]["input"][0]["content"][0]["text"] == "Be brief."


# Tools


def test_parallel_tools_round_trip(client: Any, sim: Simulator, bodies: Bodies) -> None:
    sim.script(
        Turn.calls([("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]),
        Turn.calls([("get_weather", {"city": "Oslo"})]),
        "Sunny.",
    )
    chat: list[Any] = [*CHAT]
    for _ in range(2):
        answer = create(client, messages=chat, tools=[TOOL]).choices[0]
        assert answer.finish_reason == "tool_calls"
        assert answer.message.content is None
        chat.append(answer.message)
        for call in answer.message.tool_calls:
            chat.append(
                {"role": "tool", "tool_call_id": call.id, "content": json.loads(call.function.arguments)["city"]}
            )
    assert create(client, messages=chat, tools=[TOOL]).choices[0].message.content == "Sunny."
    assert bodies()[0]["tools"] == [{"type": "function", **TOOL["function"], "strict": False}]
    outputs = [each["output"] for each in bodies()[2]["input"] if each["type"] == "function_call_output"]
    assert outputs == ["Paris", "Rome", "Oslo"]


def test_streamed_tools(client: Any, sim: Simulator) -> None:
    sim.script(Turn.calls([("get_weather", {"city": "Paris"}), ("get_weather", {})]))
    chunks = validated_chunks(create(client, tools=[TOOL], stream=True))
    calls: dict[int, dict[str, str]] = {}
    for chunk in chunks:
        for part in chunk.choices[0].delta.tool_calls or ():
            call = calls.setdefault(part.index, {"name": part.function.name, "id": part.id, "arguments": ""})
            call["arguments"] += part.function.arguments
    assert [call["name"] for call in calls.values()] == ["get_weather"] * 2
    assert [call["arguments"] for call in calls.values()] == ['{"city": "Paris"}', "{}"]
    assert list(calls) == [0, 1]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_custom_tools(client: Any, sim: Simulator, bodies: Bodies) -> None:
    tools = [{"type": "custom", "custom": {"name": "shell"}}]
    sim.script(Turn.custom_call("shell", "ls -l"), Turn.custom_call("shell", "ls -l"), "done")
    answer = create(client, tools=tools).choices[0].message
    assert answer.tool_calls[0].custom.input == "ls -l"
    chunks = list(create(client, tools=tools, stream=True))
    parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or ()]
    assert "".join(part.custom["input"] for part in parts) == "ls -l"
    result = {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "a.txt"}
    create(client, tools=tools, messages=[*CHAT, answer, result])
    assert bodies()[-1]["input"][-1]["type"] == "custom_tool_call_output"


def test_functions_of_the_old_form(client: Any, sim: Simulator) -> None:
    sim.script(Turn.call("get_weather", {"city": "Rome"}), "Sunny.")
    functions = [TOOL["function"]]
    choice = create(client, functions=functions).choices[0]
    assert choice.finish_reason == "function_call"
    result = {"role": "function", "name": "get_weather", "content": "sunny"}
    chat = [*CHAT, choice.message, result]
    assert create(client, messages=chat, functions=functions).choices[0].message.content == "Sunny."


def test_orphans_send_nothing(client: Any, sim: Simulator) -> None:
    chat = [*CHAT, {"role": "tool", "tool_call_id": "call_9", "content": "x"}]
    with pytest.raises(sdk.InvalidChatRequestError, match="call_9") as caught:
        create(client, messages=chat)
    assert isinstance(caught.value, (openai.OpenAIError, ValueError))
    assert sim.requests == []


def test_drop_repairs_and_names_it(new_client: Any, sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    client = new_client(unsupported="drop")
    chat = [*CHAT, {"role": "tool", "tool_call_id": "call_9", "content": "x"}]
    with caplog.at_level(logging.WARNING, "codex_backend_sdk"):
        completion = create(client, messages=chat, temperature=0.5, extra_body={"top_k": 5})
        stream = create(client, messages=chat, temperature=0.5, stream=True)
    assert completion.dropped_parameters == ["temperature", "top_k", "messages[2]"]
    assert stream.dropped_parameters == ("temperature", "messages[2]")
    assert any("repaired `messages[2]`" in text for text in caplog.messages)
    stream.close()


# Structured output


class City(BaseModel):
    name: str


def parse(client: Any, **parameters: Any) -> Any:
    return client.chat.completions.parse(model=MODEL, messages=CHAT, response_format=City, **parameters)


def test_parse(client: Any, sim: Simulator, bodies: Bodies) -> None:
    sim.script('{"name": "Paris"}')
    completion = parse(client)
    assert completion.choices[0].message.parsed == City(name="Paris")
    output_format = bodies()[0]["text"]["format"]
    assert (output_format["type"], output_format["name"], output_format["strict"]) == ("json_schema", "City", True)


def test_parse_of_strict_tools(client: Any, sim: Simulator) -> None:
    sim.script(Turn.call("City", {"name": "Rome"}))
    completion = client.chat.completions.parse(model=MODEL, messages=CHAT, tools=[openai.pydantic_function_tool(City)])
    assert completion.choices[0].message.tool_calls[0].function.parsed_arguments == City(name="Rome")


def test_parse_of_an_incomplete_response_raises_the_official_error(client: Any, sim: Simulator) -> None:
    sim.script(Turn.incomplete("max_output_tokens", text='{"na'), Turn.incomplete("content_filter"))
    with pytest.raises(openai.LengthFinishReasonError) as caught:
        parse(client)
    assert caught.value.completion.usage is not None
    with pytest.raises(openai.ContentFilterFinishReasonError):
        parse(client)


def test_stream_helper(client: Any, sim: Simulator) -> None:
    sim.script('{"name": "Paris"}')
    with client.chat.completions.stream(
        model=MODEL, messages=CHAT, response_format=City, stream_options={"include_usage": True}
    ) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == City(name="Paris")
    assert final.usage.total_tokens > 0
    assert {"content.delta", "content.done", "chunk"} <= {event.type for event in events}


def test_stream_helper_keeps_the_reasoning(client: Any, bodies: Bodies) -> None:
    with client.chat.completions.stream(model=MODEL, messages=CHAT) as stream:
        final = stream.get_final_completion()
    create(client, messages=[*CHAT, final.choices[0].message, {"role": "user", "content": "Go on"}])
    assert [each["type"] for each in bodies()[1]["input"]].count("reasoning") == 1


def test_stream_helper_with_tools(client: Any, sim: Simulator) -> None:
    sim.script(Turn.calls([("City", {"name": "Rome"}), ("City", {"name": "Oslo"})]))
    with client.chat.completions.stream(
        model=MODEL, messages=CHAT, tools=[openai.pydantic_function_tool(City)]
    ) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert [event.parsed_arguments for event in done] == [City(name="Rome"), City(name="Oslo")]
    assert [call.function.parsed_arguments for call in calls] == [City(name="Rome"), City(name="Oslo")]


def test_json_mode_needs_the_word(client: Any, sim: Simulator) -> None:
    with pytest.raises(sdk.InvalidChatRequestError, match="the word 'json'"):
        create(client, response_format={"type": "json_object"})
    assert sim.requests == []


# Other endings and contents

REFUSED = item("message", role="assistant", content=[{"type": "refusal", "refusal": "I cannot."}])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("turn", "text", "refusal", "reason"),
    [
        (Turn.items(REFUSED), None, "I cannot.", "stop"),
        (Turn.incomplete("max_output_tokens", text="half"), "half", None, "length"),
        (Turn.incomplete("content_filter", text="half"), "half", None, "content_filter"),
        (Turn.items(), "", None, "stop"),
        (Turn.items(message("Looking.", phase="commentary"), message("Paris.")), "Paris.", None, "stop"),
    ],
    ids=["refusal", "length", "content filter", "empty", "commentary"],
)
def test_endings(client: Any, sim: Simulator, stream: bool, turn: Turn, text: Any, refusal: Any, reason: str) -> None:
    sim.script(turn)
    if not stream:
        choice = create(client).choices[0]
        assert (choice.message.content, choice.message.refusal, choice.finish_reason) == (text, refusal, reason)
        return
    chunks = validated_chunks(create(client, stream=True, stream_options={"include_usage": True}))
    assert content(chunks) == (text or "")
    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks[:-1]) == (refusal or "")
    assert chunks[-2].choices[0].finish_reason == reason
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens_details is not None


def test_images_and_files(client: Any, bodies: Bodies) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
    ]
    create(client, messages=[{"role": "user", "content": parts}])
    assert [part["type"] for part in bodies()[0]["input"][0]["content"]] == [
        "input_text",
        "input_image",
        "input_image",
        "input_file",
    ]


def test_web_search_annotations(client: Any, sim: Simulator, bodies: Bodies) -> None:
    cited = {"type": "url_citation", "start_index": 0, "end_index": 5, "url": "https://a.b", "title": "A"}
    output = [
        message("Searching.", phase="commentary"),
        item("web_search_call", action={"type": "search", "query": "x"}),
        message("Paris.", cited),
    ]
    sim.script(Turn.items(*output), Turn.items(*output))
    answer = create(client, web_search_options={}).choices[0].message
    assert answer.annotations[0].url_citation.to_dict() == {name: cited[name] for name in cited if name != "type"}
    chunks = validated_chunks(create(client, web_search_options={}, stream=True))
    (streamed,) = [
        chunk.choices[0].delta.annotations for chunk in chunks if hasattr(chunk.choices[0].delta, "annotations")
    ]
    assert streamed[0]["url_citation"]["url"] == "https://a.b"
    assert bodies()[0]["tools"] == [{"type": "web_search"}]


# Reasoning


def test_reasoning_returns_with_the_message(client: Any, sim: Simulator, bodies: Bodies) -> None:
    first = create(client)
    details = first.choices[0].message.reasoning_details
    chat = [*CHAT, first.choices[0].message, {"role": "user", "content": "Go on"}]
    create(client, messages=chat)
    sent = [each for each in bodies()[1]["input"] if each["type"] == "reasoning"]
    assert [each["encrypted_content"] for each in sent] == [details[0]["data"]]
    create(client, messages=chat, model="gpt-6.1-terra")
    assert all(each["type"] != "reasoning" for each in bodies()[2]["input"])


def test_reasoning_of_another_account_is_not_sent(client: Any, bodies: Bodies) -> None:
    answer = create(client).choices[0].message.to_dict()
    assert answer["reasoning_details"][0]["account"]
    foreign = {**answer, "reasoning_details": [{**answer["reasoning_details"][0], "account": "other"}]}
    create(client, messages=[*CHAT, foreign, {"role": "user", "content": "Go on"}])
    assert [each["type"] for each in bodies()[1]["input"]] == ["message"] * 4


def test_reasoning_of_another_account_is_not_sent_with_the_first_call(new_client: Any, bodies: Bodies) -> None:
    """The login of a new client is loaded after the messages were translated."""
    details = {"type": "reasoning.encrypted", "format": "openai-responses-v1", "data": "gAAA", "account": "other"}
    foreign = {"role": "assistant", "content": "hello", "reasoning_details": [details]}
    create(new_client(), messages=[*CHAT, foreign, {"role": "user", "content": "Go on"}])
    assert [each["type"] for each in bodies()[0]["input"]] == ["message"] * 4


@pytest.mark.parametrize("stream", [False, True])
def test_summaries_are_returned_if_asked_for(client: Any, sim: Simulator, stream: bool) -> None:
    thought = item("reasoning", summary=[{"type": "summary_text", "text": "Think first."}], encrypted_content="gAAA")
    sim.script(*[Turn.items(thought, message("Paris."))] * 3)
    asked = {"extra_body": {"reasoning": {"summary": "auto"}}}
    excluded = {"extra_body": {"reasoning": {"summary": "auto", "exclude": True}}}
    texts = []
    for arguments in (asked, {}, excluded):
        result = create(client, stream=stream, **arguments)
        if stream:
            extras = [chunk.choices[0].delta.to_dict() for chunk in validated_chunks(result)]
        else:
            extras = [result.choices[0].message.to_dict()]
        texts.append("".join(str(extra.get("reasoning_content", "")) for extra in extras))
        has_details = any("reasoning_details" in extra for extra in extras)
        assert has_details is (arguments is not excluded)
    assert texts == ["Think first.", "", ""]


# Stop sequences


def test_stop_cuts_the_text(client: Any, sim: Simulator) -> None:
    sim.script("one two STOP three")
    choice = create(client, stop=["STOP", "never"]).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("one two ", "stop")


@pytest.mark.parametrize("includes_usage", [False, True])
def test_stop_ends_the_stream(client: Any, sim: Simulator, includes_usage: bool) -> None:
    turn = Turn.text("one two STOP three")
    sim.script(turn if includes_usage else turn.stalled(after_events=9))
    chunks = validated_chunks(
        create(client, stop="STOP", stream=True, stream_options={"include_usage": includes_usage})
    )
    assert content(chunks) == "one two "
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert (chunks[-1].usage is not None) is includes_usage


# Parameters


@pytest.mark.parametrize(
    "parameters",
    [{"n": 2}, {"logprobs": True}, {"modalities": ["audio"]}, {"audio": {"voice": "alloy", "format": "wav"}}],
    ids=str,
)
@pytest.mark.parametrize("unsupported", ["raise", "drop"])
def test_parameter_with_another_meaning_is_refused(
    new_client: Any, sim: Simulator, parameters: dict[str, Any], unsupported: str
) -> None:
    with pytest.raises(sdk.CodexBackendUnsupportedParameterError, match="Instead of") as caught:
        create(new_client(unsupported=unsupported), **parameters)
    assert caught.value.parameters == tuple(parameters)
    assert sim.requests == []


def test_policy_applies_as_in_responses(client: Any, sim: Simulator) -> None:
    with pytest.raises(sdk.CodexBackendUnsupportedParameterError, match="Remove them") as caught:
        create(client, max_tokens=5, temperature=0, user="me", extra_body={"top_k": 3})
    assert set(caught.value.parameters) == {"max_tokens", "temperature", "user", "top_k"}
    assert sim.requests == []


def test_neutral_parameters_are_accepted(client: Any, sim: Simulator) -> None:
    sim.script("hello")
    neutral = {"n": 1, "logprobs": False, "logit_bias": {}, "store": True, "temperature": 1, "service_tier": "auto"}
    assert create(client, **neutral, stop=None, tools=[], metadata={}).choices[0].message.content == "hello"


def test_effort_is_checked_if_the_catalog_is_cached(client: Any, new_client: Any, sim: Simulator) -> None:
    client.models.list()
    count = len(sim.requests)
    with pytest.raises(sdk.InvalidChatRequestError, match="does not accept the reasoning effort 'minimal'"):
        create(client, reasoning_effort="minimal")
    assert len(sim.requests) == count
    lenient = client.with_options(unsupported="drop")
    lenient.models.list()
    assert create(lenient, reasoning_effort="minimal").dropped_parameters == ["reasoning_effort"]
    assert sim.requests[-1].json()["reasoning"] == {"effort": "low"}


def test_unknown_effort_is_the_error_of_the_backend(client: Any) -> None:
    with pytest.raises(sdk.UnsupportedParameterError, match=r"gpt-5\.5|Supported values"):
        create(client, reasoning_effort="minimal")


# Errors

LIMIT = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 3600}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("turn", "error"),
    [
        (Turn.error(429, {"error": LIMIT}), sdk.UsageLimitError),
        (Turn.failed("context_length_exceeded"), sdk.ContextLengthExceededError),
        (Turn.failed("server_error", text="half"), sdk.ResponseFailedError),
        (Turn.error_event("usage_limit_reached"), sdk.UsageLimitError),
        (Turn.text("half of it").cut_after_events(8), sdk.StreamInterruptedError),
        (Turn.text("half of it").clean_end_after_events(8), sdk.StreamInterruptedError),
    ],
    ids=["limit", "context", "failed", "limit in the stream", "cut", "ended"],
)
def test_errors_are_those_of_responses(client: Any, sim: Simulator, stream: bool, turn: Turn, error: type) -> None:
    sim.script(turn)
    reasons: list[Any] = []
    with pytest.raises(error) as caught:  # noqa: PT012 - opening or reading the stream raises
        result = create(client, stream=stream)
        reasons += [chunk.choices[0].finish_reason for chunk in result]
    assert all(reason is None for reason in reasons)
    if error is sdk.StreamInterruptedError:
        assert caught.value.partial.output_text.startswith("half")


def test_error_after_a_chunk_has_the_partial_output(client: Any, sim: Simulator) -> None:
    sim.script(Turn.text("half of it").cut_after_events(8))
    received = []
    with pytest.raises(sdk.StreamInterruptedError) as caught:
        received += [chunk for chunk in create(client, stream=True)]  # noqa: C416 - each chunk is received
    assert caught.value.partial.output_text.startswith("half")


@pytest.mark.parametrize("on_interrupt", ["raise", "restart"])
def test_stream_restarts_before_its_first_content(new_client: Any, sim: Simulator, on_interrupt: str) -> None:
    sim.script(Turn.text("never").cut_after_events(4), Turn.error_event("server_is_overloaded"), "complete")
    client = new_client(max_retries=3, on_interrupt=on_interrupt, clock=RecordingClock())
    stream = create(client, stream=True)
    chunks = validated_chunks(stream)
    assert content(chunks) == "complete"
    assert stream.restarts == 2
    assert [chunk.choices[0].delta.role for chunk in chunks].count("assistant") == 1


def test_stream_never_restarts_after_its_first_content(new_client: Any, sim: Simulator) -> None:
    sim.script(Turn.text("half of it").cut_after_events(9), "complete")
    client = new_client(max_retries=3, on_interrupt="restart", clock=RecordingClock())
    with pytest.raises(sdk.StreamInterruptedError):
        list(create(client, stream=True))
    assert len(sim.requests) == 1


def test_interrupted_call_is_retried_without_a_stream(new_client: Any, sim: Simulator) -> None:
    sim.script(Turn.text("half of it").cut_after_events(8), "complete")
    client = new_client(max_retries=1, clock=RecordingClock())
    assert create(client).choices[0].message.content == "complete"


def test_instructions_parameter_is_sent_if_the_backend_requires_it(new_client: Any, sim: Simulator) -> None:
    required = Turn.error(400, {"detail": "Instructions are required"})
    sim.script(required, "first", "second")
    client = new_client()
    assert create(client).choices[0].message.content == "first"
    assert create(client).choices[0].message.content == "second"
    first, *others = [request.json() for request in sim.requests]
    assert first["input"][0]["role"] == "developer"
    assert [(body["instructions"], body["input"][0]["role"]) for body in others] == [("Be brief.", "user")] * 2


# Forms of the response


def test_raw_response(client: Any, sim: Simulator) -> None:
    sim.script("hello", "one two")
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=CHAT)
    assert json.loads(raw.text)["object"] == "chat.completion"
    assert raw.headers["content-type"] == "application/json"
    assert raw.parse().choices[0].message.content == "hello"
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=CHAT, stream=True)
    assert content(validated_chunks(raw.parse())) == "one two"


def test_streaming_response(client: Any, sim: Simulator) -> None:
    sim.script("hello")
    with client.chat.completions.with_streaming_response.create(model=MODEL, messages=CHAT) as response:
        data = json.loads(response.read())
    assert data["choices"][0]["message"]["content"] == "hello"


def test_strict_response_validation(sim: Simulator) -> None:
    sim.script(Turn.calls([("get_weather", {})]), "hello")
    with sim.client(max_retries=0, _strict_response_validation=True) as client:
        assert create(client, tools=[TOOL]).choices[0].finish_reason == "tool_calls"
        assert create(client).choices[0].message.content == "hello"


def test_stream_can_be_closed(client: Any, sim: Simulator) -> None:
    sim.script(Turn.text("one two three").stalled(after_events=8))
    stream = create(client, stream=True)
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    stream.close()
    assert list(stream) == []


def test_websocket(new_client: Any, sim: Simulator) -> None:
    sim.script("over the socket", "streamed")
    client = new_client(transport="websocket")
    assert create(client).choices[0].message.content == "over the socket"
    assert content(validated_chunks(create(client, stream=True))) == "streamed"


def test_tracer_of_requests_sees_the_chat(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    build = sdk.OpenAI._prepare_options

    def record(self: Any, options: Any) -> Any:
        seen.append(options.json_data)
        return build(self, options)

    monkeypatch.setattr(sdk.OpenAI, "_prepare_options", record)
    with sim.client() as client:
        create(client, extra_body={"reasoning": {"effort": "low"}})
    assert seen[0]["messages"] == CHAT
    assert seen[0]["reasoning"] == {"effort": "low"}


# Concurrency


def test_many_threads(sim: Simulator) -> None:
    texts = [f"reply {number}" for number in range(12)]
    sim.script(*texts)
    with sim.client() as client, ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: content(list(create(client, stream=True))), texts))
    assert sorted(replies) == sorted(texts)


def test_many_tasks(sim: Simulator) -> None:
    texts = [f"reply {number}" for number in range(12)]
    sim.script(*texts)

    async def run() -> list[str]:
        async with sim.async_client() as client:

            async def read() -> str:
                stream = await create(client, stream=True)
                return content([chunk async for chunk in stream])

            return await asyncio.gather(*[read() for _ in texts])

    assert sorted(asyncio.run(run())) == sorted(texts)
