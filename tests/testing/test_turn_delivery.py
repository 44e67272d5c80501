"""Test the delivery of turns. A plain socket reads the bytes, including those that an HTTP client would hide."""

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
from codex_backend_sdk.testing.parsed_request import encode_encrypted_content

TEXT_TURN = Turn.text("one two three four five six")


def receive_bytes(raw_client: Any, turn: Turn, timeout: float = 5) -> bytes:
    """Return all bytes of the response, followed by `RESET` or `TIMEOUT` if the connection was reset or timed out."""
    raw_client.sim.script(turn)
    host, port = raw_client.sim.url.removeprefix("http://").split(":")
    body = json.dumps(raw_client.body("hi")).encode()
    headers = {**raw_client.headers, "host": "x", "connection": "close", "content-length": str(len(body))}
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
            received += b"TIMEOUT"
    return received


def decode_body(received: bytes) -> bytes:
    """Decode the chunked body of a response."""
    rest, body = received.partition(b"\r\n\r\n")[2], b""
    while chunk := re.match(rb"([0-9a-f]+)\r\n", rest):
        size = int(chunk[1], 16)
        body += rest[chunk.end() : chunk.end() + size]
        rest = rest[chunk.end() + size + 2 :]
    return body


def response_text(raw_client: Any, turn: Turn) -> str:
    raw_client.sim.script(turn)
    response = raw_client.create("hi")
    assert response.status_code == 200
    text: str = response.text
    return text


@pytest.mark.parametrize("count", [0, 1, 500])
def test_cut_after_bytes_closes_the_connection(raw_client: Any, count: int) -> None:
    received = receive_bytes(raw_client, TEXT_TURN.cut_after_bytes(count))
    assert received.startswith(b"HTTP/1.1 200")
    assert len(decode_body(received)) == count
    assert not received.endswith((b"0\r\n\r\n", b"RESET"))


def test_reset_follows_the_given_bytes(raw_client: Any) -> None:
    assert receive_bytes(raw_client, TEXT_TURN.reset()) == b"RESET"
    received = receive_bytes(raw_client, TEXT_TURN.reset(300))
    assert received.endswith(b"RESET")
    assert len(decode_body(received.removesuffix(b"RESET"))) == 300
    assert decode_body(receive_bytes(raw_client, TEXT_TURN.reset(0)).removesuffix(b"RESET")) == b""


def test_cut_json_response_keeps_its_content_length(raw_client: Any) -> None:
    received = receive_bytes(raw_client, Turn.overloaded().cut_after_bytes(10))
    head, _, body = received.partition(b"\r\n\r\n")
    assert int(re.search(rb"content-length: (\d+)", head)[1]) > len(body) == 10  # type: ignore[index]


def test_clean_end_completes_the_http_response(raw_client: Any) -> None:
    received = receive_bytes(raw_client, TEXT_TURN.clean_end_after_events(3))
    assert received.endswith(b"0\r\n\r\n")
    assert decode_body(received).count(b"\ndata: ") == 3


def test_delayed_turn_sends_nothing_at_first(raw_client: Any) -> None:
    assert receive_bytes(raw_client, TEXT_TURN.delayed(30), timeout=0.2) == b"TIMEOUT"


def test_stalled_turn_sends_headers_and_events_first(raw_client: Any) -> None:
    received = receive_bytes(raw_client, TEXT_TURN.stalled(0, 30), timeout=0.2)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\nTIMEOUT")
    received = receive_bytes(raw_client, TEXT_TURN.stalled(2), timeout=0.2)
    assert decode_body(received).count(b"\ndata: ") == 2


@pytest.mark.parametrize("events", [1, 4, 1000])
def test_stalled_response_continues(raw_client: Any, events: int) -> None:
    started = time.monotonic()
    assert "response.completed" in response_text(raw_client, TEXT_TURN.stalled(events, 0.2))
    assert time.monotonic() - started >= 0.2


