"""Test the translation of events to the chunks of a chat completion."""

from __future__ import annotations

import random
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from codex_backend_sdk._chat.chat_completion import ChatSettings, build_completion
from codex_backend_sdk._chat.chunks import ChunkBuilder
from codex_backend_sdk._coerce import as_mapping

RESPONSE = {"id": "resp_1", "created_at": 12, "model": "actual", "service_tier": "default"}
CREATED = {"type": "response.created", "response": RESPONSE}
IN_PROGRESS = {"type": "response.in_progress", "response": RESPONSE}
USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 12,
    "model": "actual",
    "service_tier": "default",
}


def completed(*output: Any, **members: Any) -> dict[str, Any]:
    final = {**RESPONSE, "status": "completed", "output": list(output), "usage": USAGE, **members}
    return {"type": f"response.{final['status']}", "response": final}


def added(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(kind: str, index: int, value: Any, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": value, **members}


def message(text: str = "", **members: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content, **members}


def call(number: int, arguments: str = "", **members: Any) -> dict[str, Any]:
    head = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": f"f{number}"}
    return {**head, "arguments": arguments, **members}


def chunks(*events: Any, **settings: Any) -> list[dict[str, Any]]:
    """Return the chunks, each of which is valid."""
    builder = ChunkBuilder(ChatSettings(**{"model": "m", **settings}))
    builder.account_id = "acc-1"
    built = list(builder.chunks(events))
    for chunk in built:
        if "custom" not in str(chunk):  # the official types have no calls of custom tools in chunks
            ChatCompletionChunk.model_validate(chunk, strict=True)
        assert {name: value for name, value in chunk.items() if name not in ("choices", "usage")} == HEAD
    return built


def deltas(*events: Any, **settings: Any) -> list[Any]:
    """Return the deltas after the first one, and the finish reason instead of the last."""
    built = [chunk["choices"][0] for chunk in chunks(CREATED, *events, **settings) if chunk["choices"]]
    assert built[0] == {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    assert all("role" not in choice["delta"] for choice in built[1:])
    assert [choice["finish_reason"] for choice in built[:-1]] == [None] * (len(built) - 1)
    assert all(value not in ("", None, []) for choice in built[1:] for value in choice["delta"].values())
    if built[-1]["finish_reason"] is None:
        return [choice["delta"] for choice in built[1:]]
    assert built[-1]["delta"] == {}
    return [*(choice["delta"] for choice in built[1:-1]), built[-1]["finish_reason"]]


def opened(number: int, index: int) -> dict[str, Any]:
    function = {"name": f"f{number}", "arguments": ""}
    return {"tool_calls": [{"index": index, "id": f"call_{number}", "type": "function", "function": function}]}


def arguments(index: int, text: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}


def test_text() -> None:
    text = delta("output_text", 0, "a"), delta("output_text", 0, "b", item_id="msg_1")
    events = [IN_PROGRESS, added(0, message()), *text, done(0, message("ab")), completed(message("ab"))]
    assert deltas(*events) == [{"content": "a"}, {"content": "b"}, "stop"]


def test_role_is_sent_with_the_first_event() -> None:
    assert len(chunks(CREATED)) == 1
    assert chunks({"type": "codex.rate_limits"}, {}, {"type": 5}) == []


@pytest.mark.parametrize("includes_usage", [False, True])
def test_usage_is_the_last_chunk_if_requested(includes_usage: bool) -> None:
    built = chunks(CREATED, completed(message("a")), includes_usage=includes_usage)
    without_choices = [chunk for chunk in built if not chunk["choices"]]
    assert without_choices == (built[-1:] if includes_usage else [])
    assert [("usage" in chunk) for chunk in built] == [False] * (len(built) - includes_usage) + [True] * includes_usage
    if includes_usage:
        assert built[-1]["usage"]["total_tokens"] == 7
    assert not any("usage" in chunk for chunk in chunks(CREATED, completed(usage=None), includes_usage=True))


PARTS: list[tuple[list[Any], list[Any]]] = [
    # a text in deltas, in the event of the item, at the end, or in several of them
    ([delta("output_text", 0, "ab"), completed(message("ab"))], [{"content": "ab"}]),
    ([added(0, message()), done(0, message("ab")), completed(message("ab"))], [{"content": "ab"}]),
    ([completed(message("ab"))], [{"content": "ab"}]),
    (
        [delta("output_text", 0, "a"), done(0, message("ab")), completed(message("ab"))],
        [{"content": "a"}, {"content": "b"}],
    ),
    ([delta("output_text", 0, "a"), completed(message("ab"))], [{"content": "a"}, {"content": "b"}]),
    ([delta("output_text", 0, "a"), done(0, message("x")), completed(message("x"))], [{"content": "a"}]),
    ([delta("output_text", 0, None), delta("output_text", 0, ""), completed(message("a"))], [{"content": "a"}]),
    ([added(0, message()), delta("output_text", 0, 5), completed(message("a"))], [{"content": "a"}]),
    ([delta("output_text", [], "a"), completed(message("a"))], [{"content": "a"}]),
    # a response without text
    ([completed()], []),
    ([added(0, {"type": "web_search_call", "id": "ws_1"}), done(0, {"type": "web_search_call"}), completed()], []),
    ([{"type": "response.strange"}, {"type": None}, completed()], []),
    # refusals
    (
        [delta("refusal", 0, "no"), completed({"type": "message", "content": [{"type": "refusal", "refusal": "no!"}]})],
        [{"refusal": "no"}, {"refusal": "!"}],
    ),
]


@pytest.mark.parametrize(("events", "expected"), PARTS)
def test_only_what_is_missing_is_sent(events: list[Any], expected: list[Any]) -> None:
    assert deltas(*events) == [*expected, "stop"]


ARGUMENTS_DONE = {"type": "response.function_call_arguments.done", "output_index": 1, "arguments": '{"a":1}'}
STREAMED = [delta("function_call_arguments", 1, '{"a"'), delta("function_call_arguments", 1, ":1}")]
IN_DELTAS = [opened(1, 0), arguments(0, '{"a"'), arguments(0, ":1}")]
WHOLE = [opened(1, 0), arguments(0, '{"a":1}')]
CALLS: list[tuple[list[Any], list[Any]]] = [
    ([added(1, call(1)), *STREAMED, ARGUMENTS_DONE, done(1, call(1, '{"a":1}'))], IN_DELTAS),
    ([added(1, call(1)), *STREAMED], IN_DELTAS),
    ([added(1, call(1)), ARGUMENTS_DONE], WHOLE),
    ([added(1, call(1, '{"a":1}')), ARGUMENTS_DONE, done(1, call(1, '{"a":1}'))], WHOLE),
    ([added(1, call(1)), done(1, call(1, '{"a":1}'))], WHOLE),
    ([added(1, call(1)), *STREAMED[:1], ARGUMENTS_DONE], [opened(1, 0), arguments(0, '{"a"'), arguments(0, ":1}")]),
    ([done(1, call(1, '{"a":1}'))], WHOLE),
    ([added(1, call(1))], WHOLE),
    ([], WHOLE),
    # the name is unknown before the last event
    ([added(1, call(1, name="")), *STREAMED, ARGUMENTS_DONE, done(1, call(1, '{"a":1}'))], WHOLE),
    ([*STREAMED, ARGUMENTS_DONE, done(1, call(1, '{"a":1}'))], WHOLE),
]


@pytest.mark.parametrize(("events", "expected"), CALLS)
def test_call_is_sent_once(events: list[Any], expected: list[Any]) -> None:
    assert deltas(*events, completed(call(1, '{"a":1}'))) == [*expected, "tool_calls"]


@pytest.mark.parametrize("by_id", [False, True])
def test_parallel_calls_have_their_own_index(by_id: bool) -> None:
    def part(number: int, text: str) -> dict[str, Any]:
        event = delta("function_call_arguments", 0 if by_id else number, text)
        return {**event, "item_id": f"fc_{number}"} if by_id else event

    calls = [call(number, '{"a":1}') for number in (1, 2, 3)]
    events = [
        added(0, {"type": "reasoning", "id": "rs_1"}),
        added(1, call(1)),
        added(2, call(2)),
        part(2, '{"a"'),
        part(1, '{"a"'),
        part(2, ":1}"),
        part(1, ":1}"),
        done(3, calls[2]),
        completed(*calls),
    ]
    assert deltas(*events) == [
        opened(1, 0),
        opened(2, 1),
        arguments(1, '{"a"'),
        arguments(0, '{"a"'),
        arguments(1, ":1}"),
        arguments(0, ":1}"),
        opened(3, 2),
        arguments(2, '{"a":1}'),
        "tool_calls",
    ]


def test_call_without_arguments_has_an_empty_object() -> None:
    assert deltas(added(0, call(1)), done(0, call(1)), completed(call(1))) == [
        opened(1, 0),
        arguments(0, "{}"),
        "tool_calls",
    ]


def test_text_and_calls_end_with_tool_calls() -> None:
    events = [added(0, message()), delta("output_text", 0, "a"), added(1, call(1)), completed(message("a"), call(1))]
    assert deltas(*events) == [{"content": "a"}, opened(1, 0), arguments(0, "{}"), "tool_calls"]


def test_custom_calls() -> None:
    item = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c", "name": "sh", "input": ""}
    finished = {**item, "input": "ls -l"}
    input_done = {"type": "response.custom_tool_call_input.done", "output_index": 0, "input": "ls -l"}
    events = [added(0, item), delta("custom_tool_call_input", 0, "ls"), input_done, done(0, finished)]
    assert deltas(*events, completed(finished)) == [
        {"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "sh", "input": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "ls"}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": " -l"}}]},
        "tool_calls",
    ]
    assert deltas(completed(finished))[1:] == [
        {"tool_calls": [{"index": 0, "custom": {"input": "ls -l"}}]},
        "tool_calls",
    ]


