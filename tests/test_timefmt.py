from __future__ import annotations

import os
import subprocess
import sys

import pytest

TELL = """
from datetime import UTC, datetime
from codex_backend_sdk._timefmt import local
print(local(datetime(2026, 11, 23, 0, 0, tzinfo=UTC)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the system's own setting counts there")
@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("UTC", "2026-11-23 00:00 UTC"),
        ("EST5EDT", "2026-11-22 19:00 EST"),
        ("<+0530>-5:30", "2026-11-23 05:30 UTC+05:30"),
    ],
)
def test_a_moment_names_its_zone(zone: str, told: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", TELL], env={**os.environ, "TZ": zone}, capture_output=True, text=True, timeout=60
    )
    assert ran.stdout == f"{told}\n", ran.stderr
