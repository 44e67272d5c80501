"""Sentry records the calls of this client."""

from __future__ import annotations

import pytest
import sentry_sdk
from sentry_sdk.integrations.openai import OpenAIIntegration
from sentry_sdk.transport import Transport
from traced_calls import Recorded, for_each_call

NO_PARSE = "getsentry/sentry-python#5401: `parse` is not recorded"
NO_FAILED_STREAM = "getsentry/sentry-python#4861: a stream that fails is not recorded"
FAULTS = {
    ("responses", "structured"): NO_PARSE,
    ("chat", "structured"): NO_PARSE,
    ("responses", "failed"): NO_FAILED_STREAM,
    ("chat", "failed"): NO_FAILED_STREAM,
}


class Recorder(Transport):
    """A transport that sends nothing."""

    spans = []  # noqa: RUF012
    errors = []  # noqa: RUF012

    def capture_envelope(self, envelope):
        for item in envelope.items:
            if item.type == "span":
                self.spans += [read_attributes(span) for span in item.payload.json["items"]]
            elif item.type == "event":
                self.errors += [error["type"] for error in item.payload.json["exception"]["values"]]


def read_attributes(span):
    return {name: attribute["value"] for name, attribute in span["attributes"].items()}


@pytest.fixture
def recorder(sim):
    Recorder.spans.clear()
    Recorder.errors.clear()
    sentry_sdk.init(
        "http://key@127.0.0.1:9/1",
        transport=Recorder,
        traces_sample_rate=1.0,
        send_default_pii=True,
        default_integrations=False,
        integrations=[OpenAIIntegration()],
    )
    yield Recorder
    sentry_sdk.get_client().close()


def read(values, errors):
    usage = ("input_tokens", "output_tokens", "input_tokens.cached", "output_tokens.reasoning")
    return Recorded(
        model=values["gen_ai.request.model"],
        prompt=values["gen_ai.request.messages"],
        tools=values.get("gen_ai.tool.definitions", ""),
        output=str([values.get("gen_ai.response.text"), values.get("gen_ai.response.tool_calls")]),
        tokens=tuple(values.get(f"gen_ai.usage.{name}") for name in usage),
        error=str(errors),
    )


def test_recipe_calls_the_tool(recipe):
    assert recipe.printed == "function_call\n"


@for_each_call(FAULTS)
def test_call_is_one_span(recorder, sim, call):
    with sentry_sdk.start_transaction(name="test"):
        call.run(sim)
    call.check([read(values, recorder.errors) for values in recorder.spans])