def test_functions_of_the_old_form() -> None:
    events = [added(1, call(1)), *STREAMED, added(2, call(2, "{}")), completed(call(1, '{"a":1}'), call(2, "{}"))]
    assert deltas(*events, uses_functions=True) == [
        {"function_call": {"name": "f1", "arguments": ""}},
        {"function_call": {"arguments": '{"a"'}},
        {"function_call": {"arguments": ":1}"}},
        "function_call",
    ]


@pytest.mark.parametrize(
    ("reason", "finish_reason"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
def test_incomplete_response(reason: str, finish_reason: str) -> None:
    final = completed(message("a"), status="incomplete", incomplete_details={"reason": reason})
    assert deltas(delta("output_text", 0, "a"), final) == [{"content": "a"}, finish_reason]
    assert chunks(CREATED, final, includes_usage=True)[-1]["usage"]["prompt_tokens"] == 3


# Reasoning

THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}],
    "encrypted_content": "gAAA",
}
LOOKING = message("Looking.", id="msg_0", phase="commentary")
THINKING = [
    added(0, {"type": "reasoning", "id": "rs_1", "summary": []}),
    delta("reasoning_summary_text", 0, "On", summary_index=0),
    delta("reasoning_summary_text", 0, "e.", summary_index=0),
    delta("reasoning_summary_text", 0, "Two.", summary_index=1),
    done(0, THOUGHT),
    added(1, message(id="msg_0", phase="commentary")),
    delta("output_text", 1, "Look", content_index=0),
    delta("output_text", 1, "ing.", content_index=0),
    done(1, LOOKING),
    added(2, message(phase="final_answer")),
    delta("output_text", 2, "a"),
    done(2, message("a")),
]


