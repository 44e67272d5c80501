"""Test `cached_tokens`: which requests have a hit in the simulated prompt cache, and of what length."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codex_backend_sdk.testing import Simulator
from codex_backend_sdk.testing.backend.validation import RULES

KEY = {"prompt_cache_key": "k1"}
LONG = "A long question. " * 50
TOOL = {"type": "function", "name": "f", "parameters": {}}


def cached(raw_client: Any, *items: Any, session: str | None = "s1", **members: Any) -> tuple[int, int]:
    """Return (cached tokens, input tokens) of a request."""
    headers = {} if session is None else {"session-id": session}
    response = raw_client.post(raw_client.body(*items, **{**KEY, **members}), **headers)
    usage = json.loads(response.text.rstrip().rpartition("data: ")[2])["response"]["usage"]
    return usage["input_tokens_details"]["cached_tokens"], usage["input_tokens"]


def test_common_prefix_is_cached(raw_client: Any) -> None:
    first_cached, first_total = cached(raw_client, LONG)
    assert first_cached == 0
    second_cached, second_total = cached(raw_client, LONG, "next")
    assert first_total - 10 <= second_cached <= first_total < second_total
    assert cached(raw_client, LONG, "next", "third")[0] > second_cached


@pytest.mark.parametrize(
    "change",
    [
        {"session": "s2"},
        {"session": None},
        {"prompt_cache_key": "k2"},
        {"model": "gpt-5.5"},
        {"tools": [TOOL], "tool_choice": "none"},
        {"reasoning": {"effort": "high"}},
        {"instructions": "Be brief."},
    ],
)
def test_change_before_the_items_misses(raw_client: Any, change: dict[str, Any]) -> None:
    cached(raw_client, LONG)
    assert cached(raw_client, LONG, "next", **change)[0] < 10
    assert cached(raw_client, LONG, "next")[0] > 200


def test_change_within_the_items_keeps_the_prefix(raw_client: Any) -> None:
    cached(raw_client, LONG, "two", "three")
    before_two = cached(raw_client, LONG, "changed", "three")[0]
    assert 200 < before_two < cached(raw_client, LONG, "two", "three")[0]


def test_request_without_a_key_misses(raw_client: Any) -> None:
    for _ in range(2):
        assert cached(raw_client, LONG, session=None, prompt_cache_key=None)[0] == 0


def test_instructions_are_last_from_gpt_6_2_on(raw_client: Any) -> None:
    """Thus the instructions miss the cache, and a change of them does not matter."""
    members = {"model": "gpt-6.2-sol", "instructions": LONG}
    _, total = cached(raw_client, "hi", **members)
    assert cached(raw_client, "hi", "next", **members)[0] < total / 2
    older = {**members, "model": "gpt-6.1-sol"}
    cached(raw_client, "hi", **older)
    assert cached(raw_client, "hi", "next", **older)[0] > total / 2


def test_continuation_on_a_socket_hits_the_cache(raw_client: Any, open_socket: Any) -> None:
    socket = open_socket(raw_client, headers={"session-id": "s1"})
    prewarm = socket.create(LONG, generate=False, **KEY)[-1]["response"]
    first = socket.create("hi", previous_response_id=prewarm["id"], **KEY)[-1]["response"]
    assert first["usage"]["input_tokens_details"]["cached_tokens"] > 200
    second = socket.create("next", previous_response_id=first["id"], **KEY)[-1]["response"]["usage"]
    assert second["input_tokens_details"]["cached_tokens"] > first["usage"]["input_tokens_details"]["cached_tokens"]


IMAGE = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 70_000}
BODIES: list[dict[str, Any]] = [
    {"input": "Grüße 🌊"},
    {"input": [{"role": "user", "content": [{"type": "input_text", "text": "What?"}, IMAGE, IMAGE]}]},
    {"input": "hi", "instructions": "Be brief.", "tools": [TOOL], "text": {"verbosity": "low"}},
    {"input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAA" + "A" * 4000}]},
    {"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x" * 99}]}]},
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_input_tokens_agree_with_explain(body: dict[str, Any]) -> None:
    with Simulator(validation_rules={rule.name: False for rule in RULES}) as sim, sim.client() as client:
        tokens = client.codex.explain(**body).tokens
        assert tokens is not None
        usage = client.responses.create(**body).usage
        assert usage is not None
        assert abs(usage.input_tokens - tokens.likely) <= 2


def test_clear_empties_the_cache(raw_client: Any) -> None:
    cached(raw_client, LONG)
    raw_client.sim.clear()
    assert cached(raw_client, LONG)[0] == 0
