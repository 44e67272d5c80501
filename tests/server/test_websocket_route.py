"""`/v1/responses` as a WebSocket: messages, continued responses, errors, and clients that leave."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from support.scripted_backend import wait_until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from codex_backend_sdk.testing import Turn

from .conftest import KEY
from .model_calls import open_connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_backend_sdk.testing import Simulator

TERMINAL = ("response.completed", "response.incomplete", "response.failed", "error")


class Socket:
    """A client on the WebSocket of the server."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def send(self, **members: Any) -> None:
        self.connection.send(json.dumps({"type": "response.create", "model": "gpt-5.5", **members}))

    def events(self) -> list[Any]:
        """Return the events up to the terminal one."""
        events = [json.loads(self.connection.recv(timeout=30))]
        while events[-1]["type"] not in TERMINAL:
            events.append(json.loads(self.connection.recv(timeout=30)))
        return events

    def create(self, **members: Any) -> Any:
        """Send a message and return the terminal event."""
        self.send(**members)
        return self.events()[-1]


@contextmanager
def opened(server: Any, path: str = "/v1/responses", **headers: str) -> Iterator[Socket]:
    url = server.root.replace("http", "ws", 1) + path
    all_headers = {"Authorization": f"Bearer {KEY}", **headers}
    with connect(url, additional_headers=all_headers, proxy=None, open_timeout=30) as connection:
        yield Socket(connection)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
def test_messages_get_events(server: Any, sim: Simulator, path: str) -> None:
    sim.script("Hello", "again")
    with opened(server, path) as socket:
        socket.send(input=[user("hi")], stream=True)
        events = socket.events()
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"
        assert not [event for event in events if event["type"].startswith("codex.")]
        assert socket.create(input="hi")["response"]["status"] == "completed"


def test_previous_response_is_continued(server: Any, sim: Simulator, bodies: Any) -> None:
    sim.script(Turn.call("add", {"a": 1}, call_id="call_1"), "three", "four")
    with opened(server) as socket:
        first = socket.create(input=[user("one")])["response"]
        output = {"type": "function_call_output", "call_id": "call_1", "output": "2"}
        second = socket.create(previous_response_id=first["id"], input=[output])["response"]
        socket.create(previous_response_id=second["id"], input="and?")
    kinds = [[item["type"] for item in body["input"] if item.get("role") != "developer"] for body in bodies()]
    assert kinds[1] == ["message", "function_call", "function_call_output"]
    assert kinds[2] == [*kinds[1], "message", "message"]
    assert all("previous_response_id" not in body for body in bodies())


def test_text_as_input_is_continued(server: Any, sim: Simulator, bodies: Any) -> None:
    sim.script("one", "two")
    with opened(server) as socket:
        first = socket.create(input="hi")["response"]
        assert socket.create(previous_response_id=first["id"], input="more")["type"] == "response.completed"
    messages = [item for item in bodies()[1]["input"] if item["role"] != "developer"]
    assert [item["content"][0]["text"] for item in messages] == ["hi", "one", "more"]


def test_prewarm_sends_nothing_and_is_continued(server: Any, sim: Simulator, bodies: Any) -> None:
    sim.script("Hello")
    with opened(server) as socket:
        prewarm = socket.create(generate=False, input=[user("one")])["response"]
        assert bodies() == []
        assert socket.create(previous_response_id=prewarm["id"], input=[user("two")])["type"] == "response.completed"
    assert [item["content"][0]["text"] for item in bodies()[0]["input"]][-2:] == ["one", "two"]


@pytest.mark.parametrize("previous_id", ["resp_unknown", 7])
def test_unknown_previous_response_is_an_error(server: Any, sim: Simulator, previous_id: Any) -> None:
    sim.script("Hello")
    with opened(server) as socket:
        error = socket.create(previous_response_id=previous_id, input=[])
        assert (error["type"], error["status"]) == ("error", 400)
        assert error["error"]["code"] == "previous_response_not_found"
        assert socket.create(input="hi")["type"] == "response.completed"


def test_responses_of_other_connections_are_unknown(server: Any, sim: Simulator) -> None:
    sim.script("Hello")
    with opened(server) as first, opened(server) as second:
        response = first.create(input="hi")["response"]
        error = second.create(previous_response_id=response["id"], input="more")
        assert error["error"]["code"] == "previous_response_not_found"


def test_stored_responses_are_bounded(server: Any, sim: Simulator) -> None:
    with opened(server) as socket:
        ids = [socket.create(generate=False, input=[user(str(number))])["response"]["id"] for number in range(6)]
        assert socket.create(previous_response_id=ids[0], input=[])["error"]["code"] == "previous_response_not_found"
        assert socket.create(previous_response_id=ids[-1], input="hi")["type"] == "response.completed"


def test_failed_continuation_forgets_the_response(server: Any, sim: Simulator) -> None:
    sim.script("Hello", Turn.usage_limit())
    with opened(server) as socket:
        response_id = socket.create(input="hi")["response"]["id"]
        error = socket.create(previous_response_id=response_id, input="more")
        assert (error["status"], error["error"]["code"]) == (429, "usage_limit_reached")
        assert error["headers"]["x-should-retry"] == "false"
        again = socket.create(previous_response_id=response_id, input="more")
        assert again["error"]["code"] == "previous_response_not_found"


