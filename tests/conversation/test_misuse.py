"""Mistakes of a caller are errors at once, and leave the history and the file as they were."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.jsonl"


@pytest.mark.parametrize(
    ("misuse", "error"),
    [
        (lambda conversation: conversation.rollback(1.5), TypeError),
        (lambda conversation: conversation.rollback([1]), TypeError),
        (lambda conversation: conversation.append({"type": ["message"]}), TypeError),
        (lambda conversation: conversation.append({"type": {"a": 1}, "role": "user"}), TypeError),
        (lambda conversation: conversation.append({}), TypeError),
        (lambda conversation: conversation.append(["good", {"content": "no role"}]), TypeError),
        (lambda conversation: conversation.send({"type": 5}), TypeError),
        (lambda conversation: conversation.export("xml"), ValueError),
    ],
)
def test_misuse_changes_nothing(client: Any, path: Path, misuse: Any, error: type[Exception]) -> None:
    with client.codex.conversation(path) as conversation:
        conversation.send("Say one")
        items, data = conversation.items, path.read_bytes()
        with pytest.raises(error):
            misuse(conversation)
        assert conversation.items == items
        assert path.read_bytes() == data
        assert conversation.send("Say two").output_text == "two"
        items = conversation.items
    with client.codex.load_conversation(path) as conversation:
        assert conversation.items == items


def test_redact_does_not_change_the_history(client: Any, path: Path) -> None:
    def redact(record: dict[str, Any]) -> dict[str, Any]:
        if record.get("type") == "item" and record["item"].get("role") == "user":
            record["item"]["content"][0]["text"] = "secret"
        return record

    with client.codex.conversation(path, redact=redact) as conversation:
        conversation.send("Say one")
        assert conversation.items[0]["content"][0]["text"] == "Say one"
    assert b"Say one" not in path.read_bytes()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_forgotten_conversation_releases_its_file(sim: Simulator, path: Path) -> None:
    with sim.client() as client:
        conversation: Any = client.codex.conversation(path)
        conversation.append("one")
        del conversation
        gc.collect()
        with client.codex.conversation(path) as conversation:
            assert len(conversation) == 1


def test_forgotten_stream_is_closed_at_once(sim: Simulator, path: Path) -> None:
    gc.disable()
    try:
        with sim.client(transport="http") as client, client.codex.conversation(path) as conversation:
            sim.script(Turn.text("one two three").stalled(after_events=9, seconds=30))
            stream = conversation.stream("hi")
            for event in stream:
                if event.type == "response.output_text.delta":
                    break
            del stream, event
            assert conversation.items[-1]["status"] == "incomplete"
            assert conversation.send("Say two").output_text == "two"
    finally:
        gc.enable()


def test_changing_an_event_does_not_change_the_history(sim: Simulator) -> None:
    def temperature() -> list[int]:
        """Return the temperature."""
        return [21]

    with sim.client(transport="http") as client, client.codex.conversation() as conversation:
        sim.script(Turn.call("temperature", {}), "warm")
        with conversation.run_stream("How warm?", tools=[temperature]) as stream:
            for event in stream:
                if event.type == "tool_call.finished":
                    event.item["output"] = "changed"
        assert [item["output"] for item in conversation.items if "output" in item] == ["[21]"]


@pytest.mark.parametrize(
    "line",
    [b'{"type":"item"}', b'{"type":"rollback","to":"x"}', b'{"type":"edit","drop":5}', b'{"type":"item","item":[1]}'],
)
def test_edited_record_is_skipped(client: Any, path: Path, line: bytes, caplog: Any) -> None:
    with client.codex.conversation(path) as conversation:
        conversation.send("Say one")
        items = conversation.items
    path.write_bytes(path.read_bytes() + line + b"\n")
    with client.codex.load_conversation(path) as conversation:
        assert conversation.items == items
        assert "Skipped a record" in caplog.text
        assert conversation.send("Say two").output_text == "two"
