"""Classify an error of the backend with one table, independent of how the backend sent it.

The backend sends an error as the status of a response, as an event within a response of status 200 (`error`, or the
`error` of `response.failed`), or as a WebSocket frame, which has its own status and headers. The first rule in `_RULES`
that matches the error's code, parameter or message determines the `FailureKind`; the status decides only if no rule
matches. `FailureKind` determines whether to retry, and `_RULES` supplies the remedy. `exception_mapping` turns the
result into an exception. This module has no I/O, clock or randomness.

Wire source of the codes, unless a rule names another: Codex CLI, codex-api/src/api_bridge.rs for responses and
codex-api/src/sse/responses_error.rs for events.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._redaction import excerpt, redact_url
from .error_text import error_message, error_object, is_html, quote_backend

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

# The 404 that this package builds for an unknown model lists the available models in this field of its error object.
AVAILABLE_MODELS_MEMBER: Final = "codex_backend_sdk.available"


class FailureKind(Enum):
    """The kind of a failure: a label, its HTTP status, and whether the same request can succeed when sent again soon.

    The third value determines `error.is_retryable` and the client's retries, unless an `x-should-retry` header
    overrides it.
    """

    USAGE_LIMIT = "usage limit", 429, False  # instead, RetryPolicy can wait for the reset
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
    LOGIN_REJECTED = "login rejected", 401, False  # rejected even after a token refresh
    CLIENT_ERROR = "client error", 400, False  # any other status below 500
    SERVER_ERROR = "server error", 500, True  # any other status from 500 on, and every unknown code in a stream
    NO_RESPONSE = "no response", None, True  # unreachable, interrupted or timed out
    TOTAL_TIMEOUT = "total timeout", None, False  # the caller's deadline, retries included

    def __init__(self, label: str, status: int | None, is_retryable: bool) -> None:
        self.label = label
        self.status = status
        self.is_retryable = is_retryable


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A classified error.

    `status` is the HTTP status, None without a response; an error within a stream has the status of its kind.
    `retry_after` is in seconds, None unless the backend sent it. `body` is the error object, or the whole body.
    """

    kind: FailureKind
    status: int | None
    message: str
    is_retryable: bool
    retry_after: float | None = None
    code: str | None = None
    param: str | None = None
    body: Any = field(default=None, repr=False)
    limit: ExhaustedLimit | None = None
    available_models: tuple[str, ...] | None = None


# Failures without a response
NO_RESPONSE_FAILURE: Final = Failure(kind=FailureKind.NO_RESPONSE, status=None, message="", is_retryable=True)
TOTAL_TIMEOUT_FAILURE: Final = Failure(kind=FailureKind.TOTAL_TIMEOUT, status=None, message="", is_retryable=False)


class _Rule(NamedTuple):
    """A rule that matches an error by its `code` or `type`, by its `param`, or by its message.

    `explanation` begins the exception's message: what happened, and the remedy. The backend's own message follows. The
    exception of a rule without an explanation has only the backend's message.
    """

    kind: FailureKind
    codes: frozenset[str]
    params: frozenset[str]
    message_pattern: re.Pattern[str] | None
    explanation: str | None


def _rule(
    kind: FailureKind,
    *codes: str,
    params: tuple[str, ...] = (),
    pattern: str | None = None,
    explanation: str | None = None,
) -> _Rule:
    compiled = None if pattern is None else re.compile(pattern, re.IGNORECASE)
    return _Rule(kind, frozenset(codes), frozenset(params), compiled, explanation)


