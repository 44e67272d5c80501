"""The targets of `python -m fuzz`, with hypothesis: fewer inputs, always the same ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz import sse
from fuzz.choices import Choices
from fuzz.targets import TARGETS

# Inputs for each, so that all of them take some seconds. An answer is read six times.
_FEW = {"responses": 200}
_MANY = 600


@pytest.mark.parametrize("name", TARGETS)
def test_the_property_of_a_target(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=_FEW.get(name, _MANY),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(max_size=300))
    def check(data: bytes) -> None:
        target.check(data)

    for seed in target.seeds:
        target.check(seed)
    check()


_DELTA = b'data: {"type":"response.output_text.delta","delta":"a"}'
STREAMS: dict[str, tuple[bytes, list[Any]]] = {
    "a mark at the start": (b"\xef\xbb\xbfdata: a\n\n", [sse.Frame(b"a")]),
    "all line endings": (b"data: a\rdata: b\r\ndata: c\n\n", [sse.Frame(b"a\nb\nc")]),
    "an id that stays": (b"id: 1\ndata\n\ndata: b\n\n", [sse.Frame(b"", None, b"1"), sse.Frame(b"b", None, b"1")]),
    "no end": (_DELTA, [sse.Frame(_DELTA[6:])]),
}


@pytest.mark.parametrize(("stream", "frames"), STREAMS.values(), ids=STREAMS)
def test_the_decoder_that_the_other_is_held_against(stream: bytes, frames: list[Any]) -> None:
    assert sse.whole(stream) == frames


def test_choices_cover_an_input_whatever_it_is() -> None:
    assert b"".join(Choices(b"\1\7\2\3\4\5\6\7\0").pieces(b"0123456789" * 50)) == b"0123456789" * 50
    assert Choices(b"").number(7) == 0
    assert Choices(b"").take(7) == b""
