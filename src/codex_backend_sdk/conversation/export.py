"""Write a conversation as Markdown for people, or as JSON for programs. Pure.

Both take the records of a file, as `Journal.records` returns them, or items. A file keeps every item, so the text is
complete also after a compaction or a rollback; both are noted where they happened.

Secrets are removed by default: tool outputs often have keys and passwords in clear text. `redact_secrets` finds them by
their form, so it cannot find all of them. Encrypted content and images are left alone, because a part of them may have
the form of a key.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from .._coerce import as_count, as_mapping
from .._redaction import REDACTED, redact, remove_control_characters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["iterate_markdown", "redact_secrets", "to_json", "to_markdown"]

Entry = dict[str, Any]

# --- secrets ---------------------------------------------------------------------------------------------------------

# Beside the tokens of OpenAI, which `_redaction` knows. The sources are the public documentations of the issuers.
_SECRETS: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"
    r"|(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA)[0-9A-Z]{16}"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{30,}+|github_pat_[A-Za-z0-9_]{22,}+|glpat-[A-Za-z0-9_-]{20,}+"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}+"  # Slack
    r"|AIza[0-9A-Za-z_-]{35}"  # Google
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}+|hf_[A-Za-z0-9]{30,}+"
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}+"  # Stripe
    r")"
)
_URL_PASSWORD: Final = re.compile(r"(://[^\s/:@]{1,100}:)[^\s/@]{1,200}(?=@)")
# `PASSWORD=...` and `"api_key": "..."`. The value must have a digit, unlike the names of variables and functions.
_ASSIGNMENT: Final = re.compile(
    r"((?:password|passwd|secret|token|api[_-]?key|access[_-]?key)\\{0,3}[\"']?[ \t]{0,3}[=:][ \t]{0,3}\\{0,3}[\"']?)"
    r"(?=[^\s\"'()\[\]{},;\\]{0,100}\d)[^\s\"'()\[\]{},;\\]{8,}+",
    re.IGNORECASE,
)
_OPAQUE_MEMBERS: Final = frozenset({"encrypted_content", "file_data", "$blob"})


def redact_secrets(record: Entry) -> Entry:
    """Replace tokens, keys and passwords in the texts of a record or an item by `[REDACTED]`, in a copy.

    It can be the argument `redact` of a conversation, so that they are not written to its file either.
    """
    redacted: Entry = _map_texts(record, _without_secrets)
    return redacted


def _without_secrets(text: str) -> str:
    text = _SECRETS.sub(REDACTED, redact(text))
    text = _URL_PASSWORD.sub(rf"\1{REDACTED}", text)
    return _ASSIGNMENT.sub(lambda match: match[0] if REDACTED in match[0] else f"{match[1]}{REDACTED}", text)


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return a copy with changed texts, except encrypted content, data URLs and generated images."""
    if isinstance(value, str):
        return value if value.startswith("data:") else change(value)
    if isinstance(value, dict):
        opaque = {"result", *_OPAQUE_MEMBERS} if value.get("type") == "image_generation_call" else _OPAQUE_MEMBERS
        return {name: member if name in opaque else _map_texts(member, change) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_map_texts(element, change) for element in value]
    return value


# --- JSON ------------------------------------------------------------------------------------------------------------

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def to_json(entries: Iterable[Entry], *, header: Mapping[str, Any] | None = None, redact: bool = True) -> str:
    """Return `{"header": {...}, "records": [...]}` as JSON text. An item is the record `{"type": "item", "item": ...}`.

    `entries` are records or items, `header` is the header of the file. With `redact=False`, secrets are kept.
    """
    records = [entry if _is_record(entry) else {"type": "item", "item": entry} for entry in entries]
    document = {"header": dict(header or {}), "records": records}
    text = json.dumps(redact_secrets(document) if redact else document, ensure_ascii=False, indent=2)
    return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def _is_record(entry: Entry) -> bool:
    # An item may have the type `compaction`, too.
    return entry.get("type") in _RECORD_TYPES and not (entry["type"] == "compaction" and "item" not in entry)


_RECORD_TYPES: Final = (
    "settings", "item", "response", "call_started", "call_finished", "call_decided", "compaction", "edit", "expand",
    "rollback",
)  # fmt: skip


# --- Markdown --------------------------------------------------------------------------------------------------------


