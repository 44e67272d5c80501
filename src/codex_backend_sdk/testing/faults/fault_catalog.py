"""Define the table of all faults, in the order in which `codex-backend simulate --list-faults` prints them.

A row has the name of the fault, a description, the function that creates the turn, and the names of the arguments that
may follow the name. Most faults create a turn. A modifier changes the turn of the preceding fault, or the default
response if it is the first fault. `fault_syntax` parses the text form of a fault.

Source of the codes: Codex CLI, codex-api/src/api_bridge.rs, codex-api/src/sse/responses_error.rs and
login/src/auth/manager.rs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from ..backend.backend_routes import BACKEND_PATHS, WEBSOCKET_ROUTE
from ..http.asgi_server import HANDSHAKE_FAILURES
from ..replies.messages import POLICY_CODES, QUOTA_CODES, UNSUPPORTED_CODES
from ..turns import Turn
from . import account_faults

if TYPE_CHECKING:
    from ..http.asgi_server import HandshakeFailure

__all__ = ["FAULTS", "ROUTES", "Fault"]

# Short names of routes. Faults for any other route name its path.
ROUTES: Final = {
    **BACKEND_PATHS,
    "token": "/oauth/token",
    "revoke": "/oauth/revoke",
    "websocket": WEBSOCKET_ROUTE,
    "handshake": "handshake",  # not a path: the TLS handshake precedes the request
}
# The parsers of arguments, by argument name. Other arguments are strings.
_PARSERS: Final[dict[str, Callable[[str], Any]]] = {
    "status": int,
    "close_code": int,
    "bytes": int,
    "events": int,
    "times": int,
    "seconds": float,
    "reset_seconds": lambda text: timedelta(seconds=float(text)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A row of the table. If `is_modifier` is true, `make` takes the turn of the preceding fault first.

    If `is_for_websockets` is true, the fault concerns model requests on a WebSocket only.
    """

    name: str
    description: str
    make: Callable[..., Any]
    arguments: tuple[str, ...]
    route: str
    is_modifier: bool
    is_for_websockets: bool = False

    @property
    def syntax(self) -> str:
        """The name and its arguments, such as `stalled[:events,seconds]`."""
        return f"{self.name}[:{','.join(self.arguments)}]" if self.arguments else self.name

    def parse_arguments(self, values: Sequence[str]) -> list[Any]:
        """Convert argument strings to the types of their parameters. Raises ValueError if a value is invalid."""
        return [_PARSERS.get(name, str)(value) for name, value in zip(self.arguments, values, strict=False)]


def _fault(
    name: str,
    description: str,
    make: Callable[..., Any],
    *arguments: str,
    route: str = "responses",
    is_modifier: bool = False,
    is_for_websockets: bool = False,
) -> Fault:
    return Fault(
        name=name,
        description=description,
        make=make,
        arguments=arguments,
        route=route,
        is_modifier=is_modifier,
        is_for_websockets=is_for_websockets,
    )


_modifier: Final = functools.partial(_fault, is_modifier=True)
_socket_modifier: Final = functools.partial(_fault, is_modifier=True, is_for_websockets=True)
_token_fault: Final = functools.partial(_fault, route="token")
_workspace_fault: Final = functools.partial(_fault, route="accounts")


def _api_error_fault(code: str, meaning: str, status: int = 400) -> Fault:
    """Return a fault whose error body has this code."""
    make = lambda status=status: Turn.api_error(code, status=status)  # noqa: E731  (it captures the code)
    return _fault(code, f"returns {status} with the error code `{code}`: {meaning}", make, "status")


def _detail_fault(name: str, template: str, /, **defaults: str) -> Fault:
    """Return a fault with status 400 and a `detail`. `defaults` are the default values of the template's arguments."""

    def make(*values: str) -> Turn:
        return Turn.detail_error(template.format_map({**defaults, **dict(zip(defaults, values, strict=False))}))

    return _fault(name, f'returns 400 `{{"detail": "{template.format_map(defaults)}"}}`', make, *defaults)


def _status_turn(status: int) -> Turn:
    phrases = {entry.value: entry.phrase for entry in HTTPStatus}
    return Turn.detail_error(phrases.get(status, "Unknown status"), status)


