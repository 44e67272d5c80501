"""The calls that each tracer has to record, with both clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from samples import MODEL, WEATHER, Person

from codex_backend_sdk import AsyncOpenAI, OpenAI

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FEATURES", "PROMPT", "for_each_call", "in_memory_exporter", "make_call"]

PROMPT = "Say hello there"
FEATURES = ("plain", "stream", "tool", "structured")
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stream": {"stream": True},
    "tool": {"tools": [WEATHER]},
    "structured": {"text_format": Person},
}


def for_each_call(*features: str) -> pytest.MarkDecorator:
    """Run a test for each of these features and each client. It fills in these cells of the table."""
    return pytest.mark.parametrize(
        ("feature", "mode"),
        [
            pytest.param(feature, mode, marks=pytest.mark.covers(feature, mode))
            for feature in features
            for mode in ("sync", "async")
        ],
    )


def make_call(feature: str, mode: str, wrap: Callable[[Any], Any] = lambda client: client) -> None:
    """Send one request with a new client, after `wrap` instrumented it."""
    arguments = {"model": MODEL, "input": [{"role": "user", "content": PROMPT}], **_ARGUMENTS[feature]}
    method = "parse" if feature == "structured" else "create"
    if mode == "async":
        asyncio.run(_make_async_call(method, arguments, wrap))
        return
    with OpenAI() as client:
        response = getattr(wrap(client).responses, method)(**arguments)
        if feature == "stream":
            assert [*response][-1].type == "response.completed"


async def _make_async_call(method: str, arguments: dict[str, Any], wrap: Callable[[Any], Any]) -> None:
    async with AsyncOpenAI() as client:
        response = await getattr(wrap(client).responses, method)(**arguments)
        if "stream" in arguments:
            assert [event async for event in response][-1].type == "response.completed"


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
