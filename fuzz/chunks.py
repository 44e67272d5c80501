"""HTTP chunks: an HTTP client sees the same answer at the same time, whether or not its chunks were joined."""

from __future__ import annotations

from typing import Any, NamedTuple

import h11

from codex_backend_sdk._streaming.chunks import ChunkJoiner

from .choices import Choices

_HEADS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 \r\nserver: x\r\ntransfer-encoding:chunked \r\nage: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
    b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"",
)
_SIZES = (b"%x", b"%X", b"000%x", b"%x;name=value", b"%x ", b"+%x", b"0x%x", b"-%x", b"%x0000000", b"")
_ENDS = (b"\r\n", b"\r\n", b"\r\n", b"\n", b"x\n")
_LAST = (
    b"0\r\n\r\n",
    b"0\r\nname: value\r\n\r\n",
    b"000\r\n\r\n",
    b"",
    b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"0;x\r\n\r\n",
)
# What could be taken for something else.
_BODIES = (
    b"a",
    b"data: a\n\n",
    b"\r\n",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"5\r\nabcde\r\n",
    b"abcde\r\n4\r\nwxyz\r\n5\r\nab",  # 0x15 bytes: chunks for one who takes 5 for its size
)


class _Seen(NamedTuple):
    """What a client knows after each piece: the body so far, and what else happened."""

    bodies: list[bytes]
    others: list[str]


def joined_or_not(data: bytes) -> None:
    choices = Choices(data)
    pieces = [piece for piece in choices.pieces(_answer(choices)) if piece]
    joiner = ChunkJoiner()
    joiner.begin()
    joined = [joiner.join(piece) for piece in pieces]
    assert all(joined), "a piece became nothing, which says that the connection has ended"
    assert _seen([*joined, joiner.join(b"")]) == _seen([*pieces, b""]), "the answer is another one"


def _answer(choices: Choices) -> bytes:
    parts = [_HEADS[0] if choices.number(3) else choices.one_of(_HEADS)]
    for _ in range(choices.number(12)):
        body = choices.one_of(_BODIES) if choices.number(4) else choices.take(60)
        odd = not choices.number(8)
        size = choices.one_of(_SIZES) if odd else _SIZES[0]
        size = size % len(body) if b"%" in size else size
        parts += [size, b"\r\n", body, choices.one_of(_ENDS) if odd else b"\r\n"]
    answer = b"".join(parts) + (_LAST[0] if choices.number(3) else choices.one_of(_LAST))
    if choices.number(8):
        return answer
    at = choices.number(min(len(answer), 65536) + 1)
    return answer[:at] + choices.take(2) + answer[at + choices.number(3) :]


def _seen(pieces: list[bytes]) -> _Seen:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    body, seen = b"", _Seen([], [])
    try:
        for piece in pieces:
            client.receive_data(piece)
            while (event := client.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                body += _said_by(event, seen)
                if isinstance(event, h11.ConnectionClosed):
                    return seen
            seen.bodies.append(body)
    except h11.RemoteProtocolError as error:
        seen.others.append(str(error))
    return seen


def _said_by(event: Any, seen: _Seen) -> bytes:
    if isinstance(event, h11.Data):
        return bytes(event.data)
    seen.others.append(repr(event))
    return b""
