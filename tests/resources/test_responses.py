"""Test `client.responses`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types import responses as official
from pydantic import BaseModel
from support.clocks import RecordingClock
from support.tunnels import serve_response

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    Bodies = Callable[[], list[dict[str, Any]]]

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather for a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class Person(BaseModel):
    name: str
    age: int


def text_of(events: Any) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def test_create_returns_an_official_response(client: Any, bodies: Bodies) -> None:
    response = client.responses.create(input="Explain quicksort.")
    assert isinstance(response, official.Response)
    assert response.status == "completed"
    assert "quicksort" in response.output_text
    assert response.usage.total_tokens > 0
    assert response._request_id.startswith("req_")
    assert bodies()[0]["stream"] is True
    assert bodies()[0]["store"] is False


def test_missing_final_output_is_rebuilt_from_events(sim: Simulator, client: Any) -> None:
    """Two messages are joined as the official `output_text` joins them."""

    def part(text: str) -> dict[str, Any]:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        return {"type": "message", "id": f"msg_{text}", "role": "assistant", "status": "completed", "content": content}

    sim.script(Turn.items(part("one, "), part("two")))
    response = client.responses.create(input="hi")
    assert [item.id for item in response.output] == ["msg_one, ", "msg_two"]
    assert response.output_text == "one, two"


def test_stream_yields_official_events(client: Any) -> None:
    with client.responses.create(input="Say hi five times.", stream=True) as stream:
        events = list(stream)
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) > 1
    assert {type(delta) for delta in deltas} == {official.ResponseTextDeltaEvent}
    assert text_of(events) == events[-1].response.output_text != ""


BACKEND_EVENTS = [
    {"type": name}
    for name in (
        "codex.rate_limits",
        "codex.new",
        "responsesapi.websocket_timing",
        "response.metadata",
        "response.heartbeat",
        "keepalive",
    )
]
OTHER_EVENTS = [{"type": "response.new_event"}, {"type": "codexx"}, {"type": "keepalives"}]
COMPLETED = {"type": "response.completed", "response": {"id": "r", "output": []}}


def test_stream_omits_events_of_the_codex_backend(new_client: Any, sim: Simulator) -> None:
    sent = [event for pair in zip(BACKEND_EVENTS, OTHER_EVENTS * 2, strict=True) for event in pair]
    for _ in range(2):
        sim.script(Turn.events([*sent, COMPLETED]))
    client = new_client()
    events = list(client.responses.create(input="hi", stream=True))
    assert [event.type for event in events] == ["response.new_event", "codexx", "keepalives"] * 2 + [
        "response.completed"
    ]
    events = list(client.with_options(codex_events=True).responses.create(input="hi", stream=True))
    assert [event.type for event in events] == [event["type"] for event in (*sent, COMPLETED)]
    assert isinstance(events[0], sdk.UnknownEvent)


def test_stream_after_hidden_events_only_is_retried(new_client: Any, sim: Simulator) -> None:
    sim.script(Turn.events(BACKEND_EVENTS), Turn.text("complete"))
    stream = new_client(max_retries=1, clock=RecordingClock()).responses.create(input="hi", stream=True)
    assert text_of(list(stream)) == "complete"
    assert stream.restarts == 1


def test_stream_is_an_official_stream(sim: Simulator) -> None:
    with sim.client() as client:
        stream = client.responses.create(input="hi", stream=True)
        assert isinstance(stream, openai.Stream)
        assert stream.response.status_code == 200
        assert next(stream).type == "response.created"
        stream.close()
        assert stream.response.is_closed


def test_leaving_a_stream_early_closes_its_connection(sim: Simulator) -> None:
    with sim.client() as client:
        with client.responses.create(input="hi", stream=True) as stream:
            for _ in stream:
                break
        assert stream.response.is_closed


def test_stream_helper_has_snapshots_and_final_response(client: Any) -> None:
    with client.responses.stream(input="Explain quicksort.") as stream:
        events = list(stream)
        final = stream.get_final_response()
    snapshots = [event.snapshot for event in events if event.type == "response.output_text.delta"]
    assert snapshots[-1] == final.output_text
    assert final.output[-1]["type"] == "message"


def test_stream_helper_parses(client: Any, sim: Simulator) -> None:
    sim.script('{"name": "Bob", "age": 42}')
    with client.responses.stream(input="Extract: Bob is 42 years old.", text_format=Person) as stream:
        assert stream.get_final_response().output_parsed == Person(name="Bob", age=42)


def test_parse_returns_an_instance_of_the_format(client: Any, sim: Simulator, bodies: Bodies) -> None:
    sim.script('{"name": "Bob", "age": 42}')
    response = client.responses.parse(input="Extract: Bob is 42 years old.", text_format=Person)
    assert isinstance(response, official.ParsedResponse)
    assert response.output_parsed == Person(name="Bob", age=42)
    assert response["output"][-1]["content"][0]["parsed"] == Person(name="Bob", age=42)
    assert bodies()[0]["text"]["format"]["type"] == "json_schema"


def test_parse_returns_parsed_arguments_of_a_call(client: Any, sim: Simulator) -> None:
    class Weather(BaseModel):
        city: str

    sim.script(Turn.call("weather", {"city": "Paris"}))
    response = client.responses.parse(
        input="What's the weather in Paris?", tools=[openai.pydantic_function_tool(Weather, name="weather")]
    )
    (call,) = [item for item in response.output if item.type == "function_call"]
    assert call.parsed_arguments == Weather(city="Paris")


def test_function_call_and_its_output_make_two_turns(client: Any, bodies: Bodies) -> None:
    first = client.responses.create(input="What's the weather in Paris?", tools=[WEATHER])
    call = next(item for item in first.output if item["type"] == "function_call")
    assert isinstance(call, official.ResponseFunctionToolCall)
    assert json.loads(call["arguments"]).keys() == {"city"}
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"temperature": 18}'}
    second = client.responses.create(input=[*first.output, output], tools=[WEATHER])
    assert "18" in second.output_text
    replayed = bodies()[1]["input"]
    assert [item["type"] for item in replayed] == ["reasoning", "function_call", "function_call_output"]
    assert replayed[0]["encrypted_content"]
    assert replayed[1] == call.to_dict()


def test_custom_tool_is_called(client: Any) -> None:
    response = client.responses.create(
        input="Write a poem.", tools=[{"type": "custom", "name": "poet", "description": "Writes."}]
    )
    (call,) = [item for item in response.output if item.type == "custom_tool_call"]
    assert isinstance(call, official.ResponseCustomToolCall)
    assert call.name == "poet"


def test_history_is_sent_with_the_next_turn(client: Any) -> None:
    history = [{"role": "user", "content": "My name is Alice. Say OK."}]
    history.append({"role": "assistant", "content": client.responses.create(input=history).output_text})
    history.append({"role": "user", "content": "What is my name?"})
    assert "Alice" in client.responses.create(input=history).output_text


def test_accepted_parameters_arrive_unchanged(client: Any, sim: Simulator, bodies: Bodies) -> None:
    accepted = {
        "model": "gpt-5.5",
        "instructions": "Be brief.",
        "tools": [WEATHER, {"type": "web_search"}],
        "tool_choice": "none",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "low"},
        "prompt_cache_key": "key-1",
        "service_tier": "priority",
    }
    client.responses.create(
        input=[{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]}],
        include=["web_search_call.results"],
        extra_body={"client_metadata": {"a": "b"}},
        extra_headers={"x-mine": "yes"},
        extra_query={"q": "1"},
        timeout=9,
        **accepted,
    )
    (body,), (request,) = bodies(), sim.requests
    assert {name: body[name] for name in accepted} == accepted
    assert body["include"] == ["web_search_call.results", "reasoning.encrypted_content"]
    assert body["client_metadata"] == {"a": "b"}
    assert request.headers["x-mine"] == "yes"
    assert request.headers["session-id"] == "key-1"
    assert request.query == {"q": "1"}


def test_defaults_of_the_client_apply_to_calls(new_client: Any, bodies: Bodies) -> None:
    client = new_client(model="gpt-5.5", instructions="Be kind.")
    client.responses.create(input="hi")
    client.with_options(timeout=5).responses.create(input="hi")
    client.with_options(model="gpt-6-sol").responses.create(input="hi", instructions="")
    assert [(body["model"], body.get("instructions")) for body in bodies()] == [
        ("gpt-5.5", "Be kind."),
        ("gpt-5.5", "Be kind."),
        ("gpt-6-sol", None),
    ]


def test_raw_response_parses(client: Any) -> None:
    raw = client.responses.with_raw_response.create(input="hi")
    assert raw.status_code == 200
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.elapsed.total_seconds() > 0
    assert raw.parse().output_text
    assert json.loads(raw.text)["status"] == "completed"


def test_raw_response_parses_to_a_stream(client: Any) -> None:
    raw = client.responses.with_raw_response.create(input="hi", stream=True)
    assert text_of(raw.parse())


def test_streaming_response_parses(client: Any) -> None:
    with client.responses.with_streaming_response.create(input="hi") as response:
        assert response.headers["x-request-id"]
        assert response.parse().output_text


@pytest.mark.parametrize("stream", [False, True])
def test_unknown_items_and_events_arrive_in_order(sim: Simulator, client: Any, stream: bool) -> None:
    sim.script(
        Turn.events(
            [
                {"type": "brand.new", "payload": 1},
                {"type": "response.created", "response": {"id": "resp_1"}},
                {"type": "response.output_item.done", "output_index": 0, "item": {"type": "hologram", "depth": 3}},
                {"type": "response.output_text.delta", "delta": 5},
                {"type": "response.completed", "response": {"id": "resp_1", "output": None}},
            ]
        )
    )
    if not stream:
        (item,) = client.responses.create(input="hi").output
        assert (item.type, item["depth"]) == ("hologram", 3)
        return
    events = list(client.responses.create(input="hi", stream=True))
    assert [event.type for event in events] == [
        "brand.new",
        "response.created",
        "response.output_item.done",
        "response.output_text.delta",
        "response.completed",
    ]
    assert events[0].payload == 1
    assert isinstance(events[2].item, sdk.UnknownItem)
    assert (events[3].delta, events[3].item_id) == (5, None)
    assert events[4].response.output[0]["depth"] == 3


def test_compact_returns_input_for_the_next_call(client: Any, sim: Simulator, bodies: Bodies) -> None:
    history = [
        {"role": "user", "content": "My name is Alice."},
        {"role": "assistant", "content": "OK."},
        {"role": "user", "content": "Thanks."},
    ]
    compacted = client.responses.compact(model="gpt-5.5", input=history)
    assert isinstance(compacted, official.CompactedResponse)
    assert compacted.object == "response.compaction"
    assert compacted.usage.total_tokens > 0
    assert [item["type"] for item in compacted.output] == ["message", "message", "compaction"]
    assert compacted.output[2]["encrypted_content"]
    assert bodies()[0]["input"][-1] == {"type": "compaction_trigger"}
    assert sim.requests[0].headers["x-codex-beta-features"] == "remote_compaction_v2"
    follow_up = client.responses.create(input=[*compacted.output, {"role": "user", "content": "What is my name?"}])
    assert "Alice" in follow_up.output_text


@pytest.mark.parametrize("count", [0, 2])
def test_compact_without_exactly_one_item_is_an_error(client: Any, sim: Simulator, count: int) -> None:
    items = [{"type": "compaction", "id": f"cmp_{i}", "encrypted_content": "gA"} for i in range(count)]
    sim.script(Turn.items(*items))
    with pytest.raises(sdk.UnexpectedResponseError, match=f"returned {count} compaction items"):
        client.responses.compact(input="hi")


@pytest.mark.parametrize("value", ["São Paulo", "東京"])
def test_response_header_may_be_non_ascii(new_client: Callable[..., Any], value: str) -> None:
    end = b'data: {"type":"response.completed","response":{"id":"resp_1","output":[]}}\n\n'
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-city: {value}\r\n".encode()
    with serve_response(head + b"content-length: %d\r\n\r\n" % len(end) + end) as port:
        client = new_client(base_url=f"http://127.0.0.1:{port}/backend-api/codex")
        raw = client.responses.with_raw_response.create(input="hi")
    assert raw.headers["x-city"] == value
    assert raw.parse().id == "resp_1"
