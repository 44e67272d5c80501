"""Test the lines of a batch: forms of requests, templates, identity, and result lines."""

from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk import BatchInputError, LoginRequiredError, TokenRefreshError
from codex_backend_sdk.batch.lines import (
    BatchRequest,
    describe_error,
    failure_line,
    fill_template,
    generated_id,
    hash_id,
    hash_request,
    parse_request,
    result_line,
)

OFFICIAL = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"input": "hi", "model": "m"}}
REQUEST = BatchRequest(0, "a", {"input": "hi"}, 1, 2)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("hi", (None, {"input": "hi"})),
        ({"input": "hi"}, (None, {"input": "hi"})),
        (
            {"custom_id": "a", "input": [{"role": "user"}], "model": "m"},
            ("a", {"input": [{"role": "user"}], "model": "m"}),
        ),
        (OFFICIAL, ("a", {"input": "hi", "model": "m"})),
        ({"body": {"input": "hi", "stream": True}}, (None, {"input": "hi"})),
        ({"input": "hi", "stream": True, "background": False}, (None, {"input": "hi"})),
    ],
)
def test_forms_of_a_request_are_read(value: Any, expected: Any) -> None:
    assert parse_request(value, number=1) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("  ", "Line 3 of the batch is invalid: it is empty"),
        (7, "it is a JSON int"),
        (None, "it is a JSON NoneType"),
        ({"custom_id": 7, "input": "hi"}, "its `custom_id` is 7"),
        ({"custom_id": "", "input": "hi"}, "its `custom_id` is ''"),
        ({"custom_id": "x" * 513, "input": "hi"}, "Use a text of 1 to 512 characters"),
        ({"prompt": "hi"}, "it has no `input`"),
        ({"body": {"model": "m"}}, "it has no `input`"),
        ({"body": "hi"}, "its `body` is not an object"),
        ({**OFFICIAL, "url": "/v1/chat/completions"}, "POST /v1/chat/completions. The Codex backend has only"),
        ({**OFFICIAL, "method": "GET"}, "it is for GET"),
        ({**OFFICIAL, "model": "m"}, "it has the member 'model' beside `body`"),
    ],
)
def test_invalid_request_is_named(value: Any, message: str) -> None:
    with pytest.raises(BatchInputError) as caught:
        parse_request(value, number=3)
    assert message in str(caught.value)
    assert str(caught.value).endswith("No request was sent.")


def test_official_body_is_not_changed() -> None:
    line = {"body": {"input": "hi", "stream": True}}
    parse_request(line, number=1)
    assert line == {"body": {"input": "hi", "stream": True}}


@pytest.mark.parametrize(
    ("template", "row", "expected"),
    [
        ("Translate: {text}", {"text": "Hallo"}, "Translate: Hallo"),
        ("{a.b} {first name}", {"a.b": 1, "first name": "X"}, "1 X"),
        ("{{literal}} {text}{tone}", {"text": None, "tone": "x"}, "{literal} x"),
        ("{text:>4}", {"text": "x"}, "   x"),
    ],
)
def test_template_is_filled(template: str, row: dict[str, Any], expected: str) -> None:
    assert fill_template(template, row, number=1) == expected


@pytest.mark.parametrize(
    ("template", "row", "message"),
    [
        ("{text}", {"title": "x"}, "Line 2 of the batch has no column 'text', which the template needs. It has title."),
        ("{text}", {}, "It has no columns."),
        ("T: {text}", {"text": ""}, "Line 2 of the batch is invalid: the values for the template are empty (text)."),
        ("{text", {"text": "x"}, "The template '{text' is invalid"),
        ("{text.__class__}", {"text": "x"}, "no column 'text.__class__'"),
    ],
)
def test_wrong_template_is_named(template: str, row: dict[str, Any], message: str) -> None:
    with pytest.raises(BatchInputError) as caught:
        fill_template(template, row, number=2)
    assert message in str(caught.value)


def test_order_of_parameters_has_no_influence() -> None:
    assert hash_request({"a": 1, "b": [1, 2]}, number=1) == hash_request({"b": [1, 2], "a": 1}, number=1)
    assert hash_request({"a": 1}, number=1) != hash_request({"a": 2}, number=1)


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_parameter_that_is_not_json_is_named(value: object) -> None:
    with pytest.raises(BatchInputError, match=r"Line 4 of the batch is invalid: a parameter is not JSON data"):
        hash_request({"input": value}, number=4)


def test_ids_differ() -> None:
    assert hash_id("a") != hash_id("b")
    assert hash_id("\ud800") == hash_id("\ud800")  # a lone surrogate is possible in JSON
    assert [generated_id(255, 1), generated_id(255, 2)] == [
        "request-00000000000000ff",
        "request-00000000000000ff-2",
    ]


def test_result_has_the_official_form() -> None:
    assert result_line(REQUEST, {"output": []}, request_id="req_1") == {
        "id": "batch_req_00000000000000010000000000000002",
        "custom_id": "a",
        "response": {"status_code": 200, "request_id": "req_1", "body": {"output": []}},
        "error": None,
    }


ERROR = {"code": "c", "message": "m"}


@pytest.mark.parametrize(
    ("arguments", "response"),
    [
        ({}, None),
        ({"status_code": 400, "request_id": "r"}, {"status_code": 400, "request_id": "r", "body": {"error": ERROR}}),
        ({"body": {"output": []}}, {"status_code": 200, "request_id": None, "body": {"output": []}}),
    ],
)
def test_failure_always_has_an_error(arguments: dict[str, Any], response: Any) -> None:
    line = failure_line(REQUEST, ERROR, **arguments)
    assert (line["error"], line["response"]) == (ERROR, response)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TypeError("Bad."), ("type", "Bad.", "TypeError", False)),
        (ValueError(), ("value", "ValueError", "ValueError", False)),
        (LoginRequiredError("Log in."), ("login_required", "Log in.", "LoginRequiredError", False)),
    ],
)
def test_error_is_described(error: Exception, expected: Any) -> None:
    assert tuple(describe_error(error).values()) == expected


def test_error_of_a_wide_row_names_some_columns() -> None:
    with pytest.raises(BatchInputError, match=r"It has c0, .*, c19 and 79 others"):
        fill_template("{x}", dict.fromkeys((f"c{number}" for number in range(99)), "1"), number=1)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("APIConnectionError", "api_connection"),
        ("OAuthError", "o_auth"),
        ("ValueError", "value"),
        ("HTTP2Error", "http2"),
    ],
)
def test_code_is_the_class_in_snake_case(name: str, code: str) -> None:
    assert describe_error(type(name, (Exception,), {})("x"))["code"] == code


def test_retryable_error_is_marked() -> None:
    assert describe_error(TokenRefreshError("No connection."))["is_retryable"]
