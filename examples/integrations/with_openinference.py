from openinference.instrumentation.openai import OpenAIInstrumentor

from codex_backend_sdk import OpenAI

OpenAIInstrumentor().instrument()

client = OpenAI()
print(client.responses.create(input="Say hello").output_text)
