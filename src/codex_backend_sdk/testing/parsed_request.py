"""A model request as the simulator reads it: the input items, the user's texts and the tools.

The simulator has its own reading of a request and shares no decoder with the client, so an error in the client's
encoding cannot hide behind the same error here. Encrypted content is plain base64 behind the prefix of the real one:
the simulator can check that an item comes back unchanged, from the same account and model.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .model_catalog import ModelCatalog
    from .simulated_account import SimulatedAccount

__all__ = ["ParsedRequest", "RequestedTool", "make_encrypted_content", "read_encrypted_content", "text_of"]

# Real encrypted content is a Fernet token, and those begin like this.
_ENCRYPTED_PREFIX = "gAAAAA"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedTool:
    """A tool that the model may call. `kind` is its type on the wire; `namespace` is that of its group, if any."""

    kind: str
    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """The decoded body and headers of a model request, with the account and the model catalog it is for."""

    body: dict[str, Any]
    headers: Mapping[str, str]
    account: SimulatedAccount
    model_catalog: ModelCatalog

    @property
    def model(self) -> str:
        """The slug of the model."""
        return str(self.body.get("model"))

    def items(self) -> list[dict[str, Any]]:
        """Return the input items. An item without `type` is a message."""
        return [item if "type" in item else {"type": "message", **item} for item in _objects(self.body.get("input"))]

    def user_texts(self) -> list[str]:
        """Return the text of each user message."""
        return [text_of(item) for item in self.items() if item.get("role") == "user"]

    def prompt(self) -> str:
        """Return the text of the last user message, or the empty string."""
        texts = self.user_texts()
        return texts[-1] if texts else ""

    def tools(self) -> list[RequestedTool]:
        """Return the tools of `tools` and of `additional_tools` items; those in a namespace are unpacked."""
        tools = _objects(self.body.get("tools"))
        for item in self.items():
            if item["type"] == "additional_tools":
                tools += _objects(item.get("tools"))
        return [unpacked for tool in tools for unpacked in _unpack(tool)]


def text_of(item: Mapping[str, Any]) -> str:
    """Return the text of a message or of a tool output."""
    content = item.get("content") if "content" in item else item.get("output")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


def make_encrypted_content(**facts: Any) -> str:
    """Return the facts as text that looks like encrypted content."""
    return _ENCRYPTED_PREFIX + base64.urlsafe_b64encode(json.dumps(facts, sort_keys=True).encode()).decode()


def read_encrypted_content(content: object) -> dict[str, Any] | None:
    """Return the facts in content of `make_encrypted_content`, or None for any other value."""
    if not isinstance(content, str) or not content.startswith(_ENCRYPTED_PREFIX):
        return None
    try:
        facts = json.loads(base64.urlsafe_b64decode(content[len(_ENCRYPTED_PREFIX) :]))
    except (binascii.Error, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


def _unpack(tool: Mapping[str, Any], namespace: str | None = None) -> Iterator[RequestedTool]:
    kind = str(tool.get("type"))
    if kind == "namespace":
        for inner in _objects(tool.get("tools")):
            yield from _unpack(inner, str(tool.get("name")))
        return
    parameters = tool.get("parameters")
    yield RequestedTool(
        kind=kind,
        name=str(tool.get("name", kind)),
        description=str(tool.get("description") or ""),
        parameters=parameters if isinstance(parameters, dict) else None,
        namespace=namespace,
    )
