"""The values that `client.codex.explain(...)` returns, the token estimate in them, and how they are printed.

Everything here is pure. Printing an explanation never shows a prompt: of the input, only item types and sizes appear.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from .._coerce import as_list, as_mapping
from .._json import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Explanation",
    "Finding",
    "FindingLevel",
    "PreparedRequest",
    "TokenEstimate",
    "estimate_tokens",
    "pluralize",
    "summary_rows",
]

FindingLevel = Literal["refused", "warning", "dropped", "changed", "note"]

# In the order in which findings are printed.
_MARKS: Final[dict[FindingLevel, str]] = {"refused": "✗", "warning": "!", "dropped": "-", "changed": "~", "note": "·"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One remark about a call: what happens, why, and what to do about it.

    `level` is `refused` (the client raises an exception and sends nothing), `warning` (the input is probably too long
    for the model), `dropped` (the client leaves the parameter or item out), `changed` (the client sends it in another
    form) or `note`. `remedy` is None when there is nothing to do.
    """

    level: FindingLevel
    what: str
    why: str = ""
    remedy: str | None = None

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.remedy) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEstimate:
    """A rough number of input tokens, counted without a tokenizer.

    `likely` is the estimate; ordinary text lies between `low` and `high`. `images` is the number of images; each
    counts as the same number of tokens. `uncounted` is the number of audio and file parts, which are not included.
    """

    low: int
    likely: int
    high: int
    images: int = 0
    uncounted: int = 0

    def __str__(self) -> str:
        parts = [f"about {self.likely:,} tokens (between {self.low:,} and {self.high:,})"]
        if self.images:
            parts.append(f"with {pluralize(self.images, 'image')}")
        if self.uncounted:
            parts.append(f"without {pluralize(self.uncounted, 'audio or file part')}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """The HTTP request that a call would send, without its secrets.

    `headers` has `…` as the value of each header that may be secret. `body` is the JSON document. `plain_bytes` is the
    size of that document, `sent_bytes` its size on the wire, and `encoding` the compression (`zstd`), None for none.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] = field(repr=False)
    plain_bytes: int
    sent_bytes: int
    encoding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What `client.responses.create()` would do with some parameters. Print it for a summary.

    `prepared_request` is None when the client refuses the call. `tokens` estimates the size of the input, None when the
    input is invalid. `context_window` is the size of the model's window in tokens, None when the client has not loaded
    the model catalog (`client.models.list()` does) or the catalog does not name it.
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
        return "\n".join(_lines(self))


# --- the token estimate ----------------------------------------------------------------------------------------------
# The Codex CLI counts four bytes of text as a token, an image as 7,373 bytes, and encrypted content as its decoded
# length less a constant (core/src/context_manager/history.rs, utils/string/src/truncate.rs). Prose has up to six bytes
# per token, code and JSON as few as two and a half: that is the range. Digits and base64 can lie outside it.

_BYTES_PER_TOKEN: Final = 4
_BYTES_PER_TOKEN_RANGE: Final = (6, 2.5)
_IMAGE_BYTES: Final = 7373
_REASONING_OVERHEAD_BYTES: Final = 650
_UNCOUNTED: Final = ("input_audio", "input_file")


def estimate_tokens(body: Mapping[str, Any]) -> TokenEstimate:
    """Estimate the number of input tokens of a request body."""
    parts = [part for item in as_list(body.get("input")) for part in _parts(item)]
    kinds = Counter(as_mapping(part).get("type") for part in parts if isinstance(as_mapping(part).get("type"), str))
    images, uncounted = kinds["input_image"], sum(kinds[kind] for kind in _UNCOUNTED)
    size = sum(map(_bytes, parts))
    size += sum(len(encode(body[name])) for name in ("instructions", "tools", "text") if body.get(name))
    low, high = (int(size / bytes_per_token) for bytes_per_token in _BYTES_PER_TOKEN_RANGE)
    fixed = images * _IMAGE_BYTES // _BYTES_PER_TOKEN
    likely = size // _BYTES_PER_TOKEN
    return TokenEstimate(low=low + fixed, likely=likely + fixed, high=high + fixed, images=images, uncounted=uncounted)


def _parts(item: Any) -> Iterator[Any]:
    """Yield the content parts of an item, then the item without them."""
    if isinstance(item, dict):
        lists = [name for name in ("content", "output") if isinstance(item.get(name), list)]
        for name in lists:
            yield from item[name]
        item = {name: value for name, value in item.items() if name not in lists}
    yield item


def _bytes(part: Any) -> int:
    kind, encrypted = as_mapping(part).get("type"), as_mapping(part).get("encrypted_content")
    if kind == "input_image" or kind in _UNCOUNTED:
        return 0
    if not isinstance(encrypted, str):
        return len(encode(part))
    if kind == "encrypted_content":
        return len(encrypted) * 9 // 16
    return max(0, len(encrypted) * 3 // 4 - _REASONING_OVERHEAD_BYTES)


# --- rendering -------------------------------------------------------------------------------------------------------

_WIDTH: Final = 100
_NAMES_SHOWN: Final = 8


def summary_rows(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Yield name and value of each fact about the request that a user wants to read. No prompt is among them."""
    request = explanation.prepared_request
    if request is None:
        return
    body = request.body
    yield "request", f"{request.method} {request.url}"
    yield "model", explanation.model
    given = as_list(body.get("input"))
    kinds = Counter(map(_kind, given))
    names = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common(_NAMES_SHOWN))
    yield "input", pluralize(len(given), "item") + (f": {names}" if names else "")
    if body.get("instructions"):
        yield "instructions", f"{len(str(body['instructions'])):,} characters"
    if tools := as_list(body.get("tools")):
        shown = ", ".join(map(_tool_name, tools[:_NAMES_SHOWN]))
        yield "tools", shown + (f" and {len(tools) - _NAMES_SHOWN} more" if len(tools) > _NAMES_SHOWN else "")
    shown_above = ("model", "input", "instructions", "tools")
    yield "parameters", ", ".join(_parameter(name, value) for name, value in body.items() if name not in shown_above)
    encoded = f", sent as {request.sent_bytes:,} with {request.encoding}" if request.encoding else ""
    yield "size", f"{request.plain_bytes:,} bytes{encoded}"
    if explanation.tokens is not None:
        window = explanation.context_window
        yield "tokens", f"{explanation.tokens}" + (f"; the context window has {window:,}" if window else "")
    yield "headers", "; ".join(f"{name}: {value}" for name, value in request.headers.items())


def _kind(item: Any) -> str:
    kind = as_mapping(item).get("type")
    return f"{as_mapping(item).get('role')} message" if kind == "message" else str(kind)


def _tool_name(tool: Any) -> str:
    return str((tool.get("name") or tool.get("type")) if isinstance(tool, dict) else tool)


def _parameter(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"{name}={'true' if value else 'false'}"
    return f"{name}={value}" if isinstance(value, (int, float)) else name


def pluralize(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it needs one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _lines(explanation: Explanation) -> Iterator[str]:
    yield "This request would be sent:" if explanation.prepared_request else "The client refuses the call."
    for name, value in summary_rows(explanation):
        yield from _wrapped(value, first=f"  {name:<14}", rest=" " * 16)
    for finding in sorted(explanation.findings, key=lambda finding: list(_MARKS).index(finding.level)):
        yield from _wrapped(f"{finding.what} {finding.why}".strip(), first=f"{_MARKS[finding.level]} ", rest="  ")
        yield from _wrapped(finding.remedy or "", first="  → ", rest="    ")


def _wrapped(text: str, *, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
