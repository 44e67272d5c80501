"""Langfuse records the calls of this client."""

from __future__ import annotations

import pytest
from langfuse import Langfuse
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from samples import MODEL
from traced_calls import FEATURES, PROMPT, for_each_call, make_call

EXPORTER = InMemorySpanExporter()


@pytest.fixture(scope="module")
def langfuse():
    return Langfuse(public_key="pk", secret_key="sk", base_url="http://127.0.0.1:9", span_exporter=EXPORTER)


@for_each_call(*FEATURES)
def test_span_has_input_tools_model_and_output(langfuse, recipe, feature, mode):
    langfuse.flush()
    EXPORTER.clear()
    make_call(feature, mode)
    langfuse.flush()
    (span,) = (span.attributes for span in EXPORTER.get_finished_spans())
    assert span["langfuse.observation.model.name"] == MODEL
    assert PROMPT in span["langfuse.observation.input"]
    assert span["langfuse.observation.usage_details"]
    if feature == "tool":
        assert "get_weather" in str(span)
    if feature in ("plain", "stream"):
        assert "hello there" in span["langfuse.observation.output"]
