"""The saved conversations of the user: files in one folder, without a database or an index.

The id of a conversation is the name of its file without `.jsonl`: eight random letters and digits, or a name that the
user chose. Its title is the beginning of its first message. So nothing can contradict the files, and any number of
processes may use the folder at the same time.

Listing reads only the beginning of each file, and imports neither `openai` nor pydantic.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..._data_folder import data_folder
from ..._redaction import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click
    from click.shell_completion import CompletionItem

__all__ = [
    "Session",
    "complete_session",
    "conversations_folder",
    "delete_session",
    "find_session",
    "list_sessions",
    "new_session_path",
    "newest_session",
    "parse_age",
    "session_id",
]

_SUFFIX: Final = ".jsonl"
_HEADER_START: Final = b'{"journal":"codex-backend-sdk"'
_ID_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that look alike
_ID_LENGTH: Final = 8
_NAME: Final = re.compile(r"\w[\w.-]{0,79}")
# Names of devices on Windows, where no file can have them.
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
# The records to read for the title and the model. Instructions and settings come first; they are few.
_MAX_RECORDS: Final = 20
_MAX_LINE_BYTES: Final = 2**20
_MAX_PARENTS: Final = 20
_TITLE_LENGTH: Final = 60

_AGE: Final = re.compile(r"(\d{1,6})\s*(h|d|w)", re.IGNORECASE)
_AGE_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A saved conversation.

    Attributes:
        id: The id or the name.
        path: The file.
        title: The beginning of the first message, without control characters; empty if there is none.
        model: The model at the beginning, or None if the file does not have it.
        updated_at: The time of the last change, with a time zone.
        size_bytes: The size of the file, without its images.
    """

    id: str
    path: Path
    title: str
    model: str | None
    updated_at: datetime
    size_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return the members as JSON data."""
        return {
            "id": self.id,
            "title": self.title,
            "model": self.model,
            "updated_at": self.updated_at.isoformat(timespec="seconds"),
            "size_bytes": self.size_bytes,
            "path": str(self.path),
        }


def conversations_folder() -> Path:
    """Return the folder of the conversations. It may not exist yet."""
    return data_folder() / "conversations"


def session_id(path: Path) -> str:
    """Return the id of the conversation in a file."""
    return path.name.removesuffix(_SUFFIX)


def complete_session(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the ids of the saved conversations that begin so, with their titles, for the completion of a shell."""
    from click.shell_completion import CompletionItem

    sessions = list_sessions()
    return [CompletionItem(each.id, help=each.title or None) for each in sessions if each.id.startswith(incomplete)]


def new_session_path(name: str | None = None) -> Path:
    """Return the path of a new conversation with this name, or with a random id.

    Raises ValueError if the name is invalid or in use.
    """
    folder = conversations_folder()
    if name is None:
        while (path := folder / f"{_random_id()}{_SUFFIX}").exists():
            pass
        return path
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name) or name.endswith((".", _SUFFIX)):
        raise ValueError(
            f"{excerpt(name)!r} cannot be the name of a conversation. Use at most 80 letters, digits, '-', '_' and "
            "'.', and begin with a letter or a digit."
        )
    path = folder / f"{name}{_SUFFIX}"
    if path.exists():
        raise ValueError(f"A conversation {name!r} exists already. Choose another name, or continue it.")
    return path


def _random_id() -> str:
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))


def list_sessions() -> list[Session]:
    """Return the saved conversations, the one that was changed last first. Other files are left out."""
    sessions = filter(None, map(_read_session, _session_files()))
    return sorted(sessions, key=lambda session: (session.updated_at, session.id), reverse=True)


def _session_files() -> list[Path]:
    folder = conversations_folder()
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names) if name.endswith(_SUFFIX) and not name.startswith(".")]


def newest_session() -> Session:
    """Return the conversation that was changed last. Raises ValueError if there is none."""
    sessions = list_sessions()
    if not sessions:
        raise ValueError("There is no saved conversation to continue. `codex-backend chat` starts one.")
    return sessions[0]


