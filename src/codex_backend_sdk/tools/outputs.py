"""Turn the result of a tool into the output that the model receives. Pure.

| result | output |
|---|---|
| `str` | the text as it is |
| `None` | an empty text |
| `ToolImage`, `ToolFile` | one content part |
| a list or tuple that contains a `ToolImage` or `ToolFile` | content parts; its other elements become text |
| any other value that pydantic can serialize (models, dataclasses, dicts, lists, numbers, dates, …) | JSON |
| `bytes`, and all other values | `ToolResultError` |

Nothing is guessed: a dict that looks like an image is JSON. Text longer than the limit of the tool is cut in the
middle, and a marker says how much is missing.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic_core import PydanticSerializationError

from .._exceptions import ToolResultError
from .._json import encode

__all__ = [
    "DEFAULT_MAX_OUTPUT_BYTES",
    "ToolFile",
    "ToolImage",
    "cut_middle",
    "error_text",
    "image_media_type",
    "to_output",
]

DEFAULT_MAX_OUTPUT_BYTES: Final = 32_768
# Every later request contains the image again. A WebSocket message may have 16 MiB, and base64 adds a third.
_MAX_ATTACHMENT_BYTES: Final = 8_000_000

Part = dict[str, Any]

# The images that the models read. The media type is that of the data, not of a file name.
_IMAGE_SIGNATURES: Final = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_WEBP: Final = (b"RIFF", b"WEBP")


@dataclass(frozen=True, slots=True)
class ToolImage:
    """An image as the result of a tool, or as an element of a list of results.

    Attributes:
        data: The bytes of a PNG, JPEG, GIF or WebP image, at most 8 MB, or its URL as text. They are not downscaled.
        detail: How closely the model looks at it. By default, the backend decides.
    """

    data: bytes | str
    detail: Literal["auto", "low", "high", "original"] | None = None

    def part(self) -> Part:
        """Return the content part. Raises ToolResultError if the data is not an image that the models read."""
        if isinstance(self.data, str):
            url = self.data
        elif (media_type := image_media_type(self.data)) is not None:
            url = _data_url(self.data, media_type)
        else:
            raise ToolResultError("A ToolImage must contain a PNG, JPEG, GIF or WebP image. Convert the image.")
        return {"type": "input_image", "image_url": url} | ({} if self.detail is None else {"detail": self.detail})


@dataclass(frozen=True, slots=True)
class ToolFile:
    """A file as the result of a tool, or as an element of a list of results.

    The public Responses API accepts files in outputs. The Codex CLI sends only text and images.

    Attributes:
        data: The content, at most 8 MB.
        filename: The name that the model sees.
        media_type: The media type, for example `application/pdf`.
    """

    data: bytes
    filename: str
    media_type: str = "application/octet-stream"

    def part(self) -> Part:
        """Return the content part."""
        return {"type": "input_file", "filename": self.filename, "file_data": _data_url(self.data, self.media_type)}


def image_media_type(data: bytes) -> str | None:
    """Return the media type of an image that the models read, or None for other data."""
    for signature, media_type in _IMAGE_SIGNATURES:
        if data.startswith(signature):
            return media_type
    return "image/webp" if (data[:4], data[8:12]) == _WEBP else None


def _data_url(data: bytes, media_type: str) -> str:
    if len(data) > _MAX_ATTACHMENT_BYTES:
        raise ToolResultError(
            f"The {media_type} has {len(data):,} bytes, the limit is {_MAX_ATTACHMENT_BYTES:,}. Return a smaller one: "
            "models see an image with at most about 2,000 pixels a side."
        )
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def to_output(result: object, *, max_bytes: int) -> str | list[Part]:
    """Return the `output` of an output item: text, or content parts. Their text has at most about `max_bytes` bytes.

    Raises ToolResultError for a result that cannot be sent.
    """
    elements = result if isinstance(result, (list, tuple)) else (result,)
    if not any(isinstance(element, (ToolImage, ToolFile)) for element in elements):
        return _text(result, max_bytes)
    parts: list[Part] = []
    for element in elements:
        if isinstance(element, (ToolImage, ToolFile)):
            parts.append(element.part())
        else:
            text = _text(element, max_bytes)
            max_bytes = max(0, max_bytes - len(text.encode()))
            parts.append({"type": "input_text", "text": text})
    return parts


def _text(value: object, max_bytes: int) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return cut_middle(value, max_bytes)
    try:
        _reject_bytes(value)
        text = encode(value).decode()
    except ToolResultError:
        raise
    except (PydanticSerializationError, TypeError, ValueError, RecursionError) as error:
        raise ToolResultError(
            f"The result of the type {type(value).__name__} cannot be sent as JSON ({error}). Return text, a model, a "
            "dataclass, or values of JSON."
        ) from error
    return cut_middle(text, max_bytes, is_json=True)


def _reject_bytes(value: object) -> None:
    """Raise for bytes, also in containers: pydantic would decode them as UTF-8."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise ToolResultError(
            "Bytes cannot be sent to a model. Decode them, or return a ToolImage or a ToolFile for their content."
        )
    if isinstance(value, dict):
        for member in value.values():
            _reject_bytes(member)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for member in value:
            _reject_bytes(member)


def cut_middle(text: str, max_bytes: int, *, is_json: bool = False) -> str:
    """Return the text without lone surrogates, and with a marker in place of its middle if it is too long.

    The beginning and the end have at most `max_bytes` bytes of UTF-8 together.
    """
    data = text.encode(errors="replace")  # a file name may have lone surrogates, which the backend rejects
    if len(data) <= max_bytes:
        return data.decode()
    half = max_bytes // 2
    head = data[: max_bytes - half].decode(errors="ignore")
    tail = data[len(data) - half :].decode(errors="ignore") if half else ""
    missing = len(data) - len(head.encode()) - len(tail.encode())
    kind = "bytes of JSON are left out here, so this is not valid JSON" if is_json else "bytes are left out here"
    return f"{head}\n[… {missing} {kind} …]\n{tail}"


def error_text(error: BaseException, *, max_bytes: int = DEFAULT_MAX_OUTPUT_BYTES) -> str:
    """Return the type and the message of an exception, without its traceback."""
    try:
        message = str(error).strip()
    except Exception as failure:  # `__str__` of a foreign exception
        message = f"(its message cannot be read: {type(failure).__name__})"
    name = type(error).__name__
    return cut_middle(f"{name}: {message}" if message else name, max_bytes)
