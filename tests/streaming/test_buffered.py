"""Test bodies other than event streams: the request deadline ends them, and an error needs only its status."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

JSON = {"content-type": "application/json"}
STALL_SECONDS = 60.0  # longer than the test may take


@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize("stream", [False, True])
def test_total_timeout_ends_any_body(new_client: Callable[..., Any], sim: Simulator, status: int, stream: bool) -> None:
    sim.fail(Turn.raw(status, JSON, b" " * 1000).throttled(1, 0.05), times=None)
    began = time.monotonic()
    with pytest.raises(sdk.TotalTimeoutError):
        new_client(total_timeout=0.5).responses.create(input="hi", stream=stream)
    assert time.monotonic() - began < 10


def test_stalled_error_body_raises_its_status(new_client: Callable[..., Any], sim: Simulator) -> None:
    sim.script(Turn.raw(400, {**JSON, "content-length": "9"}, b"").stalled(0, STALL_SECONDS))
    with pytest.raises(openai.BadRequestError):
        new_client(idle_timeout=0.3).responses.create(input="hi")


def test_long_error_body_is_truncated(new_client: Callable[..., Any], sim: Simulator) -> None:
    sim.script(Turn.raw(400, {**JSON, "content-encoding": "gzip"}, gzip.compress(b" " * (64 << 20))))
    with pytest.raises(openai.BadRequestError) as caught:
        new_client().responses.create(input="hi")
    assert len(caught.value.response.content) < 48 << 20


@pytest.mark.parametrize(
    "headers",
    [{"content-type": f"text/plain; charset={name}"} for name in ("utf-16", "hex", "rot13", "idna", "undefined")]
    + [{"content-encoding": "gzip"}, {"content-encoding": "zstd"}],
)
@pytest.mark.parametrize("status", [400, 429])
def test_undecodable_error_body_raises_its_status(
    new_client: Callable[..., Any], sim: Simulator, headers: dict[str, str], status: int
) -> None:
    sim.script(Turn.raw(status, headers, b"Not \xff now."))
    with pytest.raises(openai.APIStatusError) as caught:
        new_client().responses.create(input="hi")
    assert caught.value.status_code == status


def test_page_in_an_unknown_charset_is_unexpected(new_client: Callable[..., Any], sim: Simulator) -> None:
    sim.script(Turn.raw(200, {"content-type": "text/html; charset=utf-16"}, b"<html><title>Log in</title>"))
    with pytest.raises(sdk.UnexpectedResponseError, match="Log in"):
        new_client().responses.create(input="hi")
