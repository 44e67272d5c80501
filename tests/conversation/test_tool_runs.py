"""Runs of tools on a conversation. Both clients run every test, unless it is about one of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import openai
import pytest

from codex_backend_sdk import (
    ConversationError,
    MaxTurnsError,
    RepeatedCallError,
    RunPausedError,
    RunStoppedError,
    ToolDefinitionError,
    ToolResultError,
)
from codex_backend_sdk.testing import Turn
from codex_backend_sdk.tools import Allow, CustomTool, Deny, Pause, ToolImage, ToolSet, tool
from codex_backend_sdk.tools.calls import MAY_HAVE_RUN, NOT_RUN

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator


# A response without output, as in its first event.
CREATED: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "in_progress",
    "output": [],
}


def add(x: int, y: int = 1) -> int:
    """Add.

    Args:
        x: The first.
    """
    return x + y


def fail(x: int) -> None:
    """Fail."""
    raise ValueError(f"bad {x}")


class Counter:
    """A tool with a side effect that is counted."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    def count(self, x: int) -> str:
        """Count."""
        self.runs.append(x)
        return f"counted {x}"


@pytest.fixture
def conversation(client: Any) -> Any:
    return client.codex.conversation(instructions="Be brief.")


@pytest.fixture
def counter() -> Counter:
    return Counter()


def outputs(conversation: Any) -> list[Any]:
    return [item["output"] for item in conversation.items if item["type"].endswith("_output")]


def types(conversation: Any) -> list[str]:
    return [item["type"] for item in conversation.items if item["type"] != "reasoning"]


def test_run_returns_the_final_response(conversation: Any, sim: Simulator, bodies: Any) -> None:
    sim.script(Turn.calls([("add", {"x": 1, "y": 2}), ("add", {"x": 5, "y": None})]), Turn.text("done"))
    response = conversation.run("Add.", tools=[add])
    assert response.output_text == "done"
    assert outputs(conversation) == ["3", "6"]
    assert types(conversation) == ["message", *["function_call"] * 2, *["function_call_output"] * 2, "message"]
    first, second = bodies()
    (definition,) = first["tools"]
    assert (definition["name"], definition["strict"], definition["description"]) == ("add", True, "Add.")
    assert definition["parameters"]["required"] == ["x", "y"]
    assert second["tools"] == first["tools"]
    assert second["input"][: len(first["input"])] == first["input"]
    assert conversation.pending_calls == []


def test_schemas_of_signatures_are_accepted(conversation: Any) -> None:
    # Without a script, the simulator calls the first tool with arguments that match its schema.
    assert "add returned:" in conversation.run("Add.", tools=[add]).output_text


def test_custom_tools_get_custom_outputs(conversation: Any, sim: Simulator) -> None:
    sim.script(Turn.custom_call("shout", "hello {"), Turn.text("done"))
    conversation.run("Shout.", tools=[CustomTool(str.upper, name="shout", description="Shout.")])
    assert conversation.items[-2]["type"] == "custom_tool_call_output"
    assert outputs(conversation) == ["HELLO {"]


def test_images_are_content_parts(conversation: Any, sim: Simulator) -> None:
    def draw() -> ToolImage:
        """Draw."""
        return ToolImage(b"\x89PNG", detail="low")

    sim.script(Turn.call("draw", {}), Turn.text("done"))
    conversation.run("Draw.", tools=[draw])
    (parts,) = outputs(conversation)
    assert parts == [{"type": "input_image", "image_url": "data:image/png;base64,iVBORw==", "detail": "low"}]


BAD_CALLS = [
    (Turn.call("add", "{"), "The arguments are not valid JSON"),
    (Turn.call("add", {"x": "a", "y": 1}), "x: Input should be a valid integer"),
    (Turn.call("subtract", {"x": 1}), "There is no tool 'subtract' of this kind. Tools: add."),
    (Turn.custom_call("add", "text"), "There is no tool 'add' of this kind."),
]


@pytest.mark.parametrize(("turn", "text"), BAD_CALLS, ids=["json", "type", "unknown", "kind"])
def test_invalid_calls_are_explained_to_the_model(conversation: Any, sim: Simulator, turn: Turn, text: str) -> None:
    sim.script(turn, Turn.text("done"))
    assert conversation.run("Add.", tools=[add]).output_text == "done"
    assert text in outputs(conversation)[0]