_WEEK: Final = timedelta(days=7)
_POLICY_MEANING: Final = "the request violates a usage policy"
# What the account or the model does not support, by the subject in the code.
_UNSUPPORTED_MEANINGS: Final = {
    "model": "the account cannot use the model",
    "service_tier": "the model does not support the service tier",
    "reasoning_effort": "the model does not support the reasoning effort",
}
_QUOTA_MEANINGS: Final = dict(
    zip(
        QUOTA_CODES,
        (
            "the credits of the account are exhausted",
            "the credit balance is zero",
            "the organization has reached its spend limit",
            "the project has reached its spend limit",
            "the organization has reached its usage limit",
        ),
        strict=True,
    )
)

_LIMITS = (
    _fault(
        "usage_limit",
        "returns 429 `usage_limit_reached`: the 5-hour usage limit of the plan is exhausted",
        Turn.usage_limit,
        "plan",
        "reset_seconds",
    ),
    _fault(
        "usage_limit_week",
        "returns 429 `usage_limit_reached`: the weekly usage limit of the plan is exhausted",
        lambda plan=None, resets_in=_WEEK: Turn.usage_limit(plan, resets_in, window=_WEEK),
        "plan",
        "reset_seconds",
    ),
    _fault(
        "usage_limit_no_reset",
        "returns 429 `usage_limit_reached` without the time of the reset",
        lambda plan=None: Turn.usage_limit(plan, None),
        "plan",
    ),
    _fault(
        "usage_limit_workspace",
        "returns 429 `usage_limit_reached`: a limit of the workspace is exhausted; "
        "`reached_type` is the value of the header `x-codex-rate-limit-reached-type`",
        lambda reached_type="workspace_owner_credits_depleted": Turn.usage_limit("team", reached=reached_type),
        "reached_type",
    ),
    _fault(
        "usage_limit_model",
        "returns 429 `usage_limit_reached`: the limit `name` of a single model is exhausted",
        lambda name="GPT-5.5-Codex-Spark": Turn.usage_limit(limit_name=name),
        "name",
    ),
    _fault(
        "usage_limit_promo",
        "returns 429 `usage_limit_reached` with the promotional message `text` in `x-codex-promo-message`",
        lambda text="Get more with an add-on": Turn.usage_limit(promo=text),
        "text",
    ),
    _fault(
        "usage_not_included",
        "returns 429 `usage_not_included`: the plan does not include Codex",
        Turn.usage_not_included,
    ),
    _fault(
        "rate_limited",
        "returns 429 `rate_limit_exceeded`: the client sends too many requests; sets `Retry-After` if given",
        Turn.rate_limited,
        "retry_after",
    ),
    *(_api_error_fault(code, meaning, 429) for code, meaning in _QUOTA_MEANINGS.items()),
    _api_error_fault("flex_unavailable", "the service tier `flex` has no capacity", 429),
)

_STATUSES = (
    _fault("overloaded", "returns 503 `server_is_overloaded`: the backend is overloaded", Turn.overloaded),
    _fault(
        "slow_down",
        "returns 503 `slow_down`: the client must send fewer requests; sets `Retry-After` if given",
        Turn.slow_down,
        "retry_after",
    ),
    _fault(
        "status",
        'returns `status` (default 500) with a body `{"detail": ...}`',
        lambda status=500: _status_turn(status),
        "status",
    ),
    _fault(
        "bad_request",
        'returns 400 `{"detail": text}`',
        lambda text="Bad Request": Turn.detail_error(text),
        "text",
    ),
    _api_error_fault("context_length_exceeded", "the input is longer than the context window of the model"),
    _api_error_fault("invalid_encrypted_content", "the backend cannot decrypt a reasoning item of the input"),
    _api_error_fault("invalid_image", "an image of the input is not valid"),
    *(_api_error_fault(code, _POLICY_MEANING) for code in POLICY_CODES),
    *(
        _api_error_fault(
            code,
            next(meaning for subject, meaning in _UNSUPPORTED_MEANINGS.items() if subject in code),
            404 if code == "model_not_found" else 400,
        )
        for code in UNSUPPORTED_CODES
    ),
    _fault(
        "unauthorized",
        "returns 401; `code` is token_expired, token_invalidated or token_revoked (default: no code)",
        Turn.unauthorized,
        "code",
    ),
    _fault(
        "cloudflare",
        "returns 403 with an HTML page of Cloudflare; `page` is challenge (default) or blocked",
        Turn.cloudflare,
        "page",
    ),
    _fault(
        "region_not_supported",
        "returns 403 `unsupported_country_region_territory`: the backend is not available in this country",
        Turn.region_not_supported,
    ),
    _fault(
        "upgrade_required",
        "returns 426 Upgrade Required to the upgrade request of a WebSocket",
        lambda: _status_turn(426),
        route="websocket",
    ),
    _fault(
        "redirect",
        "returns 307 with a redirect to `url` (default: the same path on the host `localhost`)",
        Turn.redirect,
        "url",
    ),
)

