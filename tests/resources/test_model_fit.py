from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk.resources.explanation import TokenEstimate
from codex_backend_sdk.resources.model_fit import context_window, fit

FEW = TokenEstimate(low=1, likely=2, high=3)
ENTRY: dict[str, Any] = {
    "id": "m",
    "supported_reasoning_levels": [{"effort": "low"}, {"effort": "ultra"}],
    "support_verbosity": True,
    "service_tiers": [{"id": "priority"}],
    "input_modalities": ["text", "image"],
    "supports_image_detail_original": True,
    "context_window": 1000,
    "max_context_window": 1000,
    "effective_context_window_percent": 90,
}
IMAGE = {"type": "message", "role": "user", "content": [{"type": "input_image", "detail": "original"}]}
AUDIO = {"type": "function_call_output", "output": [{"type": "input_audio"}, "odd"]}


def told(body: dict[str, Any], tokens: TokenEstimate = FEW, **entry: Any) -> list[str]:
    return [str(finding) for finding in fit({"model": "m", **body}, [ENTRY | entry], tokens=tokens)]


def test_without_a_catalogue_it_says_so() -> None:
    (finding,) = fit({"model": "m"}, None, tokens=FEW)
    assert finding.level == "note"
    assert finding.remedy == "Call `client.models.list()` first."


def test_a_model_that_the_account_does_not_have() -> None:
    hidden = {"id": "hidden", "visibility": "hide"}
    (finding,) = fit({"model": "x"}, [ENTRY, hidden], tokens=FEW)
    assert (finding.level, finding.remedy) == ("warning", "Use one of: m.")
    (finding,) = fit({"model": "x"}, [hidden], tokens=FEW)
    assert finding.remedy is None


GOOD: list[dict[str, Any]] = [
    {},
    {"reasoning": {"effort": "low", "summary": "auto"}, "text": {"verbosity": "low"}},
    {"reasoning": {"effort": 80}},
    {"service_tier": "priority"},
    {"service_tier": "flex"},
    {"parallel_tool_calls": True},
    {"input": [IMAGE, "text", {"type": "message", "content": "text"}]},
]


@pytest.mark.parametrize("body", GOOD)
def test_what_fits(body: dict[str, Any]) -> None:
    assert told(body) == []


# (the body, what the entry says otherwise, words of the one finding)
BAD: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"reasoning": {"effort": "minimal"}}, {}, "no reasoning effort 'minimal'"),
    ({"reasoning": {"effort": "ultra"}}, {}, "sends 'max' for it"),
    ({"reasoning": {"effort": "ultra"}}, {"multi_agent_reasoning_effort": "xhigh"}, "{'effort': 'xhigh'}"),
    ({"reasoning": {"summary": "auto"}}, {"supports_reasoning_summary_parameter": False}, "no reasoning summaries"),
    ({"text": {"verbosity": "low"}}, {"support_verbosity": False}, "takes no verbosity"),
    ({"service_tier": "fast"}, {}, "Use one of: priority"),
    ({"service_tier": "priority"}, {"service_tiers": []}, "Leave `service_tier` out"),
    ({"parallel_tool_calls": True}, {"supports_parallel_tool_calls": False}, "one tool at a time"),
    ({"input": [AUDIO]}, {}, "does not take audio"),
    ({"input": [AUDIO]}, {"input_modalities": None}, "It takes text, image."),
    ({"input": [IMAGE]}, {"input_modalities": ["text"]}, "does not take image"),
    ({"input": [IMAGE]}, {"supports_image_detail_original": False}, "original detail"),
]


@pytest.mark.parametrize(("body", "entry", "words"), BAD)
def test_what_does_not_fit(body: dict[str, Any], entry: dict[str, Any], words: str) -> None:
    (text,) = told(body, **entry)
    assert words in text


def test_what_the_catalogue_does_not_say_is_no_reason_to_warn() -> None:
    body = {"reasoning": {"effort": "odd", "summary": "auto"}, "text": {"verbosity": "low"}, "service_tier": "odd"}
    many = TokenEstimate(low=10**6, likely=10**6, high=10**6)
    assert list(fit({"model": "m", **body}, [{"id": "m"}], tokens=many)) == []


@pytest.mark.parametrize(
    ("low", "likely", "high", "level", "words"),
    [
        (1, 2, 901, "note", "may not fit"),
        (1, 901, 902, "warning", "is not likely to fit"),
        (901, 902, 903, "warning", "does not fit"),
    ],
)
def test_the_context_window(low: int, likely: int, high: int, level: str, words: str) -> None:
    tokens = TokenEstimate(low=low, likely=likely, high=high)
    (finding,) = fit({"model": "m"}, [ENTRY], tokens=tokens)
    assert finding.level == level
    assert words in finding.what
    assert "the window is 1,000, of which the Codex CLI uses 900." in finding.why
    assert told({}, TokenEstimate(low=1, likely=2, high=900)) == []


def test_the_largest_window_is_named_when_it_is_another() -> None:
    tokens = TokenEstimate(low=1, likely=2, high=951)
    (text,) = told({}, tokens, max_context_window=5000, effective_context_window_percent=None)
    assert "uses 950. The catalogue speaks of 5,000 at most." in text


def test_the_window_of_a_model() -> None:
    assert context_window("m", [ENTRY]) == 1000
    assert context_window("m", [{"id": "m"}]) is None
    assert context_window("x", [ENTRY]) is None
    assert context_window("m", None) is None
