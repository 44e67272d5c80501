from langsmith.wrappers import wrap_openai

from codex_backend_sdk import OpenAI

client = wrap_openai(OpenAI())
print(client.responses.create(input="Say hello").output_text)
