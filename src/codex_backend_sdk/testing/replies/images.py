"""Generate the image of a simulated image generation: a small PNG with a diagonal gradient.

The color depends on the prompt, so different prompts give different images. The encoder writes one uncompressed-row,
8-bit RGB image (https://www.w3.org/TR/png-3/).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Final

__all__ = ["IMAGE_SIZE", "png_image"]

IMAGE_SIZE: Final = 64  # pixels, width and height
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def png_image(prompt: str, *, completeness: float = 1.0) -> bytes:
    """Return a PNG image for a prompt. `completeness` is the share of its rows that are drawn; the others are white."""
    red, green, blue = hashlib.sha256(prompt.encode(errors="replace")).digest()[:3]
    rows = bytearray()
    for y in range(IMAGE_SIZE):
        rows.append(0)  # the filter type of the row: none
        for x in range(IMAGE_SIZE):
            share = (x + y) / (2 * IMAGE_SIZE)
            is_drawn = y < completeness * IMAGE_SIZE
            rows += bytes(int(c + (255 - c) * share) if is_drawn else 255 for c in (red, green, blue))
    header = struct.pack(">IIBBBBB", IMAGE_SIZE, IMAGE_SIZE, 8, 2, 0, 0, 0)  # 8 bits, RGB
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(rows))) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
