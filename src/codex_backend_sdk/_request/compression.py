"""Request bodies compressed with zstd, and what happens where something on the way cannot read them.

The backend takes them (the Codex CLI sends nothing else), but some middleboxes do not. So the first refusal of a
compressed body is answered with the same request in plain: if that is taken, this client sends plain bodies from then
on. A compressed body that was taken once settles the question the other way.
Level and threshold are measured: level 1 halves a history at 100 MB/s and more; below 4 KiB it saves no packet.
"""

from __future__ import annotations

import logging
import sys
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    import httpx2

__all__ = ["Compression", "plain_body"]

_log = logging.getLogger("codex_backend_sdk")

_LEVEL: Final = 1
_THRESHOLD_BYTES: Final = 4096
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1; no JSON begins with it
# The answers that may be about the encoding of a body and not about what it says.
_MOST_DOUBTS: Final = 2  # refused twice in either form: it is not about the form
_DOUBTFUL: Final = frozenset({400, 403, 406, 411, 413, 415, 422, 501})


class Compression:
    """Whether the requests of one client, and of its copies, are compressed."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self._is_proved = False
        self._doubts = 0

    def apply(self, pieces: Iterator[bytes]) -> tuple[bytes, dict[str, str]]:
        """Return the body to send and the headers that say how it is encoded."""
        first = next(pieces)
        if not self.enabled or len(first) < _THRESHOLD_BYTES:
            plain = BytesIO()  # hands out what it holds without a copy
            plain.writelines(chain([first], pieces))
            return plain.getvalue(), {}
        return _compressed(first, pieces), {"Content-Encoding": "zstd"}

    def is_doubted(self, request: httpx2.Request, response: httpx2.Response) -> bool:
        """Whether this answer asks for another try with a plain body; an answer that does not settles the matter."""
        if request.headers.get("Content-Encoding") != "zstd":
            return False
        if response.is_success:
            self._is_proved = True
        return not self._is_proved and self._doubts < _MOST_DOUBTS and response.status_code in _DOUBTFUL

    def judge(self, plain_response: httpx2.Response, *, refused: int) -> None:
        """Learn from the answer to the plain body, when the compressed one was refused with this status."""
        # Another failure of the plain body says nothing: what refused the compressed one may have let it pass.
        self._doubts += plain_response.status_code == refused
        if plain_response.is_success:
            self.enabled = False
            _log.info("Something on the way to the backend refuses zstd; this client sends plain bodies from now on.")


def _compressed(first: bytes, following: Iterator[bytes]) -> bytes:
    zstd = _zstd()
    second = next(following, None)
    if second is None:  # two thirds of the time, where the length is known before
        return bytes(zstd.compress(first, level=_LEVEL))
    compressor = zstd.ZstdCompressor(level=_LEVEL)
    compressed = BytesIO()
    compressed.writelines(map(compressor.compress, chain((first, second), following)))
    compressed.write(compressor.flush())
    return compressed.getvalue()


def plain_body(request: httpx2.Request) -> bytes:
    """Return the body of a request as it was before it was compressed, if it was."""
    content: bytes = request.content
    return bytes(_zstd().decompress(content)) if content.startswith(_ZSTD_MAGIC) else content


def _zstd() -> ModuleType:
    # Loaded when the first long body is sent: it takes longer than all of an ordinary short request.
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
