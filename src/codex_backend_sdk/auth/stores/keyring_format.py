"""A login as entries of an operating system's keyring: their names, and how a long value is told in short ones.

Names and value are the Codex CLI's: login/src/auth/storage.rs. It keeps one entry whatever its length, which Windows
refuses beyond 2,560 bytes; then, and only then, the entry holds a table of contents instead, which the Codex CLI
reads as "not signed in", and the value stands in entries beside it. Their names change with the value, so that the
switch from one value to the next is the writing of one entry.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["SERVICE", "WINDOWS_BYTES", "Contents", "account", "compact", "contents", "digest", "split", "verbatim"]

SERVICE: Final = "Codex Auth"
WINDOWS_BYTES: Final = 2560  # CRED_MAX_CREDENTIAL_BLOB_SIZE of wincred.h

_TABLE: Final = "codex_backend_sdk_parts"
_BYTES_PER_CHARACTER: Final = 2  # UTF-16; the value is ASCII


def account(home: str) -> str:
    """Name the entry of a CODEX_HOME, given as the Codex CLI sees it: absolute, without links."""
    return f"cli|{hashlib.sha256(home.encode()).hexdigest()[:16]}"


def verbatim(path: str) -> str:
    r"""Write an absolute Windows path the way Rust's `canonicalize` does, with `\\?\` before it."""
    if path.startswith("\\\\?\\"):
        return path
    return f"\\\\?\\UNC\\{path[2:]}" if path.startswith("\\\\") else f"\\\\?\\{path}"


def compact(document: dict[str, Any]) -> str:
    """Write a document without white space, in ASCII."""
    return json.dumps(document, separators=(",", ":"))


def digest(value: str | bytes | None) -> str | None:
    """Stand for a stored value where two are compared; None for None."""
    data = value.encode() if isinstance(value, str) else value
    return None if data is None else hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Contents:
    """How many entries hold a value, and the digest by which they are named and the whole is checked."""

    count: int
    digest: str

    def names(self, account: str) -> list[str]:
        """Return the names of those entries, in their order."""
        return [f"{account}|{self.digest[:16]}|{number}" for number in range(self.count)]

    def entry(self) -> str:
        """Return the text that stands in the entry of the Codex CLI."""
        return compact({_TABLE: self.count, "sha256": self.digest})


def split(value: str, *, entry_bytes: int | None) -> tuple[Contents, list[str]] | None:
    """Cut a value that is longer than an entry may be; None when it fits (`entry_bytes=None`: always)."""
    if entry_bytes is None or len(value) * _BYTES_PER_CHARACTER <= entry_bytes:
        return None
    size = entry_bytes // _BYTES_PER_CHARACTER
    parts = [value[start : start + size] for start in range(0, len(value), size)]
    return Contents(len(parts), digest(value) or ""), parts


def contents(entry: str | None) -> Contents | None:
    """Read a table of contents; None for an entry that holds the value itself."""
    if entry is None or _TABLE not in entry:
        return None
    try:
        table = json.loads(entry)
        return Contents(int(table[_TABLE]), str(table["sha256"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
