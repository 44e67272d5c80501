from __future__ import annotations

import pytest

from codex_backend_sdk._foreign_json import json_object, json_value


@pytest.mark.parametrize(
    ("body", "value", "members"),
    [
        (b'{"a": 1}', {"a": 1}, {"a": 1}),
        (b"[1]", [1], {}),
        (b"null", None, {}),
        (b"<html>", None, {}),
        (b"\xff", None, {}),
        (b"", None, {}),
        (b"[" * 100_000, None, {}),
    ],
)
def test_what_is_no_json_says_nothing(body: bytes, value: object, members: object) -> None:
    assert (json_value(body), json_object(body)) == (value, members)
