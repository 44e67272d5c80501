"""Classify an error of the backend: one table, however the error arrived. Pure.

An error arrives as the status of a response, as an event within a response of status 200 (`error`, or the `error` of
`response.failed`), or as a WebSocket frame, which has a status and headers of its own. The first rule of `_RULES` that
matches its code, parameter or message decides; the status decides only when none does. `FailureKind` then says what
the failure means for a retry, and `_RULES` what the user can do. `exception_mapping` turns the result into an exception.

Wire source of the codes, unless a rule names another: Codex CLI, codex-api/src/api_bridge.rs for responses and
codex-api/src/sse/responses_error.rs for events.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .error_text import error_message, error_object, is_html

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ..limits.exhausted_limit import ExhaustedLimit

__all__ = [
    "AVAILABLE_MODELS_MEMBER",
    "NO_RESPONSE_FAILURE",
    "TOTAL_TIMEOUT_FAILURE",
    "Failure",
    "FailureKind",
    "classify",
]

# Our own 404 for a model that the catalog does not have lists the available models in this member of its error object.
AVAILABLE_MODELS_MEMBER: Final = "codex_backend_sdk.available"


class FailureKind(Enum):
    """What went wrong: a label, its status over HTTP, and whether the same request can succeed when sent again soon.

    The third value is the only source of `error.is_retryable` and of the client's own retries.
    """

    USAGE_LIMIT = "usage limit", 429, False  # RetryPolicy may wait for the reset instead
    USAGE_NOT_INCLUDED = "usage not included", 429, False
    QUOTA_EXCEEDED = "quota exceeded", 429, False
    FLEX_UNAVAILABLE = "flex unavailable", 429, False  # capacity returns after minutes or hours
    TOO_MANY_REQUESTS = "too many requests", 429, True
    OVERLOADED = "overloaded", 503, True
    CONTEXT_LENGTH = "context length", 400, False
    MODEL_NOT_AVAILABLE = "model not available", 404, False
    UNSUPPORTED_PARAMETER = "unsupported parameter", 400, False
    ENCRYPTED_CONTENT = "encrypted content", 400, False
    POLICY_VIOLATION = "policy violation", 400, False
    CLOUDFLARE_BLOCKED = "blocked by Cloudflare", 403, False
    REGION_NOT_SUPPORTED = "region not supported", 403, False
    LOGIN_REJECTED = "login rejected", 401, False  # the token was refreshed already
    CLIENT_ERROR = "client error", 400, False  # any other status below 500
    SERVER_ERROR = "server error", 500, True  # any other status from 500 on, and every unknown code in a stream
    NO_RESPONSE = "no response", 0, True  # not reached, interrupted or timed out
    TOTAL_TIMEOUT = "total timeout", 0, False  # the limit of the caller, which includes the retries

    def __init__(self, label: str, status: int, is_retryable: bool) -> None:
        self.label = label
        self.status = status
        self.is_retryable = is_retryable


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One classified error.

    `status` is that of the response, or the one that the error has over HTTP if it arrived in a stream. `retry_after`
    is in seconds, None unless the backend sent it. `body` is the error object, or the whole body if there is none.
    """

    kind: FailureKind
    status: int
    message: str
    is_retryable: bool
    retry_after: float | None = None
    code: str | None = None
    param: str | None = None
    body: Any = field(default=None, repr=False)
    limit: ExhaustedLimit | None = None
    available_models: tuple[str, ...] | None = None


# Failures without a response.
NO_RESPONSE_FAILURE: Final = Failure(kind=FailureKind.NO_RESPONSE, status=0, message="", is_retryable=True)
TOTAL_TIMEOUT_FAILURE: Final = Failure(kind=FailureKind.TOTAL_TIMEOUT, status=0, message="", is_retryable=False)


class _Rule(NamedTuple):
    """A rule matches by the error's `code` or `type`, by the `param` it names, or by its message.

    `advice` is the beginning of the exception's message: what happened and what fixes it. The backend's own message
    follows. A kind without advice has the backend's message only.
    """

    kind: FailureKind
    codes: frozenset[str]
    params: frozenset[str]
    message_pattern: re.Pattern[str] | None
    advice: str | None


