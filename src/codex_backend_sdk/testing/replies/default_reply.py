"""Generate the default reply to a request without a scripted turn.

The reply depends only on the request, except for the ids of the items. The first rule that matches applies:

1. If the last item is a `compaction_trigger`, the reply is a compaction item.
2. If the last item is a message and the request has tools, the reply calls a tool: the one of `tool_choice`, or the
   tools whose names share a word with the prompt ("the weather and the time" calls `get_weather` and `get_time` in
   parallel, unless `parallel_tool_calls` is false), or the first one. The arguments match the schema of the tool. The
   backend runs `web_search` and `image_generation` itself: the reply has sources, or a small PNG image, and a message.
3. If `text.format` has the type `json_schema`, the reply is a message with a JSON value that matches the schema.
4. If the last items are tool outputs, the reply is a message that quotes them, so that the loop of an agent ends.
5. If the prompt is `Say hello`, the reply is `hello`. `Say hello five times` repeats it. Tests can thus choose the text
   of the reply without a script.
6. If the prompt contains the word Markdown, the reply is Markdown with a heading, lists, a table and code.
7. Otherwise, the reply is a sentence that quotes the messages of the user.

Script a `Turn` for any other reply.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from ..parsed_request import decode_encrypted_content, encode_encrypted_content, item_text
from .json_values import example_value
from .reply_events import (
    Source,
    cited_message,
    custom_tool_call,
    function_call,
    image_generation_call,
    message,
    reasoning,
    web_search_call,
)

if TYPE_CHECKING:
    from ..id_generator import IdGenerator
    from ..parsed_request import ParsedRequest, RequestedTool
    from .reply_events import Item

__all__ = ["default_items"]

# DANGER: a coding agent that offers one of these tools runs the command that it receives. The simulator calls such a
# tool only if a script or `tool_choice` requires the call.
_AGENT_TOOLS: Final = frozenset({"apply_patch", "exec", "exec_command", "local_shell", "shell", "shell_command"})
_HOSTED_TYPES: Final = ("web_search", "image_generation")
_CALLABLE_TYPES: Final = ("function", "custom", *_HOSTED_TYPES)
# Words of a prompt that ask for a hosted tool, in addition to those of its name.
_SYNONYMS: Final = {"image_generation": {"draw", "paint", "picture", "sketch"}, "web_search": {"find", "news"}}
# Words in names of tools that do not say what the tool is about.
_GENERAL_WORDS: Final = frozenset({"get", "set", "the", "for", "and", "call", "tool", "function"})
_OUTPUT_TYPES: Final = ("function_call_output", "custom_tool_call_output")

_SAY_PATTERN: Final = re.compile(
    r"(?is)\s*say ['\"]?(?P<text>.+?)['\"]?(?: (?P<count>two|three|four|five) times)?[.!]?\s*"
)
_COUNTS: Final = {"two": 2, "three": 3, "four": 4, "five": 5}
_MARKDOWN_PATTERN: Final = re.compile(r"(?i)\bmarkdown\b")
_MAX_QUOTED_CHARACTERS: Final = 200
_MAX_EARLIER_MESSAGES: Final = 5

_INTRODUCTION: Final = "This is the simulator, not a model."
_SOURCES: Final = (
    Source("https://example.com/simulated-result", "A simulated search result"),
    Source("https://example.org/another-result", "Another simulated search result"),
)
_SUMMARIES: Final = (
    "**Reading the request**\n\nThe simulator looks at the last message and at the tools.",
    "**Composing the reply**\n\nThe reply quotes the message.",
)
_MARKDOWN: Final = """# A simulated reply

This is the simulator, **not a model**. You wrote: *{prompt}*

## What it contains

