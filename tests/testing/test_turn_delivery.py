"""How a turn is delivered, looked at on the socket where a client would hide it."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
from typing import Any

import httpx2
import pytest
import zstandard

from codex_backend_sdk.testing import Turn

TEXT = Turn.text("one two three four five six")


def on_the_wire(wire: Any, turn: Turn, timeout: float = 5) -> bytes:
    """Return all bytes that come for one request, until the server closes, resets or says nothing."""
    wire.sim.script(turn)
    host, port = wire.sim.url.removeprefix("http://").split(":")
    body = json.dumps(wire.body("hi")).encode()
    headers = {**wire.headers, "host": "x", "connection": "close", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    received = b""
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        connection.sendall(f"POST /backend-api/codex/responses HTTP/1.1\r\n{head}\r\n".encode() + body)
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            received += b"RESET"
        except TimeoutError:
            received += b"TIME IS UP"
    return received


def body_of(received: bytes) -> bytes:
    """Undo the chunks."""
    rest, body = received.partition(b"\r\n\r\n")[2], b""
    while found := re.match(rb"([0-9a-f]+)\r\n", rest):
        size = int(found[1], 16)
        body += rest[found.end() : found.end() + size]
        rest = rest[found.end() + size + 2 :]
    return body


def text_of(wire: Any, turn: Turn) -> str:
    wire.sim.script(turn)
    answer = wire.create("hi")
    assert answer.status_code == 200
    text: str = answer.text
    return text


@pytest.mark.parametrize("count", [0, 1, 500])
def test_cut_after_bytes(wire: Any, count: int) -> None:
    received = on_the_wire(wire, TEXT.cut_after_bytes(count))
    assert received.startswith(b"HTTP/1.1 200")
    assert len(body_of(received)) == count
    assert not received.endswith((b"0\r\n\r\n", b"RESET"))


def test_a_reset_is_one_and_comes_where_it_should(wire: Any) -> None:
    assert on_the_wire(wire, TEXT.reset()) == b"RESET"
    received = on_the_wire(wire, TEXT.reset(300))
    assert received.endswith(b"RESET")
    assert len(body_of(received.removesuffix(b"RESET"))) == 300
    assert body_of(on_the_wire(wire, TEXT.reset(0)).removesuffix(b"RESET")) == b""


def test_a_json_answer_that_is_cut_keeps_its_length(wire: Any) -> None:
    received = on_the_wire(wire, Turn.overloaded().cut_after_bytes(10))
    head, _, body = received.partition(b"\r\n\r\n")
    assert int(re.search(rb"content-length: (\d+)", head)[1]) > len(body) == 10  # type: ignore[index]


def test_ended_early_is_a_proper_end(wire: Any) -> None:
    received = on_the_wire(wire, TEXT.clean_end_after_events(3))
    assert received.endswith(b"0\r\n\r\n")
    assert body_of(received).count(b"\ndata: ") == 3


def test_delayed_sends_nothing_and_stalled_sends_what_it_should(wire: Any) -> None:
    assert on_the_wire(wire, TEXT.delayed(30), timeout=0.2) == b"TIME IS UP"
    received = on_the_wire(wire, TEXT.stalled(0, 30), timeout=0.2)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\nTIME IS UP")
    received = on_the_wire(wire, TEXT.stalled(2), timeout=0.2)
    assert body_of(received).count(b"\ndata: ") == 2


@pytest.mark.parametrize("events", [1, 4, 1000])
def test_stalled_goes_on_where_it_stopped(wire: Any, events: int) -> None:
    begun = time.monotonic()
    assert "response.completed" in text_of(wire, TEXT.stalled(events, 0.2))
    assert time.monotonic() - begun >= 0.2


def test_a_stalled_answer_does_not_hold_up_the_stop(wire: Any) -> None:
    wire.sim.script(TEXT.stalled(2))
    with wire.http.stream("POST", f"{wire.sim.base_url}/responses", json=wire.body("hi"), headers=wire.headers) as got:
        next(got.iter_raw())
        begun = time.monotonic()
        wire.sim.stop()
        assert time.monotonic() - begun < 0.45


def test_a_client_that_gives_up_ends_the_stall(wire: Any) -> None:
    wire.sim.script(TEXT.stalled(2))
    with wire.http.stream("POST", f"{wire.sim.base_url}/responses", json=wire.body("hi"), headers=wire.headers) as got:
        next(got.iter_raw())
    assert wire.text("Say hello") == "hello"


def test_small_parts_make_the_same_answer(wire: Any) -> None:
    whole = body_of(on_the_wire(wire, Turn.failed("server_error")))
    received = on_the_wire(wire, Turn.failed("server_error").throttled(100, 0.001))
    assert len(body_of(received)) == len(whole)
    assert set(re.findall(rb"\r\n([0-9a-f]{1,4})\r\n", received)) > {b"64"}
    received = on_the_wire(wire, Turn.failed("server_error").byte_by_byte())
    assert len(body_of(received)) == len(whole)
    assert received.count(b"\r\n1\r\n") == len(whole)


def test_keepalives_begin_with_comments_and_keepalives(wire: Any) -> None:
    begun = time.monotonic()
    text = text_of(wire, TEXT.keepalives(0.2, 0.05))
    assert time.monotonic() - begun >= 0.2
    assert text.startswith(": keepalive\n\nevent: keepalive\n")
    assert text.count(": keepalive\n") == 4 + 4
    assert "response.completed" in text


def _brotli(data: bytes) -> bytes:
    """Read uncompressed meta-blocks (RFC 7932, 9.2)."""
    found, place, shift = b"", 0, 1
    while (data[place] >> shift) & 1 == 0:
        bits = int.from_bytes(data[place : place + 3], "little") >> shift
        size = (bits >> 3 & 0xFFFF) + 1
        assert (bits >> 1 & 3, bits >> 19) == (0, 1)
        found += data[place + 3 : place + 3 + size]
        place, shift = place + 3 + size, 0
    assert data[place:] == bytes((3 << shift,))
    return found


DECODERS: dict[str, Any] = {
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "br": _brotli,
}


@pytest.mark.parametrize("encoding", DECODERS)
def test_compressed_answers(wire: Any, encoding: str) -> None:
    large = Turn.text("x" * 200_000)
    received = on_the_wire(wire, large.compressed(encoding))
    assert f"content-encoding: {encoding}\r\n".encode() in received
    text = DECODERS[encoding](body_of(received)).decode()
    assert text.rstrip().count("data: ") == text.count("event: ") > 8
    assert "x" * 200_000 in text
    assert DECODERS[encoding](body_of(on_the_wire(wire, Turn.raw(200).compressed(encoding)))) == b""


def test_each_event_of_a_compressed_answer_can_be_read_when_it_comes(wire: Any) -> None:
    for encoding in ("gzip", "zstd"):
        wire.sim.script(TEXT.compressed(encoding).stalled(4, 30))
        with wire.http.stream(
            "POST", f"{wire.sim.base_url}/responses", json=wire.body("hi"), headers=wire.headers
        ) as got:
            text = ""
            for part in got.iter_text():
                text += part
                if text.count("data: ") == 4:
                    break
        assert text.endswith("\n\n")


def test_headers_are_added_and_replaced(wire: Any) -> None:
    wire.sim.script(
        TEXT.with_headers({"X-Models-Etag": "other"}, openai_model="gpt-z").huge_header(70_000).with_status(201)
    )
    answer = wire.create("hi")
    assert (answer.status_code, answer.headers["x-models-etag"], answer.headers["openai-model"]) == (
        201,
        "other",
        "gpt-z",
    )
    assert len(answer.headers["x-simulator-padding"]) == 70_000


def test_informational_answers_come_first(wire: Any) -> None:
    received = on_the_wire(wire, TEXT.informational(103, 2))
    heads = [block.split(b"\r\n")[0] for block in received.split(b"\r\n\r\n")[:3]]
    assert heads == [b"HTTP/1.1 103 Informational", b"HTTP/1.1 103 Informational", b"HTTP/1.1 200 OK"]
    assert "response.completed" in text_of(wire, TEXT.informational())


def test_more_than_the_answer(wire: Any) -> None:
    assert text_of(wire, TEXT.repeated_last_event(3)).count("event: response.completed") == 3
    assert text_of(wire, TEXT.data_after_end()).rstrip().endswith('"delta":"Too late."}')
    assert text_of(wire, TEXT.data_after_end(b": end\n\n")).endswith(": end\n\n")
    text = text_of(wire, TEXT.huge_event(300_000))
    assert "x" * 300_000 in text
    assert text.rpartition("event: ")[2].startswith("response.completed")
    received = on_the_wire(wire, TEXT.garbage(2))
    assert bytes(range(128, 256)) in received
    assert b"response.completed" in received


def test_bytes_behind_an_answer_meet_the_next_one(wire: Any) -> None:
    wire.sim.script(TEXT.bytes_after_response())
    with httpx2.Client(trust_env=False, verify=False, timeout=5) as http:
        request = {"json": wire.body("hi"), "headers": wire.headers}
        assert "response.completed" in http.post(f"{wire.sim.base_url}/responses", **request).text


def test_the_order_of_changes_is_that_of_the_words(wire: Any) -> None:
    """First compressed and then cut: so many compressed bytes."""
    received = on_the_wire(wire, TEXT.compressed("gzip").cut_after_bytes(40))
    assert len(body_of(received)) == 40
    assert received.endswith(body_of(received)[-10:] + b"\r\n")


def test_a_turn_is_not_changed_by_what_is_made_of_it(wire: Any) -> None:
    base = Turn.text("whole")
    base.cut_after_bytes(1)
    assert "response.completed" in text_of(wire, base)
