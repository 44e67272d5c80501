"""Test the frames of a client against the protocol implementation of the `websockets` package."""

from __future__ import annotations

import zlib
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side

from codex_backend_sdk._websocket.frames import (
    CLOSE,
    PING,
    PONG,
    CloseFrame,
    CompressionParameters,
    FrameDecoder,
    FrameEncoder,
    FrameError,
    MessageTooLargeError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = b"\x12\x34\x56\x78"
COMPRESSIONS = [
    None,
    CompressionParameters(),
    CompressionParameters(server_takeover=False),
    CompressionParameters(client_takeover=False),
    CompressionParameters(server_takeover=False, client_takeover=False),
    CompressionParameters(server_window_bits=9, client_window_bits=9),
    CompressionParameters(server_window_bits=12, client_window_bits=10, client_takeover=False),
]
# Sizes around those at which the header of a frame grows, and around the smallest message that is compressed.
SIZES = [0, 1, 125, 126, 127, 255, 256, 257, 65535, 65536, 70_000]
compressions = st.sampled_from(COMPRESSIONS)
messages = st.one_of(
    st.text(max_size=300).map(str.encode),
    st.builds(lambda size, text: (text * size)[:size], st.sampled_from(SIZES), st.binary(min_size=1, max_size=4)),
)


def peer(side: Side, compression: CompressionParameters | None) -> Protocol:
    """Return an open connection of the other implementation."""
    protocol = Protocol(side, max_size=None)
    if compression is not None:
        server = (not compression.server_takeover, compression.server_window_bits)
        client = (not compression.client_takeover, compression.client_window_bits)
        local, remote = (server, client) if side is Side.SERVER else (client, server)
        protocol.extensions = [PerMessageDeflate(remote[0], local[0], remote[1], local[1])]
    return protocol


def sent_by(protocol: Protocol) -> bytes:
    return b"".join(protocol.data_to_send())


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = False) -> bytes:
    """Return a frame, which need not be valid. `rsv` has the three reserved bits."""
    length = len(payload)
    if length < 126:
        size = bytes([length])
    else:
        size = b"\x7e" + length.to_bytes(2) if length < 65536 else b"\x7f" + length.to_bytes(8)
    return bytes([fin << 7 | rsv << 4 | opcode, size[0] | masked << 7]) + size[1:] + MASK * masked + payload


def new_decoder(compression: CompressionParameters | None = None, limit: float = inf) -> FrameDecoder:
    return FrameDecoder(max_message_bytes=limit, compression=compression)


def new_encoder(compression: CompressionParameters | None = None) -> FrameEncoder:
    return FrameEncoder(create_mask=lambda: MASK, compression=compression)


def feed(decoder: FrameDecoder, *chunks: bytes) -> list[bytes]:
    messages: list[bytes] = []
    for chunk in chunks:
        decoder.feed(chunk, messages)
    return messages


def cut(data: bytes, borders: Iterable[int]) -> list[bytes]:
    """Divide the data at these positions."""
    positions = sorted({0, len(data), *(border % (len(data) + 1) for border in borders)})
    return [data[start:end] for start, end in pairwise(positions)]


# --- what the server sends ---------------------------------------------------------------------------------------


@given(
    compressions,
    st.lists(st.tuples(messages, st.lists(st.integers(0, 99_999), max_size=3), st.binary(max_size=125)), max_size=6),
    st.lists(st.integers(0, 999_999), max_size=20),
)
def test_decoder_reads_what_the_peer_sends(
    compression: CompressionParameters | None, sent: list[tuple[bytes, list[int], bytes]], borders: list[int]
) -> None:
    """Each message is sent in fragments, with a ping after the first one and a pong after the last one."""
    server = peer(Side.SERVER, compression)
    for message, fragment_borders, payload in sent:
        first, *rest = cut(message, fragment_borders) or [b""]
        server.send_text(first, fin=not rest)
        server.send_ping(payload)
        for index, fragment in enumerate(rest, 1):
            server.send_continuation(fragment, fin=index == len(rest))
        server.send_pong(payload)
    server.send_close(1001, "restart")
    data = sent_by(server)
    decoder = new_decoder(compression)
    assert feed(decoder, *cut(data, borders)) == [message for message, _, _ in sent]
    assert decoder.controls == [(opcode, payload) for _, _, payload in sent for opcode in (PING, PONG)]
    assert decoder.close_frame == CloseFrame(1001, "restart")
    assert decoder.bytes_received == len(data)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_chunk_may_end_anywhere(compression: CompressionParameters | None) -> None:
    server = peer(Side.SERVER, compression)
    expected: list[bytes] = []
    for message in (b"a" * 300, b"", b"b" * 126, b"a" * 300):
        server.send_text(message[:100], fin=False)
        server.send_ping(b"p")
        server.send_continuation(message[100:], fin=True)
        server.send_text(message)
        expected += [message, message]
    data = sent_by(server)
    one_border = ([data[:border], data[border:]] for border in range(len(data)))
    all_borders = [data[position : position + 1] for position in range(len(data))]
    for chunks in (*one_border, all_borders):
        decoder = new_decoder(compression)
        assert feed(decoder, *chunks) == expected
        assert decoder.controls == [(PING, b"p")] * 4


