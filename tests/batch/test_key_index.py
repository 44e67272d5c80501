"""Test the table of lines: what was set is found, also after growth and with equal slots."""

from __future__ import annotations

import random

from codex_backend_sdk.batch.key_index import Entry, KeyIndex


def test_unknown_id_has_no_entry() -> None:
    assert KeyIndex().get(7) is None


def test_entry_is_replaced() -> None:
    index = KeyIndex()
    index.set(7, Entry(1, 2))
    index.set(7, Entry(3, 4))
    assert (index.get(7), len(index)) == (Entry(3, 4), 1)


def test_ids_of_one_slot_are_kept_apart() -> None:
    index = KeyIndex()
    for number in range(5):
        index.set(9 + 1024 * number, Entry(number, number))
    assert [index.get(9 + 1024 * number) for number in range(5)] == [Entry(n, n) for n in range(5)]


def test_id_with_the_hash_zero_is_found() -> None:
    index = KeyIndex()
    index.set(0, Entry(0, 0))
    assert index.get(0) == Entry(0, 0)


def test_table_grows_and_keeps_all_entries() -> None:
    index, rng = KeyIndex(), random.Random(1)
    ids = [rng.getrandbits(64) for _ in range(20_000)]
    for number, id_hash in enumerate(ids):
        index.set(id_hash, Entry(id_hash, number))
    assert len(index) == 20_000
    assert all(index.get(id_hash) == Entry(id_hash, number) for number, id_hash in enumerate(ids))


def test_million_entries_take_at_most_100_megabytes() -> None:
    """The table doubles when it is two thirds full, and both sizes exist during that."""
    slots = 1024
    while slots * 2 / 3 < 1_000_000:
        slots *= 2
    assert slots * 24 * 1.5 < 100e6
    index = KeyIndex()
    for number in range(683):
        index.set(number + 1, Entry(0, 0))
    assert index.size_bytes == 2 * 1024 * 24
