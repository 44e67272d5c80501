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
