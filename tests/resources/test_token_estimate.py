from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk.resources.token_estimate import estimate

TEXT = {"type": "message", "role": "user", "content": "x" * 400_000}


def of(*items: Any, **members: Any) -> Any:
    return estimate({"input": list(items), **members})


def test_four_bytes_of_text_are_a_token() -> None:
    found = of(TEXT)
    assert found.likely == pytest.approx(100_000, rel=0.01)
    assert found.low == pytest.approx(400_000 / 6, rel=0.01)
    assert found.high == pytest.approx(160_000, rel=0.01)


def test_what_the_model_reads_besides_the_input_counts() -> None:
    assert of(instructions="x" * 4000, tools=[{"type": "function", "description": "x" * 4000}]).likely >= 2000
    assert of(metadata={"a": "x" * 4000}).likely == 0


def test_an_image_counts_the_same_whatever_its_data() -> None:
    small, large = (
        of({"type": "message", "content": [{"type": "input_image", "image_url": "data:" + "A" * size}]})
        for size in (1, 1_000_000)
    )
    assert small == large
    assert small.images == 1
    assert small.likely == pytest.approx(1843, abs=20)


def test_an_image_in_the_output_of_a_tool_counts_too() -> None:
    output = [{"type": "input_image", "image_url": "data:"}, {"type": "input_text", "text": "x" * 400}]
    found = of({"type": "function_call_output", "call_id": "c", "output": output})
    assert found.images == 1
    assert found.likely > 1900


@pytest.mark.parametrize("kind", ["input_audio", "input_file"])
def test_what_cannot_be_counted_is_named(kind: str) -> None:
    found = of({"type": "message", "content": [{"type": kind, "data": "A" * 100_000}]})
    assert found.uncounted == 1
    assert found.high < 100


def test_what_is_encrypted_counts_as_long_as_it_is_in_the_clear() -> None:
    assert of({"type": "reasoning", "encrypted_content": "A" * 10_000}).likely == (7500 - 650) // 4
    assert of({"type": "reasoning", "encrypted_content": "A"}).likely == 0
    part = {"type": "encrypted_content", "encrypted_content": "A" * 16_000}
    assert of({"type": "agent_message", "content": [part]}).likely == pytest.approx(9000 / 4, abs=20)


@pytest.mark.parametrize("given", [None, [], ["text"], [7]])
def test_nothing_of_what_may_stand_there_breaks_it(given: Any) -> None:
    assert estimate({"input": given}).likely <= 2
