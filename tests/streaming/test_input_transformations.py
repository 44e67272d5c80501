"""The reasoning items that the backend removed from the input are in the response, and in one line of the log."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from codex_backend_sdk.testing import Simulator, Turn

MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hello", "annotations": []}],
}
COMPACTION = {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}


def removed(number: int, reason: str) -> dict[str, Any]:
    return {"id": f"rs_{number}", "action": "removed", "reason": reason, "type": "reasoning"}


def turn(transformations: Any, *, in_snapshot: bool = False, item: dict[str, Any] = MESSAGE) -> Turn:
    added = {"input_transformations": transformations}
    created = {"id": "resp_1", "status": "in_progress", "output": [], **(added if in_snapshot else {})}
    completed = {"id": "resp_1", "status": "completed", "output": [], **({} if in_snapshot else added)}
    return Turn.events(
        [
            {"type": "response.created", "response": created},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": completed},
        ]
    )


def use_helper(client: Any) -> Any:
    with client.responses.stream(input="hi") as stream:
        return stream.get_final_response()


CALLS = {
    "create": lambda client: client.responses.create(input="hi"),
    "parse": lambda client: client.responses.parse(input="hi"),
    "stream": lambda client: list(client.responses.create(input="hi", stream=True))[-1].response,
    "helper": use_helper,
}


@pytest.mark.parametrize("in_snapshot", [False, True], ids=["in the terminal event", "in a snapshot"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_removed_reasoning_is_in_response_and_log(
    sim: Simulator, client: Any, caplog: pytest.LogCaptureFixture, call: Any, in_snapshot: bool
) -> None:
    entries = [removed(1, "model_mismatch"), removed(2, "turn_boundary"), removed(3, "model_mismatch")]
    sim.script(turn(entries, in_snapshot=in_snapshot))
    response = call(client)
    # The first supported versions of openai have no class for an entry.
    entries_of_response = response.to_dict()["input_transformations"]
    assert [(entry["id"], entry["reason"]) for entry in entries_of_response] == [
        ("rs_1", "model_mismatch"),
        ("rs_2", "turn_boundary"),
        ("rs_3", "model_mismatch"),
    ]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "The backend removed reasoning items from the input of this response: 2 for model_mismatch, 1 for "
        "turn_boundary. `response.input_transformations` lists them."
    )


def test_compacted_response_has_the_transformations(sim: Simulator, client: Any) -> None:
    sim.script(turn([removed(1, "prefix_mismatch")], item=COMPACTION))
    compacted = client.responses.compact(input="hi")
    assert compacted.input_transformations[0]["reason"] == "prefix_mismatch"


def test_removal_at_a_turn_boundary_is_no_warning(
    sim: Simulator, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sim.script(turn([removed(1, "turn_boundary")]))
    with caplog.at_level(logging.INFO, logger="codex_backend_sdk"):
        client.responses.create(input="hi")
    (record,) = (record for record in caplog.records if "removed reasoning" in record.getMessage())
    assert record.levelno == logging.INFO


# Values without a removed reasoning item, of valid and of invalid types.
OTHER_VALUES = [None, [], {}, "removed", [None, 5, {}], [{"type": "message", "action": "removed", "reason": "x"}]]
OTHER_VALUES += [[{"type": "reasoning", "action": "kept", "reason": "x"}]]


@pytest.mark.parametrize("value", OTHER_VALUES)
def test_other_values_are_kept_and_not_logged(
    sim: Simulator, client: Any, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    sim.script(turn(value))
    assert client.responses.create(input="hi").output_text == "hello"
    assert caplog.records == []


def test_new_reason_is_logged_without_secrets(sim: Simulator, client: Any, caplog: pytest.LogCaptureFixture) -> None:
    token = sim.personal_access_token()
    sim.script(turn([removed(1, f"new\n{token}"), removed(2, "new")]))
    response = client.responses.create(input="hi")
    assert len(response.input_transformations) == 2
    (record,) = caplog.records
    assert "1 for new" in record.getMessage()
    assert token not in record.getMessage()
    assert "\n" not in record.getMessage()


def test_response_without_the_member_is_unchanged(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert client.responses.create(input="hi").to_dict().get("input_transformations") is None
    assert caplog.records == []
