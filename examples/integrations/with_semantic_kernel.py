import asyncio

from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.functions import KernelArguments, kernel_function

from codex_backend_sdk import AsyncOpenAI


class Weather:
    @kernel_function
    def get_weather(self, city: str) -> str:
        """Return the weather in a city."""
        return f"sunny in {city}"


model = OpenAIChatCompletion(ai_model_id="gpt-6.1-terra", async_client=AsyncOpenAI())
arguments = KernelArguments(settings=OpenAIChatPromptExecutionSettings(reasoning_effort="low"))
agent = ChatCompletionAgent(service=model, name="Forecaster", plugins=[Weather()], arguments=arguments)
print(asyncio.run(agent.get_response("What's the weather in Paris?")))
