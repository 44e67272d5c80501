"""Test calls over the WebSocket, on real sockets: the messages that the client sends, and its reaction to failures."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from support.scripted_backend import OVER_HTTP, ScriptedServer, Session, reply, response_events

from codex_backend_sdk import OpenAI, StreamInterruptedError, UsageLimitError
from codex_backend_sdk._request.request_body import PreparedInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clocks import RecordingClock

Turn = "Callable[[Session], None]"


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def conversation(*items: Any) -> PreparedInput:
    """Return the input of a conversation, which uses the WebSocket with `transport="auto"`."""
    return PreparedInput(items or [user("hi")], history="h", generation=1)


def error_message(code: str, status: int = 400, **members: Any) -> dict[str, Any]:
    return {"type": "error", "status": status, "error": {"code": code, "message": "It failed.", **members}}


def send_error(*arguments: Any, **members: Any) -> Callable[[Session], None]:
    return lambda session: session.send(error_message(*arguments, **members))


def half_a_response(session: Session) -> None:
    session.send(*response_events("half", session.new_response_id())[:3])


def half_then(end: Callable[[Session], None]) -> Callable[[Session], None]:
    def turn(session: Session) -> None:
        half_a_response(session)
        end(session)

    return turn


def is_full(message: dict[str, Any]) -> bool:
    return "previous_response_id" not in message


# --- messages --------------------------------------------------------------------------------------------------


def test_second_turn_sends_only_its_new_items(client: Any, server: ScriptedServer) -> None:
    server.script(reply("one"), reply("two"), reply("three"))
    history: list[Any] = [user("a")]
    for text in ("one", "two", "three"):
        response = client.responses.create(input=history)
        assert response.output_text == text
        history += [*response.output, user(f"after {text}")]
    assert len(server.sessions) == 1
    assert [message.get("previous_response_id") for message in server.messages] == [None, "resp_1", "resp_2"]
    assert [message["input"] for message in server.messages] == [
        [user("a")],
        [user("after one")],
        [user("after two")],
    ]
    assert server.posts == []


def test_message_has_the_members_of_the_http_body(client: Any, server: ScriptedServer) -> None:
    client.responses.create(input="a", model="gpt-5.5", instructions="Be brief.", reasoning={"effort": "low"})
    client.with_options(transport="http").responses.create(
        input="a", model="gpt-5.5", instructions="Be brief.", reasoning={"effort": "low"}
    )
    assert server.messages == [{"type": "response.create", **server.posts[0]}]


def test_upgrade_request_has_the_headers_of_the_login(client: Any, server: ScriptedServer) -> None:
    client.with_options(transport="http").responses.create(input="a", prompt_cache_key="key")
    client.responses.create(input="a", prompt_cache_key="key")
    (upgrade,), (post,) = server.upgrades, server.post_headers
    assert upgrade["authorization"] == "Bearer the-access-token-0"
    assert upgrade["openai-beta"] == "responses_websockets=2026-02-06"
    for name in ("authorization", "chatgpt-account-id", "originator", "user-agent", "session-id"):
        assert upgrade[name] == post[name]
    assert upgrade.keys().isdisjoint({"content-type", "content-length", "accept-encoding", "cookie"})


@pytest.mark.parametrize(
    "changed", [{"instructions": "Be long."}, {"model": "gpt-5.4"}, {"reasoning": {"effort": "high"}}]
)
def test_changed_settings_send_the_whole_input(client: Any, server: ScriptedServer, changed: dict[str, Any]) -> None:
    options = {"model": "gpt-5.5", "instructions": "Be brief.", "reasoning": {"effort": "low"}, "prompt_cache_key": "k"}
    first = client.responses.create(input=[user("a")], **options)
    client.responses.create(input=[user("a"), *first.output, user("b")], **{**options, **changed})
    assert len(server.sessions) == 1
    assert is_full(server.messages[1])
    assert [item["type"] for item in server.messages[1]["input"]] == ["message"] * 3


def test_response_that_was_not_completed_is_not_continued(client: Any, server: ScriptedServer) -> None:
    def incomplete(session: Session) -> None:
        *events, last = response_events("half", session.new_response_id())
        response = {**last["response"], "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        session.send(*events, {"type": "response.incomplete", "response": response})

    server.script(incomplete)
    first = client.responses.create(input=[user("a")], prompt_cache_key="k")
    client.responses.create(input=[user("a"), *first.output, user("b")], prompt_cache_key="k")
    assert len(server.sessions) == 1
    assert is_full(server.messages[1])


@pytest.mark.parametrize("late", [-1, 2], ids=["terminal event", "delta"])
def test_late_event_is_not_part_of_the_next_response(client: Any, server: ScriptedServer, late: int) -> None:
    def begin_late(session: Session) -> None:
        session.send(response_events("one", "resp_1")[late])
        reply("two")(session)

    server.script(reply("one"), begin_late)
    first = client.responses.create(input=[user("a")], prompt_cache_key="k")
    second = client.responses.create(input=[user("a"), *first.output, user("b")], prompt_cache_key="k", stream=True)
    events = list(second)
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == ["two"]
    assert [event.response.id for event in events if event.type == "response.completed"] == ["resp_2"]
    assert len(server.sessions) == 1


def test_each_key_has_a_connection(client: Any, server: ScriptedServer) -> None:
    for key in ("a", "b", "a"):
        client.responses.create(input="hi", prompt_cache_key=key)
    assert [len(session.messages) for session in server.sessions] == [2, 1]


@pytest.mark.parametrize("name", ["X-Custom", "OpenAI-Beta"])
@pytest.mark.parametrize("is_of_the_client", [False, True])
def test_other_headers_open_another_connection(
    client: Any, server: ScriptedServer, name: str, is_of_the_client: bool
) -> None:
    """Only the upgrade request has headers, so those of a later call would be lost."""

    def call(value: str) -> None:
        if is_of_the_client:
            client.with_options(default_headers={name: value}).responses.create(input="a", prompt_cache_key="k")
        else:
            client.responses.create(input="a", prompt_cache_key="k", extra_headers={name: value})

    for value in ("one", "two", "one"):
        call(value)
    assert [len(session.messages) for session in server.sessions] == [2, 1]


def test_copies_share_connections(client: Any, server: ScriptedServer) -> None:
    for each in (client, client.with_options(max_retries=1), client.copy()):
        each.responses.create(input="hi", prompt_cache_key="k")
    assert len(server.sessions) == 1


def test_calls_at_once_have_connections_of_their_own(client: Any, server: ScriptedServer) -> None:
    first = iter(client.responses.create(input="a", prompt_cache_key="k", stream=True))
    next(first)
    second = client.responses.create(input="b", prompt_cache_key="k")
    assert second.output_text == "hello"
    assert [event.type for event in first][-1] == "response.completed"
    assert [len(session.messages) for session in server.sessions] == [1, 1]


@pytest.mark.parametrize(
    ("transport", "value", "is_over_http"),
    [
        ("auto", "hi", True),
        ("auto", conversation(), False),
        ("http", conversation(), True),
        ("websocket", "hi", False),
    ],
    ids=["auto", "auto, conversation", "http, conversation", "websocket"],
)
def test_transport_decides(
    new_client: Any, server: ScriptedServer, transport: str, value: Any, is_over_http: bool
) -> None:
    response = new_client(transport=transport).responses.create(input=value)
    assert response.output_text == (OVER_HTTP if is_over_http else "hello")
    assert (len(server.posts), len(server.messages)) == ((1, 0) if is_over_http else (0, 1))


# --- lost connections --------------------------------------------------------------------------------------------

ENDS: dict[str, Callable[[Session], None]] = {
    "close frame": lambda session: session.close(1001, "restart"),
    "end": Session.end,
    "reset": Session.abort,
    "damaged frame": lambda session: session.send_raw(b"\xff\xff\xff"),
    "binary message": lambda session: session.send_raw(b"\x82\x01x"),
}


@pytest.mark.parametrize("case", ENDS)
def test_closed_idle_connection_is_replaced(client: Any, server: ScriptedServer, case: str) -> None:
    """No error, no wait and no retry: the whole input is sent on another connection."""
    first = client.responses.create(input=[user("a")], prompt_cache_key="k")
    ENDS[case](server.sessions[0])
    response = client.responses.create(input=[user("a"), *first.output, user("b")], prompt_cache_key="k")
    assert response.output_text == "hello"
    assert is_full(server.sessions[1].messages[0])
    assert len(server.sessions[1].messages[0]["input"]) == 3


@pytest.mark.parametrize("case", ENDS)
def test_connection_lost_before_an_event_is_retried(
    client: Any, server: ScriptedServer, clock: RecordingClock, case: str
) -> None:
    server.script(ENDS[case])
    events = list(client.responses.create(input="a", stream=True))
    assert [event.type for event in events].count("response.created") == 1
    assert len(clock.waits) == 1
    assert len(server.sessions) == 2


@pytest.mark.parametrize("case", ENDS)
def test_connection_lost_in_the_response_is_an_error(
    client: Any, server: ScriptedServer, clock: RecordingClock, case: str
) -> None:
    server.script(half_then(ENDS[case]))
    stream = client.responses.create(input="a", stream=True)
    with pytest.raises(StreamInterruptedError) as caught:
        list(stream)
    assert caught.value.partial is not None
    assert caught.value.partial.output_text == "half"
    assert clock.waits == []
    assert client.responses.create(input="b").output_text == "hello"


@pytest.mark.parametrize("case", ENDS)
def test_interrupted_response_can_be_restarted(new_client: Any, server: ScriptedServer, case: str) -> None:
    server.script(half_then(ENDS[case]))
    stream = new_client(on_interrupt="restart").responses.create(input="a", stream=True)
    types = [event.type for event in stream]
    assert types.count("response.created") == 2
    assert types[-1] == "response.completed"
    assert stream.restarts == 1


@pytest.mark.parametrize("case", ENDS)
def test_create_is_retried_after_an_interruption(client: Any, server: ScriptedServer, case: str) -> None:
    server.script(half_then(ENDS[case]))
    assert client.responses.create(input="a").output_text == "hello"
    assert len(server.messages) == 2


CONNECTION_CODES = ["previous_response_not_found", "websocket_connection_limit_reached"]


@pytest.mark.parametrize("code", CONNECTION_CODES)
def test_rejected_connection_is_replaced(client: Any, server: ScriptedServer, clock: RecordingClock, code: str) -> None:
    """Exactly one response is delivered, without a wait."""
    first = client.responses.create(input=[user("a")], prompt_cache_key="k")
    server.script(send_error(code))
    value = [user("a"), *first.output, user("b")]
    events = list(client.responses.create(input=value, prompt_cache_key="k", stream=True))
    assert [event.type for event in events].count("response.created") == 1
    assert [is_full(message) for message in server.messages] == [True, False, True]
    assert [len(session.messages) for session in server.sessions] == [2, 1]
    assert clock.waits == []


@pytest.mark.parametrize("code", CONNECTION_CODES)
def test_other_connections_of_the_key_are_closed(client: Any, server: ScriptedServer, code: str) -> None:
    streams = [client.responses.create(input="a", prompt_cache_key="k", stream=True) for _ in range(3)]
    for stream in streams:
        list(stream)
    server.script(send_error(code))
    client.responses.create(input="a", prompt_cache_key="k")
    assert len(server.sessions) == 4
    for session in server.sessions[:3]:
        assert session.is_closed.wait(30)


@pytest.mark.parametrize("code", CONNECTION_CODES)
def test_connections_that_are_always_rejected_are_an_error(new_client: Any, server: ScriptedServer, code: str) -> None:
    server.script(*[send_error(code)] * 3)
    with pytest.raises(openai.APIConnectionError, match="rejected 3 WebSocket connections"):
        new_client(max_retries=0).responses.create(input="a")
    assert len(server.messages) == 3


@pytest.mark.parametrize("code", CONNECTION_CODES)
@pytest.mark.parametrize("is_one_write", [True, False])
def test_rejection_in_the_response_is_an_interruption(
    client: Any, server: ScriptedServer, code: str, is_one_write: bool
) -> None:
    is_delivered = threading.Event()

    def turn(session: Session) -> None:
        first, *rest = response_events("half", "resp_1")[:3]
        session.send(first)
        is_delivered.wait(30)
        events = [*rest, error_message(code)]
        for batch in [events] if is_one_write else [[event] for event in events]:
            session.send(*batch)

    server.script(turn)
    stream = iter(client.responses.create(input="a", stream=True))
    next(stream)
    is_delivered.set()
    with pytest.raises(StreamInterruptedError) as caught:
        list(stream)
    assert caught.value.partial is not None
    assert caught.value.partial.output_text == "half"


# --- refused upgrades --------------------------------------------------------------------------------------------


def texts(client: Any, count: int = 1) -> list[str]:
    return [client.responses.create(input=conversation()).output_text for _ in range(count)]


def test_upgrade_required_means_http_for_good(new_client: Any, server: ScriptedServer, clock: RecordingClock) -> None:
    server.refuse(426)
    client = new_client(transport="auto")
    for _ in range(3):
        assert texts(client, 2) == [OVER_HTTP, OVER_HTTP]
        clock.advance(1e9)
    assert texts(client.copy()) == [OVER_HTTP]
    assert len(server.upgrades) == 1


@pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 500, 503])
def test_refused_upgrade_means_http_for_a_while(
    new_client: Any, server: ScriptedServer, clock: RecordingClock, status: int
) -> None:
    """The pause is a minute, and twice as long after each further refusal."""
    server.refuse(status, times=2)
    client = new_client(transport="auto")
    assert texts(client) == [OVER_HTTP]
    clock.advance(59)
    assert texts(client) == [OVER_HTTP]
    assert len(server.upgrades) == 1
    clock.advance(1)
    assert texts(client, 2) == [OVER_HTTP, OVER_HTTP]
    assert len(server.upgrades) == 2
    clock.advance(119)
    assert texts(client) == [OVER_HTTP]
    clock.advance(1)
    assert texts(client) == ["hello"]
    assert len(server.upgrades) == 3
    assert len(server.posts) == 5
    assert clock.waits == []


INVALID_HANDSHAKES = {
    "unknown extension": {"Sec-WebSocket-Extensions": "x-unknown"},
    "invalid window": {"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=99"},
    "key of another request": {"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
    "no key": {"Sec-WebSocket-Accept": ""},
}


@pytest.mark.parametrize("case", INVALID_HANDSHAKES)
def test_invalid_handshake_means_http(new_client: Any, server: ScriptedServer, case: str) -> None:
    server.accept_headers = INVALID_HANDSHAKES[case]
    client = new_client(transport="auto")
    assert texts(client, 2) == [OVER_HTTP, OVER_HTTP]
    (session,) = server.sessions
    assert session.is_closed.wait(30)


@pytest.mark.parametrize("case", INVALID_HANDSHAKES)
def test_required_websocket_raises_for_an_invalid_handshake(new_client: Any, server: ScriptedServer, case: str) -> None:
    server.accept_headers = INVALID_HANDSHAKES[case]
    with pytest.raises(openai.APIConnectionError):
        new_client(max_retries=0).responses.create(input="a")


def test_two_lost_connections_mean_http_for_a_while(
    new_client: Any, server: ScriptedServer, clock: RecordingClock
) -> None:
    server.script(Session.abort, Session.abort)
    client = new_client(transport="auto")
    assert texts(client) == [OVER_HTTP]
    assert len(server.upgrades) == 2
    assert texts(client) == [OVER_HTTP]
    clock.advance(60)
    assert texts(client) == ["hello"]


def test_one_lost_connection_is_not_counted_after_a_success(new_client: Any, server: ScriptedServer) -> None:
    client = new_client(transport="auto")
    for _ in range(3):
        server.script(Session.abort, reply())
        assert texts(client) == ["hello"]


def test_refused_login_is_refreshed_once(new_client: Any, server: ScriptedServer, credentials: Any) -> None:
    server.refuse(401, {"detail": "Unauthorized"})
    assert texts(new_client(transport="auto")) == ["hello"]
    assert credentials.refreshes == 1
    assert [upgrade["authorization"][-1] for upgrade in server.upgrades] == ["0", "1"]


def test_login_refused_twice_is_an_error(new_client: Any, server: ScriptedServer, credentials: Any) -> None:
    server.refuse(401, {"detail": "Unauthorized"}, times=2)
    with pytest.raises(openai.AuthenticationError):
        texts(new_client(transport="auto"))
    assert credentials.refreshes == 1
    assert server.posts == []


USAGE_LIMIT = {
    "type": "usage_limit_reached",
    "message": "The usage limit has been reached",
    "plan_type": "plus",
    "resets_at": 1795330854,
}


@pytest.mark.parametrize("transport", ["auto", "websocket"])
def test_usage_limit_in_the_upgrade_is_raised(new_client: Any, server: ScriptedServer, transport: str) -> None:
    server.refuse(429, {"error": USAGE_LIMIT})
    with pytest.raises(UsageLimitError) as caught:
        texts(new_client(transport=transport))
    assert caught.value.resets_at is not None
    assert caught.value.resets_at.timestamp() == 1795330854
    assert server.posts == []


def test_usage_limit_as_a_message_is_raised(client: Any, server: ScriptedServer) -> None:
    headers = {"x-codex-primary-used-percent": "100.0", "x-codex-primary-window-minutes": 300}
    limit = {"type": "error", "status": 429, "error": USAGE_LIMIT, "headers": headers}
    server.script(lambda session: session.send(limit))
    with pytest.raises(UsageLimitError) as caught:
        client.responses.create(input="a", prompt_cache_key="k")
    assert caught.value.resets_at is not None
    assert caught.value.resets_at.timestamp() == 1795330854
    assert caught.value.status_code == 429
    assert client.codex.limits is not None


@pytest.mark.parametrize("status", [403, 500])
def test_required_websocket_raises_for_a_refusal(new_client: Any, server: ScriptedServer, status: int) -> None:
    server.refuse(status, {"detail": "no"})
    with pytest.raises(openai.APIStatusError) as caught:
        new_client(max_retries=0).responses.create(input="a")
    assert caught.value.status_code == status
    assert server.posts == []


def test_error_message_before_the_response_is_an_error(new_client: Any, server: ScriptedServer) -> None:
    server.script(send_error("server_is_overloaded", 503))
    with pytest.raises(openai.InternalServerError, match="It failed"):
        new_client(max_retries=0).responses.create(input="a")
    assert len(server.sessions) == 1


def test_overload_is_retried_on_the_same_connection(client: Any, server: ScriptedServer, clock: RecordingClock) -> None:
    server.script(send_error("server_is_overloaded", 503))
    assert client.responses.create(input="a", prompt_cache_key="k").output_text == "hello"
    assert len(clock.waits) == 1
    assert len(server.sessions) == 1


def test_required_websocket_that_is_not_offered_names_the_remedy(new_client: Any, server: ScriptedServer) -> None:
    server.refuse(426)
    with pytest.raises(openai.APIStatusError, match="does not offer the WebSocket") as caught:
        new_client().responses.create(input="hi")
    assert caught.value.status_code == 426


def test_copy_with_another_http_client_opens_a_connection(
    client_options: dict[str, Any], server: ScriptedServer
) -> None:
    with OpenAI(**{**client_options, "transport": "websocket"}) as client, httpx2.Client() as http_client:
        for used in (client, client.copy(http_client=http_client), client):
            assert used.responses.create(input="a", prompt_cache_key="k").output_text == "hello"
    assert len(server.sessions) == 2


# --- sizes -------------------------------------------------------------------------------------------------------


def test_message_above_the_limit_is_sent_over_http(new_client: Any, server: ScriptedServer) -> None:
    server.accept_headers["x-codex-websocket-max-message-bytes"] = "2000"
    client = new_client(transport="auto", prompt_cache=False)  # one session id
    large = conversation(user("x" * 2000))
    assert client.responses.create(input=large).output_text == OVER_HTTP
    assert texts(client) == ["hello"]
    assert len(server.sessions) == 1


def test_message_that_the_server_rejects_is_sent_over_http(new_client: Any, server: ScriptedServer) -> None:
    client = new_client(transport="auto")
    for _ in range(3):
        server.script(lambda session: session.close(1009), reply())
        assert texts(client, 2) == [OVER_HTTP, "hello"]


def test_required_websocket_raises_for_a_large_message(new_client: Any, server: ScriptedServer) -> None:
    server.accept_headers["x-codex-websocket-max-message-bytes"] = "2000"
    with pytest.raises(openai.APIStatusError, match=r"too large for the WebSocket.*`transport='http'`") as caught:
        new_client().responses.create(input="x" * 2000)
    assert caught.value.status_code == 413
    assert server.messages == []


def test_required_websocket_does_not_repeat_a_rejected_message(new_client: Any, server: ScriptedServer) -> None:
    server.script(lambda session: session.close(1009))
    with pytest.raises(openai.APIStatusError, match="closed the WebSocket connection with code 1009"):
        new_client().responses.create(input="hi")
    assert len(server.messages) == 1


def test_text_that_cannot_be_encoded_is_an_error(client: Any, server: ScriptedServer) -> None:
    """The connection stays usable."""
    for _ in range(2):
        with pytest.raises(ValueError, match="lone surrogate"):
            client.responses.create(input="\ud800", prompt_cache_key="k")
    assert client.responses.create(input="a", prompt_cache_key="k").output_text == "hello"
    assert len(server.sessions) == len(server.messages) == 1


# --- messages between responses ------------------------------------------------------------------------------------

END = response_events("late", "resp_1")[-1]


LATE = {
    "end": [END],
    "two ends": [END, END],
    "events": response_events("late", "resp_1")[2:],
}


@pytest.mark.parametrize(
    ("late", "is_sent_before_the_next_call"),
    [
        *((late, is_before) for late in LATE.values() for is_before in (True, False)),
        ([error_message("server_error", 500)], True),  # an error does not name its response
    ],
)
def test_late_message_is_not_part_of_the_next_response(
    new_client: Callable[..., Any], server: ScriptedServer, late: list[Any], is_sent_before_the_next_call: bool
) -> None:
    """The history of the backend would otherwise differ from that of the caller."""

    def late_reply(session: Session) -> None:
        session.send(*late)
        session.send(*response_events("two", "resp_2"))

    client = new_client(max_retries=0)
    server.script(reply("one"), *([] if is_sent_before_the_next_call else [late_reply]), reply("two"), reply("three"))
    history: list[Any] = [user("a")]
    history += [*client.responses.create(input=history, prompt_cache_key="k").output, user("b")]
    if is_sent_before_the_next_call:
        server.sessions[0].send(*late)
    history += [*client.responses.create(input=history, prompt_cache_key="k").output, user("c")]
    assert history[-2].content[0].text == "two"
    client.responses.create(input=history, prompt_cache_key="k")
    assert server.messages[-1]["input"] == [user("c")]
    assert server.messages[-1]["previous_response_id"] == "resp_2"
    assert len(server.sessions) == 1


def test_flood_between_responses_opens_another_connection(client: Any, server: ScriptedServer) -> None:
    flood = {"type": "codex.rate_limits", "padding": "x" * (1 << 20)}
    server.script(reply("one"))
    client.responses.create(input="a", prompt_cache_key="k")
    sender = threading.Thread(target=lambda: server.sessions[0].send(*[flood] * 20), daemon=True)
    sender.start()
    assert client.responses.create(input="b", prompt_cache_key="k").output_text == "hello"
    sender.join(30)


@pytest.mark.parametrize("value", ["9" * 5000, "-1", "1e9", ""])
def test_invalid_message_limit_of_the_server_is_ignored(client: Any, server: ScriptedServer, value: str) -> None:
    server.accept_headers = {"x-codex-websocket-max-message-bytes": value}
    assert client.responses.create(input="a").output_text == "hello"
