"""Langfuse records the calls of this client."""

from __future__ import annotations

import json

import pytest
from langfuse import Langfuse
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from traced_calls import ERRORS, Recorded, for_each_call, tokens_of_usage

EXPORTER = InMemorySpanExporter()
MISSING = dict.fromkeys([("responses", "failed"), ("chat", "failed")], ("error",))


@pytest.fixture(scope="module")
def langfuse():
    return Langfuse(public_key="pk", secret_key="sk", base_url="http://127.0.0.1:9", span_exporter=EXPORTER)


def read(span, call):
    values = {name.removeprefix("langfuse.observation."): value for name, value in span.attributes.items()}
    # Langfuse records the message of an exception, not its class.
    is_error = values.get("level") == "ERROR" and values.get("status_message")
    return Recorded(
        model=values["model.name"],
        prompt=values["input"],
        tools=values["input"],
        output=values.get("output", ""),
        tokens=tokens_of_usage(json.loads(values.get("usage_details", "{}"))),
        error=ERRORS[call.feature].__name__ if is_error else "",
    )


def test_recipe_calls_the_tool(langfuse, recipe):
    assert recipe.printed == "function_call\n"


@for_each_call(missing=MISSING)
def test_call_is_one_span(langfuse, recipe, sim, call):
    langfuse.flush()
    EXPORTER.clear()
    call.run(sim)
    langfuse.flush()
    call.check([read(span, call) for span in EXPORTER.get_finished_spans()])