def test_commentary_and_summaries_are_reasoning() -> None:
    built = deltas(*THINKING, completed(THOUGHT, LOOKING, message("a")), shows_reasoning=True)
    assert [each for each in built if "reasoning_content" in each or "content" in each] == [
        {"reasoning_content": "On"},
        {"reasoning_content": "e."},
        {"reasoning_content": "\n\nTwo."},
        {"reasoning_content": "\n\nLook"},
        {"reasoning_content": "ing."},
        {"content": "a"},
    ]


def test_reasoning_is_hidden_unless_summaries_were_asked_for() -> None:
    built = deltas(*THINKING, completed(THOUGHT, LOOKING, message("a")), returns_details=False)
    assert built == [{"content": "a"}, "stop"]


def test_reasoning_that_was_not_streamed_is_sent_at_the_end() -> None:
    assert deltas(completed(THOUGHT, message("a")), shows_reasoning=True, returns_details=False) == [
        {"reasoning_content": "One.\n\nTwo."},
        {"content": "a"},
        "stop",
    ]
    text = delta("reasoning_text", 0, "x"), delta("reasoning_text", 0, None)
    item = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "x"}]}
    assert deltas(*text, completed(item), shows_reasoning=True) == [{"reasoning_content": "x"}, "stop"]


def test_reasoning_details_precede_the_finish_reason() -> None:
    built = deltas(*THINKING, completed(THOUGHT, LOOKING, message("a")))
    assert [each["type"] for each in built[-2]["reasoning_details"]] == ["reasoning.encrypted", "reasoning.text"]
    assert built[-1] == "stop"
    assert sum("reasoning_details" in each for each in built) == 1