def _rule(
    kind: FailureKind, codes: str = "", *, params: str = "", pattern: str | None = None, advice: str | None = None
) -> _Rule:
    compiled = None if pattern is None else re.compile(pattern, re.IGNORECASE)
    return _Rule(kind, frozenset(codes.split()), frozenset(params.split()), compiled, advice)


_RULES: Final = (
    # `limits/exhausted_limit.py` writes the message.
    _rule(FailureKind.USAGE_LIMIT, "usage_limit_reached"),
    _rule(
        FailureKind.USAGE_NOT_INCLUDED,
        "usage_not_included",
        advice="The plan does not include Codex. Plans that do: https://chatgpt.com/explore/plus.",
    ),
    _rule(
        FailureKind.QUOTA_EXCEEDED,
        "insufficient_quota credit_balance_exhausted organization_spend_limit_exceeded project_spend_limit_exceeded "
        "organization_usage_limit_exceeded",
        advice="The workspace is out of credits, or has reached its spending limit. Check its billing settings.",
    ),
    # A 429, but the CLI does not retry it either: flex capacity does not return within seconds.
    _rule(
        FailureKind.FLEX_UNAVAILABLE,
        "flex_unavailable",
        advice="The `flex` service tier has no capacity at the moment. Leave `service_tier` out, or send the request "
        "again later.",
    ),
    _rule(FailureKind.TOO_MANY_REQUESTS, "rate_limit_exceeded", advice="Too many requests were sent in a short time."),
    _rule(
        FailureKind.OVERLOADED,
        "server_is_overloaded slow_down",
        advice="The model is at capacity. Send the request again in a moment, or use another model.",
    ),
    _rule(
        FailureKind.CONTEXT_LENGTH,
        "context_length_exceeded",
        advice="The input does not fit the model's context window. Remove older items from `input`, or shorten them "
        "with `client.responses.compact(...)`.",
    ),
    # Official error code of the Responses API. Reasoning items are encrypted for one account and one model.
    _rule(
        FailureKind.ENCRYPTED_CONTENT,
        "invalid_encrypted_content",
        advice="The backend cannot decrypt the reasoning in `input`, because it belongs to another account or model. "
        "Remove the `reasoning` items and send the request again.",
    ),
    _rule(
        FailureKind.POLICY_VIOLATION,
        "cyber_policy bio_policy misalignment_policy_violation invalid_prompt",
        advice="The backend refused the request under its usage policy.",
    ),
    # Official error code of the OpenAI API, sent with status 403.
    _rule(
        FailureKind.REGION_NOT_SUPPORTED,
        "unsupported_country_region_territory",
        advice="The backend is not available in the country from which this request seems to come. Check whether a "
        "VPN or a proxy is the reason.",
    ),
    # The pattern is the `detail` of a 400 without a code: “The 'gpt-x' model is not supported when using Codex with a
    # ChatGPT account.” (reported by users). This rule precedes the next one, whose `unsupported_value` is more general.
    _rule(
        FailureKind.MODEL_NOT_AVAILABLE,
        "model_not_found model_not_supported unsupported_model",
        params="model",
        pattern=r"\bmodel is not supported\b",
        advice="This account cannot use the model.",
    ),
    # The pattern is the `detail` of a 400 without a code: “Unsupported parameter: user”. `unknown_parameter` comes with
    # items of `input`, and `unsupported_value` with a reasoning effort (all reported by users).
    _rule(
        FailureKind.UNSUPPORTED_PARAMETER,
        "unsupported_parameter unknown_parameter unsupported_value service_tier_not_supported unsupported_service_tier "
        "reasoning_effort_not_supported unsupported_reasoning_effort",
        params="service_tier reasoning.effort",
        pattern=r"^(unsupported|unknown) (parameter|service_tier|tool type)\b",
        advice="The backend does not support {param} or its value. Leave it out or change it.",
    ),
    # The next two match by status only (`_kind_by_status`).
    _rule(
        FailureKind.LOGIN_REJECTED,
        advice="The backend rejects the login, also after a token refresh. Log in again with "
        "`client.authenticate(force=True)` or `codex-backend login`.",
    ),
    _rule(
        FailureKind.CLOUDFLARE_BLOCKED,
        advice="Cloudflare blocked the request before it reached the backend{ray}. It blocks data centers, VPNs, some "
        "regions, and programs that send too many requests. Wait a few minutes, use another network, or name your "
        "program with `OpenAI(originator=...)`.",
    ),
)
_ADVICE: Final = {rule.kind: rule.advice for rule in _RULES if rule.advice is not None}
_KNOWN_CODES: Final = frozenset().union(*(rule.codes for rule in _RULES))


