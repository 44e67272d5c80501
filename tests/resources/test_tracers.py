"""Test what programs that trace openai's methods see. They replace `Responses.create` or `client.request`."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.resources.responses import AsyncResponses, Responses

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
PROMPT = [{"role": "user", "content": "Say hello"}]
SENT_PROMPT = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Say hello"}]}]


class Proxy:
    """A transparent proxy of a method, as wrapt makes it."""

    def __init__(self, method: Any, record: Callable[[dict[str, Any]], None]) -> None:
        self._method = method
        self._record = record

    def __get__(self, owner: Any, owner_class: type | None = None) -> Proxy:
        return Proxy(self._method.__get__(owner, owner_class), self._record)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._method, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._record(kwargs)
        return self._method(*args, **kwargs)


def wrapped(method: Any, record: Callable[[dict[str, Any]], None]) -> Any:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        record(kwargs)
        return method(self, *args, **kwargs)

    return call


@pytest.mark.parametrize("replacement", [Proxy, wrapped])
@pytest.mark.parametrize("method", ["create", "parse"])
def test_tracer_of_a_method_sees_all_arguments(
    new_client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, replacement: Any, method: str
) -> None:
    calls: list[dict[str, Any]] = []
    for resource in (Responses, AsyncResponses):
        monkeypatch.setattr(resource, method, replacement(vars(resource)[method], calls.append))
    arguments = {"input": PROMPT, "tools": [TOOL], "model": "gpt-5.5", "instructions": "Be brief.", "store": False}
    assert getattr(new_client().responses, method)(**arguments).status == "completed"
    assert calls == [arguments]


@pytest.mark.parametrize("method", ["create", "parse", "compact"])
@pytest.mark.parametrize(("model", "recorded"), [({}, "gpt-5.5"), ({"model": None}, "gpt-5.5"), ({"model": "x"}, "x")])
def test_tracer_of_a_method_sees_the_default_model(
    new_client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, method: str, model: dict[str, Any], recorded: str
) -> None:
    calls: list[dict[str, Any]] = []
    for resource in (Responses, AsyncResponses):
        monkeypatch.setattr(resource, method, Proxy(vars(resource)[method], calls.append))
    client = new_client(model="gpt-5.5")
    with contextlib.suppress(openai.APIStatusError):  # the model "x" does not exist
        getattr(client.responses, method)(input=PROMPT, **model)
    assert [call["model"] for call in calls] == [recorded]


def test_traced_conversation_uses_the_websocket(
    new_client: Callable[..., Any], sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    for resource in (Responses, AsyncResponses):
        monkeypatch.setattr(resource, "create", wrapped(vars(resource)["create"], calls.append))
    conversation = new_client().codex.conversation()
    conversation.send("Say hello")
    conversation.send("Say bye")
    assert [call["input"][-1]["content"][0]["text"] for call in calls] == ["Say hello", "Say bye"]
    assert [len(frame.json()["input"]) for frame in sim.websocket_frames] == [1, 1]


def test_untraced_method_gets_no_input(new_client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a tracer, `input` bypasses openai's slow transform."""
    bodies: list[Any] = []
    for client_class in (openai.OpenAI, openai.AsyncOpenAI):
        post = client_class.post
        monkeypatch.setattr(client_class, "post", record_body(post, bodies))
    new_client().responses.create(input=PROMPT)
    assert bodies[0]["input"] is PROMPT


def record_body(post: Any, bodies: list[Any]) -> Any:
    def call(self: Any, *args: Any, body: Any, **kwargs: Any) -> Any:
        bodies.append(body)
        return post(self, *args, body=body, **kwargs)

    return call


def trace(request: Any, seen: list[Any]) -> Any:
    """Replace a `request` method by one that records the body and, of a stream, the events."""

    def call(*args: Any, stream: bool = False, stream_cls: Any = None, **kwargs: Any) -> Any:
        options = kwargs["options"] if "options" in kwargs else args[-1]
        seen.append(options.json_data)
        if stream:
            stream_cls = traced_stream_class(stream_cls, seen)
        return request(*args, stream=stream, stream_cls=stream_cls, **kwargs)

    return call


def traced_stream_class(stream_cls: Any, seen: list[Any]) -> Any:
    if issubclass(getattr(stream_cls, "__origin__", stream_cls), openai.AsyncStream):

        class TracedAsyncStream(stream_cls):  # type: ignore[misc]
            async def __stream__(self) -> Any:
                async for event in super().__stream__():
                    seen.append(event.type)
                    yield event

        return TracedAsyncStream

    class TracedStream(stream_cls):  # type: ignore[misc]
        def __stream__(self) -> Any:
            for event in super().__stream__():
                seen.append(event.type)
                yield event

    return TracedStream


