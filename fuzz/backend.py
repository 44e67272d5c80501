"""Fuzz targets for limits, failures, routing and `explain()`.

Each target takes random bytes, which `Choices` converts to a nearly valid response or call.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2

from codex_backend_sdk._errors.classify import FailureKind, classify
from codex_backend_sdk._errors.error_text import describe_body
from codex_backend_sdk._json import encode
from codex_backend_sdk._options import ClientOptions, RetryOptions, TimeoutOptions, UnsupportedPolicy
from codex_backend_sdk._request.shaping import shape
from codex_backend_sdk._routing.workspace_parsing import apply_routing, parse_routing
from codex_backend_sdk.limits.limit_parsing import (
    merge,
    parse_event,
    parse_headers,
    parse_reset_credits,
    parse_reset_result,
    parse_usage,
    parse_usage_report,
)
from codex_backend_sdk.resources.explain import apply_policy
from codex_backend_sdk.resources.explain_report import Explanation, estimate_tokens
from codex_backend_sdk.types import Routing

from .choices import VALUES, Choices

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)

_WINDOW: dict[str, Any] = {
    "used_percent": 42, "limit_window_seconds": 18000, "window_minutes": 300, "reset_at": 1_790_000_000,
    "reset_after_seconds": 120,
}  # fmt: skip
_LIMIT: dict[str, Any] = {
    "allowed": True, "limit_reached": False, "primary_window": _WINDOW, "secondary_window": _WINDOW, "primary": _WINDOW
}  # fmt: skip
_USAGE: dict[str, Any] = {
    "plan_type": "pro", "email": "a@b.c", "account_id": "acc", "rate_limit": _LIMIT, "rate_limits": _LIMIT,
    "code_review_rate_limit": _LIMIT,
    "additional_rate_limits": [{"limit_name": "One", "metered_feature": "codex-one", "rate_limit": _LIMIT}],
    "credits": {"has_credits": True, "unlimited": False, "balance": "12.5", "overage_limit_reached": False},
    "spend_control": {"reached": True, "individual_limit": {"source": "w", "limit": "10", "used": 1, **_WINDOW}},
    "rate_limit_reached_type": {"type": "workspace_owner_credits_depleted"},
    "model_usage": {"m": {"available": True, "available_at": 1_790_000_000}},
    "rate_limit_reset_credits": {"available_count": 2}, "available_count": 1,
    "credits_list": [], "metered_limit_name": "codex", "limit_name": "codex_other",
}  # fmt: skip
_HEADERS = (
    *(
        f"x-codex-{family}{window}-{name}"
        for family in ("", "bengalfox-")
        for window in ("primary", "secondary")
        for name in ("used-percent", "window-minutes", "reset-at", "reset-after-seconds")
    ),
    "x-codex-bengalfox-limit-name", "x-codex-active-limit", "x-codex-plan-type", "x-codex-rate-limit-reached-type",
    "x-codex-credits-has-credits", "x-codex-credits-unlimited", "x-codex-credits-balance", "x-codex-promo-message",
    "retry-after", "retry-after-ms", "x-should-retry", "cf-ray", "cf-mitigated", "location", "-primary-used-percent",
)  # fmt: skip
_HEADER_VALUES = (
    *(str(value).encode("latin-1", "replace").decode("latin-1") for value in VALUES if isinstance(value, (str, float))),
    "0", "12", "100", "101.5", "300", "10080", "1790000000", "true", "bengalfox", "codex_bengalfox", "pro",
    "9" * 400, "workspace_owner_credits_depleted", "https://elsewhere/?q",
)  # fmt: skip


def _headers(choices: Choices) -> dict[str, str]:
    return {
        choices.one_of(_HEADERS): choices.text() if choices.number(6) == 5 else choices.one_of(_HEADER_VALUES)
        for _ in range(choices.number(9))
    }


def _is_well_formed(value: Any) -> bool:
    """Return whether every number is finite and not negative, and every datetime is timezone-aware."""
    if isinstance(value, float):
        return math.isfinite(value) and value >= 0
    if isinstance(value, datetime):
        return value.tzinfo is not None
    if isinstance(value, tuple):
        return all(map(_is_well_formed, value))
    return not is_dataclass(value) or all(_is_well_formed(getattr(value, field.name)) for field in fields(value))


def check_limit_headers(data: bytes) -> None:
    choices = Choices(data)
    limits = parse_headers(_headers(choices), received_at=NOW)
    newer = parse_headers(_headers(choices), received_at=NOW)
    assert _is_well_formed(limits)
    assert str(limits)
    assert repr(limits)
    if newer is not None:
        assert _is_well_formed(merge(limits, newer))


def check_usage(data: bytes) -> None:
    choices = Choices(data)
    body = choices.members(_USAGE) if choices.number(8) else choices.value(tuple(_USAGE))
    event = {"type": "codex.rate_limits", **body} if isinstance(body, dict) else body
    report = parse_usage_report(body, received_at=NOW)
    from_event = parse_event(event, received_at=NOW)
    limits = parse_usage(body, received_at=NOW)
    parsed = report, from_event, limits, parse_reset_credits(body), parse_reset_result(body, redeem_request_id="r")
    assert _is_well_formed(parsed)
    assert all(f"{value}{value!r}" for value in parsed)
    if from_event is not None:
        assert _is_well_formed(merge(limits, from_event))


_ERROR: dict[str, Any] = {
    "code": "rate_limit_exceeded", "type": "usage_limit_reached", "message": "Please try again in 3.2s.",
    "param": "model", "resets_at": 1_790_000_000, "plan_type": "plus", "limit_window_minutes": 300,
    "headers": {"Retry-After": "3"}, "codex_backend_sdk.available": ["m"],
}  # fmt: skip
_STATUSES = (None, 200, 302, 400, 401, 403, 404, 408, 409, 413, 429, 500, 503, 529)


def check_failures(data: bytes) -> None:
    choices = Choices(data)
    error = choices.members(_ERROR) if choices.number(8) else choices.value(tuple(_ERROR))
    text = choices.one_of(("", "<!doctype html>", "<html><title>", "{", '{"detail":')) + choices.text()
    body = choices.one_of(({"error": error}, {"detail": error}, error, text, {"message": error}))
    headers = httpx2.Headers({name: value.encode() for name, value in _headers(choices).items()})
    status = choices.one_of(_STATUSES)
    failure = classify(status, body, headers, now=NOW)
    assert isinstance(failure.kind, FailureKind)
    assert failure.status == (failure.kind.status if status is None else status)
    assert failure.retry_after is None or 0 <= failure.retry_after < math.inf
    assert isinstance(failure.message, str)
    assert failure.message
    assert _is_well_formed(failure.limit)
    assert describe_body(choices.text(), text)


_ORIGINS = (
    None, "NO_CONSTRAINT", "https://chatgpt.com", "https://eu.chatgpt.com", "https://chatgpt.com.evil.example",
    "https://evil.example", "https://chatgpt.com@evil.example", "https://evilchatgpt.com", "http://eu.chatgpt.com",
    "https://eu.chatgpt.com/path", "https://eu.chatgpt.com:8443", "https://EU.chatgpt.com", "http://127.0.0.1:1",
    "https://eu.chatgpt.com\\@evil.example", "https://evil.example#.chatgpt.com", "https://[::1]", "//chatgpt.com", "https://",
    "https://chatgpt.com:99999", "https://eu。chatgpt.com", "https://evil.example/.chatgpt.com", "https://evil.example\t.openai.com",
)  # fmt: skip
_ENTRY: dict[str, Any] = {"id": "acc", "name": "n", "plan_type": "team", "account_routing_override": "us"}


def check_routing(data: bytes) -> None:
    """Check that a token is sent only to an origin of OpenAI, or from a loopback backend to loopback."""
    choices = Choices(data)
    entries = [
        {**choices.members(_ENTRY), "workspace_backend_origin": _origin(choices)} for _ in range(1 + choices.number(3))
    ]
    accounts: Any = {f"a{n}": {"account": entry} for n, entry in enumerate(entries)} if choices.number(2) else entries
    response = {"accounts": accounts, "account_ordering": ["a0", "a1", choices.value()], "default_account_id": "acc"}
    backend = choices.one_of(("https://chatgpt.com/backend-api", "http://127.0.0.1:8000/backend-api"))
    body = choices.take(200) if choices.number(8) == 7 else encode(response)
    routing = parse_routing(body, account_id="acc", backend=backend)
    if not isinstance(routing, Routing) or routing.origin is None:
        return
    origin = urlsplit(routing.origin)
    host = httpx2.URL(routing.origin).host  # as the HTTP client parses it
    assert (origin.path, origin.query, origin.fragment, origin.username) == ("", "", "", None)
    if "127.0.0.1" in backend:
        assert host in ("127.0.0.1", "localhost", "::1"), routing
    else:
        assert origin.scheme == "https"
        assert host.endswith((".chatgpt.com", ".openai.com")) or host in ("chatgpt.com", "openai.com"), routing
    url, _ = apply_routing(routing, backend=backend, path="/x")
    assert httpx2.URL(url).host == host


def _origin(choices: Choices) -> Any:
    origin = choices.one_of(_ORIGINS)
    if origin is None or choices.number(3):
        return origin
    position = choices.number(len(origin) + 1)
    return origin[:position] + choices.take(4).decode("utf-8", "replace") + origin[position + choices.number(3) :]


_ITEM_MEMBERS = (
    "type", "role", "content", "text", "id", "call_id", "status", "output", "arguments", "name", "encrypted_content",
    "summary", "image_url", "tools", "input",
)  # fmt: skip
_PARAMETERS: dict[str, Any] = {
    "model": "m", "instructions": "i", "input": "hello", "stream": True, "store": False, "temperature": 1.0,
    "max_output_tokens": 5, "previous_response_id": "r", "reasoning": {"effort": "high", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"}, "tools": [],
    "tool_choice": "auto", "include": [], "metadata": {}, "service_tier": "flex", "prompt_cache_key": "k",
    "parallel_tool_calls": True, "top_p": 1, "user": "u", "truncation": "auto", "background": False,
}  # fmt: skip


def check_explanations(data: bytes) -> None:
    """Check that `explain()` never raises, and that rejected parameters are not sent."""
    choices = Choices(data)
    parameters = {
        name: value for name, value in choices.members(_PARAMETERS).items() if value != "hello" or choices.number(2)
    }
    if choices.number(2):
        parameters["input"] = choices.value(_ITEM_MEMBERS)
    unsupported: UnsupportedPolicy = "drop" if choices.number(2) else "raise"
    options = ClientOptions("m", "i", "fuzz", unsupported, RetryOptions(), TimeoutOptions())
    findings, accepted = apply_policy(parameters, options)
    if accepted is not None:
        body = shape(accepted, model="m", instructions="i").body
        tokens = estimate_tokens(body)
        assert 0 <= tokens.low <= tokens.likely <= tokens.high
        assert body.keys() & {"temperature", "previous_response_id"} == set(), "a rejected parameter would be sent"
    printed = str(Explanation(model="m", prepared_request=None, findings=tuple(findings)))
    assert printed.startswith("The client rejects")