def test_failure_after_output_is_a_failed_response(server: Any, sim: Simulator) -> None:
    sim.script(Turn.text("Hello there").cut_after_events(8), "again")
    with opened(server) as socket:
        failed = socket.create(input="hi")
        assert (failed["type"], failed["response"]["error"]["code"]) == ("response.failed", "stream_interrupted")
        assert socket.create(input="hi")["type"] == "response.completed"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no JSON", "local_invalid_message"),
        ("[]", "local_invalid_message"),
        (b'{"type": "session.update"}', "local_invalid_message"),
        ('{"type": "response.create", "model": "gpt-5.5", "messages": []}', "local_wrong_route"),
        ('{"type": "response.create", "model": "gpt-5.5"}', "invalid_type"),
    ],
)
def test_invalid_message_is_an_error(server: Any, message: str | bytes, code: str) -> None:
    with opened(server) as socket:
        socket.connection.send(message)
        assert socket.events()[-1]["error"]["code"] == code


def test_second_message_in_flight_is_an_error(server: Any, sim: Simulator) -> None:
    sim.script(Turn.text("one two three").stalled(8, 60))
    with opened(server) as socket:
        socket.send(input="hi")
        json.loads(socket.connection.recv(timeout=30))
        socket.send(input="again")
        assert socket.events()[-1]["error"]["code"] == "response_already_in_flight"
        socket.connection.send('{"type": "response.interrupt", "response_id": "resp_1"}')
        while json.loads(socket.connection.recv(timeout=30))["type"] != "response.interrupt.failed":
            pass  # events of the first message
    wait_until(lambda: open_connections(server.client) == 0)


def test_socket_that_closes_cancels_the_backend(serve: Any, sim: Simulator) -> None:
    server = serve(concurrency=1)
    sim.script(Turn.text("one two three").stalled(8, 60), "Hello")
    with opened(server) as socket:
        socket.send(input="hi")
        socket.connection.recv(timeout=30)
    wait_until(lambda: open_connections(server.client) == 0 and server.app.state.slots.running == 0)
    wait_until(lambda: server.lines)
    assert server.lines[0].endswith("client left")
    assert server.tracebacks == []


def test_each_response_of_a_socket_has_a_line(server: Any, sim: Simulator) -> None:
    sim.script("Hello", Turn.failed("server_error", "It failed.", text="Hello there"), Turn.usage_limit())
    with opened(server, **{"User-Agent": "editor/1.2 (linux)"}) as socket:
        assert socket.create(input="hi", temperature=0.1)["type"] == "response.completed"
        assert socket.create(input="hi", temperature=0.1)["type"] == "response.failed"
        assert socket.create(input="hi", model="gpt-5.5-high")["type"] == "error"
        assert socket.create(input="hi", previous_response_id="resp_x")["type"] == "error"
        assert socket.create(generate=False, input=[user("one")])["type"] == "response.completed"
        socket.connection.send("no JSON")
        assert socket.events()[-1]["type"] == "error"
    wait_until(lambda: len(server.lines) == 8)
    patterns = [
        r"WS   /v1/responses 200 editor/1\.2 gpt-5\.5 \d+\.\d\d s [1-9][\d,]* in \(.*\) [1-9]\d* out",
        r" +editor/1\.2: dropped temperature \(not shown again\)",
        r"WS   /v1/responses 200 editor/1\.2 gpt-5\.5 \d+\.\d\d s server_error",
        r"WS   /v1/responses 429 editor/1\.2 gpt-5\.5 \d+\.\d\d s usage_limit_reached",
        r"WS   /v1/responses 400 editor/1\.2 \d+\.\d\d s previous_response_not_found",
        r"WS   /v1/responses 200 editor/1\.2 \d+\.\d\d s",
        r"WS   /v1/responses 400 editor/1\.2 \d+\.\d\d s local_invalid_message",
        r"WS   /v1/responses 101 editor/1\.2 \d+\.\d\d s",
    ]
    for line, pattern in zip(server.lines, patterns, strict=True):
        assert re.fullmatch(pattern if pattern.startswith(" ") else rf"\d\d:\d\d:\d\d {pattern}", line)


def test_totals_have_each_response_of_a_socket(serve: Any, sim: Simulator) -> None:
    server = serve()
    with opened(server, **{"User-Agent": "editor/1.2"}) as socket:
        for _ in range(3):
            socket.create(input="hi")
    wait_until(lambda: len(server.lines) == 4)
    server.lines.clear()
    server.app.state.log.print_totals()
    assert re.match(r"editor/1\.2: 3 requests, tokens: [1-9]\d* in", server.lines[0])


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Authorization": "Bearer wrong"}, 401), ({"Origin": "https://example.com"}, 403)],
)
def test_socket_without_permission_is_refused(server: Any, headers: dict[str, str], status: int) -> None:
    with pytest.raises(InvalidStatus) as caught, opened(server, **headers):
        pass
    assert caught.value.response.status_code == status