def test_arguments_only_in_their_done_event_are_used(conversation: Any, sim: Simulator) -> None:
    # Some models send the arguments in `function_call_arguments.done` only.
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add", "arguments": ""}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": CREATED},
        {"type": "response.output_item.added", "output_index": 0, "item": call},
        {
            "type": "response.function_call_arguments.done",
            "output_index": 0,
            "item_id": "fc_1",
            "arguments": '{"x": 2, "y": 3}',
        },
        {"type": "response.output_item.done", "output_index": 0, "item": call},
        {"type": "response.completed", "response": {**CREATED, "status": "completed"}},
    ]
    sim.script(Turn.events(events), Turn.text("done"))
    conversation.run("Add.", tools=[add])
    assert outputs(conversation) == ["5"]


def test_errors_are_returned_to_the_model(conversation: Any, sim: Simulator) -> None:
    sim.script(Turn.calls([("fail", {"x": 1}), ("add", {"x": 1, "y": 1})]), Turn.text("done"))
    assert conversation.run("Go.", tools=[fail, add]).output_text == "done"
    assert outputs(conversation) == ["ValueError: bad 1", "2"]


def test_errors_are_raised_on_demand_after_the_outputs(conversation: Any, sim: Simulator) -> None:
    sim.script(Turn.calls([("fail", {"x": 1}), ("add", {"x": 1, "y": 1})]), Turn.text("done"))
    with pytest.raises(ValueError, match="bad 1") as caught:
        conversation.run("Go.", tools=[fail, add], on_error="raise")
    assert "It was raised by the tool 'fail'" in caught.value.__notes__[0]
    assert outputs(conversation) == ["ValueError: bad 1", "2"]
    assert conversation.resume().output_text == "done"


def test_unsendable_result_is_raised(conversation: Any, sim: Simulator) -> None:
    def binary() -> bytes:
        return b"x"

    sim.script(Turn.call("binary", {}), Turn.text("hello"))
    with pytest.raises(ToolResultError, match="Bytes cannot be sent"):
        conversation.run("Go.", tools=[binary])
    assert conversation.send("Say hello").output_text == "hello"  # the history is valid


# --- limits ----------------------------------------------------------------------------------------------------------


def test_limit_of_requests_leaves_a_usable_conversation(conversation: Any, sim: Simulator, counter: Counter) -> None:
    sim.script(*[Turn.call("count", {"x": x}) for x in range(4)], Turn.text("done"))
    with pytest.raises(MaxTurnsError, match="after 2 requests") as caught:
        conversation.run("Count.", tools=[counter.count], max_turns=2)
    assert counter.runs == [0, 1]
    assert caught.value.conversation.items == conversation.items
    assert caught.value.partial.output[-1].name == "count"
    assert conversation.resume().output_text == "done"
    assert counter.runs == [0, 1, 2, 3]


def test_new_message_may_follow_the_limit(conversation: Any, sim: Simulator, counter: Counter) -> None:
    sim.script(Turn.call("count", {"x": 1}), Turn.text("stopped"))
    with pytest.raises(MaxTurnsError):
        conversation.run("Count.", tools=[counter.count], max_turns=1)
    assert conversation.send("Stop.").output_text == "stopped"


def test_repeated_call_is_not_run_again(conversation: Any, sim: Simulator, counter: Counter) -> None:
    sim.script(*[Turn.call("count", {"x": 1})] * 3, Turn.text("done"))
    with pytest.raises(RepeatedCallError, match="called count 3 times in a row"):
        conversation.run("Count.", tools=[counter.count], max_repeats=3)
    assert counter.runs == [1, 1]
    assert outputs(conversation)[-1] == "[not run: the same call was made 3 times in a row]"
    assert conversation.resume().output_text == "done"


def test_required_tool_applies_to_the_first_request(conversation: Any, bodies: Any) -> None:
    response = conversation.run("Add.", tools=[add], tool_choice="required")
    assert "add returned" in response.output_text
    assert [body.get("tool_choice") for body in bodies()] == ["required", "auto"]