def classify(status: int | None, body: Any, headers: Mapping[str, str], *, now: datetime) -> Failure:
    """Classify an error.

    `status` is None for an error within a stream. `body` is decoded JSON, or text. Header names are in lower case, or
    `headers` ignores case. `now` is the time that a `Retry-After` date is relative to.
    """
    error = error_object(body)
    message = error_message(body)
    kind = _kind(status, error, message, body, headers)
    limit = _exhausted_limit(error, headers, now) if kind is FailureKind.USAGE_LIMIT else None
    code = _code(error)
    param = _param(error, message, code)
    retry_after = _retry_after(headers, error, now)
    available_models = _available_models(error)
    if limit is not None:
        text = limit.message
    elif available_models is not None and message is not None:
        text = message  # ours, and complete
    elif kind in _ADVICE:
        text = _advice(kind, message, param=param, headers=headers, retry_after=retry_after)
    elif status is None:
        text = f"The backend ended the response with an error: {message or 'no reason given'}"
        text += f" (code: {error['code']})" if error.get("code") else ""
    else:
        text = _status_text(status, message, headers)
    return Failure(
        kind=kind,
        status=kind.status if status is None else status,
        message=text,
        is_retryable=_is_retryable(kind, headers),
        retry_after=retry_after,
        code=code,
        param=param,
        body=error or body,
        limit=limit,
        available_models=available_models,
    )


# Kind, code and parameter


def _kind(
    status: int | None, error: Mapping[str, Any], message: str | None, body: Any, headers: Mapping[str, str]
) -> FailureKind:
    # A 401 is about the login whatever its code: the CLI refreshes the token for every 401.
    if status == 401:
        return FailureKind.LOGIN_REJECTED
    param = error.get("param") if isinstance(error.get("param"), str) else None
    codes = {code for code in (error.get("code"), error.get("type")) if isinstance(code, str)}
    for rule in _RULES:
        if (
            not rule.codes.isdisjoint(codes)
            or param in rule.params
            or (rule.message_pattern is not None and message is not None and rule.message_pattern.search(message))
        ):
            return rule.kind
    return _kind_by_status(status, body, headers)


def _kind_by_status(status: int | None, body: Any, headers: Mapping[str, str]) -> FailureKind:
    if status == 403 and _is_from_cloudflare(body, headers):
        return FailureKind.CLOUDFLARE_BLOCKED
    if status == 429:
        return FailureKind.TOO_MANY_REQUESTS
    # openai's client retries 408 (request timeout) and 409 (lock timeout) like a server error. An unknown code in a
    # stream is a server error too: the CLI retries every code that it does not know.
    if status is None or status >= 500 or status in (408, 409):
        return FailureKind.SERVER_ERROR
    return FailureKind.CLIENT_ERROR


def _is_from_cloudflare(body: Any, headers: Mapping[str, str]) -> bool:
    # Cloudflare marks a challenge with `cf-mitigated`; its block page is only recognizable by its text.
    return "cf-mitigated" in headers or (isinstance(body, str) and is_html(body) and "cloudflare" in body.lower())


def _is_retryable(kind: FailureKind, headers: Mapping[str, str]) -> bool:
    # The OpenAI API overrides the client's decision with this header. It counts when only the status decided the kind:
    # a known code says more.
    should_retry = headers.get("x-should-retry")
    by_status = (FailureKind.TOO_MANY_REQUESTS, FailureKind.CLIENT_ERROR, FailureKind.SERVER_ERROR)
    return should_retry == "true" if should_retry in ("true", "false") and kind in by_status else kind.is_retryable


def _code(error: Mapping[str, Any]) -> str | None:
    # Some errors have their code in `type`, which names a class of errors in others (`invalid_request_error`).
    code, error_type = error.get("code"), error.get("type")
    if code is None and isinstance(error_type, str) and error_type in _KNOWN_CODES:
        code = error_type
    return code if isinstance(code, str) else None


