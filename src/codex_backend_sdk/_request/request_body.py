"""The body of a model request, and the input of a conversation, which is not converted again for every call.

A body is encoded when it is first sent over HTTP. A WebSocket sends only the new items of most bodies, so it reads the
members instead.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from .._json import encode_in_chunks

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    import httpx2

    from .compression import Compression
    from .prompt_cache import TurnState

__all__ = ["PreparedInput", "RequestBody"]


class PreparedInput(list[dict[str, Any]]):
    """The `input` of a call whose items are plain JSON data in the form that the backend accepts.

    The client does not convert the items, and does not copy the list again. `history` identifies the history that they
    belong to. `generation` changes whenever an item of it changes or is removed, so two inputs with the same `history`
    and `generation` begin with the same items. The last `suffix_length` items do not belong to the history. `turn` is
    the state of the turn that the call belongs to, if it belongs to one.

    It is a list, so a tracer that records the arguments of a call, or copies them, sees the items.
    """

    __slots__ = ("generation", "history", "suffix_length", "turn")

    def __init__(
        self,
        items: Iterable[dict[str, Any]],
        *,
        history: Hashable,
        generation: int,
        suffix_length: int = 0,
        turn: TurnState | None = None,
    ) -> None:
        super().__init__(items)
        self.history = history
        self.generation = generation
        self.suffix_length = suffix_length
        self.turn = turn


class RequestBody:
    """The members of a body, and its bytes.

    Attributes:
        members: The JSON object to send. Only `set_member` changes it.
        prepared_input: The input, if the caller passed a `PreparedInput`.
    """

    def __init__(
        self, members: dict[str, Any], compression: Compression, *, prepared_input: PreparedInput | None = None
    ) -> None:
        self.members = members
        self.prepared_input = prepared_input
        self._compression = compression

    def set_member(self, name: str, value: Any) -> None:
        """Set a member, for all attempts of the call."""
        self.members[name] = value
        self.__dict__.pop("encoded", None)

    def with_members(self, members: dict[str, Any]) -> RequestBody:
        """Return a body with other members."""
        return RequestBody(members, self._compression, prepared_input=self.prepared_input)

    @cached_property
    def encoded(self) -> tuple[bytes, dict[str, str]]:
        """The bytes of the body and its encoding headers.

        Raises ValueError for text with a lone surrogate, which the backend rejects.
        """
        return self._compression.encode(encode_in_chunks(self.members))

    def add_to(self, request: httpx2.Request) -> httpx2.Request:
        """Return the same request with this body."""
        content, headers = self.encoded
        request_class = type(request)  # a caller's legacy `httpx` client has another class
        return request_class(
            request.method,
            request.url,
            headers=[
                *((name, value) for name, value in request.headers.multi_items() if name.lower() != "content-length"),
                *headers.items(),
            ],
            content=content,
            extensions=request.extensions,
        )
