"""`python -m bench.fresh PEER BASE_URL`: the first event of the first call that a process makes.

The client is imported before the clock starts; importing has a row of its own.
"""

from __future__ import annotations

import json
import sys
import time

from bench.peers import load
from bench.tasks import DELTAS, parameters

__all__ = ["main"]


def main() -> None:
    """Print what was waited, in milliseconds."""
    name, base_url = sys.argv[1:]
    peer, asked = load(name), parameters()
    begun = time.perf_counter()
    client = peer.client(base_url)
    start, cpu = time.perf_counter(), time.process_time()
    events = peer.events(client, asked)
    first = next(events)
    waited = time.perf_counter() - start
    while (first["type"] if peer.untyped else first.type) not in DELTAS:
        first = next(events)
    text = time.perf_counter() - start
    for _ in events:
        pass
    cpu = time.process_time() - cpu
    again = time.perf_counter()
    peer.client(base_url)
    figures = {
        "wall_ms": waited,
        "text_ms": text,
        "cpu_ms": cpu,
        "constructed_ms": start - begun,
        "second_client_ms": time.perf_counter() - again,
    }
    print(json.dumps({name: seconds * 1e3 for name, seconds in figures.items()}))


if __name__ == "__main__":
    main()
