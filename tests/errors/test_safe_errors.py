"""Test that no exception shows or pickles a token, a cookie or a prompt, even if the server repeats the request."""

from __future__ import annotations

import copy
import json
import logging
import multiprocessing
import pickle
import traceback
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from openai.types.responses import Response
from support.calls import CALLS, create
from support.raw_server import event_stream, http_reply, raw_server
from support.worker_calls import call_backend

import codex_backend_sdk as sdk
from codex_backend_sdk import _exceptions
from codex_backend_sdk._errors.classify import _RULES, classify
from codex_backend_sdk._redaction import redact
from codex_backend_sdk._safe_errors import _OFFICIAL_CLASSES
from codex_backend_sdk.auth import Secret
from codex_backend_sdk.testing import Simulator
from codex_backend_sdk.types import Login

if TYPE_CHECKING:
    from collections.abc import Callable

# None of them has the shape of a known token, so only the request identifies them.
TOKEN = "opaque-fake-credential-of-this-login"
GATEWAY_KEY = "fake+gateway/secret=="
COOKIE = "fake-session-cookie"
OTHER_JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJmYWtlIn0.c2lnbmF0dXJl"
SECRETS = (TOKEN, GATEWAY_KEY, COOKIE, OTHER_JWT, "\x1b", "\x9b", "\u202e")
ECHO = f"Bearer {TOKEN} {GATEWAY_KEY} {COOKIE} {OTHER_JWT}"
ESCAPES = "\x1b[31m\x1b]0;title\x07\x9b2J\u202e"
HEADERS = {"x-gateway-key": GATEWAY_KEY, "Cookie": f"a=b; session={COOKIE}"}


def json_reply(body: Any, status: str = "400 Bad Request") -> bytes:
    return http_reply(json.dumps(body).encode(), status=status)


def html_reply(title: str, **headers: str) -> bytes:
    body = f"<!DOCTYPE html><html><title>{title}</title></html>".encode()
    return http_reply(body, status="503 Busy", content_type="text/html", **headers)


CREATED = {"type": "response.created", "response": {"id": "resp_1", "object": "response", "output": []}}
CHUNKED = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
REPLIES = {
    "text": http_reply((ECHO + ESCAPES).encode(), status="400 Bad Request", content_type="text/plain"),
    "JSON message": json_reply({"error": {"message": ECHO + ESCAPES}}),
    "JSON code": json_reply({"error": {"code": ECHO, "type": ECHO, "param": ECHO + ESCAPES}}),
    "JSON detail": json_reply({"detail": ECHO + ESCAPES}),
    "JSON detail list": json_reply({"detail": [{"msg": ECHO, "input": "my prompt", "headers": [ECHO + ESCAPES]}]}),
    "token in pieces": json_reply({"detail": f"{TOKEN[:18]} {TOKEN[9:]} x{GATEWAY_KEY}x {TOKEN[:9]}\x00{TOKEN[9:]}"}),
    "HTML title": html_reply(ECHO + ESCAPES),
    "successful HTML": http_reply(f"<html><title>{ECHO}</title>".encode(), content_type="text/html"),
    "successful JSON": http_reply(json.dumps({"message": ECHO + ESCAPES}).encode()),
    "response.failed": event_stream(
        CREATED, {"type": "response.failed", "response": {"error": {"code": ECHO, "message": ECHO + ESCAPES}}}
    ),
    "error event": event_stream({"type": "error", "message": ECHO + ESCAPES, "code": ECHO}),
    "model not found": json_reply({"error": {"code": "model_not_found", "message": ECHO}}, "404 Not Found"),
    "usage limit": http_reply(
        json.dumps({"error": {"type": "usage_limit_reached", "plan_type": ECHO + ESCAPES}}).encode(),
        status="429 Too Many",
        x_codex_promo_message=ECHO,
    ),
    "cf-ray": html_reply("", cf_ray=ECHO),
    "Cloudflare block": http_reply(status="403 Forbidden", cf_mitigated="challenge", cf_ray=ECHO),
    "request id": http_reply(status="500 Error", x_request_id=ECHO),
    "status line": f"HTTP/1.1 {ECHO}\r\n\r\n".encode(),
    "reason": http_reply(status=f"400 {ECHO}"),
    "content type": http_reply(b"x", content_type=ECHO),
    "content encoding": http_reply(b"x", content_type="text/event-stream", content_encoding="zstd"),
    "header": f"HTTP/1.1 200 OK\r\n{ECHO}\r\n\r\n".encode(),
    "chunk": f"{CHUNKED}{ECHO}\r\n".encode(),
    "redirect path": http_reply(status="307 Temporary", location=f"https://evil.test/{TOKEN}/{OTHER_JWT}?{COOKIE}"),
    "redirect user": http_reply(status="302 Found", location=f"https://{COOKIE}:{TOKEN}@evil.test/x"),
}


