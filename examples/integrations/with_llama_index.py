from llama_index.llms.openai import OpenAIResponses

from codex_backend_sdk import AsyncOpenAI, OpenAI

model = OpenAIResponses("gpt-6.1-sol", openai_client=OpenAI(), async_openai_client=AsyncOpenAI())
print(model.complete("Say hello").text)
