"""Instructions are sent as the parameter, or as the first message for the models whose cache misses the parameter."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import openai
import pytest

from codex_backend_sdk._request.instructions import (
    InstructionsPlacement,
    as_message,
    as_parameter,
    has_leading_message,
    requires_parameter,
)
from codex_backend_sdk._request.request_body import PreparedInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

    Bodies = Callable[[], list[dict[str, Any]]]

MODELS = [
    ("gpt-6.2-sol", True),
    ("gpt-6.2", True),
    ("gpt-6.10-terra", True),
    ("gpt-7-luna", True),
    ("gpt-7", True),
    ("gpt-6.1-sol", False),
    ("gpt-6-astra", False),
    ("gpt-5.6-sol", False),
    ("gpt-6.2.1", False),  # another scheme
    ("my-gpt-6.2-sol", False),
    ("gpt-daybreak-blue-latest", False),
    ("codex-auto-review", False),
    ("", False),
    (None, False),
    (5, False),
]


@pytest.mark.parametrize(("model", "expected"), MODELS)
def test_form_depends_on_the_model(model: Any, expected: bool) -> None:
    assert InstructionsPlacement().uses_message(model, "auto") is expected


def test_form_can_be_forced() -> None:
    placement = InstructionsPlacement()
    assert placement.uses_message("gpt-5.5", "message")
    assert not placement.uses_message("gpt-6.2-sol", "parameter")
    placement.record_requirement("gpt-6.2-sol")
    assert not placement.uses_message("gpt-6.2-sol", "auto")
    assert placement.uses_message("gpt-6.2-sol", "message")
    assert placement.uses_message("gpt-6.2-astra", "auto")


def test_requirement_of_the_parameter_is_remembered() -> None:
    placement = InstructionsPlacement()
    placement.record_requirement("gpt-5.5")
    assert placement.is_parameter_required("gpt-5.5")
    assert not placement.is_parameter_required("gpt-6.2-sol")


TEXT = {"type": "input_text", "text": "Be brief."}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"role": "developer", "content": [TEXT]}], True),
        ([{"role": "user", "content": [TEXT]}], False),
        ([{"role": "developer", "content": [TEXT, TEXT]}], False),
        ([{"role": "developer", "content": [{"type": "input_image"}]}], False),
        ([{"role": "developer", "content": "Be brief."}], False),
        ([{"type": "reasoning"}], False),
        ([], False),
    ],
)
def test_leading_message_can_become_the_parameter(items: list[Any], expected: bool) -> None:
    assert has_leading_message({"input": items}) is expected


def test_forms_are_inverse() -> None:
    body = {"model": "m", "instructions": "Be kind.", "input": [{"role": "user", "content": "hi"}], "store": False}
    message = as_message(body)
    assert message == {
        "model": "m",
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
            {"role": "user", "content": "hi"},
        ],
        "store": False,
    }
    assert as_parameter(message) == body
    assert body["input"] == [{"role": "user", "content": "hi"}]


REJECTIONS = [
    (400, "Instructions are required", True),
    (400, "Error code: 400 - {'detail': 'Instructions are required'}", True),
    (400, "Instructions are not valid", False),
    (400, "Custom instructions are required reading", True),
    (500, "Instructions are required", False),
    (None, "Instructions are required", False),
]


@pytest.mark.parametrize(("status", "message", "expected"), REJECTIONS)
def test_missing_parameter_is_recognized(status: int | None, message: str, expected: bool) -> None:
    assert requires_parameter(status, message) is expected


# --- calls -----------------------------------------------------------------------------------------------------------


def placed(body: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return the parameter and the texts of the developer messages of a body."""
    messages = [item["content"][0]["text"] for item in body["input"] if item.get("role") == "developer"]
    return body.get("instructions"), messages


@pytest.mark.parametrize("method", ["create", "parse", "stream", "compact"])
def test_every_method_places_instructions(client: Any, bodies: Bodies, method: str) -> None:
    for model in ("gpt-6.2-sol", "gpt-6.1-sol"):
        result = getattr(client.responses, method)(model=model, input="hi", instructions="Be kind.")
        if method == "stream":
            with result as stream:
                stream.until_done()
    assert [placed(body) for body in bodies()] == [(None, ["Be kind."]), ("Be kind.", [])]
    assert bodies()[0]["input"][0]["role"] == "developer"


