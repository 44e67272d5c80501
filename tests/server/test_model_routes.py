"""`/v1/responses` and `/v1/chat/completions`: both routes through the same tests, with the simulator behind."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from pydantic import TypeAdapter
from support.scripted_backend import wait_until

from codex_backend_sdk.testing import Turn

from .conftest import KEY
from .model_calls import CHAT, RESPONSES, ROUTES, Route, data_of, open_connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

CHANGES = "x-codex-backend-changes"

both_routes = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
both_modes = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture
def sent(bodies: Callable[[], list[dict[str, Any]]]) -> Callable[[], dict[str, Any]]:
    """The body of the last model request that the simulator has received."""
    return lambda: bodies()[-1]


def post(server: Any, route: Route, body: dict[str, Any], **options: Any) -> httpx2.Response:
    response: httpx2.Response = server.post(route.path, json=body, **options)
    return response


# Responses and streams


@both_routes
def test_response_has_text_and_usage(server: Any, sim: Simulator, route: Route) -> None:
    sim.script("Hello")
    body = post(server, route, route.body()).json()
    assert route.text(body) == "Hello"
    assert "dropped_parameters" not in body
    assert body["usage"]["total_tokens"] > 0


@both_routes
def test_stream_has_the_text(server: Any, sim: Simulator, route: Route) -> None:
    sim.script("Hello there, you")
    response = post(server, route, route.body(stream=True))
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert route.streamed_text(response) == "Hello there, you"


def test_responses_stream_is_that_of_the_backend(server: Any, sim: Simulator) -> None:
    sim.script(Turn.text("a b c", reasoning="Thinking"))
    events = data_of(post(server, RESPONSES, RESPONSES.body(stream=True)))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert not [event for event in events if event["type"].startswith("codex.") or event["type"] == "keepalive"]
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["reasoning", "message"]


@both_routes
def test_official_client_reads_the_stream(server: Any, sim: Simulator, route: Route) -> None:
    sim.script(Turn.calls([("add", {"a": 1}), ("add", {"a": 2})]))
    tools = [{"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}]
    with server.openai_client() as client:
        if route is RESPONSES:
            with client.responses.stream(model="gpt-5.5", input="hi", tools=tools) as stream:
                calls = [item for item in stream.get_final_response().output if item.type == "function_call"]
            assert [json.loads(call.arguments) for call in calls] == [{"a": 1}, {"a": 2}]
        else:
            messages: Any = [{"role": "user", "content": "hi"}]
            nested: Any = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
            with client.chat.completions.stream(model="gpt-5.5", messages=messages, tools=nested) as chat_stream:
                choice = chat_stream.get_final_completion().choices[0]
            assert [json.loads(call.function.arguments) for call in choice.message.tool_calls] == [{"a": 1}, {"a": 2}]
            assert choice.finish_reason == "tool_calls"


def test_chat_stream_is_valid_and_done(server: Any, sim: Simulator) -> None:
    sim.script("Hello there")
    response = post(server, CHAT, CHAT.body(stream=True))
    chunks = TypeAdapter(list[ChatCompletionChunk]).validate_python(data_of(response))
    assert [chunk.choices[0].delta.role for chunk in chunks if chunk.choices[0].delta.role] == ["assistant"]
    assert chunks[0].choices[0].delta.content == ""
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert response.text.endswith("data: [DONE]\n\n")
    assert "event:" not in response.text


@pytest.mark.parametrize(("options", "expected"), [({"include_usage": True}, 1), ({}, 0), (None, 0)])
def test_chat_usage_chunk_only_if_asked(server: Any, options: Any, expected: int) -> None:
    body = CHAT.body(stream=True, stream_options=options)
    chunks = data_of(post(server, CHAT, body))
    assert len([chunk for chunk in chunks if not chunk["choices"]]) == expected
    assert (chunks[-1].get("usage") is not None) == bool(expected)


@both_routes
@both_modes
def test_log_line_has_tokens_of_each_mode(server: Any, route: Route, stream: bool) -> None:
    post(server, route, route.body(stream=stream))
    wait_until(lambda: server.lines)
    assert re.search(r" 200 \S+ gpt-5\.5 .*[1-9]\d* in \(.*\) [1-9]\d* out$", server.lines[0])


def test_chat_stop_sequence_cuts_and_cancels(server: Any, sim: Simulator) -> None:
    sim.script(Turn.text("one two STOP three").stalled(9, 60))
    stops = ["STOP", *"ABDEFGHI"]
    response = post(server, CHAT, CHAT.body(stream=True, stop=stops))
    assert CHAT.streamed_text(response) == "one two "
    assert data_of(response)[-1]["choices"][0]["finish_reason"] == "stop"
    wait_until(lambda: open_connections(server.client) == 0)


def test_chat_accepts_the_body_of_a_response(server: Any, sim: Simulator, sent: Any) -> None:
    sim.script(Turn.call("add", {"a": 1}))
    tools = [{"type": "function", "name": "add", "parameters": {"type": "object"}}]
    body = {"model": "gpt-5.5", "input": "hi", "tools": tools, "instructions": "Add.", "max_output_tokens": 5}
    response = post(server, CHAT, body)
    assert response.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "add"
    assert "dropped max_output_tokens" in response.headers[CHANGES]
    assert sent()["input"][-1]["content"] == [{"type": "input_text", "text": "hi"}]


@pytest.mark.parametrize("prompt", ["hi", [{"role": "user", "content": "hi"}]])
def test_chat_streams_the_body_of_a_response(server: Any, sim: Simulator, prompt: Any) -> None:
    sim.script("Hello")
    response = post(server, CHAT, {"model": "gpt-5.5", "input": prompt, "stream": True})
    assert CHAT.streamed_text(response) == "Hello"


def test_responses_refuses_messages(server: Any) -> None:
    response = post(server, RESPONSES, CHAT.body())
    assert response.status_code == 400
    assert "/v1/chat/completions" in response.json()["error"]["message"]


# Parameters, models and efforts


@both_routes
@both_modes
def test_unsupported_parameters_are_dropped_and_named(server: Any, sent: Any, route: Route, stream: bool) -> None:
    body = route.body(stream=stream, temperature=0.3, user="u", store=True, unheard_of=1)
    response = post(server, route, body)
    assert response.status_code == 200
    expected = {"temperature", "user", "unheard_of"} | ({"store"} if route is RESPONSES else set())
    assert set(response.headers[CHANGES].split(", ")) == {f"dropped {name}" for name in expected}
    assert not {"temperature", "user", "unheard_of"} & sent().keys()
    assert "dropped_parameters" not in response.text


@both_routes
def test_unsupported_parameters_can_be_refused(serve: Any, route: Route) -> None:
    response = post(serve(unsupported="raise"), route, route.body(temperature=0.3))
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "temperature")
    member = '"reasoning": {"effort": "low"}' if route is RESPONSES else '"reasoning_effort": "low"'
    assert f"pass `{member}`. Remove it, or start `codex-backend serve` with `--unsupported drop`." in error["message"]


@both_routes
def test_effort_can_be_refused(serve: Any, route: Route) -> None:
    response = post(serve(unsupported="raise"), route, route.body(model="gpt-5.5-minimal"))
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "invalid_value")
    assert error["param"] == ("reasoning.effort" if route is RESPONSES else "reasoning_effort")
    assert "Use one of low, " in error["message"]


@pytest.mark.parametrize("name", ["previous_response_id", "conversation"])
@both_routes
@both_modes
def test_stored_state_is_refused(server: Any, bodies: Any, route: Route, stream: bool, name: str) -> None:
    response = post(server, route, route.body(stream=stream, **{name: "resp_1"}))
    assert response.status_code == 400
    assert name in response.json()["error"]["message"]
    assert bodies() == []


@pytest.mark.parametrize(("name", "value"), [("n", 2), ("logprobs", True), ("audio", {"voice": "x"})])
def test_chat_refuses_what_it_cannot_return(server: Any, name: str, value: Any) -> None:
    response = post(server, CHAT, CHAT.body(**{name: value}))
    assert (response.status_code, response.json()["error"]["param"]) == (400, name)


EFFORTS: list[tuple[dict[str, Any], str, str | None]] = [
    # members of the body, the effort that is sent, the change that is named
    ({"model": "gpt-5.5-high"}, "high", None),
    ({"model": "gpt-5.5-high", "reasoning_effort": "low"}, "low", None),
    ({"model": "gpt-5.5-minimal"}, "low", "minimal by low"),
    ({"reasoning_effort": "minimal"}, "low", "minimal by low"),
    ({"reasoningEffort": "high"}, "high", None),
    ({"reasoning": {"effort": "minimal", "summary": "auto"}}, "low", "minimal by low"),
    ({"reasoning_effort": "ultra"}, "xhigh", "ultra by xhigh"),
]


@both_routes
@pytest.mark.parametrize(("members", "effort", "change"), EFFORTS)
def test_effort_is_one_that_the_model_accepts(
    server: Any, sent: Any, route: Route, members: dict[str, Any], effort: str, change: str | None
) -> None:
    response = post(server, route, route.body(**members))
    assert (sent()["model"], sent()["reasoning"]["effort"]) == ("gpt-5.5", effort)
    name = "reasoning.effort" if route is RESPONSES else "reasoning_effort"
    assert response.headers.get(CHANGES) == (None if change is None else f"replaced {name} {change}")


@both_routes
@both_modes
def test_unknown_model_is_not_replaced(server: Any, sim: Simulator, route: Route, stream: bool) -> None:
    response = post(server, route, route.body(model="gpt-9-high", stream=stream))
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert "gpt-5.5" in response.json()["error"]["message"]


@both_routes
def test_session_header_is_the_cache_key(server: Any, sent: Any, route: Route) -> None:
    post(server, route, route.body(), headers={"x-session-id": "session-1"})
    assert sent()["prompt_cache_key"] == "session-1"
    post(server, route, route.body(prompt_cache_key="own"), headers={"x-session-id": "session-1"})
    assert sent()["prompt_cache_key"] == "own"
    post(server, route, route.body(promptCacheKey="alias"), headers={"x-session-id": "session-1"})
    assert sent()["prompt_cache_key"] == "alias"


@both_routes
def test_cache_key_is_derived_for_each_conversation(server: Any, sent: Any, route: Route) -> None:
    def key_of(prompt: str, **members: Any) -> str:
        post(server, route, route.body(prompt, **members))
        return str(sent()["prompt_cache_key"])

    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]
    assert key_of("one") == key_of("one") != key_of("two")
    assert key_of("one", tools=tools) != key_of("one")
    described = [{**tools[0], "description": "It is 12:00"}]
    assert key_of("one", tools=described) == key_of("one", tools=tools)  # the key routes; it does not compare prompts


# Errors


FAILURES = [
    (Turn.usage_limit(), 429, "usage_limit_reached"),
    (Turn.failed("usage_limit_reached"), 429, "usage_limit_reached"),
    (Turn.failed("context_length_exceeded"), 400, "context_length_exceeded"),
    (Turn.failed("server_is_overloaded"), 503, "server_is_overloaded"),
    (Turn.text("Hello").cut_after_events(4), 502, "stream_interrupted"),
]


@both_routes
@both_modes
@pytest.mark.parametrize(("turn", "status", "code"), FAILURES, ids=[row[2] + str(n) for n, row in enumerate(FAILURES)])
def test_failure_before_output_has_its_status(
    server: Any, sim: Simulator, route: Route, stream: bool, turn: Turn, status: int, code: str
) -> None:
    sim.script(turn)
    response = post(server, route, route.body(stream=stream))
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert "error.partial" not in response.text
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("ending", ["failed", "cut", "error"])
def test_responses_failure_after_output_is_an_event(server: Any, sim: Simulator, ending: str) -> None:
    turns = {
        "failed": Turn.failed("server_error", "It failed.", text="Hello there"),
        "cut": Turn.text("Hello there").cut_after_events(8),
        "error": Turn.error_event("server_error", "It failed.", text="Hello there"),
    }
    sim.script(turns[ending])
    events = data_of(post(server, RESPONSES, RESPONSES.body(stream=True)))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    failed = events[-1]
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["id"] == events[0]["response"]["id"]
    assert failed["response"]["error"]["code"] == ("stream_interrupted" if ending == "cut" else "server_error")
    opened = {event["item"]["id"] for event in events if event["type"] == "response.output_item.added"}
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert opened == {item["id"] for item in done}
    assert done[-1]["status"] == ("incomplete" if ending == "cut" else "completed")


@pytest.mark.parametrize(
    "turn", [Turn.failed("server_error", text="Hello"), Turn.text("Hello you").cut_after_events(7)]
)
def test_chat_failure_after_output_is_an_error(server: Any, sim: Simulator, turn: Turn) -> None:
    sim.script(turn)
    response = post(server, CHAT, CHAT.body(stream=True))
    *chunks, error = data_of(response)
    assert response.status_code == 200
    assert {chunk["choices"][0]["finish_reason"] for chunk in chunks} == {None}
    assert set(error) == {"error"}
    assert response.text.endswith("data: [DONE]\n\n")
    sim.script(turn)
    messages: Any = [{"role": "user", "content": "hi"}]
    with server.openai_client() as client, pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="gpt-5.5", messages=messages, stream=True))


@both_routes
@both_modes
@pytest.mark.parametrize("kind", [RuntimeError, TypeError, ValueError])
def test_unexpected_failure_is_printed_and_hidden(
    server: Any, route: Route, stream: bool, kind: type[Exception]
) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise kind("the prompt")

    server.client.request = fail
    server.app.state.models.get = no_models
    response = post(server, route, route.body(stream=stream))
    assert (response.status_code, response.json()["error"]["code"]) == (500, "local_internal_error")
    assert "the prompt" not in response.text
    assert kind.__name__ in server.tracebacks[0]
    wait_until(lambda: server.lines)
    assert server.lines[0].endswith("local_internal_error")


async def no_models() -> list[Any]:
    return []


INVALID_ARGUMENTS = [
    ({"input": 7, "messages": 7}, "invalid_type", "invalid_value"),
    ({"tools": [{"name": "f"}]}, "invalid_value", "invalid_value"),
    ({"metadata": {"a": float("nan")}}, "invalid_value", "invalid_value"),
]


@both_routes
@both_modes
@pytest.mark.parametrize(("members", "code", "chat_code"), INVALID_ARGUMENTS)
def test_invalid_argument_is_a_400(
    server: Any, bodies: Any, route: Route, stream: bool, members: dict[str, Any], code: str, chat_code: str
) -> None:
    other_route = "messages" if route is RESPONSES else "input"
    body = {**route.body(stream=stream), **{name: members[name] for name in members if name != other_route}}
    content = json.dumps(body).encode()
    response = server.post(route.path, content=content, headers={"content-type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, code if route is RESPONSES else chat_code)
    assert server.tracebacks == []
    assert bodies() == []


# Silent backends, and clients that leave


@both_routes
def test_silent_stream_is_committed_and_kept_alive(serve: Any, sim: Simulator, route: Route) -> None:
    server = serve(commit_seconds=0.05, keepalive_seconds=0.05)
    sim.script(Turn.text("Hello").delayed(0.5))
    response = post(server, route, route.body(stream=True))
    assert response.text.startswith(": keepalive\n")
    assert "\n\n: keepalive\n\n" not in response.text
    assert route.streamed_text(response) == "Hello"
    with server.openai_client() as client:  # reads the comments
        sim.script(Turn.text("Hello").delayed(0.5))
        assert (
            list(client.responses.create(model="gpt-5.5", input="hi", stream=True))[-1].response.output_text == "Hello"
        )


@both_routes
def test_failure_after_the_commit_is_an_event(serve: Any, sim: Simulator, route: Route) -> None:
    server = serve(commit_seconds=0.05, keepalive_seconds=0.05)
    sim.script(Turn.usage_limit().delayed(0.5))
    response = post(server, route, route.body(stream=True))
    assert response.status_code == 200
    events = data_of(response)
    if route is CHAT:
        assert events[0]["error"]["code"] == "usage_limit_reached"
    else:
        assert [event["type"] for event in events] == ["response.created", "response.failed"]
        assert [event["sequence_number"] for event in events] == [0, 1]
        assert events[1]["response"]["error"]["code"] == "usage_limit_reached"


@pytest.fixture
def stalled(sim: Simulator) -> None:
    """Script responses that do not end."""
    sim.script(*[Turn.text("one two three").stalled(8, 60)] * 4)


@both_routes
@both_modes
def test_client_that_leaves_cancels_the_backend(
    serve: Any, stalled: None, sim: Simulator, route: Route, stream: bool
) -> None:
    server = serve(concurrency=1)
    with leaving_client(server, route, stream=stream):
        wait_until(lambda: server.app.state.slots.running == 1 and len(sim.requests) > 1)
    wait_until(lambda: open_connections(server.client) == 0)
    wait_until(lambda: server.lines and server.app.state.slots.running == 0)
    assert server.lines[0].endswith("client left")
    assert server.tracebacks == []


@both_routes
@both_modes
def test_client_that_leaves_the_queue_sends_nothing(
    serve: Any, stalled: None, bodies: Any, route: Route, stream: bool
) -> None:
    server = serve(concurrency=1)
    with leaving_client(server, route, stream=stream):
        wait_until(lambda: server.app.state.slots.running == 1)
        with leaving_client(server, route, stream=stream):
            wait_until(lambda: server.app.state.slots.waiting == 1)
        wait_until(lambda: server.app.state.slots.waiting == 0)
        wait_until(lambda: len(bodies()) == 1)
    wait_until(lambda: len(server.lines) == 2)
    assert len(bodies()) == 1


def test_queued_stream_is_kept_alive(serve: Any, stalled: None, bodies: Any) -> None:
    server = serve(concurrency=1, commit_seconds=0.05, keepalive_seconds=0.05)
    with leaving_client(server, CHAT, stream=True):
        wait_until(lambda: server.app.state.slots.running == 1)
        with (
            httpx2.Client(headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client,
            client.stream("POST", server.base_url + CHAT.path, json=CHAT.body(stream=True)) as response,
        ):
            parts = response.iter_raw()  # a discarded iterator would close the connection
            assert next(parts) == b": keepalive\n"
            wait_until(lambda: server.app.state.slots.waiting == 1)
            assert len(bodies()) == 1


@both_routes
def test_waiting_stream_names_all_changes_in_its_header(serve: Any, stalled: None, bodies: Any, route: Route) -> None:
    server = serve(concurrency=1, commit_seconds=0.0, keepalive_seconds=0.05)
    with leaving_client(server, route, stream=True):
        wait_until(lambda: server.app.state.slots.running == 1)
        body = route.body(stream=True, temperature=0.3, unheard_of=1, reasoning={"effort": "minimal"})
        with (
            httpx2.Client(headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client,
            client.stream("POST", server.base_url + route.path, json=body) as response,
        ):
            name = "reasoning.effort" if route is RESPONSES else "reasoning_effort"
            expected = {"dropped temperature", "dropped unheard_of", f"replaced {name} minimal by low"}
            assert set(response.headers[CHANGES].split(", ")) == expected
            assert server.app.state.slots.waiting == 1
            assert len(bodies()) == 1


@both_routes
@both_modes
def test_invalid_request_does_not_wait(serve: Any, stalled: None, route: Route, stream: bool) -> None:
    server = serve(concurrency=1)
    with leaving_client(server, route, stream=True):
        wait_until(lambda: server.app.state.slots.running == 1)
        response = post(server, route, route.body(stream=stream, previous_response_id="resp_1"))
        assert response.status_code == 400


class leaving_client:
    """A client that sends a request, and closes the connection at the end of the block."""

    def __init__(self, server: Any, route: Route, *, stream: bool) -> None:
        self._client = httpx2.Client(headers={"authorization": f"Bearer {KEY}"}, timeout=60)
        self._server, self._route, self._stream = server, route, stream
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._request)

    def _request(self) -> None:
        try:
            with self._client.stream(
                "POST", self._server.base_url + self._route.path, json=self._route.body(stream=self._stream)
            ) as response:
                for _ in response.iter_raw():
                    if self._left.is_set():
                        return
        except (httpx2.TransportError, httpx2.StreamError):
            pass

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *args: object) -> None:
        self._left.set()
        for connection in self._client._transport._pool.connections:  # type: ignore[attr-defined]
            network_stream: Any = connection._connection._network_stream
            network_stream.get_extra_info("socket").shutdown(2)
        self._thread.join(30)
        self._client.close()
        assert not self._thread.is_alive()
