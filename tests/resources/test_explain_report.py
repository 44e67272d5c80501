"""Test the text of an explanation and its token estimate."""

from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk.resources.explain_report import (
    Explanation,
    Finding,
    PreparedRequest,
    TokenEstimate,
    estimate_tokens,
)

BODY = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [{"type": "message", "role": "user", "content": "My secret plan"}, {"type": "reasoning"}, "odd"],
    "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}, "odd"],
    "stream": True,
    "store": False,
    "seed": 7,
    "text": {"verbosity": "low"},
}


def prepared_request(body: dict[str, Any], **changes: Any) -> PreparedRequest:
    members: dict[str, Any] = {
        "method": "POST",
        "url": "https://example.com/responses",
        "headers": {"accept": "text/event-stream", "authorization": "…"},
        "body": body,
        "plain_bytes": 12000,
        "sent_bytes": 12000,
    }
    return PreparedRequest(**(members | changes))


def test_printed_explanation_shows_the_request_without_prompts() -> None:
    assert str(Explanation(model="m", prepared_request=prepared_request(BODY))).splitlines() == [
        "This request would be sent:",
        "  request       POST https://example.com/responses",
        "  model         m",
        "  input         3 items: 1 user message, 1 reasoning, 1 None",
        "  instructions  9 characters",
        "  tools         f, web_search, odd",
        "  parameters    stream=true, store=false, seed=7, text",
        "  size          12,000 bytes",
        "  headers       accept: text/event-stream; authorization: …",
    ]
    assert "secret plan" not in repr(prepared_request(BODY))


def test_printed_explanation_shows_compression_and_window() -> None:
    tokens = TokenEstimate(low=1, likely=2, high=3000)
    request = prepared_request({"input": "damaged", "tools": []}, sent_bytes=3000, encoding="zstd")
    text = str(Explanation(model="m", prepared_request=request, tokens=tokens, context_window=272000))
    assert "12,000 bytes, sent as 3,000 with zstd" in text
    assert "about 2 tokens (between 1 and 3,000); the context window has 272,000" in text
    assert "0 items\n" in text
    assert "tools" not in text
    assert "window" not in str(Explanation(model="m", prepared_request=request, tokens=tokens))


def test_printed_explanation_shortens_a_long_tool_list() -> None:
    tools = [{"type": "function", "name": f"f{number}"} for number in range(10)]
    explanation = Explanation(model="m", prepared_request=prepared_request({"input": [{}], "tools": tools}))
    assert "f7 and 2 more\n" in str(explanation)


def test_findings_are_printed_by_severity() -> None:
    findings = (
        Finding(level="note", what="Four."),
        Finding(level="changed", what="Three."),
        Finding(level="warning", what="Two.", why="Because.", remedy="Do this."),
        Finding(level="refused", what="One."),
    )
    explanation = Explanation(model="m", prepared_request=None, findings=findings)
    assert str(explanation).splitlines() == [
        "The client rejects the call.",
        "✗ One.",
        "! Two. Because.",
        "  → Do this.",
        "~ Three.",
        "· Four.",
    ]
    assert explanation.is_refused
    assert str(findings[2]) == "Two. Because. Do this."


def test_explanation_with_a_request_is_not_rejected() -> None:
    assert not Explanation(model="m", prepared_request=prepared_request({})).is_refused


@pytest.mark.parametrize(
    ("images", "uncounted", "suffix"),
    [
        (0, 0, ""),
        (1, 0, ", with 1 image"),
        (0, 1, ", without 1 audio or file part"),
        (2, 2, ", with 2 images, without 2 audio or file parts"),
    ],
)
def test_printed_estimate_names_images_and_uncounted_parts(images: int, uncounted: int, suffix: str) -> None:
    estimate = TokenEstimate(low=1, likely=2, high=3, images=images, uncounted=uncounted)
    assert str(estimate) == "about 2 tokens (between 1 and 3)" + suffix


# --- the token estimate ----------------------------------------------------------------------------------------------


def estimate_of(*items: Any, **members: Any) -> TokenEstimate:
    return estimate_tokens({"input": list(items), **members})


def test_four_bytes_of_text_are_one_token() -> None:
    estimate = estimate_of({"type": "message", "role": "user", "content": "x" * 400_000})
    assert estimate.likely == pytest.approx(100_000, rel=0.01)
    assert estimate.low == pytest.approx(400_000 / 6, rel=0.01)
    assert estimate.high == pytest.approx(160_000, rel=0.01)


def test_instructions_and_tools_are_counted() -> None:
    tools = [{"type": "function", "description": "x" * 4000}]
    assert estimate_of(instructions="x" * 4000, tools=tools).likely >= 2000
    assert estimate_of(metadata={"a": "x" * 4000}).likely == 0


def test_image_counts_the_same_for_any_size() -> None:
    small, large = (
        estimate_of({"type": "message", "content": [{"type": "input_image", "image_url": "data:" + "A" * size}]})
        for size in (1, 1_000_000)
    )
    assert small == large
    assert small.images == 1
    assert small.likely == pytest.approx(1843, abs=20)


def test_image_in_a_tool_output_is_counted() -> None:
    output = [{"type": "input_image", "image_url": "data:"}, {"type": "input_text", "text": "x" * 400}]
    estimate = estimate_of({"type": "function_call_output", "call_id": "c", "output": output})
    assert estimate.images == 1
    assert estimate.likely > 1900


@pytest.mark.parametrize("part_type", ["input_audio", "input_file"])
def test_audio_and_files_are_uncounted(part_type: str) -> None:
    estimate = estimate_of({"type": "message", "content": [{"type": part_type, "data": "A" * 100_000}]})
    assert estimate.uncounted == 1
    assert estimate.high < 100


def test_encrypted_content_counts_by_its_decoded_length() -> None:
    assert estimate_of({"type": "reasoning", "encrypted_content": "A" * 10_000}).likely == (7500 - 650) // 4
    assert estimate_of({"type": "reasoning", "encrypted_content": "A"}).likely == 0
    part = {"type": "encrypted_content", "encrypted_content": "A" * 16_000}
    assert estimate_of({"type": "agent_message", "content": [part]}).likely == pytest.approx(9000 / 4, abs=20)


@pytest.mark.parametrize("input_value", [None, [], ["text"], [7], [{"content": []}], [{"output": [7, {"type": []}]}]])
def test_malformed_input_is_estimated(input_value: Any) -> None:
    assert estimate_tokens({"input": input_value}).likely <= 5
