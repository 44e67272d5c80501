"""What an error of the backend means: one table, however the error came.

An error comes as the status of an answer, as an event inside of an answer with status 200 (`error`, or the `error` of
`response.failed`), or as a frame of a WebSocket, which has a status and headers of its own. Its code decides what it
is; the status decides only where no code is known. Codex CLI: codex-api/src/api_bridge.rs, codex-api/src/sse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .error_text import error_of, is_html, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ..limits.exhausted_limit import ExhaustedLimit

__all__ = ["AVAILABLE", "NO_ANSWER", "Failure", "Kind", "classify"]


class Kind(Enum):
    """What went wrong: the status that it has over HTTP, and whether the same call may succeed a little later."""

    USAGE_LIMIT = "usage limit", 429, False
    USAGE_NOT_INCLUDED = "usage not included", 429, False
    QUOTA = "quota", 429, False
    FLEX_UNAVAILABLE = "flex unavailable", 429, False
    RATE_LIMITED = "rate limited", 429, True
    OVERLOADED = "overloaded", 503, True
    CONTEXT_LENGTH = "context length", 400, False
    MODEL = "model", 404, False
    PARAMETER = "parameter", 400, False
    ENCRYPTED_CONTENT = "encrypted content", 400, False
    POLICY = "policy", 400, False
    CLOUDFLARE = "cloudflare", 403, False
    REGION = "region", 403, False
    UNAUTHORIZED = "unauthorized", 401, False
    REFUSED = "refused", 400, False  # any other status below 500
    FAULT = "fault", 500, True  # the backend's own trouble, and whatever it does not name
    NO_ANSWER = "no answer", 0, True  # not reached, cut, or out of time

    def __init__(self, words: str, status: int, may_repeat: bool) -> None:
        self.words = words
        self.status = status
        self.may_repeat = may_repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What one error means.

    `status` is what it came with, or the one that it has over HTTP. `retry_after` is in seconds, as the backend told
    it. `error` is the error object, or the whole body where there is none. `available` are the models that there are.
    """

    kind: Kind
    status: int
    message: str
    may_repeat: bool
    retry_after: float | None = None
    code: str | None = None
    param: str | None = None
    error: Any = field(default=None, repr=False)
    limit: ExhaustedLimit | None = None
    available: tuple[str, ...] | None = None


# The member of an error object by which our own answer about a model that is not there names those that are.
AVAILABLE: Final = "codex_backend_sdk.available"
NO_ANSWER: Final = Failure(kind=Kind.NO_ANSWER, status=0, message="", may_repeat=True)


class _Rule(NamedTuple):
    """An error is of a kind by its code or type, by the parameter it names, or by its words."""

    kind: Kind
    codes: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None


def _rule(kind: Kind, codes: str = "", *, params: str = "", words: str | None = None) -> _Rule:
    pattern = None if words is None else re.compile(words, re.IGNORECASE)
    return _Rule(kind, frozenset(codes.split()), frozenset(params.split()), pattern)


_RULES: Final = (
    _rule(Kind.USAGE_LIMIT, "usage_limit_reached"),
    _rule(Kind.USAGE_NOT_INCLUDED, "usage_not_included"),
    _rule(
        Kind.QUOTA,
        "insufficient_quota credit_balance_exhausted organization_spend_limit_exceeded project_spend_limit_exceeded "
        "organization_usage_limit_exceeded",
    ),
    _rule(Kind.FLEX_UNAVAILABLE, "flex_unavailable"),
    _rule(Kind.RATE_LIMITED, "rate_limit_exceeded"),
    _rule(Kind.OVERLOADED, "server_is_overloaded slow_down"),
    _rule(Kind.CONTEXT_LENGTH, "context_length_exceeded"),
    _rule(Kind.ENCRYPTED_CONTENT, "invalid_encrypted_content"),
    _rule(Kind.POLICY, "cyber_policy bio_policy misalignment_policy_violation invalid_prompt"),
    _rule(Kind.REGION, "unsupported_country_region_territory"),
    _rule(
        Kind.MODEL,
        "model_not_found model_not_supported unsupported_model",
        params="model",
        words=r"\bmodel is not supported\b",
    ),
    _rule(
        Kind.PARAMETER,
        "unsupported_parameter unknown_parameter unsupported_value service_tier_not_supported unsupported_service_tier "
        "reasoning_effort_not_supported unsupported_reasoning_effort",
        params="service_tier reasoning.effort",
        words=r"^(unsupported|unknown) (parameter|service_tier|tool type)\b",
    ),
)

