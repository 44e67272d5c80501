"""Convert the messages of `llm` to input items.

A part of an assistant message remembers the item that it comes from in `provider_metadata["codex"]`, which the log of
`llm` stores, so a continued conversation sends what the model had sent: encrypted reasoning with the model and account
that can read it, ids, phases, web searches, and the arguments of a call in their own spelling. The beginning of the
input then stays the same, and the prompt cache of the backend finds it.

Items keep the order of the parts. System messages become developer messages in their place.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from llm.parts import AttachmentPart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

from .. import history

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llm import Attachment
    from llm.parts import Message, Part

__all__ = ["METADATA_KEY", "attachment_types", "input_items"]

Item = dict[str, Any]

METADATA_KEY: Final = "codex"

_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
_PDF: Final = "application/pdf"


def attachment_types(modalities: Iterable[str]) -> frozenset[str]:
    """Return the media types that a model accepts as attachments. No modalities means that they are not known."""
    names = set(modalities)
    return (_IMAGES if not names or "image" in names else frozenset()) | {_PDF}


def input_items(
    messages: Iterable[Message], *, model: str | None, account_id: str | None, image_detail: str | None = None
) -> list[Item]:
    """Return the items for `input`.

    Reasoning that another model or account has encrypted is left out. A tool call without a result, which a cancelled
    command leaves in the log, gets a result that says so.
    """
    items = [item for message in messages for item in _message_items(message, image_detail)]
    return history.prepare(items, model=model, account_id=account_id, repair=True)


def _message_items(message: Message, image_detail: str | None) -> Iterator[Item]:
    if message.role == "assistant":
        for part in message.parts:
            yield from _assistant_items(part)
    elif message.role == "tool":
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                yield _call_output(part, image_detail)
    else:
        content = list(_content(message.parts, image_detail))
        if content:
            yield {"role": "developer" if message.role == "system" else "user", "content": content}


def _content(parts: Iterable[Part], image_detail: str | None) -> Iterator[Item]:
    for part in parts:
        if isinstance(part, TextPart) and part.text.strip():  # the backend rejects empty text
            yield {"type": "input_text", "text": part.text}
        elif isinstance(part, AttachmentPart) and part.attachment:
            yield _attachment_content(part.attachment, image_detail)


def _attachment_content(attachment: Attachment, image_detail: str | None) -> Item:
    media_type = attachment.resolve_type()
    if media_type == _PDF:
        return {"type": "input_file", "filename": f"{attachment.id()}.pdf", "file_data": _data_url(attachment)}
    url = attachment.url or _data_url(attachment)  # the backend fetches images, not other files
    detail = {} if image_detail is None else {"detail": image_detail}
    return {"type": "input_image", "image_url": url, **detail}


def _data_url(attachment: Attachment) -> str:
    return f"data:{attachment.resolve_type()};base64,{attachment.base64_content()}"


def _call_output(part: ToolResultPart, image_detail: str | None) -> Item:
    output: Any = part.output
    if part.attachments:
        content = [_attachment_content(each, image_detail) for each in part.attachments]
        output = [{"type": "input_text", "text": part.output}, *content] if part.output else content
    return {"type": "function_call_output", "call_id": part.tool_call_id, "output": output}


def _assistant_items(part: Part) -> Iterator[Item]:
    """Yield the item of a part. Parts without an item: reasoning of other providers, and results of the server."""
    item = (getattr(part, "provider_metadata", None) or {}).get(METADATA_KEY) or {}
    if isinstance(part, TextPart):
        content = [{"type": "output_text", "text": part.text}]
        yield {"type": "message", "role": "assistant", **item, "content": content}
    elif isinstance(part, ReasoningPart) or (isinstance(part, ToolCallPart) and part.server_executed):
        if item:
            yield item
    elif isinstance(part, ToolCallPart):
        arguments = item.get("arguments")
        if _parsed(arguments) != part.arguments:
            arguments = json.dumps(part.arguments)
        yield {
            "type": "function_call",
            **item,
            "call_id": part.tool_call_id,
            "name": part.name,
            "arguments": arguments,
        }


def _parsed(arguments: Any) -> Any:
    try:
        return json.loads(arguments)
    except (TypeError, ValueError):
        return None
