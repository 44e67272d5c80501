"""Compress request bodies with zstd, and fall back to uncompressed bodies if a proxy rejects them.

The Codex CLI compresses every body, so the backend accepts zstd, but some proxies do not. The first time that a
compressed body is rejected with a status that can mean an unsupported encoding, the same body is sent uncompressed. If
that succeeds, this client and its copies stop compressing. After a compressed body was accepted, there is no fallback.

Level and threshold were measured: level 1 halves a history at 100 MB/s or more; level 3 takes twice as long and saves
another tenth. Below 4 KiB compression saves no packet.
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
# After this many rejected uncompressed bodies, the encoding is not the reason for the rejections.
_MAX_FALLBACKS: Final = 2


class Compression:
    """The compression state that a client and its copies share."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self._is_accepted = False
        self._failed_fallbacks = 0

    def encode(self, chunks: Iterator[bytes]) -> tuple[bytes, dict[str, str]]:
        """Join the chunks of a body and compress them if they are long. Return the body and its encoding headers."""
        first = next(chunks)
        if not self.enabled or len(first) < _THRESHOLD_BYTES:
            plain = BytesIO()  # `getvalue` returns its buffer without a copy
            plain.writelines(chain([first], chunks))
            return plain.getvalue(), {}
        return _compress(first, chunks), {"Content-Encoding": "zstd"}

    def should_retry_uncompressed(self, request: httpx2.Request, response: httpx2.Response) -> bool:
        """Return whether to send the same request with an uncompressed body. A success ends all fallbacks."""
        if request.headers.get("Content-Encoding") != "zstd":
            return False
        if response.is_success:
            self._is_accepted = True
        may_fall_back = not self._is_accepted and self._failed_fallbacks < _MAX_FALLBACKS
        return may_fall_back and response.status_code in _ENCODING_STATUSES

    def record_fallback(self, response: httpx2.Response, *, rejected_status: int) -> None:
        """Record the response to the uncompressed body. `rejected_status` is the status of the compressed body."""
        # Another error status is not counted: the proxy may have accepted this body, and the backend rejected it.
        self._failed_fallbacks += response.status_code == rejected_status
        if response.is_success:
            self.enabled = False
            _log.info("A proxy in front of the backend rejects zstd. This client now sends uncompressed bodies.")


def uncompressed(request: httpx2.Request) -> httpx2.Request:
    """Return the same request with its uncompressed body."""
    body_headers = ("content-encoding", "content-length")
    headers = [(name, value) for name, value in request.headers.multi_items() if name.lower() not in body_headers]
    request_class = type(request)  # a caller's legacy `httpx` client has another class
    return request_class(
        request.method, request.url, headers=headers, content=plain_content(request), extensions=request.extensions
    )


def plain_content(request: httpx2.Request) -> bytes:
    """Return the uncompressed body of a request."""
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
    # Imported for the first long body, because the import takes longer than a short request.
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