class FixedLogin:
    """A credential source with an opaque token."""

    def __init__(self, plan: str = "plus") -> None:
        self.plan = plan

    def ready(self) -> Login:
        return Login(access_token=Secret(TOKEN), account_id="acc-1", plan=self.plan)

    current = ready

    def refresh(self, rejected: Login) -> Login:
        return self.ready()


@pytest.fixture(params=REPLIES)
def echo_url(request: pytest.FixtureRequest) -> Any:
    reply = REPLIES[request.param]

    def respond(head: str, body: bytes) -> bytes:
        assert TOKEN in head
        assert COOKIE in head
        return reply

    with raw_server(respond) as origin:
        yield f"{origin}/backend-api/codex"


def error_of(client: Any, call: Callable[..., str] = create) -> Any:
    with pytest.raises(openai.OpenAIError) as caught:
        call(client)
    return caught.value


@pytest.mark.parametrize("call", CALLS)
def test_repeated_secrets_are_redacted(
    echo_url: str, call: Any, new_client: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    client = new_client(base_url=echo_url, credentials=FixedLogin(), default_headers=HEADERS, max_retries=1)
    with caplog.at_level(logging.DEBUG, "codex_backend_sdk"):
        error = error_of(client, call)
    texts = {name: value for name, value in vars(error).items() if name not in ("body", "request", "response")}
    log = [record.getMessage() for record in caplog.records if record.name.startswith("codex_backend_sdk")]
    shown = "\n".join(
        [str(error), repr(error), repr(error.args), repr(texts), *traceback.format_exception(error), *log]
    )
    for secret in (*SECRETS, TOKEN[:16], TOKEN[-16:], "my prompt"):
        assert secret not in shown
    pickled = pickle.dumps([error, *_causes(error)])
    for secret in SECRETS[:4]:
        assert secret.encode() not in pickled
    assert b"Say hello" not in pickled, "the prompt"


def _causes(error: BaseException) -> list[BaseException]:
    # Dask pickles causes and contexts. pickle stores the document of a JSON error, which is not ours; the transport's
    # exceptions hold the request.
    return [cause for cause in (error.__cause__, error.__context__) if isinstance(cause, httpx2.HTTPError)]


def test_routing_log_and_explanation_are_redacted(
    new_client: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    model = {"slug": f"evil{ESCAPES}{OTHER_JWT}", "visibility": "list", "supported_reasoning_levels": []}
    entry = {"id": "acc-1", "account_routing_override": None, "workspace_backend_origin": f"https://{TOKEN}.evil.test"}

    def respond(head: str, body: bytes) -> bytes:
        path = head.split(" ", 2)[1]
        if "accounts/check" in path:
            return json_reply({"accounts": [entry], "default_account_id": "acc-1"}, "200 OK")
        return json_reply({"models": [model]}, "200 OK") if "/models" in path else json_reply({"detail": "no"})

    with raw_server(respond) as origin, caplog.at_level(logging.DEBUG, "codex_backend_sdk"):
        client = new_client(base_url=f"{origin}/backend-api/codex", credentials=FixedLogin("team"))
        client.models.list()
        error_of(client)
        explanation = client.codex.explain(input="hi")
    assert "The routing lookup for this workspace" in caplog.text
    shown = "\n".join([caplog.text, str(explanation), repr(explanation.findings)])
    for secret in SECRETS:
        assert secret not in shown


def test_own_messages_are_not_redacted() -> None:
    secrets = ("sk-fake-0123456789abcdef", TOKEN)
    messages = [rule.explanation for rule in _RULES if rule.explanation]
    for status in (301, 400, 404, 429, 500, None):
        messages.append(classify(status, None, {"location": "https://x.test/a"}, now=datetime.now(UTC)).message)
    for message in messages:
        assert redact(message, secrets) == message


# Pickled errors

FAULTS = (
    "usage_limit:plus,60",
    "rate_limited:3",
    "overloaded",
    "status:409",
    "status:418",
    "status:422",
    "status:500",
    "bad_request:No.",
    "html",
    "cloudflare",
    "model_not_found",
    "failed:server_error",
    "cut_after_events:8",
    "reset",
    "unauthorized:token_expired",
)
PROMPT = "my fake prompt"
PUBLIC = (
    "message", "code", "param", "type", "status_code", "request_id", "cf_ray", "is_retryable", "retry_after",
    "plan", "resets_at", "window_length", "limit_name", "reached_type", "limits", "available", "events_seen",
)  # fmt: skip


def assert_equal(copied: Any, error: Any) -> None:
    assert type(copied) is type(error)
    assert (str(copied), repr(copied), copied.args) == (str(error), repr(error), error.args)
    for name in PUBLIC:
        assert getattr(copied, name, None) == getattr(error, name, None), name


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stream", [False, True])
def test_error_survives_pickle_without_secrets(fault: str, stream: bool, sim: Simulator, client: Any) -> None:
    sim.fail(fault, times=None)
    call = {"input": PROMPT, "instructions": "be fake", "stream": stream, "extra_headers": {"Cookie": f"a={COOKIE}"}}
    with pytest.raises(openai.APIError) as caught:
        list(client.responses.create(**call))
    error: Any = caught.value
    token = error.request.headers["authorization"].removeprefix("Bearer ")
    data = pickle.dumps(ExceptionGroup("several", [error]))
    for secret in (token, COOKIE, PROMPT, "be fake", "authorization", "set-cookie"):
        assert secret.encode() not in data
    copied = pickle.loads(data).exceptions[0]
    for other in (copied, copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(copied))):
        assert_equal(other, error)
        assert isinstance(other, type(error).__mro__[1])
        assert str(other.request.url) == str(error.request.url)
        assert not other.request.headers
        if hasattr(error, "response"):
            assert other.response.status_code == error.response.status_code
            assert other.response.headers["content-type"] == error.response.headers["content-type"]
        if getattr(error, "partial", None) is not None:
            assert other.partial.output_text == error.partial.output_text
    assert error.request.content, "the original is unchanged"


def test_unreachable_backend_survives_pickle(new_client: Any) -> None:
    client = new_client(base_url="http://127.0.0.1:1/backend-api/codex", default_query={"key": GATEWAY_KEY})
    error = error_of(client)
    data = pickle.dumps([error, error.__cause__])
    assert GATEWAY_KEY.encode() not in data
    assert b"Say hello" not in data
    assert_equal(pickle.loads(data)[0], error)


def test_timeouts_survive_pickle(new_client: Any, sim: Simulator) -> None:
    sim.fail("delayed:20", times=None)
    for option in ("total_timeout", "first_byte_timeout"):
        error = error_of(new_client(**{option: 0.3}))
        assert isinstance(error, openai.APITimeoutError)
        assert_equal(pickle.loads(pickle.dumps(error)), error)


REQUEST = httpx2.Request("POST", "https://user:pw@x.test/a?key=1", headers={"Authorization": f"Bearer {TOKEN}"})
RESPONSE = httpx2.Response(
    418,
    request=REQUEST,
    headers=[("set-cookie", COOKIE), ("x-echo", TOKEN), ("content-encoding", "gzip"), ("x-a", "b")],
    content=b"",
)


def make_error(error_class: Any) -> Any:
    """Construct an exception with the arguments that its class requires."""
    if issubclass(error_class, openai.APITimeoutError) and not issubclass(error_class, sdk.CodexError):
        return error_class(REQUEST)
    candidates: list[Any] = [
        lambda: error_class("text", response=RESPONSE, body={"code": "c", "input": PROMPT}),
        lambda: error_class(response=RESPONSE, body=None),
        lambda: error_class("text", request=REQUEST, body=None),
        lambda: error_class(message="text", request=REQUEST),
        lambda: error_class("text", parameters=["a"]),
        lambda: error_class("text", resource="files"),
        lambda: error_class("text", indexes=[1]),
        lambda: error_class("text", param="messages[1]"),
        lambda: error_class("text", pid=7),
        lambda: error_class("text", reason="stopped"),
        lambda: error_class("text", code="access_denied"),
        lambda: error_class("text", response_object=Response.model_construct(id="resp_1", instructions=PROMPT)),
        lambda: error_class("text"),
    ]
    for candidate in candidates:
        try:
            return candidate()
        except TypeError:
            continue
    raise AssertionError(error_class)


@pytest.mark.parametrize("name", [*_exceptions.__all__, *(each.__name__ for each in _OFFICIAL_CLASSES)])
def test_every_class_can_be_pickled(name: str) -> None:
    from codex_backend_sdk import _safe_errors

    error_class = getattr(_exceptions, name, None) or getattr(_safe_errors, name)
    error = make_error(error_class)
    error.add_note("a note")
    data = pickle.dumps(error)
    for secret in (TOKEN, COOKIE, PROMPT, "user:pw", "key=1"):
        assert secret.encode() not in data
    copied = pickle.loads(data)
    assert_equal(copied, error)
    assert copied.__notes__ == ["a note"]
    for attribute in ("parameters", "resource"):
        assert getattr(copied, attribute, None) == getattr(error, attribute, None)
    if isinstance(error, openai.APIError):
        assert str(copied.request.url) == "https://x.test/a"


@pytest.mark.timeout(120)
def test_pools_return_the_error(sim: Simulator) -> None:
    sim.fail("usage_limit:plus,60", times=None)
    spawned = multiprocessing.get_context("spawn")
    call = partial(call_backend, sim.login_document(), base_url=sim.base_url, issuer=sim.issuer)
    with ProcessPoolExecutor(1, mp_context=spawned) as executor:
        errors = [executor.submit(call).exception(timeout=60)]
    with spawned.Pool(1) as pool:
        try:
            pool.apply_async(call).get(timeout=60)
        except sdk.UsageLimitError as error:
            errors.append(error)
    for error in errors:
        assert isinstance(error, sdk.UsageLimitError)
        assert error.resets_at is not None
        assert error.plan == "plus"
    assert len(errors) == 2
