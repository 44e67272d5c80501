"""Encode and decode JSON with pydantic's encoder, which is five times as fast as the standard library's.

The standard library handles the values that pydantic rejects: deep nesting in a request, and lone surrogates in a
response.

`decode` is the decoder for everything that a server sends. It rejects documents that are nested more than 201 levels
deep: the code that reads them is recursive, and would raise RecursionError, depending on the depth of the caller.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import PydanticSerializationError, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["decode", "encode", "encode_in_chunks", "is_too_deep"]

# 128 items have about 100 KB. Larger chunks are allocated from the operating system each time; smaller chunks need more
# calls.
_ITEMS_PER_CHUNK: Final = 128
_MAX_DEPTH: Final = 201  # pydantic's decoder has the same limit


def encode(value: Any) -> bytes:
    """Return a value as JSON. Raises TypeError for a value that JSON cannot represent."""
    try:
        return to_json(value)
    except (PydanticSerializationError, ValueError):
        return json.dumps(value).encode()


def encode_in_chunks(body: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield a request body as JSON in chunks, so that a long `input` is in memory only once.

    Raises ValueError for text with a lone surrogate, which the backend rejects. The message names its place.
    """
    items = body["input"]
    if len(items) <= 2 * _ITEMS_PER_CHUNK:  # a single chunk is compressed in two thirds of the time
        yield _encode_part(body, body)
        return
    other_members = {name: value for name, value in body.items() if name != "input"}
    prefix = _encode_part(other_members, body)[:-1] + b',"input":['
    for start in range(0, len(items), _ITEMS_PER_CHUNK):
        yield prefix + _encode_part(items[start : start + _ITEMS_PER_CHUNK], body)[1:-1]
        prefix = b","
    yield b"]}"


def _encode_part(part: Any, body: Mapping[str, Any]) -> bytes:
    try:
        return to_json(part)
    except (PydanticSerializationError, ValueError):
        _reject_lone_surrogates(body)
        return json.dumps(part).encode()


def _reject_lone_surrogates(body: Mapping[str, Any]) -> None:
    for place, text in _texts(body):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{place} contains a lone surrogate (U+{ord(text[error.start]):04X} at index {error.start}), which is "
                "not a character. Nothing was sent. Check the code that decodes or slices this text."
            ) from None


def _texts(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each string and each name in a body, in order. The nesting may be deep."""
    pending: list[tuple[str, Any]] = [("", body)]
    while pending:
        path, value = pending.pop()
        members: list[tuple[str, Any]] = []
        if isinstance(value, str):
            yield f"`{path}`", value
        elif isinstance(value, dict):
            for name in value:
                yield (f"A name in `{path}`" if path else "The name of a parameter"), name
            members = [(f"{path}.{name}" if path else name, member) for name, member in value.items()]
        elif isinstance(value, list):
            members = [(f"{path}[{index}]", member) for index, member in enumerate(value)]
        pending += reversed(members)


def decode(data: bytes | bytearray) -> Any:
    """Decode a document. Raises ValueError if it is not JSON, or if it is nested more than 201 levels deep."""
    try:
        return from_json(data)
    except ValueError:
        pass
    try:
        value = json.loads(data)
    except RecursionError:
        value = None
    else:
        if not is_too_deep(value):
            return value
    raise ValueError(f"nested more than {_MAX_DEPTH} levels deep")


def is_too_deep(value: Any) -> bool:
    """Return whether a decoded document is nested more than 201 levels deep."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            child
            for container in level
            if isinstance(container, (dict, list))
            for child in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return False
    return any(isinstance(value, (dict, list)) for value in level)