_RULES: Final = (
    # `parse_exhausted_limit` builds the message.
    _rule(FailureKind.USAGE_LIMIT, "usage_limit_reached"),
    _rule(
        FailureKind.USAGE_NOT_INCLUDED,
        "usage_not_included",
        explanation="The plan does not include Codex. Upgrade the plan: https://chatgpt.com/explore/plus.",
    ),
    _rule(
        FailureKind.QUOTA_EXCEEDED,
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        explanation="The workspace is out of credits, or has reached its spending limit. Check its billing settings.",
    ),
    # A 429, but the CLI does not retry it either: flex capacity does not return within seconds.
    _rule(
        FailureKind.FLEX_UNAVAILABLE,
        "flex_unavailable",
        explanation="The `flex` service tier has no capacity at the moment. Remove `service_tier`, or send the request "
        "again later.",
    ),
    _rule(
        FailureKind.TOO_MANY_REQUESTS,
        "rate_limit_exceeded",
        explanation="Too many requests were sent in a short time. Send fewer requests at a time.",
    ),
    _rule(
        FailureKind.OVERLOADED,
        "server_is_overloaded",
        "slow_down",
        explanation="The model is at capacity. Send the request again in a moment, or use another model.",
    ),
    _rule(
        FailureKind.CONTEXT_LENGTH,
        "context_length_exceeded",
        explanation="The input does not fit the model's context window. Remove older items from `input`, or shorten "
        "them with `client.responses.compact(...)`.",
    ),
    # A code of the Responses API (reported by users). Reasoning items are encrypted for one account and one model.
    _rule(
        FailureKind.ENCRYPTED_CONTENT,
        "invalid_encrypted_content",
        explanation="The backend cannot decrypt the reasoning in `input`, because it belongs to another account or "
        "model. Remove the `reasoning` items and send the request again.",
    ),
    _rule(
        FailureKind.POLICY_VIOLATION,
        "cyber_policy",
        "bio_policy",
        "misalignment_policy_violation",
        "invalid_prompt",
        explanation="The backend rejected the request under its usage policy. Change the input.",
    ),
    # Sent with status 403. Source: https://platform.openai.com/docs/guides/error-codes
    _rule(
        FailureKind.REGION_NOT_SUPPORTED,
        "unsupported_country_region_territory",
        explanation="The backend does not support requests from your country or region. Check whether a VPN or a proxy "
        "changes your location.",
    ),
    # The pattern is the `detail` of a 400 without a code: “The 'gpt-x' model is not supported when using Codex with a
    # ChatGPT account.” (reported by users). This rule precedes the next one, whose `unsupported_value` is more general.
    _rule(
        FailureKind.MODEL_NOT_AVAILABLE,
        "model_not_found",
        "model_not_supported",
        "unsupported_model",
        params=("model",),
        pattern=r"\bmodel is not supported\b",
        explanation="This account cannot use the model. List the available models with `client.models.list()`.",
    ),
    # The pattern is the `detail` of a 400 without a code: “Unsupported parameter: user”. The backend sends
    # `unknown_parameter` for fields of input items, and `unsupported_value` for a reasoning effort (reported by users).
    _rule(
        FailureKind.UNSUPPORTED_PARAMETER,
        "unsupported_parameter",
        "unknown_parameter",
        "unsupported_value",
        "service_tier_not_supported",
        "unsupported_service_tier",
        "reasoning_effort_not_supported",
        "unsupported_reasoning_effort",
        params=("service_tier", "reasoning.effort"),
        pattern=r"^(unsupported|unknown) (parameter|service_tier|tool type)\b",
        explanation="The backend does not support {param} or its value. {remedy}",
    ),
    # The next two rules match by status only (`_kind_by_status`).
    _rule(
        FailureKind.LOGIN_REJECTED,
        explanation="The backend rejected the access token, even after a refresh. Log in again with "
        "`client.authenticate(force=True)` or `codex-backend login`.",
    ),
    _rule(
        FailureKind.CLOUDFLARE_BLOCKED,
        explanation="Cloudflare blocked the request before it reached the backend{ray}. It blocks data centers, VPNs, "
        "some regions, and programs that send too many requests. Wait a few minutes, use another network, or set your "
        "program's name with `OpenAI(originator=...)`.",
    ),
)
_EXPLANATIONS: Final = {rule.kind: rule.explanation for rule in _RULES if rule.explanation is not None}
_KNOWN_CODES: Final = frozenset().union(*(rule.codes for rule in _RULES))


