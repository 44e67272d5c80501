"""Compaction, and switches of the model, the account and the effort. Both clients run every test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from conversation.test_conversation import sent, texts

from codex_backend_sdk import CompactionError, ContextLengthExceededError, ConversationError
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

TOO_LONG = Turn.failed("context_length_exceeded")
REJECTED = Turn.failed("invalid_encrypted_content")


def usage(total: int) -> dict[str, Any]:
    return {"input_tokens": total - 10, "output_tokens": 10, "total_tokens": total}


@pytest.fixture
def conversation(client: Any) -> Any:
    return client.codex.conversation(instructions="Be brief.")


def test_compaction_keeps_the_messages_of_the_user(conversation: Any, bodies: Any) -> None:
    conversation.append({"role": "developer", "content": "Use metric units."})
    conversation.send("Say one")
    conversation.send("Say two")
    conversation.compact()
    assert texts(conversation.items) == ["Use metric units.", "Say one", "Say two", "compaction"]
    assert bodies()[-1]["input"][-1] == {"type": "compaction_trigger"}
    assert bodies()[-1]["instructions"] == "Be brief."
    assert conversation.usage.compactions == 1
    assert conversation.usage.responses == 2
    conversation.send("Say three")
    assert sent(bodies) == ["Use metric units.", "Say one", "Say two", "compaction", "Say three"]
    assert all("id" not in item for item in bodies()[-1]["input"] if item["type"] == "message")


def test_history_near_the_limit_is_compacted_before_the_call(client: Any, sim: Simulator, bodies: Any) -> None:
    events: list[Any] = []
    conversation = client.codex.conversation(model="gpt-5.5", on_compaction=events.append)
    sim.script(Turn.text("one", usage=usage(250_000)))  # of 272,000
    conversation.send("first")
    conversation.send("Say two")
    assert sent(bodies, 1) == ["first", "one", "compaction_trigger"]
    assert sent(bodies) == ["first", "compaction", "Say two"]
    (event,) = events
    assert (event.trigger, event.items_before, event.items_after) == ("limit", 3, 3)
    assert event.tokens_before >= 250_000 > event.tokens_after


@pytest.mark.parametrize(
    ("auto_compact", "total", "compactions"),
    [(True, 240_000, 0), (False, 271_000, 0), (1_000, 2_000, 1), (1_000, 500, 0)],
)
def test_auto_compact_sets_the_limit(
    client: Any, sim: Simulator, auto_compact: Any, total: int, compactions: int
) -> None:
    conversation = client.codex.conversation(auto_compact=auto_compact, model="gpt-5.5")
    sim.script(Turn.text("one", usage=usage(total)))
    conversation.send("first")
    conversation.send("Say two")
    assert conversation.usage.compactions == compactions


def test_too_long_history_is_compacted_once(conversation: Any, sim: Simulator, bodies: Any) -> None:
    conversation.send("Say one")
    sim.script(TOO_LONG)
    assert conversation.send("Say two").output_text == "two"
    assert sent(bodies) == ["Say one", "compaction", "Say two"]
    assert texts(conversation.items)[-1] == "two"


def test_history_that_stays_too_long_is_an_error(conversation: Any, sim: Simulator) -> None:
    conversation.send("Say one")
    sim.script(TOO_LONG, Turn.default(), TOO_LONG)
    with pytest.raises(ContextLengthExceededError):
        conversation.send("Say two")
    assert texts(conversation.items) == ["Say one", "compaction"]


def test_first_message_that_is_too_long_is_an_error(conversation: Any, sim: Simulator) -> None:
    sim.script(TOO_LONG)
    with pytest.raises(ContextLengthExceededError):
        conversation.send("Say two")
    assert len(conversation) == 0


def test_compaction_that_is_too_long_omits_tool_outputs(conversation: Any, sim: Simulator, bodies: Any) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "read", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "x" * 5000}
    conversation.append(["read it", call, output])
    sim.script(TOO_LONG)
    conversation.compact()
    first, second = (body["input"][2]["output"] for body in bodies())
    assert (len(first), second[:8]) == (5000, "[omitted")
    sim.script(TOO_LONG, TOO_LONG)
    before = conversation.items
    with pytest.raises(CompactionError, match="trim"):
        conversation.compact()
    assert conversation.items == before


@pytest.mark.parametrize("fault", ["overloaded", "reset"])
def test_failed_compaction_changes_nothing(conversation: Any, sim: Simulator, fault: str) -> None:
    conversation.send("Say one")
    before = conversation.items
    sim.fail(fault)
    with pytest.raises(openai.OpenAIError):
        conversation.compact()
    assert conversation.items == before
    assert conversation.send("Say two").output_text == "two"


def test_response_without_a_compaction_item_is_an_error(conversation: Any, sim: Simulator) -> None:
    conversation.send("Say one")
    before = conversation.items
    sim.script("no compaction")
    with pytest.raises(CompactionError, match="0 compaction items"):
        conversation.compact()
    assert conversation.items == before


def test_compaction_during_tool_calls_keeps_the_open_turn(client: Any, sim: Simulator, bodies: Any) -> None:
    """The effects of tools that ran in this turn stay visible, so that the model does not repeat them."""
    conversation = client.codex.conversation(auto_compact=100_000)
    conversation.send("Say one " * 200)
    sim.script(
        Turn.items(
            {"type": "function_call", "call_id": "call_1", "name": "pay", "arguments": "{}"}, usage=usage(120_000)
        )
    )
    conversation.send("Pay 5 euros")
    conversation.send({"type": "function_call_output", "call_id": "call_1", "output": "paid"})
    assert sent(bodies)[1:] == ["compaction", "Pay 5 euros", "function_call", "function_call_output"]


def test_compaction_that_saves_little_is_no_loop(client: Any, sim: Simulator) -> None:
    conversation = client.codex.conversation(auto_compact=1_000)
    conversation.append({"role": "developer", "content": "x" * 8_000})
    for number in ("one", "two", "three", "four"):
        assert conversation.send(f"Say {number}").output_text == number
    assert conversation.usage.compactions <= 1
    conversation.send("x" * 4_000)
    conversation.send("Say five")
    assert conversation.usage.compactions == 2
    conversation.compact()  # the user may


def test_compaction_leaves_room_below_its_limit(client: Any) -> None:
    conversation = client.codex.conversation(auto_compact=8_000)
    for number in range(24):
        conversation.append("x" * 4_000)
        conversation.send(f"Say {number}")
    assert 3 <= conversation.usage.compactions <= 9
    assert conversation.context_tokens < 10_000


@pytest.mark.parametrize("value", [0, -1, 999, 0.9, "x", None])
def test_invalid_limit_of_compaction_is_an_error(client: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"auto_compact.*1,000"):
        client.codex.conversation(auto_compact=value)


def test_compaction_is_undone_by_a_rollback(conversation: Any, bodies: Any) -> None:
    first = conversation.send("Say one")
    conversation.send("Say two")
    conversation.compact()
    conversation.rollback(first.id)
    conversation.send("Say three")
    assert sent(bodies) == ["Say one", "reasoning", "one", "Say three"]


# --- switches --------------------------------------------------------------------------------------------------------


def test_reasoning_of_another_model_is_not_sent(conversation: Any, bodies: Any) -> None:
    conversation.send("Say one")
    conversation.model = "gpt-5.5"
    assert conversation.send("Say two").output_text == "two"
    assert bodies()[-1]["model"] == "gpt-5.5"
    assert sent(bodies) == ["Say one", "one", "Say two"]
    assert [item["stamp"]["model"] for item in conversation.items if "stamp" in item] == ["gpt-6.1-terra", "gpt-5.5"]


def test_history_is_compacted_before_a_smaller_model(client: Any, sim: Simulator, bodies: Any) -> None:
    conversation = client.codex.conversation(model="gpt-6.1-terra")  # 500,000 tokens
    sim.script(Turn.text("one", usage=usage(300_000)))
    conversation.send("first")
    conversation.model = "gpt-5.5"  # 272,000 tokens
    conversation.send("Say two")
    assert [body["model"] for body in bodies()] == ["gpt-6.1-terra", "gpt-6.1-terra", "gpt-5.5"]
    assert sent(bodies) == ["first", "compaction", "Say two"]


def test_rejected_reasoning_is_left_out_once(conversation: Any, sim: Simulator, bodies: Any) -> None:
    conversation.send("Say one")
    sim.script(REJECTED)
    assert conversation.send("Say two").output_text == "two"
    assert sent(bodies) == ["Say one", "one", "Say two"]


def test_rejected_compaction_gives_way_to_its_items(conversation: Any, sim: Simulator, bodies: Any) -> None:
    conversation.send("Say one")
    conversation.compact()
    sim.script(REJECTED)
    assert conversation.send("Say two").output_text == "two"
    assert sent(bodies) == ["Say one", "reasoning", "one", "Say two"]


def test_rejection_that_remains_is_an_error(conversation: Any, sim: Simulator) -> None:
    conversation.send("Say one")
    sim.script(REJECTED, REJECTED)
    with pytest.raises(openai.BadRequestError):
        conversation.send("Say two")
    assert texts(conversation.items)[0] == "Say one"
    assert "Say two" not in texts(conversation.items)


def test_rejected_reasoning_is_not_compacted(conversation: Any, sim: Simulator, bodies: Any) -> None:
    conversation.send("Say one")
    sim.script(REJECTED)
    conversation.compact()
    assert sent(bodies) == ["Say one", "one", "compaction_trigger"]
    sim.script(REJECTED, REJECTED)
    with pytest.raises(openai.BadRequestError):
        conversation.compact()
    assert conversation.send("Say two").output_text == "two"


def test_compaction_of_another_account_gives_way(client: Any, tmp_path: Any, bodies: Any) -> None:
    path = tmp_path / "chat.jsonl"
    with client.codex.conversation(path) as conversation:
        conversation.send("Say one")
        conversation.compact()
    path.write_text(path.read_text().replace('"account_id":"acc-', '"account_id":"other-'))
    with client.codex.load_conversation(path) as conversation:
        assert conversation.send("Say two").output_text == "two"
    assert sent(bodies) == ["Say one", "one", "Say two"]


def test_effort_changes_by_an_item_if_the_model_supports_it(client: Any, bodies: Any) -> None:
    conversation = client.codex.conversation(model="gpt-6.1-terra", effort="low")
    conversation.send("Say one")
    conversation.effort = "high"
    conversation.send("Say two")
    conversation.send("Say three")
    assert [body["reasoning"] for body in bodies()] == [{"effort": "low"}] * 3
    updates = [item for item in bodies()[-1]["input"] if item["type"] == "configuration_update"]
    assert updates == [{"type": "configuration_update", "reasoning": {"effort": "high"}}]


@pytest.mark.parametrize("effort", ["high", None])
def test_effort_changes_by_the_parameter_otherwise(client: Any, bodies: Any, effort: str | None) -> None:
    conversation = client.codex.conversation(model="gpt-5.5", effort="low")
    conversation.send("Say one")
    conversation.effort = effort
    conversation.send("Say two")
    assert bodies()[-1].get("reasoning") == (None if effort is None else {"effort": effort})
    assert "configuration_update" not in sent(bodies)


def test_switched_model_gets_the_effort_as_parameter(client: Any, bodies: Any) -> None:
    conversation = client.codex.conversation(model="gpt-6.1-terra", effort="low")
    conversation.send("Say one")
    conversation.effort = "high"
    conversation.send("Say two")
    conversation.model = "gpt-5.5"
    conversation.send("Say three")
    assert bodies()[-1]["reasoning"] == {"effort": "high"}
    assert "configuration_update" not in sent(bodies)


def test_model_auto_is_chosen_once(client: Any, bodies: Any) -> None:
    conversation = client.codex.conversation(model="auto", instructions="")
    conversation.send("Say one")
    assert conversation.send("Say two").output_text == "two"
    assert sent(bodies) == ["Say one", "reasoning", "one", "Say two"]
    assert conversation.items[1]["stamp"]["model"] == bodies()[0]["model"]


# --- sizes -----------------------------------------------------------------------------------------------------------

IMAGE = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 4000}


def test_trimming_removes_the_oldest_turns(conversation: Any, bodies: Any) -> None:
    conversation.append({"role": "developer", "content": "Use metric units."})
    for number in ("one", "two", "three"):
        conversation.send(f"Say {number}")
    conversation.trim(max_bytes=conversation.size_bytes - 100)
    assert texts(conversation.items)[:2] == ["Use metric units.", "Say two"]
    conversation.trim(max_tokens=200)
    conversation.send("Say four")
    assert sent(bodies) == ["Use metric units.", "Say three", "reasoning", "three", "Say four"]


def test_trimming_replaces_older_images(conversation: Any) -> None:
    text = {"type": "input_text", "text": "Say one"}
    conversation.append({"role": "user", "content": [text, IMAGE]})
    conversation.append({"role": "assistant", "content": "one"})
    conversation.append({"role": "user", "content": [text, IMAGE]})
    before = conversation.size_bytes
    conversation.trim(image_turns=1)
    assert texts(conversation.items[:1]) == ["Say one[omitted image]"]
    assert conversation.items[2]["content"][1] == IMAGE
    assert before - conversation.size_bytes > 3900


def test_trimming_below_the_last_turn_is_an_error(conversation: Any) -> None:
    conversation.send("Say one")
    before = conversation.items
    with pytest.raises(ConversationError, match="last turn alone"):
        conversation.trim(max_tokens=1)
    assert conversation.items == before


def test_rejected_item_is_named(conversation: Any) -> None:
    conversation.append(["Say one", {"role": "user", "content": [{"type": "strange"}]}])
    with pytest.raises(openai.BadRequestError) as caught:
        conversation.send("Say two")
    (note,) = caught.value.__notes__
    assert "`input[1]` is `conversation.items[1]` (message user)" in note
    conversation.rollback(to=1)
    assert conversation.send().output_text == "one"


def test_export_is_complete_after_a_compaction(conversation: Any) -> None:
    conversation.send("Say one")
    conversation.compact()
    text = conversation.export()
    assert "Say one" in text
    assert "one" in text.split("Say one", 1)[1]
    assert len(json.loads(conversation.export("json"))["records"]) > 4


def test_websocket_sends_new_items_only(new_client: Any) -> None:
    conversation = new_client(transport="websocket").codex.conversation()
    for number in ("one", "two", "three"):
        assert conversation.send(f"Say {number}").output_text == number
    assert sum(conversation.full_replays.values()) == 1
    conversation.rollback()
    conversation.send("Say four")
    assert conversation.full_replays["changed: input"] == 1
    conversation.close()
