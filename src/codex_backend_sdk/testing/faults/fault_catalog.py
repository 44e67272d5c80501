"""The table of all faults by name, in the order in which `codex-backend simulate --list-faults` shows them.

A row has the name, a description, the function that makes the turn, and the names of the arguments that may follow the
name of the fault. Most faults make a turn; a modifier is given the turn of the fault before it, or at first the default
response. The text form of a fault is parsed in `fault_syntax`.

Codes: Codex CLI, codex-api/src/api_bridge.rs, codex-api/src/sse/responses_error.rs and login/src/auth/manager.rs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
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

__all__ = ["FAULTS", "ROUTES", "Fault"]

# The routes that have a name in a fault; a fault may name any other path.
ROUTES: Final = {
    **BACKEND_PATHS,
    "token": "/oauth/token",
    "revoke": "/oauth/revoke",
    "handshake": "handshake",  # not a path: the TLS handshake comes before any request
}
# By name of the argument; the others are text.
_PARSERS: Final[dict[str, Callable[[str], Any]]] = {
    "status": int,
    "bytes": int,
    "events": int,
    "times": int,
    "seconds": float,
    "reset_seconds": lambda text: timedelta(seconds=float(text)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A row of the table; `modifies` is true when `make` takes the turn of the fault before it."""

    name: str
    description: str
    make: Callable[..., Any]
    arguments: tuple[str, ...]
    route: str
    modifies: bool

    @property
    def usage(self) -> str:
        """The name and its arguments, such as `stalled[:events,seconds]`."""
        return f"{self.name}[:{','.join(self.arguments)}]" if self.arguments else self.name

    def parse_arguments(self, values: Sequence[str]) -> list[Any]:
        """Convert the values that follow the name, each by the name of its argument; ValueError if one is invalid."""
        return [_PARSERS.get(name, str)(value) for name, value in zip(self.arguments, values, strict=False)]


def _fault(
    name: str,
    description: str,
    make: Callable[..., Any],
    arguments: str = "",
    *,
    route: str = "responses",
    modifies: bool = False,
) -> Fault:
    names = tuple(arguments.split(",")) if arguments else ()
    return Fault(name=name, description=description, make=make, arguments=names, route=route, modifies=modifies)


_modifier: Final = functools.partial(_fault, modifies=True)
_token_fault: Final = functools.partial(_fault, route="token")
_workspace_fault: Final = functools.partial(_fault, route="accounts")


def _api_error(code: str, status: int = 400, description: str = "") -> Fault:
    make = lambda status=status: Turn.api_error(code, status=status)  # noqa: E731  (it captures the code)
    return _fault(code, description or f"{status} with this code", make, "status")


def _detail(name: str, template: str, /, **defaults: str) -> Fault:
    """Return a 400 `detail` error; `defaults` are the arguments that the template has, with their default values."""

    def make(*values: str) -> Turn:
        return Turn.detail_error(template.format_map({**defaults, **dict(zip(defaults, values, strict=False))}))

    return _fault(name, f'400 `{{"detail": "{template.format_map(defaults)}"}}`', make, ",".join(defaults))


def _status(status: int) -> Turn:
    phrases = {entry.value: entry.phrase for entry in HTTPStatus}
    return Turn.detail_error(phrases.get(status, "Unknown status"), status)


_WEEK: Final = timedelta(days=7)

_LIMITS = (
    _fault("usage_limit", "429: the usage limit of the plan is reached", Turn.usage_limit, "plan,reset_seconds"),
    _fault(
        "usage_limit_week",
        "429: the weekly usage limit is reached",
        lambda plan=None, resets_in=_WEEK: Turn.usage_limit(plan, resets_in, window=_WEEK),
        "plan,reset_seconds",
    ),
    _fault(
        "usage_limit_no_reset",
        "429: the usage limit is reached, without the time of its reset",
        lambda plan=None: Turn.usage_limit(plan, None),
        "plan",
    ),
    _fault(
        "usage_limit_workspace",
        "429: a limit of the workspace is reached",
        lambda reached="workspace_owner_credits_depleted": Turn.usage_limit("team", reached=reached),
        "reached",
    ),
    _fault(
        "usage_limit_model",
        "429: the limit of a single model is reached",
        lambda name="GPT-5.5-Codex-Spark": Turn.usage_limit(limit_name=name),
        "name",
    ),
    _fault(
        "usage_limit_promo",
        "429: the usage limit is reached, with an offer of the backend",
        lambda text="Get more with an add-on": Turn.usage_limit(promo=text),
        "text",
    ),
    _fault("usage_not_included", "429: the plan does not include Codex", Turn.usage_not_included),
    _fault("rate_limited", "429: too many requests, with `Retry-After` if given", Turn.rate_limited, "retry_after"),
    *(_api_error(code, 429, "429: the credits are exhausted") for code in QUOTA_CODES),
    _api_error("flex_unavailable", 429, "429: the flex tier has no capacity"),
)

