"""The faults by name: one row each, in the order in which `codex-backend simulate --list-faults` shows them.

A row says what happens, where (`place`), what may follow the name (`takes`), and makes the turn: of nothing, or (`of`)
of the turn before it, which at first is what the simulator answers by itself. How names are written is in
`fault_names`. Codes: Codex CLI, codex-api/src/api_bridge.rs, codex-api/src/sse/responses_error.rs and
login/src/auth/manager.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ..http.asgi_server import HANDSHAKE_FAILURES
from ..replies.sentences import POLICY_CODES, QUOTA_CODES, UNSUPPORTED_CODES
from ..turns import Turn
from . import token_faults, workspace_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..http.asgi_server import HandshakeFailure

__all__ = ["FAULTS", "PLACES", "Argument", "Fault"]

# Where a fault can be put, by name; any path will do as well.
PLACES = {
    "responses": "/backend-api/codex/responses",
    "models": "/backend-api/codex/models",
    "usage": "/backend-api/wham/usage",
    "reset_credits": "/backend-api/wham/rate-limit-reset-credits",
    "consume": "/backend-api/wham/rate-limit-reset-credits/consume",
    "accounts": "/backend-api/wham/accounts/check",
    "token": "/oauth/token",
    "revoke": "/oauth/revoke",
    "handshake": "handshake",  # before any request
}


@dataclass(frozen=True, slots=True)
class Argument:
    """What may follow a name, after a colon or a comma."""

    name: str
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that can go wrong."""

    name: str
    says: str
    takes: tuple[Argument, ...]
    make: Callable[..., Any]
    place: str
    changes: bool

    @property
    def usage(self) -> str:
        """The name with what may follow it."""
        names = [argument.name for argument in self.takes]
        return self.name + (f"[:{','.join(names)}]" if names else "")


_WEEK = timedelta(days=7)


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=float(text))


_CODE = Argument("code", str)
_TEXT = Argument("text", str)
_STATUS = Argument("status", int)
_BYTES = Argument("bytes", int)
_EVENTS = Argument("events", int)
_WAIT = Argument("seconds", float)
_TIMES = Argument("times", int)
_PLAN = Argument("plan", str)
_RESETS_IN = Argument("seconds", _seconds)
_RETRY_AFTER = Argument("retry_after", str)
_PARAM = Argument("param", str)


def _new(name: str, says: str, make: Callable[..., Any], *takes: Argument, place: str = "responses") -> Fault:
    return Fault(name=name, says=says, takes=takes, make=make, place=place, changes=False)


def _of(name: str, says: str, change: Callable[..., Turn], *takes: Argument) -> Fault:
    return Fault(name=name, says=says, takes=takes, make=change, place="responses", changes=True)


def _invalid(code: str, status: int = 400, says: str = "") -> Fault:
    return _new(code, says or f"{status} with this code", lambda s=status: Turn.invalid(code, status=s), _STATUS)


def _refused(name: str, text: str) -> Fault:
    return _new(name, f'400 `{{"detail": "{text}"}}`', lambda: Turn.refused(text))


def _status(status: int = 500) -> Turn:
    known = {each.value: each.phrase for each in HTTPStatus}
    return Turn.refused(known.get(status, "A status that nobody knows"), status)


def _token_status(status: int = 503) -> Turn:
    return _status(status)


def _failed(code: str = "server_error", text: str = "") -> Turn:
    return Turn.failed(code, text=text)


def _incomplete(reason: str = "max_output_tokens", text: str = "") -> Turn:
    return Turn.incomplete(reason, text=text)


def _error_event(code: str = "server_error", text: str = "") -> Turn:
    return Turn.error_event(code, text=text)


def _html() -> Turn:
    return Turn.raw(200, {"content-type": "text/html"}, b"<!doctype html><title>Hello</title>")


def _failed_with(text: str = "11.054s") -> Turn:
    return Turn.failed("rate_limit_exceeded", f"Rate limit reached. Please try again in {text}. Visit the usage page.")


def _failed_param(param: str = "model") -> Turn:
    return Turn.failed("invalid_value", f"Unsupported value of {param}.", error={"param": param})


def _failed_headers(retry_after: str = "3") -> Turn:
    return Turn.failed("slow_down", error={"headers": {"Retry-After": retry_after}})


def _unsupported_parameter(name: str = "temperature") -> Turn:
    return Turn.refused(f"Unsupported parameter: {name}")


def _unsupported_tool(name: str = "apply_patch") -> Turn:
    return Turn.refused(f"Unsupported tool type: {name}")


def _unsupported_tier(tier: str = "auto") -> Turn:
    return Turn.refused(f"Unsupported service_tier: {tier}")


def _unsupported_model(model: str = "gpt-x") -> Turn:
    return Turn.refused(f"The '{model}' model is not supported when using Codex with a ChatGPT account.")


def _unsupported_effort(effort: str = "xhigh") -> Turn:
    text = f"Unsupported value: '{effort}' is not supported with this model."
    return Turn.invalid("unsupported_value", text, param="reasoning.effort")


