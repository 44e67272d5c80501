import dspy

from codex_backend_sdk.integrations.dspy import lm

model = lm("gpt-6.1-terra", reasoning_effort="low")
dspy.configure(lm=model, adapter=dspy.ChatAdapter(use_native_function_calling=True))


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


class Forecast(dspy.Signature):
    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    calls: dspy.ToolCalls = dspy.OutputField()


prediction = dspy.Predict(Forecast)(question="What's the weather in Paris?", tools=[dspy.Tool(get_weather)])
for call in prediction.calls.tool_calls:
    print(get_weather(**call.args))
