"""The format of the changes of a request, in the header and in the log."""

from __future__ import annotations

from codex_backend_sdk.server.changes import Change, changes_header, changes_text

DROPPED = [Change("dropped", "temperature"), Change("dropped", "seed")]
REPLACED = Change("replaced", "reasoning_effort minimal by low")


def test_header_names_the_action_in_each_entry() -> None:
    header = changes_header([*DROPPED, REPLACED, DROPPED[0]])
    assert header == "dropped temperature, dropped seed, replaced reasoning_effort minimal by low"
    assert changes_header([]) == ""


def test_header_has_only_valid_characters() -> None:
    changes = [Change("dropped", name) for name in ("x\r\ny: 1", "ä", "a,b")]
    assert changes_header(changes) == "dropped x__y: 1, dropped _, dropped a_b"


def test_header_is_bounded() -> None:
    assert changes_header(Change("dropped", str(number)) for number in range(45)).endswith("dropped 39, and 5 more")
    assert len(changes_header([Change("dropped", "n" * 1000)])) == 80


def test_text_groups_changes_of_a_kind() -> None:
    assert changes_text(DROPPED) == "dropped temperature, seed"
    changes = [DROPPED[0], REPLACED, Change("repaired", "input[3]"), *DROPPED]
    expected = "dropped temperature, seed; repaired input[3]; replaced reasoning_effort minimal by low"
    assert changes_text(changes) == expected
