"""Test that deeply nested JSON never raises RecursionError, whatever its depth and the depth of the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

SSE = "text/event-stream"
JSON = "application/json"
COMPLETED = '\n\ndata: {"type":"response.completed","response":{"id":"resp_1"}}\n\n'


def create(client: Any) -> Any:
    return client.responses.create(input="hi")


def stream(client: Any) -> Any:
    return list(client.responses.create(input="hi", stream=True))


# Kind of response → the call, its status, its content type, and the body around the nested value.
RESPONSES: dict[str, tuple[Callable[[Any], Any], int, str, str]] = {
    "usage": (lambda client: client.codex.usage_report(), 200, JSON, '{"rate_limit":%s}'),
    "limits": (lambda client: client.codex.refresh_limits(), 200, JSON, '{"rate_limit":{"primary_window":%s}}'),
    "workspaces": (lambda client: client.codex.workspaces(), 200, JSON, '{"accounts":[%s]}'),
    "reset credits": (lambda client: client.codex.reset_credits.list(), 200, JSON, '{"credits":%s}'),
    "used credit": (lambda client: client.codex.reset_credits.consume(), 200, JSON, '{"windows_reset":%s}'),
    "models": (lambda client: client.models.list(), 200, JSON, '{"models":[{"slug":"a","x":%s}]}'),
    "model": (lambda client: client.models.retrieve("a"), 200, JSON, '{"models":[{"slug":"a","x":%s}]}'),
    "response": (create, 200, SSE, 'data: {"type":"response.completed","response":{"id":"r","x":%s}}\n\n'),
    "item": (create, 200, SSE, 'data: {"type":"response.output_item.done","item":{"type":"x","y":%s}}' + COMPLETED),
    "event": (stream, 200, SSE, 'data: {"type":"response.new","x":%s}' + COMPLETED),
    "event of an item": (stream, 200, SSE, 'data: {"type":"response.output_item.done","item":{"x":%s}}' + COMPLETED),
    "delta": (stream, 200, SSE, 'data: {"type":"response.output_text.delta","delta":"a","x":%s}' + COMPLETED),
    "limits event": (stream, 200, SSE, 'data: {"type":"codex.rate_limits","rate_limits":%s}' + COMPLETED),
    "error event": (create, 200, SSE, 'data: {"type":"error","error":{"message":%s}}\n\n'),
    "error": (create, 400, JSON, '{"error":{"message":%s}}'),
    "error list": (create, 400, JSON, '{"detail":%s}'),
    "exhausted limit": (create, 429, JSON, '{"error":{"type":"usage_limit_reached","resets_at":%s}}'),
}
DEPTHS = (1, 100, 190, 196, 197, 198, 199, 200, 201, 202, 300, 500, 900, *range(940, 1000, 6), 1100, 5000)


def error_of(call: Callable[[Any], Any], client: Any) -> openai.OpenAIError | None:
    try:
        call(client)
    except openai.OpenAIError as error:
        return error
    return None


def run_at_depth(frames: int, call: Callable[[], Any]) -> Any:
    return call() if frames == 0 else run_at_depth(frames - 1, call)


@pytest.mark.parametrize("kind", RESPONSES)
@pytest.mark.parametrize("start", ["[", '{"a":'])
def test_nested_json_is_valid_or_a_typed_error(
    request: pytest.FixtureRequest, new_client: Callable[..., Any], kind: str, start: str
) -> None:
    call, status, content_type, template = RESPONSES[kind]
    end = "]" if start == "[" else "}"
    content = b""

    def respond(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": content_type}, content=content)

    is_sync = request.node.callspec.params["new_client"] == "sync"
    transport = httpx2.MockTransport(respond)
    http_client = httpx2.Client(transport=transport) if is_sync else httpx2.AsyncClient(transport=transport)
    client = new_client(http_client=http_client, workspace_routing=False)
    for depth in DEPTHS:
        content = (template % (start * depth + "1" + end * depth)).encode()
        for frames in (0, 300):
            error: Any = run_at_depth(frames, lambda: error_of(call, client))
            if status != 200 or kind == "error event":
                assert isinstance(error, openai.APIError)
            elif depth <= 190:
                assert error is None
            elif depth > 201:
                assert "nested more than 201 levels" in f"{error} {error.__cause__}"
