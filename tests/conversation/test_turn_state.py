"""The requests of a turn have the state that its first response returned; the next turn begins without one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

HEADER = "x-codex-turn-state"


def call(number: int) -> dict[str, Any]:
    item = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}"}
    return {**item, "name": "get_weather", "arguments": "{}", "status": "completed"}


def responding(state: str, item: dict[str, Any]) -> Turn:
    events = [
        {"type": "response.created", "response": {"id": f"resp_{state}", "status": "in_progress"}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": f"resp_{state}", "status": "completed", "output": []}},
    ]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    return Turn.raw(200, {"content-type": "text/event-stream", HEADER: state}, body)


def output(number: int) -> list[dict[str, Any]]:
    return [{"type": "function_call_output", "call_id": f"call_{number}", "output": "sunny"}]


def sent(sim: Simulator) -> list[tuple[str | None, bool]]:
    requests = [request for request in sim.requests if request.path.endswith("/responses")]
    return [
        (request.headers.get(HEADER), request.headers["thread-id"] == request.headers["session-id"])
        for request in requests
    ]


def test_turn_state_is_sent_within_a_turn(client: Any, sim: Simulator) -> None:
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": []}
    sim.script(responding("a", call(1)), responding("b", call(2)), responding("c", message), responding("d", message))
    conversation = client.codex.conversation()
    conversation.send("What's the weather?")
    conversation.send(output(1))
    conversation.send(output(2))
    conversation.send("Thanks")
    conversation.send("Bye")
    assert sent(sim) == [(None, True), ("a", True), ("a", True), (None, True), (None, True)]


def test_message_after_an_output_begins_a_turn(client: Any, sim: Simulator) -> None:
    sim.script(responding("a", call(1)), responding("b", call(2)))
    conversation = client.codex.conversation()
    conversation.send("What's the weather?")
    conversation.send([*output(1), {"role": "user", "content": "Stop"}])
    assert [state for state, _ in sent(sim)] == [None, None]


def test_conversations_have_turns_of_their_own(client: Any, sim: Simulator) -> None:
    sim.script(responding("a", call(1)), responding("b", call(1)))
    first, second = client.codex.conversation(), client.codex.conversation()
    for conversation in (first, second):
        conversation.send("What's the weather?")
    for conversation in (second, first):
        conversation.send(output(1))
    assert [state for state, _ in sent(sim)] == [None, None, "b", "a"]


def test_turn_state_is_in_the_messages_of_a_websocket(new_client: Any, sim: Simulator) -> None:
    sim.script(Turn.call("get_weather", {}))
    conversation = new_client(transport="websocket").codex.conversation()
    conversation.send("What's the weather?")
    (call,) = conversation.pending_calls
    conversation.send([{"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}])
    conversation.send("Thanks")
    first, second, third = (frame.json().get("client_metadata") for frame in sim.websocket_frames)
    assert (first, third) == (None, None)
    assert second[HEADER].startswith("turn_")
    (socket,) = sim.websockets
    assert HEADER not in socket.request.headers