_INVALID_REQUESTS = (
    _detail_fault("store_not_false", "Store must be set to false"),
    _detail_fault("stream_not_true", "Stream must be set to true"),
    _detail_fault("instructions_required", "Instructions are required"),
    _detail_fault("instructions_not_valid", "Instructions are not valid"),
    _detail_fault("input_not_list", "Input must be a list"),
    _detail_fault("system_message", "System messages are not allowed"),
    _detail_fault(
        "lite_parallel_tool_calls",
        "X-OpenAI-Internal-Codex-Responses-Lite requires parallel_tool_calls to be false.",
    ),
    _detail_fault("account_id_missing", "The header ChatGPT-Account-ID is required"),
    _detail_fault("unsupported_parameter", "Unsupported parameter: {name}", name="temperature"),
    _detail_fault("unsupported_tool_type", "Unsupported tool type: {type}", type="apply_patch"),
    _detail_fault("unsupported_tier", "Unsupported service_tier: {tier}", tier="auto"),
    _detail_fault(
        "unsupported_model_detail",
        "The '{model}' model is not supported when using Codex with a ChatGPT account.",
        model="gpt-x",
    ),
    _fault(
        "unsupported_effort",
        "returns 400 `unsupported_value` for the parameter `reasoning.effort`",
        lambda effort="xhigh": Turn.api_error(
            "unsupported_value",
            f"Unsupported value: '{effort}' is not supported with this model.",
            param="reasoning.effort",
        ),
        "effort",
    ),
    _fault(
        "unknown_parameter",
        "returns 400 `unknown_parameter` for the parameter `param`",
        lambda param="input[1].reasoning_content": Turn.api_error(
            "unknown_parameter", f"Unknown parameter: '{param}'.", param=param
        ),
        "param",
    ),
    _fault(
        "invalid_function_parameters",
        "returns 400 `invalid_function_parameters`: the schema of a function lacks `additionalProperties`",
        lambda: Turn.api_error(
            "invalid_function_parameters",
            "Invalid schema for function 'f': 'additionalProperties' is required to be supplied and to be false.",
            param="tools[0].parameters",
        ),
    ),
)

_TERMINAL_EVENTS = (
    _fault(
        "failed",
        "streams `text` (default: none) and then `response.failed` with the error code `code`",
        lambda code="server_error", text="": Turn.failed(code, text=text),
        "code",
        "text",
    ),
    _fault(
        "failed_without_error",
        "streams `response.failed` with a null error",
        lambda: Turn.failed(None),
    ),
    _fault(
        "failed_param",
        "streams `response.failed` with the error code `invalid_value` for the parameter `param`",
        lambda param="model": Turn.failed("invalid_value", f"Unsupported value of {param}.", error={"param": param}),
        "param",
    ),
    _fault(
        "failed_retry_after",
        "streams `response.failed` with the error code `slow_down` and a `Retry-After` header in the error object",
        lambda retry_after="3": Turn.failed("slow_down", error={"headers": {"Retry-After": retry_after}}),
        "retry_after",
    ),
    _fault(
        "failed_try_again",
        "streams `response.failed` with a message that contains “try again in” and `delay` (default 11.054s)",
        lambda delay="11.054s": Turn.failed(
            "rate_limit_exceeded", f"Rate limit reached. Please try again in {delay}. Visit the usage page."
        ),
        "delay",
    ),
    _fault(
        "incomplete",
        "streams `text` (default: none) and then `response.incomplete` with the reason `reason`",
        lambda reason="max_output_tokens", text="": Turn.incomplete(reason, text=text),
        "reason",
        "text",
    ),
    _fault(
        "error_event",
        "streams `text` (default: none) and then an `error` event with the error code `code`",
        lambda code="server_error", text="": Turn.error_event(code, text=text),
        "code",
        "text",
    ),
)

