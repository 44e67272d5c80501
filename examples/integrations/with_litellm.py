import litellm

from codex_backend_sdk.integrations.litellm import handler

litellm.custom_provider_map = [{"provider": "codex", "custom_handler": handler}]
function = {
    "name": "get_weather",
    "description": "Return the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
completion = litellm.completion(
    model="codex/gpt-6.1-terra",
    messages=[{"role": "user", "content": "What's the weather in Paris?"}],
    tools=[{"type": "function", "function": function}],
    reasoning_effort="low",
    allowed_openai_params=["reasoning_effort"],
)
for call in completion.choices[0].message.tool_calls:
    print(call.function.name, call.function.arguments)
