"""Extract an order from each of 30 texts, eight at a time, as validated objects."""

import asyncio
from datetime import date

from openai import OpenAIError
from pydantic import BaseModel, Field

from codex_backend_sdk import AsyncOpenAI

TEXTS = [
    f"Order {number}: {number % 5 + 1} boxes of tea, please, by 2026-12-{number % 28 + 1:02}." for number in range(30)
]


class Order(BaseModel):
    product: str
    quantity: int = Field(ge=1)
    deliver_by: date


async def extract(client: AsyncOpenAI, slots: asyncio.Semaphore, text: str) -> Order | OpenAIError | None:
    async with slots:
        try:
            # A response that does not match is sent back with the errors of the validation, up to twice.
            response = await client.responses.parse(input=text, text_format=Order, validation_retries=2)
        except OpenAIError as error:
            return error
        return response.output_parsed


async def main() -> None:
    async with await AsyncOpenAI().authenticate() as client:
        slots = asyncio.Semaphore(8)
        for result in await asyncio.gather(*(extract(client, slots, text) for text in TEXTS)):
            print(result)


asyncio.run(main())
