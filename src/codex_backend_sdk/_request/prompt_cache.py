"""Derive the key and the headers with which the backend finds the cached prompt of a conversation. Pure.

The backend reuses the work for the beginning of a prompt if a request reaches the machine that has it. The Codex CLI
sends one id for a conversation, as the member `prompt_cache_key` and as the header `session-id`, and reports of users
say that both are needed. A call without a key gets one that is the same for all calls of a conversation: a hash of the
model, the instructions, the names of the tools and the first input item, which later calls of a conversation repeat.

The hash is keyed with the user id of the login. All processes and machines of a user therefore derive the same key, so
the workers of a server share the cache, without a file and without state. The key appears in a header, and logs of
proxies contain headers: a reader of them cannot test whether a guessed prompt was sent, because the user id is only
in the access token.

A turn is a user message and everything up to the final response, so several requests if tools are called. Within a turn
the backend returns an opaque `x-codex-turn-state`, which the later requests of the turn repeat. Wire source: Codex CLI,
core/src/client.rs.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..types import Login

__all__ = ["TURN_STATE_HEADER", "TurnState", "cache_headers", "cache_seed", "derive_key"]

TURN_STATE_HEADER: Final = "x-codex-turn-state"
_TURN_STATE_EVENT: Final = "response.metadata"

_KEY_BYTES: Final = 16
# The cost of a seed must not depend on the input: of a long text, such as an image, only both ends are read.
_MAX_END_CHARACTERS: Final = 4096
_MAX_MEMBERS: Final = 64
_MAX_LEADING_ITEMS: Final = 8
_INSTRUCTING_ROLES: Final = ("developer", "system")
# Members of an item that change when a response is sent back.
_IGNORED_MEMBERS: Final = frozenset({"id", "status"})


def cache_seed(body: Mapping[str, Any]) -> bytes:
    """Return a hash of the model, the instructions, the names of the tools and the beginning of the input of a body.

    The beginning is the first item that is not a developer message, and the developer messages before it. The time for
    it does not depend on the length of the input.
    """
    digest = blake2b(digest_size=_KEY_BYTES)
    _add(digest, [body.get("model"), body.get("instructions"), *_tool_names(body.get("tools"))])
    items = body.get("input")
    for item in items[:_MAX_LEADING_ITEMS] if isinstance(items, list) else ():
        _add(digest, item)
        if not (isinstance(item, dict) and item.get("role") in _INSTRUCTING_ROLES):
            break
    return digest.digest()


def _tool_names(tools: Any) -> list[Any]:
    """Return the names of tools, which distinguish two agents with the same first message."""
    # The key only routes a request to a machine, which compares the prompts. If the description of a tool changes in a
    # conversation, the prefix no longer matches. Another key would also lead to a machine without earlier prefixes.
    members = (tool for tool in (tools if isinstance(tools, list) else ()) if isinstance(tool, dict))
    return [tool.get("name") or tool.get("type") for tool in members]


def _add(digest: blake2b, value: Any) -> None:
    """Add JSON data to a hash. The order of members, and members that are null, make no difference."""
    if isinstance(value, str):
        ends = (
            value
            if len(value) <= 2 * _MAX_END_CHARACTERS
            else value[:_MAX_END_CHARACTERS] + value[-_MAX_END_CHARACTERS:]
        )
        digest.update(b"%d:" % len(value) + ends.encode("utf-8", "surrogatepass"))
    elif isinstance(value, dict):
        names = sorted(
            str(name) for name, member in value.items() if member is not None and name not in _IGNORED_MEMBERS
        )
        digest.update(b"{")
        for name in names[:_MAX_MEMBERS]:
            _add(digest, name)
            _add(digest, value.get(name))
        digest.update(b"}")
    elif isinstance(value, list):
        digest.update(b"[%d:" % len(value))
        for member in value[:_MAX_MEMBERS]:
            _add(digest, member)
    else:
        digest.update(f"{value!r},".encode())


def derive_key(seed: bytes, login: Login) -> str:
    """Return the key of a conversation, in the form of a UUID, as the Codex CLI sends it.

    A login without a user id uses its access token as the secret, so its keys change with the token.
    """
    # Do not assign the token to a local variable: a traceback that records locals would show it.
    secret = blake2b((login.user_id or login.access_token.reveal()).encode())
    mac = blake2b((login.account_id or "").encode() + b"/" + seed, key=secret.digest(), digest_size=_KEY_BYTES)
    text = mac.hexdigest()
    # Version 8 is for values that a program computes (RFC 9562, 5.8).
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-8{text[17:20]}-{text[20:]}"


class TurnState:
    """The routing state of one turn: pass the same object with all requests of a turn, and a new one in the next turn.

    `value` is None until the backend has sent it. The first value of a turn is kept.
    """

    def __init__(self) -> None:
        self.value: str | None = None

    def record_headers(self, headers: Mapping[str, str]) -> None:
        """Record the state in the headers of an HTTP response."""
        self._record(headers.get(TURN_STATE_HEADER))

    def record_event(self, event: Mapping[str, Any]) -> None:
        """Record the state in an event of the WebSocket. Over HTTP, events do not set the state."""
        if event.get("type") == _TURN_STATE_EVENT and isinstance(headers := event.get("headers"), dict):
            self._record(headers.get(TURN_STATE_HEADER))

    def _record(self, value: Any) -> None:
        if self.value is None and _is_header_value(value):
            self.value = value


def cache_headers(key: Any, turn: TurnState | None = None) -> dict[str, str]:
    """Return the headers of a request with this `prompt_cache_key`, which may be None, in this turn."""
    headers = {"session-id": key} if _is_header_value(key) else {}
    if turn is not None:
        headers |= {"thread-id": key} if headers else {}
        headers |= {TURN_STATE_HEADER: turn.value} if turn.value else {}
    return headers


def _is_header_value(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable() and value == value.strip()