def _unknown_parameter(param: str = "input[1].reasoning_content") -> Turn:
    return Turn.invalid("unknown_parameter", f"Unknown parameter: '{param}'.", param=param)


def _open_schema() -> Turn:
    text = "Invalid schema for function 'f': 'additionalProperties' is required to be supplied and to be false."
    return Turn.invalid("invalid_function_parameters", text, param="tools[0].parameters")


def _handshake(how: str = "closed") -> HandshakeFailure:
    if how not in HANDSHAKE_FAILURES:
        raise ValueError(f"no such handshake: {how}; there are {', '.join(HANDSHAKE_FAILURES)}")
    return how


def _week(plan: str | None = None, resets_in: timedelta = _WEEK) -> Turn:
    return Turn.usage_limit(plan, resets_in, window=_WEEK)


def _workspace(reached: str = "workspace_owner_credits_depleted") -> Turn:
    return Turn.usage_limit("team", reached=reached)


_LIMITS = (
    _new("usage_limit", "429: the plan is used up", Turn.usage_limit, _PLAN, _RESETS_IN),
    _new("usage_limit_week", "the same, for the week", _week, _PLAN, _RESETS_IN),
    _new("usage_limit_no_reset", "the same, without a time", lambda plan=None: Turn.usage_limit(plan, None), _PLAN),
    _new("usage_limit_workspace", "429: what the workspace ran out of", _workspace, Argument("reached", str)),
    _new(
        "usage_limit_model",
        "429: the limit of one model's own",
        lambda name="GPT-5.5-Codex-Spark": Turn.usage_limit(limit_name=name),
        Argument("name", str),
    ),
    _new(
        "usage_limit_promo",
        "429: the plan is used up, with an offer",
        lambda text="Get more with an add-on": Turn.usage_limit(promo=text),
        _TEXT,
    ),
    _new("usage_not_included", "429: the plan has no Codex", Turn.usage_not_included),
    _new("rate_limited", "429: too many requests, with Retry-After if it is given", Turn.rate_limited, _RETRY_AFTER),
    *(_invalid(code, 429, "429: no money left") for code in QUOTA_CODES),
    _invalid("flex_unavailable", 429, "429: no capacity for the flex tier"),
)

_STATUSES = (
    _new("overloaded", "503: the model is at capacity", Turn.overloaded),
    _new("slow_down", "503: requests come too fast", Turn.slow_down, _RETRY_AFTER),
    _new("status", "any status, with `detail` (500)", _status, _STATUS),
    _new("bad_request", "400 `detail`", lambda text="Bad Request": Turn.refused(text), _TEXT),
    _invalid("context_length_exceeded"),
    _invalid("invalid_encrypted_content"),
    _invalid("invalid_image"),
    *(_invalid(code) for code in POLICY_CODES),
    *(_invalid(code, 404 if code == "model_not_found" else 400) for code in UNSUPPORTED_CODES),
    _new("unauthorized", "401; code: token_expired, token_invalidated, token_revoked", Turn.unauthorized, _CODE),
    _new("cloudflare", "403 with a page: challenge, blocked", Turn.cloudflare, Argument("kind", str)),
    _new("region_not_supported", "403: the country", Turn.region_not_supported),
    _new("upgrade_required", "426", lambda: _status(426)),
    _new("redirect", "307 to another host (localhost)", Turn.redirect, Argument("url", str)),
)

_REFUSALS = (
    _refused("store_not_false", "Store must be set to false"),
    _refused("stream_not_true", "Stream must be set to true"),
    _refused("instructions_required", "Instructions are required"),
    _refused("instructions_not_valid", "Instructions are not valid"),
    _refused("input_not_list", "Input must be a list"),
    _refused("system_message", "System messages are not allowed"),
    _refused(
        "lite_parallel_tool_calls",
        "X-OpenAI-Internal-Codex-Responses-Lite requires parallel_tool_calls to be false.",
    ),
    _refused("account_id_missing", "The header ChatGPT-Account-ID is required"),
    _new("unsupported_parameter", "400 `detail`", _unsupported_parameter, Argument("name", str)),
    _new("unsupported_tool_type", "400 `detail`", _unsupported_tool, Argument("type", str)),
    _new("unsupported_tier", "400 `detail`", _unsupported_tier, Argument("tier", str)),
    _new("unsupported_model_detail", "400 `detail`", _unsupported_model, Argument("model", str)),
    _new("unsupported_effort", "400 with `param`", _unsupported_effort, Argument("effort", str)),
    _new("unknown_parameter", "400 with `param`", _unknown_parameter, _PARAM),
    _new("schema_not_closed", "400: a function without additionalProperties", _open_schema),
)