def test_default_instructions_are_placed_too(new_client: Any, bodies: Bodies) -> None:
    client = new_client(model="gpt-6.2-sol")
    client.responses.create(input="hi")
    client.responses.create(input="hi", instructions="")
    client.with_options(instructions_as="parameter").responses.create(input="hi", instructions="Be kind.")
    client.with_options(instructions_as="message", model="gpt-5.5").responses.create(input=[], instructions="Be kind.")
    assert [placed(body) for body in bodies()] == [
        (None, ["You are a helpful assistant."]),
        (None, []),
        ("Be kind.", []),
        (None, ["Be kind."]),
    ]


def test_prepared_input_is_not_changed(new_client: Any, bodies: Bodies) -> None:
    client = new_client(transport="http")
    items = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]
    prepared = PreparedInput(items, history="h", generation=0)
    client.responses.create(model="gpt-6.2-sol", input=prepared, instructions="Be kind.")
    assert len(items) == 1
    assert placed(bodies()[0]) == (None, ["Be kind."])


def test_key_does_not_depend_on_the_form(new_client: Any, bodies: Bodies) -> None:
    client = new_client(model="gpt-5.5")
    client.responses.create(input="hi")
    client.with_options(instructions_as="message").responses.create(input="hi")
    assert len({body["prompt_cache_key"] for body in bodies()}) == 1


@pytest.mark.parametrize("method", ["create", "compact"])
def test_required_parameter_is_sent_within_the_call(
    new_client: Any, sim: Simulator, bodies: Bodies, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    client = new_client(model="gpt-6.2-sol", instructions="Be kind.")
    sim.fail("instructions_required")
    with caplog.at_level(logging.INFO, logger="codex_backend_sdk"):
        getattr(client.responses, method)(input="hi")
    client.with_options(timeout=9).responses.create(input="hi")
    client.responses.create(input="hi", model="gpt-6.2-astra")
    assert [placed(body) for body in bodies()] == [
        (None, ["Be kind."]),
        ("Be kind.", []),
        ("Be kind.", []),
        (None, ["Be kind."]),
    ]
    assert len({body["prompt_cache_key"] for body in bodies()[:2]}) == 1
    assert [record.getMessage() for record in caplog.records if "instructions" in record.getMessage()] == [
        "The backend requires the parameter `instructions` for gpt-6.2-sol. This client sends it from now on."
    ]


def test_stream_switches_to_the_parameter(new_client: Any, sim: Simulator, bodies: Bodies) -> None:
    client = new_client(model="gpt-6.2-sol")
    sim.fail("instructions_required")
    stream = client.responses.create(input="hi", stream=True)
    assert [event.type for event in stream][-1] == "response.completed"
    assert len(bodies()) == 2


def test_second_rejection_is_raised(new_client: Any, sim: Simulator, bodies: Bodies) -> None:
    client = new_client(model="gpt-6.2-sol")
    sim.fail("instructions_required", times=2)
    with pytest.raises(openai.BadRequestError, match="Instructions are required"):
        client.responses.create(input="hi")
    assert len(bodies()) == 2


@pytest.mark.parametrize(
    "options", [{"instructions_as": "message"}, {"instructions_as": "parameter"}, {"model": "gpt-5.5"}]
)
def test_rejection_of_another_form_is_raised(
    new_client: Any, sim: Simulator, bodies: Bodies, options: dict[str, Any]
) -> None:
    sim.fail("instructions_required")
    with pytest.raises(openai.BadRequestError, match="Instructions are required"):
        new_client(**{"model": "gpt-6.2-sol", **options}).responses.create(input="hi")
    assert len(bodies()) == 1


def test_invalid_form_is_rejected(new_client: Any) -> None:
    with pytest.raises(ValueError, match="`instructions_as` must be 'auto', 'parameter' or 'message'"):
        new_client(instructions_as="system")


def test_explanation_shows_the_message(client: Any) -> None:
    explanation = client.codex.explain(model="gpt-6.2-sol", input="hi")
    assert any("first message of the input" in finding.what for finding in explanation.findings)
    assert placed(explanation.prepared_request.body) == (None, ["You are a helpful assistant."])
    for parameters in ({"instructions": ""}, {"model": "gpt-5.5"}):
        findings = client.codex.explain(**{"model": "gpt-6.2-sol", "input": "hi", **parameters}).findings
        assert not any("first message" in finding.what for finding in findings)


def test_websocket_switches_to_the_parameter(new_client: Any, sim: Simulator) -> None:
    client = new_client(model="gpt-6.2-sol", instructions="Be kind.", transport="websocket")
    sim.fail("instructions_required")
    assert client.responses.create(input="hi").status == "completed"
    assert [placed(frame.json()) for frame in sim.websocket_frames][-1] == ("Be kind.", [])
