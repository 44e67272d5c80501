"""The result of `ask`: whether it is complete, its JSON object, and its first code block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._redaction import excerpt
from .exit_codes import ExitCode, ExitError
from .terminal.response_printer import cited_urls

if TYPE_CHECKING:
    from openai.types.responses import Response

    from .. import RateLimits
    from .terminal.footer import TokenCounts

__all__ = ["first_code_block", "require_complete", "result_data"]


def require_complete(response: Response) -> None:
    """Raise ExitError if the response is incomplete or refused, or has no text."""
    if response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details else None
        raise ExitError(
            f"The response is incomplete: {reason or 'the backend sent no reason'}. Change the prompt and try again.",
            ExitCode.INCOMPLETE,
        )
    if _refusal(response) is not None:
        raise ExitError("The model refused the prompt. Change the prompt.", ExitCode.INCOMPLETE)
    calls = [item.name for item in response.output if item.type == "function_call" or item.type == "custom_tool_call"]
    if calls:
        raise ExitError(
            f"The model called the tool {excerpt(calls[0])}, which needs its function. Pass the file with --tools.",
            ExitCode.INCOMPLETE,
        )
    if not response.output_text:
        raise ExitError("The response is complete, but has no text. Change the prompt.", ExitCode.INCOMPLETE)


def _refusal(response: Response) -> str | None:
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    return next((part.refusal for part in parts if part.type == "refusal"), None)


def result_data(
    response: Response,
    *,
    output: Any,
    conversation: str | None,
    tokens: TokenCounts,
    seconds: float,
    limits: RateLimits | None,
) -> dict[str, Any]:
    """Return the object of `--json`. docs/commands.md documents its members; absent values are None."""
    details = response.incomplete_details
    return {
        "id": response.id,
        "model": response.model,
        "status": response.status,
        "incomplete_reason": details.reason if details is not None else None,
        "output_text": response.output_text,
        "output": output,
        "refusal": _refusal(response),
        "sources": cited_urls(response),
        "conversation": conversation,
        "usage": {
            "input_tokens": tokens.input_tokens,
            "cached_tokens": tokens.cached_tokens,
            "output_tokens": tokens.output_tokens,
            "reasoning_tokens": tokens.reasoning_tokens,
        },
        "limits": [
            {
                "name": window.name,
                "used_percent": window.used_percent,
                "resets_at": window.resets_at.isoformat() if window.resets_at is not None else None,
            }
            for window in (limits.windows if limits is not None else ())
        ],
        "seconds": round(seconds, 3),
        "request_id": getattr(response, "_request_id", None),
    }


def first_code_block(markdown: str) -> str | None:
    """Return the content of the first fenced code block of a Markdown text, or None if there is none."""
    from markdown_it import MarkdownIt

    return next((token.content for token in MarkdownIt().parse(markdown) if token.type == "fence"), None)