def test_large_frame_is_copied_once() -> None:
    """Reading a frame in many chunks takes time in proportion to its size: only the last chunk is parsed."""

    class CountingBuffer(bytearray):
        copies = 0

        def __bytes__(self) -> bytes:
            self.copies += 1
            return bytes(memoryview(self))

    decoder = new_decoder()
    buffer = decoder._buffer = CountingBuffer()
    data = frame(1, b"x" * 1_000_000)
    received = feed(decoder, *(data[start : start + 1000] for start in range(0, len(data), 1000)))
    assert [len(message) for message in received] == [1_000_000]
    assert buffer.copies <= 2


def without_partial_compression(values: tuple[int, bytes, bool, int, bool]) -> tuple[int, bytes, bool, int, bool]:
    """Compress complete messages only: the peer reports damaged data at the first fragment, the decoder at the last."""
    opcode, payload, fin, rsv, masked = values
    return opcode, payload, fin, rsv if fin else rsv & 3, masked


raw_frames = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 1, 1, 9, 10, 3, 11]),
        st.binary(max_size=140),
        st.booleans(),
        st.sampled_from([0] * 9 + [1, 2, 4, 4]),
        st.sampled_from([False] * 9 + [True]),
    ).map(without_partial_compression),
    max_size=8,
)


@given(st.sampled_from([None, CompressionParameters()]), raw_frames)
def test_decoder_agrees_with_the_peer_about_errors(
    compression: CompressionParameters | None, sent: list[tuple[int, bytes, bool, int, bool]]
) -> None:
    """Any sequence of frames is valid or invalid for both. Before an error, both have read the same."""
    client, decoder = peer(Side.CLIENT, compression), new_decoder(compression)
    received: list[bytes] = []
    failed = False
    for opcode, payload, fin, rsv, masked in sent:
        data = frame(opcode, payload, fin=fin, rsv=rsv, masked=masked)
        client.receive_data(data)
        try:
            decoder.feed(data, received)
        except FrameError:
            failed = True
        # The reader of a masked frame fails at its second byte, or at its end.
        assert failed == (client.parser_exc is not None)
        if failed:
            break
    expected_messages: list[bytes] = []
    expected_controls: list[tuple[int, bytes]] = []
    fragments = b""
    for event in client.events_received():
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.PING, Opcode.PONG):
            expected_controls.append((event.opcode.value, bytes(event.data)))
            continue
        fragments += event.data
        if event.fin:
            expected_messages.append(fragments)
            fragments = b""
    assert received == expected_messages
    assert decoder.controls == expected_controls


VIOLATIONS: dict[str, tuple[bytes, int, str]] = {
    "binary message": (frame(2, b"x"), 1003, "a binary message"),
    "masked": (frame(1, b"x", masked=True), 1002, "a masked frame"),
    "masked and empty": (frame(1, masked=True), 1002, "a masked frame"),
    "compressed without compression": (frame(1, b"x", rsv=4), 1002, "a reserved bit"),
    "second reserved bit": (frame(1, b"x", rsv=2), 1002, "a reserved bit"),
    "third reserved bit": (frame(9, b"x", rsv=1), 1002, "a reserved bit"),
    "continuation of nothing": (frame(0, b"x"), 1002, "mixed the fragments"),
    "message within a message": (frame(1, b"x", fin=False) + frame(1, b"y"), 1002, "mixed the fragments"),
    "fragment within a message": (frame(1, b"x", fin=False) + frame(1, b"y", fin=False), 1002, "mixed the fragments"),
    "fragmented ping": (frame(9, b"x", fin=False), 1002, "an invalid control frame"),
    "long ping": (frame(9, b"x" * 126), 1002, "an invalid control frame"),
    "unknown control frame": (frame(11), 1002, "an invalid control frame"),
    "unknown data frame": (frame(3), 1003, "a binary message"),
}


@pytest.mark.parametrize("case", VIOLATIONS)
def test_violation_raises(case: str) -> None:
    data, code, problem = VIOLATIONS[case]
    with pytest.raises(FrameError, match=problem) as caught:
        feed(new_decoder(), data)
    assert caught.value.code == code
    assert not isinstance(caught.value, MessageTooLargeError)


