from __future__ import annotations

import pytest

from codex_backend_sdk._streaming.chunks import ChunkJoiner

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def joined(*pieces: bytes) -> list[bytes]:
    joiner = ChunkJoiner()
    joiner.begin()
    return [joiner.join(piece) for piece in pieces]


A, B, C, LONG = chunk(b"a"), chunk(b"bb"), chunk(b"ccc"), chunk(b"l" * 300)
JOINED: dict[str, tuple[list[bytes], list[bytes]]] = {
    "behind the head": ([HEAD + A + B + C + END], [HEAD + chunk(b"abbccc") + END]),
    "behind a head that ends with less": ([HEAD[:-2] + b"\n" + A + B], [HEAD[:-2] + b"\n" + chunk(b"abb")]),
    "in each piece": ([HEAD, A + B, B + C + END], [HEAD, chunk(b"abb"), chunk(b"bbccc") + END]),
    "behind a chunk's rest": (
        [HEAD + LONG[:40], LONG[40:] + A + B],
        [HEAD + LONG[:40], LONG[40:] + chunk(b"abb")],
    ),
    "behind a size's rest": ([HEAD + LONG[:2], LONG[2:] + A + B], [HEAD + LONG[:2], LONG[2:] + chunk(b"abb")]),
    "behind a size": ([HEAD + LONG[:5], LONG[5:] + A + B], [HEAD + LONG[:5], LONG[5:] + chunk(b"abb")]),
    "before the end of a chunk": ([HEAD + LONG[:-1], LONG[-1:] + A + B], [HEAD + LONG[:-1], LONG[-1:] + chunk(b"abb")]),
    "after three pieces of one": (
        [HEAD + LONG[:9], LONG[9:99], LONG[99:] + A + B],
        [HEAD + LONG[:9], LONG[9:99], LONG[99:] + chunk(b"abb")],
    ),
    "before a part of one": ([HEAD + A + B + LONG[:9], LONG[9:]], [HEAD + chunk(b"abb") + LONG[:9], LONG[9:]]),
    "before the trailers": ([HEAD + A + B + b"0\r\na: b\r\n\r\n"], [HEAD + chunk(b"abb") + b"0\r\na: b\r\n\r\n"]),
    "sizes in other writings": (
        [HEAD + b"A\r\n0123456789\r\n001\r\na\r\n"],
        [HEAD + chunk(b"0123456789a")],
    ),
}
PAGE, HALF = b"p" * 16384, b"h" * 8192
JOINED |= {
    "of 16 KiB": ([HEAD + chunk(HALF) * 5], [HEAD + chunk(HALF * 2) * 2 + chunk(HALF)]),
    "but longer ones": ([HEAD + A + B + chunk(PAGE) + A + B], [HEAD + chunk(b"abb") + chunk(PAGE) + chunk(b"abb")]),
}


@pytest.mark.parametrize(("pieces", "expected"), JOINED.values(), ids=JOINED)
def test_chunks_that_are_joined(pieces: list[bytes], expected: list[bytes]) -> None:
    assert joined(*pieces) == expected


AS_THEY_ARE: dict[str, list[bytes]] = {
    "one chunk": [HEAD + A + END],
    "no chunks": [b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + A + B],
    "an error": [HEAD.replace(b"200", b"500") + A + B],
    "HTTP/1.0": [HEAD.replace(b"1.1", b"1.0") + A + B],
    "a head in two pieces": [HEAD[:20], HEAD[20:] + A + B],
    "another head before": [b"HTTP/1.1 103 Early Hints\r\n\r\n" + HEAD + A + B],
    "two encodings": [HEAD.replace(b"chunked", b"gzip, chunked") + A + B],
    "lines without a carriage return": [HEAD.replace(b"\r\n", b"\n") + A + B],
    "an extension": [HEAD + b"1;a=b\r\na\r\n" + A + B],
    "a size that is none": [HEAD + b"+1\r\na\r\n" + A + B],
    "a chunk that is longer than it says": [HEAD + b"1\r\nab\r\n" + A + B],
    "what comes after the end": [HEAD + END + A + B],
    "nothing": [HEAD, b"", b""],
}


@pytest.mark.parametrize("pieces", AS_THEY_ARE.values(), ids=AS_THEY_ARE)
def test_what_is_passed_on_as_it_is(pieces: list[bytes]) -> None:
    assert joined(*pieces) == pieces


def test_each_answer_of_a_connection_is_another() -> None:
    joiner = ChunkJoiner()
    answers = [HEAD + A + B + END, b"HTTP/1.1 204 No Content\r\n\r\n", HEAD + LONG[:9], HEAD + A + B]
    read = []
    for answer in answers:
        joiner.begin()
        read.append(joiner.join(answer))
    assert read == [HEAD + chunk(b"abb") + END, *answers[1:3], HEAD + chunk(b"abb")]


def test_what_comes_without_a_request_is_left_alone() -> None:
    assert ChunkJoiner().join(HEAD + A + B) == HEAD + A + B
