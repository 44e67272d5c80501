from __future__ import annotations

import json
import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import report
from bench.bar_verdicts import judge_row
from bench.peers.__main__ import block_other_hosts
from bench.rows import HISTORY_SIZES, ROWS, Bar, Job, Row, Shown
from bench.server import ResponseSpec, http_chunks, websocket_writes
from bench.tasks import TASKS, PeerClients
from bench.workloads import history, stream, tool_output
from codex_backend_sdk._websocket.frames import FrameDecoder

KINDS = ("text", "arguments", "reasoning", "codex", "huge", "agent")


class LossyPeer:
    """A peer whose client loses the second delta."""

    is_untyped = True

    def client(self, base_url: str) -> str:
        return base_url

    def events(self, client: str, _params: dict[str, Any]) -> Iterator[Any]:
        deltas = int(client.split("/b/")[1].split("/")[1])
        for number in range(deltas):
            yield {"type": "response.output_text.delta", "delta": "" if number == 1 else " abcd"}


def test_client_that_loses_text_fails_the_task() -> None:
    clients = PeerClients(LossyPeer(), "http://127.0.0.1:9")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="returned 10 of 15 characters"):
        TASKS["drain"](clients, response=ResponseSpec("text", 3))
    clients.close()


@pytest.mark.parametrize("kind", KINDS)
def test_stream_is_reproducible_and_valid_sse(kind: str) -> None:
    recorded = stream(kind, 4)
    assert recorded == stream(kind, 4)
    events = []
    for frame in recorded.frames:
        event, data, *rest = frame.decode().split("\n")
        assert rest == ["", ""]
        assert data.startswith('data: {"type":"')
        events.append(json.loads(data[6:]))
        assert event == "event: " + events[-1]["type"]
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"] == []
    assert sum(len(event.get("delta", "")) for event in events) == recorded.characters


def test_chat_stream_has_the_chunks_of_the_public_api() -> None:
    recorded = stream("chat", 4)
    *chunks, done = [frame.removeprefix(b"data: ").removesuffix(b"\n\n") for frame in recorded.frames]
    deltas = [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks]
    assert done == b"[DONE]"
    assert len(deltas) == 6
    assert sum(len(delta.get("content", "")) for delta in deltas) == recorded.characters > 0


def test_long_event_has_four_megabytes() -> None:
    assert 4_000_000 < len(stream("huge", 1).frames[0]) < 4_001_000


def test_history_has_570_bytes_per_item() -> None:
    assert 5.5e6 < len(json.dumps(history(10_000), separators=(",", ":"), ensure_ascii=False).encode()) < 5.9e6


def test_chunk_size_zero_sends_one_event_per_chunk() -> None:
    frames = stream("text", 3).frames
    chunks = http_chunks("text", 3, 0)
    assert [chunk.partition(b"\r\n")[2][:-2] for chunk in chunks] == frames
    assert [int(chunk.partition(b"\r\n")[0], 16) for chunk in chunks] == [len(frame) for frame in frames]


@pytest.mark.parametrize("size", [0, 100, 4096])
def test_websocket_has_the_events_of_the_stream(size: int) -> None:
    decoder = FrameDecoder(max_message_bytes=1 << 20)
    messages: list[bytes] = []
    for data in websocket_writes("agent", 4, size):
        decoder.feed(data, messages)
    assert [b"\ndata: " + message + b"\n\n" for message in messages] == [
        frame[frame.index(b"\n") :] for frame in stream("agent", 4).frames
    ]


def test_output_of_a_tool_has_its_size_and_differs() -> None:
    sizes = [len(json.dumps(tool_output("call_1", number, 2_000))) for number in range(1, 4)]
    assert all(2_000 < size < 2_500 for size in sizes)
    assert tool_output("call_1", 1, 2_000) == tool_output("call_1", 1, 2_000) != tool_output("call_1", 2, 2_000)


def test_peer_cannot_reach_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    block_other_hosts()
    with pytest.raises(OSError, match=r"must not connect to another host: chatgpt\.com"):
        socket.create_connection(("chatgpt.com", 443), timeout=1)
    assert socket.getaddrinfo("127.0.0.1", 80)


def row(*bars: Bar) -> Row:
    return Row("row", "A title", "ms", (Job("ours", "drain", {}), Job("openai", "drain", {})), bars)


