"""Test `codex-backend ask` over the faults of the simulator: one line that names the way out, and the exit code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from codex_backend_sdk.testing.faults.fault_catalog import FAULTS

if TYPE_CHECKING:
    from cli.command_runs import Run, StoreLogin

    from codex_backend_sdk.testing import Simulator

# Faults that change no response over HTTP, or that delay it for longer than a test should take.
HARMLESS: Final = frozenset(
    (
        "byte_by_byte", "bytes_after_response", "compressed", "data_after_end", "delayed", "header", "huge_event",
        "huge_header", "informational", "input_transformations", "keepalives", "repeated_last_event",
    )
)  # fmt: skip
WEBSOCKET_ONLY: Final = frozenset(
    ("binary_message", "close", "connection_limit", "error_without_status", "fragmented", "pings", "silent")
)
SLOW: Final = frozenset(("stalled", "throttled"))
CODES: Final = {
    **dict.fromkeys((name for name in FAULTS if name.startswith("usage_limit")), 4),
    "usage_not_included": 4,
    "insufficient_quota": 4,
    "credit_balance_exhausted": 4,
    "organization_spend_limit_exceeded": 4,
    "project_spend_limit_exceeded": 4,
    "organization_usage_limit_exceeded": 4,
    "unauthorized": 3,
    "cyber_policy": 5,
    "bio_policy": 5,
    "invalid_prompt": 5,
    "misalignment_policy_violation": 5,
    "incomplete": 5,
    "cut_after_bytes": 5,
    "cut_after_events": 5,
    "clean_end_after_events": 5,
    **dict.fromkeys(HARMLESS, 0),
}
# The verbs of a remedy.
REMEDY: Final = re.compile(
    r"(?i)\b(buy credits|add credits|use another|upgrade|get more|check|remove|send|run|shorten|log in|change|wait|"
    r"codex-backend models|pass)\b"
)


def response_faults() -> list[str]:
    names = [name for name, fault in FAULTS.items() if fault.route == "responses"]
    return [name for name in names if name not in SLOW | WEBSOCKET_ONLY]


@pytest.mark.parametrize("fault", response_faults())
def test_fault_is_one_line_with_a_remedy(run: Run, sim: Simulator, store_login: StoreLogin, fault: str) -> None:
    store_login()
    sim.fail(fault, times=None)
    result = run("ask", "Say hi.")
    assert result.code == CODES.get(fault, 1)
    if result.code == 0:
        assert (result.out, result.err) == ("hi\n", "")
    else:
        assert re.fullmatch(r"Error: [^\n]+\n", result.err)
        assert REMEDY.search(result.err)
        assert not re.search(r"client\.|base_url|Error code", result.err), "no words of Python"
