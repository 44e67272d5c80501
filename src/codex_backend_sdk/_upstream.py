"""The only place that imports openai's private names, with `_seam_streaming`, and the contract they have to keep.

`HOOKS` lists the methods that the clients override or call, with the parameters they had in every version from 3.15.0
on; a test compares them with the installed version, so that a release which moves one is noticed as that.
"""

from __future__ import annotations

import weakref
from copy import copy
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
from pydantic import ConfigDict

if TYPE_CHECKING:
    pass

__all__ = [
    "HOOKS",
    "AsyncHttpxClientWrapper",
    "FinalRequestOptions",
    "PreparedOptions",
    "SyncHttpxClientWrapper",
    "close_when_forgotten",
    "keep_body",
    "make_request_options",
    "request_exceptions",
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


class PreparedOptions(FinalRequestOptions):  # type: ignore[misc]  # final for type checkers; the class itself allows it
    """Request options that carry our plan for the request, its login, and the number of its attempt."""

    # It is built without validation, and a validator that nobody asks takes 3 ms to make.
    model_config = ConfigDict(defer_build=True)

    context: Any = None
    login: Any = None
    retries_taken: int = 0

    @classmethod
    def of(cls, options: FinalRequestOptions, context: object, **changes: Any) -> PreparedOptions:
        """Return a copy of the options with some of them changed and the plan attached."""
        prepared: Any = copy(options)  # building one anew, whose members are all known, takes five times as long
        prepared.__class__ = cls
        # A redirect would take the prompt and the account id along to another host.
        vars(prepared).update(context=context, login=None, retries_taken=0, follow_redirects=False, **changes)
        assert isinstance(prepared, cls)
        return prepared


def close_when_forgotten(http_client: httpx2.Client | httpx2.AsyncClient) -> None:
    """Close the connections of a client that nobody closed, before the garbage collector warns of its sockets.

    Upstream's `__del__` does that too, but may come after the sockets' own; a weak reference's callback never does.
    """
    if isinstance(http_client, httpx2.Client):
        weakref.finalize(http_client, _close_all, _transports(http_client)).atexit = False


def _close_all(transports: list[httpx2.BaseTransport | None]) -> None:
    for transport in transports:
        if transport is not None:
            transport.close()


def _transports(http_client: Any) -> list[Any]:
    return [http_client._transport, *http_client._mounts.values()]


def keep_body(response: httpx2.Response, body: bytes) -> None:
    """Let a response have this body, as one that was read; as UTF-8 where its charset is none that text can have."""
    response._content = body
    try:
        _ = response.text
    except Exception:  # each codec has its own
        response.encoding = "utf-8"