def test_messages_before_a_violation_are_read() -> None:
    decoder, messages = new_decoder(), list[bytes]()
    with pytest.raises(FrameError):
        decoder.feed(frame(1, b"one") + frame(1, b"t", fin=False) + frame(0, b"wo") + frame(2), messages)
    assert messages == [b"one", b"two"]


@pytest.mark.parametrize("opcode", [0, 9])
def test_only_the_first_frame_of_a_message_is_compressed(opcode: int) -> None:
    decoder = new_decoder(CompressionParameters())
    with pytest.raises(FrameError, match="a reserved bit"):
        feed(decoder, frame(1, b"", fin=False) + frame(opcode, b"", rsv=4))


CLOSES: dict[str, tuple[bytes, CloseFrame]] = {
    "code and reason": (Close(1012, "restart").serialize(), CloseFrame(1012, "restart")),
    "code": (Close(1000, "").serialize(), CloseFrame(1000, "")),
    "nothing": (b"", CloseFrame(1005, "")),
    "half a code": (b"\x03", CloseFrame(1005, "")),
    "code of an application": (b"\x10\x00", CloseFrame(4096, "")),
    "reason that is not UTF-8": (b"\x03\xe8\xff", CloseFrame(1000, "\N{REPLACEMENT CHARACTER}")),
}


@pytest.mark.parametrize("case", CLOSES)
def test_close_frame_is_reported(case: str) -> None:
    payload, expected = CLOSES[case]
    decoder = new_decoder()
    assert feed(decoder, frame(1, b"before") + frame(CLOSE, payload) + frame(1, b"after")) == [b"before"]
    assert decoder.close_frame == expected
    assert feed(decoder, frame(1, b"later")) == []


# --- sizes -------------------------------------------------------------------------------------------------------


def compressed(message: bytes) -> bytes:
    server = peer(Side.SERVER, CompressionParameters())
    server.send_text(message)
    return sent_by(server)


