"""A conversation keeps what its calls send and receive. Both clients run every test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel

from codex_backend_sdk import ConversationError, HistoryError, OutputValidationError
from codex_backend_sdk.testing import SimulatedLimits, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


class Answer(BaseModel):
    number: int


def texts(items: list[dict[str, Any]]) -> list[str]:
    """The texts of messages, and the types of other items."""
    return [
        "".join(part["text"] for part in item["content"]) if item["type"] == "message" else item["type"]
        for item in items
    ]


def sent(bodies: Callable[[], list[dict[str, Any]]], index: int = -1) -> list[str]:
    return texts(bodies()[index]["input"])


@pytest.fixture
def conversation(client: Any) -> Any:
    return client.codex.conversation(instructions="Be brief.")


@pytest.mark.parametrize(
    "call",
    [
        lambda conversation, text: conversation.send(text),
        lambda conversation, text: conversation.stream(text).until_done(),
        lambda conversation, text: [list(stream := conversation.stream(text)), stream.response][-1],
    ],
    ids=["send", "stream", "events"],
)
def test_calls_continue_the_history(conversation: Any, bodies: Any, call: Any) -> None:
    assert call(conversation, "Say one").output_text == "one"
    assert call(conversation, "Say two").output_text == "two"
    assert texts(conversation.items) == ["Say one", "reasoning", "one", "Say two", "reasoning", "two"]
    assert sent(bodies) == ["Say one", "reasoning", "one", "Say two"]
    assert bodies()[1]["instructions"] == "Be brief."
    assert bodies()[0]["prompt_cache_key"] == bodies()[1]["prompt_cache_key"] == conversation.prompt_cache_key


def test_text_deltas_are_the_text(conversation: Any) -> None:
    with conversation.stream("Say one two three") as stream:
        pieces = list(stream.text_deltas())
        assert len(pieces) > 1
        assert "".join(pieces) == stream.response.output_text == "one two three"


def test_response_before_the_end_is_an_error(conversation: Any) -> None:
    with conversation.stream("Say one") as stream, pytest.raises(ConversationError, match="until_done"):
        _ = stream.response


def test_usage_is_summed(conversation: Any, sim: Simulator) -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 75},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 110,
    }
    sim.script(Turn.text("a", usage=usage), Turn.text("b", usage={**usage, "input_tokens": 300}))
    conversation.send("x")
    conversation.send("y")
    found = conversation.usage
    assert (found.responses, found.input_tokens, found.cached_tokens) == (2, 400, 150)
    assert (found.output_tokens, found.reasoning_tokens, found.total_tokens) == (20, 8, 420)
    assert conversation.cache_hit_ratio == 150 / 400


def test_changing_a_copy_of_the_items_changes_nothing(conversation: Any, bodies: Any) -> None:
    conversation.send("Say one")
    items = conversation.items
    items[0]["content"][0]["text"] = "changed"
    with pytest.raises(AttributeError):
        items.append({})
    conversation.send("Say two")
    assert sent(bodies) == ["Say one", "reasoning", "one", "Say two"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a", ["a"]),
        ({"role": "user", "content": "a"}, ["a"]),
        (["a", {"role": "user", "content": "b"}], ["a", "b"]),
        (("a" for _ in range(2)), ["a", "a"]),
        ([], []),
        (None, []),
    ],
    ids=["text", "item", "items", "iterator", "empty", "nothing"],
)
def test_input_may_have_many_forms(conversation: Any, given: Any, expected: list[str]) -> None:
    given = given if not hasattr(given, "gi_frame") else list(given) or ["a", "a"]
    conversation.append("first")
    conversation.append(given)
    assert texts(conversation.items) == ["first", *expected]


def test_official_objects_are_input(client: Any, conversation: Any, bodies: Any) -> None:
    response = client.responses.create(input="Say other")
    conversation.append("Say other")
    conversation.append(response)
    conversation.append(response.output[-1])
    conversation.send("Say one")
    assert sent(bodies) == ["Say other", "reasoning", "other", "Say one"]  # a repeated item is sent once


def test_none_continues_the_history(conversation: Any, bodies: Any) -> None:
    conversation.append("Say one")
    assert conversation.send().output_text == "one"
    assert sent(bodies) == ["Say one"]


@pytest.mark.parametrize("given", [None, "", [], ()])
def test_empty_input_without_a_history_is_an_error(conversation: Any, bodies: Any, given: Any) -> None:
    for call in (conversation.send, conversation.stream):
        with pytest.raises(ValueError, match="nothing to answer"):
            call(given)
    assert bodies() == []
    conversation.append("Say one")
    assert conversation.send(given).output_text == "one"


def test_parse_returns_the_model_and_keeps_the_text(conversation: Any) -> None:
    assert isinstance(conversation.parse("?", text_format=Answer).output_parsed, Answer)
    assert texts(conversation.items)[0] == "?"


def test_text_that_does_not_match_stays_in_the_history(conversation: Any, sim: Simulator, bodies: Any) -> None:
    sim.script("no JSON")
    with pytest.raises(OutputValidationError):
        conversation.parse("?", text_format=Answer)
    conversation.send("Say one")
    assert sent(bodies) == ["?", "no JSON", "Say one"]


def test_settings_are_sent_with_every_call(client: Any, bodies: Any) -> None:
    conversation = client.codex.conversation(
        model="gpt-5.5", tools=[WEATHER], effort="high", verbosity="low", tool_choice="none", service_tier="priority"
    )
    for _ in range(2):
        conversation.send("hi")
        body = bodies()[-1]
        assert (body["model"], body["tools"], body["tool_choice"]) == ("gpt-5.5", [WEATHER], "none")
        assert (body["reasoning"], body["text"]) == ({"effort": "high"}, {"verbosity": "low"})
        assert body["service_tier"] == "priority"


def test_parameters_of_a_call_apply_to_this_call(conversation: Any, bodies: Any) -> None:
    conversation.send("hi", text={"verbosity": "high"}, extra_headers={"x-own": "1"})
    conversation.send("hi")
    assert [body.get("text") for body in bodies()] == [{"verbosity": "high"}, None]


@pytest.mark.parametrize("name", ["model", "tools", "stream", "previous_responses"])
def test_parameter_that_a_call_cannot_have_is_rejected(conversation: Any, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        conversation.send("hi", **{name: "x"})
    assert len(conversation) == 0


def test_fork_continues_alone_with_the_same_cache(conversation: Any, bodies: Any) -> None:
    conversation.send("Say one")
    fork = conversation.fork()
    fork.send("Say two")
    conversation.send("Say three")
    assert sent(bodies, 1) == ["Say one", "reasoning", "one", "Say two"]
    assert sent(bodies, 2) == ["Say one", "reasoning", "one", "Say three"]
    assert fork.prompt_cache_key == conversation.prompt_cache_key
    assert fork.instructions == "Be brief."


@pytest.mark.parametrize(("characters", "auto_compact"), [(1_000_000, True), (8_000, 1_000), (8_000, True)])
def test_long_history_may_precede_the_first_call(client: Any, bodies: Any, characters: int, auto_compact: Any) -> None:
    """It is compacted with the model of the conversation: there is no former one."""
    conversation = client.codex.conversation(model="gpt-5.5", auto_compact=auto_compact)  # it has 272,000 tokens
    conversation.append(["x" * characters, {"role": "assistant", "content": [{"type": "output_text", "text": "y"}]}])
    assert conversation.send("Say one").output_text == "one"
    assert conversation.usage.compactions == (characters / 4 > (244_800 if auto_compact is True else auto_compact))
    assert {body["model"] for body in bodies()} == {conversation.model}


# --- failures and interruptions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["overloaded", "usage_limit", "html", "reset"])
def test_failed_call_leaves_the_history(conversation: Any, sim: Simulator, bodies: Any, fault: str) -> None:
    conversation.send("Say one")
    before = conversation.items
    sim.fail(fault)
    with pytest.raises(openai.OpenAIError):
        conversation.send("Say two")
    assert conversation.items == before
    sim.limits = SimulatedLimits()
    conversation.send("Say two")
    assert sent(bodies) == ["Say one", "reasoning", "one", "Say two"]


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "phase": "commentary",
    "content": [{"type": "output_text", "text": "one", "annotations": []}],
}
CREATED = {"type": "response.created", "response": {"id": "resp_1", "object": "response", "status": "in_progress"}}


def added(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(index: int, text: str) -> dict[str, Any]:
    where = {"output_index": index, "content_index": 0, "item_id": "msg_1", "logprobs": []}
    return {"type": "response.output_text.delta", "delta": text, **where}


CUTS: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "nothing": ([CREATED], []),
    "reasoning alone": ([CREATED, done(0, REASONING)], []),
    "reasoning before an unfinished call": ([CREATED, done(0, REASONING), added(1, CALL)], []),
    "reasoning before an unfinished text": (
        [CREATED, done(0, REASONING), added(1, MESSAGE), delta(1, "on"), delta(1, "e")],
        ["hi", "one"],
    ),
    "finished message": ([CREATED, done(0, REASONING), done(1, MESSAGE)], ["hi", "reasoning", "one"]),
    "finished call": (
        [CREATED, done(0, REASONING), done(1, CALL), added(2, MESSAGE)],
        ["hi", "reasoning", "function_call", "function_call_output"],
    ),
}


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("keep", [True, False])
def test_cut_response_leaves_what_can_be_sent(client: Any, sim: Simulator, bodies: Any, name: str, keep: bool) -> None:
    events, expected = CUTS[name]
    conversation = client.codex.conversation(keep_partial=keep)
    sim.script(events)
    with pytest.raises(openai.APIConnectionError):
        conversation.send("hi")
    found = conversation.items
    assert texts(found) == (expected if keep else [])
    if keep and name == "reasoning before an unfinished text":
        assert (found[1]["status"], found[1]["phase"]) == ("incomplete", "commentary")
        assert "id" not in found[1]
    if "reasoning" in texts(found):
        return  # the simulator rejects the encrypted content of this test
    assert conversation.send("Say two").output_text == "two"
    assert sent(bodies) == [*texts(found), "Say two"]


def test_leaving_a_stream_keeps_its_text(conversation: Any, bodies: Any) -> None:
    with conversation.stream("Say one two three four") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                first = event.delta
                break
    assert texts(conversation.items) == ["Say one two three four", first]
    conversation.send("Say five")
    assert sent(bodies) == ["Say one two three four", first, "Say five"]


def test_leaving_a_stream_at_its_last_event_is_no_interruption(conversation: Any) -> None:
    with conversation.stream("Say one") as stream:
        for event in stream:
            if event.type == "response.completed":
                break
    assert texts(conversation.items) == ["Say one", "reasoning", "one"]
    assert conversation.usage.responses == 1


def test_second_call_during_a_stream_is_an_error(conversation: Any) -> None:
    with conversation.stream("Say one") as stream:
        next(iter(stream))
        for call in (lambda: conversation.send("Say two"), lambda: conversation.append("x")):
            with pytest.raises(ConversationError, match="Another call"):
                call()
        stream.until_done()
    assert texts(conversation.items) == ["Say one", "reasoning", "one"]


def test_closed_conversation_is_an_error(client: Any) -> None:
    with client.codex.conversation() as conversation:
        conversation.send("Say one")
    with pytest.raises(ConversationError, match="closed"):
        conversation.send("Say two")


def test_restarted_stream_is_in_the_history_once(new_client: Any, sim: Simulator) -> None:
    client = new_client(max_retries=1, on_interrupt="restart", transport="http")
    conversation = client.codex.conversation()
    sim.script([CREATED, done(0, MESSAGE), added(1, MESSAGE), delta(1, "x")])
    conversation.send("Say two")
    assert texts(conversation.items) == ["Say two", "reasoning", "two"]


# --- calls of tools --------------------------------------------------------------------------------------------------


def test_call_without_output_is_named(conversation: Any, sim: Simulator) -> None:
    sim.script("fine", Turn.call("get_weather", {}, call_id="call_7"))
    conversation.send("a")
    conversation.send("b")
    assert [call["call_id"] for call in conversation.pending_calls] == ["call_7"]
    with pytest.raises(HistoryError, match=r"call_7.*has no output") as caught:
        conversation.send("c")
    assert caught.value.indexes == (3,)
    assert texts(conversation.items) == ["a", "fine", "b", "function_call"]


@pytest.mark.parametrize("by_setting", [True, False])
def test_call_without_output_is_repaired(client: Any, sim: Simulator, bodies: Any, by_setting: bool) -> None:
    conversation = client.codex.conversation(repair=by_setting)
    sim.script(Turn.call("get_weather", {}, call_id="call_7"))
    conversation.send("a")
    if not by_setting:
        conversation.repair()
    conversation.send("Say b")
    assert sent(bodies) == ["a", "function_call", "function_call_output", "Say b"]
    assert conversation.pending_calls == []


def test_output_of_a_call_continues_the_history(client: Any, bodies: Any) -> None:
    conversation = client.codex.conversation(tools=[WEATHER], repair=True)
    (call,) = [item for item in conversation.send("Weather?").output if item.type == "function_call"]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    assert "sunny" in conversation.send([output]).output_text
    assert sent(bodies) == ["Weather?", "reasoning", "function_call", "function_call_output"]


# --- earlier histories -----------------------------------------------------------------------------------------------


def test_rollback_removes_the_last_turn(conversation: Any, bodies: Any) -> None:
    conversation.send("Say one")
    conversation.send("Say two")
    conversation.rollback()
    conversation.send("Say three")
    assert sent(bodies) == ["Say one", "reasoning", "one", "Say three"]


@pytest.mark.parametrize("how", ["items", "response", "previous_response_id"])
def test_rollback_reaches_any_response(conversation: Any, bodies: Any, how: str) -> None:
    first = conversation.send("Say one")
    second = conversation.send("Say two")
    if how == "previous_response_id":
        conversation.send("Say three", previous_response_id=first.id)
    else:
        conversation.rollback(first.id if how == "response" else 3)
        assert conversation.last_response_id == first.id
        conversation.send("Say three")
    assert sent(bodies) == ["Say one", "reasoning", "one", "Say three"]
    conversation.send("Say four", previous_response_id=second.id)  # what was rolled back is not lost
    assert sent(bodies)[-4:] == ["Say two", "reasoning", "two", "Say four"]


def test_failed_call_restores_what_it_rolled_back(conversation: Any, sim: Simulator) -> None:
    first = conversation.send("Say one")
    conversation.send("Say two")
    before = conversation.items
    sim.fail("overloaded")
    with pytest.raises(openai.OpenAIError):
        conversation.send("Say three", previous_response_id=first.id)
    assert conversation.items == before


@pytest.mark.parametrize("to", ["resp_other", 7, -1])
def test_rollback_to_an_unknown_place_is_an_error(conversation: Any, to: Any) -> None:
    conversation.send("Say one")
    with pytest.raises(ValueError, match=r"resp_other|from 0 to 3"):
        conversation.rollback(to)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"store": True}, "keeps them"),
        ({"stream": True}, r"Call `stream\(\)`"),
        ({"instruction": "x"}, "Did you mean `instructions`"),
        ({"tools": [print]}, r"`conversation\.run\(input, tools="),
        ({"tools": {"type": "web_search"}}, "must be a list"),
        ({"on_compaction": 5}, "must be a synchronous function"),
    ],
)
def test_invalid_option_names_the_remedy(client: Any, options: dict[str, Any], remedy: str) -> None:
    with pytest.raises(TypeError, match=remedy):
        client.codex.conversation(**options)
