"""Test JSON encoding and decoding."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codex_backend_sdk._json import decode, encode, encode_in_chunks


def nested_list(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [{"a": "\u00e4\u2028"}, {"a": "\ud800"}, nested_list(200)], ids=["text", "surrogate", "deep"]
)
def test_encoded_value_can_be_decoded(value: Any) -> None:
    assert decode(encode(value)) == value


def test_text_is_encoded_as_utf8() -> None:
    assert encode({"a": "\u00e4"}) == '{"a":"\u00e4"}'.encode()


def test_invalid_json_raises() -> None:
    with pytest.raises(ValueError, match=r"Expecting|expected"):
        decode(b'{"a":')
    with pytest.raises(ValueError, match=r"nested|Expecting"):
        decode(b"[" * 100_000)


@pytest.mark.parametrize("prefix", [b"", b'"\\ud800",'], ids=["text", "surrogate"])
@pytest.mark.parametrize(("start", "end"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[1,{"a":', b"},2]")])
@pytest.mark.parametrize("levels", [100, 201, 202, 203, 500, 900, 990, 1000, 5000, 100_000])
def test_document_has_at_most_201_levels(prefix: bytes, start: bytes, end: bytes, levels: int) -> None:
    levels_of_start = start.count(b"[") + start.count(b"{")
    count = -(-(levels - 1) // levels_of_start)
    levels = 1 + count * levels_of_start
    document = b"[" + prefix + start * count + b"1" + end * count + b"]"
    if levels <= 201:
        assert encode(decode(document)).replace(b" ", b"") == document
    else:
        with pytest.raises(ValueError, match="nested more than 201 levels deep"):
            decode(document)


def test_value_of_another_type_raises_type_error() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        encode({"a": object()})


@pytest.mark.parametrize("item_count", [0, 1, 256, 257, 384, 600])
def test_chunks_join_to_the_body(item_count: int) -> None:
    body = {
        "model": "m",
        "input": [{"role": "user", "content": f"{number} \u00e4"} for number in range(item_count)],
        "store": False,
    }
    chunks = list(encode_in_chunks(body))
    assert decode(b"".join(chunks)) == body
    assert max(map(len, chunks)) < 20_000


def test_chunk_of_another_type_raises_type_error() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        list(encode_in_chunks({"input": [{}] * 300 + [{"a": object()}]}))


def test_deep_value_is_encoded_in_chunks() -> None:
    body = {"input": [nested_list(300)], "store": False}
    assert json.loads(b"".join(encode_in_chunks(body))) == body


SURROGATE = "a\ud83d"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"input": [{"content": [{"text": SURROGATE}]}]}, "`input[0].content[0].text` contains"),
        ({"input": [{}] * 299 + [{"output": SURROGATE}, {}]}, "`input[299].output` contains"),
        ({"input": [{}] * 300, "instructions": SURROGATE}, "`instructions` contains"),
        ({"tools": [{"name": "a"}, {"description": SURROGATE}], "input": []}, "`tools[1].description` contains"),
        (
            {"tools": [{"parameters": {"properties": {SURROGATE: 1}}}], "input": []},
            "A name in `tools[0].parameters.prop",
        ),
        ({"input": [], SURROGATE: 1}, "The name of a parameter contains"),
        ({"input": [nested_list(300), SURROGATE]}, "`input[1]` contains"),
    ],
)
def test_lone_surrogate_is_rejected_with_its_place(body: Any, place: str) -> None:
    with pytest.raises(ValueError, match="U\\+D83D at index 1") as caught:
        list(encode_in_chunks(body))
    assert str(caught.value).startswith(place)
