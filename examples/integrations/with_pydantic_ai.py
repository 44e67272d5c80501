from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai_codex import OpenAICodexProvider

from codex_backend_sdk import AsyncOpenAI

provider = OpenAICodexProvider(openai_client=AsyncOpenAI())
model = OpenAIResponsesModel("gpt-6.1-terra", provider=provider)
agent = Agent(model, model_settings=OpenAIResponsesModelSettings(openai_reasoning_effort="low"))


@agent.tool_plain
def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


print(agent.run_sync("What's the weather in Paris?").output)
