"""A program of a user, checked by mypy --strict and pyright strict (test_typing.py). It is never run."""

# ruff: noqa: T201

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import assert_type

import openai
from openai.types.responses import ParsedResponse, Response
from pydantic import BaseModel

import codex_backend_sdk as sdk
from codex_backend_sdk import AsyncOpenAI, OpenAI
from codex_backend_sdk.auth import Credentials, FileStore


class Person(BaseModel):
    name: str
    age: int


def show_limits(limits: sdk.RateLimits) -> None:
    window = limits.exhausted_window
    if window is not None:
        print(window.name, window.used_percent, window.resets_at)
    for window in limits.windows:
        print(window.remaining_percent)


client = OpenAI(
    model="gpt-5.5",
    instructions="Be brief.",
    credentials=Credentials(FileStore("auth.json")),
    unsupported="drop",
    on_interrupt="restart",
    wait_for_limit=timedelta(hours=6),
    on_limits=show_limits,
    timeout=30,
    max_retries=4,
    default_headers={"x-team": "blue"},
).authenticate(open_browser=False, on_url=print, timeout=120.0)
quick = client.with_options(idle_timeout=20, timeout=openai.Timeout(5.0), unsupported="raise")

response = client.responses.create(input="Hello!", temperature=0.2, reasoning={"effort": "low"})
official: Response = response
print(response.output_text, response.dropped_parameters, response.input_transformations)
stream = quick.responses.create(model="gpt-5.5", input=[{"role": "user", "content": "Hello!"}], stream=True)
for event in stream:
    if event.type == "response.output_text.delta":
        print(event.delta)
print(stream.restarts, stream.dropped_parameters)
with client.responses.stream(model="gpt-5.5", input="Hello!", text_format=Person) as events:
    for item in events:
        if item.type == "response.output_text.delta":
            print(item.snapshot)
    assert_type(events.get_final_response(), ParsedResponse[Person])
parsed = client.responses.parse(input="Bob is 42.", text_format=Person, extra_headers={"x-run": "1"})
assert_type(parsed.output_parsed, Person | None)
checked = client.responses.parse(
    input="Bob is 42.", text_format=Person, tools=[openai.pydantic_function_tool(Person)], validation_retries=2
)
assert_type(checked, ParsedResponse[Person])

assert_type([model.context_window for model in client.models.list()], list[int | None])
assert_type(client.models.retrieve("gpt-5.5").display_name, str | None)
assert_type(client.account().email, str | None)
assert_type(client.codex.limits, sdk.RateLimits | None)
assert_type(client.codex.workspaces(), list[sdk.Workspace])
assert_type(client.codex.reset_credits.list().available_count, int)
show_limits(client.codex.refresh_limits())
for finding in client.codex.explain(input="Hello!").findings:
    print(finding.level, finding.remedy)

try:
    client.responses.compact(model="gpt-5.5", input="Hello!")
except sdk.LoginRequiredError:
    client.authenticate_device_code(on_code=lambda code: print(code.url, code.user_code))
except sdk.UsageLimitError as limit:
    print(limit.resets_at, limit.plan, limit.limits)
except sdk.StreamInterruptedError as interruption:
    assert_type(interruption.partial, Response | None)
except sdk.CodexError as error:
    assert_type(error.is_retryable, bool)
except openai.RateLimitError as error:
    print(error.response.headers, error.request_id)


async def main() -> None:
    async def on_url(url: str) -> None:
        await asyncio.sleep(0)

    async with AsyncOpenAI(max_retries=0, idle_timeout=20) as client:
        await client.authenticate(on_url=on_url, interactive=True)
        response = await client.responses.create(input="Hello!")
        print(response.dropped_parameters, (await client.account()).plan)
        async for event in await client.responses.create(input="Hello!", stream=True):
            print(event.type)
        checked = await client.responses.parse(input="Bob is 42.", text_format=Person, validation_retries=2)
        assert_type(checked, ParsedResponse[Person])
        stream = await client.with_options(timeout=5).responses.create(input="Hello!", stream=True)
        assert_type(stream.restarts, int)
        assert_type(await client.codex.usage_report(), sdk.UsageReport)
        async for model in client.models.list():
            assert_type(model, sdk.Model)


asyncio.run(main())
