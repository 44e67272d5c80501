"""Test the parser of faults."""

from __future__ import annotations

import pytest

from codex_backend_sdk.testing import Simulator, Turn
from codex_backend_sdk.testing.faults.fault_catalog import FAULTS
from codex_backend_sdk.testing.faults.fault_syntax import parse_fault

RESPONSES = "/backend-api/codex/responses"


@pytest.mark.parametrize(
    ("text", "path", "count", "has_explicit_route"),
    [
        ("overloaded", RESPONSES, None, False),
        (" overloaded ; the third ", RESPONSES, None, False),
        ("overloaded@responses", RESPONSES, None, True),
        ("usage_limit:plus,60+byte_by_byte*3", RESPONSES, 3, False),
        ("reset@token*2;a", "/oauth/token", 2, True),
        ("status:503@/oauth/revoke", "/oauth/revoke", None, True),
        ("refresh_token_reused", "/oauth/token", None, False),
        ("header:x-note,with, commas", RESPONSES, None, False),
    ],
)
def test_text_is_parsed_into_a_fault(text: str, path: str, count: int | None, has_explicit_route: bool) -> None:
    fault = parse_fault(text)
    assert (fault.path, fault.count, fault.has_explicit_route) == (path, count, has_explicit_route)
    assert isinstance(fault.turn, Turn)


def test_tls_failure_has_no_route() -> None:
    fault = parse_fault("tls_failure:reset")
    assert (fault.path, fault.turn) == ("handshake", "reset")


@pytest.mark.parametrize("name", FAULTS)
def test_arguments_are_optional(name: str) -> None:
    assert parse_fault(name).count is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Invalid fault: ''. Write NAME"),
        ("overloaded*x", r"Write NAME\[:ARGUMENT"),
        ("usage_limt", "Did you mean usage_limit"),
        ("zzz", r"Unknown fault: 'zzz'\. Run `codex-backend simulate --list-faults`"),
        ("reset:many", r"Invalid fault: 'reset:many'. invalid literal.*Write reset\[:bytes\]\."),
        ("overloaded:now", "Remove the arguments: overloaded takes no arguments"),
        ("byte_by_byte@nowhere", "Unknown route: 'nowhere'. Use one of responses, models"),
        ("tls_failure:loudly", r"Unknown handshake failure: .loudly.\. Use one of: plain"),
        ("tls_failure+reset", "No response follows a TLS failure"),
        ("compressed:lzma", "lzma.*: gzip, zstd, br"),
        ("cloudflare:angry", "Unknown Cloudflare page: 'angry'"),
        ("refresh_token_reused:round", "Unknown shape: 'round'. Use one of: object, text, code"),
        ("throttled:0", r"Invalid chunk size of throttled\(\): 0"),
    ],
)
def test_invalid_text_raises_immediately(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_fault(text)
    with pytest.raises(ValueError, match=message):
        Simulator().fail("overloaded", text)
