"""The plugin of this package for llm. llm finds it by its entry point."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time

import llm
import pytest
from pages import ROOT
from samples import EXTRACT, MODEL, QUESTION, Person, get_weather

from codex_backend_sdk import CodexBackendUnsupportedParameterError, ModelNotAvailableError
from codex_backend_sdk.llm_plugin import llm_models
from codex_backend_sdk.testing import SimulatedAccount, Turn
from codex_backend_sdk.testing.parsed_request import encode_encrypted_content

ACCOUNT = SimulatedAccount().account_id
MODEL_ID = f"codex/{MODEL}"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def reasoning(number, text=None):
    summary = [] if text is None else [{"type": "summary_text", "text": text}]
    secret = encode_encrypted_content(account=ACCOUNT, model=MODEL, number=number)
    return {"type": "reasoning", "id": f"rs_{number}", "summary": summary, "encrypted_content": secret}


def message(text, *, number=1, phase="final_answer"):
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": f"msg_{number}", "role": "assistant", "phase": phase, "content": content}


def weather_call(arguments='{"city":"Paris"}', *, call_id="call_1"):
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": "get_weather", "arguments": arguments}


@pytest.fixture(autouse=True)
def folders(sim, tmp_path, monkeypatch):
    """Keep the log of llm and the catalog in the folder of the test, and connect to its simulator."""
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "llm"))
    monkeypatch.setenv("CODEX_BACKEND_DATA", str(tmp_path / "data"))
    yield
    llm_models.sync_client.cache_clear()
    llm_models.async_client.cache_clear()


@pytest.fixture
def model(sim):
    return llm.get_model(MODEL_ID)


@pytest.fixture
def async_model(sim):
    return llm.get_async_model(MODEL_ID)


def run_llm(*arguments, check=True):
    command = [sys.executable, "-W", "error::ResourceWarning", "-m", "llm", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    assert (done.returncode == 0) == check, done.stderr
    assert "Traceback" not in done.stderr
    return done


def sent_input(sim):
    return sim.model_requests[-1].body["input"]


# --- the five columns


@pytest.mark.covers("plain", "sync")
def test_prompt_returns_the_text(model):
    assert model.prompt("Say hello", stream=False).text() == "hello"


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(model):
    chunks = [*model.prompt("Say hello there")]
    assert len(chunks) > 1
    assert "".join(chunks) == "hello there"


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool(recipe):
    assert "sunny in" in recipe.printed


@pytest.mark.covers("structured", "sync")
def test_schema_is_followed(model, sim):
    Person.model_validate(json.loads(model.prompt(EXTRACT, schema=Person).text()))
    assert sim.model_requests[-1].body["text"]["format"]["strict"] is False


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
@pytest.mark.covers("structured", "async")
async def test_async_model_does_the_same(async_model):
    assert await async_model.prompt("Say hello", stream=False).text() == "hello"
    assert "".join([chunk async for chunk in async_model.prompt("Say hello there")]) == "hello there"
    assert "sunny in" in await async_model.chain(QUESTION, tools=[get_weather]).text()
    Person.model_validate(json.loads(await async_model.prompt(EXTRACT, schema=Person).text()))


# --- what a continued conversation sends


@pytest.mark.parametrize("stream", [True, False])
def test_reply_sends_the_items_of_the_response(model, sim, stream):
    """Two items of reasoning, commentary, and a call whose arguments have a spelling of their own."""
    items = [
        reasoning(1, "First."),
        reasoning(2),
        message("I look it up.", phase="commentary"),
        weather_call('{"city":  "Paris"}'),
    ]
    sim.script(Turn.items(*items), "It is sunny.", "You are welcome.")
    chain = model.chain(QUESTION, tools=[get_weather], stream=stream)
    assert chain.text() == "It is sunny."
    output = {"type": "function_call_output", "call_id": "call_1", "output": "sunny in Paris"}
    question, *sent = sent_input(sim)
    assert question["role"] == "user"
    for item in (*sent, *items):
        for part in item.get("content") or ():
            part.pop("annotations", None)
    assert sent == [*items, output]


def test_log_keeps_what_a_continued_conversation_sends(sim):
    items = [reasoning(1, "Thought."), message("Hello.")]
    sim.script(Turn.items(*items), "Again.")
    run_llm("-m", MODEL_ID, "Say hello", "-s", "Be short")
    run_llm("-c", "And again")
    developer, question, *sent, _ = sent_input(sim)
    assert [developer["role"], question["role"]] == ["developer", "user"]
    assert [item.get("encrypted_content") for item in sent] == [items[0]["encrypted_content"], None]
    assert sent[1]["id"] == "msg_1"


def test_reasoning_of_another_model_is_left_out(model, sim):
    sim.script(Turn.items(reasoning(1), message("Hello.")), "Again.")
    first = model.prompt("Say hello")
    messages = [*first.prompt.messages, *first.messages()]
    llm.get_model("codex").prompt("And again", messages=messages, model="gpt-5.5").text()
    assert [item["type"] for item in sent_input(sim)] == ["message", "message", "message"]


def test_reasoning_that_cannot_be_read_is_left_out(model, sim):
    sim.script(Turn.items(reasoning(1), message("Hello.")), Turn.api_error("invalid_encrypted_content"), "Again.")
    assert model.prompt("Say hello").reply("And again").text() == "Again."
    assert [item["type"] for item in sent_input(sim)] == ["message", "message", "message"]


def test_call_without_a_result_gets_one(model, sim):
    sim.script(Turn.items(weather_call()), "Sorry.")
    cancelled = model.prompt(QUESTION, tools=[get_weather])
    messages = [*cancelled.prompt.messages, *cancelled.messages(), llm.user("Never mind")]
    assert model.prompt(messages=messages).text() == "Sorry."
    assert [item["type"] for item in sent_input(sim)] == [
        "message", "function_call", "function_call_output", "message",
    ]  # fmt: skip


def test_web_search_is_sent_back(model, sim):
    sim.script(Turn.web_search("tides", "The Moon.", {"https://example.com/tides": "Tides"}), "Yes.")
    first = model.prompt("What causes tides?", web_search=True)
    assert first.tool_calls() == []
    assert [part.name for part in first.messages()[0].parts if hasattr(part, "server_executed")] == ["web_search"] * 2
    first.reply("Sure?").text()
    assert [item["type"] for item in sent_input(sim)] == ["message", "web_search_call", "message", "message"]


def test_edited_history_is_sent_as_edited(model, sim):
    sim.script(Turn.items(message("Hello."), weather_call()), "Done.")
    first = model.prompt(QUESTION, tools=[get_weather])
    messages = [*first.prompt.messages, *first.messages()]
    text, call = messages[-1].parts
    text.text = "Hi."
    call.arguments = {"city": "Rome"}
    model.prompt("Go on", messages=messages).text()
    assert sent_input(sim)[1]["content"][0]["text"] == "Hi."
    assert json.loads(sent_input(sim)[2]["arguments"]) == {"city": "Rome"}


@pytest.mark.parametrize("way", ["conversation", "reply", "messages"])
def test_cache_key_is_the_same_within_a_conversation(model, sim, way):
    """llm knows the conversation in the first case only."""
    if way == "conversation":
        conversation = model.conversation()
        for text in ("First", "Second"):
            conversation.prompt(text).text()
    elif way == "reply":
        model.prompt("First").reply("Second").text()
    else:
        first = model.prompt("First")
        model.prompt("Second", messages=[*first.prompt.messages, *first.messages()]).text()
    model.prompt("Unrelated").text()
    keys = [request.body["prompt_cache_key"] for request in sim.model_requests]
    assert keys[0] == keys[1] != keys[2]
    assert [request.headers["session-id"] for request in sim.model_requests] == keys


# --- options


def test_options_become_parameters(model, sim):
    options = {
        "reasoning_effort": "high",
        "reasoning_summary": "concise",
        "verbosity": "low",
        "service_tier": "fast",
        "prompt_cache_key": "big-doc",
        "parallel_tool_calls": False,
    }
    model.prompt("Say hello", tools=[get_weather], options=options).text()
    body = sim.model_requests[-1].body
    assert body["reasoning"] == {"effort": "high", "summary": "concise"}
    assert body["text"] == {"verbosity": "low"}
    assert body["service_tier"] == "priority"
    assert body["prompt_cache_key"] == sim.model_requests[-1].headers["session-id"] == "big-doc"
    assert body["parallel_tool_calls"] is False


def test_hidden_reasoning_is_not_requested(model, sim):
    model.prompt("Say hello", hide_reasoning=True).text()
    assert "summary" not in sim.model_requests[-1].body.get("reasoning", {})


def test_other_parameters_are_passed_on(sim):
    run_llm(
        "-m", MODEL_ID, "Say hello", "-o", "tool_choice", "none", "-o", "include", '["reasoning.encrypted_content"]'
    )
    assert sim.model_requests[-1].body["include"] == ["reasoning.encrypted_content"]


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("reasoning_effort", "minimal", "Input should be 'none', 'low', 'medium', 'high', 'xhigh' or 'max'"),
        ("temperature", "0.5", "Instead of `temperature`, pass `-o reasoning_effort low`. Remove it.\n"),
        ("max_output_tokens", "9", "pass `-o verbosity low`"),
        ("max_tokens", "9", "lists the options. Pass `-o verbosity low`"),
        ("previous_response_id", "resp_1", "continue the conversation with `llm -c`"),
        ("verbosty", "low", "The option `verbosty` does not exist: `llm models -q codex --options` lists"),
        ("timeout", "0", "greater than 0"),
    ],
)
def test_wrong_options_are_refused_before_a_request(sim, option, value, problem):
    assert problem in run_llm("-m", MODEL_ID, "-o", option, value, "Say hello", check=False).stderr
    assert sim.model_requests == []


def test_efforts_are_those_of_the_model(sim):
    run_llm("codex", "models")
    assert "or 'xhigh'" in run_llm("-m", "codex/gpt-5.5", "-o", "reasoning_effort", "max", "x", check=False).stderr
    run_llm("-m", "codex/gpt-5.6-luna", "-o", "reasoning_effort", "max", "Say hello")


@pytest.mark.parametrize("detail", [None, "low", "original"])
def test_image_has_the_chosen_detail(model, sim, detail):
    options = {} if detail is None else {"image_detail": detail}
    model.prompt("Describe it", attachments=[llm.Attachment(content=PNG)], options=options).text()
    text, image = sent_input(sim)[0]["content"]
    assert (text["type"], image["type"]) == ("input_text", "input_image")
    assert image["image_url"].startswith("data:image/png;base64,")
    assert image.get("detail") == detail


def test_pdf_becomes_a_file(model, sim):
    model.prompt("Summarize it", attachments=[llm.Attachment(content=b"%PDF-1.4\n", type="application/pdf")]).text()
    file = sent_input(sim)[0]["content"][1]
    assert file["type"] == "input_file"
    assert file["file_data"].startswith("data:application/pdf;base64,")


@pytest.mark.parametrize(
    ("arguments", "tool"),
    [
        (["-T", "WebSearch"], {"type": "web_search"}),
        (
            ["-T", 'ServerSideTool({"spec": {"type": "web_search", "search_context_size": "low"}})'],
            {"search_context_size": "low"},
        ),
        (["-o", "web_search", "1", "-o", "web_search_live", "1"], {"external_web_access": True}),
        (["-T", "WebSearch", "-o", "web_search", "1", "-o", "web_search_live", "1"], {"type": "web_search"}),
    ],
)
def test_web_search_is_one_tool(sim, arguments, tool):
    run_llm("-m", MODEL_ID, "Say hello", *arguments)
    [sent] = sim.model_requests[-1].body["tools"]
    assert tool.items() <= sent.items()
    assert sent["type"] == "web_search"


# --- what the user sees


def test_only_the_answer_is_on_standard_output(sim):
    items = [
        reasoning(1, "Thinking."),
        message("I look it up.", phase="commentary"),
        reasoning(2, "Done."),
        message("The answer.", number=2),
    ]
    sim.script(Turn.items(*items))
    done = run_llm("-m", MODEL_ID, "Ask")
    assert done.stdout == "The answer.\n"
    assert done.stderr.split() == ["Thinking.", "I", "look", "it", "up.", "Done."]


def test_tool_name_is_reported_before_its_arguments(model, sim):
    sim.script(Turn.items(weather_call()))
    events = [event.type for event in model.prompt(QUESTION, tools=[get_weather]).stream_events()]
    assert events[0] == "tool_call_name"
    assert events.count("tool_call_args") > 1


def test_usage_and_resolved_model_are_recorded(model, sim):
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 64},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 8},
        "total_tokens": 120,
    }
    sim.script(Turn.items(message("Hello."), usage=usage))
    response = llm.get_model("codex/auto").prompt("Say hello")
    recorded = response.usage()
    assert (recorded.input, recorded.output) == (100, 20)
    assert recorded.details["input_tokens_details"] == {"cached_tokens": 64}
    assert recorded.details["output_tokens_details"] == {"reasoning_tokens": 8}
    assert response.resolved_model == "gpt-6.2-sol"


@pytest.mark.parametrize(
    ("turn", "problem"),
    [
        (Turn.incomplete("content_filter", text="The be"), "The response is incomplete: content_filter"),
        (Turn.failed("invalid_prompt"), "usage policy"),
        (Turn.error_event("context_length_exceeded"), "context window"),
    ],
)
def test_failed_response_is_an_error(sim, turn, problem):
    sim.script(turn)
    assert problem in run_llm("-m", MODEL_ID, "Ask", check=False).stderr


def test_abandoned_stream_closes_its_connection(model, sim):
    sim.script(Turn.text("word " * 2000).throttled(500, 0.02))
    stream = iter(model.prompt("Ask"))
    next(stream)
    started = time.monotonic()
    stream.close()
    assert time.monotonic() - started < 30
    assert model.prompt("Say hello").text() == "hello"


# --- the catalog and the commands


def test_start_of_llm_sends_no_request(sim):
    listed = run_llm("models", "-q", "codex").stdout
    assert "codex/auto" in listed
    assert f"{MODEL_ID} (aliases: codex)" in listed
    assert sim.requests == []


def test_prompt_keeps_the_catalog_for_the_next_start(sim):
    run_llm("-m", "codex", "Say hello")
    listed = run_llm("models", "-q", "codex").stdout
    assert "codex/gpt-5.6-luna" in listed
    assert "codex/codex-auto-review" in listed, "hidden models can be named"
    run_llm("-m", "codex", "Say hello")
    assert [request.path.rpartition("/")[2] for request in sim.requests] == ["responses", "models", "responses"]


@pytest.mark.anyio
async def test_async_prompt_keeps_the_catalog(async_model, sim):
    await async_model.prompt("Say hello").text()
    await async_model.prompt("Say hello").text()
    assert [request.path.rpartition("/")[2] for request in sim.requests] == ["responses", "models", "responses"]


def test_model_that_is_not_listed_can_be_named(sim):
    done = run_llm("-m", "codex", "-o", "model", "gpt-9", "Say hello", check=False)
    assert "Available models: gpt-6.2-sol" in done.stderr


@pytest.mark.parametrize(
    ("command", "text"),
    [("usage", "% used"), ("models", "codex-auto-review"), ("status", "user@example.com"), ("doctor", "login")],
)
def test_command_is_the_one_of_codex_backend(sim, command, text):
    arguments = ["--all"] if command == "models" else []
    assert text in run_llm("codex", command, *arguments).stdout


def test_login_is_the_one_of_the_codex_cli(sim, tmp_path):
    """`CODEX_HOME` has the login that the Codex CLI would have stored."""
    assert str(tmp_path / "codex" / "auth.json") in " ".join(run_llm("codex", "status").stdout.split())
    os.remove(tmp_path / "codex" / "auth.json")
    for arguments in (["-m", "codex", "Say hello"], ["codex", "usage"]):
        error = run_llm(*arguments, check=False).stderr
        assert "`llm codex login`" in error
        assert "client." not in error


def test_error_of_a_prompt_keeps_its_class(sim, model):
    with pytest.raises(ModelNotAvailableError, match="`llm codex models` lists the available models") as caught:
        model.prompt("Say hello", options={"model": "gpt-9"}).text()
    assert "gpt-5.5" in caught.value.available
    assert "client." not in str(caught.value)


@pytest.mark.anyio
async def test_errors_of_async_models_name_options(sim, async_model):
    with pytest.raises(CodexBackendUnsupportedParameterError, match="pass `-o reasoning_effort low`"):
        await async_model.prompt("Say hello", options={"top_p": 0.5}).text()


def test_unknown_command_is_an_error(sim):
    assert "Did you mean 'usage'" in run_llm("codex", "usge", check=False).stderr


def test_page_names_every_option(sim):
    text = (ROOT / "docs" / "llm.md").read_text(encoding="utf-8")
    options = llm.get_model(MODEL_ID).Options.model_fields
    assert [name for name in options if f"| `{name}` |" not in text] == []
