"""Find owners and permissions that let other users read a stored login, or replace it by their own.

`access_problems` is for `codex-backend doctor`. `warn_about_access` logs the same problems when a login is loaded or
written, once for each file and process. Windows has no such modes, and there the permissions of the profile folder
apply.
"""

from __future__ import annotations

import logging
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from ..._files import foreign_owner

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AccessProblem", "access_problems", "warn_about_access"]

log = logging.getLogger("codex_backend_sdk.auth")

_GROUP_AND_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_reported: Final[set[str]] = set()


class AccessProblem(NamedTuple):
    """A problem as a sentence, and the command that fixes it, as a sentence."""

    message: str
    remedy: str


def access_problems(file: Path) -> list[AccessProblem]:
    """Return the problems of a file and of its folder. `file` may be a symlink, and need not exist."""
    if os.name != "posix":
        return []
    target = file.parent / os.path.realpath(file)
    problems = [_folder_problem(folder) for folder in dict.fromkeys((target.parent, file.parent))]
    return [problem for problem in (_file_problem(target), *problems) if problem is not None]


def warn_about_access(file: Path) -> None:
    """Log a warning for each problem of a file, unless this process has already logged it."""
    if str(file) in _reported:
        return
    for problem in access_problems(file):
        _reported.add(str(file))
        log.warning("%s %s", *problem)


def _file_problem(file: Path) -> AccessProblem | None:
    owner = foreign_owner(file)
    if owner is not None:
        return AccessProblem(f"Another user (uid {owner}) owns {file} and can read it.", "Delete it, and log in again.")
    mode = _mode(file)
    if not mode & _GROUP_AND_OTHERS:
        return None
    can_write = mode & (stat.S_IWGRP | stat.S_IWOTH)
    action = "read and change" if can_write else "access"
    return AccessProblem(f"Other users can {action} {file} (mode {mode:04o}).", f"Run `chmod 600 {file}`.")


def _folder_problem(folder: Path) -> AccessProblem | None:
    mode = _mode(folder)
    # In a folder with the sticky bit, such as /tmp, users can replace only their own files.
    if mode & stat.S_ISVTX or not (mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _has_private_group(folder))):
        return None
    return AccessProblem(
        f"Other users can replace the login in {folder}, because they can write to the folder (mode {mode:04o}).",
        f"Run `chmod go-w {folder}`.",
    )


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:  # it does not exist, or cannot be inspected
        return 0


def _has_private_group(folder: Path) -> bool:
    """Return whether the group has no other member: some systems give each user a group, and folders mode 0775."""
    import grp  # POSIX only, as `pwd`
    import pwd

    try:
        user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(folder.stat().st_gid)
    except (KeyError, OSError):
        return False
    return group.gr_gid == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
