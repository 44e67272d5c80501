"""Test the buffer of response bodies."""

from __future__ import annotations

import pytest

from codex_backend_sdk._body_buffer import BodyBuffer, BodyTooLargeError


def test_body_may_have_the_size_of_the_limit() -> None:
    body = BodyBuffer(4)
    for chunk in (b"ab", b"", b"cd"):
        body.add(chunk)
    assert bytes(body) == b"abcd"


@pytest.mark.parametrize("chunk", [b"c", b"c" * 100])
def test_chunk_beyond_the_limit_is_not_added(chunk: bytes) -> None:
    body = BodyBuffer(2)
    body.add(b"ab")
    with pytest.raises(BodyTooLargeError, match="is larger than 2 bytes"):
        body.add(chunk)
    assert bytes(body) == b"ab"


def test_default_limit_is_16_megabytes() -> None:
    body = BodyBuffer()
    body.add(bytes(16_000_000))
    with pytest.raises(BodyTooLargeError, match="16,000,000 bytes"):
        body.add(b"x")