def make_traced_client(new_client: Callable[..., Any], level: str, seen: list[Any], patch: pytest.MonkeyPatch) -> Any:
    if level == "class":
        for client_class in (openai.OpenAI, openai.AsyncOpenAI):
            patch.setattr(client_class, "request", trace(client_class.request, seen))
        return new_client()
    client = new_client()
    target = getattr(client, "_target", client)  # of the adapter around an async client
    target.request = trace(target.request, seen)
    return client


@pytest.mark.parametrize("level", ["class", "instance"])
def test_tracer_of_requests_sees_the_body(
    new_client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    seen: list[Any] = []
    client = make_traced_client(new_client, level, seen, monkeypatch)
    client.responses.create(input=PROMPT, tools=[TOOL], instructions="Be brief.")
    (body,) = seen
    assert body["input"] == (SENT_PROMPT if level == "class" else PROMPT)
    assert (body["model"], body["tools"], body["instructions"]) == (
        client.responses.create(input="x").model,
        [TOOL],
        "Be brief.",
    )


@pytest.mark.parametrize("level", ["class", "instance"])
def test_tracer_of_requests_sees_the_events(
    new_client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    seen: list[Any] = []
    client = make_traced_client(new_client, level, seen, monkeypatch)
    stream = client.responses.create(input=PROMPT, stream=True)
    events = [event.type for event in stream]
    assert seen[0]["input"] == (SENT_PROMPT if level == "class" else PROMPT)
    assert seen[1:] == events
    assert events[-1] == "response.completed"
    assert stream.restarts == 0


CHAT = [{"role": "user", "content": "Say hello"}]
CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The options of each request that a tracer of the official classes sees."""
    seen: list[Any] = []

    def record(request: Any) -> Any:
        @functools.wraps(request)
        def call(self: Any, cast_to: Any, options: Any, **kwargs: Any) -> Any:
            seen.append(options)
            return request(self, cast_to, options, **kwargs)

        return call

    for client_class in (openai.OpenAI, openai.AsyncOpenAI):
        monkeypatch.setattr(client_class, "request", record(client_class.request))
    return seen


@pytest.mark.parametrize("stream", [False, True])
def test_tracer_of_requests_sees_the_official_chat(
    new_client: Callable[..., Any], sim: Simulator, requests: list[Any], stream: bool
) -> None:
    chat = new_client(model="gpt-5.5").chat.completions
    result = chat.create(model="gpt-5.5", messages=CHAT, tools=[CHAT_TOOL], tool_choice="none", stream=stream)
    assert result if not stream else list(result)
    (options,) = requests
    assert (options.method, options.url) == ("post", "/chat/completions")
    body = {name: options.json_data[name] for name in ("model", "messages", "tools")}
    assert body == {"model": "gpt-5.5", "messages": CHAT, "tools": [CHAT_TOOL]}
    assert [request.path for request in sim.requests] == ["/backend-api/codex/responses"]


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["overloaded", "unauthorized:token_expired", "cut_after_bytes:0"])
def test_retried_call_is_one_traced_request(
    new_client: Callable[..., Any], sim: Simulator, requests: list[Any], api: str, stream: bool, fault: str
) -> None:
    sim.fail(fault)
    client = new_client(max_retries=2)
    if api == "chat":
        result = client.chat.completions.create(model="gpt-5.5", messages=CHAT, stream=stream)
    else:
        result = client.responses.create(model="gpt-5.5", input=PROMPT, stream=stream)
    assert list(result) if stream else result.usage
    assert len(requests) == 1
    assert len([request for request in sim.requests if request.path.endswith("/responses")]) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_traced_request_raises_the_last_error(
    new_client: Callable[..., Any], sim: Simulator, requests: list[Any], stream: bool
) -> None:
    for _ in range(3):
        sim.fail("overloaded")
    with pytest.raises(openai.InternalServerError) as raised:
        new_client(max_retries=2).responses.create(model="gpt-5.5", input=PROMPT, stream=stream)
    assert type(raised.value).__module__.startswith("codex_backend_sdk")
    assert len(requests) == 1
    assert len(sim.requests) == 3


def test_traced_request_sends_what_the_tracer_added(
    new_client: Callable[..., Any], sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client_class in (openai.OpenAI, openai.AsyncOpenAI):
        monkeypatch.setattr(client_class, "request", with_header(client_class.request))
    assert new_client().responses.with_raw_response.create(input=PROMPT).parse().output_text == "hello"
    assert sim.requests[-1].headers["traceparent"] == "00-trace"


def with_header(request: Any) -> Any:
    def call(self: Any, cast_to: Any, options: Any, **kwargs: Any) -> Any:
        options.headers = {**options.headers, "traceparent": "00-trace"}
        return request(self, cast_to, options, **kwargs)

    return call
