import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ModelFamily, ModelInfo
from autogen_ext.models.openai import BaseOpenAIChatCompletionClient

from codex_backend_sdk import AsyncOpenAI


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


features = dict.fromkeys(("vision", "function_calling", "json_output", "structured_output"), True)
info = ModelInfo(family=ModelFamily.UNKNOWN, multiple_system_messages=True, **features)
settings = {"model": "gpt-6.1-terra", "reasoning_effort": "low"}
model = BaseOpenAIChatCompletionClient(AsyncOpenAI(), create_args=settings, model_info=info)
agent = AssistantAgent("Forecaster", model, tools=[get_weather], max_tool_iterations=3)
result = asyncio.run(agent.run(task="What's the weather in Paris?"))
print(result.messages[-1].content)
