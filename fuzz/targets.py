"""Fuzz targets: a name, the property to check, and seed inputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from . import backend, logins, sse, streams, timing

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TARGETS", "Target"]

_CORPUS: Final = Path(__file__).parent / "corpus"


class Target(NamedTuple):
    """A fuzz target. `check` raises if its property does not hold for an input; `seeds` are structured inputs."""

    name: str
    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...] = ()


_RECORDED: Final = tuple(path.read_bytes() for path in sorted(_CORPUS.glob("*.sse")))
# Inputs for `Choices`.
_CHOICES: Final = (b"", bytes(range(256)), bytes(range(255, -1, -1)), b"\x02\x03\x05\x07" * 16)

TARGETS: Final = {
    target.name: target
    for target in (
        Target("sse", sse.check_decoder, tuple(b"\0" + stream[:300] for stream in _RECORDED)),
        Target("memory", sse.check_memory, tuple(b"\0" + stream[:300] for stream in _RECORDED)),
        Target("batches", streams.check_batches, _CHOICES),
        Target("responses", streams.check_responses, _CHOICES),
        Target("limit_headers", backend.check_limit_headers, _CHOICES),
        Target("usage", backend.check_usage, _CHOICES),
        Target("failures", backend.check_failures, _CHOICES),
        Target("routing", backend.check_routing, _CHOICES),
        Target("explanations", backend.check_explanations, _CHOICES),
        Target("auth_json", logins.check_auth_json, (*_CHOICES, b'\0{"tokens":{"access_token":"a"}}')),
        Target("keyring_entries", logins.check_keyring_entries, (b'\0{"codex_backend_sdk_parts":2,"sha256":"x"}',)),
        Target("jwt", logins.check_jwt, (*_CHOICES, b"\0e30.eyJleHAiOjF9.s")),
        Target(
            "issuer_responses", logins.check_issuer_responses, (*_CHOICES, b'\0\0{"error":{"code":"invalid_grant"}}')
        ),
        Target("time", timing.check_time, _CHOICES),
        Target("callbacks", logins.check_callbacks, (*_CHOICES, b"\0code=abc&state=9Wm3Zk7yQ1")),
    )
}