# What each kind means and what can be done; the backend's own words follow. The other kinds have those alone.
_SAYS: Final = {
    Kind.USAGE_NOT_INCLUDED: "This plan does not include Codex; https://chatgpt.com/explore/plus shows one that does.",
    Kind.QUOTA: "The credit of this account or its workspace is spent. Its plan and billing settings show and mend it.",
    Kind.FLEX_UNAVAILABLE: "There is no flex capacity just now. Leave `service_tier` out, or try again later.",
    Kind.RATE_LIMITED: "Too many requests in a short time.",
    Kind.OVERLOADED: "The model is at capacity. Try again in a moment, or another model.",
    Kind.CONTEXT_LENGTH: "The input does not fit the model's context window. Leave older items of `input` out, or let "
    "`client.responses.compact(...)` shorten them.",
    Kind.ENCRYPTED_CONTENT: "The encrypted reasoning in `input` cannot be read: it is bound to the account and the "
    "model that it came from. Leave the `reasoning` items out and send the rest again.",
    Kind.POLICY: "The backend does not answer this request, by its usage policy.",
    Kind.REGION: "The backend is not available in the country that this request came from. A VPN or a proxy may be "
    "why it seems to come from there.",
    Kind.MODEL: "This account cannot use the model.",
    Kind.PARAMETER: "The backend refuses {param}, or its value; leave it out or change it.",
    Kind.UNAUTHORIZED: "The backend does not accept the login. `client.authenticate(force=True)` or `codex-backend "
    "login` signs in again.",
}
_CLOUDFLARE: Final = (
    "Cloudflare stopped the request before it reached the backend{ray}. It does that to networks of data centres, VPNs "
    "and some regions, and to programs that send too much: wait some minutes, try another network, and give your "
    "program a name with `OpenAI(originator=...)`."
)


def classify(status: int | None, body: Any, headers: Mapping[str, str], *, now: datetime) -> Failure:
    """Say what an error means.

    `status` is None for an error inside of an answer. `body` is decoded JSON, or text. The names of `headers` are in
    lower case, or do not heed it. `now` is what a Retry-After that is a date is counted from.
    """
    error = error_of(body)
    kind = _kind(status, error, words_of(body), body, headers)
    limit = _usage_limit(error, headers, now) if kind is Kind.USAGE_LIMIT else None
    retry_after = _retry_after(headers, error, now)
    return Failure(
        kind=kind,
        status=kind.status if status is None else status,
        message=limit.message if limit else _message(kind, status, body, headers, retry_after),
        available=_available(error),
        may_repeat=_may_repeat(kind, headers),
        retry_after=retry_after,
        code=_code(error),
        param=_param(error, words_of(body)),
        error=error or body,
        limit=limit,
    )


