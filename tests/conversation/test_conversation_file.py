"""A conversation in a file can be continued, by another process and after a kill at any time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from itertools import islice
from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
from conversation.test_conversation import MESSAGE, REASONING, WEATHER, sent, texts

from codex_backend_sdk import ConversationError, JournalError, JournalLockedError
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.jsonl"


def test_file_continues_with_its_settings(client: Any, path: Path, bodies: Any) -> None:
    with client.codex.conversation(path, instructions="Be brief.", tools=[WEATHER], tool_choice="none") as conversation:
        conversation.send("Say one")
        items, key = conversation.items, conversation.prompt_cache_key
        usage = conversation.usage
    with client.codex.conversation(path) as conversation:
        assert conversation.items == items
        assert conversation.usage == usage
        conversation.send("Say two")
    assert sent(bodies) == ["Say one", "reasoning", "one", "Say two"]
    body = bodies()[-1]
    assert (body["instructions"], body["tools"], body["tool_choice"]) == ("Be brief.", [WEATHER], "none")
    assert body["prompt_cache_key"] == key


def test_settings_of_load_replace_those_of_the_file(client: Any, path: Path, bodies: Any) -> None:
    with client.codex.conversation(path, instructions="Old.", verbosity="low") as conversation:
        conversation.send("Say one")
    with client.codex.load_conversation(path, instructions="New.") as conversation:
        assert len(conversation) == 3
        conversation.send("Say two")
    with client.codex.load_conversation(path) as conversation:
        assert conversation.instructions == "New."
        assert conversation.verbosity == "low"
    assert [body["instructions"] for body in bodies()] == ["Old.", "New."]
    assert "New." not in json.dumps(bodies()[-1]["input"])


def test_closing_saves_changed_settings(client: Any, path: Path) -> None:
    with client.codex.conversation(path, instructions="Be brief.") as conversation:
        pass
    with client.codex.load_conversation(path) as conversation:
        assert conversation.instructions == "Be brief."
        conversation.send("Say one")
        conversation.model = "gpt-6.1-sol"
    with client.codex.load_conversation(path) as conversation:
        assert (conversation.model, conversation.instructions) == ("gpt-6.1-sol", "Be brief.")


def test_empty_file_becomes_a_conversation(client: Any, path: Path) -> None:
    path.touch(mode=0o600)
    with client.codex.conversation(path) as conversation:
        conversation.send("Say one")
    with client.codex.load_conversation(path) as conversation:
        assert texts(conversation.items)[0] == "Say one"


def test_refused_deletion_leaves_the_conversation_open(client: Any, path: Path) -> None:
    with client.codex.conversation(path) as conversation:
        conversation.send("Say one")
        conversation.fork(path.with_name("fork.jsonl")).close()
        with pytest.raises(JournalError, match=r"fork\.jsonl"):
            conversation.delete()
        assert conversation.send("Say two").output_text == "two"


@pytest.mark.anyio
async def test_async_file_is_opened_by_with_or_await(sim: Simulator, path: Path) -> None:
    async with sim.async_client() as client:
        async with client.codex.conversation(path) as conversation:
            await conversation.send("Say one")
        async with client.codex.load_conversation(path) as conversation:
            assert len(conversation) == 3
        conversation = await client.codex.load_conversation(path)
        assert len(conversation) == 3
        await conversation.close()
        with pytest.raises(FileNotFoundError):
            await client.codex.load_conversation(path.with_name("other.jsonl"))


def test_missing_file_is_an_error_to_load(client: Any, path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.codex.load_conversation(path)
    assert not path.exists()


def test_file_of_an_open_conversation_is_claimed(client: Any, path: Path) -> None:
    with client.codex.conversation(path) as conversation:
        conversation.send("Say one")
        with pytest.raises(JournalLockedError):
            client.codex.load_conversation(path)
        with client.codex.load_conversation(path, read_only=True) as reader:
            assert texts(reader.items) == ["Say one", "reasoning", "one"]
            with pytest.raises(JournalError, match="read_only"):
                reader.send("Say two")
            assert reader.fork().send("Say two").output_text == "two"
    with client.codex.load_conversation(path) as conversation:
        assert len(conversation) == 3


def test_items_are_written_as_they_are_finished(client: Any, path: Path) -> None:
    with (
        client.codex.conversation(path) as conversation,
        conversation.stream("Say one two three") as stream,
    ):
        for event in stream:
            if event.type == "response.output_text.delta":
                break
        on_disk = [json.loads(line) for line in path.read_text().splitlines()]
        assert texts([record["item"] for record in on_disk if record.get("type") == "item"]) == [
            "Say one two three",
            "reasoning",
        ]


def test_failed_call_leaves_the_file_equivalent(client: Any, path: Path, sim: Simulator) -> None:
    with client.codex.conversation(path) as conversation:
        conversation.send("Say one")
        sim.fail("overloaded")
        with pytest.raises(openai.OpenAIError):
            conversation.send("Say two")
        items = conversation.items
    with client.codex.load_conversation(path) as conversation:
        assert conversation.items == items


def test_saving_writes_the_past_and_the_future(client: Any, path: Path) -> None:
    conversation = client.codex.conversation(instructions="Be brief.")
    conversation.send("Say one")
    conversation.save(path)
    conversation.send("Say two")
    with pytest.raises(ConversationError, match="fork"):
        conversation.save(path)
    conversation.close()
    with client.codex.load_conversation(path) as loaded:
        assert texts(loaded.items) == ["Say one", "reasoning", "one", "Say two", "reasoning", "two"]
        assert loaded.instructions == "Be brief."


def test_save_does_not_replace_a_file(client: Any, path: Path) -> None:
    path.write_text("precious")
    conversation = client.codex.conversation()
    with pytest.raises(FileExistsError):
        conversation.save(path)
    assert path.read_text() == "precious"
    conversation.send("Say one")
    assert conversation.path is None


@pytest.mark.parametrize("has_file", [True, False])
@pytest.mark.parametrize("into_file", [True, False])
def test_fork_has_the_history_and_its_own_future(
    client: Any, path: Path, bodies: Any, has_file: bool, into_file: bool
) -> None:
    target = path.with_name("fork.jsonl") if into_file else None
    with client.codex.conversation(path if has_file else None, instructions="Be brief.") as conversation:
        conversation.send("Say one")
        with conversation.fork(target) as fork:
            conversation.send("Say two")
            fork.send("Say three")
            assert fork.prompt_cache_key == conversation.prompt_cache_key
    assert sent(bodies) == ["Say one", "reasoning", "one", "Say three"]
    if into_file:
        with client.codex.load_conversation(target) as fork:
            assert texts(fork.items) == ["Say one", "reasoning", "one", "Say three", "reasoning", "three"]


def test_deleting_removes_the_file(client: Any, path: Path) -> None:
    conversation = client.codex.conversation(path)
    with conversation:
        conversation.send("Say one")
    conversation.delete()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("has_file", [True, False])
def test_export_has_each_setting_where_it_changed(client: Any, path: Path, has_file: bool) -> None:
    with client.codex.conversation(path if has_file else None, instructions="Be brief.") as conversation:
        first_model = conversation.model
        conversation.send("Say one")
        conversation.model, conversation.instructions = "gpt-6.1-sol", "Be long."
        conversation.send("Say two")
        text = conversation.export()
    values = [first_model, "Be brief.", "Say one", "gpt-6.1-sol", "Be long.", "Say two"]
    places = [text.index(value) for value in values]
    assert places == sorted(places)
    assert [text.count(value) for value in ("Be brief.", "Be long.")] == [1, 1]


def test_deleting_refuses_or_keeps_the_forks(client: Any, path: Path) -> None:
    target = path.with_name("fork.jsonl")
    with client.codex.conversation(path) as conversation:
        conversation.send("Say one")
        conversation.fork(target).close()
    with pytest.raises(JournalError, match=r"fork\.jsonl.*`forks=\"keep\"` to `delete\(\)`"):
        conversation.delete()
    conversation.delete(forks="keep")
    assert not path.exists()
    with client.codex.load_conversation(target) as fork:
        assert texts(fork.items) == ["Say one", "reasoning", "one"]


def test_saving_to_a_used_name_names_the_way_out(client: Any, path: Path) -> None:
    with client.codex.conversation(path) as conversation:
        conversation.send("Say one")
    with client.codex.conversation() as conversation, pytest.raises(FileExistsError, match="`load_conversation`"):
        conversation.save(path)


def test_redaction_applies_to_the_file_only(client: Any, path: Path, bodies: Any) -> None:
    def redact(record: dict[str, Any]) -> dict[str, Any]:
        return json.loads(json.dumps(record).replace("secret", "[...]"))

    with client.codex.conversation(path, redact=redact) as conversation:
        conversation.send("my secret")
        conversation.send("Say two")
    assert "secret" not in path.read_text()
    assert "secret" in sent(bodies)[0]


def test_lost_line_moves_no_other_item(client: Any, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with client.codex.conversation(path) as conversation:
        conversation.send("Say one")
        conversation.send("Say two")
        conversation.compact()
        conversation.send("Say three")
    lines = path.read_bytes().splitlines(keepends=True)
    (lost,) = [index for index, line in enumerate(lines) if b"Say one" in line and b'"item"' in line]
    lines[lost] = b"damaged\n"
    path.write_bytes(b"".join(lines))
    with client.codex.load_conversation(path) as conversation:
        assert texts(conversation.items) == ["Say two", "compaction", "Say three", "reasoning", "three"]
    assert "line" in caplog.text


def test_response_in_flight_at_a_kill_is_closed(client: Any, path: Path, sim: Simulator) -> None:
    with client.codex.conversation(path) as conversation:
        conversation.send("Say one")
    with path.open("a") as file:  # as a killed process leaves it
        for record in (
            {"type": "item", "item": {"type": "message", "role": "user", "content": []}, "position": 3},
            {"type": "item", "item": MESSAGE, "position": 4, "response": "resp_1"},
            {"type": "item", "item": REASONING, "position": 5, "response": "resp_1"},
        ):
            file.write(json.dumps(record) + "\n")
        file.write('{"type":"item","item":{"type":"fun')
    for _ in range(2):
        with client.codex.load_conversation(path) as conversation:
            assert [item["type"] for item in conversation.items[3:]] == ["message", "message"]
    with client.codex.load_conversation(path) as conversation:
        assert conversation.send("Say two").output_text == "two"


# Importing openai takes a second, so one process imports it and forks a program for each line: a FIFO for its progress.
PROGRAMS = """
import os
import sys
import openai.resources.responses
import codex_backend_sdk.conversation.conversation
from codex_backend_sdk import OpenAI

