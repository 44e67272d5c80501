"""What is known of a call before it is made: the values, and how they read."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from .._coerce import items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["MARKS", "Explanation", "Finding", "FindingLevel", "PreparedRequest", "TokenEstimate", "facts"]

FindingLevel = Literal["refused", "warning", "dropped", "changed", "note"]

# In the order in which they are told.
MARKS: Final[dict[FindingLevel, str]] = {"refused": "✗", "warning": "!", "dropped": "-", "changed": "~", "note": "·"}

_WIDTH: Final = 100
_NAMES_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to know about a call.

    `level`: `refused` (this client raises, nothing is sent), `warning` (the backend is known, or likely, to refuse
    it), `dropped` (left out), `changed` (sent in another form), `note`. `remedy` is what to do, None when there is
    nothing to.
    """

    level: FindingLevel
    what: str
    why: str = ""
    remedy: str | None = None

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.remedy) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEstimate:
    """How many tokens the input is, roughly: `likely`, and the range that it is in for ordinary texts.

    `images` are counted in, at the same number of tokens each; `uncounted` parts (audio, files) are not.
    """

    low: int
    likely: int
    high: int
    images: int = 0
    uncounted: int = 0

    def __str__(self) -> str:
        parts = [f"about {self.likely:,} tokens (between {self.low:,} and {self.high:,})"]
        if self.images:
            parts.append(f"with {self.images} images" if self.images > 1 else "with an image")
        if self.uncounted:
            parts.append(f"without {self.uncounted} part{'s' if self.uncounted > 1 else ''} of audio or files")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """The request, as it would go out. `headers` shows `…` for what is, or may be, secret.

    `body` is the JSON document; `plain_bytes` its size, `sent_bytes` the size on the wire, `encoding` how it gets
    that small (`zstd`), None for a body that is sent as it is.
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
    """What `client.responses.create()` would do with these parameters. Print it to read it.

    `prepared_request` is None when nothing would be: the call is refused. `context_window` counts tokens, None when the
    catalogue is not known or says nothing.
    """

    model: str
    prepared_request: PreparedRequest | None
    findings: tuple[Finding, ...] = ()
    tokens: TokenEstimate | None = None
    context_window: int | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the call raises, and nothing is sent."""
        return self.prepared_request is None

    @property
    def is_doubtful(self) -> bool:
        """Whether the backend is likely to refuse it, or part of it."""
        return any(finding.level == "warning" for finding in self.findings)

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def facts(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Yield name and value of what a person wants to know of the request; no prompt is shown."""
    sent = explanation.prepared_request
    if sent is None:
        return
    yield "to", f"{sent.method} {sent.url}"
    yield "model", explanation.model
    yield from _told(sent.body)
    yield "size", _size(sent)
    if explanation.tokens is not None:
        window = explanation.context_window
        yield "estimate", f"{explanation.tokens}" + (f"; the window is {window:,}" if window else "")
    yield "headers", "; ".join(f"{name}: {value}" for name, value in sent.headers.items())


def _told(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "input", _items(body.get("input"))
    if body.get("instructions"):
        yield "instructions", f"{len(str(body['instructions'])):,} characters"
    if items(body.get("tools")):
        yield "tools", _shortened([_tool(tool) for tool in body["tools"]])
    rest = [_member(name, value) for name, value in body.items() if name not in _TOLD]
    yield "besides", ", ".join(rest)


_TOLD: Final = ("model", "input", "instructions", "tools")


def _items(given: Any) -> str:
    given = items(given)
    counts = Counter(_kind(item) for item in given)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common(_NAMES_SHOWN))
    return f"{len(given):,} item{'' if len(given) == 1 else 's'}" + (f": {kinds}" if kinds else "")


def _kind(item: Any) -> str:
    kind = item.get("type") if isinstance(item, dict) else None
    return f"message of {item.get('role')}" if kind == "message" else str(kind)


def _tool(tool: Any) -> str:
    return str((tool.get("name") or tool.get("type")) if isinstance(tool, dict) else tool)


def _shortened(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _member(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"{name}={'true' if value else 'false'}"
    return f"{name}={value}" if isinstance(value, (int, float)) else name


def _size(sent: PreparedRequest) -> str:
    plain = f"{sent.plain_bytes:,} bytes"
    return plain if sent.encoding is None else f"{plain}, sent as {sent.sent_bytes:,} with {sent.encoding}"


def _lines(explanation: Explanation) -> Iterator[str]:
    yield "Would be sent:" if explanation.prepared_request else "Nothing would be sent: the call is refused."
    for name, value in facts(explanation):
        yield from _wrapped(value, first=f"  {name:<14}", then=" " * 16)
    for level, mark in MARKS.items():
        for finding in explanation.findings:
            if finding.level == level:
                yield from _wrapped(f"{finding.what} {finding.why}".strip(), first=f"{mark} ", then="  ")
                yield from _wrapped(finding.remedy or "", first="  → ", then="    ")


def _wrapped(text: str, *, first: str, then: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=then, break_long_words=False, break_on_hyphens=False
    )
