import llm


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


model = llm.get_model("codex/gpt-6.1-terra")
chain = model.chain("What's the weather in Paris?", tools=[get_weather], options={"reasoning_effort": "low"})
print(chain.text())
