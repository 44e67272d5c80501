"""The table of all faults by name, in the order in which `codex-backend simulate --list-faults` shows them.

A row has the name, a description, the function that makes the turn, and the arguments that may follow the name. Most
faults make a turn; the modifiers are given the turn of the fault before them, or at first the default response. The
text form of a fault is parsed in `fault_syntax`.

Codes: Codex CLI, codex-api/src/api_bridge.rs, codex-api/src/sse/responses_error.rs and login/src/auth/manager.rs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from ..backend.backend_routes import BACKEND_PATHS
from ..http.asgi_server import HANDSHAKE_FAILURES
from ..replies.messages import POLICY_CODES, QUOTA_CODES, UNSUPPORTED_CODES
from ..turns import Turn
from . import account_faults

if TYPE_CHECKING:
    from ..http.asgi_server import HandshakeFailure

__all__ = ["FAULTS", "ROUTES", "Fault", "FaultArgument"]

# The routes that have a name in a fault; a fault may name any other path.
ROUTES: Final = {
    **BACKEND_PATHS,
    "token": "/oauth/token",
    "revoke": "/oauth/revoke",
    "handshake": "handshake",  # not a path: the TLS handshake comes before any request
}


@dataclass(frozen=True, slots=True)
class FaultArgument:
    """An argument that may follow the name of a fault."""

    name: str
    parse: Callable[[str], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A row of the table; `modifies` is true when `make` takes the turn of the fault before it."""

    name: str
    description: str
    make: Callable[..., Any]
    arguments: tuple[FaultArgument, ...]
    route: str = "responses"
    modifies: bool = False

    @property
    def usage(self) -> str:
        """The name and its arguments, such as `stalled[:events,seconds]`."""
        names = ",".join(argument.name for argument in self.arguments)
        return f"{self.name}[:{names}]" if names else self.name


_CODE = FaultArgument("code", str)
_TEXT = FaultArgument("text", str)
_NAME = FaultArgument("name", str)
_STATUS = FaultArgument("status", int)
_BYTES = FaultArgument("bytes", int)
_EVENTS = FaultArgument("events", int)
_SECONDS = FaultArgument("seconds", float)
_TIMES = FaultArgument("times", int)
_PLAN = FaultArgument("plan", str)
_RESETS_IN = FaultArgument("seconds", lambda text: timedelta(seconds=float(text)))
_RETRY_AFTER = FaultArgument("retry_after", str)
_PARAM = FaultArgument("param", str)
_TYPE = FaultArgument("type", str)


def _fault(
    name: str, description: str, make: Callable[..., Any], *arguments: FaultArgument, route: str = "responses"
) -> Fault:
    return Fault(name=name, description=description, make=make, arguments=arguments, route=route)


def _modifier(name: str, description: str, make: Callable[..., Turn], *arguments: FaultArgument) -> Fault:
    return Fault(name=name, description=description, make=make, arguments=arguments, modifies=True)


def _api_error(code: str, status: int = 400, description: str = "") -> Fault:
    make = lambda status=status: Turn.api_error(code, status=status)  # noqa: E731  (it captures the code)
    return _fault(code, description or f"{status} with this code", make, _STATUS)


def _detail(name: str, text: str) -> Fault:
    return _fault(name, f'400 `{{"detail": "{text}"}}`', lambda: Turn.detail_error(text))


def _status(status: int) -> Turn:
    known = {entry.value: entry.phrase for entry in HTTPStatus}
    return Turn.detail_error(known.get(status, "Unknown status"), status)


_WEEK: Final = timedelta(days=7)