def _available(error: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = error.get(AVAILABLE)
    return tuple(map(str, names)) if isinstance(names, list) else None


def _usage_limit(error: Mapping[str, Any], headers: Mapping[str, str], now: datetime) -> ExhaustedLimit:
    from ..limits.exhausted_limit import (
        parse_exhausted_limit,  # with all that reads limits: loaded by the few who need it
    )

    return parse_exhausted_limit(error, headers, now=now)


def _code(error: Mapping[str, Any]) -> str | None:
    """Return the code; some errors have it in `type`, where others have a class of errors."""
    code, kind = error.get("code"), error.get("type")
    if code is None and isinstance(kind, str) and any(kind in rule.codes for rule in _RULES):
        code = kind
    return code if isinstance(code, str) else None


def _kind(
    status: int | None, error: Mapping[str, Any], words: str | None, body: Any, headers: Mapping[str, str]
) -> Kind:
    if status == 401:
        return Kind.UNAUTHORIZED
    param = error.get("param") if isinstance(error.get("param"), str) else None
    names = {name for name in (error.get("code"), error.get("type")) if isinstance(name, str)}
    for rule in _RULES:
        if (
            not rule.codes.isdisjoint(names)
            or param in rule.params
            or (rule.words is not None and words is not None and rule.words.search(words))
        ):
            return rule.kind
    return _kind_by_status(status, body, headers)


def _kind_by_status(status: int | None, body: Any, headers: Mapping[str, str]) -> Kind:
    if status == 403 and _is_of_cloudflare(body, headers):
        return Kind.CLOUDFLARE
    if status == 429:
        return Kind.RATE_LIMITED
    if status is None or status >= 500 or status in (408, 409):
        return Kind.FAULT
    return Kind.REFUSED


def _is_of_cloudflare(body: Any, headers: Mapping[str, str]) -> bool:
    return "cf-mitigated" in headers or (isinstance(body, str) and is_html(body) and "cloudflare" in body.lower())


def _may_repeat(kind: Kind, headers: Mapping[str, str]) -> bool:
    """The official client's header for it counts where only the status told what happened."""
    told = {"true": True, "false": False}.get(headers.get("x-should-retry", ""))
    return told if told is not None and kind in (Kind.RATE_LIMITED, Kind.REFUSED, Kind.FAULT) else kind.may_repeat


# Longer waits are none; nobody can sleep for all that a number can say.
_LONGEST_SECONDS: Final = 366 * 86_400.0
_PARAMS_IN_CODES: Final = {"service_tier": "service_tier", "reasoning_effort": "reasoning.effort"}
_SECONDS_IN_WORDS: Final = re.compile(r"try again in (\d+(?:\.\d+)?) ?(ms|s\b|seconds?)", re.IGNORECASE)


def _retry_after(headers: Mapping[str, str], error: Mapping[str, Any], now: datetime) -> float | None:
    """Return the seconds to wait as the header tells them (a number or a date), an error's own header, or its words."""
    own = error.get("headers")
    given: dict[str, Any] = {name.lower(): own[name] for name in own} if isinstance(own, dict) else {}
    for value in (headers.get("retry-after"), given.get("retry-after")):
        seconds = _seconds(value, now)
        if seconds is not None:
            return seconds
    milliseconds = _seconds(headers.get("retry-after-ms"), now)
    if milliseconds is not None:
        return milliseconds / 1000
    found = _SECONDS_IN_WORDS.search(str(error.get("message") or ""))
    return _seconds(float(found[1]) / (1000 if found[2] == "ms" else 1), now) if found else None


def _seconds(value: Any, now: datetime) -> float | None:
    try:
        seconds = float(value)
    except OverflowError:  # an integer of hundreds of digits
        seconds = _LONGEST_SECONDS
    except (TypeError, ValueError):
        try:
            seconds = (parsedate_to_datetime(str(value)) - now).total_seconds()
        except (TypeError, ValueError, OverflowError):  # no date, or one without a time zone
            return None
    return min(max(seconds, 0.0), _LONGEST_SECONDS) if seconds == seconds else None  # not a NaN


def _param(error: Mapping[str, Any], words: str | None) -> str | None:
    if isinstance(error.get("param"), str):
        return str(error["param"])
    found = re.match(r"un(?:supported|known) (?:parameter: )?'?([\w.\[\]]+)", words or "", re.IGNORECASE)
    if found:
        return {"tool": "tools"}.get(found[1], found[1])
    code = _code(error) or ""
    return next((param for part, param in _PARAMS_IN_CODES.items() if part in code), None)


def _message(kind: Kind, status: int | None, body: Any, headers: Mapping[str, str], retry_after: float | None) -> str:
    ray = headers.get("cf-ray")
    if kind is Kind.CLOUDFLARE:
        return _CLOUDFLARE.format(ray=f" (cf-ray {ray})" if ray else "")
    said = words_of(body)
    names_available = said is not None and _available(error_of(body)) is not None
    if kind in _SAYS and not names_available:
        wait = f" It asks to wait for {retry_after:g} s." if retry_after is not None else ""
        param = _param(error_of(body), said)
        says = _SAYS[kind].format(param=f"`{param}`" if param else "a parameter")
        return says + wait + (f" The backend says: {said}" if said else "")
    if status is None:
        code = error_of(body).get("code")
        return f"The backend ended the answer: {said or 'no reason given'}" + (f" (code: {code})" if code else "")
    if names_available:
        return str(said)
    if said is None and 300 <= status < 400 and "location" in headers:
        target = headers["location"].partition("?")[0]
        said = f"a redirect to {target}, which is not followed: the login would go along. Is `base_url` right?"
    if said is None and ray is not None:
        said = f"an HTML page of Cloudflare (cf-ray {ray}), not an answer of the backend"
    return f"Error code: {status}" + (f" - {said}" if said else "")
