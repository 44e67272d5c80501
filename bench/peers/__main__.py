"""`python -m bench.peers NAME SERVER`: do what each line of standard input says, answer with a line of figures."""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

from bench.peers import load
from bench.tasks import TASKS, Bench

_LOOPBACK = ("127.0.0.1", "localhost", "::1", None)


def stay_on_this_machine() -> None:
    """Let no client resolve another host, whatever its constants say."""
    resolve = socket.getaddrinfo

    def loopback_only(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in _LOOPBACK:
            raise OSError(f"The benchmarks stay on this machine; {name} was asked for.")
        return resolve(host, *args, **kwargs)

    socket.getaddrinfo = loopback_only


def main() -> None:
    """Serve one peer until standard input is closed."""
    name, server = sys.argv[1:]
    stay_on_this_machine()
    bench = Bench(load(name), server)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(TASKS[order.pop("task")](bench, **order)), flush=True)
    bench.close()


if __name__ == "__main__":
    main()
