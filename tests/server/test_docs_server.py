"""Test that docs/server.md lists the codes of the server's errors."""

from __future__ import annotations

import re

from pages import ROOT

from codex_backend_sdk.server import api_errors

PAGE = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
# Codes of the OpenAI API and of the backend. `unsupported_endpoint` is for resources that the server does not call.
KNOWN_ELSEWHERE = {
    "context_length_exceeded",
    "insufficient_quota",
    "invalid_encrypted_content",
    "invalid_prompt",
    "invalid_value",
    "model_not_found",
    "rate_limit_exceeded",
    "server_error",
    "server_is_overloaded",
    "unsupported_country_region_territory",
    "unsupported_endpoint",
    "unsupported_parameter",
    "usage_limit_reached",
    "usage_not_included",
}


def test_page_lists_the_codes_of_the_server_with_their_status() -> None:
    listed = re.findall(r"^\| `(\w+)` \| (\d{3}) \| \S", PAGE, re.MULTILINE)
    own = [row for row in api_errors._ERRORS if row.code is not None and row.code not in KNOWN_ELSEWHERE]
    assert dict(listed) == {row.code: str(row.status) for row in own}
    assert len(listed) == len(own)


def test_known_codes_are_those_of_the_table() -> None:
    assert {row.code for row in api_errors._ERRORS} >= KNOWN_ELSEWHERE


def test_codes_outside_the_page_are_local() -> None:
    """Each code in the modules of the server is one of the OpenAI API, or begins with `local_`."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "src/codex_backend_sdk/server").glob("*.py")]
    codes = {code for source in sources for code in re.findall(r'\bcode="(\w+)"', source)}
    official = {
        "invalid_type",
        "model_not_found",
        "previous_response_not_found",
        "unsupported_parameter",
        "unsupported_value",
    }
    assert {code for code in codes if not code.startswith("local_")} <= official
