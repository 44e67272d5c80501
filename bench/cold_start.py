"""`python -m bench.cold_start PEER BASE_URL`: time the first event of the first call of a process.

The client is imported before the clock starts, because importing has a row of its own.
"""

from __future__ import annotations

import json
import sys
import time

from bench.peers import load
from bench.tasks import call_parameters
from bench.workloads import DELTA_TYPES

__all__ = ["main"]


def main() -> None:
    """Print the times as a JSON object, in milliseconds."""
    name, base_url = sys.argv[1:]
    peer, parameters = load(name), call_parameters()
    construction_start = time.perf_counter()
    client = peer.client(base_url)
    start, cpu_start = time.perf_counter(), time.process_time()
    events = peer.events(client, parameters)
    event = next(events)
    first_event = time.perf_counter() - start
    while (event["type"] if peer.is_untyped else event.type) not in DELTA_TYPES:
        event = next(events)
    first_text = time.perf_counter() - start
    for _ in events:
        pass
    cpu = time.process_time() - cpu_start
    second_start = time.perf_counter()
    peer.client(base_url)
    seconds = {
        "wall_ms": first_event,
        "text_ms": first_text,
        "cpu_ms": cpu,
        "constructed_ms": start - construction_start,
        "second_client_ms": time.perf_counter() - second_start,
    }
    print(json.dumps({name: value * 1e3 for name, value in seconds.items()}))


if __name__ == "__main__":
    main()
