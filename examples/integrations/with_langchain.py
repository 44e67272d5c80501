from langchain.agents import create_agent

from codex_backend_sdk.integrations.langchain import chat_model


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


model = chat_model("gpt-6.1-terra", reasoning_effort="low")
agent = create_agent(model, [get_weather])
response = agent.invoke({"messages": [("user", "What's the weather in Paris?")]})
print(response["messages"][-1].text)
