"""The instrumentation of the OpenTelemetry project records the calls of this client."""

from __future__ import annotations

import os

from traced_calls import for_each_call, in_memory_exporter, read_genai_span

os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
EXPORTER = in_memory_exporter()


def read(span):
    return read_genai_span(span, reasoning_tokens="reasoning.output_tokens")


def test_recipe_is_one_span(recipe):
    assert recipe.printed == "function_call\n"
    assert "get_weather" in read(EXPORTER.get_finished_spans()[-1]).tools


@for_each_call()
def test_call_is_one_span(recipe, sim, call):
    EXPORTER.clear()
    call.run(sim)
    call.check([read(span) for span in EXPORTER.get_finished_spans()])