def test_annotations_precede_the_finish_reason() -> None:
    annotation = {"type": "url_citation", "start_index": 0, "end_index": 1, "url": "https://a.b", "title": "A"}
    final = message("ab")
    final["content"][0]["annotations"] = [annotation]
    assert [each["url_citation"]["url"] for each in deltas(completed(final))[-2]["annotations"]] == ["https://a.b"]


# Stop sequences


def streamed_text(text: str, size: int) -> list[dict[str, Any]]:
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    return [added(0, message()), *(delta("output_text", 0, part) for part in parts)]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_stop_cuts_the_text_wherever_chunks_end(size: int) -> None:
    text = "one ST STO STOP two"
    built = deltas(*streamed_text(text, size), done(0, message(text)), completed(message(text)), stop=("STOP", "xyzzy"))
    assert "".join(each["content"] for each in built[:-1]) == "one ST STO "
    assert built[-1] == "stop"


def test_text_without_a_stop_is_complete() -> None:
    built = deltas(
        *streamed_text("one STO", 2), done(0, message("one STO")), completed(message("one STO")), stop=("STOP",)
    )
    assert "".join(each["content"] for each in built[:-1]) == "one STO"
    assert {"content": "one STO"} in deltas(completed(message("one STO")), stop=("STOP",))


@pytest.mark.parametrize("includes_usage", [False, True])
def test_stream_ends_at_the_stop_unless_usage_is_needed(includes_usage: bool) -> None:
    builder = ChunkBuilder(ChatSettings(model="m", stop=("b",), includes_usage=includes_usage))
    first = list(builder.chunks([CREATED, *streamed_text("abc", 1)]))
    assert first[-1]["choices"][0]["finish_reason"] == "stop"
    assert builder.is_complete is not includes_usage
    rest = list(builder.chunks([delta("output_text", 0, "d"), added(1, call(1)), completed(message("abcd"))]))
    assert [chunk["choices"] for chunk in rest] == [[]] * includes_usage


def test_stop_after_calls_keeps_the_calls_and_the_reasoning() -> None:
    events = [added(0, call(1, "{}")), done(1, THOUGHT), *streamed_text("abc", 1)]
    built = deltas(*events, stop=("b",))
    assert built[-1] == "tool_calls"
    assert [each["data"] for each in built[-2]["reasoning_details"]] == ["gAAA"]


# Restarts


def test_another_response_can_follow_before_any_output() -> None:
    builder = ChunkBuilder(ChatSettings(model="m"))
    first = list(builder.chunks([CREATED, added(0, message()), added(1, {"type": "reasoning", "id": "rs_1"})]))
    assert not builder.has_output
    builder.begin()
    other = {**CREATED, "response": {**RESPONSE, "id": "resp_2"}}
    second = list(builder.chunks([other, added(0, call(1)), completed(call(1))]))
    assert builder.has_output
    assert {chunk["id"] for chunk in (*first, *second)} == {"chatcmpl-1"}
    assert [chunk["choices"][0]["delta"].get("role") for chunk in (*first, *second)].count("assistant") == 1


