"""`python -m bench.soak_server SEED SHARE`: the simulator of a soak, until standard input is closed.

It prints a line of JSON with its address and a login, and another one at the end with what it was asked.
"""

from __future__ import annotations

import json
import sys
import threading

from codex_backend_sdk.testing import Simulator

__all__ = ["FAULTS"]

# None takes longer than seconds, so that many happen. Each ends in the right answer, or in an error with a class.
_NAMES = (
    "overloaded slow_down:0.1 status:500 status:502 rate_limited:0.1 usage_limit:plus,60 context_length_exceeded "
    "cloudflare unauthorized:token_expired failed:server_error failed:cyber_policy failed_try_again:50ms "
    "error_event:server_error cut_after_events:6 cut_after_bytes:1500 clean_end_after_events:8 reset reset:2000 "
    "stalled:6,4 delayed:4 throttled:200,0.001 keepalives:0.2 compressed:gzip compressed:zstd huge_event:200000 "
    "huge_header:50000 informational repeated_last_event data_after_end bytes_after_response garbage:4 html empty not_http"
)
FAULTS = tuple(_NAMES.split())
# What was asked is forgotten now and then, with the faults, which are then given again.
_FORGET_SECONDS = 5.0


def main() -> None:
    """Serve."""
    seed, share = int(sys.argv[1]), float(sys.argv[2])
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    asked = 0
    with Simulator(seed=seed) as sim:
        sim.fail(*FAULTS, probability=share)
        print(json.dumps({"base_url": sim.base_url, "issuer": sim.issuer, "login": sim.login_document()}), flush=True)
        rounds = 0
        while not over.wait(_FORGET_SECONDS):
            asked += len(sim.requests)
            rounds += 1
            sim.clear()
            # The next draws differ, and begin with another fault.
            turned = rounds % len(FAULTS)
            sim.fail(*FAULTS[turned:], *FAULTS[:turned], probability=share)
        print(json.dumps({"requests": asked + len(sim.requests)}), flush=True)


if __name__ == "__main__":
    main()
