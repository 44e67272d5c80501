"""The first answer of a process finds ready what it needs."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import threading
from codex_backend_sdk._core import events
from codex_backend_sdk.testing import Simulator

with Simulator() as simulator, simulator.client() as client:
    client.models.list()
    print(events._event_validator.cache_info().currsize)
    client.responses.create(input="hi")
    for thread in threading.enumerate():
        if thread.name == "codex-backend-sdk-preparation":
            thread.join(10)
    print(events._event_validator.cache_info().currsize >= len(events._USUAL))
"""


def test_it_is_prepared_by_the_first_call_that_needs_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.split() == ["0", "True"]
