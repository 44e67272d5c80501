from smolagents import OpenAIModel, ToolCallingAgent, tool

from codex_backend_sdk import OpenAI


@tool
def get_weather(city: str) -> str:
    """Return the weather in a city.

    Args:
        city: The name of the city.
    """
    return f"sunny in {city}"


model = OpenAIModel("gpt-6.1-terra", client=OpenAI(), reasoning_effort="low")
agent = ToolCallingAgent(tools=[get_weather], model=model, max_steps=3)
print(agent.run("What's the weather in Paris?"))
