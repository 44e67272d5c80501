"""The faults that every client is put before, and what would be right.

`tells` is a pattern; an error that matches it somewhere says what happened. It is as wide as it can be: the backend's
own code is enough, in any form. Where there is a time of a reset, that time has to be told, however it is written.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

__all__ = ["CASES", "NOTHING", "SAID", "Case"]

# What is asked for and has to arrive, as one text.
SAID = "all of this arrived whole"


class Case(NamedTuple):
    """A fault by its name in the simulator, at every request unless it ends in `*1`.

    `is_mendable`: the same call can succeed, so it has to; the right answer is `SAID`. Otherwise no repetition helps:
    an error after `requests` requests is right. `resets_in` is when a limit resets; `expired`: the access token has run
    out.
    """

    fault: str
    title: str
    is_mendable: bool = False
    tells: str = ""
    requests: int = 1
    resets_in: timedelta | None = None
    expired: bool = False


def _once(fault: str, title: str, *, expired: bool = False) -> Case:
    return Case(f"{fault}*1", title, is_mendable=True, expired=expired)


_CUT = "cut|clos|broken|premature|incomplete|interrupt|terminal|ended"
_LASTING = (
    Case("usage_limit:plus,3600", "the plan is used up", resets_in=timedelta(hours=1)),
    Case("usage_limit_week:plus", "the week of the plan is used up", resets_in=timedelta(days=7)),
    Case("failed:usage_limit_reached", "the same, inside of an answer", tells="usage.?limit"),
    Case("usage_not_included", "the plan has no Codex", tells="not.included|not include"),
    Case("insufficient_quota", "the credit is spent", tells="quota|credit"),
    Case("failed:insufficient_quota", "the same, inside of an answer", tells="quota|credit"),
    Case("flex_unavailable", "no flex capacity", tells="flex"),
    Case("context_length_exceeded", "the input is too long", tells="context"),
    Case("failed:context_length_exceeded", "the same, inside of an answer", tells="context"),
    Case("cyber_policy", "refused by policy", tells="policy|flagged"),
    Case("model_not_found", "no such model", tells="model"),
    Case("unsupported_parameter:user", "a parameter is refused", tells="Unsupported parameter: user"),
    Case("invalid_encrypted_content", "reasoning of another account", tells="encrypted"),
    Case("region_not_supported", "a country that is not served", tells="country|region"),
    Case("cloudflare", "stopped by Cloudflare", tells="cloudflare|cf-mitigated"),
    Case("redirect", "sent to another host", tells="redirect"),
    Case("html", "a login page with status 200", tells="html|content.?type|event.?stream"),
    Case("empty", "an empty answer with status 200", tells="empty|no event|without|ended"),
    Case("garbage", "a damaged event", tells="damaged|malformed|non-UTF-8|not JSON|invalid"),
    Case("unauthorized", "the login is refused, renewed or not", tells="unauthorized|login|sign in", requests=2),
)
_AT_EACH_TRY = (
    Case("cut_after_events:8", "each answer is cut", tells=_CUT, requests=9),
    Case("ended_after_events:8", "each answer lacks its end", tells=_CUT, requests=9),
    Case("kept_alive:3600", "comments and keepalives for an hour", tells="time|long", requests=9),
    Case("overloaded", "overloaded for long", tells="overloaded|capacity", requests=9),
)
_PASSING = (
    _once("rate_limited:1", "too many requests, Retry-After"),
    _once("rate_limited", "too many requests, “try again in 1.5s”"),
    _once("failed_try_again:1s", "the same, inside of an answer"),
    _once("overloaded", "overloaded once"),
    _once("failed:server_is_overloaded", "the same, inside of an answer"),
    _once("status:500", "status 500 once"),
    _once("status:502", "status 502 once"),
    _once("failed:server_error", "`response.failed` once"),
    _once("error_event:server_error", "an `error` event once"),
    _once("reset", "reset before the answer"),
    _once("not_http", "bytes that are no HTTP"),
    _once("cut_after_events:8", "cut after 8 events"),
    _once("cut_after_bytes:1500", "cut after 1,500 bytes"),
    _once("reset:2000", "reset in the answer"),
    _once("ended_after_events:8", "ended without its end"),
    _once("delayed:60", "silence before the answer"),
    _once("stalled:6,60", "silence in the answer"),
    _once("unauthorized:token_expired", "the login is refused once"),
    _once("token_without:id_token", "the login has run out", expired=True),
)
_HARMLESS = tuple(
    Case(fault, title, is_mendable=True)
    for fault, title in (
        ("byte_by_byte", "one byte at a time"),
        ("throttled:200,0.01", "slowly"),
        ("kept_alive:1", "comments and keepalives first"),
        ("compressed:gzip", "compressed: gzip"),
        ("compressed:zstd", "compressed: zstd"),
        ("compressed:br", "compressed: br"),
        ("huge_event:2000000", "an event of 2 MB"),
        ("huge_header", "a header of 100 kB"),
        ("informational:103,2", "answers below 200 first"),
        ("repeated_end:2", "its end twice"),
        ("data_after_end", "text behind its end"),
        ("bytes_after_answer", "bytes behind the answer"),
    )
)
_LOGIN = (
    Case("refresh_token_invalidated", "the login was revoked", tells="revoked|no longer|invalid|sign in", expired=True),
)
# Who fails here was not asked properly.
NOTHING = Case("", "nothing goes wrong", is_mendable=True)
CASES = (*_LASTING, *_LOGIN, *_AT_EACH_TRY, *_PASSING, *_HARMLESS)