@pytest.mark.parametrize(
    "event",
    [delta("output_text", 0, "a"), delta("refusal", 0, "a"), added(0, call(1))],
    ids=lambda event: event["type"],
)
def test_output_prevents_another_response(event: dict[str, Any]) -> None:
    builder = ChunkBuilder(ChatSettings(model="m"))
    list(builder.chunks([CREATED, event]))
    assert builder.has_output


def test_stream_and_completion_have_the_same_content() -> None:
    """Stream random responses with random losses, and compare the sum of the chunks with the completion."""
    generator = random.Random(7)
    for _ in range(300):
        settings = ChatSettings(model="m", shows_reasoning=True, stop=generator.choice([(), ("cc", "dbd")]))
        items: list[dict[str, Any]] = []
        events: list[dict[str, Any]] = [CREATED]
        for index in range(generator.randrange(4)):
            text = "".join(generator.choices("abcd", k=generator.randrange(9)))
            kind = generator.choice(["message", "call"])
            item = message(text, id=f"msg_{index}") if kind == "message" else call(index, text)
            items.append(item)
            sent = text[: generator.randrange(len(text) + 1)] if generator.random() < 0.5 else text
            if generator.random() < 0.8:
                events.append(added(index, {**item, "content": [], "arguments": ""}))
                name = "output_text" if kind == "message" else "function_call_arguments"
                events += [delta(name, index, character) for character in sent]
            events += [done(index, item)] if generator.random() < 0.9 or sent != text else []
        final = completed(*items)
        events.append(final)
        built = list(ChunkBuilder(settings).chunks(events))
        parts = [chunk["choices"][0] for chunk in built]
        expected = build_completion(final["response"], settings, account_id=None)["choices"][0]
        content = "".join(part["delta"].get("content", "") for part in parts)
        calls: dict[int, str] = {}
        for part in parts:
            for each in part["delta"].get("tool_calls", ()):
                calls[each["index"]] = calls.get(each["index"], "") + each["function"]["arguments"]
        assert content == (expected["message"]["content"] or "")
        # A call that only the last event has comes after the others.
        assert sorted(calls.values()) == sorted(
            each["function"]["arguments"] for each in expected["message"].get("tool_calls", ())
        )
        assert parts[-1]["finish_reason"] == expected["finish_reason"]


JUNK: list[Any] = [None, 0, -1, 2.5, True, "", "x", "response.completed", [], [[]], {}, {"a": 1}, ["x"], [{"text": 5}]]


def test_malformed_events_are_no_errors() -> None:
    generator = random.Random(3)

    def junk(value: Any) -> Any:
        """Replace members at random, at any depth."""
        if generator.random() < 0.15:
            return generator.choice(JUNK)
        if isinstance(value, dict):
            return {name: value[name] if name == "type" else junk(value[name]) for name in value}
        return [junk(each) for each in value] if isinstance(value, list) else value

    search = message("abc")
    search["content"][0]["annotations"] = [{"type": "url_citation", "start_index": 0, "end_index": 1, "url": "u"}]
    custom = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c", "name": "sh", "input": "ls"}
    events = [CREATED, *THINKING, *STREAMED, ARGUMENTS_DONE, added(3, custom), done(3, custom), done(4, search)]
    events += [completed(THOUGHT, LOOKING, search, call(1, "{}"), custom, service_tier="default")]
    for settings in (ChatSettings(model="m", shows_reasoning=True), ChatSettings(model="m", stop=("ab",))):
        for _ in range(150):
            built = list(ChunkBuilder(settings).chunks([{**event, **as_mapping(junk(event))} for event in events]))
            assert all(chunk["object"] == "chat.completion.chunk" for chunk in built)
            for chunk in built:
                if "custom" not in str(chunk):
                    ChatCompletionChunk.model_validate(chunk, strict=True)
