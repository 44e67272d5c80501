import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAIResponses

from codex_backend_sdk import AsyncOpenAI, OpenAI


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


clients = {"openai_client": OpenAI(), "async_openai_client": AsyncOpenAI()}
model = OpenAIResponses("gpt-6.1-sol", reasoning_options={"effort": "low"}, **clients)
agent = FunctionAgent(tools=[get_weather], llm=model)


async def main():
    print(await agent.run("What's the weather in Paris?"))


asyncio.run(main())
