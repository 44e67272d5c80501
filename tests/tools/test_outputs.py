from __future__ import annotations

import base64
import dataclasses
from datetime import date
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel

from codex_backend_sdk import ToolResultError
from codex_backend_sdk.tools import ToolFile, ToolImage
from codex_backend_sdk.tools.outputs import cut_middle, error_text, to_output

PNG = b"\x89PNG\r\n\x1a\n"


class Model(BaseModel):
    when: date


@dataclasses.dataclass
class Data:
    values: list[int]


class Kind(Enum):
    A = "a"


TEXTS: list[tuple[Any, str]] = [
    ("text", "text"),
    ("", ""),
    ('{"a": 1}', '{"a": 1}'),
    (None, ""),
    ({"a": 1}, '{"a":1}'),
    ([1, "ä"], '[1,"ä"]'),
    ((1, 2), "[1,2]"),
    ([], "[]"),
    (5, "5"),
    (True, "true"),
    (1.5, "1.5"),
    (Model(when=date(2026, 1, 2)), '{"when":"2026-01-02"}'),
    ([Model(when=date(2026, 1, 2))], '[{"when":"2026-01-02"}]'),
    (Data([1]), '{"values":[1]}'),
    (date(2026, 1, 2), '"2026-01-02"'),
    (Kind.A, '"a"'),
    ({"type": "input_image", "image_url": "data:"}, '{"type":"input_image","image_url":"data:"}'),  # nothing is guessed
    ("a\udcffb", "a?b"),  # the backend rejects lone surrogates
]


@pytest.mark.parametrize(("result", "text"), TEXTS, ids=range(len(TEXTS)))
def test_result_becomes_text(result: Any, text: str) -> None:
    assert to_output(result, max_bytes=100) == text


CYCLIC: list[Any] = []
CYCLIC.append(CYCLIC)
UNSENDABLE = [
    CYCLIC,
    b"bytes",
    bytearray(b"x"),
    memoryview(b"x"),
    {"a": [b"x"]},
    [(b"x",)],
    {frozenset([b"x"]): {b"x"}, "set": {b"x"}},
    object(),
    {"a": object()},
    ToolImage(b"BM no known image"),
]


@pytest.mark.parametrize("result", UNSENDABLE, ids=lambda value: type(value).__name__)
def test_result_that_cannot_be_sent_raises(result: Any) -> None:
    with pytest.raises(ToolResultError):
        to_output(result, max_bytes=100)


@pytest.mark.parametrize("make", [lambda data: ToolImage(PNG + data), lambda data: ToolFile(data, filename="a")])
def test_large_attachment_is_refused(make: Any) -> None:
    assert to_output(make(bytes(7_000_000)), max_bytes=0)
    with pytest.raises(ToolResultError, match=r"bytes, the limit is 8,000,000\. Return a smaller one"):
        to_output(make(bytes(8_000_001)), max_bytes=0)


def test_error_of_an_unsendable_result_has_a_remedy() -> None:
    with pytest.raises(ToolResultError, match=r"type object cannot be sent as JSON .*Return text"):
        to_output(object(), max_bytes=100)
    with pytest.raises(ToolResultError, match="return a ToolImage"):
        to_output(b"", max_bytes=100)


IMAGES = [
    (PNG, "image/png"),
    (b"\xff\xd8\xff\xe0", "image/jpeg"),
    (b"GIF89a", "image/gif"),
    (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
]


@pytest.mark.parametrize(("data", "media_type"), IMAGES)
def test_image_becomes_a_content_part(data: bytes, media_type: str) -> None:
    url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    assert to_output(ToolImage(data), max_bytes=0) == [{"type": "input_image", "image_url": url}]


def test_image_may_have_a_url_and_a_detail() -> None:
    url = "https://example.test/a.png"
    part = {"type": "input_image", "image_url": url, "detail": "low"}
    assert to_output(ToolImage(url, detail="low"), max_bytes=0) == [part]


def test_file_becomes_a_content_part() -> None:
    output = to_output(ToolFile(b"x", filename="a.pdf", media_type="application/pdf"), max_bytes=0)
    assert output == [{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,eA=="}]


def test_list_with_an_image_has_one_limit_for_its_text() -> None:
    output = to_output(["x" * 60, ToolImage(PNG), {"a": 1}, "y" * 60], max_bytes=80)
    assert [part["type"] for part in output if isinstance(part, dict)] == [
        "input_text",
        "input_image",
        "input_text",
        "input_text",
    ]
    assert output[0] == {"type": "input_text", "text": "x" * 60}
    assert output[2] == {"type": "input_text", "text": '{"a":1}'}
    assert "47 bytes are left out" in str(output[3])


CUTS = [
    ("abcdef", 6, "abcdef"),
    ("abcdefgh", 4, "ab\n[… 4 bytes are left out here …]\ngh"),
    ("abcdefgh", 5, "abc\n[… 3 bytes are left out here …]\ngh"),
    ("äöü", 5, "ä\n[… 2 bytes are left out here …]\nü"),  # no half characters
    ("abc", 0, "\n[… 3 bytes are left out here …]\n"),
    ("abc", 1, "a\n[… 2 bytes are left out here …]\n"),
    ("", 0, ""),
]


@pytest.mark.parametrize(("text", "limit", "expected"), CUTS)
def test_long_text_is_cut_in_the_middle(text: str, limit: int, expected: str) -> None:
    assert cut_middle(text, limit) == expected


def test_cut_json_is_marked() -> None:
    assert "is not valid JSON" in str(to_output(["x" * 100], max_bytes=50))
    assert "JSON" not in str(to_output("x" * 100, max_bytes=50))


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


ERRORS = [
    (ValueError("bad"), "ValueError: bad"),
    (ValueError(), "ValueError"),
    (KeyError("k"), "KeyError: 'k'"),
    (ValueError("  \n"), "ValueError"),
    (Unreadable(), "Unreadable: (its message cannot be read: RuntimeError)"),
]


@pytest.mark.parametrize(("error", "text"), ERRORS)
def test_error_has_a_type_and_a_message(error: Exception, text: str) -> None:
    assert error_text(error) == text


def test_long_error_is_cut() -> None:
    assert len(error_text(ValueError("x" * 1000), max_bytes=100)) < 150
