"""The result of `client.codex.explain(...)`: its types, its token estimate, and its text.

This module has no I/O, clock or randomness. The text of an explanation never contains a prompt: of the input, it shows
only item types and sizes.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from .._coerce import as_list, as_mapping
from .._json import encode
from .._redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Explanation", "Finding", "PreparedRequest", "TokenEstimate", "estimate_tokens", "summary_rows"]

FindingLevel = Literal["refused", "warning", "dropped", "changed", "note"]

# In the order in which findings are printed.
_SYMBOLS: Final[dict[FindingLevel, str]] = {"refused": "✗", "warning": "!", "dropped": "-", "changed": "~", "note": "·"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A finding about a call: what happens, why, and the remedy.

    `level` is `refused` (the client raises an exception and sends nothing), `warning` (the input is probably too long
    for the model), `dropped` (the client drops the parameter or item), `changed` (the client sends it in another form)
    or `note`. `remedy` is None if no action is needed.
    """

    level: FindingLevel
    what: str
    why: str = ""
    remedy: str | None = None

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.remedy) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEstimate:
    """An estimate of the number of input tokens, made without a tokenizer.

    `likely` is the estimate; ordinary text is between `low` and `high`. `images` is the number of images, each of which
    counts as the same number of tokens. `uncounted` is the number of audio and file parts, which are not included.
    """

    low: int
    likely: int
    high: int
    images: int = 0
    uncounted: int = 0

    def __str__(self) -> str:
        text = f"about {self.likely:,} tokens (between {self.low:,} and {self.high:,})"
        text += f", with {_pluralize(self.images, 'image')}" if self.images else ""
        return text + (f", without {_pluralize(self.uncounted, 'audio or file part')}" if self.uncounted else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """The HTTP request that a call would send, without its secrets.

    `headers` has `…` as the value of each header that may be secret. `body` is the JSON document. `plain_bytes` is the
    size of the document before compression, `sent_bytes` its size after compression. `encoding` is the compression
    (`zstd`), or None if the body is not compressed. With the `transport` `websocket`, the body is sent as a message if
    the WebSocket is available; the other fields show the request over HTTP.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] = field(repr=False)
    plain_bytes: int
    sent_bytes: int
    encoding: str | None = None
    transport: Literal["http", "websocket"] = "http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The result of `client.codex.explain()`: the request that a call would send, or why the client rejects the call.

    Print it for a summary. `prepared_request` is None if the client rejects the call. `tokens` estimates the size of
    the input; it is None if the input is invalid. `context_window` is the size of the model's window in tokens. It is
    None if the client has not loaded the model catalog (`client.models.list()` does), or if the model is not in it.
    """

    model: str
    prepared_request: PreparedRequest | None
    findings: tuple[Finding, ...] = ()
    tokens: TokenEstimate | None = None
    context_window: int | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the call raises an exception before anything is sent."""
        return self.prepared_request is None

    def __str__(self) -> str:
        lines = ["The client rejects the call." if self.is_refused else "This request would be sent:"]
        for name, value in summary_rows(self):
            lines += _wrap(value, initial_indent=f"  {name:<14}", subsequent_indent=" " * 16)
        for finding in sorted(self.findings, key=lambda finding: list(_SYMBOLS).index(finding.level)):
            message = f"{finding.what} {finding.why}".strip()
            lines += _wrap(message, initial_indent=f"{_SYMBOLS[finding.level]} ", subsequent_indent="  ")
            lines += _wrap(finding.remedy or "", initial_indent="  → ", subsequent_indent="    ")
        return redact("\n".join(lines))


# --- the token estimate ----------------------------------------------------------------------------------------------
# The Codex CLI counts four bytes of text as a token, an image as 7,373 bytes, and encrypted content as its decoded
# length minus a constant, or 9/16 of its length in a content part (core/src/context_manager/history.rs,
# utils/string/src/truncate.rs). Prose has up to six bytes per token, code and JSON as few as two and a half: that is
# the range. Digits and base64 can be outside it.

_BYTES_PER_TOKEN: Final = (6, 4, 2.5)  # low, likely and high estimate
_IMAGE_TOKENS: Final = 7373 // 4
_REASONING_OVERHEAD_BYTES: Final = 650


def estimate_tokens(body: Mapping[str, Any]) -> TokenEstimate:
    """Estimate the number of input tokens of a request body."""
    byte_count = sum(len(encode(body[name])) for name in ("instructions", "tools", "text") if body.get(name))
    images = uncounted = 0
    parts: list[Any] = []
    for item in as_list(body.get("input")):
        lists = [name for name in ("content", "output") if isinstance(as_mapping(item).get(name), list)]
        parts += [part for name in lists for part in item[name]]
        parts.append({name: value for name, value in item.items() if name not in lists} if lists else item)
    for part in parts:
        part_type, encrypted = as_mapping(part).get("type"), as_mapping(part).get("encrypted_content")
        if part_type == "input_image":
            images += 1
        elif part_type in ("input_audio", "input_file"):
            uncounted += 1
        elif not isinstance(encrypted, str):
            byte_count += len(encode(part))
        elif part_type == "encrypted_content":
            byte_count += len(encrypted) * 9 // 16
        else:
            byte_count += max(0, len(encrypted) * 3 // 4 - _REASONING_OVERHEAD_BYTES)
    low, likely, high = (int(byte_count / divisor) + images * _IMAGE_TOKENS for divisor in _BYTES_PER_TOKEN)
    return TokenEstimate(low=low, likely=likely, high=high, images=images, uncounted=uncounted)


_MAX_NAMES: Final = 8
# Unlike the output of the command line, this text does not depend on the width of a terminal.
_wrap: Final = partial(textwrap.wrap, width=100, break_long_words=False, break_on_hyphens=False)


def summary_rows(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Yield (name, value) pairs that describe the request. They never contain a prompt."""
    if (request := explanation.prepared_request) is None:
        return
    body = request.body
    is_message = request.transport == "websocket"
    yield "request", f"{request.method} {request.url}" + (", or a message on the WebSocket" if is_message else "")
    yield "model", explanation.model
    items = [as_mapping(item) for item in as_list(body.get("input"))]
    types = Counter(f"{item.get('role') if item.get('type') == 'message' else ''} {item.get('type')}" for item in items)
    names = ", ".join(f"{count:,} {item_type.strip()}" for item_type, count in types.most_common(_MAX_NAMES))
    yield "input", _pluralize(len(items), "item") + (f": {names}" if names else "")
    if body.get("instructions"):
        yield "instructions", f"{len(str(body['instructions'])):,} characters"
    if tools := as_list(body.get("tools")):
        names = ", ".join(
            str(as_mapping(tool).get("name") or as_mapping(tool).get("type", tool)) for tool in tools[:_MAX_NAMES]
        )
        yield "tools", names + (f" and {len(tools) - _MAX_NAMES} more" if len(tools) > _MAX_NAMES else "")
    parameters = [
        f"{name}={str(value).lower()}" if isinstance(value, (bool, int, float)) else name
        for name, value in body.items()
        if name not in ("model", "input", "instructions", "tools")
    ]
    yield "parameters", ", ".join(parameters)
    compressed = f", sent as {request.sent_bytes:,} with {request.encoding}" if request.encoding else ""
    yield "size", f"{request.plain_bytes:,} bytes{compressed}"
    if explanation.tokens is not None:
        window = explanation.context_window
        yield "tokens", f"{explanation.tokens}" + (f"; the context window has {window:,}" if window else "")
    yield "headers", "; ".join(f"{name}: {value}" for name, value in request.headers.items())


def _pluralize(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
