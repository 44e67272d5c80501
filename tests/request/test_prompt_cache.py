"""The prompt cache key: what it depends on, what it costs, and on which requests it is sent."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk._request.compression import Compression
from codex_backend_sdk._request.prompt_cache import TURN_STATE_HEADER, TurnState, cache_headers, cache_seed, derive_key
from codex_backend_sdk._request.request_body import PreparedInput, RequestBody
from codex_backend_sdk._websocket.incremental import create_message
from codex_backend_sdk.testing import Turn
from codex_backend_sdk.types import Login, Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

    Bodies = Callable[[], list[dict[str, Any]]]


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def developer(text: str) -> dict[str, Any]:
    return {**user(text), "role": "developer"}


def seed(*items: Any, model: str = "m", instructions: Any = "i") -> bytes:
    return cache_seed({"model": model, "instructions": instructions, "input": list(items)})


# --- the hash --------------------------------------------------------------------------------------------------------

LONG_IMAGE = {
    "role": "user",
    "content": [{"type": "input_image", "image_url": "data:image/png;base64," + "A" * 50_000}],
}
OTHER_IMAGE = {
    "role": "user",
    "content": [{"type": "input_image", "image_url": "data:image/png;base64," + "A" * 50_001}],
}
ANSWER = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]}

# Two inputs whose calls belong to one conversation.
SAME = {
    "later turn": ((user("a"),), (user("a"), ANSWER, user("c"))),
    "later turn after developer messages": ((developer("d"), user("a")), (developer("d"), user("a"), ANSWER)),
    "order of members": ((user("a"),), (dict(reversed(user("a").items())),)),
    "ids, status and nulls": ((user("a"),), ({**user("a"), "id": "msg_1", "status": "completed", "phase": None},)),
    "middle of a long text": ((user("x" * 9000 + "a" + "x" * 9000),), (user("x" * 9000 + "b" + "x" * 9000),)),
}
DIFFERENT = {
    "first message": ((user("a"),), (user("b"),)),
    "developer message": ((developer("a"), user("c")), (developer("b"), user("c"))),
    "message after a developer message": ((developer("d"), user("a")), (developer("d"), user("b"))),
    "role": ((user("a"),), (ANSWER,)),
    "split of texts": ((user("ab"), ), ({**user("a"), "content": [*user("a")["content"], *user("b")["content"]]},)),
    "size of an image": ((LONG_IMAGE,), (OTHER_IMAGE,)),
    "end of a long text": ((user("x" * 9000 + "a"),), (user("x" * 9000 + "b"),)),
    "numbers": (({"type": "x", "n": 1},), ({"type": "x", "n": 11},)),
    "missing input": ((), (user("a"),)),
    "strings of a wrong type": (("a",), ("b",)),
}  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_seed_is_the_same_within_a_conversation(one: Any, other: Any) -> None:
    assert seed(*one) == seed(*other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_seed_differs_between_conversations(one: Any, other: Any) -> None:
    assert seed(*one) != seed(*other)


def test_seed_depends_on_model_and_instructions() -> None:
    seeds = {seed(user("a")), seed(user("a"), model="n"), seed(user("a"), instructions="j")}
    seeds.add(seed(user("a"), instructions=None))
    assert len(seeds) == 4
    assert cache_seed({"model": "m"}) == cache_seed({"model": "m", "input": "not a list"})


def test_seed_depends_on_the_names_of_tools() -> None:
    def seed_of(*tools: Any) -> bytes:
        return cache_seed({"model": "m", "instructions": "i", "input": [user("a")], "tools": list(tools)})

    add, search = {"type": "function", "name": "add"}, {"type": "web_search"}
    assert len({seed_of(), seed_of(add), seed_of(search), seed_of(add, search), seed_of(search, add)}) == 5
    assert seed_of() == seed(user("a"))
    assert seed_of(add) == seed_of({**add, "parameters": {"type": "object"}})
    assert seed_of({**add, "description": "at 12:00"}) == seed_of({**add, "description": "at 12:01", "strict": True})
    assert seed_of("no tool") == seed_of()


def test_seed_accepts_lone_surrogates() -> None:
    assert seed(user("\ud800")) != seed(user("\ud801"))  # encoding the body reports them


def test_seed_reads_a_bounded_part_of_the_input() -> None:
    parts = [{"type": "input_image", "image_url": "data:" + "A" * 1_000_000}] * 20
    history = [{"role": "user", "content": parts}, *map(user, map(str, range(50_000)))]
    many_developers = [developer("x" * 10_000)] * 10_000
    begin = time.process_time()
    for _ in range(10):
        seed(*history)
        seed(*many_developers)
    # 20 MB, 50,000 items and 100 MB take half a second or more if they are read.
    assert (time.process_time() - begin) / 10 < 0.1


# --- the key ---------------------------------------------------------------------------------------------------------


def login(**changes: Any) -> Login:
    return Login(**{"access_token": Secret("token"), "account_id": "acc", "user_id": "user-1", **changes})


def test_key_has_the_form_of_a_uuid() -> None:
    import uuid

    key = derive_key(seed(user("a")), login())
    assert str(uuid.UUID(key)) == key
    assert uuid.UUID(key).variant == uuid.RFC_4122
    assert len(key) <= 64


@pytest.mark.parametrize("change", [{"access_token": Secret("new")}, {"plan": "pro"}, {"email": "e"}])
def test_key_survives_a_refresh(change: dict[str, Any]) -> None:
    assert derive_key(b"seed", login()) == derive_key(b"seed", login(**change))


@pytest.mark.parametrize(
    "change", [{"user_id": "user-2"}, {"account_id": "other"}, {"account_id": None}, {"user_id": None}]
)
def test_key_depends_on_user_and_account(change: dict[str, Any]) -> None:
    assert derive_key(b"seed", login()) != derive_key(b"seed", login(**change))


def test_key_without_a_user_id_is_keyed_with_the_token() -> None:
    keys = {derive_key(b"seed", login(user_id=None, access_token=Secret(token))) for token in ("a", "b")}
    assert len(keys) == 2


# --- headers and the turn --------------------------------------------------------------------------------------------

HEADERS = [
    (None, {}),
    ("", {}),
    (5, {}),
    ("k", {"session-id": "k"}),
    ("two words", {"session-id": "two words"}),
    (" k", {}),
    ("k\n", {}),
    ("ключ", {}),
]


@pytest.mark.parametrize(("key", "expected"), HEADERS)
def test_session_id_is_a_valid_header(key: Any, expected: dict[str, str]) -> None:
    assert cache_headers(key) == expected


def test_thread_id_and_turn_state_are_sent_within_a_turn() -> None:
    turn = TurnState()
    assert cache_headers("k", turn) == {"session-id": "k", "thread-id": "k"}
    assert cache_headers(None, turn) == {}
    turn.record_headers({TURN_STATE_HEADER: "opaque"})
    turn.record_headers({TURN_STATE_HEADER: "later"})
    assert cache_headers("k", turn) == {"session-id": "k", "thread-id": "k", TURN_STATE_HEADER: "opaque"}
    assert cache_headers(None, turn) == {TURN_STATE_HEADER: "opaque"}


EVENTS = [
    ({"type": "response.metadata", "headers": {TURN_STATE_HEADER: "opaque"}}, "opaque"),
    ({"type": "codex.response.metadata", "headers": {TURN_STATE_HEADER: "opaque"}}, None),
    ({"type": "response.metadata", "headers": None}, None),
    ({"type": "response.metadata"}, None),
    ({"type": "response.metadata", "headers": {TURN_STATE_HEADER: 5}}, None),
    ({"type": "response.metadata", "headers": {TURN_STATE_HEADER: "a\nb"}}, None),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS)
def test_turn_state_is_read_from_its_event(event: dict[str, Any], expected: str | None) -> None:
    turn = TurnState()
    turn.record_event(event)
    assert turn.value == expected


# --- calls -----------------------------------------------------------------------------------------------------------


def sent_keys(sim: Simulator) -> list[tuple[Any, Any]]:
    requests = [request for request in sim.requests if request.path.endswith("/responses")]
    return [(request.json().get("prompt_cache_key"), request.headers.get("session-id")) for request in requests]


def test_calls_of_a_conversation_share_a_key(new_client: Any, sim: Simulator) -> None:
    client = new_client()
    first = client.responses.create(input="hi")  # before the login is loaded
    history = [{"role": "user", "content": "hi"}, *first.output, {"role": "user", "content": "more"}]
    client.responses.create(input=history)
    client.responses.create(input=(item for item in history), stream=False)
    new_client().responses.create(input=history)
    client.responses.compact(input=history)
    keys = sent_keys(sim)
    assert len(keys) == 5
    assert len(set(keys)) == 1
    key, session_id = keys[0]
    assert key == session_id
    assert len(key) == 36
    assert sim.requests[-1].headers.get("thread-id") is None


def test_other_conversation_has_another_key(client: Any, sim: Simulator) -> None:
    client.responses.create(input="hi")
    client.responses.create(input="hello")
    client.responses.create(input="hi", instructions="Rhyme.")
    client.responses.create(input="hi", model="gpt-5.5")
    assert len(set(sent_keys(sim))) == 4


@pytest.mark.parametrize("method", ["create", "parse", "stream", "compact"])
def test_every_method_sends_a_key(client: Any, sim: Simulator, method: str) -> None:
    result = getattr(client.responses, method)(input="hi")
    if method == "stream":
        with result as stream:
            stream.until_done()
    ((key, session_id),) = sent_keys(sim)
    assert key == session_id is not None


def test_key_of_the_caller_is_sent_unchanged(client: Any, sim: Simulator) -> None:
    client.responses.create(input="hi", prompt_cache_key="mine")
    client.responses.create(input="hi", extra_body={"prompt_cache_key": "in body"})
    client.responses.create(input="hi", extra_headers={"Session-Id": "header"})
    assert sent_keys(sim)[:2] == [("mine", "mine"), ("in body", "in body")]
    assert sent_keys(sim)[2] == ("header", "header")


def test_derived_key_can_be_turned_off(new_client: Any, sim: Simulator) -> None:
    client = new_client(prompt_cache=False)
    client.responses.create(input="hi")
    client.responses.create(input="hi", prompt_cache_key="mine")
    client.with_options(prompt_cache=True).responses.create(input="hi")
    client.with_options(timeout=5).responses.create(input="hi")
    keys = sent_keys(sim)
    assert keys[:2] == [(None, None), ("mine", "mine")]
    assert keys[2][0] == keys[2][1] is not None
    assert keys[3] == (None, None)


def test_retry_sends_the_same_key(new_client: Any, sim: Simulator) -> None:
    sim.fail("overloaded")
    new_client(max_retries=1).responses.create(input="hi")
    keys = sent_keys(sim)
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_explanation_shows_the_derived_key(client: Any, sim: Simulator) -> None:
    client.models.list()
    explanation = client.codex.explain(input="hi")
    client.responses.create(input="hi")
    key, _ = sent_keys(sim)[-1]
    assert explanation.prepared_request.body["prompt_cache_key"] == key
    assert explanation.prepared_request.headers["session-id"] == key
    assert any("adds a `prompt_cache_key`" in finding.what for finding in explanation.findings)
    explanation = client.codex.explain(input="hi", prompt_cache_key="mine")
    assert explanation.prepared_request.headers["session-id"] == "mine"
    assert not any("prompt_cache_key" in finding.what for finding in explanation.findings)


# --- a turn over HTTP ------------------------------------------------------------------------------------------------


def events(text: str) -> bytes:
    completed = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}}
    item = {**ANSWER, "id": "msg_1", "content": [{"type": "output_text", "text": text, "annotations": []}]}
    metadata = {"type": "response.metadata", "headers": {TURN_STATE_HEADER: "from an event"}}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (metadata, done, completed))


def with_turn_state(value: str) -> Turn:
    return Turn.raw(200, {"content-type": "text/event-stream", TURN_STATE_HEADER: value}, events("hello"))


@pytest.mark.parametrize("stream", [False, True])
def test_turn_state_is_sent_back_within_the_turn(new_client: Any, sim: Simulator, stream: bool) -> None:
    client = new_client(transport="http")
    without_state = Turn.raw(200, {"content-type": "text/event-stream"}, events("hello"))
    sim.script(without_state, with_turn_state("opaque"), with_turn_state("other"), with_turn_state("next"))
    turn, next_turn = TurnState(), TurnState()
    for number, current in enumerate((turn, turn, turn, next_turn, None)):
        prepared = PreparedInput([user("hi")], history="h", generation=0, turn=current)
        result = client.responses.create(input=prepared, prompt_cache_key=f"key-{number}", stream=stream)
        if stream:
            list(result)
    sent = [(request.headers.get("thread-id"), request.headers.get(TURN_STATE_HEADER)) for request in sim.requests[-5:]]
    assert sent == [("key-0", None), ("key-1", None), ("key-2", "opaque"), ("key-3", None), (None, None)]
    assert (turn.value, next_turn.value) == ("opaque", "next")


def test_turn_of_a_derived_key_has_a_thread_id(new_client: Any, sim: Simulator) -> None:
    client = new_client(transport="http")
    for _ in range(2):  # before and after the login is loaded
        client.responses.create(input=PreparedInput([user("hi")], history="h", generation=0, turn=TurnState()))
    threads = {(request.headers["thread-id"], request.headers["session-id"]) for request in sim.requests[-2:]}
    assert len(threads) == 1
    assert len(set(threads.pop())) == 1


def test_retry_within_a_turn_keeps_its_headers(new_client: Any, sim: Simulator) -> None:
    turn = TurnState()
    turn.record_headers({TURN_STATE_HEADER: "opaque"})
    sim.fail("overloaded")
    prepared = PreparedInput([user("hi")], history="h", generation=0, turn=turn)
    new_client(max_retries=1, transport="http").responses.create(input=prepared)
    assert [request.headers[TURN_STATE_HEADER] for request in sim.requests[-2:]] == ["opaque"] * 2


@pytest.mark.parametrize("own", [{}, {"client_metadata": {"a": "b"}}, {"client_metadata": None}])
def test_websocket_message_has_the_turn_state(own: dict[str, Any]) -> None:
    turn = TurnState()
    body = RequestBody({"model": "m", "input": [user("a")], **own}, Compression())
    assert json.loads(create_message(body, None, turn).text).get("client_metadata") == own.get("client_metadata")
    turn.record_event({"type": "response.metadata", "headers": {TURN_STATE_HEADER: "opaque"}})
    message = create_message(body, None, turn)
    expected = {**(own.get("client_metadata") or {}), TURN_STATE_HEADER: "opaque"}
    assert json.loads(message.text)["client_metadata"] == expected
    baseline = message.completed("resp_1", [])
    later = RequestBody({"model": "m", "input": [user("a"), user("b")]}, Compression())
    assert create_message(later, baseline, TurnState()).full_replay is None