def talk(path, fifo):
    with open(fifo, "w", buffering=1) as progress, OpenAI(max_retries=0) as client:
        with client.codex.conversation(path) as conversation:
            while True:
                with conversation.stream("hi") as stream:
                    for event in stream:
                        is_done = event.type == "response.output_item.done"
                        print(event.type, len(conversation) if is_done else 0, file=progress)

for fifo in sys.stdin:
    program = os.fork()
    if not program:
        talk(sys.argv[1], fifo.strip())
    print(program, flush=True)
    os.waitpid(program, 0)
    print("ended", flush=True)
"""
KILLS = 20


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs and fork")
@pytest.mark.timeout(300)
def test_killed_program_loses_no_finished_item(sim: Simulator, path: Path, tmp_path: Path) -> None:
    """Kill a program in the middle of a call: each finished item is in the file, and the next program goes on."""
    home = tmp_path / "home"
    sim.write_codex_home(home)
    environment = {**os.environ, **sim.environment, "CODEX_HOME": str(home), "CODEX_TRANSPORT": "http"}
    choose = random.Random(7)
    kept = 0
    command = [sys.executable, "-c", PROGRAMS, str(path)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as programs:
        assert programs.stdin is not None
        assert programs.stdout is not None
        for number in range(KILLS):
            sim.clear()
            sim.script(*(Turn.default().throttled(256, 0.001) for _ in range(20)))
            fifo = tmp_path / f"progress-{number}"
            os.mkfifo(fifo)
            print(fifo, file=programs.stdin, flush=True)
            program = int(programs.stdout.readline())
            with fifo.open() as progress:
                events = list(islice(progress, choose.randrange(1, 30)))
                os.kill(program, signal.SIGKILL)
                events += progress.readlines()
            assert programs.stdout.readline() == "ended\n"
            finished = max(int(event.split()[1]) for event in events if event.endswith("\n"))
            with sim.client(transport="http") as client, client.codex.load_conversation(path) as conversation:
                assert len(conversation) >= finished - 1  # reasoning alone at the end is dropped
                kept = max(kept, len(conversation))
    assert kept >= KILLS // 2


def test_interrupt_keeps_what_was_received(client: Any, path: Path, sim: Simulator) -> None:
    sim.script(Turn.text("one two three four five six seven eight").throttled(200, 0.05))
    with client.codex.conversation(path) as conversation:
        stream = conversation.stream("hi")
        events = iter(stream)
        for event in events:
            if event.type == "response.output_text.delta":
                break
        threading.Thread(target=conversation.interrupt).start()
        for _ in events:
            pass
        assert stream.response.status == "incomplete"
        assert stream.response.incomplete_details.reason == "interrupted"
        assert texts(conversation.items)[0] == "hi"
        assert conversation.items[-1]["status"] == "incomplete"
        assert conversation.send("Say two").output_text == "two"


def test_ctrl_c_keeps_what_was_received(sim: Simulator, path: Path) -> None:
    sim.script(Turn.text("one two three").stalled(after_events=9, seconds=30))
    with sim.client(transport="http") as client, client.codex.conversation(path) as conversation:
        stream = conversation.stream("hi")
        for event in stream:
            if event.type == "response.output_text.delta":
                break
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            stream.until_done()
        timer.join()
        items = conversation.items
        assert texts(items)[0] == "hi"
        assert items[-1]["status"] == "incomplete"
        assert conversation.send("Say two").output_text == "two"
    with sim.client(transport="http") as client, client.codex.load_conversation(path) as conversation:
        assert conversation.items[: len(items)] == items


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("keep", [True, False])
def test_cancellation_keeps_what_was_received(sim: Simulator, path: Path, backend: str, keep: bool) -> None:
    sim.script(Turn.text("one two three").stalled(after_events=9, seconds=30))

    async def main() -> None:
        async with (
            sim.async_client(transport="http") as client,
            client.codex.conversation(path, keep_partial=keep) as conversation,
        ):
            with anyio.CancelScope() as scope:
                async for event in conversation.stream("hi"):
                    if event.type == "response.output_text.delta":
                        scope.deadline = anyio.current_time() + 0.3
            assert scope.cancelled_caught
            assert bool(conversation.items) is keep
            assert (await conversation.send("Say two")).output_text == "two"
            assert texts(conversation.items)[0] == ("hi" if keep else "Say two")

    anyio.run(main, backend=backend)