_DELIVERY = (
    _modifier(
        "cut_after_bytes",
        "closes the connection after `bytes` bytes of the body",
        Turn.cut_after_bytes,
        "bytes",
    ),
    _modifier("cut_after_events", "closes the connection after `events` SSE events", Turn.cut_after_events, "events"),
    _modifier(
        "clean_end_after_events",
        "completes the HTTP response after `events` SSE events, without a terminal event",
        Turn.clean_end_after_events,
        "events",
    ),
    _modifier(
        "reset",
        "resets the TCP connection after `bytes` bytes of the body (default: before the response)",
        Turn.reset,
        "bytes",
    ),
    _modifier("delayed", "waits `seconds` seconds before it sends the response", Turn.delayed, "seconds"),
    _modifier(
        "stalled",
        "pauses for `seconds` seconds after `events` SSE events (default: until the client disconnects)",
        Turn.stalled,
        "events",
        "seconds",
    ),
    _modifier(
        "throttled",
        "sends the body in chunks of `bytes` bytes, with a pause of `seconds` seconds before each",
        Turn.throttled,
        "bytes",
        "seconds",
    ),
    _modifier("byte_by_byte", "sends the body one byte at a time", Turn.byte_by_byte),
    _modifier(
        "keepalives",
        "sends SSE comments and `keepalive` events for `seconds` seconds before the response's own events",
        Turn.keepalives,
        "seconds",
    ),
    _modifier(
        "compressed",
        "compresses the body; `encoding` is gzip (default), zstd or br",
        Turn.compressed,
        "encoding",
    ),
    _modifier(
        "content_type",
        "sets the header `Content-Type` to `type` (default text/html)",
        Turn.content_type,
        "type",
    ),
    _modifier(
        "header",
        "sets the header `name` to `value`",
        lambda turn, name="x-simulator", value="": turn.with_headers({name: value}),
        "name",
        "value",
    ),
    _modifier(
        "input_transformations",
        "reports in `input_transformations` that all reasoning items of the input were removed; `reason` is "
        "model_mismatch (default), prefix_mismatch, organization_mismatch, end_user_mismatch or turn_boundary",
        Turn.with_input_transformations,
        "reason",
    ),
    _modifier("huge_header", "adds a header with a value of `bytes` bytes", Turn.huge_header, "bytes"),
    _modifier(
        "huge_event",
        "inserts an SSE event of an unknown type with about `bytes` bytes before the terminal event",
        Turn.huge_event,
        "bytes",
    ),
    _modifier(
        "informational",
        "sends `times` informational responses with `status` (default 103) before the response",
        Turn.informational,
        "status",
        "times",
    ),
    _modifier(
        "repeated_last_event",
        "sends the terminal event `times` times (default 2)",
        Turn.repeated_last_event,
        "times",
    ),
    _modifier("data_after_end", "sends a text delta after the terminal event", Turn.data_after_end),
    _modifier(
        "garbage",
        "inserts bytes that are neither valid SSE events nor valid UTF-8 after `events` SSE events",
        Turn.garbage,
        "events",
    ),
    _modifier(
        "bytes_after_response",
        "sends invalid bytes on the connection after the end of the HTTP response",
        Turn.bytes_after_response,
    ),
    _fault("not_http", "sends bytes that are not an HTTP response", Turn.not_http),
    _fault("empty", "returns 200 with an empty body", lambda: Turn.raw(200, {"content-length": "0"})),
    _fault(
        "html",
        "returns 200 with an HTML page",
        lambda: Turn.raw(200, {"content-type": "text/html"}, b"<!doctype html><title>Hello</title>"),
    ),
)


