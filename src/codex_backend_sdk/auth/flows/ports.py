"""Which process listens on a port of this machine, where the system tells."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["listener"]

# man 5 proc_net_tcp: the fourth column of a listening socket.
_LISTEN: Final = "0A"
_PROC: Final = Path("/proc")


def listener(port: int, *, proc: Path = _PROC) -> str | None:
    """Name the process that listens on a TCP port, `python3 (process 1234)`; None where that cannot be seen.

    Linux shows it for the processes of the same user. Elsewhere psutil is asked, if it is installed.
    """
    if (proc / "net").is_dir():
        return _from_proc(port, proc)
    return _from_psutil(port)


def _from_proc(port: int, proc: Path) -> str | None:
    tables = (_lines(proc / "net" / name) for name in ("tcp", "tcp6"))
    sockets = {f"socket:[{inode}]" for table in tables for inode in _inodes(table, port)}
    for process in proc.glob("[0-9]*") if sockets else ():
        if _holds(process, sockets):
            return f"{' '.join(_lines(process / 'comm'))} (process {process.name})"
    return None


def _inodes(lines: Iterable[str], port: int) -> set[str]:
    """Return the inodes of the listening sockets. Columns: number, local, remote, state, …; the tenth is the inode."""
    rows = (line.split() for line in list(lines)[1:])
    return {row[9] for row in rows if row[3] == _LISTEN and row[1].endswith(f":{port:04X}")}


def _holds(process: Path, sockets: set[str]) -> bool:
    try:
        return any(_target(link) in sockets for link in (process / "fd").iterdir())
    except OSError:  # another user's process, or one that has just ended
        return False


def _target(link: Path) -> str | None:
    try:
        return os.readlink(link)
    except OSError:
        return None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _from_psutil(port: int) -> str | None:
    try:
        import psutil  # type: ignore[import-untyped]
    except ImportError:
        return None
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:  # macOS shows it to root alone
        pass
    return None
