"""Ctrl-C, or a cancellation, while a thread writes records: the history and the file stay the same.

`redact` is called in the thread that writes, so it can interrupt the caller at this moment.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator

pytestmark = pytest.mark.filterwarnings("error")


def interrupting(interrupt: Any, text: str) -> Any:
    """Return a `redact` function that interrupts the caller before it writes an item with this text."""

    def redact(record: dict[str, Any]) -> dict[str, Any]:
        if record.get("type") == "item" and text in str(record):
            interrupt()
            time.sleep(0.3)  # the caller does not wait for the thread, unless it should
        return record

    return redact


def saved_items(client: Any, path: Path) -> Any:
    with client.codex.load_conversation(path, read_only=True) as conversation:
        return list(conversation.items)


@pytest.mark.parametrize(
    ("text", "keep_partial", "left"),
    [
        ("the question", True, 0),
        ("the question", False, 0),
        ("the answer", False, 0),
        ("the answer", True, 2),
    ],
)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_interruption_leaves_no_half_turn(
    sim: Simulator, tmp_path: Path, text: str, keep_partial: bool, left: int, is_async: bool
) -> None:
    path = tmp_path / "c.jsonl"
    sim.script("one", "the answer")
    before: list[Any] = []
    after: list[Any] = []
    if is_async:

        async def main() -> None:
            loop = asyncio.get_running_loop()
            redact = interrupting(lambda: loop.call_soon_threadsafe(task.cancel), text)
            async with sim.async_client() as client, client.codex.conversation(path, redact=redact) as conversation:
                await conversation.send("Say one")
                before.extend(conversation.items)
                task = asyncio.create_task(conversation.send("the question", keep_partial=keep_partial))
                with pytest.raises(asyncio.CancelledError):
                    await task
                after.extend(conversation.items)

        asyncio.run(main())
    else:
        redact = interrupting(lambda: signal.raise_signal(signal.SIGINT), text)
        with sim.client() as client, client.codex.conversation(path, redact=redact) as conversation:
            conversation.send("Say one")
            before.extend(conversation.items)
            with pytest.raises(KeyboardInterrupt):
                conversation.send("the question", keep_partial=keep_partial)
            after.extend(conversation.items)
    assert after[: len(before)] == before
    assert len(after) - len(before) == left
    with sim.client() as client:
        assert saved_items(client, path) == after


def test_change_waits_for_its_thread(sim: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    redact = interrupting(lambda: signal.raise_signal(signal.SIGINT), "first")
    with sim.client() as client, client.codex.conversation(path, redact=redact) as conversation:
        with pytest.raises(KeyboardInterrupt):
            conversation.append("first")
        conversation.append("second")
        items = list(conversation.items)
        assert [item["content"][0]["text"] for item in items] == ["first", "second"]
    with sim.client() as client:
        assert saved_items(client, path) == items