# --- tools of the conversation ---------------------------------------------------------------------------------------


def test_tools_of_the_backend_are_kept(client: Any, bodies: Any, sim: Simulator) -> None:
    sim.script(Turn.text("a"), Turn.text("b"), Turn.text("c"))
    search = {"type": "web_search"}
    conversation = client.codex.conversation(tools=[search, {"type": "function", "name": "other"}])
    conversation.run("Go.", tools=[add])
    conversation.run("Go.", tools=[fail, search])
    conversation.run("Go.")
    names = [[each.get("name", each["type"]) for each in body["tools"]] for body in bodies()]
    assert names == [["web_search", "add"], ["fail", "web_search"], ["fail", "web_search"]]


def test_run_without_functions_for_the_tools_is_refused(client: Any, sim: Simulator) -> None:
    conversation = client.codex.conversation(tools=[{"type": "function", "name": "other"}])
    with pytest.raises(ConversationError, match=r"has no functions for them\. Pass tools="):
        conversation.run("Go.")
    assert [each["name"] for each in conversation.tools] == ["other"]
    sim.script(Turn.text("done"))
    assert client.codex.conversation().run("Go.").output_text == "done"  # without tools, it is a plain call


def test_tool_set_and_decorated_tools_are_accepted(conversation: Any, sim: Simulator, bodies: Any) -> None:
    sim.script(Turn.call("plus", {"x": 1, "y": 1}), Turn.text("done"))
    conversation.run("Go.", tools=ToolSet([tool(name="plus")(add), {"type": "web_search"}]))
    assert outputs(conversation) == ["2"]
    assert len(bodies()[0]["tools"]) == 2