TOO_LARGE = {
    "one frame": frame(1, b"x" * 301),
    "short frames": frame(1, b"x" * 120, fin=False) + frame(0, b"x" * 120, fin=False) + frame(0, b"x" * 61),
    "long frames": frame(1, b"x" * 150, fin=False) + frame(0, b"x" * 151),
    "the head of a huge frame": frame(1, b"x" * 70_000)[:10],
    "after decompression": compressed(b"x" * 301),
    "bomb": compressed(b"x" * 50_000_000),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_message_above_the_limit_raises(case: str) -> None:
    with pytest.raises(MessageTooLargeError, match="more than 300 bytes") as caught:
        feed(new_decoder(CompressionParameters(), limit=300), TOO_LARGE[case])
    assert caught.value.code == 1009


@pytest.mark.parametrize(
    "data",
    [
        frame(1, b"x" * 300),
        frame(1, b"x" * 150, fin=False) + frame(0, b"x" * 150),
        compressed(b"x" * 300),
    ],
)
def test_messages_at_the_limit_are_read(data: bytes) -> None:
    decoder = new_decoder(CompressionParameters(server_takeover=False), limit=300)
    assert feed(decoder, data * 3) == [b"x" * 300] * 3


def test_decompression_without_a_limit() -> None:
    assert feed(new_decoder(CompressionParameters()), compressed(b"x" * 1_000_000)) == [b"x" * 1_000_000]


def test_damaged_compression_raises() -> None:
    with pytest.raises(FrameError, match="cannot be decompressed") as caught:
        feed(new_decoder(CompressionParameters()), frame(1, b"\xff\xff\xff\xff", rsv=4))
    assert caught.value.code == 1007


def test_compression_may_end_its_stream_with_each_message() -> None:
    """RFC 7692, 7.2.3.4: a sender may set the bit of the last block; it appends an empty block."""
    decoder = new_decoder(CompressionParameters())
    for message in (b"one", b"two"):
        deflater = zlib.compressobj(wbits=-15)
        payload = deflater.compress(message) + deflater.flush(zlib.Z_FINISH) + b"\x00"
        assert feed(decoder, frame(1, payload, rsv=4)) == [message]


# --- what the client sends ---------------------------------------------------------------------------------------


@given(compressions, st.lists(messages, max_size=6))
def test_peer_reads_what_the_encoder_sends(compression: CompressionParameters | None, sent: list[bytes]) -> None:
    server, encoder = peer(Side.SERVER, compression), new_encoder(compression)
    for message in sent:
        server.receive_data(encoder.text(message))
    assert server.parser_exc is None
    received: list[Any] = server.events_received()
    assert [(event.opcode, event.fin, bytes(event.data)) for event in received] == [
        (Opcode.TEXT, True, message) for message in sent
    ]


@pytest.mark.parametrize(
    ("compression", "size", "is_compressed"),
    [
        (None, 70_000, False),
        (CompressionParameters(), 255, False),
        (CompressionParameters(), 256, True),
    ],
)
def test_message_is_compressed_if_worthwhile(
    compression: CompressionParameters | None, size: int, is_compressed: bool
) -> None:
    data = new_encoder(compression).text(b"x" * size)
    assert bool(data[0] & 0x40) is is_compressed
    assert (len(data) < size) is is_compressed


def test_context_takeover_makes_repeated_messages_smaller() -> None:
    message = bytes(range(256)) * 2
    encoder = new_encoder(CompressionParameters())
    alone = new_encoder(CompressionParameters(client_takeover=False))
    assert len(encoder.text(message)) == len(alone.text(message))
    assert len(encoder.text(message)) < len(alone.text(message)) / 3


def test_peer_reads_control_frames() -> None:
    server, encoder = peer(Side.SERVER, None), new_encoder()
    server.receive_data(encoder.ping() + encoder.pong(b"p") + encoder.close(1000))
    received: list[Any] = server.events_received()
    assert [(event.opcode, bytes(event.data)) for event in received] == [
        (Opcode.PING, b""),
        (Opcode.PONG, b"p"),
        (Opcode.CLOSE, b"\x03\xe8"),
    ]
    assert server.close_rcvd == Close(1000, "")


def test_each_frame_has_a_mask_of_its_own() -> None:
    masks = iter([b"\1\2\3\4", b"\5\6\7\x08"])
    encoder = FrameEncoder(create_mask=lambda: next(masks))
    assert [encoder.text(b"\0" * 5)[2:] for _ in range(2)] == [b"\1\2\3\4\1\2\3\4\1", b"\5\6\7\x08\5\6\7\x08\5"]


# --- the selected compression ------------------------------------------------------------------------------------


SELECTIONS: dict[str, CompressionParameters | None] = {
    "": None,
    "permessage-deflate": CompressionParameters(),
    "permessage-deflate; server_no_context_takeover": CompressionParameters(server_takeover=False),
    "permessage-deflate;client_no_context_takeover": CompressionParameters(client_takeover=False),
    "permessage-deflate; server_max_window_bits=10; client_max_window_bits = 9": CompressionParameters(
        server_window_bits=10, client_window_bits=9
    ),
    'permessage-deflate; client_max_window_bits="12"': CompressionParameters(client_window_bits=12),
    "permessage-deflate; server_max_window_bits=8": CompressionParameters(server_window_bits=9),
}


@pytest.mark.parametrize("header", SELECTIONS)
def test_selected_compression_is_used(header: str) -> None:
    assert CompressionParameters.from_header(header) == SELECTIONS[header]


def test_missing_header_means_no_compression() -> None:
    assert CompressionParameters.from_header(None) is None


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("x-webkit-deflate-frame", "'x-webkit-deflate-frame', which was not offered"),
        ("permessage-deflate; Window=1", "the invalid parameter 'Window=1'"),
        ("permessage-deflate;", "the invalid parameter ''"),
        ("permessage-deflate; server_max_window_bits=7", "7 for `server_max_window_bits`"),
        ("permessage-deflate; client_max_window_bits=16", "16 for `client_max_window_bits`"),
        ("permessage-deflate, permessage-deflate", "which was not offered|the invalid parameter"),
    ],
)
def test_invalid_selection_raises(header: str, problem: str) -> None:
    with pytest.raises(FrameError, match=problem):
        CompressionParameters.from_header(header)


@given(st.lists(messages, min_size=1, max_size=4))
def test_window_of_eight_bits_is_enough_for_the_peer(sent: list[bytes]) -> None:
    """The encoder uses zlib's window of 9 bits, which refers back by at most 250 bytes."""
    parameters = CompressionParameters.from_header("permessage-deflate; client_max_window_bits=8")
    encoder = new_encoder(parameters)
    inflater = zlib.decompressobj(-8)
    for message in sent:
        data = encoder.text(message)
        if data[0] & 0x40:
            server = Protocol(Side.SERVER, max_size=None)
            server.extensions = [_Inflate(inflater)]
            server.receive_data(data)
            assert server.parser_exc is None
            received: Any = server.events_received()[0]
            assert received.data == message


class _Inflate(PerMessageDeflate):
    def __init__(self, inflater: Any) -> None:
        super().__init__(False, False, 15, 15)
        self.decoder = inflater
