import os

import sentry_sdk

from codex_backend_sdk import OpenAI

sentry_sdk.init(os.environ.get("SENTRY_DSN"), traces_sample_rate=1.0, send_default_pii=True)

client = OpenAI()
weather = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
with sentry_sdk.start_transaction(name="my task"):
    response = client.responses.create(
        model="gpt-6.1-terra",
        input="What's the weather in Paris?",
        tools=[weather],
        reasoning={"effort": "low"},
    )
    print(response.output[-1].type)