_ENDINGS = (
    _new(
        "failed",
        "`response.failed` with any code, after the text",
        lambda code="server_error", text="": Turn.failed(code, text=text),
        _CODE,
        _TEXT,
    ),
    _new("failed_without_error", "`response.failed` that says nothing", lambda: Turn.failed(None)),
    _new("failed_param", "`response.failed` over a parameter", _failed_param, _PARAM),
    _new("failed_retry_after", "`response.failed` with a Retry-After of its own", _failed_headers, _RETRY_AFTER),
    _new("failed_try_again", "`response.failed`: try again in 11.054s", _failed_with, Argument("time", str)),
    _new(
        "incomplete",
        "`response.incomplete` with any reason, after the text",
        lambda reason="max_output_tokens", text="": Turn.incomplete(reason, text=text),
        Argument("reason", str),
        _TEXT,
    ),
    _new(
        "error_event",
        "an `error` event inside 200, after the text",
        lambda code="server_error", text="": Turn.error_event(code, text=text),
        _CODE,
        _TEXT,
    ),
)

_DELIVERIES = (
    _of("cut_after_bytes", "closed after so many bytes of the body", lambda t, n=200: t.cut_after_bytes(n), _BYTES),
    _of("cut_after_events", "closed after so many events", lambda t, n=4: t.cut_after_events(n), _EVENTS),
    _of("ended_after_events", "ended properly, after so many events", lambda t, n=4: t.ended_after_events(n), _EVENTS),
    _of("reset", "the connection is reset: at once, or after so many bytes", Turn.reset, _BYTES),
    _of("delayed", "nothing at all for so long", lambda t, s=1.0: t.delayed(s), _WAIT),
    _of("stalled", "so many events, then nothing for so long", Turn.stalled, _EVENTS, _WAIT),
    _of("throttled", "so many bytes at a time, each after so long", Turn.throttled, _BYTES, _WAIT),
    _of("byte_by_byte", "each byte on its own", Turn.byte_by_byte),
    _of("kept_alive", "comments and keepalives for so long", lambda t, s=1.0: t.kept_alive(s), _WAIT),
    _of("compressed", "gzip, zstd or br", Turn.compressed, Argument("encoding", str)),
    _of("content_type", "another content type", lambda t, m="text/html": t.content_type(m), Argument("type", str)),
    _of(
        "header",
        "a header of this name and value",
        lambda t, name="x-simulator", value="": t.with_headers({name: value}),
        Argument("name", str),
        Argument("value", str),
    ),
    _of("huge_header", "a header of so many bytes", Turn.huge_header, _BYTES),
    _of("huge_event", "an unknown event of so many bytes", Turn.huge_event, _BYTES),
    _of("informational", "answers below 200 before it", Turn.informational, _STATUS, _TIMES),
    _of("repeated_end", "the last event so many times", Turn.repeated_end, _TIMES),
    _of("data_after_end", "text behind the last event", Turn.data_after_end),
    _of("garbage", "no event and no UTF-8, after so many events", Turn.garbage, _EVENTS),
    _of("bytes_after_answer", "bytes behind the end of the answer", Turn.bytes_after_answer),
    _new("not_http", "bytes that are no HTTP", Turn.not_http),
    _new("empty", "an answer of status 200 without a body", lambda: Turn.raw(200, {"content-length": "0"})),
    _new(
        "html",
        "a page of HTML with status 200",
        _html,
    ),
)

_TOKENS = tuple(
    _new(
        code,
        "the renewal is refused for good; shape: object, text, code",
        lambda shape="object", status=401, code=code: token_faults.refresh_refused(code, shape, status),
        Argument("shape", str),
        _STATUS,
        place="token",
    )
    for code in ("refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated", "refresh_refused")
)
_MORE_TOKENS = (
    _new("invalid_grant", "400 as OAuth has it", token_faults.invalid_grant, _STATUS, place="token"),
    _new("token_status", "the renewal fails for now (503)", _token_status, _STATUS, place="token"),
    _new(
        "token_without",
        "a renewal without this member",
        token_faults.renewed_without,
        Argument("member", str),
        place="token",
    ),
    _new(
        "token_other_account", "a renewal for another account", token_faults.renewed_for_another_account, place="token"
    ),
)
_WORKSPACES = (
    _new("workspace_map", "the accounts as a map, the other form", workspace_faults.as_map, place="accounts"),
    _new("workspace_missing", "this account is not among the accounts", workspace_faults.missing, place="accounts"),
    _new(
        "workspace_duplicate",
        "this account is there twice, with two backends",
        workspace_faults.twice,
        place="accounts",
    ),
    _new(
        "workspace_origin",
        "its backend is at this address; without one, it has none",
        workspace_faults.at_origin,
        Argument("url", str),
        place="accounts",
    ),
    _new(
        "workspace_override",
        "a routing override that nobody knows",
        workspace_faults.with_override,
        Argument("word", str),
        place="accounts",
    ),
)
_HANDSHAKES = (
    _new(
        "tls_failure",
        "at https://: plain, alert, closed, reset, silent",
        _handshake,
        Argument("how", str),
        place="handshake",
    ),
)

FAULTS = {
    fault.name: fault
    for group in (_LIMITS, _STATUSES, _REFUSALS, _ENDINGS, _DELIVERIES, _TOKENS, _MORE_TOKENS, _WORKSPACES, _HANDSHAKES)
    for fault in group
}
