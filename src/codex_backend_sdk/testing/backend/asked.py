"""Read a request for a model answer: its items, the words of the person, the tools."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..sim_account import Account
    from .model_catalogue import Catalogue

__all__ = ["Asked", "Tool", "open_sealed", "seal"]

# What real blobs begin with; the rest of ours is plain base64, so that the simulator can check and remember.
_SEAL = "gAAAAA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that the model may call. `kind` is the wire's type; a tool of a namespace carries its name."""

    kind: str
    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A decoded request, with what is known about who sent it."""

    body: dict[str, Any]
    headers: Mapping[str, str]
    account: Account
    catalogue: Catalogue

    @property
    def model(self) -> str:
        """The model's slug."""
        return str(self.body.get("model"))

    def items(self) -> list[dict[str, Any]]:
        """Return the input items, a message without its `type` given one."""
        items = _objects(self.body.get("input"))
        return [item if "type" in item else {"type": "message", **item} for item in items]

    def user_texts(self) -> list[str]:
        """Return what the person wrote, message by message."""
        return [text_of(item) for item in self.items() if item.get("role") == "user"]

    def prompt(self) -> str:
        """Return the person's last message, or the empty string."""
        texts = self.user_texts()
        return texts[-1] if texts else ""

    def tools(self) -> list[Tool]:
        """Return the tools, those of the first input items and of namespaces too."""
        given = _objects(self.body.get("tools"))
        for item in self.items():
            if item["type"] == "additional_tools":
                given += _objects(item.get("tools"))
        return [tool for each in given for tool in _tools(each)]


def text_of(item: Mapping[str, Any]) -> str:
    """Return the text of a message's content or of a tool output."""
    content = item.get("content") if "content" in item else item.get("output")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


def seal(**facts: Any) -> str:
    """Return facts as a blob that looks like encrypted content."""
    return _SEAL + base64.urlsafe_b64encode(json.dumps(facts, sort_keys=True).encode()).decode()


def open_sealed(blob: object) -> dict[str, Any] | None:
    """Return the facts in a blob of `seal`, or None for any other."""
    if not isinstance(blob, str) or not blob.startswith(_SEAL):
        return None
    try:
        facts = json.loads(base64.urlsafe_b64decode(blob[len(_SEAL) :]))
    except (binascii.Error, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def _objects(given: Any) -> list[dict[str, Any]]:
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def _tools(given: Mapping[str, Any], namespace: str | None = None) -> Iterator[Tool]:
    kind = str(given.get("type"))
    if kind == "namespace":
        for inner in _objects(given.get("tools")):
            yield from _tools(inner, str(given.get("name")))
        return
    parameters = given.get("parameters")
    yield Tool(
        kind=kind,
        name=str(given.get("name", kind)),
        description=str(given.get("description") or ""),
        parameters=parameters if isinstance(parameters, dict) else None,
        namespace=namespace,
    )
