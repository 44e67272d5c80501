"""Test the contents of scripted turns."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx2
import pytest

from codex_backend_sdk.testing import Turn


def event_types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def test_script_is_followed_by_default_replies(raw_client: Any) -> None:
    raw_client.sim.script(Turn.text("one"), "two")
    raw_client.sim.script(Turn.default(), "three")
    assert [raw_client.text("Say hi") for _ in range(5)] == ["one", "two", "hi", "three", "hi"]


def test_rejected_request_uses_up_no_turn(raw_client: Any) -> None:
    raw_client.sim.script("one")
    assert raw_client.create("hi", temperature=0.5).status_code == 400
    assert raw_client.text("hi") == "one"


def test_clear_removes_the_script(raw_client: Any) -> None:
    raw_client.sim.script("one", "two")
    raw_client.sim.clear()
    assert raw_client.text("Say hi") == "hi"


def test_tool_calls_have_the_given_members(raw_client: Any) -> None:
    raw_client.sim.script(
        Turn.call("f", {"a": 1}, call_id="call_x", namespace="n"),
        Turn.call("f", '{"a": '),
        Turn.custom_call("g", "text"),
    )
    first, second, third = (raw_client.items("hi")[0] for _ in range(3))
    assert (first["name"], first["arguments"], first["call_id"], first["namespace"]) == ("f", '{"a": 1}', "call_x", "n")
    assert second["arguments"] == '{"a": '
    assert (third["type"], third["name"], third["input"]) == ("custom_tool_call", "g", "text")


def test_parallel_calls_have_different_ids(raw_client: Any) -> None:
    raw_client.sim.script(Turn.calls([("get_weather", {"city": "Paris"}), ("get_time", {"city": "Rome"})]))
    calls = raw_client.items("hi")
    assert [(call["name"], json.loads(call["arguments"])) for call in calls] == [
        ("get_weather", {"city": "Paris"}),
        ("get_time", {"city": "Rome"}),
    ]
    assert calls[0]["call_id"] != calls[1]["call_id"]


def test_text_may_have_a_reasoning_summary(raw_client: Any) -> None:
    raw_client.sim.script(Turn.text("Yes.", reasoning="A short question."))
    reasoning, message = raw_client.items("hi")
    assert reasoning["summary"] == [{"type": "summary_text", "text": "A short question."}]
    assert message["content"][0]["text"] == "Yes."


def test_web_search_turn_cites_its_sources(raw_client: Any) -> None:
    sources = {"https://a.example/x?y=1": "A", "https://b.example": "B"}
    raw_client.sim.script(Turn.web_search("tides", "The Moon.", sources), Turn.web_search("tides", "Nothing.", {}))
    search, message = raw_client.items("hi")
    assert search["action"]["query"] == "tides"
    (part,) = message["content"]
    assert part["text"] == "The Moon. ([a.example](https://a.example/x?y=1)) ([b.example](https://b.example))"
    assert [(entry["url"], entry["title"]) for entry in part["annotations"]] == list(sources.items())
    assert raw_client.items("hi")[1]["content"][0]["annotations"] == []


def test_image_turn_has_an_image(raw_client: Any) -> None:
    raw_client.sim.script(Turn.image("a cat"), Turn.image("a cat", "Here it is."))
    (image,) = raw_client.items("hi")
    assert (image["type"], image["revised_prompt"]) == ("image_generation_call", "a cat")
    same_image, message = raw_client.items("hi")
    assert same_image["result"] == image["result"]
    assert message["content"][0]["text"] == "Here it is."


def test_items_of_unknown_types_are_streamed(raw_client: Any) -> None:
    raw_client.sim.script(Turn.items({"type": "something_new", "id": "x_1", "value": 1}, usage={"input_tokens": 1}))
    events = raw_client.events("hi")
    assert event_types(events)[3:] == [
        "response.in_progress",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[-1]["response"]["usage"] == {"input_tokens": 1}


def test_events_are_sent_unchanged(raw_client: Any) -> None:
    raw_client.sim.script(Turn.events([{"type": "keepalive"}, b": comment\n\n", b"data: {broken\n\n"]))
    assert (
        raw_client.create("hi").text == 'event: keepalive\ndata: {"type":"keepalive"}\n\n: comment\n\ndata: {broken\n\n'
    )
    raw_client.sim.script([{"type": "keepalive"}])
    assert event_types(raw_client.events("hi")) == ["keepalive"]


def test_failed_and_incomplete_end_the_stream(raw_client: Any) -> None:
    raw_client.sim.script(Turn.failed("server_error", "Broken.", text="half"), Turn.incomplete("max_output_tokens"))
    failed, incomplete = raw_client.events("hi"), raw_client.events("hi")
    assert failed[-1]["type"] == "response.failed"
    assert failed[-1]["response"]["error"] == {"code": "server_error", "message": "Broken."}
    assert "response.output_text.delta" in event_types(failed)
    assert incomplete[-1]["response"]["status"] == "incomplete"
    assert incomplete[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert incomplete[-1]["response"]["usage"]["total_tokens"] > 0


def test_error_has_status_body_and_headers(raw_client: Any) -> None:
    raw_client.sim.script(Turn.error(429, {"error": {"type": "usage_limit_reached"}}, {"retry-after": "3"}))
    response = raw_client.create("hi")
    assert (response.status_code, response.headers["retry-after"]) == (429, "3")
    assert response.json() == {"error": {"type": "usage_limit_reached"}}
    assert response.headers["x-request-id"].startswith("req_")


def test_unknown_quota_code_raises() -> None:
    with pytest.raises(ValueError, match="Unknown quota code: 'money'"):
        Turn.quota_exceeded("money")


def test_raw_bytes_are_sent_unchanged(raw_client: Any) -> None:
    raw_client.sim.script(Turn.raw(200, {"content-type": "text/html"}, b"<html>"), Turn.raw(204))
    response = raw_client.create("hi")
    assert (response.headers["content-type"], response.content) == ("text/html", b"<html>")
    assert raw_client.create("hi").status_code == 204


def test_stream_is_cut_after_any_number_of_events(raw_client: Any) -> None:
    all_types = event_types(raw_client.events("Say hi two times"))
    for count in (0, 1, 4, len(all_types)):
        raw_client.sim.script(Turn.default().cut_after_events(count))
        received: list[bytes] = []
        body = raw_client.body("Say hi two times")
        with raw_client.http.stream(
            "POST", f"{raw_client.sim.base_url}/responses", json=body, headers=raw_client.headers
        ) as response:
            assert response.status_code == 200
            chunks = response.iter_raw()
            with pytest.raises(httpx2.RemoteProtocolError):
                received.extend(chunks)
        assert b"".join(received).count(b"\ndata: ") == count
    assert raw_client.create("hi").status_code == 200


def test_cut_response_lacks_the_final_chunk(raw_client: Any) -> None:
    raw_client.sim.script(Turn.raw(200, {"content-type": "text/plain"}, b"half", then="cut"))
    host, port = raw_client.sim.url.removeprefix("http://").split(":")
    body = b'{"model":"gpt-5.5","store":false,"stream":true,"input":[]}'
    head = "".join(f"{name}: {value}\r\n" for name, value in raw_client.headers.items())
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


@pytest.mark.parametrize("value", [42, None, b"bytes", {"type": "keepalive"}, ["text"]])
def test_script_rejects_other_types(start_raw_client: Any, value: Any) -> None:
    with pytest.raises(TypeError, match=r"Invalid argument of script\(\): "):
        start_raw_client().sim.script("fine", value)
