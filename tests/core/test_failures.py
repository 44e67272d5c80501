from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from codex_backend_sdk._core.failures import describe, explain_failure, summarize, usage_limit

LIMIT = {"error": {"type": "usage_limit_reached", "plan_type": "plus", "resets_at": 1795360000}}


def test_a_usage_limit_tells_plan_and_reset() -> None:
    limit = usage_limit(429, LIMIT)
    assert limit is not None
    assert limit.plan == "plus"
    assert limit.resets_at == datetime.fromtimestamp(1795360000, UTC)
    assert "of the plus plan" in limit.message
    assert "2026-11-22 15:06 UTC" in limit.message


def test_a_usage_limit_without_particulars() -> None:
    limit = usage_limit(429, {"error": {"type": "usage_limit_reached"}})
    assert limit is not None
    assert (limit.plan, limit.resets_at) == (None, None)
    assert limit.message.startswith("The usage limit is reached.")


@pytest.mark.parametrize("resets_at", [1795360000000, float("inf"), float("nan"), "soon", -1e20, None])
def test_a_reset_time_that_is_no_time_is_none(resets_at: Any) -> None:
    limit = usage_limit(429, {"error": {"type": "usage_limit_reached", "resets_at": resets_at}})
    assert limit is not None
    assert limit.resets_at is None


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, LIMIT), (429, {"error": {"type": "rate_limit"}}), (429, "text"), (429, {"error": "text"}), (429, None)],
)
def test_other_answers_are_no_usage_limit(status: int, body: Any) -> None:
    assert usage_limit(status, body) is None


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ({"error": {"message": "No."}}, {}, "Error code: 400 - No."),
        ({"detail": "Unsupported parameter: user"}, {}, "Error code: 400 - Unsupported parameter: user"),
        ({"detail": [{"loc": "input"}]}, {}, "Error code: 400 - [{'loc': 'input'}]"),
        ({"message": "x"}, {}, "Error code: 400 - x"),
        ({}, {}, "Error code: 400"),
        ("  some\n text ", {}, "Error code: 400 - some text"),
        ("", {}, "Error code: 400"),
        (None, {}, "Error code: 400"),
        ("x" * 400, {}, "Error code: 400 - " + "x" * 300 + "…"),
        (
            "<!DOCTYPE html><title>Just a\nmoment...</title>",
            {},
            "Error code: 400 - an HTML page titled “Just a moment...”, not an answer of the backend",
        ),
        ("<html></html>", {}, "Error code: 400"),
        (
            "<html></html>",
            {"cf-ray": "abc"},
            "Error code: 400 - an HTML page of Cloudflare (cf-ray abc), not an answer of the backend",
        ),
    ],
)
def test_error_answers_in_one_line(body: Any, headers: dict[str, str], expected: str) -> None:
    assert describe(400, body, headers) == expected


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ({"code": "server_error", "message": "Oh."}, "The backend ended the answer: Oh. (code: server_error)"),
        ({"message": "Oh."}, "The backend ended the answer: Oh."),
        ({}, "The backend ended the answer: no reason given"),
    ],
)
def test_failed_answers_in_one_line(failure: dict[str, Any], expected: str) -> None:
    assert explain_failure(failure) == expected


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
