"""Simulate the prompt cache: how many tokens of a prompt the backend has processed before.

The backend caches prefixes of prompts. A request has hits only if it has the `prompt_cache_key` and the `session-id` of
the earlier one, because these select the machine that has the cache (users report this). The prefix is the model, the
effort, the tools and the instructions, then the input items; from GPT-6.2 on, the instructions are behind the items.
The simulator compares whole items; the backend uses blocks of 128 tokens, from 1,024 on. The simulator estimates tokens
by the rule of the Codex CLI, as `client.codex.explain()` does, so that a program can compare the two
(core/src/context_manager/history.rs and utils/string/src/truncate.rs): four bytes of text are a token, an image is
7,373 bytes, and encrypted content is smaller than its text.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..parsed_request import ParsedRequest

__all__ = ["InputTokens", "MeasuredPrompt", "PromptCache", "count_tokens", "measure_prompt"]

_MAX_KEYS: Final = 1000
_BYTES_PER_TOKEN: Final = 4
_IMAGE_BYTES: Final = 7373 // _BYTES_PER_TOKEN * _BYTES_PER_TOKEN  # whole tokens
_REASONING_OVERHEAD_BYTES: Final = 650
_INSTRUCTIONS_AT_END: Final = "gpt-6.2"


@dataclass(frozen=True, slots=True)
class InputTokens:
    """The estimated tokens of an input, and how many of them were cached."""

    total: int
    cached: int


@dataclass(frozen=True, slots=True)
class MeasuredPrompt:
    """A prompt as the cache sees it.

    `key` has the prompt cache key and the session ID. `parts` are in the order of the cache, each with its size in
    bytes and its text. `tokens` is an estimate.
    """

    key: tuple[str, str]
    parts: list[tuple[int, str]]
    tokens: int


class PromptCache:
    """The prefixes of earlier prompts, by cache key. The class is thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prefixes: OrderedDict[tuple[str, str], set[bytes]] = OrderedDict()

    def add(self, prompt: MeasuredPrompt) -> InputTokens:
        """Add the prefixes of a prompt to the cache, and return its tokens."""
        if prompt.key == ("None", "None"):
            return InputTokens(prompt.tokens, 0)
        return InputTokens(prompt.tokens, self._cached_bytes(prompt.key, prompt.parts) // _BYTES_PER_TOKEN)

    def clear(self) -> None:
        """Remove all prefixes."""
        with self._lock:
            self._prefixes.clear()

    def _cached_bytes(self, key: tuple[str, str], parts: list[tuple[int, str]]) -> int:
        digest, byte_count, cached, is_hit = b"", 0, 0, True
        with self._lock:
            known = self._prefixes.setdefault(key, set())
            self._prefixes.move_to_end(key)
            for count, text in parts:
                digest = hashlib.blake2b(digest + text.encode(errors="replace"), digest_size=16).digest()
                byte_count += count
                is_hit = is_hit and digest in known
                cached = byte_count if is_hit else cached
                known.add(digest)
            while len(self._prefixes) > _MAX_KEYS:
                self._prefixes.popitem(last=False)
        return cached


def measure_prompt(request: ParsedRequest) -> MeasuredPrompt:
    """Return the parts of the prompt of a request, and its estimated tokens."""
    body = request.body
    items = body["input"] if isinstance(body.get("input"), list) else []
    reasoning = body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    head = [(0, f"{request.model} {effort}"), _member(body, "tools")]
    instructions = [_member(body, "instructions")]
    item_parts = [(_item_bytes(item), _json_text(item)) for item in items]
    is_at_end = request.model.startswith(_INSTRUCTIONS_AT_END)
    parts = [*head, *item_parts, *instructions] if is_at_end else [*head, *instructions, *item_parts]
    tokens = (sum(count for count, _ in parts) + _member(body, "text")[0]) // _BYTES_PER_TOKEN
    key = (str(body.get("prompt_cache_key")), str(request.headers.get("session-id")))
    return MeasuredPrompt(key, parts, tokens)


def count_tokens(value: Any) -> int:
    """Return the estimated tokens of a JSON value: one for four bytes of its text."""
    return -(-_json_bytes(value) // _BYTES_PER_TOKEN)


def _member(body: Mapping[str, Any], name: str) -> tuple[int, str]:
    value = body.get(name)
    return (_json_bytes(value) if value else 0), _json_text(value)


def _item_bytes(item: Any) -> int:
    """Return the size of an input item, by the rule of the Codex CLI. Its parts count one by one."""
    if not isinstance(item, dict):
        return _json_bytes(item)
    lists = [name for name in ("content", "output") if isinstance(item.get(name), list)]
    if lists:
        rest = {name: value for name, value in item.items() if name not in lists}
        return _part_bytes(rest) + sum(_part_bytes(part) for name in lists for part in item[name])
    return _part_bytes(item)


def _part_bytes(part: Any) -> int:
    part_type = part.get("type") if isinstance(part, dict) else None
    if part_type == "input_image":
        return _IMAGE_BYTES
    if part_type in ("input_audio", "input_file"):
        return 0  # the CLI has no rule for them
    encrypted = part.get("encrypted_content") if isinstance(part, dict) else None
    if not isinstance(encrypted, str):
        return _json_bytes(part)
    if part_type == "encrypted_content":
        return len(encrypted) * 9 // 16
    return max(0, len(encrypted) * 3 // 4 - _REASONING_OVERHEAD_BYTES)


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _json_bytes(value: Any) -> int:
    return len(_json_text(value).encode(errors="replace"))
