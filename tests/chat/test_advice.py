"""Test that errors of chat completions name parameters of Chat Completions, before a request and from the backend."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.resources.chat.completions import Completions

import codex_backend_sdk as sdk
from codex_backend_sdk._chat.parameters import PARAMETERS, Treatment
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

MESSAGES = [{"role": "user", "content": "hi"}]
# Terms of Responses that no advice for a chat completion may contain.
RESPONSES_WORDS = re.compile(r"`reasoning=|`text=|`instructions`|`input`|client\.responses|reasoning\.effort")


def create(client: Any, **parameters: Any) -> Any:
    return client.chat.completions.create(**{"model": "gpt-5.5", "messages": MESSAGES, **parameters})


def message_of(client: Any, **parameters: Any) -> str:
    with pytest.raises((openai.OpenAIError, TypeError, ValueError)) as caught:
        create(client, **parameters)
    assert getattr(caught.value, "message", str(caught.value)) == str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "advice"),
    [
        ({"temperature": 0.2}, "Instead of `temperature`, pass `reasoning_effort='low'`."),
        ({"top_p": 0.2}, "pass `reasoning_effort='low'`"),
        ({"max_tokens": 9}, "pass `verbosity='low'` for a short response"),
        ({"max_completion_tokens": 9}, "pass `verbosity='low'` for a short response"),
        ({"presence_penalty": 1}, "describe the style in a system message"),
        ({"extra_body": {"previous_response_id": "resp_1"}}, "pass the earlier messages in `messages`."),
        ({"extra_body": {"conversation": "conv_1"}}, "pass the earlier messages in `messages`:"),
        ({"extra_body": {"prompt": {"id": "p"}}}, "pass the text in `messages`:"),
        ({"tools": [{"name": "f"}]}, "{'type': 'function', 'function': {'name': ..., 'parameters': {...}}}"),
        ({"tools": [print]}, "{'type': 'function', 'function': {'name': ..., 'parameters': {...}}}"),
    ],
)
def test_advice_before_a_request_names_chat_parameters(
    client: Any, sim: Simulator, parameters: dict[str, Any], advice: str
) -> None:
    message = message_of(client, **parameters)
    assert advice in message
    assert not RESPONSES_WORDS.search(message)
    assert sim.requests == []


@pytest.mark.parametrize("name", [name for name, row in PARAMETERS.items() if row.treatment is Treatment.SHARED])
def test_advice_for_each_parameter_is_an_argument(new_client: Any, name: str) -> None:
    """Each NAME in the advice `pass NAME=...` is an argument of `create`."""
    arguments = inspect.signature(Completions.create).parameters
    with new_client(unsupported="raise") as client:
        try:
            create(client, **{name: "x"})
        except sdk.CodexBackendUnsupportedParameterError as error:
            message = str(error)
        except openai.OpenAIError:  # the parameter is sent, and the simulator refuses its value
            return
        else:
            return
    assert not RESPONSES_WORDS.search(message)
    assert {match[1] for match in re.finditer(r"pass `(\w+)=", message)} <= arguments.keys()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("turn", "advice"),
    [
        (Turn.failed("context_length_exceeded"), "Remove older messages from `messages`."),
        (Turn.failed("invalid_encrypted_content"), "Remove `reasoning_details` from the messages"),
        (
            Turn.error(400, {"error": {"code": "unsupported_value", "param": "reasoning.effort"}}),
            "does not support `reasoning_effort` or its value",
        ),
    ],
)
def test_advice_for_an_error_of_the_backend_names_messages(
    client: Any, sim: Simulator, turn: Any, advice: str, stream: bool
) -> None:
    sim.script(turn)
    with pytest.raises(openai.OpenAIError) as caught:
        list(create(client, stream=stream))
    assert advice in str(caught.value)
    assert not RESPONSES_WORDS.search(str(caught.value))
