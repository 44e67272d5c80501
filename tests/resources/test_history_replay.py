"""Test that prepared histories are accepted where the same items are rejected as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk import HistoryError, InvalidEncryptedContentError, StreamInterruptedError, history
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

OLD, NEW = "gpt-6.1-sol", "gpt-6-luna"
ACCOUNT = "account"


@pytest.fixture
def items(client: Any) -> list[dict[str, Any]]:
    """A turn with encrypted reasoning, stamped."""
    question = {"role": "user", "content": "Why is the sky blue?"}
    response = client.responses.create(model=OLD, input=[question])
    assert [item.type for item in response.output] == ["reasoning", "message"]
    return history.stamp([question, *response.output], model=OLD, account_id=ACCOUNT)


def test_stamped_items_are_sent_without_stamps(
    client: Any, items: list[dict[str, Any]], bodies: Callable[[], list[dict[str, Any]]]
) -> None:
    client.responses.create(model=OLD, input=[*items, "And at sunset?"])
    (sent,) = [item for item in bodies()[-1]["input"] if item["type"] == "reasoning"]
    assert sent["encrypted_content"].startswith("gAAAA")
    assert "stamp" not in sent


def test_history_survives_a_switch_of_the_model(client: Any, items: list[dict[str, Any]]) -> None:
    with pytest.raises(InvalidEncryptedContentError):
        client.responses.create(model=NEW, input=[*items, "And at sunset?"])
    prepared = history.prepare([*items, "And at sunset?"], model=NEW, account_id=ACCOUNT)
    assert client.responses.create(model=NEW, input=prepared).status == "completed"


def test_history_without_reasoning_is_the_last_resort(client: Any, items: list[dict[str, Any]]) -> None:
    unstamped = [{name: value for name, value in item.items() if name != "stamp"} for item in items]
    with pytest.raises(InvalidEncryptedContentError):
        client.responses.create(model=NEW, input=history.prepare(unstamped, model=NEW))
    assert client.responses.create(model=NEW, input=history.without_reasoning(unstamped)).status == "completed"


def test_compaction_item_is_stamped_and_sent_to_another_model(client: Any, items: list[dict[str, Any]]) -> None:
    compacted = client.responses.compact(model=OLD, input=items)
    stamped = history.stamp(compacted.output, model=OLD, account_id=ACCOUNT)
    assert history.compaction_indexes(stamped) != []
    prepared = history.prepare([*stamped, "go on"], model=NEW, account_id=ACCOUNT)
    assert client.responses.create(model=NEW, input=prepared).status == "completed"
    with pytest.raises(HistoryError, match="another account"):
        history.prepare(stamped, model=NEW, account_id="another")


LONG_ID = "call:" + "x" * 80
USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
CALL = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "a", "output": "done"}
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
UPDATE = {"type": "configuration_update", "reasoning": {"effort": "low"}}


@pytest.mark.parametrize(
    "broken",
    [
        [{**CALL, "call_id": LONG_ID}, {**OUTPUT, "call_id": LONG_ID}],
        [MESSAGE, USER, MESSAGE],
        [{**MESSAGE, "id": "rs_1"}],
        [{**MESSAGE, "id": "msg_" + "x" * 61}],
        [CALL],
        [OUTPUT],
        [OUTPUT, CALL],
        [UPDATE, UPDATE, USER],
        [{"type": "item_reference", "id": "msg_1"}],
    ],
    ids=["long call id", "same id", "wrong id", "long id", "call", "output", "order", "updates", "reference"],
)
def test_rejected_history_is_accepted_after_preparation(client: Any, broken: list[dict[str, Any]]) -> None:
    items = [USER, *broken, USER]
    problems = history.validate(items)
    with pytest.raises(Exception, match=r"40[04]") as error:
        client.responses.create(model=OLD, input=items)
    index = history.failed_item_index(f"{getattr(error.value, 'param', '')} {error.value}", items)
    assert index is None or index in {problem.index for problem in problems}
    assert problems != []
    prepared = history.prepare(items, repair=True)
    assert client.responses.create(model=OLD, input=prepared).status == "completed"


def test_interrupted_response_leaves_a_valid_history(new_client: Callable[..., Any], sim: Simulator) -> None:
    client = new_client(codex_events=True)  # all events are counted
    turn = Turn.text("A long text, which comes in several events. " * 3)
    sim.script(turn)
    count = len(list(client.responses.create(model=OLD, input="hi", stream=True)))
    kept_types = []
    for cut_after in (2, count // 2, count - 1):
        sim.script(turn.cut_after_events(cut_after))
        events: list[Any] = []
        stream = client.responses.create(model=OLD, input="hi", stream=True)
        with pytest.raises(StreamInterruptedError):
            events.extend(event for event in stream)
        kept = history.finished_items(events)
        kept_types.append([item["type"] for item in kept])
        response = client.responses.create(model=OLD, input=history.prepare(["hi", *kept, "go on"]))
        assert response.status == "completed"
    assert kept_types == [[], [], ["message"]]
