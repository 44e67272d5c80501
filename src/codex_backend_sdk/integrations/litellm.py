"""litellm: a provider `codex/` for its functions and its proxy."""

from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from typing import Any

import litellm
from litellm.types.utils import ModelResponseStream

from codex_backend_sdk import AsyncOpenAI, OpenAI

__all__ = ["CodexLLM"]


class CodexLLM(litellm.CustomLLM):
    """A custom handler of litellm that sends chat completions through this package.

    The proxy takes the object `codex_backend_sdk.integrations.litellm.handler`. Clients are created at the first call,
    with `unsupported="drop"`, because programs on litellm set parameters that the backend rejects.
    """

    client = cached_property(lambda self: OpenAI(unsupported="drop"))
    async_client = cached_property(lambda self: AsyncOpenAI(unsupported="drop"))

    def completion(self, *_: Any, **call: Any) -> Any:
        return litellm.ModelResponse(**self.client.chat.completions.create(**_parameters(call)).model_dump())

    async def acompletion(self, *_: Any, **call: Any) -> Any:
        completion = await self.async_client.chat.completions.create(**_parameters(call))
        return litellm.ModelResponse(**completion.model_dump())

    def streaming(self, *_: Any, **call: Any) -> Iterator[Any]:
        with self.client.chat.completions.create(**_parameters(call)) as chunks:
            for chunk in chunks:
                yield _translated(chunk)

    async def astreaming(self, *_: Any, **call: Any) -> AsyncIterator[Any]:
        async with await self.async_client.chat.completions.create(**_parameters(call)) as chunks:
            async for chunk in chunks:
                yield _translated(chunk)


def _parameters(call: dict[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in call["optional_params"].items() if name != "max_retries"}
    if options.get("stream"):
        options["stream_options"] = {"include_usage": True}  # without it, litellm estimates the usage
    return {"model": call["model"], "messages": call["messages"], "timeout": call["timeout"], **options}


def _translated(chunk: Any) -> Any:
    if chunk.choices:
        return ModelResponseStream(**chunk.model_dump(exclude_unset=True))
    # litellm ignores the usage of a chunk of its own class after the finish reason.
    ends = {"text": "", "is_finished": False, "finish_reason": "", "index": 0, "tool_use": None}
    return {**ends, "usage": chunk.usage.model_dump()}


handler = CodexLLM()
