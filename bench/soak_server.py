"""`python -m bench.soak_server SEED PROBABILITY`: run the simulator of a soak test until standard input is closed.

It prints a line of JSON with its URLs and a login, and another one at the end with the number of requests.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import deque

from codex_backend_sdk.testing import Simulator

__all__ = ["FAULTS"]

# No fault takes longer than some seconds, so that many happen. Each leads to the correct response or to a typed error.
_FAULT_NAMES = (
    "overloaded slow_down:0.1 status:500 status:502 rate_limited:0.1 usage_limit:plus,60 context_length_exceeded "
    "cloudflare unauthorized:token_expired failed:server_error failed:cyber_policy failed_try_again:50ms "
    "error_event:server_error cut_after_events:6 cut_after_bytes:1500 clean_end_after_events:8 reset reset:2000 "
    "stalled:6,4 delayed:4 throttled:200,0.001 keepalives:0.2 compressed:gzip compressed:zstd huge_event:200000 "
    "huge_header:50000 informational repeated_last_event data_after_end bytes_after_response garbage:4 html empty "
    "not_http"
)
FAULTS = tuple(_FAULT_NAMES.split())
# The simulator records all requests, so its memory is cleared at this interval. That clears the faults as well.
_CLEAR_SECONDS = 5.0


def main() -> None:
    """Serve until standard input is closed."""
    seed, probability = int(sys.argv[1]), float(sys.argv[2])
    is_over = threading.Event()

    def wait_for_end_of_input() -> None:
        sys.stdin.read()
        is_over.set()

    threading.Thread(target=wait_for_end_of_input, daemon=True).start()
    requests = 0
    with Simulator(seed=seed, max_recorded_requests=sys.maxsize) as sim:  # counts them
        sim.fail(*FAULTS, probability=probability)
        print(json.dumps({"base_url": sim.base_url, "issuer": sim.issuer, "login": sim.login_document()}), flush=True)
        faults = deque(FAULTS)
        while not is_over.wait(_CLEAR_SECONDS):
            requests += len(sim.requests)
            sim.clear()
            # clear() restarts the random draws, so the faults get another order.
            faults.rotate(-1)
            sim.fail(*faults, probability=probability)
        print(json.dumps({"requests": requests + len(sim.requests)}), flush=True)


if __name__ == "__main__":
    main()
