import logfire

from codex_backend_sdk import OpenAI

logfire.configure(send_to_logfire="if-token-present", console=False)
logfire.instrument_openai()

client = OpenAI()
print(client.responses.create(input="Say hello").output_text)
