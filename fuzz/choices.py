"""Derive nearly valid structured values (a header, an event, a login) from the bytes of an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

_T = TypeVar("_T")

# Edge cases for JSON parsers.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 42, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf"),
    "", " ", "0", "1", "1e999", "-1", "nan", "inf", "٣", "1_0", "9" * 30, "true", "False", "text", "\x00", "\ud800",
    "<script>alert(1)</script>", 'a"b', "},{", "\n\ndata: ", "é\u2028", "2030-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "Wed, 21 Oct 2026 07:28:00 GMT", "Mon, 1 Jan 2024 00:00:00 +9999999999999",
    [], {}, [[]], [None], [{}], {"": None}, {"type": "message"}, {"error": {"code": "x"}},
)  # fmt: skip


class Choices:
    """Choices result by the bytes of an input. When the bytes are used up, each choice is the first option."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def number(self, below: int) -> int:
        """Return a number from 0 to `below - 1`. `below` is at most 65,536."""
        size = 1 if below <= 256 else 2
        chunk = self._data[self._position : self._position + size]
        self._position += size
        return int.from_bytes(chunk) % below

    def one_of(self, options: Sequence[_T]) -> _T:
        return options[self.number(len(options))]

    def take(self, max_bytes: int) -> bytes:
        """Return the next bytes of the input, at most `max_bytes`."""
        size = self.number(max_bytes + 1)
        chunk = self._data[self._position : self._position + size]
        self._position += size
        return chunk

    def rest(self) -> bytes:
        chunk, self._position = self._data[self._position :], len(self._data)
        return chunk

    def text(self) -> str:
        return self.take(24).decode("utf-8", "replace")

    def value(self, names: Sequence[str] = (), *, depth: int = 3) -> Any:
        """Return a JSON value. The members of its objects have these names."""
        value_type = self.number(8) if depth else self.number(4)
        if value_type < 3:
            return self.one_of(VALUES)
        if value_type == 3:
            return self.text()
        if value_type == 4:
            return [self.value(names, depth=depth - 1) for _ in range(self.number(4))]
        members = {
            self.text() if self.number(8) == 7 else self.one_of(names or ("type",)) for _ in range(self.number(6))
        }
        return {name: self.value(names, depth=depth - 1) for name in sorted(members)}

    def members(self, shape: dict[str, Any]) -> dict[str, Any]:
        """Return a copy of `shape` in which some members are missing or have another value."""
        result: dict[str, Any] = {}
        for name, example in shape.items():
            change = self.number(6)
            if change == 0:
                continue
            if change == 1:
                result[name] = self.value(tuple(shape), depth=2)
            else:
                result[name] = self.members(example) if isinstance(example, dict) else example
        return result

    def chunks(self, data: bytes) -> list[bytes]:
        """Split data at up to eight positions, or between all bytes."""
        strategy = self.number(4)
        if strategy == 0 and len(data) < 300:
            return [data[start : start + 1] for start in range(len(data))]
        positions = sorted(self.number(min(len(data) + 1, 65536)) for _ in range(1 + self.number(8)))
        return [data[start:end] for start, end in zip([0, *positions], [*positions, len(data)], strict=True)]
