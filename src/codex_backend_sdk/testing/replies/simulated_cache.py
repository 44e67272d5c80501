"""Simulate the prompt cache: how many tokens of a prompt the backend has processed before.

The backend caches prefixes of prompts. A request has hits only if it has the `prompt_cache_key` and the `session-id` of
the earlier one, because these select the machine that has the cache (users report this). The prefix is the model, the
effort, the tools and the instructions, then the input items; from GPT-6.2 on, the instructions are behind the items.
The simulator compares whole items and estimates tokens; the backend uses blocks of 128 tokens, from 1,024 on.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..parsed_request import ParsedRequest

__all__ = ["InputTokens", "PromptCache", "count_tokens"]

_MAX_KEYS: Final = 1000
_INSTRUCTIONS_AT_END: Final = "gpt-6.2"


@dataclass(frozen=True, slots=True)
class InputTokens:
    """The estimated tokens of an input, and how many of them were cached."""

    total: int
    cached: int


class PromptCache:
    """The prefixes of earlier prompts, by cache key. The class is thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prefixes: OrderedDict[tuple[str, str], set[bytes]] = OrderedDict()

    def add(self, request: ParsedRequest) -> InputTokens:
        """Count the tokens of a request, and add its prefixes to the cache."""
        body = request.body
        texts = {name: _text(body.get(name)) for name in ("instructions", "tools")}
        items = [_text(item) for item in body["input"]] if isinstance(body.get("input"), list) else []
        # One token for four characters of the JSON text of `[instructions, input, tools]`.
        characters = sum(map(len, texts.values())) + sum(map(len, items)) + 2 * max(len(items) - 1, 0) + 8
        reasoning = body.get("reasoning")
        effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
        head = [(0, f"{request.model} {effort}"), (len(texts["tools"]), texts["tools"])]
        instructions, item_parts = [(len(texts["instructions"]), texts["instructions"])], [(len(t), t) for t in items]
        is_at_end = request.model.startswith(_INSTRUCTIONS_AT_END)
        parts = [*head, *item_parts, *instructions] if is_at_end else [*head, *instructions, *item_parts]
        key = (str(body.get("prompt_cache_key")), str(request.headers.get("session-id")))
        if key == ("None", "None"):
            return InputTokens(_tokens(characters), 0)
        return InputTokens(_tokens(characters), self._cached_characters(key, parts) // 4)

    def clear(self) -> None:
        """Remove all prefixes."""
        with self._lock:
            self._prefixes.clear()

    def _cached_characters(self, key: tuple[str, str], parts: list[tuple[int, str]]) -> int:
        digest, characters, cached, is_hit = b"", 0, 0, True
        with self._lock:
            known = self._prefixes.setdefault(key, set())
            self._prefixes.move_to_end(key)
            for length, text in parts:
                digest = hashlib.blake2b(digest + text.encode(errors="replace"), digest_size=16).digest()
                characters += length
                is_hit = is_hit and digest in known
                cached = characters if is_hit else cached
                known.add(digest)
            while len(self._prefixes) > _MAX_KEYS:
                self._prefixes.popitem(last=False)
        return cached


def count_tokens(value: Any) -> int:
    """Return the estimated tokens of a JSON value: one for four characters of its text."""
    return _tokens(len(_text(value)))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _tokens(characters: int) -> int:
    return (characters + 3) // 4
