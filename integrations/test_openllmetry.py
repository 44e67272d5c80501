"""OpenLLMetry records the calls of this client."""

from __future__ import annotations

from opentelemetry.instrumentation.openai.v1 import responses_wrappers
from traced_calls import for_each_call, in_memory_exporter, read_genai_span

EXPORTER = in_memory_exporter()
FAULTS = {("chat", "failed"): "traceloop/openllmetry#3155: the span of a chat stream that fails has the status OK"}
MISSING = {("responses", "failed"): ("prompt",), ("chat", "stream"): ("reasoning tokens",)}


def read(span):
    return read_genai_span(span, reasoning_tokens="reasoning_tokens")


def test_recipe_is_one_span(recipe):
    assert recipe.printed == "function_call\n"
    assert "get_weather" in read(EXPORTER.get_finished_spans()[-1]).tools


@for_each_call(FAULTS, MISSING)
def test_call_is_one_span(recipe, sim, call):
    EXPORTER.clear()
    # OpenLLMetry keeps responses by id, and each simulator begins with the same ids.
    responses_wrappers.responses.clear()
    call.run(sim)
    call.check([read(span) for span in EXPORTER.get_finished_spans()])
