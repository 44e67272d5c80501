"""Forbid a Python process to connect to other hosts, and report which ones it tried to reach."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["allow_loopback_only"]

_LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1", "", None}


def allow_loopback_only() -> set[str]:
    """Raise `OSError` for connections and look-ups of other hosts from now on. Return a set that collects these hosts.

    Python reports both as audit events. An audit hook cannot be removed, and a library cannot replace it.
    """
    foreign_hosts: set[str] = set()

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            host = arguments[0]
        elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
            host = arguments[1][0]
        else:
            return
        if isinstance(host, bytes):
            host = host.decode("ascii", "replace")
        if host not in _LOCAL_HOSTS:
            foreign_hosts.add(host)
            raise OSError(f"The tests of integrations may connect to this machine only, not to {host}.")

    sys.addaudithook(check)
    return foreign_hosts