_LIMITS = (
    _fault("usage_limit", "429: the usage limit of the plan is reached", Turn.usage_limit, _PLAN, _RESETS_IN),
    _fault(
        "usage_limit_week",
        "429: the weekly usage limit is reached",
        lambda plan=None, resets_in=_WEEK: Turn.usage_limit(plan, resets_in, window=_WEEK),
        _PLAN,
        _RESETS_IN,
    ),
    _fault(
        "usage_limit_no_reset",
        "429: the usage limit is reached, without the time of its reset",
        lambda plan=None: Turn.usage_limit(plan, None),
        _PLAN,
    ),
    _fault(
        "usage_limit_workspace",
        "429: a limit of the workspace is reached",
        lambda reached="workspace_owner_credits_depleted": Turn.usage_limit("team", reached=reached),
        FaultArgument("reached", str),
    ),
    _fault(
        "usage_limit_model",
        "429: the limit of a single model is reached",
        lambda name="GPT-5.5-Codex-Spark": Turn.usage_limit(limit_name=name),
        _NAME,
    ),
    _fault(
        "usage_limit_promo",
        "429: the usage limit is reached, with an offer of the backend",
        lambda text="Get more with an add-on": Turn.usage_limit(promo=text),
        _TEXT,
    ),
    _fault("usage_not_included", "429: the plan does not include Codex", Turn.usage_not_included),
    _fault("rate_limited", "429: too many requests, with `Retry-After` if given", Turn.rate_limited, _RETRY_AFTER),
    *(_api_error(code, 429, "429: the credits are exhausted") for code in QUOTA_CODES),
    _api_error("flex_unavailable", 429, "429: the flex tier has no capacity"),
)

_STATUSES = (
    _fault("overloaded", "503: the servers are overloaded", Turn.overloaded),
    _fault("slow_down", "503: requests come too fast, with `Retry-After` if given", Turn.slow_down, _RETRY_AFTER),
    _fault("status", "any status with a `detail` (default 500)", lambda status=500: _status(status), _STATUS),
    _fault("bad_request", "400 with this `detail`", lambda text="Bad Request": Turn.detail_error(text), _TEXT),
    _api_error("context_length_exceeded"),
    _api_error("invalid_encrypted_content"),
    _api_error("invalid_image"),
    *(_api_error(code) for code in POLICY_CODES),
    *(_api_error(code, 404 if code == "model_not_found" else 400) for code in UNSUPPORTED_CODES),
    _fault(
        "unauthorized",
        "401, with a code if given: token_expired, token_invalidated, token_revoked",
        Turn.unauthorized,
        _CODE,
    ),
    _fault("cloudflare", "403 with an HTML page: challenge, blocked", Turn.cloudflare, FaultArgument("kind", str)),
    _fault("region_not_supported", "403: the country is not supported", Turn.region_not_supported),
    _fault("upgrade_required", "426", lambda: _status(426)),
    _fault("redirect", "307 to another host (localhost)", Turn.redirect, FaultArgument("url", str)),
)

_INVALID_REQUESTS = (
    _detail("store_not_false", "Store must be set to false"),
    _detail("stream_not_true", "Stream must be set to true"),
    _detail("instructions_required", "Instructions are required"),
    _detail("instructions_not_valid", "Instructions are not valid"),
    _detail("input_not_list", "Input must be a list"),
    _detail("system_message", "System messages are not allowed"),
    _detail(
        "lite_parallel_tool_calls",
        "X-OpenAI-Internal-Codex-Responses-Lite requires parallel_tool_calls to be false.",
    ),
    _detail("account_id_missing", "The header ChatGPT-Account-ID is required"),
    _fault(
        "unsupported_parameter",
        "400 `detail`: a parameter is not supported",
        lambda name="temperature": Turn.detail_error(f"Unsupported parameter: {name}"),
        _NAME,
    ),
    _fault(
        "unsupported_tool_type",
        "400 `detail`: a tool type is not supported",
        lambda name="apply_patch": Turn.detail_error(f"Unsupported tool type: {name}"),
        _TYPE,
    ),
    _fault(
        "unsupported_tier",
        "400 `detail`: a service tier is not supported",
        lambda tier="auto": Turn.detail_error(f"Unsupported service_tier: {tier}"),
        FaultArgument("tier", str),
    ),
    _fault(
        "unsupported_model_detail",
        "400 `detail`: the plan does not have the model",
        lambda model="gpt-x": Turn.detail_error(
            f"The '{model}' model is not supported when using Codex with a ChatGPT account."
        ),
        FaultArgument("model", str),
    ),
    _fault(
        "unsupported_effort",
        "400 with `param`: the model does not support a reasoning effort",
        lambda effort="xhigh": Turn.api_error(
            "unsupported_value",
            f"Unsupported value: '{effort}' is not supported with this model.",
            param="reasoning.effort",
        ),
        FaultArgument("effort", str),
    ),
    _fault(
        "unknown_parameter",
        "400 with `param`: a member of the body is unknown",
        lambda param="input[1].reasoning_content": Turn.api_error(
            "unknown_parameter", f"Unknown parameter: '{param}'.", param=param
        ),
        _PARAM,
    ),
    _fault(
        "invalid_function_parameters",
        "400 with `param`: the schema of a function lacks `additionalProperties`",
        lambda: Turn.api_error(
            "invalid_function_parameters",
            "Invalid schema for function 'f': 'additionalProperties' is required to be supplied and to be false.",
            param="tools[0].parameters",
        ),
    ),
)

