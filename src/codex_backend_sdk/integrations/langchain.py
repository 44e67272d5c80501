"""LangChain: `ChatOpenAI` on the clients of this package."""

from __future__ import annotations

from typing import Any

from langchain_openai import ChatOpenAI

from codex_backend_sdk import AsyncOpenAI, OpenAI

__all__ = ["chat_model"]


class _ChatModel(ChatOpenAI):
    """`ChatOpenAI` whose tools are strict only on request, as in chat completions.

    LangChain omits `strict`, which the Responses API takes for true (langchain-ai/langchain#35837).
    """

    def bind_tools(self, tools: Any, *, strict: bool | None = None, **settings: Any) -> Any:
        return super().bind_tools(tools, strict=bool(strict), **settings)


def chat_model(
    model: str, *, client: OpenAI | None = None, async_client: AsyncOpenAI | None = None, **settings: Any
) -> ChatOpenAI:
    """Return a `ChatOpenAI` that sends everything through this package.

    `ChatOpenAI` has four fields for clients, and creates those that are missing. They would send your prompts to the
    platform of OpenAI. This function fills all four. Tools are strict only with `bind_tools(..., strict=True)`.

    Args:
        model: The model of your plan.
        client: The client of sync calls. Default: `OpenAI()`. `temperature` needs `OpenAI(unsupported="drop")`.
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
    # With clients that are passed to it, ChatOpenAI requests the usage of streams only if this is set.
    defaults = {"use_responses_api": True, "stream_usage": True, "api_key": "not used"}
    return _ChatModel(**{**defaults, **settings, **clients, "model": model})