def test_stalled_response_does_not_delay_stop(raw_client: Any) -> None:
    raw_client.sim.script(TEXT_TURN.stalled(2))
    with raw_client.http.stream(
        "POST", f"{raw_client.sim.base_url}/responses", json=raw_client.body("hi"), headers=raw_client.headers
    ) as response:
        next(response.iter_raw())
        started = time.monotonic()
        raw_client.sim.stop()
        assert time.monotonic() - started < 0.45


def test_client_that_disconnects_ends_the_stall(raw_client: Any) -> None:
    raw_client.sim.script(TEXT_TURN.stalled(2))
    with raw_client.http.stream(
        "POST", f"{raw_client.sim.base_url}/responses", json=raw_client.body("hi"), headers=raw_client.headers
    ) as response:
        next(response.iter_raw())
    assert raw_client.text("Say hello") == "hello"


def test_throttling_does_not_change_the_body(raw_client: Any) -> None:
    complete_body = decode_body(receive_bytes(raw_client, Turn.failed("server_error")))
    received = receive_bytes(raw_client, Turn.failed("server_error").throttled(100, 0.001))
    assert len(decode_body(received)) == len(complete_body)
    assert set(re.findall(rb"\r\n([0-9a-f]{1,4})\r\n", received)) > {b"64"}
    received = receive_bytes(raw_client, Turn.failed("server_error").byte_by_byte())
    assert len(decode_body(received)) == len(complete_body)
    assert received.count(b"\r\n1\r\n") == len(complete_body)


def test_keepalives_precede_the_response(raw_client: Any) -> None:
    started = time.monotonic()
    text = response_text(raw_client, TEXT_TURN.keepalives(0.2, 0.05))
    assert time.monotonic() - started >= 0.2
    assert text.startswith(": keepalive\n\nevent: keepalive\n")
    assert text.count(": keepalive\n") == 8  # four comments and four events
    assert "response.completed" in text


def decode_stored_brotli(data: bytes) -> bytes:
    """Decode Brotli that consists of uncompressed meta-blocks (RFC 7932, 9.2)."""
    decoded, position, shift = b"", 0, 1
    while (data[position] >> shift) & 1 == 0:
        bits = int.from_bytes(data[position : position + 3], "little") >> shift
        size = (bits >> 3 & 0xFFFF) + 1
        assert (bits >> 1 & 3, bits >> 19) == (0, 1)
        decoded += data[position + 3 : position + 3 + size]
        position, shift = position + 3 + size, 0
    assert data[position:] == bytes((3 << shift,))
    return decoded


DECODERS: dict[str, Any] = {
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "br": decode_stored_brotli,
}


@pytest.mark.parametrize("encoding", DECODERS)
def test_compressed_body_can_be_decoded(raw_client: Any, encoding: str) -> None:
    large = Turn.text("x" * 200_000)
    received = receive_bytes(raw_client, large.compressed(encoding))
    assert f"content-encoding: {encoding}\r\n".encode() in received
    text = DECODERS[encoding](decode_body(received)).decode()
    assert text.rstrip().count("data: ") == text.count("event: ") > 8
    assert "x" * 200_000 in text
    assert DECODERS[encoding](decode_body(receive_bytes(raw_client, Turn.raw(200).compressed(encoding)))) == b""


def test_compressed_events_are_flushed_one_by_one(raw_client: Any) -> None:
    for encoding in ("gzip", "zstd"):
        raw_client.sim.script(TEXT_TURN.compressed(encoding).stalled(4, 30))
        with raw_client.http.stream(
            "POST", f"{raw_client.sim.base_url}/responses", json=raw_client.body("hi"), headers=raw_client.headers
        ) as response:
            text = ""
            for part in response.iter_text():
                text += part
                if text.count("data: ") == 4:
                    break
        assert text.endswith("\n\n")


