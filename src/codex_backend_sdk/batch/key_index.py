"""A table from line identities to positions in a file, for a million lines within 100 MB.

A line is identified by a 16-byte key: 8 bytes of the hash of its `custom_id`, and 8 bytes of the hash of its request.
The first half finds the entry, and the second half shows whether the request is still the same. An entry has 24 bytes:
the key, and a number that the caller chooses. The table uses open addressing with linear probing, and doubles when it
is two thirds full. Two of a million different ids have the same 8 bytes with a probability of 3 in 10⁸.

Pure: no I/O, clock or randomness.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

__all__ = ["Entry", "KeyIndex"]

_SLOT: Final = Struct("<QQQ")  # the hash of the id (0: the slot is empty), the hash of the request, the number
_INITIAL_SLOTS: Final = 1024  # a power of two


class Entry(NamedTuple):
    """What the table knows of a `custom_id`."""

    request_hash: int
    number: int


class KeyIndex:
    """A table of entries by the hash of a `custom_id`. `len()` is their number."""

    def __init__(self) -> None:
        self._slots = bytearray(_INITIAL_SLOTS * _SLOT.size)
        self._mask = _INITIAL_SLOTS - 1
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def size_bytes(self) -> int:
        """The memory of the table."""
        return len(self._slots)

    def get(self, id_hash: int) -> Entry | None:
        """Return the entry of an id, or None."""
        stored, request_hash, number = _SLOT.unpack_from(self._slots, self._offset(id_hash))
        return Entry(request_hash, number) if stored else None

    def set(self, id_hash: int, entry: Entry) -> None:
        """Add or replace the entry of an id."""
        offset = self._offset(id_hash)
        is_new = not _SLOT.unpack_from(self._slots, offset)[0]
        _SLOT.pack_into(self._slots, offset, id_hash or 1, *entry)
        if is_new:
            self._count += 1
            if self._count * 3 > (self._mask + 1) * 2:
                self._grow()

    def _offset(self, id_hash: int) -> int:
        """Return the offset of the entry of an id, or of the empty slot where it belongs."""
        id_hash = id_hash or 1
        slot = id_hash & self._mask
        while True:
            offset = slot * _SLOT.size
            stored = _SLOT.unpack_from(self._slots, offset)[0]
            if stored in (0, id_hash):
                return offset
            slot = (slot + 1) & self._mask

    def _grow(self) -> None:
        old = self._slots
        self._slots = bytearray(2 * len(old))
        self._mask = 2 * self._mask + 1
        for id_hash, request_hash, number in _SLOT.iter_unpack(old):
            if id_hash:
                _SLOT.pack_into(self._slots, self._offset(id_hash), id_hash, request_hash, number)
