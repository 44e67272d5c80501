"""LangChain: `ChatOpenAI` on the clients of this package."""

from __future__ import annotations

from typing import Any

from langchain_openai import ChatOpenAI

from codex_backend_sdk import AsyncOpenAI, OpenAI

__all__ = ["chat_model"]


def chat_model(
    model: str, *, client: OpenAI | None = None, async_client: AsyncOpenAI | None = None, **settings: Any
) -> ChatOpenAI:
    """Return a `ChatOpenAI` that sends everything through this package.

    `ChatOpenAI` has four fields for clients, and creates those that are missing. The clients that it creates send the
    requests, with your prompts, to the platform of OpenAI. This function fills all four.

    Args:
        model: The model of your plan.
        client: The client of sync calls. Default: `OpenAI()`. `OpenAI(unsupported="drop")` omits parameters that the
            backend rejects, for example `temperature`, with a warning.
        async_client: The client of async calls. Default: `AsyncOpenAI()`.
        settings: Further arguments of `ChatOpenAI`, for example `reasoning_effort="low"`. `use_responses_api=False`
            uses chat completions.
    """
    client = client or OpenAI()
    async_client = async_client or AsyncOpenAI()
    clients = {
        "root_client": client,
        "client": client.chat.completions,
        "root_async_client": async_client,
        "async_client": async_client.chat.completions,
    }
    # With clients that are passed to it, ChatOpenAI asks streams for their usage only if it is told to.
    defaults = {"use_responses_api": True, "stream_usage": True, "api_key": "not used"}
    return ChatOpenAI(**{**defaults, **settings, **clients, "model": model})
