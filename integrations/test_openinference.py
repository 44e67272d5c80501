"""OpenInference records the calls of this client."""

from __future__ import annotations

import json

from traced_calls import Recorded, error_of, for_each_call, in_memory_exporter

EXPORTER = in_memory_exporter()


def read(span):
    values = span.attributes
    usage = ("prompt", "completion", "prompt_details.cache_read", "completion_details.reasoning")
    return Recorded(
        # A chat that is refused has the model only in its parameters.
        model=values.get("llm.model_name") or json.loads(values["llm.invocation_parameters"])["model"],
        prompt=str([text for name, text in values.items() if name.startswith("llm.input_messages")]),
        tools=values.get("llm.tools.0.tool.json_schema", ""),
        output=values.get("output.value", ""),
        tokens=tuple(values.get(f"llm.token_count.{name}") for name in usage),
        error=error_of(span),
    )


def test_recipe_is_one_span(recipe):
    assert recipe.printed == "function_call\n"
    assert "get_weather" in read(EXPORTER.get_finished_spans()[-1]).tools


@for_each_call()
def test_call_is_one_span(recipe, sim, call):
    EXPORTER.clear()
    call.run(sim)
    call.check([read(span) for span in EXPORTER.get_finished_spans()])
