"""Test the targets of `python -m fuzz` with hypothesis: fewer inputs, and the same inputs in each run."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz import sse, timing
from fuzz.choices import Choices
from fuzz.targets import TARGETS

# The number of inputs, chosen so that each target takes a few seconds. `responses` reads each response six times.
_INPUTS = {"responses": 200}
_DEFAULT_INPUTS = 600


@pytest.mark.parametrize("name", TARGETS)
def test_target_holds(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=_INPUTS.get(name, _DEFAULT_INPUTS),
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
STREAMS: dict[str, tuple[bytes, list[bytes]]] = {
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    "all line endings": (b"data: a\rdata: b\r\ndata: c\n\n", [b"a\nb\nc"]),
    "no data": (b"id: 1\ndata\n\ndata: b\n\n", [b"b"]),
    "no blank line at the end": (_DELTA, [_DELTA[6:]]),
}


@pytest.mark.parametrize(("stream", "events"), STREAMS.values(), ids=STREAMS)
def test_reference_decoder_follows_the_standard(stream: bytes, events: list[bytes]) -> None:
    assert [data for _, data in sse.decode_whole(stream)] == events


def test_choices_cover_any_input() -> None:
    assert b"".join(Choices(b"\1\7\2\3\4\5\6\7\0").chunks(b"0123456789" * 50)) == b"0123456789" * 50
    assert Choices(b"").number(7) == 0
    assert Choices(b"").take(7) == b""


@pytest.mark.parametrize("name", timing.PARSERS)
def test_every_parser_takes_linear_time(name: str) -> None:
    for unit in timing._UNITS:
        timing.check_parser(timing.PARSERS[name], "<html>", unit, "")
        timing.check_parser(timing.PARSERS[name], "", unit, "x")


def test_quadratic_time_is_detected() -> None:
    title = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
    with pytest.raises(AssertionError, match="characters take"):
        timing.check_parser(lambda text: title.search(text[: len(text) // 2]), "", "<title>", "")
