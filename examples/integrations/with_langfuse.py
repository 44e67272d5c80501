import langfuse.openai

from codex_backend_sdk import OpenAI

client = OpenAI()
print(client.responses.create(input="Say hello").output_text)
