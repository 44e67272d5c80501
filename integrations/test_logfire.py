"""Logfire records the calls of this client: of all clients, or of one."""

from __future__ import annotations

import json

import logfire
import pytest
from logfire.testing import TestExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from samples import MODEL
from traced_calls import FEATURES, PROMPT, for_each_call, make_call


@pytest.fixture
def exporter():
    exporter = TestExporter()
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(exporter)])
    return exporter


def assert_recorded(spans, feature):
    """Check the span of the request and, for a stream, the record that follows its end."""
    first, last = (span["attributes"] for span in (spans[0], spans[-1]))
    assert first["gen_ai.request.model"] == MODEL
    assert PROMPT in json.dumps(first["gen_ai.input.messages"])
    assert last["gen_ai.usage.output_tokens"] > 0
    if feature == "tool":
        assert "get_weather" in first["gen_ai.tool.definitions"]
    if feature in ("plain", "stream"):
        assert "hello there" in json.dumps(last["gen_ai.output.messages"])
    if feature == "stream":
        assert last["logfire.msg"].startswith("streaming response from")


@for_each_call(*FEATURES)
def test_one_client_is_recorded(sim, exporter, feature, mode):
    """This test is the first of the file, because the recipe instruments all clients."""
    make_call(feature, mode, wrap=instrumented)
    assert_recorded(exporter.exported_spans_as_dict(), feature)


def instrumented(client):
    logfire.instrument_openai(client)
    return client


def test_recipe_prints_the_text(recipe):
    assert recipe.printed == "hello\n"


@for_each_call(*FEATURES)
def test_all_clients_are_recorded(recipe, exporter, feature, mode):
    make_call(feature, mode)
    assert_recorded(exporter.exported_spans_as_dict(), feature)
