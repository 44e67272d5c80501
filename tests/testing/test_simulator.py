"""Life, addresses, records."""

from __future__ import annotations

import gzip
import json
import os
import socket
import stat
import threading
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import zstandard

from codex_backend_sdk.testing import Simulator, Turn

BODY = {"model": "gpt-6.1-sol", "store": False, "stream": True, "input": [{"role": "user", "content": "hi"}]}


def test_starting_and_stopping_leaves_no_thread_and_no_socket() -> None:
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd")) if os.path.exists("/proc") else 0
    for _ in range(3):
        with Simulator() as sim, httpx2.Client(trust_env=False, verify=False) as http:
            assert http.get(sim.url).status_code == 404
    assert threading.active_count() == threads
    if files:
        assert len(os.listdir("/proc/self/fd")) == files


def test_start_returns_when_the_server_accepts_and_stop_frees_the_port() -> None:
    sim = Simulator().start()
    port = int(sim.url.rsplit(":", 1)[1])
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    sim.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    sim.stop()


def test_a_stopped_simulator_can_be_started_again() -> None:
    sim = Simulator()
    for _ in range(2):
        with sim, httpx2.Client(trust_env=False, verify=False) as http:
            assert http.get(sim.url).status_code == 404


def test_stop_is_bounded_while_a_client_holds_a_connection_and_an_unfinished_request() -> None:
    before = threading.enumerate()  # other tests' simulators may be running
    sim = Simulator().start()
    port = int(sim.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as idle:
        idle.sendall(b"POST /backend-api/codex/responses HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
        time.sleep(0.05)
        begun = time.monotonic()
        sim.stop()
        assert time.monotonic() - begun < 3
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    assert "codex-simulator" not in left


def test_starting_twice_is_refused() -> None:
    with Simulator() as sim, pytest.raises(RuntimeError, match="already running"):
        sim.start()


def test_a_taken_port_is_an_os_error_and_leaves_nothing_behind() -> None:
    with Simulator() as sim:
        port = int(sim.url.rsplit(":", 1)[1])
        other = Simulator(port=port)
        with pytest.raises(OSError, match=r"[Aa]ddress"):
            other.start()
        with pytest.raises(RuntimeError, match=r"no address.*`with Simulator"):
            _ = other.url


def test_addresses() -> None:
    with Simulator() as sim:
        assert sim.url.startswith("http://127.0.0.1:")
        assert sim.issuer == sim.url
        assert sim.base_url == f"{sim.url}/backend-api/codex"
        assert sim.environment == {"CODEX_BASE_URL": sim.base_url, "CODEX_ISSUER_URL": sim.url}


def test_every_request_is_recorded_with_its_query_headers_and_body(wire: Any) -> None:
    wire.get("/codex/models", params={"client_version": "0.169.0"})
    wire.ask("hi")
    first, second = wire.sim.requests
    assert (first.method, first.path, first.query) == (
        "GET",
        "/backend-api/codex/models",
        {"client_version": "0.169.0"},
    )
    assert second.json()["input"][0]["content"][0]["text"] == "hi"
    assert second.headers["chatgpt-account-id"] == wire.tokens["account_id"]
    assert wire.tokens["access_token"] not in repr(second)
    wire.sim.clear()
    assert wire.sim.requests == []


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("zstd", zstandard.ZstdCompressor(level=3).compress),
        ("zstd", lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data)),
        ("gzip", gzip.compress),
        ("identity", bytes),
    ],
)
def test_a_compressed_body_is_understood_and_recorded_as_it_was(wire: Any, encoding: str, compress: Any) -> None:
    data = json.dumps(BODY).encode()
    headers = {**wire.headers, "content-encoding": encoding, "content-type": "application/json"}
    answer = wire.http.post(f"{wire.sim.base_url}/responses", content=compress(data), headers=headers)
    assert answer.status_code == 200
    assert wire.sim.requests[-1].body == data


@pytest.mark.parametrize(("encoding", "status"), [("zstd", 400), ("gzip", 400), ("br", 415)])
def test_a_body_that_cannot_be_decompressed_is_refused(wire: Any, encoding: str, status: int) -> None:
    headers = {**wire.headers, "content-encoding": encoding}
    answer = wire.http.post(f"{wire.sim.base_url}/responses", content=b"not compressed", headers=headers)
    assert answer.status_code == status
    assert encoding in answer.json()["detail"]


def test_requests_of_many_threads_are_all_recorded_and_answered_with_their_own(wire: Any) -> None:
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answers[number] = wire.text(f"Say number{number}")

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: f"number{n}" for n in range(20)}
    assert len(wire.sim.requests) == 20


def test_the_same_requests_get_the_same_bytes_from_two_simulators() -> None:
    seen = []
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(2):
        with Simulator(clock=lambda: moment) as sim, httpx2.Client(trust_env=False, verify=False) as http:
            document = sim.login_document()
            headers = {
                "authorization": f"Bearer {document['tokens']['access_token']}",
                "chatgpt-account-id": sim.account.account_id,
            }
            body = {**BODY, "reasoning": {"effort": "low", "summary": "auto"}}
            seen.append(http.post(f"{sim.base_url}/responses", json=body, headers=headers).text)
    assert seen[0] == seen[1]


def test_write_codex_home_signs_the_real_cli_in(tmp_path: Path) -> None:
    with Simulator() as sim:
        home = sim.write_codex_home(tmp_path / "codex", model="gpt-5.5")
        sim.write_codex_home(home, model="gpt-5.5")
        config = tomllib.loads((home / "config.toml").read_text())
        assert config["model"] == "gpt-5.5"
        assert config["model_providers"][config["model_provider"]]["base_url"] == sim.base_url
        auth = home / "auth.json"
        assert stat.S_IMODE(auth.stat().st_mode) == 0o600 or os.name == "nt"
        document = json.loads(auth.read_text())
        assert document["auth_mode"] == "chatgpt"
        assert datetime.fromisoformat(document["last_refresh"]).tzinfo is not None


def test_a_login_can_be_made_that_has_expired(wire: Any) -> None:
    tokens = wire.sim.login_document(expires_in=-timedelta(minutes=1))["tokens"]
    wire.headers["authorization"] = f"Bearer {tokens['access_token']}"
    assert wire.ask("hi").json()["error"]["code"] == "token_expired"


def test_an_unknown_rule_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"Unknown validation rule: store_flase\. Rules: .*store_false"):
        Simulator(validation_rules={"store_flase": False})


def test_a_mistake_in_a_scripted_turn_is_a_500_and_does_not_end_the_simulator(
    wire: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong(stage: object) -> Any:
        raise KeyError("a mistake")

    wire.sim.script(Turn(wrong))
    answer = wire.ask("hi")
    assert (answer.status_code, "a mistake" in answer.json()["detail"]) == (500, True)
    assert "a mistake" in caplog.text
    assert wire.ask("hi").status_code == 200
