from langchain.agents import create_agent
from langchain_openai import ChatOpenAI

from codex_backend_sdk import AsyncOpenAI, OpenAI

client, async_client = OpenAI(), AsyncOpenAI()
model = ChatOpenAI(
    model="gpt-6.1-terra",
    use_responses_api=True,
    api_key="not used",
    root_client=client,
    client=client.chat.completions,
    root_async_client=async_client,
    async_client=async_client.chat.completions,
)


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


agent = create_agent(model, [get_weather])
response = agent.invoke({"messages": [("user", "What's the weather in Paris?")]})
print(response["messages"][-1].text)
