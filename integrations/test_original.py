"""Version 0.2.0 of codex-backend-sdk, a different program of this name, on the simulator."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from samples import EXTRACT, MODEL, QUESTION, WEATHER, Person

NOT_APPLICABLE = {
    (feature, "async"): "the library has no async client" for feature in ("plain", "stream", "tool", "structured")
}
TIMEOUT_SECONDS = 60
# The arguments are the tokens and the address of the simulator. The last line of `code` sets `result`.
SCRIPT = """
import json, sys
from codex_backend_sdk import codex_client
from codex_backend_sdk.storage import TokenStore
tokens, codex_client.BASE_URL, codex_client.WHAM_BASE_URL, values = map(json.loads, sys.argv[1:5])
client = codex_client.CodexClient(store=TokenStore.from_exchange(**tokens))
exec(sys.argv[5])
print(json.dumps(result))
"""


@pytest.fixture
def run(sim, tmp_path):
    """Run code with `client` and these values in the environment of the original, and return its `result`."""
    login = sim.login_document()["tokens"]
    tokens = {name: login[name] for name in ("access_token", "refresh_token", "id_token")}

    def run_code(code, **values):
        arguments = [json.dumps(value) for value in (tokens, sim.base_url, f"{sim.chatgpt_url}/wham", values)]
        done = subprocess.run(
            [os.environ["INTEGRATION_SEPARATE_PYTHON"], "-c", SCRIPT, *arguments, code],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:9"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run_code


@pytest.mark.covers("plain", "sync")
def test_response_has_the_text(run):
    code = "result = client.responses.create(model=values['model'], input='Say hello').output_text"
    assert run(code, model=MODEL) == "hello"


@pytest.mark.covers("stream", "sync")
def test_stream_has_the_text(run):
    code = """
events = client.responses.create(model=values["model"], input="Say hello there", stream=True)
result = "".join(event.delta for event in events if event.type == "response.output_text.delta")
"""
    assert run(code, model=MODEL) == "hello there"


@pytest.mark.covers("tool", "sync")
def test_tool_is_called_and_its_output_sent(run):
    code = """
question = {"role": "user", "content": values["question"]}
first = client.responses.create(model=values["model"], input=[question], tools=[values["tool"]])
call = next(item for item in first.output if item["type"] == "function_call")
output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny in Paris"}
history = [question, call, output]
result = client.responses.create(model=values["model"], input=history, tools=[values["tool"]]).output_text
"""
    assert "sunny in Paris" in run(code, model=MODEL, question=QUESTION, tool=WEATHER)


@pytest.mark.covers("structured", "sync")
def test_schema_is_followed(run):
    schema = {**Person.model_json_schema(), "additionalProperties": False}
    text = {"format": {"type": "json_schema", "name": "person", "schema": schema, "strict": True}}
    code = "result = client.responses.create(**values).output_text"
    Person.model_validate_json(run(code, model=MODEL, input=EXTRACT, text=text))
