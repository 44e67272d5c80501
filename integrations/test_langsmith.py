"""LangSmith records the calls of this client."""

from __future__ import annotations

import langsmith
from langsmith.wrappers import wrap_openai
from traced_calls import Recorded, for_each_call

FAULTS = dict.fromkeys(
    [("responses", "failed async"), ("chat", "failed async")],
    "langchain-ai/langsmith-sdk#3482: an async stream that fails has no error",
)


class Recorder(langsmith.Client):
    """A client of LangSmith that sends nothing."""

    def __init__(self):
        super().__init__(api_url="http://127.0.0.1:9", api_key="key", auto_batch_tracing=False)
        self.recorded = {}

    def create_run(self, name, inputs, run_type, **details):
        self.recorded[str(details["id"])] = {"inputs": inputs, **details}

    def update_run(self, run_id, **details):
        self.recorded[str(run_id)].update({name: value for name, value in details.items() if value is not None})


def read(run):
    metadata, outputs = run["extra"]["metadata"], run.get("outputs") or {}
    usage = metadata.get("usage_metadata") or outputs.get("usage_metadata") or {}
    return Recorded(
        # A call that names no model is recorded without one, and its output has the model.
        model=metadata.get("ls_model_name") or outputs.get("model"),
        prompt=str(run["inputs"]),
        tools=str(run["inputs"].get("tools")),
        output=str(outputs),
        tokens=(
            usage.get("input_tokens"),
            usage.get("output_tokens"),
            usage.get("input_token_details", {}).get("cache_read"),
            usage.get("output_token_details", {}).get("reasoning"),
        ),
        error=str(run.get("error")),
    )


def test_recipe_calls_the_tool(recipe):
    assert recipe.printed == "function_call\n"


@for_each_call(FAULTS)
def test_call_is_one_run(sim, call):
    recorder = Recorder()
    with langsmith.tracing_context(enabled=True, client=recorder):
        call.run(sim, wrap=wrap_openai, has_official_stream=False)
    call.check([read(run) for run in recorder.recorded.values()])
