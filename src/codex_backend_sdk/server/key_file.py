"""The key of the local server: made at the first start, and kept in a private file of the data folder.

The key begins with `sk-`, because some programs reject others. It has 256 random bits.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from .._data_folder import data_folder
from .._files import create_private_file, create_private_folder, foreign_owner, read_regular_file, replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["KEY_ENV", "ServerKey", "load_key"]

KEY_ENV: Final = "CODEX_SERVER_KEY"
_FILE_NAME: Final = "server_key"
_MIN_LENGTH: Final = 16
_MAX_LENGTH: Final = 512
_WRITE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey:
    """A key. `path` is its file, or None for a key from CODEX_SERVER_KEY. `is_new` is True if this call created it."""

    value: str = field(repr=False)
    path: Path | None
    is_new: bool


def load_key(*, environ: Mapping[str, str] | None = None, replaces: bool = False) -> ServerKey:
    """Return the key of CODEX_SERVER_KEY, or else of the file, which is created with mode 0600 if it does not exist.

    `replaces` makes a new one. Raises ValueError for an unusable key or file; the message has the remedy.
    """
    environ = os.environ if environ is None else environ
    value = environ.get(KEY_ENV)
    if value is not None:
        if replaces:
            raise ValueError(f"{KEY_ENV} has the key, so there is no file to replace. Unset it, or change its value.")
        if not _is_usable(value):
            raise ValueError(
                f"{KEY_ENV} is not a usable key. Set it to {_MIN_LENGTH} to {_MAX_LENGTH} characters of ASCII without "
                "spaces, for example the output of `openssl rand -hex 32`."
            )
        return ServerKey(value=value, path=None, is_new=False)
    path = data_folder() / _FILE_NAME
    create_private_folder(path.parent)
    if not replaces:
        with suppress(FileNotFoundError):
            return ServerKey(value=_read(path), path=path, is_new=False)
    return _create(path, replaces=replaces)


def _create(path: Path, *, replaces: bool) -> ServerKey:
    value = f"sk-codex-{secrets.token_urlsafe(32)}"
    target = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp") if replaces else path
    try:
        descriptor = create_private_file(target, like=target)
    except FileExistsError:  # another server has started meanwhile
        return ServerKey(value=_read(path), path=path, is_new=False)
    with os.fdopen(descriptor, "wb") as file:
        file.write(f"{value}\n".encode())
    if replaces:
        replace_file(target, path)
    return ServerKey(value=value, path=path, is_new=True)


def _read(path: Path) -> str:
    deadline = time.monotonic() + _WRITE_SECONDS
    while True:
        try:
            value = read_regular_file(path).decode("utf-8", errors="replace").strip()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ValueError(
                f"Cannot read the key of the server in {path}: {error.strerror}. Remove it, and start again."
            ) from error
        if value or time.monotonic() > deadline:
            break
        time.sleep(0.02)  # another process has created the file, and writes it now
    problem = _problem(path, value)
    if problem is not None:
        raise ValueError(f"The key of the server in {path} {problem}. Run `codex-backend serve --new-key`.")
    return value


def _problem(path: Path, value: str) -> str | None:
    if not _is_usable(value):
        return "is damaged"
    if foreign_owner(path) is not None:
        return "belongs to another user"
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return "is readable by other users"
    return None


def _is_usable(value: str) -> bool:
    return (
        _MIN_LENGTH <= len(value) <= _MAX_LENGTH
        and value.isascii()
        and all(character.isprintable() and character != " " for character in value)
    )
