"""The calls that each tracer has to record once, with both APIs and both clients, and how a test reads its spans.

A tracer's test describes its spans in the fields of `Recorded`. `TracedCall.check` compares them with the call:

- plain, stream: prompt, model, output, and the tokens, with cached and reasoning tokens
- tool: the definition of the tool, and the call
- structured: the text of a `parse`
- default: the model of a call that names none
- refused: the error of a call that the backend rejects
- failed: the error of a stream that fails after its first text
- retried: one span for a call of two attempts
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai
import pytest
from samples import MODEL, WEATHER, Person

from codex_backend_sdk import AsyncOpenAI, OpenAI, ResponseFailedError, UsageLimitError
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from codex_backend_sdk.testing import Simulator

__all__ = [
    "ERRORS",
    "Recorded",
    "TracedCall",
    "error_of",
    "for_each_call",
    "in_memory_exporter",
    "read_genai_span",
    "tokens_of_usage",
]

PROMPT = "Say hello there"
OUTPUT = "hello there"
FEATURES = ("plain", "stream", "tool", "structured", "default", "refused", "failed", "retried")
CELLS = ("plain", "stream", "tool", "structured")
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 64},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 32},
    "total_tokens": 150,
}
TOKENS = (100, 50, 64, 32)
ERRORS = {"refused": UsageLimitError, "failed": ResponseFailedError}
CHAT_TOOL = {
    "type": "function",
    "function": {name: WEATHER[name] for name in ("name", "description", "parameters", "strict")},
}


@dataclass
class Recorded:
    """What a span says about a call. A text may be JSON.

    `tokens` are the numbers of input, output, cached and reasoning tokens. `error` is the name or the message of the
    exception.
    """

    model: Any = None
    prompt: str = ""
    tools: str = ""
    output: str = ""
    tokens: tuple[Any, Any, Any, Any] = (None, None, None, None)
    error: str = ""


@dataclass(frozen=True)
class TracedCall:
    """A call of `responses` or `chat.completions` with a new client. `missing` is what the tracer does not record."""

    api: str
    feature: str
    mode: str
    missing: tuple[str, ...] = ()

    def run(
        self,
        sim: Simulator,
        wrap: Callable[[Any], Any] = lambda client: client,
        *,
        has_official_stream: bool = True,
    ) -> None:
        """Make the call, after `wrap` instrumented the client. The client must not stay in memory.

        `has_official_stream` is false for a tracer that returns a stream of its own class.
        """
        stream_class = (openai.Stream, openai.AsyncStream) if has_official_stream else object
        self._script(sim)
        if self.feature in ERRORS:
            with pytest.raises(ERRORS[self.feature]):
                self._run(wrap, stream_class)
            return
        reference = self._run(wrap, stream_class)
        gc.collect()
        assert reference() is None
        requests = [request for request in sim.requests if request.path.endswith("/responses")]
        assert len(requests) == (2 if self.feature == "retried" else 1)

    def _run(self, wrap: Callable[[Any], Any], stream_class: Any) -> weakref.ref[Any]:
        if self.mode == "sync":
            return self._run_sync(wrap, stream_class)
        return asyncio.run(self._run_async(wrap, stream_class))

    def _script(self, sim: Simulator) -> None:
        if self.feature in ("plain", "stream"):
            sim.script(Turn.text(OUTPUT, usage=USAGE))
        elif self.feature == "tool":
            sim.script(Turn.call("get_weather", {"city": "Paris"}))
        elif self.feature == "failed":
            sim.script(Turn.failed("server_error", text="hel"))
        elif self.feature == "refused":
            sim.fail("usage_limit:plus,3600")
        elif self.feature == "retried":
            sim.fail("overloaded")

    @property
    def is_streamed(self) -> bool:
        return self.feature in ("stream", "failed")

    @property
    def arguments(self) -> dict[str, Any]:
        messages = [{"role": "user", "content": PROMPT}]
        is_chat = self.api == "chat"
        arguments: dict[str, Any] = {"messages" if is_chat else "input": messages}
        if is_chat or self.feature != "default":
            arguments["model"] = MODEL
        if self.is_streamed:
            arguments["stream"] = True
            if is_chat:
                arguments["stream_options"] = {"include_usage": True}
        if self.feature == "tool":
            arguments["tools"] = [CHAT_TOOL if is_chat else WEATHER]
        if self.feature == "structured":
            arguments["response_format" if is_chat else "text_format"] = Person
        return arguments

    def _method(self, client: Any) -> Any:
        resource = client.chat.completions if self.api == "chat" else client.responses
        return resource.parse if self.feature == "structured" else resource.create

    def _run_sync(self, wrap: Callable[[Any], Any], stream_class: Any) -> weakref.ref[Any]:
        with OpenAI(max_retries=int(self.feature == "retried"), model=MODEL) as client:
            result = self._method(wrap(client))(**self.arguments)
            if self.is_streamed:
                assert isinstance(result, stream_class)
                assert result.restarts == 0
                with result as stream:
                    assert len(list(stream)) > 2
            return weakref.ref(client)

    async def _run_async(self, wrap: Callable[[Any], Any], stream_class: Any) -> weakref.ref[Any]:
        async with AsyncOpenAI(max_retries=int(self.feature == "retried"), model=MODEL) as client:
            result = await self._method(wrap(client))(**self.arguments)
            if self.is_streamed:
                assert isinstance(result, stream_class)
                async with result as stream:
                    assert len([event async for event in stream]) > 2
            return weakref.ref(client)

    def check(self, spans: list[Recorded]) -> None:
        """Compare the one span of the call with the call. What the tracer does not record must be missing."""
        (span,) = spans
        found = {"model": span.model == MODEL, "prompt": PROMPT in span.prompt}
        if self.feature == "tool":
            found |= {"tools": "get_weather" in span.tools, "output": "Paris" in span.output}
        elif self.feature == "structured":
            found["output"] = '"age' in span.output.replace("\\", "")
        elif self.feature in ERRORS:
            found["error"] = ERRORS[self.feature].__name__ in span.error
        else:
            found["output"] = OUTPUT in span.output
        if self.feature in ("plain", "stream"):
            found |= {"tokens": span.tokens[:3] == TOKENS[:3], "reasoning tokens": span.tokens[3] == TOKENS[3]}
        assert [name for name in found if not found[name]] == list(self.missing), span


def for_each_call(
    faults: Mapping[tuple[str, str], str] | None = None,
    missing: Mapping[tuple[str, str], tuple[str, ...]] | None = None,
) -> pytest.MarkDecorator:
    """Run a test for each call. Calls with whole responses, streams, tools and formats fill in cells of the table.

    `faults` of the tracer have (api, feature) or (api, "feature mode"), and the issue. `missing` are the parts that the
    tracer records neither of this client's calls nor of the official one's.
    """
    faults, missing = faults or {}, missing or {}
    parameters = []
    for api in ("responses", "chat"):
        for feature in FEATURES:
            for mode in ("sync", "async"):
                marks = [pytest.mark.covers(feature, mode)] if feature in CELLS else []
                for key in ((api, feature), (api, f"{feature} {mode}")):
                    if key in faults:
                        marks.append(pytest.mark.xfail(reason=faults[key], strict=True))
                call = TracedCall(api, feature, mode, missing.get((api, feature), ()))
                parameters.append(pytest.param(call, id=f"{api}-{feature}-{mode}", marks=marks))
    return pytest.mark.parametrize("call", parameters)


def in_memory_exporter() -> Any:
    """Set a global tracer provider of OpenTelemetry that keeps the spans, and return their exporter."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def error_of(span: Any) -> str:
    """Return the types of the exceptions that a span of OpenTelemetry recorded, and its status."""
    types = [str(event.attributes.get("exception.type")) for event in span.events]
    return " ".join([*types, str(span.attributes.get("error.type")), str(span.status.description)])


def read_genai_span(span: Any, *, reasoning_tokens: str) -> Recorded:
    """Read a span with the attributes of OpenTelemetry's conventions for generative AI.

    `reasoning_tokens` is the attribute below `gen_ai.usage`, for which libraries have different names.
    """
    values = span.attributes
    usage = ("input_tokens", "output_tokens", "cache_read.input_tokens", reasoning_tokens)
    return Recorded(
        model=values["gen_ai.request.model"],
        prompt=values.get("gen_ai.input.messages", ""),
        tools=values.get("gen_ai.tool.definitions", ""),
        output=values.get("gen_ai.output.messages", ""),
        tokens=tuple(values.get(f"gen_ai.usage.{name}") for name in usage),
        error=error_of(span),
    )


def tokens_of_usage(usage: Mapping[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Return the tokens of the usage of a response or of a chat completion, as the API spells it."""
    spelling = ("prompt", "completion") if "prompt_tokens" in usage else ("input", "output")
    given, generated = spelling
    return (
        usage.get(f"{given}_tokens"),
        usage.get(f"{generated}_tokens"),
        (usage.get(f"{given}_tokens_details") or {}).get("cached_tokens"),
        (usage.get(f"{generated}_tokens_details") or {}).get("reasoning_tokens"),
    )
