"""Parameters and resources that the Codex backend does not support are rejected before anything is sent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import openai
import pytest

import codex_backend_sdk as sdk

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator


def test_all_unsupported_parameters_are_named(client: Any, sim: Simulator) -> None:
    with pytest.raises(sdk.CodexBackendUnsupportedParameterError) as caught:
        client.responses.create(input="hi", temperature=0, user="me", previous_response_id="resp_1")
    assert set(caught.value.parameters) == {"previous_response_id", "temperature", "user"}
    assert "pass the earlier items in `input`" in str(caught.value)
    with pytest.raises(sdk.CodexBackendUnsupportedParameterError, match="Remove them, or"):
        client.responses.create(input="hi", temperature=0, user="me")
    with pytest.raises(sdk.CodexBackendUnsupportedParameterError, match="Remove it, or"):
        client.responses.create(input="hi", user="me")
    assert isinstance(caught.value, (openai.OpenAIError, NotImplementedError))
    assert sim.requests == []


@pytest.mark.parametrize("method", ["create", "parse", "compact", "stream"])
def test_policy_applies_to_every_method(client: Any, sim: Simulator, method: str) -> None:
    parameter = {"previous_response_id": "x"} if method == "compact" else {"temperature": 0}
    with pytest.raises(sdk.CodexBackendUnsupportedParameterError):  # noqa: PT012 - the helper sends its request when it is entered
        result = getattr(client.responses, method)(input="hi", **parameter)
        result.__enter__()
    assert sim.requests == []


@pytest.mark.parametrize(
    ("method", "name", "hint"),
    [
        ("create", "messages", "Use `input`; `messages` is a parameter of Chat Completions"),
        ("stream", "max_tokens", "the Codex backend does not support it"),
        ("create", "text_format", "`client.responses.parse"),
        ("parse", "temprature", "Did you mean `temperature`"),
        ("compact", "instruction", "Did you mean `instructions`"),
    ],
)
def test_unknown_parameter_gets_a_hint(client: Any, sim: Simulator, method: str, name: str, hint: str) -> None:
    with pytest.raises(TypeError, match=f"{method}\\(\\) got an unexpected keyword argument '{name}'. .*{hint}"):
        getattr(client.responses, method)(**{name: 5})
    assert sim.requests == []


@pytest.mark.parametrize(
    ("parameter", "remedy"),
    [
        ("temperature", r"Instead of `temperature`, pass `reasoning=\{'effort': ...\}`"),
        ("top_p", r"pass `reasoning="),
        ("max_output_tokens", r"'verbosity': 'low'"),
        ("max_tool_calls", r"`max_turns`"),
        ("truncation", r"responses.compact"),
        ("user", r"log of your own"),
    ],
)
def test_rejected_parameter_names_what_to_use(client: Any, parameter: str, remedy: str) -> None:
    with pytest.raises(sdk.CodexBackendUnsupportedParameterError, match=remedy):
        client.responses.create(input="hi", **{parameter: "x"})


@pytest.mark.parametrize("tool", [{"name": "x"}, {"type": None, "name": "x"}, {"type": "", "parameters": {}}, {}])
def test_tool_without_type_is_named(client: Any, sim: Simulator, tool: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"`tools\[1\]` has no `type`. Pass a function as"):
        client.responses.create(input="hi", tools=[{"type": "web_search"}, tool])
    assert sim.requests == []


def test_unknown_tool_type_is_left_to_the_backend(client: Any) -> None:
    with pytest.raises(sdk.UnsupportedParameterError, match="Pass only tools of types that it accepts"):
        client.responses.create(input="hi", tools=[{"type": "code_interpreter", "container": {"type": "auto"}}])


def test_extra_body_is_checked_too(client: Any) -> None:
    with pytest.raises(sdk.CodexBackendUnsupportedParameterError, match="`temperature`"):
        client.responses.create(input="hi", extra_body={"temperature": 0})


def test_drop_warns_and_lists_the_parameters(
    new_client: Any, bodies: Callable[[], list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    client = new_client(unsupported="drop")
    with caplog.at_level(logging.WARNING, "codex_backend_sdk"):
        response = client.responses.create(input="hi", temperature=0.5, user="me")
    assert response.dropped_parameters == ["temperature", "user"]
    assert client.responses.create(input="hi").dropped_parameters == []
    assert client.responses.compact(input="hi", extra_body={"temperature": 0}).dropped_parameters == ["temperature"]
    assert {"temperature", "user"}.isdisjoint(bodies()[0])
    assert [record.args for record in caplog.records] == [("temperature",), ("user",), ("temperature",)]
    assert caplog.messages[0].startswith("codex_backend_sdk dropped `temperature`")


def test_drop_is_listed_on_a_stream(sim: Simulator) -> None:
    with sim.client(unsupported="drop") as client:
        stream = client.responses.create(input="hi", temperature=0.5, stream=True)
        events = list(stream)
    assert stream.dropped_parameters == ("temperature",)
    assert events[-1].response.dropped_parameters == ["temperature"]


@pytest.mark.parametrize("parameter", [{"store": True}, {"previous_response_id": "x"}, {"background": True}], ids=str)
def test_drop_never_changes_the_meaning(new_client: Any, sim: Simulator, parameter: dict[str, Any]) -> None:
    with pytest.raises(sdk.CodexBackendUnsupportedParameterError, match=next(iter(parameter))):
        new_client(unsupported="drop").responses.create(input="hi", **parameter)
    assert sim.requests == []


def test_default_values_are_accepted(client: Any) -> None:
    neutral = {"temperature": 1, "top_p": 1.0, "truncation": "disabled", "metadata": {}, "store": False}
    response = client.responses.create(input="hi", user=None, background=False, include=[], **neutral)
    assert response.status == "completed"


MISSING: dict[str, Callable[[Any], Any]] = {
    "files": lambda c: c.files.list(),
    "files.content": lambda c: c.files.content("file-1"),
    "batches": lambda c: c.batches.create(completion_window="24h", endpoint="/v1/responses", input_file_id="f"),
    "fine_tuning.jobs": lambda c: c.fine_tuning.jobs.list(),
    "vector_stores": lambda c: c.vector_stores.create(name="x"),
    "conversations": lambda c: c.conversations.create(),
    "embeddings": lambda c: c.embeddings.create(model="m", input="x"),
    "images.generations": lambda c: c.images.generate(prompt="x"),
    "moderations": lambda c: c.moderations.create(input="x"),
    "audio.speech": lambda c: c.audio.speech.create(input="x", model="m", voice="alloy"),
    "chat.completions": lambda c: c.chat.completions.retrieve("chatcmpl-1"),
    "chat.completions.messages": lambda c: c.chat.completions.messages.list("chatcmpl-1"),
    "completions": lambda c: c.completions.create(model="m", prompt="x"),
    "containers": lambda c: c.containers.list(),
    "evals": lambda c: c.evals.list(),
    "videos": lambda c: c.videos.list(),
    "uploads": lambda c: c.uploads.create(bytes=1, filename="f", mime_type="m", purpose="user_data"),
    "assistants": lambda c: c.beta.assistants.list(),
    "threads": lambda c: c.beta.threads.create(),
    "models.delete": lambda c: c.models.delete("m"),
    "responses.retrieve": lambda c: c.responses.retrieve("resp_1"),
    "responses.delete": lambda c: c.responses.delete("resp_1"),
    "responses.cancel": lambda c: c.responses.cancel("resp_1"),
    "responses.input_items": lambda c: c.responses.input_items.list("resp_1"),
    "responses.input_tokens": lambda c: c.responses.input_tokens.count(model="m", input="x"),
    "beta.realtime": lambda c: c.beta.realtime.connect(model="m").__enter__(),
    "realtime.connect": lambda c: c.realtime.connect(model="m").__enter__(),
    "foo": lambda c: c.post("/foo", cast_to=object),
    "other.example/responses": lambda c: c.post("https://other.example/responses", cast_to=object),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("resource", MISSING)
def test_missing_resource_is_named(client: Any, sim: Simulator, resource: str) -> None:
    with pytest.raises(sdk.UnsupportedEndpointError) as caught:  # noqa: PT012 - an async paginator sends its request when it is iterated
        result = MISSING[resource](client)
        list(result)
    assert caught.value.resource.endswith(resource)
    assert f"`{caught.value.resource}`" in str(caught.value)
    assert isinstance(caught.value, openai.OpenAIError)
    assert sim.requests == []


@pytest.mark.parametrize("view", ["with_raw_response", "with_streaming_response"])
def test_raw_views_reject_too(client: Any, sim: Simulator, view: str) -> None:
    with pytest.raises(sdk.UnsupportedEndpointError):
        getattr(client.files, view).list().__enter__()
    assert sim.requests == []