_PARAMS_BY_CODE: Final = {"service_tier": "service_tier", "reasoning_effort": "reasoning.effort"}


def _param(error: Mapping[str, Any], message: str | None, code: str | None) -> str | None:
    """Return the rejected parameter: as the error names it, else from its message or its code."""
    if isinstance(error.get("param"), str):
        return str(error["param"])
    match = re.match(r"un(?:supported|known) (?:parameter: )?'?([\w.\[\]]+)", message or "", re.IGNORECASE)
    if match:
        return "tools" if match[1] == "tool" else match[1]  # “Unsupported tool type: …”
    return next((param for part, param in _PARAMS_BY_CODE.items() if part in (code or "")), None)


def _available_models(error: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = error.get(AVAILABLE_MODELS_MEMBER)
    return tuple(map(str, names)) if isinstance(names, list) else None


def _exhausted_limit(error: Mapping[str, Any], headers: Mapping[str, str], now: datetime) -> ExhaustedLimit:
    # Imported here, because it loads all limit parsing, and few processes ever exhaust a limit.
    from ..limits.exhausted_limit import parse_exhausted_limit

    return parse_exhausted_limit(error, headers, now=now)


# Retry-After

_MAX_WAIT_SECONDS: Final = 366 * 86_400.0  # `sleep()` overflows for much larger numbers
# “Please try again in 11.054s” is how the Responses API announces the wait within a stream; the CLI parses it too.
_WAIT_IN_MESSAGE: Final = re.compile(r"try again in (\d+(?:\.\d+)?) ?(ms|s\b|seconds?)", re.IGNORECASE)


def _retry_after(headers: Mapping[str, str], error: Mapping[str, Any], now: datetime) -> float | None:
    """Return the seconds to wait.

    Sources, most trusted first: `Retry-After` (seconds or a date), the same header within the error object (WebSocket
    frames), `retry-after-ms` (OpenAI API), the message.
    """
    error_headers = error.get("headers")
    framed = {name.lower(): error_headers[name] for name in error_headers} if isinstance(error_headers, dict) else {}
    for value in (headers.get("retry-after"), framed.get("retry-after")):
        seconds = _seconds(value, now)
        if seconds is not None:
            return seconds
    milliseconds = _seconds(headers.get("retry-after-ms"), now)
    if milliseconds is not None:
        return milliseconds / 1000
    match = _WAIT_IN_MESSAGE.search(str(error.get("message") or ""))
    return _seconds(float(match[1]) / (1000 if match[2] == "ms" else 1), now) if match else None


def _seconds(value: Any, now: datetime) -> float | None:
    try:
        seconds = float(value)
    except OverflowError:  # an integer of hundreds of digits
        seconds = _MAX_WAIT_SECONDS
    except (TypeError, ValueError):
        try:
            seconds = (parsedate_to_datetime(str(value)) - now).total_seconds()
        except (TypeError, ValueError, OverflowError):  # not a date, or a date without a time zone
            return None
    is_nan = seconds != seconds
    return None if is_nan else min(max(seconds, 0.0), _MAX_WAIT_SECONDS)


# Messages


def _advice(
    kind: FailureKind, message: str | None, *, param: str | None, headers: Mapping[str, str], retry_after: float | None
) -> str:
    ray = f" (cf-ray {headers['cf-ray']})" if "cf-ray" in headers else ""
    text = _ADVICE[kind].format(param=f"`{param}`" if param else "a parameter", ray=ray)
    if kind is FailureKind.CLOUDFLARE_BLOCKED:
        return text  # the message would be the title of Cloudflare's page
    if retry_after is not None:
        text += f" Retry after {retry_after:g} s."
    return text + (f" Backend message: {message}" if message else "")


def _status_text(status: int, message: str | None, headers: Mapping[str, str]) -> str:
    """Return openai's own wording for a status, with a reason where the body has none."""
    if message is None and 300 <= status < 400 and "location" in headers:
        target = headers["location"].partition("?")[0]
        message = (
            f"The server redirects to {target}. The client does not follow redirects, because they would receive the "
            "login. Check `base_url`."
        )
    if message is None and "cf-ray" in headers:
        message = f"a page of Cloudflare (cf-ray {headers['cf-ray']}) instead of a response of the backend"
    return f"Error code: {status}" + (f" - {message}" if message else "")
