"""The only module that imports private names of `openai`, and the contract that they must keep.

`HOOKS` and `streaming_hooks()` list the methods that this package overrides or calls, with the parameters they have in
every supported version of `openai`; a test compares the lists with the installed version, so that a release which moves a
hook fails that test and not a user's call. What is overridden, and why, is in `docs/design.md`.

The names behind `responses.stream()` are loaded on first use (PEP 562): `openai.lib.streaming` takes 50 ms to import.
"""

from __future__ import annotations

import weakref
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import httpx2
from openai._base_client import (
    AsyncAPIClient,
    AsyncHttpxClientWrapper,
    BaseClient,
    SyncAPIClient,
    SyncHttpxClientWrapper,
    make_request_options,
)
from openai._httpx2 import request_exceptions, timeout_exceptions
from openai._models import FinalRequestOptions

if TYPE_CHECKING:
    from openai.lib._parsing._responses import parse_response as parse_response
    from openai.lib.streaming.responses import AsyncResponseStream as AsyncResponseStream
    from openai.lib.streaming.responses import AsyncResponseStreamManager as AsyncResponseStreamManager
    from openai.lib.streaming.responses import (
        ResponseFunctionCallArgumentsDeltaEvent as ResponseFunctionCallArgumentsDeltaEvent,
    )
    from openai.lib.streaming.responses import ResponseStream as ResponseStream
    from openai.lib.streaming.responses import ResponseStreamManager as ResponseStreamManager
    from openai.lib.streaming.responses import ResponseStreamState as ResponseStreamState
    from openai.lib.streaming.responses import ResponseTextDeltaEvent as ResponseTextDeltaEvent

__all__ = [
    "HOOKS",
    "AsyncHttpxClientWrapper",
    "FinalRequestOptions",
    "SyncHttpxClientWrapper",
    "close_when_forgotten",
    "make_request_options",
    "request_exceptions",
    "set_body",
    "streaming_hooks",
    "timeout_exceptions",
]

# (class, method) → the names of its parameters after `self`.
HOOKS: Final[dict[tuple[type, str], tuple[str, ...]]] = {
    (SyncAPIClient, "request"): ("cast_to", "options", "stream", "stream_cls"),
    (AsyncAPIClient, "request"): ("cast_to", "options", "stream", "stream_cls"),
    (SyncAPIClient, "_prepare_options"): ("options",),
    (AsyncAPIClient, "_prepare_options"): ("options",),
    (SyncAPIClient, "_send_request"): ("request", "stream", "kwargs"),
    (AsyncAPIClient, "_send_request"): ("request", "stream", "kwargs"),
    (SyncAPIClient, "_process_response"): ("cast_to", "options", "response", "stream", "stream_cls", "retries_taken"),
    (AsyncAPIClient, "_process_response"): ("cast_to", "options", "response", "stream", "stream_cls", "retries_taken"),
    (BaseClient, "_idempotency_key"): (),
    (BaseClient, "_build_request"): ("options", "retries_taken"),
    (BaseClient, "_prepare_url"): ("url",),
    (BaseClient, "_make_status_error"): ("err_msg", "body", "response"),
    (BaseClient, "_process_response_data"): ("data", "cast_to", "response"),
    (BaseClient, "_auth_headers"): ("security",),
    (BaseClient, "_validate_headers"): ("headers", "custom_headers"),
    (BaseClient, "platform_headers"): (),
}

_STREAMING: Final = "openai.lib.streaming.responses"
_LAZY: Final = {
    "AsyncResponseStream": _STREAMING,
    "AsyncResponseStreamManager": _STREAMING,
    "ResponseFunctionCallArgumentsDeltaEvent": _STREAMING,
    "ResponseStream": _STREAMING,
    "ResponseStreamManager": _STREAMING,
    "ResponseStreamState": _STREAMING,
    "ResponseTextDeltaEvent": _STREAMING,
    "parse_response": "openai.lib._parsing._responses",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value


def streaming_hooks() -> dict[tuple[type, str], tuple[str, ...]]:
    """Return the hooks of `responses.stream()`, as `HOOKS` lists the others."""
    state = __getattr__("ResponseStreamState")
    return {(state, "handle_event"): ("event",), (state, "_get_output_item"): ("output_index",)}


def close_when_forgotten(http_client: httpx2.Client | httpx2.AsyncClient) -> None:
    """Close the connections of a client that was never closed, before the garbage collector warns about its sockets.

    openai's `__del__` closes them, too, but may run after that of the sockets; the callback of a weak reference runs first.
    """
    if isinstance(http_client, httpx2.Client):
        transports = [http_client._transport, *http_client._mounts.values()]
        weakref.finalize(http_client, _close_all, transports).atexit = False


def _close_all(transports: list[httpx2.BaseTransport | None]) -> None:
    for transport in transports:
        if transport is not None:
            transport.close()


def set_body(response: httpx2.Response, body: bytes) -> None:
    """Set the body of a response as if it had been read; as UTF-8 if Python does not know its charset."""
    response._content = body
    try:
        _ = response.text
    except Exception:  # every codec raises errors of its own
        response.encoding = "utf-8"
