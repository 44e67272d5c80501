"""A stream that the caller leaves without closing it does not hold the conversation. Both clients, both transports."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk import ConversationError
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = Turn.text("word " * 200)


@pytest.fixture(params=["http", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", found.append)
    yield found
    gc.collect()
    assert found == []


def texts(conversation: Any) -> list[str]:
    return ["".join(part["text"] for part in item["content"]) for item in conversation.items if "content" in item]


def leave_by_break(stream: Any) -> None:
    for _ in stream.text_deltas():
        break


def leave_by_error(stream: Any) -> None:
    with suppress(LookupError):
        for _ in stream.text_deltas():
            raise LookupError


def leave_the_events(stream: Any) -> None:
    for event in stream:
        if event.type == "response.output_text.delta":
            break


LEAVING = [leave_by_break, leave_by_error, leave_the_events]


@pytest.mark.parametrize("leave", LEAVING)
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("is_dropped", [True, False], ids=["dropped", "referenced"])
def test_left_stream_frees_its_conversation(
    sim: Simulator, transport: str, unraisable: list[Any], leave: Any, keep: bool, is_dropped: bool
) -> None:
    conversation = sim.client().codex.conversation(transport=transport, keep_partial=keep)
    sim.script(LONG)
    stream = conversation.stream("first")
    leave(stream)
    if is_dropped:
        del stream
        assert len(texts(conversation)) == (2 if keep else 0)
    assert conversation.send("Say next").output_text == "next"
    assert texts(conversation)[:-2] == (["first", "word "] if keep else [])
    if not is_dropped:
        assert stream.response.output_text == ("word ")
    conversation.close()


@pytest.mark.parametrize("is_dropped", [True, False], ids=["dropped", "referenced"])
@pytest.mark.parametrize("keep", [True, False])
def test_left_async_stream_frees_its_conversation(
    sim: Simulator, transport: str, unraisable: list[Any], keep: bool, is_dropped: bool
) -> None:
    problems: list[Any] = []

    async def leave() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        async with sim.async_client() as client:
            conversation = client.codex.conversation(transport=transport, keep_partial=keep)
            sim.script(LONG)
            stream = conversation.stream("first")
            async for _ in stream.text_deltas():
                break
            if is_dropped:
                del stream
            assert (await conversation.send("Say next")).output_text == "next"
            assert texts(conversation)[:-2] == (["first", "word "] if keep else [])
            async for _ in conversation.stream("again").text_deltas():
                break  # the event loop ends meanwhile

    asyncio.run(leave())
    gc.collect()
    assert problems == []


@pytest.mark.parametrize("how", ["next", "iterator"])
def test_paused_stream_is_closed_after_an_interrupt(
    sim: Simulator, transport: str, unraisable: list[Any], how: str
) -> None:
    conversation = sim.client().codex.conversation(transport=transport)
    sim.script(LONG)
    stream = conversation.stream("first")
    reader = stream if how == "next" else iter(stream)
    assert next(reader).type == "response.created"
    with pytest.raises(ConversationError, match=r"interrupt\(\)"):
        conversation.send("Say next")
    conversation.interrupt()
    assert conversation.send("Say next").output_text == "next"
    with pytest.raises(StopIteration):
        next(reader)
    conversation.close()


def test_paused_async_stream_is_closed_after_an_interrupt(sim: Simulator, transport: str) -> None:
    async def interrupt() -> None:
        async with sim.async_client() as client:
            conversation = client.codex.conversation(transport=transport)
            sim.script(LONG)
            stream = conversation.stream("first")
            reader = aiter(stream)
            await anext(reader)
            with pytest.raises(ConversationError, match=r"interrupt\(\)"):
                await conversation.send("Say next")
            await conversation.interrupt()
            rest = asyncio.gather(conversation.send("Say next"), _read(reader))
            assert (await asyncio.wait_for(rest, 60))[0].output_text == "next"

    asyncio.run(interrupt())


async def _read(reader: Any) -> None:
    async for _ in reader:
        pass


def test_left_stream_may_be_read_on(sim: Simulator) -> None:
    conversation = sim.client().codex.conversation()
    stream = conversation.stream("Say one two three")
    leave_by_break(stream)
    rest = "".join(stream.text_deltas())
    assert stream.response.output_text == "one two three"
    assert rest.endswith("three")


def test_stream_in_a_reference_cycle_frees_its_conversation(sim: Simulator, unraisable: list[Any]) -> None:
    conversation = sim.client().codex.conversation()
    sim.script(LONG)
    stream: Any = conversation.stream("first")
    leave_by_break(stream)
    stream.itself = stream
    del stream
    gc.collect()
    assert texts(conversation) == ["first", "word "]
    assert conversation.send("Say next").output_text == "next"


def test_left_run_frees_its_conversation(sim: Simulator, unraisable: list[Any]) -> None:
    conversation = sim.client().codex.conversation()
    sim.script(LONG)
    stream = conversation.run_stream("first", tools=[])
    leave_by_break(stream)
    assert conversation.send("Say next").output_text == "next"
    assert stream.response.output_text == "word "


def test_stream_left_before_its_response_has_none(client: Any) -> None:
    conversation = client.codex.conversation()
    with conversation.stream("Say one") as stream:
        pass
    with pytest.raises(ConversationError, match="has no response"):
        _ = stream.response
    assert len(conversation) == 0


def test_left_stream_has_the_partial_response(client: Any, sim: Simulator) -> None:
    conversation = client.codex.conversation()
    sim.script(LONG)
    with conversation.stream("first") as stream:
        leave_by_break(stream)
    assert (stream.response.status, stream.response.output_text) == ("incomplete", "word ")
    assert stream.response.incomplete_details.reason == "interrupted"


@pytest.mark.timeout(60)
def test_program_that_ends_in_a_stream_reports_nothing(sim: Simulator) -> None:
    program = (
        "from codex_backend_sdk.testing import Simulator, Turn\n"
        "sim = Simulator().start()\n"
        "sim.script(Turn.text('word ' * 200))\n"
        "conversation = sim.client().codex.conversation()\n"
        "stream = conversation.stream('first')\n"
        "for text in stream.text_deltas(): break\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    assert done.stderr == ""