@pytest.mark.parametrize(
    ("bar", "result", "is_met"),
    [
        (Bar("cpu_ms", "openai", at_most=1 / 20), "1/20", True),
        (Bar("cpu_ms", "openai", at_most=1 / 21), "1/20", False),
        (Bar("cpu_ms", "openai", at_most=2), "0.05 times", True),
        (Bar("cpu_ms", "openai", at_least=8), "0.05 times", False),
        (Bar("cpu_ms", None, at_most=1), "2", False),
        (Bar("cpu_ms", None, at_most=2), "2", True),
    ],
)
def test_verdict_compares_medians(bar: Bar, result: str, is_met: bool) -> None:
    figures = {"ours": {"cpu_ms": [1.0, 2.0, 9.0]}, "openai": {"cpu_ms": [40.0, 10.0, 90.0]}}
    (verdict,) = judge_row(row(bar), figures)
    assert (verdict.result, verdict.is_met) == (result, is_met)
    assert verdict.low <= verdict.value <= verdict.high


@pytest.mark.parametrize(
    ("limit", "text"),
    [(1 / 20, "≤ 1/20 openai"), (2 / 3, "≤ 1/1.5 openai"), (1, "≤ 1 times openai"), (1.15, "≤ 1.15 times openai")],
)
def test_bar_is_shown_as_it_is_compared(limit: float, text: str) -> None:
    figures = {"ours": {"cpu_ms": [1.0]}, "openai": {"cpu_ms": [1.0]}}
    (verdict,) = judge_row(row(Bar("cpu_ms", "openai", at_most=limit)), figures)
    assert verdict.bar == text


@pytest.mark.parametrize(("longest", "is_met"), [(101.0 + 99_999 * 1.19, True), (101.0 + 99_999 * 1.21, False)])
def test_flatness_compares_the_cost_per_item(longest: float, is_met: bool) -> None:
    """A request with one item costs 101 ms, each further item 1 ms; the longest history costs more."""
    figures = {f"ours {size}": {"cpu_ms": [101.0 + (size - 1)]} for size in (1, *HISTORY_SIZES)}
    figures[f"ours {HISTORY_SIZES[-1]}"] = {"cpu_ms": [longest]}
    (verdict,) = judge_row(row(Bar("cpu_ms", None, at_most=1.2, is_flat=True)), figures)
    assert verdict.is_met is is_met


def test_report_replaces_only_its_part_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    begin, end = report.MARKERS
    page.write_text(f"Before.\n\n{begin}\nold\n{end}\n\nAfter.\n")
    results = json.loads(report.RESULTS.read_text())
    report.render(results, page=page, folder=tmp_path / "plots")
    written = page.read_text()
    assert written.startswith(f"Before.\n\n{begin}\n")
    assert written.endswith(f"{end}\n\nAfter.\n")
    assert "old" not in written
    assert all(row["title"] in written for row in results["rows"])


def test_table_shows_other_metrics_of_a_row() -> None:
    figures = {"ours": {"cpu_ms": [1.0], "wall_ms": [3.0]}, "openai": {"cpu_ms": [4.0], "wall_ms": [8.0]}}
    shown = replace(row(Bar("cpu_ms", "openai", at_most=1)), also=(Shown("wall_ms", "Another title", "ms"),))
    results = report.Results({"machine": dict.fromkeys(("cpu", "cpus", "system", "python"), "x")}, 0.0)
    results.add(shown, figures, judge_row(shown, figures))
    machine = {**results.conditions["machine"], "load": 0, "load_at_end": 0}
    text = report.table({"machine": machine, "versions": {"ours": {}}, "seconds": 1, "rows": results.rows})
    assert "| Another title | 3 ms | openai 8 | | | |" in text


def test_plots_are_svg_and_linked_from_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("")
    report.render(json.loads(report.RESULTS.read_text()), page=page, folder=tmp_path)
    names = {path.name for path in tmp_path.glob("*.svg")}
    assert names == {
        "cpu-per-event.svg",
        "history.svg",
        "concurrency.svg",
        "start-up.svg",
        "agent-bytes.svg",
        "agent-cpu.svg",
    }
    for name in names:
        assert ET.parse(tmp_path / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert f"(performance/{name})" in report.PAGE.read_text()


def test_results_cover_all_rows_without_local_paths() -> None:
    text = report.RESULTS.read_text()
    assert [row["name"] for row in json.loads(text)["rows"]] == [row.name for row in ROWS]
    assert str(report.ROOT) not in text
