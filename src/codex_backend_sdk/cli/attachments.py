"""Read the files that a command sends to the model, and turn them into content parts.

Text becomes a text part, between tags with the name of the file. Images and PDF files become data URLs. A file is
recognized by its content, not by its name.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import click

from .._files import describe_file_type
from .._redaction import excerpt
from .output import print_text
from .stdin_text import MAX_TEXT_BYTES, decode_text, read_stdin_bytes

__all__ = ["STDIN", "AttachmentKind", "attachment_part", "read_text_file", "tagged_text"]

AttachmentKind: TypeAlias = Literal["image", "file", "any"]

STDIN: Final = Path("-")
_PDF: Final = b"%PDF-"
_MAX_FILE_BYTES: Final = 20_000_000


def attachment_part(path: Path, kind: AttachmentKind) -> dict[str, Any]:
    """Return the content part of a file, or of standard input for the path `-`.

    Raises click.UsageError if it cannot be read or is not of this kind.
    """
    from .._exceptions import ToolResultError
    from ..tools.outputs import ToolFile, ToolImage, image_media_type

    if path == STDIN:
        data = read_stdin_bytes(lambda text: print_text(text, err=True), max_bytes=_MAX_FILE_BYTES)
        path = Path("stdin")
        if not data:
            raise click.UsageError("The file `-` is standard input, which is empty. Pipe a file into the command.")
    else:
        data = _read_file(path)
    name = excerpt(str(path))
    is_image = image_media_type(data) is not None
    if kind == "image" and not is_image:
        raise click.UsageError(f"{name} is not a PNG, JPEG, GIF or WebP image. Convert it, or pass it with --file.")
    if kind == "file" and is_image:
        raise click.UsageError(f"{name} is an image. Pass it with --image instead of --file.")
    try:
        if is_image:
            return ToolImage(data).part()
        if data.startswith(_PDF):
            return ToolFile(data, path.name, "application/pdf").part()
    except ToolResultError:
        raise click.UsageError(f"{name} is too large: it has {len(data):,} bytes. Send a smaller file.") from None
    return {"type": "input_text", "text": tagged_text("file", _decode(path, data), name=path.name)}


def read_text_file(path: Path) -> str:
    """Return the text of a file. Raises click.UsageError if it cannot be read, or is not text."""
    return _decode(path, _read_file(path))


def tagged_text(tag: str, text: str, **attributes: str) -> str:
    """Return a text between tags, so that the model can tell it from the prompt."""
    words = "".join(f' {name}="{excerpt(value)}"' for name, value in attributes.items())
    return f"<{tag}{words}>\n{text.rstrip()}\n</{tag}>"


def _decode(path: Path, data: bytes) -> str:
    name = excerpt(str(path))
    if len(data) > MAX_TEXT_BYTES:
        raise click.UsageError(
            f"{name} is too large: it has more than {MAX_TEXT_BYTES // 1_000_000} MB of text. Send a part."
        )
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise click.UsageError(f"{name} is neither text nor a PDF file or an image. Convert it to text.")
    return decode_text(data, name)


def _read_file(path: Path) -> bytes:
    """Return the content of a file, or of a pipe such as `<(command)`. Raises click.UsageError for anything else."""
    name = excerpt(str(path))
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise click.UsageError(f"Cannot read {name}: it is {describe_file_type(mode)}. Pass a file.")
        with open(path, "rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise click.UsageError(f"Cannot read {name}: {reason or error}. Check the path.") from None
    if len(data) > _MAX_FILE_BYTES:
        raise click.UsageError(
            f"{name} is too large: it has more than {_MAX_FILE_BYTES // 1_000_000} MB. Send a smaller file."
        )
    return data
