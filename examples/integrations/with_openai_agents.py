import agents
from openai.types.shared import Reasoning

from codex_backend_sdk import AsyncOpenAI

agents.set_tracing_disabled(True)  # it would send your prompts to the platform of OpenAI


@agents.function_tool
def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


client = AsyncOpenAI()
model = agents.OpenAIResponsesModel(model="gpt-6.1-terra", openai_client=client)
settings = agents.ModelSettings(reasoning=Reasoning(effort="low"))
agent = agents.Agent(name="Forecaster", model=model, model_settings=settings, tools=[get_weather])
print(agents.Runner.run_sync(agent, "What's the weather in Paris?").final_output)
