"""LangSmith records the calls of this client."""

from __future__ import annotations

import langsmith
from langsmith.wrappers import wrap_openai
from samples import MODEL
from traced_calls import FEATURES, PROMPT, for_each_call, make_call


class Recorder(langsmith.Client):
    """A client of LangSmith that sends nothing."""

    def __init__(self):
        super().__init__(api_url="http://127.0.0.1:9", api_key="key", auto_batch_tracing=False)
        self.recorded = {}

    def create_run(self, name, inputs, run_type, **details):
        self.recorded[str(details["id"])] = {"inputs": inputs, **details}

    def update_run(self, run_id, **details):
        self.recorded[str(run_id)].update({name: value for name, value in details.items() if value is not None})


def test_recipe_prints_the_text(recipe):
    assert recipe.printed == "hello\n"


@for_each_call(*FEATURES)
def test_run_has_input_tools_model_and_output(sim, feature, mode):
    recorder = Recorder()
    with langsmith.tracing_context(enabled=True, client=recorder):
        make_call(feature, mode, wrap=wrap_openai)
    (run,) = recorder.recorded.values()
    assert run["extra"]["metadata"]["ls_model_name"] == MODEL
    assert PROMPT in str(run["inputs"])
    assert run["outputs"]
    if feature == "tool":
        assert "get_weather" in str(run["inputs"])
    if feature in ("plain", "stream"):
        assert "hello there" in str(run["outputs"])
