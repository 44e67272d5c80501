"""What every turn looks for costs nothing in a history that does not have it."""

from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk.conversation.state import ConversationState


class CountingItem(dict[str, Any]):
    """An item that counts how often it is read."""

    reads = 0

    def get(self, name: str, default: Any = None) -> Any:
        CountingItem.reads += 1
        return super().get(name, default)


def state_of(*item_types: str) -> ConversationState:
    state = ConversationState()
    for item_type in item_types:
        state.apply({"type": "item", "item": CountingItem(type=item_type)})
    CountingItem.reads = 0
    return state


@pytest.mark.parametrize("copied", [False, True])
def test_search_for_an_unused_type_reads_no_items(copied: bool) -> None:
    state = state_of("reasoning", *["message"] * 50)
    state = state.copy() if copied else state
    assert state.positions("configuration_update", "compaction") == []
    assert CountingItem.reads == 0


def test_search_finds_each_of_the_types() -> None:
    state = state_of("message", "reasoning", "message", "configuration_update", "reasoning")
    assert state.positions("reasoning") == [1, 4]
    assert state.positions("configuration_update", "reasoning") == [1, 3, 4]


def test_copy_of_a_state_finds_types_added_later() -> None:
    state = state_of("message")
    copy = state.copy()
    copy.apply({"type": "item", "item": {"type": "configuration_update"}})
    assert (state.positions("configuration_update"), copy.positions("configuration_update")) == ([], [1])
    assert state._item_types == {"message"}
