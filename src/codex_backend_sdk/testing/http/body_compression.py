"""Compress a body chunk by chunk, so that each event can be read when it arrives."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ENCODINGS", "Encoder", "encoder"]

_GZIP_WINDOW_BITS = 31  # the largest window, and 16 for the frame of gzip


class Encoder(Protocol):
    """Turns chunks of a body into chunks of its encoded form."""

    def add(self, data: bytes) -> bytes:
        """Return bytes from which `data` can be read at once."""

    def end(self) -> bytes:
        """Return the last bytes."""


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.compressobj(wbits=_GZIP_WINDOW_BITS)

    def add(self, data: bytes) -> bytes:
        return self._inner.compress(data) + self._inner.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._inner.flush()


class _Zstd:
    def __init__(self) -> None:
        self._inner = zstandard.ZstdCompressor().compressobj()

    def add(self, data: bytes) -> bytes:
        return self._inner.compress(data) + self._inner.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def end(self) -> bytes:
        return self._inner.flush()


class _StoredBrotli:
    """Brotli without its compression: uncompressed meta-blocks (RFC 7932, 9.2), which need no package."""

    _LARGEST = 1 << 16

    def __init__(self) -> None:
        # Until it is sent, the one bit that stands for a window of 16 bits, which is 0, goes before the next block.
        self._bits_before = 1

    def add(self, data: bytes) -> bytes:
        blocks = (data[start : start + self._LARGEST] for start in range(0, len(data), self._LARGEST))
        return b"".join(self._block(block) for block in blocks)

    def end(self) -> bytes:
        return bytes((0b11 << self._bits_before,))  # ISLAST and ISLASTEMPTY

    def _block(self, data: bytes) -> bytes:
        # ISLAST 0, MNIBBLES 00 for four, MLEN - 1, ISUNCOMPRESSED 1, and zeros up to a whole byte.
        bits = ((len(data) - 1) << 3 | 1 << 19) << self._bits_before
        self._bits_before = 0
        return bits.to_bytes(3, "little") + data


ENCODINGS: dict[str, Callable[[], Encoder]] = {"gzip": _Gzip, "zstd": _Zstd, "br": _StoredBrotli}


def encoder(encoding: str) -> Encoder:
    """Return an encoder; ValueError names those that exist."""
    if encoding not in ENCODINGS:
        raise ValueError(f"No such encoding: {encoding}. Encodings: {', '.join(ENCODINGS)}")
    return ENCODINGS[encoding]()