- a list with `code`
- a [link](https://example.com/)
  - and a nested entry

1. first
2. second

| Element | Example |
| --- | ---: |
| bold | **1** |
| code | `2` |

```python
def greet(name: str) -> str:
    return f"Hello, {{name}}!"
```

> A quotation, and the end."""


def default_items(request: ParsedRequest, ids: IdGenerator) -> list[Item]:
    """Return the output items. Raises `UnsupportedSchemaError` if no value can be generated for a schema."""
    items = request.items()
    if items and items[-1]["type"] == "compaction_trigger":
        return [_compaction(request, ids)]
    tools = _tools_to_call(request)
    reply_items = [_call(tool, request, ids) for tool in tools]
    if all(tool.type in _HOSTED_TYPES for tool in tools):
        # The backend runs these tools itself, so the message is part of the same response.
        reply_items.append(_message(request, ids, uses_sources=any(tool.type == "web_search" for tool in tools)))
    return [*_reasoning(request, ids), *reply_items]


def _tools_to_call(request: ParsedRequest) -> list[RequestedTool]:
    choice = request.body.get("tool_choice") or "auto"
    tools = [tool for tool in request.tools() if tool.type in _CALLABLE_TYPES]
    items = request.items()
    if choice == "none" or not items or items[-1]["type"] != "message":
        return []
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = {entry.get("name") for entry in choice.get("tools") or ()}
        tools = [tool for tool in tools if tool.name in allowed]
        choice = choice.get("mode", "auto")
    elif isinstance(choice, dict):
        # Hosted tools have no name. They are selected by type.
        name = choice.get("name", choice.get("type"))
        tools = [tool for tool in tools if tool.name == name]
    if choice == "auto" and any(tool.name in _AGENT_TOOLS for tool in request.tools()):
        return []
    words = _words(request.prompt())
    tools = [tool for tool in tools if words & _tool_words(tool)] or tools[:1]
    return tools[:1] if request.body.get("parallel_tool_calls") is False else tools


def _words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[^\W\d_]{3,}", text)}


def _tool_words(tool: RequestedTool) -> set[str]:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", tool.name).replace("_", " ")
    return (_words(name) | _SYNONYMS.get(tool.type, set())) - _GENERAL_WORDS


def _call(tool: RequestedTool, request: ParsedRequest, ids: IdGenerator) -> Item:
    prompt = request.prompt()
    if tool.type == "web_search":
        has_sources = "web_search_call.action.sources" in (request.body.get("include") or [])
        return web_search_call(prompt, ids, sources=_SOURCES if has_sources else ())
    if tool.type == "image_generation":
        return image_generation_call(prompt, ids)
    if tool.type == "custom":
        return custom_tool_call(tool.name, prompt, ids, namespace=tool.namespace)
    arguments = json.dumps(example_value({"type": "object", **(tool.parameters or {})}), ensure_ascii=False)
    return function_call(tool.name, arguments, ids, namespace=tool.namespace)


def _message(request: ParsedRequest, ids: IdGenerator, *, uses_sources: bool) -> Item:
    text = _message_text(request)
    if not uses_sources or not text.startswith(_INTRODUCTION):
        return message(text, ids)
    first, second = _SOURCES
    return cited_message([f"{text} One page says this. ", first, " Another page agrees. ", second], ids)


def _message_text(request: ParsedRequest) -> str:
    text_options = request.body.get("text")
    text_format = (text_options.get("format") if isinstance(text_options, dict) else None) or {}
    if text_format.get("type") == "json_schema":
        return json.dumps(example_value(text_format.get("schema") or {}), ensure_ascii=False)
    outputs = _tool_outputs(request)
    text = "\n".join(f"{name} returned: {output.strip() or '(nothing)'}" for name, output in outputs)
    text = text or _reply_to_prompt(request)
    return json.dumps({"reply": text}, ensure_ascii=False) if text_format.get("type") == "json_object" else text


def _tool_outputs(request: ParsedRequest) -> list[tuple[str, str]]:
    """Return (tool name, output) for each tool output at the end of the input."""
    items = request.items()
    names = {item.get("call_id"): str(item.get("name")) for item in items if str(item["type"]).endswith("_call")}
    outputs: list[tuple[str, str]] = []
    for item in reversed(items):
        if item["type"] not in _OUTPUT_TYPES:
            break
        outputs.insert(0, (names.get(item.get("call_id"), "The tool"), item_text(item)))
    return outputs


def _reply_to_prompt(request: ParsedRequest) -> str:
    prompt = request.prompt()
    if match := _SAY_PATTERN.fullmatch(prompt):
        return " ".join([match["text"]] * _COUNTS.get(str(match["count"]).lower(), 1))
    if _MARKDOWN_PATTERN.search(prompt):
        return _MARKDOWN.format(prompt=_shorten(prompt))
    text = f"{_INTRODUCTION} "
    text += f'You wrote: "{_shorten(prompt)}"' if prompt.strip() else "You wrote nothing."
    earlier_messages = _quotable_messages(request)[:-1][-_MAX_EARLIER_MESSAGES:]
    if earlier_messages:
        text += " Before that, you wrote: " + " ".join(f'"{_shorten(earlier)}"' for earlier in earlier_messages)
    return text


def _quotable_messages(request: ParsedRequest) -> list[str]:
    """Return the user's messages, preceded by the messages that are stored in compaction items."""
    compacted_messages: list[str] = []
    for item in request.items():
        compacted_messages += (decode_encrypted_content(item.get("encrypted_content")) or {}).get("user_texts", [])
    # The Codex CLI sends its own context as user messages, in tags such as <environment_context>.
    messages = [text for text in request.user_texts() if not text.startswith("<")]
    return [*compacted_messages, *messages]


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_QUOTED_CHARACTERS else text[: _MAX_QUOTED_CHARACTERS - 1] + "…"


def _reasoning(request: ParsedRequest, ids: IdGenerator) -> list[Item]:
    """Return a reasoning item if the request sets an effort or a summary, or includes encrypted content."""
    options = request.body.get("reasoning") or {}
    is_encrypted = "reasoning.encrypted_content" in (request.body.get("include") or [])
    if options.get("effort") == "none" or not (options or is_encrypted):
        return []
    item = reasoning(_SUMMARIES if options.get("summary") else (), ids)
    if is_encrypted:
        # As on the backend, the content is valid only for this account and model.
        item["encrypted_content"] = encode_encrypted_content(
            account=request.account.account_id, model=request.model, item=item["id"]
        )
    return [item]


def _compaction(request: ParsedRequest, ids: IdGenerator) -> Item:
    # As on the backend, the content is valid only for this account, but for every model.
    texts = [_shorten(text) for text in _quotable_messages(request)]
    content = encode_encrypted_content(account=request.account.account_id, user_texts=texts[-_MAX_EARLIER_MESSAGES:])
    return {"type": "compaction", "id": ids.new("cmp"), "encrypted_content": content}
