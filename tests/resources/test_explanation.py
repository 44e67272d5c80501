from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk.resources.explanation import Explanation, Finding, PreparedRequest, TokenEstimate

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


def sent(body: dict[str, Any], **changes: Any) -> PreparedRequest:
    members: dict[str, Any] = {
        "method": "POST",
        "url": "https://example.com/responses",
        "headers": {"accept": "text/event-stream", "authorization": "…"},
        "body": body,
        "plain_bytes": 12000,
        "sent_bytes": 12000,
    }
    return PreparedRequest(**(members | changes))


def test_it_reads_as_what_would_be_sent_without_a_prompt() -> None:
    text = str(Explanation(model="m", prepared_request=sent(BODY)))
    assert text.splitlines() == [
        "Would be sent:",
        "  to            POST https://example.com/responses",
        "  model         m",
        "  input         3 items: 1 message of user, 1 reasoning, 1 None",
        "  instructions  9 characters",
        "  tools         f, web_search, odd",
        "  besides       stream=true, store=false, seed=7, text",
        "  size          12,000 bytes",
        "  headers       accept: text/event-stream; authorization: …",
    ]
    assert "secret plan" not in repr(sent(BODY))


def test_it_says_how_small_the_body_gets_and_how_large_the_window_is() -> None:
    tokens = TokenEstimate(low=1, likely=2, high=3000)
    request = sent({"input": "damaged", "tools": []}, sent_bytes=3000, encoding="zstd")
    text = str(Explanation(model="m", prepared_request=request, tokens=tokens, context_window=272000))
    assert "12,000 bytes, sent as 3,000 with zstd" in text
    assert "about 2 tokens (between 1 and 3,000); the window is 272,000" in text
    assert "0 items\n" in text
    assert "tools" not in text
    assert "window" not in str(Explanation(model="m", prepared_request=request, tokens=tokens))


def test_many_tools_are_named_in_part() -> None:
    tools = [{"type": "function", "name": f"f{number}"} for number in range(10)]
    assert "f7 and 2 more\n" in str(Explanation(model="m", prepared_request=sent({"input": [{}], "tools": tools})))


def test_the_worst_is_told_first() -> None:
    findings = (
        Finding(level="note", what="Four."),
        Finding(level="changed", what="Three."),
        Finding(level="warning", what="Two.", why="It is so.", remedy="Do this."),
        Finding(level="refused", what="One."),
    )
    explanation = Explanation(model="m", prepared_request=None, findings=findings)
    assert str(explanation).splitlines() == [
        "Nothing would be sent: the call is refused.",
        "✗ One.",
        "! Two. It is so.",
        "  → Do this.",
        "~ Three.",
        "· Four.",
    ]
    assert explanation.is_refused
    assert explanation.is_doubtful
    assert str(findings[2]) == "Two. It is so. Do this."


def test_without_a_finding_nothing_is_refused_or_doubtful() -> None:
    explanation = Explanation(model="m", prepared_request=sent({}))
    assert not explanation.is_refused
    assert not explanation.is_doubtful


@pytest.mark.parametrize(
    ("images", "uncounted", "words"),
    [
        (0, 0, ""),
        (1, 0, ", with an image"),
        (2, 0, ", with 2 images"),
        (0, 1, ", without 1 part of audio or files"),
        (2, 2, ", with 2 images, without 2 parts of audio or files"),
    ],
)
def test_an_estimate_says_what_it_counts(images: int, uncounted: int, words: str) -> None:
    estimate = TokenEstimate(low=1, likely=2, high=3, images=images, uncounted=uncounted)
    assert str(estimate) == "about 2 tokens (between 1 and 3)" + words
