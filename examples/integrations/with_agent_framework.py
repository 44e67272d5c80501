import asyncio

from agent_framework import Agent
from agent_framework.openai import OpenAIChatClient

from codex_backend_sdk import AsyncOpenAI


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


model = OpenAIChatClient("gpt-6.1-terra", async_client=AsyncOpenAI())
options = {"store": False, "reasoning": {"effort": "low"}}
agent = Agent(model, name="Forecaster", tools=[get_weather], default_options=options)
print(asyncio.run(agent.run("What's the weather in Paris?")))
