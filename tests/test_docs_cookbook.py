"""Test what the programs of docs/cookbook do, beyond that they run (tests/test_docs_pages.py)."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from pages import ROOT, Block, find_blocks, run_program, run_script, simulator_in_environment, write_sample_files

from codex_backend_sdk import LoginRequiredError, UsageLimitError
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COOKBOOK = ROOT / "docs" / "cookbook"
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulator that programs find through the environment."""
    with simulator_in_environment(tmp_path, monkeypatch) as simulator:
        yield simulator


@pytest.fixture
def run(backend: Simulator, tmp_path: Path) -> Callable[..., str]:
    """Run the first program of a page, or the one with this text, and return its output."""
    write_sample_files(tmp_path)
    return lambda page, text="", input="": run_script(block(page, text), tmp_path, input=input)


def block(page: str, text: str = "") -> Block:
    """Return the first program of a page that has this text."""
    return next(found for found in find_blocks(COOKBOOK / f"{page}.md") if text in found.code)


def inputs(simulator: Simulator) -> list[list[dict[str, Any]]]:
    """Return the input of each model request."""
    return [request.body["input"] for request in simulator.model_requests]


def test_chat_continues_after_an_error_and_a_restart(run: Callable[..., str], backend: Simulator) -> None:
    backend.script("First.", Turn.failed("cyber_policy"), "Third.")
    assert "First." in run("chat", input="one\ntwo\nthree\n")
    assert [item["role"] for item in inputs(backend)[2] if "role" in item] == ["user", "assistant", "user"]
    backend.script("Fourth.")
    assert "Fourth." in run("chat", input="four\n")
    assert [item["content"][0]["text"] for item in inputs(backend)[3] if item.get("role") == "user"] == [
        "one",
        "three",
        "four",
    ]


def test_streaming_reports_an_interruption(run: Callable[..., str], backend: Simulator) -> None:
    backend.script(Turn.text("Rain falls."))
    assert run("streaming").startswith("Rain falls.\n")
    backend.script(Turn.text("one two three four").cut_after_events(8))
    assert "\nInterrupted after " in run("streaming")


def test_instructions_of_a_call_replace_those_of_the_client(run: Callable[..., str], backend: Simulator) -> None:
    run("instructions")
    first, second = (request.body["instructions"] for request in backend.model_requests)
    assert first.startswith("You are a travel guide.")
    assert second == "Answer with one word."


@pytest.mark.parametrize("page", ["histories", "batches", "long-conversations"])
def test_program_can_run_twice(run: Callable[..., str], page: str) -> None:
    run(page)
    run(page)


def test_batch_summarizes_many_files(run: Callable[..., str], backend: Simulator, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for number in range(20):
        (tmp_path / "notes" / f"{number:02}.txt").write_text(f"note {number}")
    assert run("batches", "notes.csv") == "20 of 20 notes are in notes.csv\n"
    assert len((tmp_path / "notes.csv").read_text().splitlines()) == 21
    assert run("batches", "notes.csv").startswith("20 of 20")
    assert len(backend.model_requests) == 20


def test_reasoning_asks_for_effort_and_summary(run: Callable[..., str], backend: Simulator) -> None:
    assert "tokens of reasoning" in run("reasoning")
    assert backend.model_requests[0].body["reasoning"] == {"effort": "high", "summary": "auto"}


def test_image_is_sent_as_a_data_url(run: Callable[..., str], backend: Simulator, tmp_path: Path) -> None:
    run("images")
    url = inputs(backend)[0][0]["content"][1]["image_url"]
    prefix, _, data = url.partition(",")
    assert prefix == "data:image/png;base64"
    assert base64.b64decode(data) == (tmp_path / "photo.png").read_bytes()


def test_generated_image_is_written(run: Callable[..., str], backend: Simulator, tmp_path: Path) -> None:
    image = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aW1hZ2U="}
    backend.script(Turn.items(image))
    assert run("image-generation").startswith("lighthouse.png\n")
    assert (tmp_path / "lighthouse.png").read_bytes() == b"image"


def test_sources_of_a_search_are_listed(run: Callable[..., str], backend: Simulator) -> None:
    url = "https://www.python.org/downloads/"
    note = {"type": "url_citation", "title": "Downloads", "url": url, "start_index": 0, "end_index": 4}
    part = {"type": "output_text", "text": "It is new.", "annotations": [note]}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    backend.script(Turn.items(message))
    assert run("web-search") == f"It is new.\n- Downloads: {url}\n"


def test_order_is_extracted_after_an_invalid_response(run: Callable[..., str], backend: Simulator) -> None:
    order = {"product": "green tea", "quantity": 3, "deliver_by": "2026-12-12", "priority": "express"}
    backend.script("not JSON", json.dumps(order))
    assert run("structured-output") == "3 2026-12-12\n"
    backend.script("not JSON", "not JSON", "not JSON")
    assert run("structured-output") == "The text does not match: not JSON\n"
    backend.script(Turn.incomplete("max_output_tokens", text="{"))
    assert run("structured-output").startswith("No data: incomplete")


@pytest.mark.parametrize(("decision", "is_written"), [("y", True), ("n", False)])
def test_agent_writes_a_file_if_it_is_allowed(
    run: Callable[..., str], backend: Simulator, tmp_path: Path, decision: str, *, is_written: bool
) -> None:
    backend.script(
        Turn.calls([("temperature", {"city": "Tokyo"}), ("temperature", {"city": "Lima"})]),
        Turn.call("write_file", {"name": "../weather.txt", "text": "18.5 and 21.0"}),
        "Done.",
    )
    assert run("agents", input=f"{decision}\n").endswith("Done.\n")
    assert (tmp_path / "weather.txt").exists() == is_written
    assert not (tmp_path.parent / "weather.txt").exists()


def test_long_conversation_changes_the_model(run: Callable[..., str], backend: Simulator) -> None:
    assert "tokens in the context" in run("long-conversations")
    assert [request.body["model"] for request in backend.model_requests][-2:] == ["gpt-6.1-terra", "gpt-6.1-sol"]


def test_saved_history_has_both_programs_turns(run: Callable[..., str], tmp_path: Path) -> None:
    run("histories")
    exported = (tmp_path / "trip.md").read_text(encoding="utf-8")
    assert "Two days in Rome, please." in exported
    assert "What if it rains?" in exported
    assert (tmp_path / "naples.jsonl").exists()


def test_stored_items_are_sent_again(run: Callable[..., str], backend: Simulator) -> None:
    run("histories", "history.prepare")
    assert [item.get("role") for item in inputs(backend)[1]] == ["user", None, "assistant", "user"]


async def get(app: Any, path: str, **params: str) -> str:
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://server") as http,
    ):
        return (await http.get(path, params=params)).text


