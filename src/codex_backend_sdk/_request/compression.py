"""Request bodies compressed with zstd, and the fallback where a middlebox cannot read them.

The Codex CLI sends every body compressed, so the backend reads them, but some proxies do not. The first time that a
compressed body is rejected with a status that may be about its encoding, the same body is sent uncompressed. If that
succeeds, this client and its copies stop compressing; once any compressed body was accepted, the question is settled.

Level and threshold are measured: level 1 halves a history at 100 MB/s and more, level 3 takes twice the time for a tenth
less; below 4 KiB compression saves no packet.
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

__all__ = ["Compression", "plain_content", "uncompressed"]

_log = logging.getLogger("codex_backend_sdk")

_LEVEL: Final = 1
_THRESHOLD_BYTES: Final = 4096
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1; no JSON text begins with it
_ENCODING_STATUSES: Final = frozenset({400, 403, 406, 411, 413, 415, 422, 501})
# If the uncompressed body is rejected too, this many times, the encoding is not the reason.
_MAX_FALLBACKS: Final = 2


class Compression:
    """Whether one client, and its copies, compress their requests."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self._is_accepted = False
        self._failed_fallbacks = 0

    def encode(self, pieces: Iterator[bytes]) -> tuple[bytes, dict[str, str]]:
        """Return the body to send, from its pieces, and the headers that describe its encoding."""
        first = next(pieces)
        if not self.enabled or len(first) < _THRESHOLD_BYTES:
            plain = BytesIO()  # `getvalue` returns its buffer without a copy
            plain.writelines(chain([first], pieces))
            return plain.getvalue(), {}
        return _compress(first, pieces), {"Content-Encoding": "zstd"}

    def is_in_doubt(self, request: httpx2.Request, response: httpx2.Response) -> bool:
        """Whether a response calls for the same request with an uncompressed body. A success settles the question."""
        if request.headers.get("Content-Encoding") != "zstd":
            return False
        if response.is_success:
            self._is_accepted = True
        may_fall_back = not self._is_accepted and self._failed_fallbacks < _MAX_FALLBACKS
        return may_fall_back and response.status_code in _ENCODING_STATUSES

    def learn(self, response: httpx2.Response, *, rejected_status: int) -> None:
        """Take the response to the uncompressed body into account; the compressed one had `rejected_status`."""
        # A different failure decides nothing: what rejected the compressed body may have let this one pass.
        self._failed_fallbacks += response.status_code == rejected_status
        if response.is_success:
            self.enabled = False
            _log.info("A proxy before the backend rejects zstd; this client sends uncompressed bodies from now on.")


def uncompressed(request: httpx2.Request) -> httpx2.Request:
    """Return the same request with its body as it was before compression."""
    dropped = ("content-encoding", "content-length")
    headers = [(name, value) for name, value in request.headers.multi_items() if name.lower() not in dropped]
    same_class = type(request)  # a caller's legacy `httpx` client builds requests of its own class
    return same_class(
        request.method, request.url, headers=headers, content=plain_content(request), extensions=request.extensions
    )


def plain_content(request: httpx2.Request) -> bytes:
    """Return the body of a request as it was before compression."""
    content: bytes = request.content
    return bytes(_zstd().decompress(content)) if content.startswith(_ZSTD_MAGIC) else content


def _compress(first: bytes, rest: Iterator[bytes]) -> bytes:
    zstd = _zstd()
    second = next(rest, None)
    if second is None:  # compressing in one call takes two thirds of the time
        return bytes(zstd.compress(first, level=_LEVEL))
    compressor = zstd.ZstdCompressor(level=_LEVEL)
    compressed = BytesIO()
    compressed.writelines(map(compressor.compress, chain((first, second), rest)))
    compressed.write(compressor.flush())
    return compressed.getvalue()


def _zstd() -> ModuleType:
    # Imported for the first long body: the import takes longer than a whole short request.
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