def to_markdown(
    entries: Iterable[Entry],
    *,
    title: str = "Conversation",
    settings: Mapping[str, Any] | None = None,
    image_folder: str | None = None,
    redact: bool = True,
) -> str:
    """Return a conversation as Markdown: messages, summaries of reasoning, calls, outputs, and the usage at the end.

    `entries` are records or items. `settings` may have a `model` and `instructions`, which are shown first. With
    `image_folder`, the path of the folder with stored images, `Journal.records(with_blobs=False)` yields links to them;
    other images are named with their type and size. With `redact=False`, secrets are kept.
    """
    parts = iterate_markdown(entries, title=title, settings=settings, image_folder=image_folder, redact=redact)
    return "\n\n".join(parts) + "\n"


def iterate_markdown(
    entries: Iterable[Entry],
    *,
    title: str = "Conversation",
    settings: Mapping[str, Any] | None = None,
    image_folder: str | None = None,
    redact: bool = True,
) -> Iterator[str]:
    """Yield the blocks of `to_markdown`, to be joined with an empty line. An entry is not needed after its block."""
    writer = _MarkdownWriter(image_folder, _without_secrets if redact else remove_control_characters)
    yield f"# {writer.text(title)}"
    yield from writer.settings(settings or {})
    for entry in entries:
        yield from writer.entry(entry)
    yield from writer.usage()


_ROLES: Final = {"user": "User", "assistant": "Assistant", "developer": "Developer", "system": "System"}
_CALL_TEXTS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
_BACKTICKS: Final = re.compile("`+")
_DATA_URL: Final = re.compile(r"data:([\w.+/-]{0,100})")
_SUMMARY_NOTE: Final = (
    "*The history before this point was compacted. The model continues with a summary that only the backend can read.*"
)


