"""Test that the advice of messages is for the interface that the user works with."""

from __future__ import annotations

import ast
from pathlib import Path

import httpx2
import openai
import pytest

import codex_backend_sdk
from codex_backend_sdk._errors import advice
from codex_backend_sdk._errors.advice import Interface, advise, advise_error

PACKAGE = Path(codex_backend_sdk.__file__).parent
TEMPERATURE = (
    "The Codex backend does not support `temperature`. Nothing was sent. Instead of `temperature`, pass "
    "`reasoning={'effort': ...}`. Remove it, or construct the client with `unsupported='drop'`."
)
NO_LOGIN = "There is no login in the file. Log in with client.authenticate() or `codex-backend login`."
NO_MODEL = "This account cannot use the model. List the available models with `client.models.list()`. It has: a."
TOO_LONG = "It is too long. Remove older items from `input`, or shorten them with `client.responses.compact(...)`."
# Phrases of which a part is a value at run time, and advice of `Interface.CHAT`.
COMPOSED = {
    "`reasoning.effort`",
    "`text.verbosity`",
    "`reasoning.effort` or its value. Remove it or change its value.",
    "`reasoning_effort='low'`",
    "`verbosity='low'`",
    ", or construct the client with `unsupported='drop'`",
}


def texts_of_the_package() -> str:
    """Return the constant texts of the package, in which the parts of one message are joined."""
    texts = []
    for path in PACKAGE.rglob("*.py"):
        if path != Path(advice.__file__):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            texts += [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return "\n".join(text for text in texts if isinstance(text, str))


def test_phrases_of_the_table_are_those_of_messages() -> None:
    """If the wording of a message changes, the table no longer rewrites its advice."""
    texts = texts_of_the_package()
    missing = [row.phrase for row in advice._ROWS if row.phrase.strip() not in texts]
    assert set(missing) <= COMPOSED


@pytest.mark.parametrize(
    ("interface", "message", "expected"),
    [
        (Interface.CHAT, TEMPERATURE, "pass `reasoning_effort='low'`. Remove it, or construct the client with"),
        (Interface.SERVER, TEMPERATURE, 'pass `"reasoning": {"effort": "low"}`. Remove it, or start `codex-backend'),
        (Interface.COMMAND, TEMPERATURE, "Remove it."),
        (Interface.LLM, TEMPERATURE, "pass `-o reasoning_effort low`. Remove it."),
        (Interface.CHAT, NO_LOGIN, NO_LOGIN),
        (Interface.COMMAND, NO_LOGIN, "Log in with `codex-backend login`."),
        (Interface.LLM, NO_LOGIN, "Log in with `llm codex login`."),
        (Interface.SERVER, NO_MODEL, "cannot use the model. It has: a."),
        (Interface.COMMAND, NO_MODEL, "`codex-backend models` lists the available models. It has: a."),
        (Interface.LLM, NO_MODEL, "`llm codex models` lists the available models. It has: a."),
        (Interface.COMMAND, TOO_LONG, "too long. Shorten the input."),
        (Interface.LLM, TOO_LONG, "too long. Shorten the prompt, or"),
        (Interface.LLM, "create() got an unexpected keyword argument 'x'", "The option `x` does not exist:"),
        (Interface.LLM, "run `codex-backend batch`", "run `codex-backend batch`"),
        (Interface.COMMAND, "Set `base_url` (CODEX_BASE_URL): x", "Set CODEX_BASE_URL: x"),
    ],
)
def test_advice_is_for_the_interface(interface: Interface, message: str, expected: str) -> None:
    assert expected in advise(message, interface)


def test_chat_advice_becomes_that_of_the_server() -> None:
    """The local server gets the message that the client wrote for a chat completion."""
    text = advise(advise(TEMPERATURE, Interface.CHAT), Interface.SERVER)
    assert 'pass `"reasoning_effort": "low"`' in text


@pytest.mark.parametrize("interface", Interface)
def test_other_text_is_unchanged(interface: Interface) -> None:
    assert advise("The backend ended the response.", interface) == "The backend ended the response."


@pytest.mark.parametrize("interface", [Interface.COMMAND, Interface.LLM, Interface.SERVER])
def test_advice_names_no_python_where_there_is_none(interface: Interface) -> None:
    for text in (TEMPERATURE, NO_MODEL):
        assert "client." not in advise(text, interface)


@pytest.mark.parametrize("error", [ValueError(TEMPERATURE), openai.OpenAIError(TEMPERATURE)])
def test_error_keeps_its_class(error: Exception) -> None:
    error_class = type(error)
    advise_error(error, Interface.LLM)
    assert type(error) is error_class
    assert "-o reasoning_effort low" in str(error)


def test_error_of_openai_has_the_same_message_in_both_places() -> None:
    request = httpx2.Request("POST", "http://127.0.0.1")
    error = openai.APIConnectionError(message=NO_MODEL, request=request)
    advise_error(error, Interface.LLM)
    assert error.message == str(error)
    assert "`llm codex models`" in error.message