def test_headers_are_added_and_replaced(raw_client: Any) -> None:
    raw_client.sim.script(
        TEXT_TURN.with_headers({"X-Models-Etag": "other"}, openai_model="gpt-z").huge_header(70_000).with_status(201)
    )
    response = raw_client.create("hi")
    assert response.status_code == 201
    assert (response.headers["x-models-etag"], response.headers["openai-model"]) == ("other", "gpt-z")
    assert len(response.headers["x-simulator-padding"]) == 70_000


def test_informational_responses_precede_the_response(raw_client: Any) -> None:
    received = receive_bytes(raw_client, TEXT_TURN.informational(103, 2))
    heads = [block.split(b"\r\n")[0] for block in received.split(b"\r\n\r\n")[:3]]
    assert heads == [b"HTTP/1.1 103 Informational", b"HTTP/1.1 103 Informational", b"HTTP/1.1 200 OK"]
    assert "response.completed" in response_text(raw_client, TEXT_TURN.informational())


def test_last_event_is_repeated(raw_client: Any) -> None:
    assert response_text(raw_client, TEXT_TURN.repeated_last_event(3)).count("event: response.completed") == 3


def test_data_after_end_follows_the_terminal_event(raw_client: Any) -> None:
    assert response_text(raw_client, TEXT_TURN.data_after_end()).rstrip().endswith('"delta":"Too late."}')
    assert response_text(raw_client, TEXT_TURN.data_after_end(b": end\n\n")).endswith(": end\n\n")


def test_huge_event_precedes_the_terminal_event(raw_client: Any) -> None:
    text = response_text(raw_client, TEXT_TURN.huge_event(300_000))
    assert "x" * 300_000 in text
    assert text.rpartition("event: ")[2].startswith("response.completed")


def test_garbage_is_inserted_into_the_stream(raw_client: Any) -> None:
    received = receive_bytes(raw_client, TEXT_TURN.garbage(2))
    assert bytes(range(128, 256)) in received
    assert b"response.completed" in received


def test_bytes_after_the_response_are_ignored_by_httpx(raw_client: Any) -> None:
    raw_client.sim.script(TEXT_TURN.bytes_after_response())
    with httpx2.Client(trust_env=False, verify=False, timeout=5) as http:
        request = {"json": raw_client.body("hi"), "headers": raw_client.headers}
        assert "response.completed" in http.post(f"{raw_client.sim.base_url}/responses", **request).text


def test_modifications_apply_in_the_order_of_the_calls(raw_client: Any) -> None:
    received = receive_bytes(raw_client, TEXT_TURN.compressed("gzip").cut_after_bytes(40))
    assert len(decode_body(received)) == 40
    assert received.endswith(decode_body(received)[-10:] + b"\r\n"), "40 bytes of the compressed body"


def test_modified_turn_leaves_the_original_unchanged(raw_client: Any) -> None:
    base = Turn.text("whole")
    base.cut_after_bytes(1)
    assert "response.completed" in response_text(raw_client, base)


@pytest.mark.parametrize(("ids", "expected"), [(None, ["rs_1", "rs_2"]), (["rs_9"], ["rs_9"]), ([], [])])
def test_input_transformations_name_reasoning_items(raw_client: Any, ids: Any, expected: list[str]) -> None:
    content = encode_encrypted_content(account=raw_client.tokens["account_id"], model="gpt-6.1-sol")
    items = [
        {"type": "reasoning", "id": item_id, "summary": [], "encrypted_content": content}
        for item_id in ("rs_1", "rs_2")
    ]
    raw_client.sim.script(Turn.default().with_input_transformations("turn_boundary", ids))
    response = raw_client.events(*items, "Say hello")[-1]["response"]
    removed = {"type": "reasoning", "action": "removed", "reason": "turn_boundary"}
    assert response["input_transformations"] == [{**removed, "id": item_id} for item_id in expected]
    assert "input_transformations" not in raw_client.events(*items, "Say hello")[-1]["response"]
