"""Fuzz target for time: parsing foreign text takes time in proportion to its length.

An input is a parser and a text: a prefix, a unit that is repeated, and a suffix. A regular expression that backtracks,
or a loop that searches the rest of the text again and again, takes a multiple of the allowed time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from codex_backend_sdk._errors.classify import classify
from codex_backend_sdk._errors.error_text import describe_body, error_message
from codex_backend_sdk._json import decode, encode
from codex_backend_sdk._redaction import excerpt, redact, redact_data, redact_url, remove_control_characters
from codex_backend_sdk._routing.workspace_parsing import parse_routing
from codex_backend_sdk._streaming.accumulator import Accumulator
from codex_backend_sdk._streaming.sse import EventDecoder, parse_frames
from codex_backend_sdk.auth import _auth_json, _device_code, _jwt, _oauth
from codex_backend_sdk.cli import app, output
from codex_backend_sdk.limits.limit_parsing import parse_headers, parse_usage_report
from codex_backend_sdk.types import Secret

from .choices import Choices

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
SHORT, LONG = 4_000, 64_000
# Sixteen times the length may take 64 times as long: quadratic time would be 256 times as long.
_MAX_RATIO = 64
_TOLERANCE_SECONDS = 0.02


def _classify_headers(text: str) -> None:
    for name in ("retry-after", "location", "cf-ray", "x-should-retry", "x-codex-promo-message"):
        classify(302, None, {name: text}, now=NOW)
        classify(429, {"error": {"type": "usage_limit_reached"}}, {name: text}, now=NOW)


def _read_stream(text: str) -> None:
    decoder, data = EventDecoder(), text.encode("utf-8", "replace")
    chunks = [decoder.feed(data[start : start + 50]) for start in range(0, len(data), 50)]
    for frames in (*chunks, decoder.finish(), EventDecoder().feed(data)):
        Accumulator(dropped_parameters=None).add_deltas(frames)
        for _ in parse_frames(frames):
            pass


def _limit_headers(text: str) -> None:
    parse_headers({f"x-codex-{name}": text for name in ("primary-used-percent", "credits-balance")}, received_at=NOW)
    parse_headers({f"x-{text}-primary-used-percent": "5"}, received_at=NOW)


PARSERS: dict[str, Callable[[str], object]] = {
    "describe_body": lambda text: describe_body(text, text),
    "error_message": error_message,
    "error_detail": lambda text: error_message({"detail": [{"msg": text}]}),
    "classify_text": lambda text: classify(503, text, {}, now=NOW),
    "classify_message": lambda text: classify(400, {"error": {"message": text, "code": text}}, {}, now=NOW),
    "classify_event": lambda text: classify(None, {"error": {"message": text, "param": text}}, {}, now=NOW),
    "classify_headers": _classify_headers,
    "redact": lambda text: redact(text, ("a secret", "ab" * 1000)),
    "redact_data": lambda text: redact_data([text]),
    "excerpt": excerpt,
    "redact_url": redact_url,
    "remove_control_characters": remove_control_characters,
    "decode": lambda text: decode(text.encode("utf-8", "replace")),
    "stream": _read_stream,
    "limit_headers": _limit_headers,
    "usage": lambda text: parse_usage_report(
        {"plan_type": text, "credits": {"has_credits": True, "balance": text}, "rate_limit_reached_type": text},
        received_at=NOW,
    ),
    "routing": lambda text: parse_routing(
        encode({"accounts": [{"id": "a", "workspace_backend_origin": f"https://{text}"}]}),
        account_id="a",
        backend="https://chatgpt.com/backend-api",
    ),
    "auth_json": lambda text: _auth_json.parse(text.encode("utf-8", "replace")),
    "claims": lambda text: _jwt.parse_claims(Secret(text)),
    "issuer_error": lambda text: _oauth.describe_error(text.encode("utf-8", "replace"), secrets=[Secret("a secret")]),
    "callback": lambda text: _oauth.parse_authorization_response(f"state=s&error={text}", expected_state="s"),
    "pasted_url": _oauth.parse_pasted_url,
    "device_code": lambda text: _device_code.parse_user_code(400, text.encode("utf-8", "replace"), issuer="i"),
    "wrap": lambda text: output.wrap(text, 80),
    "command_error": lambda text: app.error_message(ValueError(text)),
}
# Fragments that begin something which a parser might search the end of.
_UNITS = (
    "<title>", "<title", "<!doctype html>", "<html ", "</title", " ", "\t", "\n", "\r\n\r\n", "\n\n", "data: ",
    "data:\n", "event: ", "{", "}", "[", '{"a":', '"', "\\", "\\u0000", "}, {", "} ,", ",", "0", "9", "1e9", "-", ".",
    "try again in ", "try again in 1", "unsupported parameter: ", "Bearer ", "bearer:", "eyJ", "eyJ.", "sk-", "at-a",
    "rt_", "\x1b", "\x1b[", "\x1b[0", "\x1b]", "\x1b]0;", "\x9d", "\x9b", "%", "%20", "&", "=", "?", "#", "@", "//",
    "/", ":", ";", "code=", "client.authenticate(", "`client.authenticate( or ", "a", "ab" * 8, "é", "\ud800", "\x00",
)  # fmt: skip


def check_time(data: bytes) -> None:
    """Check one parser with one repeated text."""
    choices = Choices(data)
    parse = PARSERS[choices.one_of(tuple(PARSERS))]
    prefix, suffix = choices.one_of(("", *_UNITS)), choices.one_of(("", *_UNITS))
    unit = "".join(choices.one_of(_UNITS) for _ in range(1 + choices.number(3)))
    check_parser(parse, prefix, unit, suffix)


def check_parser(parse: Callable[[str], object], prefix: str, unit: str, suffix: str) -> None:
    """Compare the times for a short and a long text. A slow comparison is repeated, because a measurement may err."""
    texts = [prefix + unit * (length // len(unit)) + suffix for length in (SHORT, LONG)]
    for attempt in range(3):
        short, long = (_seconds(parse, text) for text in texts)
        if long <= _MAX_RATIO * short + _TOLERANCE_SECONDS * (1 + attempt):
            return
    raise AssertionError(f"{LONG} characters take {long:.3f} s, {SHORT} take {short:.6f} s: {prefix!r}, {unit!r}")


def _seconds(parse: Callable[[str], object], text: str) -> float:
    """Return the CPU time of this thread, which does not depend on other programs."""
    was_enabled: Any = gc.isenabled()
    gc.disable()
    started_at = time.thread_time()
    try:
        parse(text)
    except (ValueError, RecursionError):  # the text is invalid; other targets check which errors are allowed
        pass
    finally:
        seconds = time.thread_time() - started_at
        if was_enabled:
            gc.enable()
    return seconds
