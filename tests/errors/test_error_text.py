"""Test the extraction of messages from error bodies."""

from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk._errors.error_text import describe_body, error_message, error_object, quote_backend


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "No."}}, "No."),
        ({"error": {}, "detail": "Unsupported parameter: user"}, "Unsupported parameter: user"),
        ({"detail": [{"loc": "input"}]}, "[{'loc': 'input'}]"),
        ({"detail": [{"loc": "input", "input": "my prompt"}, "x"]}, "[{'loc': 'input'}, 'x']"),
        ({"detail": {"code": "x", "message": "No."}}, "No."),
        ({"message": "x"}, "x"),
        ({}, None),
        ("  some\n text ", "some text"),
        ("", None),
        (None, None),
        ("x" * 400, "x" * 300 + "…"),
        (
            "<!DOCTYPE html><title>Just a\nmoment...</title>",
            "an HTML page titled “Just a moment...” instead of a response from the backend",
        ),
        ("<HTML><TITLE class='x'>İ Ä</Title>", "an HTML page titled “İ Ä” instead of a response from the backend"),
        ("<html></html>", None),
        ("<html><title", None),
        ("<html><title>no end", None),
        ("<html>" + " " * 20_000 + "<title>far away</title>", None),
        ("Bearer fake-token-1", "Bearer [REDACTED]"),
    ],
)
def test_error_message_is_extracted(body: Any, expected: str | None) -> None:
    assert error_message(body) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Not today", " Backend message: “Not today”."),
        ("Not today.", " Backend message: “Not today.”"),
        ("Really?", " Backend message: “Really?”"),
        (
            "an HTML page titled “Busy” instead of a response from the backend",
            " The reply was an HTML page titled “Busy” instead of a response from the backend.",
        ),
        ("", ""),
        (None, ""),
    ],
)
def test_message_of_the_backend_is_quoted(message: str | None, expected: str) -> None:
    assert quote_backend(message) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"code": "x"}}, {"code": "x"}),
        ({"detail": {"code": "x"}}, {"code": "x"}),
        ({"error": "text", "detail": "text"}, {}),
        ("text", {}),
        (None, {}),
    ],
)
def test_error_object_is_extracted(body: Any, expected: dict[str, Any]) -> None:
    assert error_object(body) == expected


@pytest.mark.parametrize(
    ("content_type", "text", "expected"),
    [
        ("text/html", "", "an empty body"),
        ("text/html", "<html><title> Sign in </title>", "an HTML page titled “Sign in”"),
        ("text/html", " <!doctype html><p>", "an HTML page"),
        (
            "application/json",
            '{"detail": "Stream must be set to true"}',
            "JSON with the message “Stream must be set to true”",
        ),
        ("application/json", '{"instructions": "secret"}', 'JSON, 26 characters: “{"instructions": "[REDACTED]"}”'),
        ("application/json", "[1]", "JSON, 3 characters: “[1]”"),
        ("application/json", r'["\u001b[31m", "se\u0063ret"]', 'JSON, 29 characters: “["", "[REDACTED]"]”'),
        ("application/json", f"[{'1, ' * 6000}1]", "JSON, 18003 characters"),
        ("text/plain", "my prompt", "text/plain, 9 characters: “[REDACTED]”"),
        ("", "my prompt", "untyped data, 9 characters: “[REDACTED]”"),
    ],
)
def test_unexpected_body_is_described_without_the_prompt(content_type: str, text: str, expected: str) -> None:
    assert describe_body(content_type, text, sent=("my prompt", "secret")) == expected


def test_description_of_a_body_is_short() -> None:
    expected = f"text/plain, 50000 characters: “{'x' * 200}…”"
    assert describe_body("text/plain", "x" * 50_000) == expected


def test_deeply_nested_json_is_described_without_its_text() -> None:
    """A depth that the parser accepts may be too deep for the redaction, depending on the version of Python."""
    descriptions = [describe_body("application/json", "[" * depth + "]" * depth) for depth in range(50, 1000, 50)]
    assert all("characters" in description for description in descriptions)
    assert any("[[[" in description for description in descriptions)


@pytest.mark.parametrize("length", [100, 300, 50_000])
def test_description_does_not_contain_a_part_of_the_prompt(length: int) -> None:
    prompt = " ".join(f"word{number}" for number in range(length))[:length]
    for text in (f"Bad request: {prompt} is wrong", f"Bad request: {prompt}"[: length // 2 + 220]):
        if len(text) > len(prompt) or length > 220:
            assert "word3" not in describe_body("text/plain", text, sent=[prompt])
