"""DSPy: a `dspy.LM` on the clients of this package.

lm15, the layer below DSPy, translates requests and responses. The engines send them, and translate errors.
Tools are sent with `strict: false`, because DSPy's schemas have optional arguments.
"""

import contextlib
import json
from types import SimpleNamespace
from typing import Any

import dspy
import openai
from dspy import lm15

from codex_backend_sdk import AsyncOpenAI, ContextLengthExceededError, OpenAI

__all__ = ["lm"]

_WIRE = lm15.OpenAILM(api_key="not used", compat=lm15.OpenAIResponsesCompat(strict_tools="include"))
_LM15 = {ContextLengthExceededError: lm15.ContextLengthError, openai.RateLimitError: lm15.RateLimitError}


def lm(model: str, client: OpenAI | None = None, async_client: AsyncOpenAI | None = None, **settings: Any) -> dspy.LM:
    """Return a `dspy.LM` that sends its requests through this package.

    Without clients, it uses clients with `unsupported="drop"`, because optimizers of DSPy set a temperature. `settings`
    are arguments of `dspy.LM`, for example `reasoning_effort="low"`. The clients retry, so `num_retries` is 0.
    """
    engine = _Engine(client or OpenAI(unsupported="drop"))
    async_engine = _AsyncEngine(async_client or AsyncOpenAI(unsupported="drop"))
    return dspy.LM(model, engine=engine, async_engine=async_engine, **{"num_retries": 0, **settings})


class _Engine:
    supports_function_calling = supports_reasoning = supports_response_schema = True
    supported_params = frozenset({"reasoning_effort", "response_format", "tool_choice", "tools"})

    def __init__(self, client: Any) -> None:
        self.responses = client.responses

    def complete(self, request: Any) -> Any:
        with _lm15_errors():
            reply = self.responses.with_raw_response.create(**_parameters(request))
            return _WIRE.parse_response(request, reply.http_response)

    def stream(self, request: Any) -> Any:
        with _lm15_errors(), self.responses.create(**_parameters(request, stream=True)) as events:
            for event in events:
                yield from _WIRE.parse_stream_events(request, SimpleNamespace(data=event.to_json(indent=None)))


class _AsyncEngine(_Engine):
    async def complete(self, request: Any) -> Any:
        with _lm15_errors():
            reply = await self.responses.with_raw_response.create(**_parameters(request))
            return _WIRE.parse_response(request, reply.http_response)

    async def stream(self, request: Any) -> Any:
        with _lm15_errors():
            async with await self.responses.create(**_parameters(request, stream=True)) as events:
                async for event in events:
                    for each in _WIRE.parse_stream_events(request, SimpleNamespace(data=event.to_json(indent=None))):
                        yield each


def _parameters(request: Any, *, stream: bool = False) -> Any:
    return json.loads(_WIRE.build_request(request, stream=stream).body)


@contextlib.contextmanager
def _lm15_errors() -> Any:
    try:
        yield
    except openai.OpenAIError as error:
        raise next((_LM15[key] for key in _LM15 if isinstance(error, key)), lm15.ProviderError)(str(error)) from error
