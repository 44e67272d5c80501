"""`python -m bench.peers NAME SERVER`: run the task in each line of standard input, print a line with its figures."""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

from bench.peers import load
from bench.tasks import TASKS, PeerClients

_LOOPBACK = ("127.0.0.1", "localhost", "::1", None)


def block_other_hosts() -> None:
    """Make name lookups of other hosts fail, so that no client can reach its real backend."""
    resolve = socket.getaddrinfo

    def loopback_only(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in _LOOPBACK:
            raise OSError(f"The benchmark must not connect to another host: {name}.")
        return resolve(host, *args, **kwargs)

    socket.getaddrinfo = loopback_only


def main() -> None:
    """Run tasks for one peer until standard input is closed."""
    name, server = sys.argv[1:]
    block_other_hosts()
    clients = PeerClients(load(name), server)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(TASKS[order.pop("task")](clients, **order)), flush=True)
    clients.close()


if __name__ == "__main__":
    main()
