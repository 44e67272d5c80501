"""Private names of `openai`, which only this module imports, and the signatures that this package expects.

`HOOKS`, `streaming_hooks()` and `connection_hooks()` list the methods that this package overrides or calls, with their
parameters in every supported version of `openai`. A test compares the lists with the installed version, so a release
that changes a hook makes that test fail before it reaches users. `docs/design.md` lists the reasons.

The names for `responses.stream()` are loaded on first use (PEP 562), because `openai.lib.streaming` takes 50 ms to
import.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

import openai
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
    from collections.abc import Mapping

    import httpx2
    from openai.lib._parsing._responses import parse_response as parse_response
    from openai.lib._parsing._responses import type_to_text_format_param as type_to_text_format_param
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
    "AsyncAPIClient",
    "AsyncHttpxClientWrapper",
    "FinalRequestOptions",
    "SyncAPIClient",
    "SyncHttpxClientWrapper",
    "connection_hooks",
    "is_official",
    "make_request_options",
    "request_exceptions",
    "set_body",
    "set_default_headers",
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

_OPENAI_FOLDER: Final = str(Path(openai.__file__).parent)

_STREAMING_MODULE: Final = "openai.lib.streaming.responses"
# lazy name → its module
_LAZY_NAMES: Final = {
    "AsyncResponseStream": _STREAMING_MODULE,
    "AsyncResponseStreamManager": _STREAMING_MODULE,
    "ResponseFunctionCallArgumentsDeltaEvent": _STREAMING_MODULE,
    "ResponseStream": _STREAMING_MODULE,
    "ResponseStreamManager": _STREAMING_MODULE,
    "ResponseStreamState": _STREAMING_MODULE,
    "ResponseTextDeltaEvent": _STREAMING_MODULE,
    "parse_response": "openai.lib._parsing._responses",
    "type_to_text_format_param": "openai.lib._parsing._responses",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LAZY_NAMES[name]), name)
    return value


def streaming_hooks() -> dict[tuple[type, str], tuple[str, ...]]:
    """Return the hooks of `responses.stream()`, in the form of `HOOKS`."""
    state_class = import_module(_STREAMING_MODULE).ResponseStreamState
    return {(state_class, "handle_event"): ("event",), (state_class, "_get_output_item"): ("output_index",)}


def connection_hooks() -> dict[tuple[type, str], tuple[str, ...]]:
    """Return the hooks of `responses.connect()` and of the libraries that open a WebSocket, in the form of `HOOKS`."""
    module = import_module("openai.resources.responses.responses")
    connect = ("extra_query", "extra_headers")
    return {
        (module.ResponsesConnectionManager, "_connect_ws"): connect,
        (module.AsyncResponsesConnectionManager, "_connect_ws"): connect,
        (module.ResponsesConnection, "send"): ("event",),
        (module.AsyncResponsesConnection, "send"): ("event",),
        (import_module("openai").AsyncOpenAI, "_refresh_api_key"): (),
    }


def is_official(method: Any) -> bool:
    """Return whether this bound method is openai's own. Tracers replace it by a proxy or a function of their own."""
    if type(method) is not MethodType:  # not `isinstance`, which is true for a proxy, too
        return False
    code = getattr(method.__func__, "__code__", None)
    return code is not None and code.co_filename.startswith(_OPENAI_FOLDER)


def set_default_headers(client: BaseClient[Any, Any], headers: Mapping[str, str]) -> None:
    """Replace the headers that a client sends with each request, without those of `OPENAI_CUSTOM_HEADERS`."""
    client._custom_headers = headers


def set_body(response: httpx2.Response, body: bytes) -> None:
    """Set the body of a response as if it had been read. Decode it as UTF-8 if Python does not support its charset."""
    response._content = body
    try:
        _ = response.text
    except Exception:  # each codec raises its own exception classes
        response.encoding = "utf-8"
