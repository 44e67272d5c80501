"""What is fuzzed: a name, what is checked, and inputs to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from . import logins, sse, streams, telling

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TARGETS", "Target"]

_CORPUS: Final = Path(__file__).parent / "corpus"


class Target(NamedTuple):
    """`check` takes the bytes of an input, and raises when they break a property; `seeds` are inputs of some shape."""

    name: str
    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...] = ()


_RECORDED: Final = tuple(path.read_bytes() for path in sorted(_CORPUS.glob("*.sse")))
# Decisions; what they decide is the target's.
_DECISIONS: Final = (b"", bytes(range(256)), bytes(range(255, -1, -1)), b"\x02\x03\x05\x07" * 16)

TARGETS: Final = {
    target.name: target
    for target in (
        Target("sse", sse.frames_of_any_stream, tuple(b"\0" + each[:300] for each in _RECORDED)),
        Target("batches", streams.batches, _DECISIONS),
        Target("responses", streams.responses, _DECISIONS),
        Target("limit_headers", telling.limit_headers, _DECISIONS),
        Target("usage", telling.usage, _DECISIONS),
        Target("failures", telling.failures, _DECISIONS),
        Target("routing", telling.routing, _DECISIONS),
        Target("explanations", telling.explanations, _DECISIONS),
        Target("auth_json", logins.auth_json, (*_DECISIONS, b'\0{"tokens":{"access_token":"a"}}')),
        Target("keyring_entries", logins.keyring_entries, (b'\0{"codex_backend_sdk_parts":2,"sha256":"x"}',)),
        Target("jwt", logins.jwt, (*_DECISIONS, b"\0e30.eyJleHAiOjF9.s")),
        Target("issuer_answers", logins.issuer_answers, (*_DECISIONS, b'\0\0{"error":{"code":"invalid_grant"}}')),
        Target("callbacks", logins.callbacks, (*_DECISIONS, b"\0code=abc&state=9Wm3Zk7yQ1")),
    )
}
