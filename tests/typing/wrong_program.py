"""Mistakes of users. Both type checkers report an error on each line that ends in `# error`, and on no other."""

# ruff: noqa: B018

import openai

import codex_backend_sdk as sdk
from codex_backend_sdk import AsyncOpenAI, OpenAI
from codex_backend_sdk.auth import Credentials

client = OpenAI()

OpenAI(modle="gpt-5.5")  # error
OpenAI(timeout="x")  # error
OpenAI(max_retries="2")  # error
OpenAI(unsupported="ignore")  # error
OpenAI(idle_timeout="20")  # error
OpenAI(http_client=openai.AsyncOpenAI()._client)  # error
OpenAI(workload_identity=None)  # error
AsyncOpenAI(modle="gpt-5.5")  # error
AsyncOpenAI(on_interrupt="again")  # error
client.with_options(strange=1)  # error
client.with_options(timeout="x")  # error
client.copy(modle="gpt-5.5")  # error
client.authenticate(forse=True)  # error
client.authenticate(timeout="x")  # error
client.authenticate(True)  # error
client.authenticate_device_code(on_code=1)  # error
Credentials().authenticate(forse=True)  # error
client.account.email  # error
client.responses.create(inptu="Hello!")  # error
client.responses.create(input="Hello!", temperature="hot")  # error
client.responses.create(input="Hello!").restarts  # error
client.responses.create(input="Hello!", validation_retries=2)  # error
client.responses.parse(input="Hello!", validation_retries="2")  # error
client.responses.parse(inptu="Hello!")  # error
client.responses.create(input="Hello!", stream=True).output_text  # error
client.codex.accounts()  # error
client.codex.limits.windows  # error
sdk.UsageLimitReached  # error
sdk.CodexError.is_retriable  # error
