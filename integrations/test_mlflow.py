"""MLflow records the calls of this client."""

from __future__ import annotations

import json
import os

# Before the import, which sends the first event.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"

import mlflow
import pytest
from traced_calls import Recorded, for_each_call, tokens_of_usage


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The store of all tests: making one takes seconds."""
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/traces.db")
    mlflow.openai.autolog()
    return set()


def new_spans(known):
    """Return the spans of the traces that are not known yet."""
    traces = [trace for trace in mlflow.search_traces(return_type="list") if trace.info.trace_id not in known]
    known.update(trace.info.trace_id for trace in traces)
    return [span for trace in traces for span in trace.data.spans]


def read(span):
    outputs = span.outputs or {}
    return Recorded(
        model=span.attributes["mlflow.llm.model"],
        prompt=json.dumps(span.inputs),
        tools=json.dumps(span.inputs.get("tools")),
        output=json.dumps(outputs),
        tokens=tokens_of_usage(outputs.get("usage") or {}),
        error=str([event.attributes.get("exception.type") for event in span.events]),
    )


@for_each_call()
def test_call_is_one_span(store, sim, call):
    new_spans(store)
    call.run(sim)
    call.check([read(span) for span in new_spans(store)])


def test_recipe_calls_the_tool(recipe):
    """This test is the last of the file, because the recipe has a store of its own."""
    assert recipe.printed == "function_call\n"
    (span,) = new_spans(set())
    assert "get_weather" in read(span).tools
