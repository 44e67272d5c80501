"""Store the images and files of a journal once each, in the folder `NAME.blobs` next to it.

An image of a message is a data URL: few tokens, many bytes. `store` replaces each data URL of at least 4 kB in a
record, and the result of an `image_generation_call`, by a reference: `{"$blob": NAME, "before": PREFIX}`. NAME is the
SHA-256 of the content with an extension, PREFIX what precedes the Base64 text. `restore` puts the text back.

A user's own object with a member `$blob` or `$literal` is written as `{"$literal": OBJECT}`, so it is never taken for a
reference.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import stat
from base64 import b64decode, b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from .._exceptions import JournalError
from .._files import create_private_file, create_private_folder, open_regular_file, replace_file, sync_folder, write_all

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BlobStore", "may_have_references"]

log = logging.getLogger("codex_backend_sdk.conversation")

_MIN_LENGTH: Final = 4096
_MAX_DEPTH: Final = 200  # the decoder of the package accepts 201 levels
_DATA_URL: Final = re.compile(r"data:[^,]{0,200};base64,")
_BLOB, _BEFORE, _LITERAL = "$blob", "before", "$literal"
_NAME: Final = re.compile(r"[0-9a-f]{64}\.[a-z]{3,4}")
_REFERENCES: Final = re.compile(rb'"\$blob":"([0-9a-f]{64}\.[a-z]{3,4})"')
_TEMPORARY_NAME: Final = re.compile(r"\.[0-9a-f]{64}\.[a-z]{3,4}\.[0-9a-f]{16}\.tmp")
# The first bytes of a file → its extension, so that the links of an export open.
_EXTENSIONS: Final = (
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"RIFF", "webp"),
    (b"%PDF", "pdf"),
)


def may_have_references(line: bytes) -> bool:
    """Return whether a record may contain what `BlobStore.restore` changes."""
    return b'"$blob"' in line or b'"$literal"' in line


class BlobStore:
    """The folder with the images and files of a journal. It is created with mode 0700 when the first one is stored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def store(self, value: Any, *, depth: int = 0) -> Any:
        """Return JSON data with references for its images and files. Raises ValueError if it is nested too deeply."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested more than {_MAX_DEPTH} levels deep")
        if isinstance(value, str):
            return self._store_text(value, _DATA_URL.match(value)) if len(value) >= _MIN_LENGTH else value
        if isinstance(value, (list, tuple)):
            return [self.store(element, depth=depth + 1) for element in value]
        if not isinstance(value, dict):
            return value
        stored = {name: self.store(member, depth=depth + 1) for name, member in value.items()}
        result = value.get("result")
        if value.get("type") == "image_generation_call" and isinstance(result, str) and len(result) >= _MIN_LENGTH:
            stored["result"] = self._store_text(result, re.match("", result))
        return {_LITERAL: stored} if _BLOB in value or _LITERAL in value else stored

    def _store_text(self, text: str, prefix: re.Match[str] | None) -> Any:
        if prefix is None:
            return text
        encoded = text[prefix.end() :]
        try:
            data = b64decode(encoded, validate=True)
        except ValueError:
            return text
        if b64encode(data).decode() != encoded:  # another spelling of the same bytes could not be restored
            return text
        return {_BLOB: self._write(data), _BEFORE: prefix[0]}

    def _write(self, data: bytes) -> str:
        extension = next((extension for start, extension in _EXTENSIONS if data.startswith(start)), "bin")
        name = f"{hashlib.sha256(data).hexdigest()}.{extension}"
        path = self.folder / name
        try:
            self._create_folder()
            if path.exists() and path.stat().st_size == len(data):
                return name
            temporary = self.folder / f".{name}.{secrets.token_hex(8)}.tmp"
            with os.fdopen(create_private_file(temporary, like=path), "r+b", buffering=0) as file:
                write_all(file, data)
                os.fsync(file.fileno())
            replace_file(temporary, path)
            sync_folder(self.folder)
        except OSError as error:
            raise JournalError(
                f"Cannot write an image or file to {self.folder}: {error.strerror or error}. Check the permissions of "
                "the folder and its disk. Nothing was saved."
            ) from error
        return name

    def _create_folder(self) -> None:
        create_private_folder(self.folder)
        if not stat.S_ISDIR(self.folder.lstat().st_mode):  # a link, which another user may have placed there
            raise NotADirectoryError(None, "it is not a folder, or a link to one. Delete it")

    # --- reading -----------------------------------------------------------------------------------------------------

    def restore(self, value: Any) -> Any:
        """Return the JSON data that was stored.

        If a file is missing or damaged, log a warning. Its part of a message then is a text that names it, and the
        result of an `image_generation_call` is empty.
        """
        try:
            return self._restore(value)
        except _MissingBlobError:
            return self._restore(value, is_lenient=True)

    def _restore(self, value: Any, *, is_lenient: bool = False) -> Any:
        if isinstance(value, list):
            return [self._restore_element(element) for element in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {_BLOB, _BEFORE}:
            data = self._read(str(value[_BLOB]))
            if data is None and not is_lenient:
                raise _MissingBlobError(value[_BLOB])
            return f"{value[_BEFORE]}{b64encode(data or b'').decode()}"
        members = value[_LITERAL] if value.keys() == {_LITERAL} and isinstance(value[_LITERAL], dict) else value
        return {name: self._restore(member, is_lenient=is_lenient) for name, member in members.items()}

    def _restore_element(self, element: Any) -> Any:
        try:
            return self._restore(element)
        except _MissingBlobError as error:
            return {"type": "input_text", "text": f"[missing file: {error}]"}

    def _read(self, name: str) -> bytes | None:
        problem = "its name is invalid"
        if _NAME.fullmatch(name):
            try:
                with os.fdopen(open_regular_file(self.folder / name, os.O_RDONLY), "rb") as file:
                    data = file.read()
            except OSError as error:
                problem = error.strerror or str(error)
            else:
                if hashlib.sha256(data).hexdigest() == name[:64]:
                    return data
                problem = "its content has changed"
        log.warning("Cannot read %s in %s: %s. Restore it from a backup.", name[:80], self.folder, problem)
        return None

    def copy_from(self, other: BlobStore, line: bytes) -> None:
        """Copy what a record refers to from another folder."""
        for name in {match.decode() for match in _REFERENCES.findall(line)}:
            data = None if other.folder == self.folder else other._read(name)
            if data is not None:
                self._write(data)

    def delete(self) -> None:
        """Delete the folder. Files that this class has not written are kept."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return
        for name in names:
            if _NAME.fullmatch(name) or _TEMPORARY_NAME.fullmatch(name):
                (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # it has other files
            self.folder.rmdir()


class _MissingBlobError(Exception):
    """A stored image or file cannot be read. The argument is its name."""
