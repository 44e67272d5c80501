from typing import Annotated

from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIResponsesChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import tool
from haystack.utils import Secret

from codex_backend_sdk import AsyncOpenAI, OpenAI


@tool
def get_weather(city: Annotated[str, "the name of the city"]) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


key, settings = Secret.from_token("not used"), {"reasoning": {"effort": "low"}}
model = OpenAIResponsesChatGenerator(api_key=key, model="gpt-6.1-terra", generation_kwargs=settings)
model.client, model.async_client = OpenAI(), AsyncOpenAI()

agent = Agent(chat_generator=model, tools=[get_weather])
question = ChatMessage.from_user("What's the weather in Paris?")
print(agent.run(messages=[question])["last_message"].text)