WRONG: list[tuple[dict[str, Any], Any, str]] = [
    ({"tools": [add, add]}, ToolDefinitionError, "Two tools have the name 'add'"),
    ({"tools": [add], "max_turns": 0}, ValueError, "max_turns is 0"),
    ({"tools": [add], "on_error": "x"}, ValueError, "on_error is 'x'"),
    ({"tools": [add], "max_turn": 3}, TypeError, r"`max_turn` is not a parameter .* Did you mean `max_turns`\?"),
    ({"tools": [add], "on_calls": None}, TypeError, r"Did you mean `on_call`\?"),
    ({"tools": [add], "zzz": 3}, TypeError, r"`zzz` is not a parameter .* Remove it"),
    ({"tools": add}, ToolDefinitionError, r"Pass a list, such as tools=\[function\]"),
    ({"decisions": ["c1"]}, TypeError, r"decisions are \['c1'\], which is not a dict\. Pass them by call_id"),
    ({"decisions": True}, TypeError, "decisions are True, which is not a dict"),
    ({"decisions": {"c1": "deny"}}, TypeError, "decision on the call 'c1' is 'deny'"),
    ({"tools": [add], "model": "m"}, TypeError, "`model` cannot be a parameter"),
    ({"decisions": {"c1": True}}, ValueError, r"no open call 'c1'\. Open calls: none"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG)
def test_wrong_argument_is_refused_before_sending(
    conversation: Any, sim: Simulator, arguments: dict[str, Any], error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        conversation.run_stream("Go.", **arguments)
    assert sim.requests == []
    assert conversation.items == ()


# --- approval --------------------------------------------------------------------------------------------------------


def test_hook_decides_on_each_call(conversation: Any, sim: Simulator, counter: Counter) -> None:
    asked: list[Any] = []

    def ask(call: Any) -> Any:
        asked.append((call.name, call.arguments, call.kwargs))
        return Deny("even numbers are forbidden") if call.kwargs["x"] % 2 == 0 else Allow()

    sim.script(Turn.calls([("count", {"x": 1}), ("count", {"x": 2})]), Turn.text("done"))
    conversation.run("Count.", tools=[counter.count], on_call=ask)
    assert asked == [("count", {"x": 1}, {"x": 1}), ("count", {"x": 2}, {"x": 2})]
    assert counter.runs == [1]
    assert outputs(conversation) == ["counted 1", "The call was denied: even numbers are forbidden"]


def test_late_decision_denies(conversation: Any, sim: Simulator, counter: Counter) -> None:
    release = threading.Event()
    sim.script(Turn.call("count", {"x": 1}), Turn.text("done"))
    conversation.run("Count.", tools=[counter.count], on_call=lambda _: release.wait(30), on_call_timeout=0.1)
    release.set()
    assert (counter.runs, len(outputs(conversation))) == ([], 1)
    assert "no decision within 0.1 s" in outputs(conversation)[0]


def pause_second(call: Any) -> Any:
    return Pause() if call.kwargs["x"] == 2 else Allow() if call.kwargs["x"] == 1 else Deny("no")


def pause(conversation: Any, sim: Simulator, counter: Counter) -> str:
    """Start a run whose second of three calls is paused, and return its ID."""
    sim.script(Turn.calls([("count", {"x": 1}), ("count", {"x": 2}), ("count", {"x": 3})]), Turn.text("done"))
    with pytest.raises(RunPausedError, match="paused the run before the calls of count") as caught:
        conversation.run("Count.", tools=[counter.count], on_call=pause_second)
    assert counter.runs == []
    assert len(conversation.pending_calls) == 3
    (waiting,) = caught.value.calls
    assert waiting == {"call_id": waiting["call_id"], "name": "count", "arguments": {"x": 2}}
    return str(waiting["call_id"])


DECISIONS = [
    (Allow(), [1, 2], ["counted 1", "counted 2", "The call was denied: no"]),
    (True, [1, 2], ["counted 1", "counted 2", "The call was denied: no"]),
    (Deny("never"), [1], ["counted 1", "The call was denied: never", "The call was denied: no"]),
]


@pytest.mark.parametrize(("decision", "runs", "results"), DECISIONS)
def test_paused_run_is_resumed_with_a_decision(
    conversation: Any, sim: Simulator, counter: Counter, decision: Any, runs: list[int], results: list[str]
) -> None:
    call_id = pause(conversation, sim, counter)
    assert conversation.resume({call_id: decision}).output_text == "done"
    assert sorted(counter.runs) == runs  # of the other calls, the decisions of the hook are kept
    assert outputs(conversation) == results


def test_paused_call_without_a_decision_stays_paused(conversation: Any, sim: Simulator, counter: Counter) -> None:
    call_id = pause(conversation, sim, counter)
    with pytest.raises(RunPausedError) as caught:
        conversation.resume()
    assert [call["call_id"] for call in caught.value.calls] == [call_id]
    assert counter.runs == []
    conversation.resume(on_call=lambda call: call.call_id == call_id)  # the hook is asked about this call only
    assert sorted(counter.runs) == [1, 2]


def test_open_calls_exclude_a_new_message(conversation: Any, sim: Simulator, counter: Counter) -> None:
    call_id = pause(conversation, sim, counter)
    with pytest.raises(ConversationError, match=r"calls without an output \(count\)\. Call conversation\.resume\(\)"):
        conversation.run("Something else.")
    with pytest.raises(ValueError, match=f"no open call 'other'. Open calls: .*{call_id}"):
        conversation.resume({"other": Allow()})
    conversation.repair()
    assert conversation.run("Something else.").output_text == "done"
    assert counter.runs == []


def test_failing_hook_leaves_the_calls_open(conversation: Any, sim: Simulator, counter: Counter) -> None:
    def ask(call: Any) -> Any:
        raise LookupError("no policy")

    sim.script(Turn.call("count", {"x": 1}), Turn.text("done"))
    with pytest.raises(LookupError):
        conversation.run("Count.", tools=[counter.count], on_call=ask)
    assert conversation.resume(on_call=lambda _: True).output_text == "done"
    assert counter.runs == [1]


def test_open_calls_need_tools(client: Any, sim: Simulator) -> None:
    conversation = client.codex.conversation(tools=[{"type": "function", "name": "count"}])
    sim.script(Turn.call("count", {"x": 1}))
    conversation.send("Count.")
    with pytest.raises(ConversationError, match="Pass tools= to run them"):
        conversation.resume()


# --- after an interruption -------------------------------------------------------------------------------------------


def open_call(call_id: str, x: int) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "count", "arguments": f'{{"x": {x}}}'}


def interrupted(conversation: Any, *, finished: str | None = None) -> None:
    """The records of a process that was killed while the first of two calls was running."""
    target = getattr(conversation, "_target", conversation)
    for item in ({"type": "message", "role": "user", "content": "Go."}, open_call("c1", 1), open_call("c2", 2)):
        target._state.apply({"type": "item", "item": item})
    target._state.apply({"type": "call_started", "call_id": "c1", "name": "count"})
    if finished is not None:
        output = {"type": "function_call_output", "call_id": finished, "output": "recorded"}
        target._state.apply({"type": "call_finished", "call_id": finished, "item": output})


def test_started_call_is_not_repeated_by_itself(conversation: Any, counter: Counter) -> None:
    interrupted(conversation)
    response = conversation.resume(tools=[counter.count])
    assert counter.runs == [2]
    assert outputs(conversation) == [MAY_HAVE_RUN, "counted 2"]
    assert "may have run" in response.output_text


def test_started_call_is_repeated_on_demand(conversation: Any, counter: Counter) -> None:
    interrupted(conversation)
    conversation.resume({"c1": Allow()}, tools=[counter.count])
    assert sorted(counter.runs) == [1, 2]


def test_recorded_result_is_used_by_resume(conversation: Any, counter: Counter) -> None:
    interrupted(conversation, finished="c2")
    assert [call["call_id"] for call in conversation.pending_calls] == ["c1"]
    with pytest.raises(ValueError, match=r"no open call 'c2'\. Open calls: c1"):
        conversation.resume({"c2": Allow()}, tools=[counter.count])
    conversation.resume(tools=[counter.count])
    assert counter.runs == []
    assert outputs(conversation) == [MAY_HAVE_RUN, "recorded"]


NEW_MESSAGES = [
    (None, [MAY_HAVE_RUN, NOT_RUN]),
    ("c2", [MAY_HAVE_RUN, "recorded"]),
    ("c1", ["recorded", NOT_RUN]),
]


@pytest.mark.parametrize("method", ["send", "run"])
@pytest.mark.parametrize(("finished", "expected"), NEW_MESSAGES)
def test_new_message_reports_interrupted_calls(
    conversation: Any, sim: Simulator, counter: Counter, method: str, finished: str | None, expected: list[str]
) -> None:
    interrupted(conversation, finished=finished)
    sim.script(Turn.text("done"))
    options: dict[str, Any] = {"tools": [counter.count]} if method == "run" else {}
    assert getattr(conversation, method)("Something else.", **options).output_text == "done"
    assert (outputs(conversation), counter.runs) == (expected, [])
    assert types(conversation)[-4:] == ["function_call_output", "function_call_output", "message", "message"]


def test_failed_message_leaves_interrupted_calls_open(conversation: Any, sim: Simulator, counter: Counter) -> None:
    interrupted(conversation, finished="c2")
    sim.script(Turn.error(400, {"error": {"message": "bad"}}), Turn.text("done"))
    with pytest.raises(openai.BadRequestError):
        conversation.send("Something else.")
    assert outputs(conversation) == []
    conversation.resume({"c1": Allow()}, tools=[counter.count])
    assert outputs(conversation) == ["counted 1", "recorded"]


def test_repair_uses_recorded_results(conversation: Any) -> None:
    interrupted(conversation, finished="c2")
    conversation.repair()
    assert outputs(conversation) == [MAY_HAVE_RUN, "recorded"]
    assert conversation.pending_calls == []


def test_output_of_the_caller_answers_an_interrupted_call(conversation: Any, sim: Simulator) -> None:
    interrupted(conversation)
    sim.script(Turn.text("done"))
    conversation.send([{"type": "function_call_output", "call_id": "c1", "output": "mine"}])
    assert outputs(conversation) == [NOT_RUN, "mine"]


def test_earlier_decision_does_not_repeat_a_started_call(conversation: Any, counter: Counter) -> None:
    interrupted(conversation)
    target = getattr(conversation, "_target", conversation)
    target._state.apply({"type": "call_decided", "call_id": "c1", "decision": "allow"})
    conversation.resume(tools=[counter.count])
    assert counter.runs == [2]


def test_unknown_decision_of_a_newer_version_pauses(conversation: Any, counter: Counter) -> None:
    interrupted(conversation)
    target = getattr(conversation, "_target", conversation)
    target._state.apply({"type": "call_decided", "call_id": "c2", "decision": "postpone"})
    with pytest.raises(RunPausedError):
        conversation.resume(tools=[counter.count])
    assert counter.runs == []


def test_started_calls_are_recorded_before_they_run(conversation: Any, sim: Simulator) -> None:
    target = getattr(conversation, "_target", conversation)
    seen: list[Any] = []

    def look() -> None:
        seen.append(target.started_calls)

    sim.script(Turn.call("look", {}, call_id="c1"), Turn.text("done"))
    conversation.run("Look.", tools=[look])
    assert seen == [{"c1"}]


def test_failed_request_can_be_resumed(conversation: Any, sim: Simulator, counter: Counter) -> None:
    sim.script(Turn.call("count", {"x": 1}), Turn.failed("server_error"), Turn.text("done"))
    with pytest.raises(openai.APIError):
        conversation.run("Count.", tools=[counter.count])
    assert conversation.resume().output_text == "done"
    assert counter.runs == [1]


def finish(conversation: Any, sim: Simulator, counter: Counter) -> Any:
    sim.script(Turn.text("hello"), Turn.call("count", {"x": 1}), Turn.text("done"), Turn.text("more"))
    conversation.send("Hello.")
    return conversation.run("Count.", tools=[counter.count])


def test_complete_run_is_not_sent_again(conversation: Any, sim: Simulator, counter: Counter) -> None:
    final = finish(conversation, sim, counter)
    requests = len(sim.model_requests)
    resumed = conversation.resume()
    assert (resumed.id, resumed.output_text, resumed.status) == (final.id, "done", "completed")
    assert (resumed.model, resumed.usage.total_tokens) == (final.model, final.usage.total_tokens)
    assert [item.type for item in resumed.output] == [item.type for item in final.output]
    assert (len(sim.model_requests), counter.runs) == (requests, [1])


def test_message_after_a_complete_run_is_sent(conversation: Any, sim: Simulator, counter: Counter) -> None:
    finish(conversation, sim, counter)
    conversation.append("More.")
    assert conversation.resume().output_text == "more"


def test_empty_conversation_cannot_be_resumed(conversation: Any, sim: Simulator) -> None:
    with pytest.raises(ConversationError, match=r"nothing to resume: the history is empty\. Call conversation\.run"):
        conversation.resume(tools=[add])
    assert sim.model_requests == []


def test_calls_of_an_incomplete_response_are_not_run(conversation: Any, sim: Simulator, counter: Counter) -> None:
    call = {"id": "fc_1", "status": "completed", **open_call("c1", 1)}
    final = {**CREATED, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    sim.script(
        Turn.events(
            [
                {"type": "response.created", "response": CREATED},
                {"type": "response.output_item.added", "output_index": 0, "item": call},
                {"type": "response.output_item.done", "output_index": 0, "item": call},
                {"type": "response.incomplete", "response": final},
            ]
        ),
        Turn.text("done"),
    )
    assert conversation.run("Count.", tools=[counter.count]).status == "incomplete"
    assert counter.runs == []
    assert conversation.send("Go on.").output_text == "done"


def test_fork_continues_with_the_same_tools(conversation: Any, sim: Simulator, counter: Counter) -> None:
    pause(conversation, sim, counter)
    fork = conversation.fork()
    assert fork.resume(on_call=lambda _: True).output_text == "done"
    assert sorted(counter.runs) == [1, 2]
    assert len(conversation.pending_calls) == 3


# --- streams ---------------------------------------------------------------------------------------------------------


def test_stream_has_the_events_of_the_whole_run(sim: Simulator) -> None:
    sim.script(Turn.call("add", {"x": 1, "y": 2}, call_id="c1"), Turn.text("one two"))
    with sim.client() as client:
        conversation = client.codex.conversation()
        with conversation.run_stream("Add.", tools=[add]) as stream:
            events: list[Any] = list(stream)
        assert stream.response.output_text == "one two"
    check_events(events)


def check_events(events: list[Any]) -> None:
    kinds = [event.type for event in events]
    assert kinds.count("response.created") == kinds.count("response.completed") == 2
    started = events[kinds.index("tool_call.started")]
    finished = events[kinds.index("tool_call.finished")]
    assert kinds.index("response.completed") < kinds.index("tool_call.started") < kinds.index("tool_call.finished")
    assert (started.call.name, started.call.call_id) == ("add", "c1")
    assert (finished.result, finished.error, finished.item["output"]) == (3, None, "3")
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "one two"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_stream_has_the_events_of_the_whole_run(backend: str, sim: Simulator) -> None:
    async def aadd(x: int, y: int) -> int:
        await anyio.lowlevel.checkpoint()
        return x + y

    async def main() -> list[Any]:
        async with sim.async_client() as client:
            conversation = client.codex.conversation()
            async with conversation.run_stream("Add.", tools=[tool(name="add")(aadd)]) as stream:
                events = [event async for event in stream]
            assert stream.response.output_text == "one two"
            return events

    sim.script(Turn.call("add", {"x": 1, "y": 2}, call_id="c1"), Turn.text("one two"))
    check_events(anyio.run(main, backend=backend))


def test_async_stream_needs_its_context(sim: Simulator) -> None:
    async def main() -> None:
        async with sim.async_client() as client:
            stream = client.codex.conversation().run_stream("Add.", tools=[add])
            with pytest.raises(ConversationError, match="async with"):
                await stream.until_done()

    anyio.run(main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_errors_of_an_async_run_are_not_grouped(backend: str, sim: Simulator) -> None:
    async def main() -> None:
        async with sim.async_client() as client:
            conversation = client.codex.conversation()
            with pytest.raises(RunStoppedError) as caught:
                await conversation.run("Add.", tools=[add], max_turns=1)
            assert caught.value.conversation is conversation
            sim.script(Turn.call("fail", {"x": 1}))
            with pytest.raises(ValueError, match="bad 1"):
                await conversation.run("Fail.", tools=[fail], on_error="raise")

    sim.script(Turn.call("add", {"x": 1, "y": 2}))
    anyio.run(main, backend=backend)


def test_left_stream_keeps_what_was_done(sim: Simulator, counter: Counter) -> None:
    sim.script(Turn.calls([("count", {"x": 1}), ("count", {"x": 2})]), Turn.text("done"))
    with sim.client() as client:
        conversation = client.codex.conversation()
        with conversation.run_stream("Count.", tools=[counter.count], parallel=False) as stream:
            for event in stream:
                if event.type == "tool_call.finished":
                    break
        assert counter.runs == [1]
        assert outputs(conversation) == ["counted 1"]
        assert conversation.resume().output_text == "done"
        assert outputs(conversation) == ["counted 1", "counted 2"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelled_run_keeps_what_was_done(backend: str, sim: Simulator) -> None:
    async def main() -> list[Any]:
        async with sim.async_client() as client:
            conversation = client.codex.conversation()
            with anyio.CancelScope() as scope:

                async def hang() -> None:
                    scope.cancel()
                    await anyio.sleep(30)

                await conversation.run("Hang.", tools=[hang])
            assert scope.cancelled_caught
            assert (await conversation.send("Say hello")).output_text == "hello"
            return outputs(conversation)

    sim.script(Turn.call("hang", {}), Turn.text("hello"))
    assert anyio.run(main, backend=backend) == [MAY_HAVE_RUN]


def test_sync_run_refuses_coroutine_functions(sim: Simulator) -> None:
    async def fetch() -> None: ...

    with sim.client() as client, pytest.raises(ToolDefinitionError, match="AsyncOpenAI"):
        client.codex.conversation().run("Go.", tools=[fetch])
    assert sim.requests == []


def test_stopped_run_can_be_pickled(sim: Simulator) -> None:
    import pickle

    sim.script(Turn.call("add", {"x": 1, "y": 2}))
    with sim.client() as client:
        with pytest.raises(MaxTurnsError) as caught:
            client.codex.conversation().run("Go.", tools=[add], max_turns=1)
        copied = pickle.loads(pickle.dumps(caught.value))
    assert (str(copied), copied.conversation) == (str(caught.value), None)
