"""Logfire records the calls of this client: of all clients, or of one.

A stream has a span for its request, and a log record at its end with the output and the tokens.
"""

from __future__ import annotations

import json

import logfire
import pytest
from logfire.testing import TestExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from traced_calls import Recorded, for_each_call, tokens_of_usage


@pytest.fixture
def exporter():
    exporter = TestExporter()
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(exporter)])
    return exporter


def read(exporter, call):
    """Return the spans, each with the attributes of the record at the end of its stream."""
    records = exporter.exported_spans_as_dict()
    spans = [record for record in records if record["attributes"]["logfire.span_type"] == "span"]
    if call.is_streamed:
        (log,) = (record for record in records if record["attributes"]["logfire.span_type"] == "log")
        assert log["attributes"]["logfire.msg"].startswith("streaming response from")
        return [_read(spans[0]["attributes"], log)] + [_read(span["attributes"], span) for span in spans[1:]]
    return [_read(span["attributes"], span) for span in spans]


def _read(attributes, end):
    values = {**attributes, **end["attributes"]}
    return Recorded(
        model=values["gen_ai.request.model"],
        prompt=json.dumps(values["gen_ai.input.messages"]),
        tools=json.dumps(values.get("gen_ai.tool.definitions")),
        output=json.dumps(values.get("gen_ai.output.messages")),
        tokens=tokens_of_usage(json.loads(values.get("gen_ai.usage.raw", "{}"))),
        error=str(end.get("events")),
    )


@for_each_call()
def test_call_of_one_client_is_one_span(sim, exporter, call):
    """This test is the first of the file, because the recipe instruments all clients."""
    call.run(sim, wrap=instrumented)
    call.check(read(exporter, call))


def instrumented(client):
    logfire.instrument_openai(client)
    return client


def test_recipe_calls_the_tool(recipe):
    assert recipe.printed == "function_call\n"


@for_each_call()
def test_call_is_one_span(recipe, exporter, sim, call):
    call.run(sim)
    call.check(read(exporter, call))
