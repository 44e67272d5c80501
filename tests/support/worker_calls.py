"""Calls for worker processes, which import them from this module."""

from __future__ import annotations

from typing import Any

from codex_backend_sdk import OpenAI
from codex_backend_sdk.auth import MemoryStore

__all__ = ["call_backend"]


def call_backend(document: dict[str, Any], **options: Any) -> str:
    """Request a response with the login in `document`, and return its text."""
    with OpenAI(credentials=MemoryStore(document), max_retries=0, **options) as client:
        return str(client.responses.create(input="hi").output_text)
