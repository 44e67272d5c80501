"""Buffer a response body up to a limit. Pure.

Servers may compress a gigabyte to a few kilobytes, or send data without end. Every body that is kept in memory as a
whole is read through `BodyBuffer`: those of the backend, of the issuer and of the workspace lookup. httpx2 decompresses
in steps of at most 1 MB, so the limit also applies within one compressed chunk.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_BODY_BYTES", "BodyBuffer", "BodyTooLargeError"]

# The model catalog, the largest body, has less than one megabyte.
MAX_BODY_BYTES: Final = 16_000_000


class BodyTooLargeError(ValueError):
    """The body has more bytes than the limit of its buffer. The message is a clause without a subject."""


class BodyBuffer:
    """Buffer for a body of at most `max_bytes`."""

    def __init__(self, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._body = bytearray()

    def __bytes__(self) -> bytes:
        return bytes(self._body)

    def add(self, chunk: bytes) -> None:
        """Add a chunk. Raises BodyTooLargeError, without adding it, if the body becomes too large."""
        if len(self._body) + len(chunk) > self._max_bytes:
            raise BodyTooLargeError(f"is larger than {self._max_bytes:,} bytes")
        self._body += chunk
