"""Parse model requests: the input items, the user's texts and the tools.

The simulator parses requests with its own code and shares no decoder with the client, so it cannot repeat an error of
the client's encoder. Simulated encrypted content is base64-encoded JSON with the prefix of real encrypted content. It
lets the simulator check that a client returns an item unchanged, with the same account and model.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .model_catalog import CatalogEntry, ModelCatalog
    from .simulated_account import SimulatedAccount

__all__ = ["ParsedRequest", "RequestedTool", "decode_encrypted_content", "encode_encrypted_content", "item_text"]

# Real encrypted content is a Fernet token; every Fernet token begins with these characters.
_ENCRYPTED_PREFIX = "gAAAAA"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedTool:
    """A tool that the model may call. `namespace` is the name of the namespace tool that contains it, if any.

    `partial_images` is the member of an image generation tool: how many previews the stream contains.
    """

    type: str
    name: str
    parameters: Mapping[str, Any] | None = None
    namespace: str | None = None
    partial_images: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """A model request: its decoded body and headers, and the simulator's account and model catalog.

    Over a WebSocket, the body has the complete input: the items of the response with `previous_response_id`, and those
    of the message.
    """

    body: dict[str, Any]
    headers: Mapping[str, str]
    account: SimulatedAccount
    model_catalog: ModelCatalog
    previous_response_id: str | None = None

    @property
    def model(self) -> str:
        """The `model` member of the body. Validation rejects requests without it."""
        return str(self.body.get("model"))

    @property
    def catalog_entry(self) -> CatalogEntry | None:
        """The entry of the model, or None if the account does not get this model."""
        return self.model_catalog.find(self.body.get("model"), plan=self.account.plan)

    def items(self) -> list[dict[str, Any]]:
        """Return the input items. An item without `type` is a message."""
        return [item if "type" in item else {"type": "message", **item} for item in self.raw_items()]

    def raw_items(self) -> list[dict[str, Any]]:
        """Return the input items as they are in the body."""
        return _objects(self.body.get("input"))

    def user_texts(self) -> list[str]:
        """Return the text of each user message."""
        return [item_text(item) for item in self.items() if item.get("role") == "user"]

    def prompt(self) -> str:
        """Return the text of the last user message, or an empty string if there is no user message."""
        return next(reversed(self.user_texts()), "")

    def tools(self) -> list[RequestedTool]:
        """Return the tools of `tools` and of `additional_tools` items. Namespace tools are flattened."""
        tools = _objects(self.body.get("tools"))
        for item in self.items():
            if item["type"] == "additional_tools":
                tools += _objects(item.get("tools"))
        return [callable_tool for tool in tools for callable_tool in _flatten_namespaces(tool)]


def item_text(item: Mapping[str, Any]) -> str:
    """Return the text of a message or of a tool output."""
    content = item.get("content") if "content" in item else item.get("output")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


def encode_encrypted_content(**payload: Any) -> str:
    """Encode the payload as a string that looks like encrypted content."""
    return _ENCRYPTED_PREFIX + base64.urlsafe_b64encode(json.dumps(payload, sort_keys=True).encode()).decode()


def decode_encrypted_content(content: object) -> dict[str, Any] | None:
    """Return the payload of `encode_encrypted_content`, or None if `content` was not created by that function."""
    if not isinstance(content, str) or not content.startswith(_ENCRYPTED_PREFIX):
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(content[len(_ENCRYPTED_PREFIX) :]))
    except (binascii.Error, ValueError):
        return None
    return payload if isinstance(payload, dict) else None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


def _flatten_namespaces(tool: Mapping[str, Any], namespace: str | None = None) -> Iterator[RequestedTool]:
    tool_type = str(tool.get("type"))
    if tool_type == "namespace":
        for nested_tool in _objects(tool.get("tools")):
            yield from _flatten_namespaces(nested_tool, str(tool.get("name")))
        return
    parameters, partial_images = tool.get("parameters"), tool.get("partial_images")
    yield RequestedTool(
        type=tool_type,
        name=str(tool.get("name", tool_type)),  # hosted tools have no name
        parameters=parameters if isinstance(parameters, dict) else None,
        namespace=namespace,
        partial_images=partial_images if isinstance(partial_images, int) else 0,
    )
