"""Decide which items of a body to send, because the backend knows the others from the same connection. Pure.

The backend keeps the last response of a connection, so a request may name it in `previous_response_id` and send only
the items that follow. The rule of the Codex CLI (codex-api/src/endpoint/responses_websocket.rs): every other member is
equal to that of the previous request, and the new input begins with the previous input and the previous output.
`client_metadata` does not matter. In any other case the whole input is sent, which is correct but slow, so the reason
is reported.

Input is compared as it would be sent, after every conversion. Items of a `PreparedInput` do not change within a
generation, so only their number is compared: the time of a turn does not grow with the history. Other input is compared
by the digest of each item, and the other members by theirs, because the caller may have changed one in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._json import encode, encode_in_chunks
from .._request.input_items import shape_item
from .._request.prompt_cache import TURN_STATE_HEADER

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from .._request.prompt_cache import TurnState
    from .._request.request_body import RequestBody

__all__ = ["Baseline", "CreateMessage", "create_message"]

# Members that may differ between two requests of which the second is incremental.
_INPUT: Final = "input"
_CLIENT_METADATA: Final = "client_metadata"
# Members of output items that are not sent back, or not in the same form.
_VOLATILE_MEMBERS: Final = frozenset({"id", "status", "stamp", "internal_chat_message_metadata_passthrough"})
_VOLATILE_REASONING_MEMBERS: Final = _VOLATILE_MEMBERS | {"content"}


class _InputMark(NamedTuple):
    """Enough of an input to find out whether a later one begins with it."""

    length: int
    prefix: tuple[Hashable, ...]  # the digests of all items, or those before prepared input, its history and generation
    is_continuable: bool = True  # whether the history of a later request can begin with this input


class Baseline(NamedTuple):
    """The last completed response of a connection, and the request that it responded to."""

    response_id: str
    settings: dict[str, bytes]  # the digests of the other members
    input_mark: _InputMark
    output: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class CreateMessage:
    """A `response.create` message.

    Attributes:
        text: The message to send.
        items_sent: The number of items in it.
        full_replay: Why the whole input is sent, or None if only its new items are.
    """

    text: bytes
    items_sent: int
    full_replay: str | None
    _settings: dict[str, bytes]
    _input_mark: _InputMark

    def completed(self, response_id: str, output: Iterable[Any]) -> Baseline | None:
        """Return the baseline after the response with `output`, or None if no request can continue it."""
        if not self._input_mark.is_continuable:
            return None
        try:
            shaped = tuple(item for item in map(shape_item, output) if item is not None)
        except TypeError:  # a damaged item
            return None
        return Baseline(response_id, self._settings, self._input_mark, shaped)


def create_message(body: RequestBody, baseline: Baseline | None, turn: TurnState | None = None) -> CreateMessage:
    """Return the message for a body, incremental if the backend knows the beginning of its input.

    The message has the state of the turn, which HTTP sends in a header. Raises ValueError for text with a lone
    surrogate, which the backend rejects.
    """
    settings = {name: _digest(value) for name, value in body.members.items() if name not in (_INPUT, _CLIENT_METADATA)}
    items: Sequence[Any] = body.members[_INPUT]
    mark = _mark(body, items)
    reason = _replay_reason(baseline, settings, items, mark, body)
    members: dict[str, Any] = {"type": "response.create", **body.members}
    if reason is None and baseline is not None:
        items = items[baseline.input_mark.length + len(baseline.output) :]
        members |= {"previous_response_id": baseline.response_id, _INPUT: items}
    if turn is not None and turn.value is not None:
        members[_CLIENT_METADATA] = {**(members.get(_CLIENT_METADATA) or {}), TURN_STATE_HEADER: turn.value}
    try:
        text = b"".join(encode_in_chunks(members))
    except ValueError:
        _ = body.encoded  # raises the same error, with the place in the whole input
        raise
    return CreateMessage(text, len(items), reason, settings, mark)


def _mark(body: RequestBody, items: Sequence[Any]) -> _InputMark:
    prepared = body.prepared_input
    if prepared is None:
        return _InputMark(len(items), tuple(map(_digest, items)))
    # Instructions may precede the history as a message, and the trigger of a compaction follows it.
    added_items = len(items) - len(prepared)
    first = prepared[0] if prepared else None
    leading = next((index for index in range(added_items) if items[index] is first), added_items)
    trailing = added_items - leading + prepared.suffix_length
    prefix = (prepared.history, prepared.generation, *map(_digest, items[:leading]))
    return _InputMark(len(items) - trailing, prefix, is_continuable=not trailing)


def _digest(item: Any) -> bytes:
    return blake2b(encode(item), digest_size=16).digest()


def _replay_reason(
    baseline: Baseline | None,
    settings: dict[str, bytes],
    items: Sequence[Any],
    mark: _InputMark,
    body: RequestBody,
) -> str | None:
    """Return why the whole input must be sent, or None."""
    if baseline is None:
        return "no response to continue on this connection"
    if settings != baseline.settings:
        names = sorted(
            name
            for name in settings.keys() | baseline.settings.keys()
            if settings.get(name) != baseline.settings.get(name)
        )
        return f"changed: {', '.join(names)}"
    old_length = baseline.input_mark.length
    new_start = old_length + len(baseline.output)
    prefix = mark.prefix[:old_length] if body.prepared_input is None else mark.prefix
    if prefix != baseline.input_mark.prefix or mark.length < new_start:
        return "changed: input"
    if not all(map(_is_same_item, items[old_length:new_start], baseline.output)):
        return "changed: output of the last response"
    return None


def _is_same_item(sent: Any, received: Any) -> bool:
    return bool(_without_volatile_members(sent) == _without_volatile_members(received))


def _without_volatile_members(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    volatile = _VOLATILE_REASONING_MEMBERS if item.get("type") == "reasoning" else _VOLATILE_MEMBERS
    return {name: value for name, value in item.items() if name not in volatile and value is not None}
