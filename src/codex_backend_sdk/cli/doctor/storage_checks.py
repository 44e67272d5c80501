"""Whether the login's place can be read and written, is anybody else's to read, or is locked. Nothing is written."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from .result import ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .result import Outcome, Scene

__all__ = ["check_store"]

_LOST = "A renewed login could not be kept, and is lost when the program ends."


def check_store(scene: Scene) -> Iterator[Outcome]:
    """Look at the store that is the default, unless it is damaged: that raises."""
    from ...auth import FileStore
    from ...auth.stores.auto import default_store

    store = default_store()
    is_there = store.load() is not None
    if isinstance(store, FileStore):
        problems = list(_problems(Path(os.path.realpath(store.path))))
        what = "can be read and written, by you alone" if is_there else "is not there yet, and can be made"
        yield from problems or [ok(f"{store.location} {what}.")]
    else:
        what = "can be read" if is_there else "can be read; nothing is stored yet"
        yield ok(f"{store.location} {what}. Whether it can be written is seen when a login is renewed.")


def _problems(file: Path) -> Iterator[Outcome]:
    folder = _nearest(file.parent)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield warning(f"{folder} cannot be written. {_LOST}", "Make it writable, or set CODEX_HOME to another folder.")
    elif file.exists() and os.path.ismount(file):
        yield warning(f"{file} is mounted by itself, and cannot be replaced. {_LOST}", "Mount its folder instead.")
    if os.name == "posix" and file.exists():
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield warning(f"{file} is open to others on this machine (mode {mode:04o}).", f"`chmod 600 {file}`.")
    if _is_locked(file.with_name(file.name + ".lock")):
        yield warning(
            f"Another process holds {file}.lock just now: it renews the login, or hangs.",
            "If this does not go away within a minute, end that process.",
        )


def _nearest(folder: Path) -> Path:
    """Return the folder, or of one that will have to be made the one that it will be made in."""
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)


def _is_locked(lock: Path) -> bool:
    """Try the lock for the blink of an eye, without making the file; as `filelock` does it on this system."""
    try:
        import fcntl

        descriptor = os.open(lock, os.O_RDONLY)
    except (ImportError, OSError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False
