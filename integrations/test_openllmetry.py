"""OpenLLMetry records the calls of this client."""

from __future__ import annotations

from samples import MODEL
from traced_calls import FEATURES, PROMPT, for_each_call, in_memory_exporter, make_call

EXPORTER = in_memory_exporter()


def test_recipe_records_the_model(recipe):
    span = EXPORTER.get_finished_spans()[-1].attributes
    assert span["gen_ai.request.model"] == MODEL


@for_each_call(*FEATURES)
def test_span_has_input_tools_model_and_output(recipe, feature, mode):
    EXPORTER.clear()
    make_call(feature, mode)
    (span,) = (span.attributes for span in EXPORTER.get_finished_spans())
    assert span["gen_ai.request.model"] == MODEL
    assert PROMPT in span["gen_ai.input.messages"]
    assert span["gen_ai.usage.output_tokens"] > 0
    if feature == "tool":
        assert "get_weather" in span["gen_ai.tool.definitions"]
    if feature in ("plain", "stream"):
        assert "hello there" in span["gen_ai.output.messages"]
