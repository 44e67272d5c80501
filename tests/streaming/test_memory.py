"""Test that no response uses more memory than its limit, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = Path(__file__).parents[1] / "support" / "memory_probe.py"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no `resource` module")
@pytest.mark.timeout(300)
def test_decompression_bombs_use_little_memory() -> None:
    process = subprocess.run([sys.executable, str(PROBE)], capture_output=True, text=True, timeout=280, check=True)
    results = json.loads(process.stdout)
    # A body is kept several times while it is read (16 MB each); a stream only once (4 MB).
    assert results.pop("growth") < 200
    for name, result in results.items():
        if name == "create, error":
            assert result.startswith("InternalServerError")
        elif name == "create, JSON":
            assert "The body of the response is larger than 16,000,000 bytes" in result
        elif name == "issuer":
            assert "The response of https://issuer.example is larger than 16,000,000 bytes" in result
        elif "data line" in name:
            assert "Event 3 of the response is larger than 4,000,000 bytes, the limit of `max_event_bytes`" in result
        else:
            assert (name, result) == (name, "hello")