def find_session(id_or_name: str) -> Session:
    """Return the conversation with this id, this name, or an id that begins so.

    Raises ValueError if there is none, or if the beginning fits several.
    """
    files = {session_id(path): path for path in _session_files()}
    if id_or_name in files:
        matches = [id_or_name]
    else:
        matches = [each for each in files if id_or_name and each.startswith(id_or_name)]
    if len(matches) > 1:
        names = ", ".join(excerpt(each) for each in islice(matches, 5))
        raise ValueError(f"{len(matches)} conversations begin with {id_or_name!r}: {names}. Type more of the ID.")
    session = _read_session(files[matches[0]]) if matches else None
    if session is None:
        close = get_close_matches(id_or_name, files, n=1)
        hint = f"Did you mean {excerpt(close[0])!r}? " if close else ""
        raise ValueError(
            f"There is no conversation {excerpt(id_or_name)!r}. {hint}`codex-backend chat --list` lists them."
        )
    return session


def _read_session(path: Path) -> Session | None:
    """Return a conversation, or None if the file is none or cannot be read."""
    try:
        status = path.stat()
        records = list(_first_records(path))
    except (OSError, ValueError):
        return None
    title, model = "", None
    item_count = title_position = 0
    for record in records:
        if record.get("type") == "rollback" and record.get("to") in range(title_position + 1):
            title, item_count = "", record["to"]  # the message was undone
        if model is None and isinstance(settings := record.get("settings"), dict):
            model = settings.get("model")
        if not title:
            title, title_position = _user_text(record.get("item")), item_count
        item_count += "item" in record
    return Session(
        id=session_id(path),
        path=path,
        title=_shorten(excerpt(title)),
        model=model if isinstance(model, str) else None,
        updated_at=datetime.fromtimestamp(status.st_mtime, UTC),
        size_bytes=status.st_size,
    )


def _first_records(path: Path, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the first records of a conversation; those of a fork begin with those of its parent.

    Raises OSError, and ValueError if the file is not a conversation.
    """
    with path.open("rb") as file:
        header = file.readline(_MAX_LINE_BYTES)
        if not header.startswith(_HEADER_START):
            raise ValueError("not a conversation")
        parent = _record(header).get("parent")
        name = parent.get("name") if isinstance(parent, dict) else None
        if isinstance(name, str) and Path(name).name == name and depth < _MAX_PARENTS:
            with suppress(OSError, ValueError):  # the title is missing; opening the conversation reports it
                yield from _first_records(path.with_name(name), depth + 1)
        for _ in range(_MAX_RECORDS):
            line = file.readline(_MAX_LINE_BYTES)
            if not line:
                return
            yield _record(line)


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)  # pydantic's decoder would slow down `--help`
    except (ValueError, RecursionError):  # damaged, longer than the limit, or nested too deep
        return {}
    return record if isinstance(record, dict) else {}


def _user_text(item: Any) -> str:
    """Return the text of a message of the user, or an empty text for other items."""
    if not isinstance(item, dict) or item.get("role") != "user":
        return ""
    content = item.get("content")
    if isinstance(content, str):
        return content
    texts = [part.get("text") for part in content or () if isinstance(part, dict)] if isinstance(content, list) else []
    return " ".join(text for text in texts if isinstance(text, str))


def _shorten(text: str) -> str:
    return text if len(text) <= _TITLE_LENGTH else text[: _TITLE_LENGTH - 1].rstrip() + "…"


def delete_session(session: Session) -> None:
    """Delete a conversation with its images. Forks of it keep their whole history.

    Raises JournalLockedError if it is open in another process.
    """
    from ...conversation import journal  # imports openai

    journal.delete(session.path, forks="keep")


def parse_age(text: str) -> timedelta:
    """Parse an age such as `30d`, `12h` or `4w`. Raises ValueError."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not an age. Use a number with h, d or w, for example 30d.")
    return int(match[1]) * _AGE_UNITS[match[2].lower()]