_STATUSES = (
    _fault("overloaded", "503: the servers are overloaded", Turn.overloaded),
    _fault("slow_down", "503: requests come too fast, with `Retry-After` if given", Turn.slow_down, "retry_after"),
    _fault("status", "any status with a `detail` (default 500)", lambda status=500: _status(status), "status"),
    _fault("bad_request", "400 with this `detail`", lambda text="Bad Request": Turn.detail_error(text), "text"),
    _api_error("context_length_exceeded"),
    _api_error("invalid_encrypted_content"),
    _api_error("invalid_image"),
    *(_api_error(code) for code in POLICY_CODES),
    *(_api_error(code, 404 if code == "model_not_found" else 400) for code in UNSUPPORTED_CODES),
    _fault(
        "unauthorized", "401: token_expired, token_invalidated, token_revoked, or no code", Turn.unauthorized, "code"
    ),
    _fault("cloudflare", "403 with an HTML page: challenge, blocked", Turn.cloudflare, "kind"),
    _fault("region_not_supported", "403: the country is not supported", Turn.region_not_supported),
    _fault("upgrade_required", "426", lambda: _status(426)),
    _fault("redirect", "307 to another host (localhost)", Turn.redirect, "url"),
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
    _detail("unsupported_parameter", "Unsupported parameter: {name}", name="temperature"),
    _detail("unsupported_tool_type", "Unsupported tool type: {type}", type="apply_patch"),
    _detail("unsupported_tier", "Unsupported service_tier: {tier}", tier="auto"),
    _detail(
        "unsupported_model_detail",
        "The '{model}' model is not supported when using Codex with a ChatGPT account.",
        model="gpt-x",
    ),
    _fault(
        "unsupported_effort",
        "400 with `param`: the model does not support a reasoning effort",
        lambda effort="xhigh": Turn.api_error(
            "unsupported_value",
            f"Unsupported value: '{effort}' is not supported with this model.",
            param="reasoning.effort",
        ),
        "effort",
    ),
    _fault(
        "unknown_parameter",
        "400 with `param`: a member of the body is unknown",
        lambda param="input[1].reasoning_content": Turn.api_error(
            "unknown_parameter", f"Unknown parameter: '{param}'.", param=param
        ),
        "param",
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
        "code,text",
    ),
    _fault("failed_without_error", "`response.failed` whose error is null", lambda: Turn.failed(None)),
    _fault(
        "failed_param",
        "`response.failed` because of a parameter",
        lambda param="model": Turn.failed("invalid_value", f"Unsupported value of {param}.", error={"param": param}),
        "param",
    ),
    _fault(
        "failed_retry_after",
        "`response.failed` with a `Retry-After` inside the error",
        lambda retry_after="3": Turn.failed("slow_down", error={"headers": {"Retry-After": retry_after}}),
        "retry_after",
    ),
    _fault(
        "failed_try_again",
        "`response.failed` with the message “try again in 11.054s”",
        lambda time="11.054s": Turn.failed(
            "rate_limit_exceeded", f"Rate limit reached. Please try again in {time}. Visit the usage page."
        ),
        "time",
    ),
    _fault(
        "incomplete",
        "`response.incomplete` with any reason, after the text",
        lambda reason="max_output_tokens", text="": Turn.incomplete(reason, text=text),
        "reason,text",
    ),
    _fault(
        "error_event",
        "an `error` event in a response of status 200, after the text",
        lambda code="server_error", text="": Turn.error_event(code, text=text),
        "code,text",
    ),
)

