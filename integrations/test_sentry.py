"""Sentry records the calls of this client."""

from __future__ import annotations

import pytest
import sentry_sdk
from samples import MODEL
from sentry_sdk.integrations.openai import OpenAIIntegration
from sentry_sdk.transport import Transport
from traced_calls import PROMPT, for_each_call, make_call

NOT_APPLICABLE = {("structured", mode): "Sentry does not record `parse`" for mode in ("sync", "async")}


class Recorder(Transport):
    """A transport that sends nothing."""

    spans = []  # noqa: RUF012

    def capture_envelope(self, envelope):
        for item in envelope.items:
            if item.type == "span":
                self.spans += [read_attributes(span) for span in item.payload.json["items"]]


def read_attributes(span):
    return {name: attribute["value"] for name, attribute in span["attributes"].items()}


@pytest.fixture
def spans(sim):
    Recorder.spans.clear()
    sentry_sdk.init(
        "http://key@127.0.0.1:9/1",
        transport=Recorder,
        traces_sample_rate=1.0,
        send_default_pii=True,
        default_integrations=False,
        integrations=[OpenAIIntegration()],
    )
    yield Recorder.spans
    sentry_sdk.get_client().close()


def test_recipe_prints_the_text(recipe):
    assert recipe.printed == "hello\n"


@for_each_call("plain", "stream", "tool")
def test_span_has_input_tools_model_and_output(spans, feature, mode):
    with sentry_sdk.start_transaction(name="test"):
        make_call(feature, mode)
    (span,) = spans
    assert span["gen_ai.request.model"] == MODEL
    assert PROMPT in span["gen_ai.request.messages"]
    if feature == "tool":
        assert "get_weather" in str(span)
    if feature in ("plain", "stream"):
        assert "hello there" in str(span["gen_ai.response.text"])
