"""How faults are written."""

from __future__ import annotations

import pytest

from codex_backend_sdk.testing import Simulator, Turn
from codex_backend_sdk.testing.faults.fault_syntax import planned

RESPONSES = "/backend-api/codex/responses"


@pytest.mark.parametrize(
    ("text", "place", "times", "is_anywhere"),
    [
        ("overloaded", RESPONSES, None, True),
        (" overloaded ; the third ", RESPONSES, None, True),
        ("overloaded@responses", RESPONSES, None, False),
        ("usage_limit:plus,60+byte_by_byte*3", RESPONSES, 3, True),
        ("reset@token*2;a", "/oauth/token", 2, False),
        ("status:503@/oauth/revoke", "/oauth/revoke", None, False),
        ("refresh_token_reused", "/oauth/token", None, True),
        ("header:x-note,with, commas", RESPONSES, None, True),
        ("tls_failure:reset", "handshake", None, False),
    ],
)
def test_what_is_read(text: str, place: str, times: int | None, is_anywhere: bool) -> None:
    found = planned(text)
    assert (found.place, found.times, found.is_anywhere) == (place, times, is_anywhere)
    assert found.turn == "reset" if place == "handshake" else isinstance(found.turn, Turn)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Not a fault"),
        ("overloaded*x", "Not a fault"),
        ("usage_limt", "Did you mean usage_limit"),
        ("zzz", r"No such fault: 'zzz'\. `codex-backend"),
        ("reset:many", r"'reset:many' is not reset\[:bytes\]: invalid literal"),
        ("overloaded:now", "overloaded takes nothing"),
        ("byte_by_byte@nowhere", "No such place: nowhere. Places: responses, models"),
        ("tls_failure:loudly", "no such handshake: loudly; there are plain"),
        ("tls_failure+reset", "Nothing can follow a handshake"),
        ("compressed:lzma", "Unknown content encoding: lzma. Supported: gzip, zstd, br"),
        ("cloudflare:angry", "No such page: angry"),
        ("refresh_token_reused:round", "No such shape: round. Shapes: object, text, code"),
        ("throttled:0", "has to be 1 or more"),
    ],
)
def test_a_mistake_is_said_at_once(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        planned(text)
    with pytest.raises(ValueError, match=says):
        Simulator().fail("overloaded", text)


def test_other_mistakes_of_a_call() -> None:
    sim = Simulator()
    with pytest.raises(TypeError, match=r"fail\(\) takes names of faults and Turns, not 42"):
        sim.fail(42)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="probability has to be from 0 to 1, not 20"):
        sim.fail("reset", probability=20)
    with pytest.raises(ValueError, match="times has to be 1 or more"):
        sim.fail("reset", times=0)
    with pytest.raises(ValueError, match="No such code of a quota: money"):
        Turn.quota_exceeded("money")
