"""Open and write private files: accept regular files only, create private folders, and keep owners and modes.

A path is checked after it is opened, through its descriptor, so that it cannot be exchanged between check and use.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from io import FileIO

__all__ = [
    "MAX_BYTES",
    "create_private_file",
    "create_private_folder",
    "describe_file_type",
    "foreign_owner",
    "is_mount_point",
    "open_regular_file",
    "read_regular_file",
    "replace_file",
    "restore_owner",
    "sync_folder",
    "write_all",
]

# The largest auth.json that is read or written. A login has about five thousand bytes.
MAX_BYTES: Final = 1_000_000

# Windows cannot replace an open file. Readers keep the file open only briefly, so the replacement is retried.
_REPLACE_ATTEMPTS: Final = 20 if os.name == "nt" else 1
_REPLACE_PAUSE_SECONDS: Final = 0.03

# O_NONBLOCK: opening a FIFO without a writer would wait forever. Windows has only O_BINARY.
_OPEN_FLAGS: Final = (
    getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)
_CREATE_FLAGS: Final = _OPEN_FLAGS | os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)

_FILE_TYPES: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

_MOUNT_POINTS: Final = Path("/proc/self/mountinfo")


def describe_file_type(mode: int) -> str | None:
    """Return the type of a file with this `st_mode` in words, or None for a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((text for is_type, text in _FILE_TYPES if is_type(mode)), "a special file")


def open_regular_file(path: Path, flags: int) -> int:
    """Open a regular file without waiting, and return its descriptor. Raises OSError, also for anything else."""
    descriptor = os.open(path, flags | _OPEN_FLAGS)
    file_type = describe_file_type(os.fstat(descriptor).st_mode)
    if file_type is not None:
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"it is {file_type}, not a regular file")
    return descriptor


def read_regular_file(path: Path) -> bytes:
    """Read a file. Raises OSError if it is not a regular file, or has more than `MAX_BYTES` bytes."""
    with os.fdopen(open_regular_file(path, os.O_RDONLY), "rb") as file:
        if os.fstat(file.fileno()).st_size <= MAX_BYTES:
            data = file.read(MAX_BYTES + 1)
            if len(data) <= MAX_BYTES:
                return data
    raise OSError(errno.EINVAL, f"it has more than {MAX_BYTES:,} bytes")


# --- owners and modes ------------------------------------------------------------------------------------------------


def create_private_folder(folder: Path) -> None:
    """Create a folder and its missing parents, all with mode 0700. If root creates them, the parent's owner gets them.

    `Path.mkdir(parents=True)` would create the parents with the permissions that the umask allows.
    """
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:  # created by another process meanwhile
            continue
        if _is_root():
            owner = path.parent.stat()
            with suppress(OSError):  # in a container, root may not be allowed to do this
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def create_private_file(path: Path, *, like: Path, must_keep_owner: bool = True) -> int:
    """Create a file with mode 0600 and return its descriptor. Raises FileExistsError if the path exists.

    If the file `like` exists, the new file gets its owner, group and mode, so that its users keep their access. A mode
    that gives access to all users becomes 0600. If `like` does not exist, a file that root creates gets the owner of
    its folder, if possible. With `must_keep_owner`, raises PermissionError if the owner of `like` cannot be kept.
    """
    # The mode is set when the file is created, so another user can never read it.
    descriptor = os.open(path, _CREATE_FLAGS, 0o600)
    try:
        _copy_owner_and_mode(descriptor, like, must_keep_owner=must_keep_owner)
    except BaseException:
        os.close(descriptor)
        path.unlink()
        raise
    return descriptor


def _copy_owner_and_mode(descriptor: int, like: Path, *, must_keep_owner: bool) -> None:
    if os.name == "nt":
        return
    try:
        owner = like.stat()
        mode = _private_mode(owner.st_mode)
    except FileNotFoundError:
        if not _is_root():
            return
        owner, mode, must_keep_owner = like.parent.stat(), 0o600, False
    status = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != (owner.st_uid, owner.st_gid):
        try:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        except OSError as error:  # in a container, root may not be allowed to, or the owner does not exist (EINVAL)
            if must_keep_owner:
                raise PermissionError(errno.EPERM, "its owner cannot be kept") from error
            with suppress(OSError):
                os.fchown(descriptor, -1, owner.st_gid)
    if stat.S_IMODE(status.st_mode) != mode:
        with suppress(OSError):  # a file system without modes
            os.fchmod(descriptor, mode)


def _private_mode(mode: int) -> int:
    return 0o600 if mode & stat.S_IRWXO else 0o600 | mode & 0o060


def restore_owner(path: Path, *, like: Path) -> None:
    """If root runs this, give a file to the owner of the file `like`, or of its folder if `like` does not exist."""
    if not _is_root():
        return
    descriptor = open_regular_file(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    try:
        status = os.fstat(descriptor)
        owner = (like if like.exists() else like.parent).stat()
        # Skip a file with a second name: an attacker may have linked a file of the system to this one.
        if (status.st_uid, status.st_gid) != (owner.st_uid, owner.st_gid) and status.st_nlink == 1:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    finally:
        os.close(descriptor)


def _is_root() -> bool:
    return os.name == "posix" and os.geteuid() == 0


def is_mount_point(path: Path) -> bool:
    """Return whether a file is a mount point, as after `docker run -v auth.json:/…/auth.json`."""
    try:
        mounts = _MOUNT_POINTS.read_bytes()
    except OSError:  # not Linux
        return os.path.ismount(path)
    name = os.fsencode(path)
    for character in b"\\ \t\n":  # the kernel writes these as octal numbers; the backslash is replaced first
        name = name.replace(bytes([character]), b"\\%03o" % character)
    return any(line.split(b" ", 5)[4] == name for line in mounts.splitlines())


def foreign_owner(file: Path) -> int | None:
    """Return the user id of another user who owns this file and could read what is written to it, else None.

    Root may use the folder of a user, for example in a container that mounts it: the folder and the file belong to that
    user, and no other user can write to the folder.
    """
    try:
        status, folder = file.stat(), file.parent.stat()
    except OSError:
        return None
    if os.name != "posix" or status.st_uid == os.geteuid():
        return None
    is_folder_of_owner = folder.st_uid == status.st_uid and not folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return None if os.geteuid() == 0 and is_folder_of_owner else status.st_uid


# --- writing ----------------------------------------------------------------------------------------------------------


def write_all(file: FileIO, data: bytes) -> None:
    """Write all bytes to an unbuffered file."""
    remaining = memoryview(data)
    while remaining:  # the system may write less than it was given, for example at a limit
        remaining = remaining[file.write(remaining) :]


def replace_file(source: Path, target: Path) -> None:
    """Rename a file to the name of another one, which it replaces."""
    for _ in range(_REPLACE_ATTEMPTS - 1):  # pragma: no cover  (Windows only)
        try:
            os.replace(source, target)
        except PermissionError:
            time.sleep(_REPLACE_PAUSE_SECONDS)
        else:
            return
    os.replace(source, target)


def sync_folder(folder: Path) -> None:
    """Make new and deleted names in a folder durable, if the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