_ENDINGS = (
    _fault(
        "failed",
        "`response.failed` with any code, after the text",
        lambda code="server_error", text="": Turn.failed(code, text=text),
        _CODE,
        _TEXT,
    ),
    _fault("failed_without_error", "`response.failed` whose error is null", lambda: Turn.failed(None)),
    _fault(
        "failed_param",
        "`response.failed` because of a parameter",
        lambda param="model": Turn.failed("invalid_value", f"Unsupported value of {param}.", error={"param": param}),
        _PARAM,
    ),
    _fault(
        "failed_retry_after",
        "`response.failed` with a `Retry-After` inside the error",
        lambda retry_after="3": Turn.failed("slow_down", error={"headers": {"Retry-After": retry_after}}),
        _RETRY_AFTER,
    ),
    _fault(
        "failed_try_again",
        "`response.failed` with the message “try again in 11.054s”",
        lambda time="11.054s": Turn.failed(
            "rate_limit_exceeded", f"Rate limit reached. Please try again in {time}. Visit the usage page."
        ),
        FaultArgument("time", str),
    ),
    _fault(
        "incomplete",
        "`response.incomplete` with any reason, after the text",
        lambda reason="max_output_tokens", text="": Turn.incomplete(reason, text=text),
        FaultArgument("reason", str),
        _TEXT,
    ),
    _fault(
        "error_event",
        "an `error` event in a response of status 200, after the text",
        lambda code="server_error", text="": Turn.error_event(code, text=text),
        _CODE,
        _TEXT,
    ),
)

_DELIVERY = (
    _modifier(
        "cut_after_bytes",
        "sends N bytes of the body, then closes the connection",
        lambda turn, count=200: turn.cut_after_bytes(count),
        _BYTES,
    ),
    _modifier(
        "cut_after_events",
        "sends N events, then closes the connection",
        lambda turn, count=4: turn.cut_after_events(count),
        _EVENTS,
    ),
    _modifier(
        "clean_end_after_events",
        "sends N events, then ends the response properly, without a terminal event",
        lambda turn, count=4: turn.clean_end_after_events(count),
        _EVENTS,
    ),
    _modifier("reset", "resets the connection, at once or after N bytes of the body", Turn.reset, _BYTES),
    _modifier(
        "delayed",
        "sends nothing for N seconds, then the response",
        lambda turn, seconds=1.0: turn.delayed(seconds),
        _SECONDS,
    ),
    _modifier("stalled", "sends N events, then pauses", Turn.stalled, _EVENTS, _SECONDS),
    _modifier(
        "throttled", "sends the body in pieces of N bytes with a pause between them", Turn.throttled, _BYTES, _SECONDS
    ),
    _modifier("byte_by_byte", "sends each byte of the body on its own", Turn.byte_by_byte),
    _modifier(
        "keepalives",
        "sends comments and keepalive events for N seconds, then the response",
        lambda turn, seconds=1.0: turn.keepalives(seconds),
        _SECONDS,
    ),
    _modifier("compressed", "compresses the body: gzip, zstd, br", Turn.compressed, FaultArgument("encoding", str)),
    _modifier(
        "content_type",
        "sends another content type (default text/html)",
        lambda turn, media_type="text/html": turn.content_type(media_type),
        _TYPE,
    ),
    _modifier(
        "header",
        "adds or replaces a header",
        lambda turn, name="x-simulator", value="": turn.with_headers({name: value}),
        _NAME,
        FaultArgument("value", str),
    ),
    _modifier("huge_header", "adds a header of N bytes", Turn.huge_header, _BYTES),
    _modifier("huge_event", "inserts an unknown event of N bytes", Turn.huge_event, _BYTES),
    _modifier("informational", "sends 1xx responses first", Turn.informational, _STATUS, _TIMES),
    _modifier("repeated_last_event", "sends the terminal event N times", Turn.repeated_last_event, _TIMES),
    _modifier("data_after_end", "sends a text delta after the terminal event", Turn.data_after_end),
    _modifier("garbage", "inserts invalid bytes after N events", Turn.garbage, _EVENTS),
    _modifier("bytes_after_response", "sends bytes after the end of the response", Turn.bytes_after_response),
    _fault("not_http", "sends bytes that are not HTTP", Turn.not_http),
    _fault("empty", "200 without a body", lambda: Turn.raw(200, {"content-length": "0"})),
    _fault(
        "html",
        "200 with an HTML page",
        lambda: Turn.raw(200, {"content-type": "text/html"}, b"<!doctype html><title>Hello</title>"),
    ),
)