_WEBSOCKET = (
    _fault(
        "previous_response_not_found",
        "returns 400 `previous_response_not_found`: the connection does not have the response to continue",
        lambda: Turn.api_error("previous_response_not_found", param="previous_response_id"),
        is_for_websockets=True,
    ),
    _socket_modifier(
        "close",
        "on a WebSocket, sends a close frame with `close_code` (default 1000) after `events` events (default 0); code "
        "1006 closes the connection without a close frame",
        Turn.close_after_events,
        "close_code",
        "events",
    ),
    _socket_modifier(
        "connection_limit",
        "on a WebSocket, sends `websocket_connection_limit_reached` after `events` events (default 0) and closes the "
        "connection",
        Turn.connection_limit,
        "events",
    ),
    _socket_modifier(
        "silent",
        "on a WebSocket, sends nothing after `events` events (default 0), not even a pong; the connection stays open",
        Turn.silent,
        "events",
    ),
    _socket_modifier(
        "fragmented",
        "on a WebSocket, divides each message into frames of at most `bytes` bytes",
        Turn.fragmented,
        "bytes",
    ),
    _socket_modifier(
        "binary_message",
        "on a WebSocket, inserts a binary message after `events` events",
        Turn.binary_message,
        "events",
    ),
    _socket_modifier(
        "pings",
        "on a WebSocket, sends `times` pings (default 1000) after `events` events",
        Turn.pings,
        "times",
        "events",
    ),
    _socket_modifier(
        "error_without_status",
        "on a WebSocket, inserts an `error` event without a status after `events` events",
        Turn.error_without_status,
        "events",
    ),
)


def _rejected_refresh(code: str) -> Fault:
    return _token_fault(
        code,
        f"rejects the token refresh with the error code `{code}`; the body has the `shape` object (default) "
        '`{"error": {"code": ...}}`, text `{"error": ...}` or code `{"code": ...}`',
        lambda shape="object", status=401: account_faults.refresh_rejected(code, shape, status),
        "shape",
        "status",
    )


_ACCOUNT = (
    _rejected_refresh("refresh_token_expired"),
    _rejected_refresh("refresh_token_reused"),
    _rejected_refresh("refresh_token_invalidated"),
    _rejected_refresh("refresh_refused"),
    _token_fault(
        "invalid_grant",
        "rejects the token refresh with `status` (default 400) and the error `invalid_grant` of RFC 6749",
        account_faults.invalid_grant,
        "status",
    ),
    _token_fault(
        "token_status",
        "returns `status` (default 503) for the token refresh",
        lambda status=503: _status_turn(status),
        "status",
    ),
    _token_fault(
        "token_without",
        "removes `member` (default id_token) from the response to the token refresh",
        account_faults.refresh_without,
        "member",
    ),
    _token_fault(
        "token_other_account",
        "returns the tokens of another account for the token refresh",
        account_faults.refresh_for_another_account,
    ),
    _workspace_fault(
        "workspace_map",
        "returns the workspaces as an object with their ids as keys",
        account_faults.workspace_map,
    ),
    _workspace_fault("workspace_missing", "returns no workspaces", account_faults.missing_workspace),
    _workspace_fault(
        "workspace_duplicate",
        "returns two entries for the workspace, with different routing overrides",
        account_faults.duplicated_workspace,
    ),
    _workspace_fault(
        "workspace_origin",
        "sets the backend origin of the workspace to `url` (default null)",
        account_faults.workspace_origin,
        "url",
    ),
    _workspace_fault(
        "workspace_override",
        "sets the routing override of the workspace to `value` (default: an unknown value)",
        account_faults.workspace_override,
        "value",
    ),
)


def _handshake(failure: str = "closed") -> HandshakeFailure:
    if failure not in HANDSHAKE_FAILURES:
        raise ValueError(f"Unknown handshake failure: {failure!r}. Use one of: {', '.join(HANDSHAKE_FAILURES)}.")
    return failure


_TLS = _fault(
    "tls_failure",
    "responds to a TLS handshake on the simulator's port with plain HTTP (plain), a fatal alert (alert), a closed "
    "connection (closed, the default), a reset connection (reset) or no data (silent)",
    _handshake,
    "failure",
    route="handshake",
)

FAULTS: Final = {
    fault.name: fault
    for fault in (*_LIMITS, *_STATUSES, *_INVALID_REQUESTS, *_TERMINAL_EVENTS, *_DELIVERY, *_WEBSOCKET, *_ACCOUNT, _TLS)
}
