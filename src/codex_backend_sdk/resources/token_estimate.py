"""How many tokens a request is, without a tokenizer.

Four bytes of text are a token, an image is 7,373 bytes, and what is encrypted is as long as it is in the clear: so
counts the Codex CLI (core/src/context_manager/history.rs, utils/string/src/truncate.rs). Prose has up to six bytes to
a token, code and JSON down to two and a half, which is the range; digits, base64 and emoji can leave it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .._coerce import items
from .._json import encode
from .explanation import TokenEstimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["estimate"]

_BYTES_PER_TOKEN: Final = 4
_BYTES_PER_TOKEN_AT_MOST: Final = 6
_BYTES_PER_TOKEN_AT_LEAST: Final = 2.5
_IMAGE_BYTES: Final = 7373
_REASONING_OVERHEAD_BYTES: Final = 650

_READ_BY_THE_MODEL: Final = ("instructions", "tools", "text")
_UNCOUNTED: Final = ("input_audio", "input_file")


def estimate(body: Mapping[str, Any]) -> TokenEstimate:
    """Estimate the input tokens of a body."""
    size = sum(len(encode(body[name])) for name in _READ_BY_THE_MODEL if body.get(name))
    images = uncounted = 0
    for part in (part for item in items(body.get("input")) for part in _parts(item)):
        size += _bytes(part)
        images += _type(part) == "input_image"
        uncounted += _type(part) in _UNCOUNTED
    fixed = images * _IMAGE_BYTES // _BYTES_PER_TOKEN
    return TokenEstimate(
        low=size // _BYTES_PER_TOKEN_AT_MOST + fixed,
        likely=size // _BYTES_PER_TOKEN + fixed,
        high=int(size / _BYTES_PER_TOKEN_AT_LEAST) + fixed,
        images=images,
        uncounted=uncounted,
    )


def _parts(item: Any) -> Iterator[Any]:
    """Yield the parts of an item, and the item without them."""
    if not isinstance(item, dict):
        yield item
        return
    rest = dict(item)
    for name in ("content", "output"):
        if isinstance(rest.get(name), list):
            yield from rest.pop(name)
    yield rest


def _bytes(part: Any) -> int:
    kind = _type(part)
    if kind == "input_image" or kind in _UNCOUNTED:
        return 0
    sealed = part.get("encrypted_content") if isinstance(part, dict) else None
    if not isinstance(sealed, str):
        return len(encode(part))
    if kind == "encrypted_content":
        return len(sealed) * 9 // 16
    return max(0, len(sealed) * 3 // 4 - _REASONING_OVERHEAD_BYTES)


def _type(part: Any) -> Any:
    return part.get("type") if isinstance(part, dict) else None
