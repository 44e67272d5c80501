"""OpenInference records the calls of this client."""

from __future__ import annotations

from samples import MODEL
from traced_calls import FEATURES, PROMPT, for_each_call, in_memory_exporter, make_call

EXPORTER = in_memory_exporter()


def test_recipe_records_the_model(recipe):
    assert EXPORTER.get_finished_spans()[-1].attributes["llm.model_name"] == MODEL


@for_each_call(*FEATURES)
def test_span_has_input_tools_model_and_output(recipe, feature, mode):
    EXPORTER.clear()
    make_call(feature, mode)
    (span,) = (span.attributes for span in EXPORTER.get_finished_spans())
    assert span["llm.model_name"] == MODEL
    assert PROMPT in span["input.value"]
    assert any(PROMPT in str(value) for name, value in span.items() if name.startswith("llm.input_messages"))
    assert span["llm.token_count.completion"] > 0
    if feature == "tool":
        assert "get_weather" in span["llm.tools.0.tool.json_schema"]
    if feature in ("plain", "stream"):
        assert "hello there" in span["output.value"]