_DELIVERY = (
    _modifier(
        "cut_after_bytes",
        "sends N bytes of the body, then closes the connection",
        Turn.cut_after_bytes,
        "bytes",
    ),
    _modifier("cut_after_events", "sends N events, then closes the connection", Turn.cut_after_events, "events"),
    _modifier(
        "clean_end_after_events",
        "sends N events, then ends the response properly, without a terminal event",
        Turn.clean_end_after_events,
        "events",
    ),
    _modifier("reset", "resets the connection, at once or after N bytes of the body", Turn.reset, "bytes"),
    _modifier("delayed", "sends nothing for N seconds, then the response", Turn.delayed, "seconds"),
    _modifier("stalled", "sends N events, then pauses", Turn.stalled, "events,seconds"),
    _modifier(
        "throttled",
        "sends the body in pieces of N bytes with a pause between them",
        Turn.throttled,
        "bytes,seconds",
    ),
    _modifier("byte_by_byte", "sends each byte of the body on its own", Turn.byte_by_byte),
    _modifier(
        "keepalives",
        "sends comments and keepalive events for N seconds, then the response",
        Turn.keepalives,
        "seconds",
    ),
    _modifier("compressed", "compresses the body: gzip, zstd, br", Turn.compressed, "encoding"),
    _modifier("content_type", "sends another content type (default text/html)", Turn.content_type, "type"),
    _modifier(
        "header",
        "adds or replaces a header",
        lambda turn, name="x-simulator", value="": turn.with_headers({name: value}),
        "name,value",
    ),
    _modifier("huge_header", "adds a header of N bytes", Turn.huge_header, "bytes"),
    _modifier("huge_event", "inserts an unknown event of N bytes", Turn.huge_event, "bytes"),
    _modifier("informational", "sends 1xx responses first", Turn.informational, "status,times"),
    _modifier("repeated_last_event", "sends the terminal event N times", Turn.repeated_last_event, "times"),
    _modifier("data_after_end", "sends a text delta after the terminal event", Turn.data_after_end),
    _modifier("garbage", "inserts invalid bytes after N events", Turn.garbage, "events"),
    _modifier("bytes_after_response", "sends bytes after the end of the response", Turn.bytes_after_response),
    _fault("not_http", "sends bytes that are not HTTP", Turn.not_http),
    _fault("empty", "200 without a body", lambda: Turn.raw(200, {"content-length": "0"})),
    _fault(
        "html",
        "200 with an HTML page",
        lambda: Turn.raw(200, {"content-type": "text/html"}, b"<!doctype html><title>Hello</title>"),
    ),
)


def _refused_refresh(code: str) -> Fault:
    return _token_fault(
        code,
        "the refresh is refused permanently; shape of the body: object, text, code",
        lambda shape="object", status=401: account_faults.refresh_refused(code, shape, status),
        "shape,status",
    )


_ACCOUNT = (
    _refused_refresh("refresh_token_expired"),
    _refused_refresh("refresh_token_reused"),
    _refused_refresh("refresh_token_invalidated"),
    _refused_refresh("refresh_refused"),
    _token_fault("invalid_grant", "400: the refresh is refused as in RFC 6749", account_faults.invalid_grant, "status"),
    _token_fault("token_status", "the refresh fails with a status (default 503)", lambda s=503: _status(s), "status"),
    _token_fault("token_without", "the response lacks a member (id_token)", account_faults.refresh_without, "member"),
    _token_fault("token_other_account", "the tokens of another account", account_faults.refresh_for_another_account),
    _workspace_fault("workspace_map", "the workspaces as an object keyed by id", account_faults.workspace_map),
    _workspace_fault("workspace_missing", "no workspace of this account", account_faults.missing_workspace),
    _workspace_fault("workspace_duplicate", "two contradicting workspaces", account_faults.duplicated_workspace),
    _workspace_fault(
        "workspace_origin", "the origin of the workspace's backend", account_faults.workspace_origin, "url"
    ),
    _workspace_fault("workspace_override", "an unknown routing override", account_faults.workspace_override, "value"),
)


def _handshake(how: str = "closed") -> HandshakeFailure:
    if how not in HANDSHAKE_FAILURES:
        raise ValueError(f"unknown handshake failure {how!r}, use one of {', '.join(HANDSHAKE_FAILURES)}")
    return how


_TLS = _fault(
    "tls_failure",
    "the TLS handshake at https:// fails: plain, alert, closed, reset, silent",
    _handshake,
    "how",
    route="handshake",
)

FAULTS: Final = {
    fault.name: fault for fault in (*_LIMITS, *_STATUSES, *_INVALID_REQUESTS, *_ENDINGS, *_DELIVERY, *_ACCOUNT, _TLS)
}