def test_web_server_streams_text_and_errors(backend: Simulator) -> None:
    def response(*turns: Turn) -> str:
        backend.script(*turns)
        app = run_program(block("web-server"), close=False)["app"]
        return asyncio.run(get(app, "/ask", question="hi"))

    text = response(Turn.text("Hello you"))
    assert "".join(json.loads(line[6:])["text"] for line in text.splitlines() if line) == "Hello you"
    assert response(Turn.failed("cyber_policy")).startswith("event: error\n")


def test_web_server_does_not_start_without_a_login(backend: Simulator, tmp_path: Path) -> None:
    (tmp_path / "auth.json").unlink()
    app = run_program(block("web-server"), close=False)["app"]
    with pytest.raises(LoginRequiredError):
        asyncio.run(get(app, "/ask", question="hi"))


def test_processes_share_the_login(run: Callable[..., str], backend: Simulator) -> None:
    assert run("workers").count(" -> ") == 3
    assert len(backend.model_requests) == 3


@pytest.mark.skipif(importlib.util.find_spec("celery") is None, reason="celery is not installed")
def test_celery_task_retries_and_waits_for_the_reset(backend: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from celery.exceptions import Retry

    task = run_program(block("workers", "Celery"), close=False)["ask"]
    backend.script("Hello")
    assert task("hi") == "Hello"
    retries: list[dict[str, Any]] = []
    monkeypatch.setattr(task, "retry", lambda **options: retries.append(options) or Retry())
    backend.fail("usage_limit:plus,3600", "rate_limited:100")
    for _ in range(2):
        with pytest.raises(Retry):
            task("hi")
    assert isinstance(retries[0]["exc"], UsageLimitError)
    assert retries[0]["eta"] == retries[0]["exc"].resets_at
    assert retries[1]["countdown"] == 100
    backend.fail("cyber_policy")
    with pytest.raises(Exception, match="polic"):
        task("hi")
    assert len(retries) == 2


def test_usage_shows_tokens_and_limits(run: Callable[..., str]) -> None:
    output = run("logging-and-usage")
    assert "5 h: 12 % used" in output
    assert "output: " in output


def test_retries_are_shown(run: Callable[..., str], backend: Simulator) -> None:
    backend.fail("overloaded")
    assert run("timeouts-and-retries").startswith("Retry in ")
    backend.fail("cyber_policy")
    assert run("timeouts-and-retries").startswith("A retry would fail, too: ")


def test_limit_is_waited_for_or_reported(run: Callable[..., str], backend: Simulator) -> None:
    backend.fail("usage_limit:plus,2")
    output = run("waiting-for-a-limit")
    assert output.startswith("Waiting 0 minutes: ")
    assert output.count("\n") == 4
    backend.fail("usage_limit_week:plus,86400")
    assert run("waiting-for-a-limit").startswith("The plus plan is exhausted until ")


def test_profiles_have_logins_of_their_own(
    run: Callable[..., str], backend: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    backend.write_codex_home(tmp_path / ".codex-profiles" / "work")
    private, work = run("accounts").splitlines()
    assert private.startswith("private: not logged in.")
    assert work == "work: user@example.com, plan pro"
