from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk._errors.error_text import error_of, summarize, words_of


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "No."}}, "No."),
        ({"error": {}, "detail": "Unsupported parameter: user"}, "Unsupported parameter: user"),
        ({"detail": [{"loc": "input"}]}, "[{'loc': 'input'}]"),
        ({"detail": {"code": "x", "message": "No."}}, "No."),
        ({"message": "x"}, "x"),
        ({}, None),
        ("  some\n text ", "some text"),
        ("", None),
        (None, None),
        ("x" * 400, "x" * 300 + "…"),
        (
            "<!DOCTYPE html><title>Just a\nmoment...</title>",
            "an HTML page titled “Just a moment...”, not an answer of the backend",
        ),
        ("<html></html>", None),
    ],
)
def test_the_backends_own_words(body: Any, expected: str | None) -> None:
    assert words_of(body) == expected


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
def test_the_error_object(body: Any, expected: dict[str, Any]) -> None:
    assert error_of(body) == expected


@pytest.mark.parametrize(
    ("content_type", "text", "expected"),
    [
        ("text/html", "", "an empty body"),
        ("text/html", "<html><title> Sign in </title>", "an HTML page titled “Sign in”"),
        ("text/html", " <!doctype html><p>", "an HTML page"),
        ("application/json", '{"detail": "Stream must be set to true"}', "JSON that says “Stream must be set to true”"),
        ("application/json", '{"instructions": "secret"}', "JSON, 26 characters"),
        ("application/json", "[1]", "JSON, 3 characters"),
        ("text/plain", "my prompt", "text/plain, 9 characters"),
        ("", "my prompt", "untyped data, 9 characters"),
    ],
)
def test_bodies_that_should_be_something_else(content_type: str, text: str, expected: str) -> None:
    assert summarize(content_type, text) == expected