def classify(status: int | None, body: Any, headers: Mapping[str, str], *, now: datetime) -> Failure:
    """Classify an error.

    `status` is None for an error within a stream. `body` is decoded JSON, or text. `headers` has lower-case names or is
    case-insensitive. A date in `Retry-After` is converted to seconds relative to `now`.
    """
    error = error_object(body)
    backend_message = error_message(body)
    kind = _failure_kind(status, error, backend_message, body, headers)
    code, error_type = error.get("code"), error.get("type")
    # Some errors carry their code in `type`; in others `type` is a category (`invalid_request_error`).
    if code is None and isinstance(error_type, str) and error_type in _KNOWN_CODES:
        code = error_type
    code = excerpt(code) if isinstance(code, str) else None
    param = _rejected_param(error, backend_message, code)
    retry_after = _retry_after(headers, error, now)
    model_names = error.get(AVAILABLE_MODELS_MEMBER)
    available_models = tuple(map(str, model_names)) if isinstance(model_names, list) else None
    limit = None
    if kind is FailureKind.USAGE_LIMIT:
        # Imported here, because it loads all limit parsing, and few processes ever exhaust a limit.
        from ..limits.exhausted_limit import parse_exhausted_limit

        limit = parse_exhausted_limit(error, headers, now=now)
        message = limit.message
    elif available_models is not None and backend_message is not None:
        message = backend_message  # this package wrote it, with the remedy
    elif kind in _EXPLANATIONS:
        message = _explain(kind, backend_message, param=param, headers=headers, retry_after=retry_after)
    elif status is None:
        error_code = f" (code: {code})" if code else ""
        message = f"The backend ended the response with an error{error_code}. Send the request again."
        message += quote_backend(backend_message)
    else:
        message = _status_message(status, backend_message, headers)
    return Failure(
        kind=kind,
        status=kind.status if status is None else status,
        message=message,
        is_retryable=_is_retryable(kind, headers),
        retry_after=retry_after,
        code=code,
        param=param,
        body=error or body,
        limit=limit,
        available_models=available_models,
    )


# Kind and parameter


def _failure_kind(
    status: int | None, error: Mapping[str, Any], message: str | None, body: Any, headers: Mapping[str, str]
) -> FailureKind:
    # The code of a 401 does not matter: the CLI refreshes the token for every 401.
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
    if status == 403:
        # Cloudflare marks a challenge with `cf-mitigated`; only the text of its block page identifies it.
        is_page = isinstance(body, str) and is_html(body) and "cloudflare" in body.lower()
        return FailureKind.CLOUDFLARE_BLOCKED if is_page or "cf-mitigated" in headers else FailureKind.CLIENT_ERROR
    if status == 429:
        return FailureKind.TOO_MANY_REQUESTS
    # openai's client retries 408 (request timeout) and 409 (lock timeout) like a server error. An unknown code in a
    # stream is also a server error: the CLI retries every code that is not in its table.
    if status is None or status >= 500 or status in (408, 409):
        return FailureKind.SERVER_ERROR
    return FailureKind.CLIENT_ERROR


def _is_retryable(kind: FailureKind, headers: Mapping[str, str]) -> bool:
    # The OpenAI API overrides the client's decision with this header. It applies only if the status decided the kind,
    # because a known code is more specific.
    should_retry = headers.get("x-should-retry")
    by_status = (FailureKind.TOO_MANY_REQUESTS, FailureKind.CLIENT_ERROR, FailureKind.SERVER_ERROR)
    return should_retry == "true" if should_retry in ("true", "false") and kind in by_status else kind.is_retryable


_PARAMS_BY_CODE: Final = {"service_tier": "service_tier", "reasoning_effort": "reasoning.effort"}


def _rejected_param(error: Mapping[str, Any], message: str | None, code: str | None) -> str | None:
    """Return the rejected parameter, from the error's `param`, its message or its code."""
    if isinstance(error.get("param"), str):
        return excerpt(error["param"])
    match = re.match(r"un(?:supported|known) (?:parameter: )?'?([\w.\[\]]++)", message or "", re.IGNORECASE)
    if match:
        return "tools" if match[1] == "tool" else match[1]  # “Unsupported tool type: …”
    return next((param for part, param in _PARAMS_BY_CODE.items() if part in (code or "")), None)


