import agents

from codex_backend_sdk import AsyncOpenAI

agents.set_tracing_disabled(True)
client = AsyncOpenAI()


@agents.function_tool
def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


model = agents.OpenAIResponsesModel(model="gpt-6.1-terra", openai_client=client)
agent = agents.Agent(name="Forecaster", model=model, tools=[get_weather])
print(agents.Runner.run_sync(agent, "What's the weather in Paris?").final_output)
