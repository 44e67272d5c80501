"""Derive structured values (a header, an event, a login) from the bytes of an input, so that they are nearly valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

_T = TypeVar("_T")

# Values that have confused parsers of JSON.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 42, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf"),
    "", " ", "0", "1", "1e999", "-1", "nan", "inf", "٣", "1_0", "9" * 30, "true", "False", "text", "\x00", "\ud800",
    "<script>alert(1)</script>", 'a"b', "},{", "\n\ndata: ", "é\u2028", "2030-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "Wed, 21 Oct 2026 07:28:00 GMT", "Mon, 1 Jan 2024 00:00:00 +9999999999999",
    [], {}, [[]], [None], [{}], {"": None}, {"type": "message"}, {"error": {"code": "x"}},
)  # fmt: skip


class Choices:
    """Choices made by the bytes of an input. When the bytes are used up, each choice is the first option."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, below: int) -> int:
        """Return a number from 0 up to, but without, `below`, which is 65,536 at most."""
        size = 1 if below <= 256 else 2
        taken = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(taken) % below

    def one_of(self, things: Sequence[_T]) -> _T:
        return things[self.number(len(things))]

    def take(self, longest: int) -> bytes:
        """Return some bytes of the input."""
        size = self.number(longest + 1)
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def rest(self) -> bytes:
        taken, self._at = self._data[self._at :], len(self._data)
        return taken

    def text(self) -> str:
        return self.take(24).decode("utf-8", "replace")

    def value(self, names: Sequence[str] = (), *, depth: int = 3) -> Any:
        """Return a JSON value whose objects have members with these names."""
        kind = self.number(8) if depth else self.number(4)
        if kind < 3:
            return self.one_of(VALUES)
        if kind == 3:
            return self.text()
        if kind == 4:
            return [self.value(names, depth=depth - 1) for _ in range(self.number(4))]
        members = {
            self.text() if self.number(8) == 7 else self.one_of(names or ("type",)) for _ in range(self.number(6))
        }
        return {name: self.value(names, depth=depth - 1) for name in sorted(members)}

    def members(self, shape: dict[str, Any]) -> dict[str, Any]:
        """Return an object like `shape`, in which some members are missing or have another value."""
        made: dict[str, Any] = {}
        for name, example in shape.items():
            what = self.number(6)
            if what == 0:
                continue
            if what == 1:
                made[name] = self.value(tuple(shape), depth=2)
            else:
                made[name] = self.members(example) if isinstance(example, dict) else example
        return made

    def pieces(self, data: bytes) -> list[bytes]:
        """Cut data at up to eight positions, or between all bytes."""
        how = self.number(4)
        if how == 0 and len(data) < 300:
            return [data[at : at + 1] for at in range(len(data))]
        cuts = sorted(self.number(min(len(data) + 1, 65536)) for _ in range(1 + self.number(8)))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