_REFUSED_REFRESHES = tuple(
    _fault(
        code,
        "the refresh is refused permanently; shape of the body: object, text, code",
        lambda shape="object", status=401, code=code: account_faults.refresh_refused(code, shape, status),
        FaultArgument("shape", str),
        _STATUS,
        route="token",
    )
    for code in ("refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated", "refresh_refused")
)
_ACCOUNT = (
    *_REFUSED_REFRESHES,
    _fault(
        "invalid_grant",
        "400: the refresh is refused as RFC 6749 has it",
        account_faults.invalid_grant,
        _STATUS,
        route="token",
    ),
    _fault(
        "token_status",
        "the refresh fails temporarily (default 503)",
        lambda status=503: _status(status),
        _STATUS,
        route="token",
    ),
    _fault(
        "token_without",
        "the response to the refresh lacks a member",
        account_faults.refresh_without,
        FaultArgument("member", str),
        route="token",
    ),
    _fault(
        "token_other_account",
        "the refresh returns the tokens of another account",
        account_faults.refresh_for_another_account,
        route="token",
    ),
    _fault(
        "workspace_map",
        "the workspaces are sent as an object keyed by id",
        account_faults.workspace_map,
        route="accounts",
    ),
    _fault(
        "workspace_missing",
        "the account's workspace is missing in the list",
        account_faults.missing_workspace,
        route="accounts",
    ),
    _fault(
        "workspace_duplicate",
        "the account's workspace is listed twice, with contradicting overrides",
        account_faults.duplicated_workspace,
        route="accounts",
    ),
    _fault(
        "workspace_origin",
        "the workspace's backend has this origin; null without an argument",
        account_faults.workspace_origin,
        FaultArgument("url", str),
        route="accounts",
    ),
    _fault(
        "workspace_override",
        "the workspace has an unknown routing override",
        account_faults.workspace_override,
        FaultArgument("value", str),
        route="accounts",
    ),
)


def _handshake(how: str = "closed") -> HandshakeFailure:
    if how not in HANDSHAKE_FAILURES:
        raise ValueError(f"unknown handshake failure {how!r}, use one of {', '.join(HANDSHAKE_FAILURES)}")
    return how


_TLS = _fault(
    "tls_failure",
    "the TLS handshake at https:// fails: plain, alert, closed, reset, silent",
    _handshake,
    FaultArgument("how", str),
    route="handshake",
)

FAULTS: Final = {
    fault.name: fault for fault in (*_LIMITS, *_STATUSES, *_INVALID_REQUESTS, *_ENDINGS, *_DELIVERY, *_ACCOUNT, _TLS)
}
