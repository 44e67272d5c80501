from langsmith.wrappers import wrap_openai

from codex_backend_sdk import OpenAI

client = wrap_openai(OpenAI())
weather = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
response = client.responses.create(
    model="gpt-6.1-terra",
    input="What's the weather in Paris?",
    tools=[weather],
    reasoning={"effort": "low"},
)
print(response.output[-1].type)