# Retry-After

_MAX_INSPECTED_LENGTH: Final = 4096
_MAX_WAIT_SECONDS: Final = 366 * 86_400.0  # `sleep()` overflows for much larger numbers
# Within a stream the Responses API sends the wait as “Please try again in 11.054s”. The CLI parses this text, too.
_WAIT_IN_MESSAGE: Final = re.compile(r"try again in (\d++(?:\.\d++)?) ?(ms|s\b|seconds?)", re.IGNORECASE)


def _retry_after(headers: Mapping[str, str], error: Mapping[str, Any], now: datetime) -> float | None:
    """Return the seconds to wait before a retry, or None.

    Sources, most trusted first: `Retry-After` (seconds or a date), the same header within the error object (WebSocket
    frames), `retry-after-ms` (OpenAI API), the message.
    """
    error_headers = error.get("headers")
    frame_headers = {n.lower(): value for n, value in error_headers.items()} if isinstance(error_headers, dict) else {}
    for value in (headers.get("retry-after"), frame_headers.get("retry-after")):
        seconds = _parse_seconds(value, now)
        if seconds is not None:
            return seconds
    milliseconds = _parse_seconds(headers.get("retry-after-ms"), now)
    if milliseconds is not None:
        return milliseconds / 1000
    match = _WAIT_IN_MESSAGE.search(str(error.get("message") or "")[:_MAX_INSPECTED_LENGTH])
    return _parse_seconds(float(match[1]) / (1000 if match[2] == "ms" else 1), now) if match else None


def _parse_seconds(value: Any, now: datetime) -> float | None:
    """Convert a number or an HTTP date to seconds from `now`, limited to a year; None if it is neither."""
    try:
        seconds = float(value)
    except OverflowError:  # an integer of hundreds of digits
        seconds = _MAX_WAIT_SECONDS
    except (TypeError, ValueError):
        try:
            seconds = (parsedate_to_datetime(str(value)) - now).total_seconds()
        except (TypeError, ValueError, OverflowError):  # not a date, or a date without a time zone
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _MAX_WAIT_SECONDS)


# Messages

# Rejected parameter → remedy. The names of the types are those of the Codex CLI.
_VALUE_REMEDIES: Final = {
    "tools": "Pass only tools of types that it accepts, such as `function`, `custom` and `web_search`.",
}


def _explain(
    kind: FailureKind, message: str | None, *, param: str | None, headers: Mapping[str, str], retry_after: float | None
) -> str:
    explanation = _EXPLANATIONS[kind].format(
        param=f"`{param}`" if param else "a parameter",
        remedy=_VALUE_REMEDIES.get(param or "", "Remove it or change its value."),
        ray=_ray(headers),
    )
    if kind is FailureKind.CLOUDFLARE_BLOCKED:
        return explanation  # `message` is only the title of Cloudflare's page
    if retry_after is not None:
        explanation += f" Retry after {retry_after:g} s."
    return explanation + quote_backend(message)


def _ray(headers: Mapping[str, str]) -> str:
    return f" (cf-ray {excerpt(headers['cf-ray'])})" if "cf-ray" in headers else ""


def _status_message(status: int, message: str | None, headers: Mapping[str, str]) -> str:
    """Return openai's own message for a status, with a reason if the body has none."""
    if message is None and 300 <= status < 400 and "location" in headers:
        target = redact_url(headers["location"])
        message = (
            f"The server redirects to {target}. The client does not follow redirects, because the target would receive "
            "the access token. Check `base_url`."
        )
    if message is None and "cf-ray" in headers:
        message = (
            f"The response is an HTML page from Cloudflare{_ray(headers)}, not from the backend. Send the request "
            "again later."
        )
    if status == 404 and message in (None, "Not Found"):  # a web server's own text for an unknown path
        message = (
            "Not Found. If other calls fail as well, correct `base_url` (CODEX_BASE_URL): the path of the backend ends "
            "in `/backend-api/codex`."
        )
    return f"Error code: {status}" + (f" - {message}" if message else "")
