"""Translate the messages of Chat Completions to the input items of Responses. Pure.

Every message stays in its place: system messages become developer messages where they are, because the backend accepts
no system messages, and text in front of the history would change the beginning of the prompt, which the prompt cache
needs. Items are built from known members only, since the backend rejects unknown ones; the `name` of a message is among
those that are left out. Item ids are never sent: Chat Completions has none.

An assistant message has one flat text and a list of calls, and reasoning is not part of it. `completion` therefore adds
`reasoning_details` to a message, with the encrypted reasoning and the commentary of the response. A caller that sends
the message back as it came sends the reasoning, too. Entries for another model or another account are left out, as
`history.strip` does.

Every call needs exactly one output, else the backend rejects this and each later request (400 "No tool output found for
function call", "No tool call found for function call output").
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from .._coerce import hashed_call_id
from .._constants import MAX_ID_LENGTH
from .._exceptions import CodexBackendUnsupportedParameterError, InvalidChatRequestError

__all__ = ["DETAILS_FORMAT", "TranslatedMessages", "translate_messages"]

Item = dict[str, Any]

# The `format` of OpenRouter's `reasoning_details` for reasoning of OpenAI's models.
DETAILS_FORMAT: Final = "openai-responses-v1"

# The output that a repair adds for a call without one. The call stays, so that its side effects remain visible.
_UNKNOWN_OUTPUT: Final = "[no output: the result of this call is unknown]"
_MAX_LISTED: Final = 5
_DATA_URL: Final = re.compile(r"data:image/[A-Za-z0-9][A-Za-z0-9.+-]*;base64,[A-Za-z0-9+/_=-]")
_SHOWN_CHARACTERS: Final = 40
# Reasoning that a program stores as a part of the assistant's content. Reasoning is read from `reasoning_details` only:
# text in a reasoning item is rejected (400 `array_above_max_length`).
_IGNORED_PARTS: Final = ("reasoning", "redacted_thinking", "thinking")


@dataclass(slots=True)
class TranslatedMessages:
    """The input items of a chat request.

    Attributes:
        items: The items, in the order of the messages.
        accounts: Encrypted content of a reasoning item → the digest of the account that it belongs to.
        repairs: What a repair changed: the place, such as `messages[3]`, and the problem.
    """

    items: list[Item] = field(default_factory=list)
    accounts: dict[str, str] = field(default_factory=dict)
    repairs: list[tuple[str, str]] = field(default_factory=list)


# Type of a call in a chat message → (type of the item, its member for the arguments, type of the output item).
_CALL_TYPES: Final = {
    "function": ("function_call", "arguments", "function_call_output"),
    "custom": ("custom_tool_call", "input", "custom_tool_call_output"),
}


def translate_messages(messages: Any, *, model: str, repair: bool = False) -> TranslatedMessages:
    """Return the input items for `messages`, which are JSON data.

    `model` is the requested model. Raises InvalidChatRequestError for messages that the backend would reject, and
    CodexBackendUnsupportedParameterError for files and audio that it cannot read. With `repair=True`, calls without an
    output get one that says so, and outputs without a call are left out.
    """
    if not isinstance(messages, list):
        raise InvalidChatRequestError(
            "`messages` is required. Pass a list of messages such as {'role': 'user', 'content': '...'}.",
            param="messages",
        )
    translator = _Translator(model, repair=repair)
    for index, message in enumerate(messages):
        translator.add(index, message)
    return translator.finish()


class _OpenCall(NamedTuple):
    call_id: str
    output_type: str
    message_index: int
    position: int  # in the items


class _Translator:
    def __init__(self, model: str, *, repair: bool) -> None:
        self._model = model
        self._repair = repair
        self._result = TranslatedMessages()
        self._items = self._result.items
        self._open: dict[str, _OpenCall] = {}
        self._problems: list[tuple[int, str]] = []
        self._function_count = 0

    def add(self, index: int, message: Any) -> None:
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            raise InvalidChatRequestError(
                f"`{path}` must be a mapping or an official object, not {type(message).__name__}.", param=path
            )
        role = message.get("role")
        handler = _HANDLERS.get(role) if isinstance(role, str) else None
        if handler is None:
            raise InvalidChatRequestError(
                f"`{path}.role` is {role!r}. Use one of {', '.join(_HANDLERS)}.", param=f"{path}.role"
            )
        handler(self, index, path, message)

    def finish(self) -> TranslatedMessages:
        for call in reversed(self._open.values()):
            if self._repair:
                output = {"type": call.output_type, "call_id": call.call_id, "output": _UNKNOWN_OUTPUT}
                self._items.insert(call.position + 1, output)
        for key, call in self._open.items():
            self._report(call.message_index, f"(call {key!r}) has no tool message with its output")
        if self._problems and not self._repair:
            raise self._pairing_error()
        self._result.repairs = [(f"messages[{index}]", text) for index, text in self._problems]
        if not self._items:
            raise InvalidChatRequestError(
                "`messages` has no content: every text is empty. Pass at least one message with text or an image.",
                param="messages",
            )
        return self._result

    def _report(self, index: int, problem: str) -> None:
        self._problems.append((index, f"messages[{index}] {problem}"))

    def _pairing_error(self) -> InvalidChatRequestError:
        problems = [text for _, text in sorted(self._problems)]
        more = f"; and {len(problems) - _MAX_LISTED} more" if len(problems) > _MAX_LISTED else ""
        index = min(self._problems)[0]
        return InvalidChatRequestError(
            f"{'; '.join(problems[:_MAX_LISTED])}{more}. The backend would reject the request, so nothing was sent. "
            "Add a tool message for each call, and remove tool messages without a call.",
            param=f"messages[{index}]",
        )

    # Messages

    def _add_text_message(self, index: int, path: str, message: Item) -> None:
        role = "user" if message["role"] == "user" else "developer"
        parts = _input_parts(message.get("content"), f"{path}.content")
        if parts:
            self._items.append({"type": "message", "role": role, "content": parts})

    def _add_assistant(self, index: int, path: str, message: Item) -> None:
        if message.get("audio") is not None:
            raise _unsupported(f"{path}.audio", "pass the transcript as text")
        items: list[Item] = []
        content = _assistant_parts(message, f"{path}.content")
        if content:
            items.append({"type": "message", "role": "assistant", "content": content})
        replayed = self._replayed_items(message.get("reasoning_details"))
        calls = list(self._calls(index, path, message))
        if items or calls:  # reasoning without the item that follows it is rejected
            self._items += replayed
        self._items += items
        for key, call, output_type in calls:
            if key in self._open:
                self._report(index, f"(call {key!r}) repeats the id of a call without an output")
                continue
            self._open[key] = _OpenCall(call["call_id"], output_type, index, len(self._items))
            self._items.append(call)

    def _calls(self, index: int, path: str, message: Item) -> Any:
        """Yield (id in the messages, item, type of the output item) for each call."""
        tool_calls = message.get("tool_calls")
        for number, call in enumerate(tool_calls if isinstance(tool_calls, list) else ()):
            call_path = f"{path}.tool_calls[{number}]"
            call = call if isinstance(call, dict) else {}
            kind = "custom" if call.get("type") == "custom" else "function"
            call_id, details = call.get("id"), call.get(kind)
            if not isinstance(call_id, str) or not call_id:
                raise InvalidChatRequestError(
                    f"`{call_path}` has no `id`. Add the id to which its tool message refers.", param=f"{call_path}.id"
                )
            yield call_id, *_call_item(kind, call_id, details, f"{call_path}.{kind}")
        if isinstance(message.get("function_call"), dict):  # the predecessor of `tool_calls`; it has no id
            self._function_count += 1
            call_id = f"call_function_{self._function_count}"
            yield call_id, *_call_item("function", call_id, message["function_call"], f"{path}.function_call")

    def _add_output(self, index: int, path: str, message: Item) -> None:
        call_id = message.get("tool_call_id")
        if message["role"] == "function":
            call_id = f"call_function_{self._function_count}"
        call = self._open.pop(call_id, None) if isinstance(call_id, str) else None
        if call is None:
            self._report(index, f"(tool_call_id {call_id!r}) has no call before it")
            return
        content = message.get("content")
        output: Any = _input_parts(content, f"{path}.content") if isinstance(content, list) else _as_text(content)
        self._items.append({"type": call.output_type, "call_id": call.call_id, "output": output or ""})

    def _replayed_items(self, details: Any) -> list[Item]:
        """Return the items that `completion` stored in `reasoning_details`."""
        items: list[Item] = []
        for detail in details if isinstance(details, list) else ():
            if not isinstance(detail, dict) or detail.get("format") != DETAILS_FORMAT:
                continue
            data, text, model = detail.get("data"), detail.get("text"), detail.get("model")
            if detail.get("type") == "reasoning.encrypted" and isinstance(data, str) and data:
                if model in (None, self._model):
                    items.append({"type": "reasoning", "summary": [], "encrypted_content": data})
                    if isinstance(detail.get("account"), str):
                        self._result.accounts[data] = detail["account"]
            elif detail.get("phase") == "commentary" and isinstance(text, str) and text:
                content = [{"type": "output_text", "text": text}]
                items.append({"type": "message", "role": "assistant", "phase": "commentary", "content": content})
        return items


_HANDLERS: Final = {
    "system": _Translator._add_text_message,
    "developer": _Translator._add_text_message,
    "user": _Translator._add_text_message,
    "assistant": _Translator._add_assistant,
    "tool": _Translator._add_output,
    "function": _Translator._add_output,
}


# Content


def _input_parts(content: Any, path: str) -> list[Item]:
    """Return the parts of a message or of a tool output, without empty text, which the backend rejects."""
    if not isinstance(content, list):
        content = [{"type": "text", "text": _as_text(content)}]
    parts = [_input_part(part, f"{path}[{index}]") for index, part in enumerate(content)]
    return [part for part in parts if part.get("type") != "input_text" or part["text"].strip()]


def _input_part(part: Any, path: str) -> Item:
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    part_type = part.get("type") if isinstance(part, dict) else None
    if part_type in ("text", "input_text"):
        return {"type": "input_text", "text": _as_text(part.get("text"))}
    if part_type in ("image_url", "input_image"):
        return _image_part(part, path)
    if part_type in ("file", "input_file"):
        return _file_part(part, path)
    if part_type == "input_audio":
        raise _unsupported(f"{path}.input_audio", "pass the transcript as text")
    raise InvalidChatRequestError(
        f"`{path}` has the type {part_type!r}. Use text, image_url or file.", param=f"{path}.type"
    )


def _image_part(part: Item, path: str) -> Item:
    image = part.get("image_url")
    members = image if isinstance(image, dict) else {"url": image, "detail": part.get("detail")}
    url = members.get("url")
    if not isinstance(url, str) or not url.startswith(("https://", "http://", "data:")):
        raise InvalidChatRequestError(
            f"`{path}.image_url` is not a URL. Pass an https URL or a data URL (data:image/png;base64,...).",
            param=f"{path}.image_url",
        )
    if url.startswith("data:") and _DATA_URL.match(url) is None:
        # The backend rejects this request, and each later one whose history has the image.
        raise InvalidChatRequestError(
            f"`{path}.image_url` begins with {url[:_SHOWN_CHARACTERS]!r}, which is not the data URL of an image. "
            "Pass data:image/png;base64,... with the media type of the image and its data.",
            param=f"{path}.image_url",
        )
    return {"type": "input_image", "image_url": url, "detail": members.get("detail") or "auto"}


def _file_part(part: Item, path: str) -> Item:
    file = part.get("file")
    members = file if isinstance(file, dict) else part
    if members.get("file_id") is not None:
        raise _unsupported(f"{path}.file.file_id", "pass `file_data`: the backend stores no files")
    data = members.get("file_data")
    if not isinstance(data, str) or not data:
        raise InvalidChatRequestError(
            f"`{path}.file` has no `file_data`. Pass the file as a data URL (data:application/pdf;base64,...).",
            param=f"{path}.file.file_data",
        )
    name = members.get("filename")
    return {"type": "input_file", "file_data": data, **({"filename": name} if isinstance(name, str) else {})}


def _assistant_parts(message: Item, path: str) -> list[Item]:
    content, refusal = message.get("content"), message.get("refusal")
    if not isinstance(content, list):
        content = [{"type": "text", "text": _as_text(content)}]
    parts: list[Item] = []
    for index, given in enumerate([*content, *([{"type": "refusal", "refusal": refusal}] if refusal else [])]):
        part = given if isinstance(given, dict) else {"type": "text", "text": given}
        part_type = part.get("type")
        if part_type in ("text", "output_text"):
            text = _as_text(part.get("text"))
            if text.strip():
                parts.append({"type": "output_text", "text": text})
        elif part_type == "refusal":
            parts.append({"type": "refusal", "refusal": _as_text(part.get("refusal"))})
        elif part_type not in _IGNORED_PARTS:
            raise InvalidChatRequestError(
                f"`{path}[{index}]` has the type {part_type!r}. Use text or refusal in an assistant message.",
                param=f"{path}[{index}].type",
            )
    return parts


def _as_text(value: Any) -> str:
    """Return text. Programs also pass null, and JSON data as the result of a tool."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# Calls


def _call_item(kind: str, call_id: str, details: Any, path: str) -> tuple[Item, str]:
    """Return the item of a call and the type of its output item."""
    item_type, member, output_type = _CALL_TYPES[kind]
    members = details if isinstance(details, dict) else {}
    name = members.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidChatRequestError(f"`{path}` has no `name`. Add the name of the tool.", param=f"{path}.name")
    text = _as_text(members.get(member))
    if kind == "function":
        text = text or "{}"
    item = {"type": item_type, "call_id": _valid_call_id(call_id), "name": name, member: text}
    return item, output_type


def _valid_call_id(call_id: str) -> str:
    # The backend checks only the length. Cutting ids off would make two of them equal.
    return call_id if len(call_id) <= MAX_ID_LENGTH else hashed_call_id(call_id)


def _unsupported(path: str, remedy: str) -> CodexBackendUnsupportedParameterError:
    return CodexBackendUnsupportedParameterError(
        f"The Codex backend does not support `{path}`. Nothing was sent. Instead, {remedy}.", parameters=[path]
    )
