"""The requests of Open WebUI 0.12.4: the list of models, a chat, and its calls for titles, tags and follow-ups."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

MODEL = "gpt-6.1-terra"
QUESTION = "What's the weather in Paris?"
TITLE = '### Task:\nGenerate a concise title with an emoji.\n### Output:\nJSON format: { "title": "your title here" }'
TAGS = '### Task:\nGenerate 1-3 broad tags.\n### Output:\nJSON format: { "tags": ["tag1", "tag2"] }'
# Its settings of a model, where all of them are set.
PARAMETERS = {
    "temperature": 0.7,
    "top_p": 0.9,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "seed": 1,
    "stop": ["\n###"],
    "logit_bias": {},
    "max_completion_tokens": 1000,
    "reasoning_effort": "low",
}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Return the weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def test_models_are_listed(server: Any) -> None:
    models = server.get("/models").json()["data"]
    assert MODEL in [model["id"] for model in models]
    assert server.request("GET", "/models", headers={"authorization": "Bearer sk-wrong"}).status_code == 401


@pytest.mark.parametrize("prompt", [TITLE, TAGS])
@pytest.mark.parametrize("parameters", [{}, {"max_completion_tokens": 50}, {"max_tokens": 4, "temperature": 0}])
def test_tasks_are_answered(server: Any, sim: Simulator, prompt: str, parameters: Any) -> None:
    answer = '{ "title": "🌤 Weather", "tags": ["weather"] }'
    sim.script(answer)
    body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "stream": False, **parameters}
    response = server.post("/chat/completions", json=body)
    assert response.status_code == 200
    assert response.json()["choices"][0]["message"]["content"] == answer
    assert response.json()["usage"]["total_tokens"] > 0


def test_chat_streams_with_all_its_settings(server: Any) -> None:
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Say hello there"}]
    body = {"model": MODEL, "messages": messages, "stream": True, **PARAMETERS}
    body["stream_options"] = {"include_usage": True}
    response = server.post("/chat/completions", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    dropped = response.headers["x-codex-backend-changes"]
    assert {"dropped temperature", "dropped max_completion_tokens"} <= {name.strip() for name in dropped.split(",")}
    chunks = chunks_of(response.text)
    assert "".join(delta(chunk).get("content") or "" for chunk in chunks) == "hello there"
    assert chunks[-1]["usage"]["prompt_tokens"] > 0


def test_chat_calls_a_tool(server: Any, sim: Simulator) -> None:
    """It sends the calls and the outputs of earlier messages back, with outputs that are lists of parts."""
    sim.script(Turn.call("get_weather", {"city": "Paris"}), "It is sunny.")
    messages: list[dict[str, Any]] = [{"role": "user", "content": QUESTION}]
    body = {"model": MODEL, "messages": messages, "stream": True, "tools": [TOOL]}
    chunks = chunks_of(server.post("/chat/completions", json=body).text)
    calls = [call for chunk in chunks for call in delta(chunk).get("tool_calls", [])]
    arguments = "".join(call["function"].get("arguments", "") for call in calls)
    assert json.loads(arguments) == {"city": "Paris"}
    call = {"id": calls[0]["id"], "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    messages += [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
    ]
    chunks = chunks_of(server.post("/chat/completions", json=body).text)
    assert "".join(delta(chunk).get("content") or "" for chunk in chunks) == "It is sunny."
    types = [item["type"] for item in sim.model_requests[-1].body["input"]]
    assert types == ["message", "function_call", "function_call_output"]


def test_chat_by_responses_streams(server: Any) -> None:
    """The setting of a connection makes it send responses, with items that it stored of earlier ones."""
    content = [{"type": "input_text", "text": "Say hello there"}]
    body = {"model": MODEL, "input": [{"type": "message", "role": "user", "content": content}], "stream": True}
    response = server.post("/responses", json={**body, "instructions": "Be brief.", "max_output_tokens": 1000})
    events = chunks_of(response.text)
    assert events[-1]["type"] == "response.completed"
    assert "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta") == "hello there"


def chunks_of(stream: str) -> list[dict[str, Any]]:
    """Return the data of a stream."""
    lines = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def delta(chunk: dict[str, Any]) -> dict[str, Any]:
    """Return the delta of a chunk, or an empty one for the chunk with the tokens."""
    result: dict[str, Any] = chunk["choices"][0]["delta"] if chunk["choices"] else {}
    return result