class _MarkdownWriter:
    """Convert the records of one conversation, in order. `text` removes what must not be shown from a text."""

    def __init__(self, image_folder: str | None, text: Callable[[str], str]) -> None:
        self.text = text
        self._image_folder = image_folder
        self._tool_names = dict[str, str]()
        self._model: Any = None
        self._responses = 0
        self._tokens = dict.fromkeys(("input", "cached input", "output", "reasoning"), 0)

    # Records

    def settings(self, settings: Mapping[str, Any]) -> Iterator[str]:
        model, instructions = settings.get("model"), settings.get("instructions")
        if isinstance(model, str) and model != self._model:
            self._model = model
            yield f"Model: {self._code(model)}"
        if isinstance(instructions, str) and instructions:
            yield f"## Instructions\n\n{self.text(instructions)}"

    def entry(self, entry: Entry) -> Iterator[str]:
        if not _is_record(entry):
            yield from self._item(entry)
            return
        record_type = entry["type"]
        if record_type == "settings":
            yield from self.settings(as_mapping(entry.get("settings")))
        elif record_type == "item":
            yield from self._item(as_mapping(entry.get("item")))
        elif record_type == "response":
            self._add_usage(entry)
        elif record_type == "compaction":
            yield _SUMMARY_NOTE
        elif record_type == "edit":
            yield "*The history was edited here.*"
            for insertion in entry.get("insert") or ():
                yield from self._item(as_mapping(as_mapping(insertion).get("item")))
        elif record_type == "expand":
            yield "*The compacted items were restored here.*"
        elif record_type == "rollback":
            yield "*The conversation was set back here: the model does not see some of the items above.*"

    def _add_usage(self, record: Entry) -> None:
        usage = as_mapping(record.get("usage"))
        details = as_mapping(usage.get("input_tokens_details")), as_mapping(usage.get("output_tokens_details"))
        counts = (
            usage.get("input_tokens"),
            details[0].get("cached_tokens"),
            usage.get("output_tokens"),
            details[1].get("reasoning_tokens"),
        )
        self._responses += 1
        for name, count in zip(self._tokens, counts, strict=True):
            self._tokens[name] += as_count(count) or 0

    def usage(self) -> Iterator[str]:
        if self._responses:
            tokens = ", ".join(f"{count:,} {name}" for name, count in self._tokens.items())
            yield f"---\n\nResponses: {self._responses}. Tokens: {tokens}."

    # Items

    def _item(self, item: Mapping[str, Any]) -> Iterator[str]:
        item_type = item.get("type", "message")
        if item_type == "message":
            yield from self._message(item)
        elif item_type == "reasoning":
            summary = "\n\n".join(self._parts(item.get("summary")))
            if summary:
                yield _quoted(f"**Reasoning**\n\n{summary}")
        elif item_type in ("compaction", "compaction_summary", "context_compaction"):
            yield _SUMMARY_NOTE
        elif item_type == "configuration_update":
            yield f"*Settings: {self._code(_json(item.get('reasoning')))}*"
        elif item_type == "web_search_call":
            yield f"*Web search: {self._code(_json(item.get('action')))}*"
        elif item_type == "image_generation_call":
            yield f"### Generated image\n\n{self._image(item.get('result'))}"
        elif str(item_type).endswith("_output"):
            yield from self._output(item)
        elif "call_id" in item:
            yield from self._call(item)
        else:
            members = {name: value for name, value in item.items() if name != "encrypted_content"}
            yield f"### {self._code(str(item_type))}\n\n{self._fenced(_json(members), 'json')}"

    def _message(self, item: Mapping[str, Any]) -> Iterator[str]:
        notes = [item["phase"]] if item.get("phase") == "commentary" else []
        if item.get("status") == "incomplete":
            notes.append("incomplete")
        role = _ROLES.get(str(item.get("role")), "Message")
        heading = f"## {role}{' (' + ', '.join(notes) + ')' if notes else ''}"
        yield "\n\n".join([heading, *self._parts(item.get("content"))])

    def _call(self, item: Mapping[str, Any]) -> Iterator[str]:
        name = str(item.get("name", item["type"]))
        self._tool_names[str(item["call_id"])] = name
        member = _CALL_TEXTS.get(item["type"])
        given = item.get(member) if member else item.get("action", item.get("arguments"))
        text, language = (given, "") if isinstance(given, str) else (_json(given), "json")
        if item["type"] == "function_call":
            language = "json"
        yield f"### Call of {self._code(name)}\n\n{self._fenced(text, language)}"

    def _output(self, item: Mapping[str, Any]) -> Iterator[str]:
        name = self._tool_names.get(str(item.get("call_id")))
        output = item.get("output", item.get("tools"))
        if isinstance(output, list):
            parts = list(self._parts(output, is_fenced=True))
        else:
            parts = [self._fenced(output if isinstance(output, str) else _json(output))]
        yield "\n\n".join([f"### Output{f' of {self._code(name)}' if name else ''}", *parts])

    def _parts(self, content: Any, *, is_fenced: bool = False) -> Iterator[str]:
        for part in content if isinstance(content, list) else [content] if content else []:
            members = {"type": "text", "text": part} if isinstance(part, str) else as_mapping(part)
            text = members.get("text", members.get("refusal"))
            if isinstance(text, str):
                yield self._fenced(text) if is_fenced else self.text(text)
            elif members.get("type") == "input_image":
                yield self._image(members.get("image_url"))
            elif members.get("type") in ("input_file", "input_audio"):
                name = members.get("filename") or members["type"].removeprefix("input_")
                data = members.get("file_data", members.get("audio_url"))
                yield f"*[{self.text(str(name))}: {_size_of(data)}]*"
            else:
                yield f"*[{self._code(str(members.get('type')))}]*"

    def _image(self, url: Any) -> str:
        blob = as_mapping(url).get("$blob")
        if isinstance(blob, str):
            name = quote(f"{self._image_folder}/{blob}") if self._image_folder else None
            return f"![image]({name})" if name else f"*[image: {self._code(blob)}]*"
        if isinstance(url, str) and url.startswith(("http://", "https://")):
            return f"*[image: {self._code(url)}]*"  # not embedded: a viewer would load it
        return f"*[image: {_size_of(url)}]*"

    # Texts

    def _code(self, text: str) -> str:
        """Return a text as inline code, in one line."""
        return _in_backticks(" ".join(self.text(text).split()))

    def _fenced(self, text: str, language: str = "") -> str:
        """Return a text as a code block, whose fence is longer than any in the text."""
        text = self.text(text)
        fence = "`" * max(3, _longest_backticks(text) + 1)
        return f"{fence}{language}\n{text.removesuffix(chr(10))}\n{fence}"


def _in_backticks(text: str) -> str:
    delimiter = "`" * (_longest_backticks(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return f"{delimiter}{space}{text}{space}{delimiter}"


def _longest_backticks(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _size_of(data: Any) -> str:
    """Return the type and the size of a data URL or Base64 text."""
    if not isinstance(data, str) or not data:
        return "not stored"
    match = _DATA_URL.match(data)
    size = (len(data) - (data.find(",") + 1)) * 3 // 4
    return f"{match[1] + ', ' if match and match[1] else ''}about {size:,} bytes"
