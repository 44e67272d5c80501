"""Scripted answers."""

from __future__ import annotations

import socket
from typing import Any

import httpx2
import pytest

from codex_backend_sdk.testing import Turn


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def test_turns_are_played_in_order_and_then_it_answers_by_itself(wire: Any) -> None:
    wire.sim.script(Turn.text("one"), "two")
    wire.sim.script(Turn.default(), "three")
    assert [wire.text("hi") for _ in range(5)] == ["one", "two", wire.text("hi"), "three", wire.text("hi")]


def test_a_refused_request_takes_nothing_from_the_script(wire: Any) -> None:
    wire.sim.script("one")
    assert wire.ask("hi", temperature=0.5).status_code == 400
    assert wire.text("hi") == "one"


def test_clear_drops_the_rest_of_the_script(wire: Any) -> None:
    wire.sim.script("one", "two")
    wire.sim.clear()
    assert wire.text("hi").startswith("Hello")


def test_calls(wire: Any) -> None:
    wire.sim.script(
        Turn.call("f", {"a": 1}, call_id="call_x", namespace="n"),
        Turn.call("f", '{"a": '),
        Turn.custom_call("g", "text"),
    )
    first, second, third = (wire.items("hi")[0] for _ in range(3))
    assert (first["name"], first["arguments"], first["call_id"], first["namespace"]) == ("f", '{"a": 1}', "call_x", "n")
    assert second["arguments"] == '{"a": '
    assert (third["type"], third["name"], third["input"]) == ("custom_tool_call", "g", "text")


def test_items_of_any_type_are_framed(wire: Any) -> None:
    wire.sim.script(Turn.items({"type": "something_new", "id": "x_1", "value": 1}, usage={"input_tokens": 1}))
    events = wire.events("hi")
    assert types(events)[3:] == [
        "response.in_progress",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[-1]["response"]["usage"] == {"input_tokens": 1}


def test_events_are_sent_as_they_are(wire: Any) -> None:
    wire.sim.script(Turn.events([{"type": "keepalive"}, b": comment\n\n", b"data: {broken\n\n"]))
    assert wire.ask("hi").text == 'event: keepalive\ndata: {"type":"keepalive"}\n\n: comment\n\ndata: {broken\n\n'
    wire.sim.script([{"type": "keepalive"}])
    assert types(wire.events("hi")) == ["keepalive"]


def test_failed_and_incomplete_are_terminal_events(wire: Any) -> None:
    wire.sim.script(Turn.failed("server_error", "Broken.", text="half"), Turn.incomplete("max_output_tokens"))
    failed, incomplete = wire.events("hi"), wire.events("hi")
    assert failed[-1]["type"] == "response.failed"
    assert failed[-1]["response"]["error"] == {"code": "server_error", "message": "Broken."}
    assert "response.output_text.delta" in types(failed)
    assert incomplete[-1]["response"]["status"] == "incomplete"
    assert incomplete[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert incomplete[-1]["response"]["usage"]["total_tokens"] > 0


def test_an_error_has_its_status_body_and_headers(wire: Any) -> None:
    wire.sim.script(Turn.error(429, {"error": {"type": "usage_limit_reached"}}, {"retry-after": "3"}))
    answer = wire.ask("hi")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.json() == {"error": {"type": "usage_limit_reached"}}
    assert answer.headers["x-request-id"].startswith("req_")


def test_raw_bytes_are_sent_as_they_are(wire: Any) -> None:
    wire.sim.script(Turn.raw(200, {"content-type": "text/html"}, b"<html>"), Turn.raw(204))
    answer = wire.ask("hi")
    assert (answer.headers["content-type"], answer.content) == ("text/html", b"<html>")
    assert wire.ask("hi").status_code == 204


def test_an_event_stream_can_be_cut_after_any_number_of_events(wire: Any) -> None:
    whole = types(wire.events("Say hi twice"))
    for count in (0, 1, 4, len(whole)):
        wire.sim.script(Turn.default(cut_after=count))
        received: list[bytes] = []
        request = {"model": "gpt-5.5", "store": False, "stream": True, "input": [{"role": "user", "content": "hi"}]}
        with wire.http.stream("POST", f"{wire.sim.base_url}/responses", json=request, headers=wire.headers) as answer:
            assert answer.status_code == 200
            chunks = answer.iter_raw()
            with pytest.raises(httpx2.RemoteProtocolError):
                received.extend(chunks)
        assert b"".join(received).count(b"\ndata: ") == count
    assert wire.ask("hi").status_code == 200


def test_a_cut_answer_ends_without_the_final_chunk(wire: Any) -> None:
    wire.sim.script(Turn.raw(200, {"content-type": "text/plain"}, b"half", then="cut"))
    host, port = wire.sim.url.removeprefix("http://").split(":")
    body = b'{"model":"gpt-5.5","store":false,"stream":true,"input":[]}'
    head = "".join(f"{name}: {value}\r\n" for name, value in wire.headers.items())
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(
            f"POST /backend-api/codex/responses HTTP/1.1\r\nhost: x\r\n{head}"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    assert received.endswith(b"4\r\nhalf\r\n")


def test_the_preamble_can_be_switched_off(start_wire: Any) -> None:
    wire = start_wire(codex_events=False)
    assert types(wire.events("hi"))[0] == "response.created"


@pytest.mark.parametrize("given", [42, None, b"bytes", {"type": "keepalive"}, ["text"]])
def test_what_is_no_turn_is_refused_with_what_it_takes(start_wire: Any, given: Any) -> None:
    with pytest.raises(TypeError, match=r"takes Turns, texts to say and lists of events .*, not "):
        start_wire().sim.script("fine", given)
