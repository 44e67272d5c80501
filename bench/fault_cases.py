"""The faults of the comparison, and what a client should do about each.

An error is clear if its class, message or attributes match `error_pattern`. The patterns are wide: the backend's own
error code is enough, in any form. Where a limit has a reset time, the error must contain that time in any format.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

__all__ = ["CASES", "EXPECTED_TEXT", "NO_FAULT", "Case"]

# The text that the model is asked for; a correct response contains exactly this.
EXPECTED_TEXT = "this is the complete text"


class Case(NamedTuple):
    """A fault, by its name in the simulator. It happens to every request, or once if the name ends in `*1`.

    `is_recoverable`: a retry, or reading on, leads to `EXPECTED_TEXT`, so the client must return it. Otherwise no retry
    helps, and an error after at most `requests` requests is right. `resets_in` is the time until the limit resets.
    `has_expired_token`: the stored access token has expired.
    """

    fault: str
    title: str
    is_recoverable: bool = False
    error_pattern: str = ""
    requests: int = 1
    resets_in: timedelta | None = None
    has_expired_token: bool = False


def _once(fault: str, title: str, *, has_expired_token: bool = False) -> Case:
    return Case(f"{fault}*1", title, is_recoverable=True, has_expired_token=has_expired_token)


_CUT = "cut|clos|broken|premature|incomplete|interrupt|terminal|ended"
_PERMANENT = (
    Case("usage_limit:plus,3600", "the plan is exhausted", resets_in=timedelta(hours=1)),
    Case("usage_limit_week:plus", "the weekly limit is exhausted", resets_in=timedelta(days=7)),
    Case("failed:usage_limit_reached", "the same, inside a stream", error_pattern="usage.?limit"),
    Case("usage_not_included", "the plan does not include Codex", error_pattern="not.included|not include"),
    Case("insufficient_quota", "the account is out of credits", error_pattern="quota|credit"),
    Case("failed:insufficient_quota", "the same, inside a stream", error_pattern="quota|credit"),
    Case("flex_unavailable", "no capacity for the flex tier", error_pattern="flex"),
    Case("context_length_exceeded", "the input is too long", error_pattern="context"),
    Case("failed:context_length_exceeded", "the same, inside a stream", error_pattern="context"),
    Case("cyber_policy", "rejected by a usage policy", error_pattern="policy|flagged"),
    Case("model_not_found", "unknown model", error_pattern="model"),
    Case("unsupported_parameter:user", "unsupported parameter", error_pattern="Unsupported parameter: user"),
    Case("invalid_encrypted_content", "encrypted reasoning of another account", error_pattern="encrypted"),
    Case("region_not_supported", "unsupported country", error_pattern="country|region"),
    Case("cloudflare", "blocked by Cloudflare", error_pattern="cloudflare|cf-mitigated"),
    Case("redirect", "redirect to another host", error_pattern="redirect"),
    Case("html", "an HTML login page with status 200", error_pattern="html|content.?type|event.?stream"),
    Case("empty", "an empty body with status 200", error_pattern="empty|no event|without|ended"),
    Case("garbage", "a corrupt event", error_pattern="damaged|malformed|non-UTF-8|not JSON|invalid"),
    Case(
        "unauthorized",
        "the login is rejected, even after a refresh",
        error_pattern="unauthorized|login|sign in",
        requests=2,
    ),
)
_ON_EACH_ATTEMPT = (
    Case("cut_after_events:8", "every response is truncated", error_pattern=_CUT, requests=9),
    Case("clean_end_after_events:8", "every response lacks its terminal event", error_pattern=_CUT, requests=9),
    Case("keepalives:3600", "only comments and keepalives for an hour", error_pattern="time|long", requests=9),
    Case("overloaded", "overloaded, every time", error_pattern="overloaded|capacity", requests=9),
)
_TRANSIENT = (
    _once("rate_limited:1", "too many requests, Retry-After"),
    _once("rate_limited", "too many requests, “try again in 1.5s”"),
    _once("failed_try_again:1s", "the same, inside a stream"),
    _once("overloaded", "overloaded once"),
    _once("failed:server_is_overloaded", "the same, inside a stream"),
    _once("status:500", "status 500 once"),
    _once("status:502", "status 502 once"),
    _once("failed:server_error", "`response.failed` once"),
    _once("error_event:server_error", "an `error` event once"),
    _once("reset", "connection reset before the response"),
    _once("not_http", "bytes that are not HTTP"),
    _once("cut_after_events:8", "truncated after 8 events"),
    _once("cut_after_bytes:1500", "truncated after 1,500 bytes"),
    _once("reset:2000", "connection reset inside the response"),
    _once("clean_end_after_events:8", "no terminal event"),
    _once("delayed:60", "no response for 60 s"),
    _once("stalled:6,60", "silence of 60 s inside the response"),
    _once("unauthorized:token_expired", "the access token is rejected once"),
    _once("token_without:id_token", "the access token has expired", has_expired_token=True),
)
_HARMLESS = tuple(
    Case(fault, title, is_recoverable=True)
    for fault, title in (
        ("byte_by_byte", "delivered one byte at a time"),
        ("throttled:200,0.01", "delivered slowly"),
        ("keepalives:1", "comments and keepalives before the response"),
        ("compressed:gzip", "compressed: gzip"),
        ("compressed:zstd", "compressed: zstd"),
        ("compressed:br", "compressed: br"),
        ("huge_event:2000000", "an event of 2 MB"),
        ("huge_header", "a header of 100 kB"),
        ("informational:103,2", "informational responses (103) first"),
        ("repeated_last_event:2", "the terminal event twice"),
        ("data_after_end", "text after the terminal event"),
        ("bytes_after_response", "bytes after the response"),
    )
)
_LOGIN = (
    Case(
        "refresh_token_invalidated",
        "the login was revoked",
        error_pattern="revoked|no longer|invalid|sign in",
        has_expired_token=True,
    ),
)
# A client that fails this case is set up wrongly and cannot be compared.
NO_FAULT = Case("", "no fault", is_recoverable=True)
CASES = (*_PERMANENT, *_LOGIN, *_ON_EACH_ATTEMPT, *_TRANSIENT, *_HARMLESS)
