"""The reply to a request for which no turn is scripted. It is deterministic, apart from the ids of the items.

Choose the reply by the end of the input, in this order:

1. A `compaction_trigger` gets one compaction item.
2. A message gets a call of the first tool, or of the tool that `tool_choice` names, with arguments that fit its schema.
   The output of a tool gets a message, so that the loop of an agent ends.
3. With `text.format` of type `json_schema` the message is a JSON value that fits the schema.
4. RequestedTool outputs get a message that reports them.
5. `Say hello` gets `hello`; `Say hello five times` repeats it. Tests set a reply in this way without a script.
6. Everything else gets a sentence that quotes the messages of the user, to show what reached the backend.

The simulator does not imitate a model beyond that: script a `Turn` for a reply with other contents.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from ..parsed_request import make_encrypted_content, read_encrypted_content, text_of
from .json_values import example_value
from .reply_events import custom_tool_call, function_call, message

if TYPE_CHECKING:
    from ..id_generator import IdGenerator
    from ..parsed_request import ParsedRequest, RequestedTool
    from .reply_events import Item

__all__ = ["default_items"]

# DANGER: a coding agent with one of these tools runs the command that it is given. The simulator never makes one up;
# only a script or a `tool_choice` that demands a call does.
_AGENT_TOOLS: Final = frozenset({"apply_patch", "exec", "exec_command", "local_shell", "shell", "shell_command"})
_CALLABLE: Final = ("function", "custom", "web_search")
_TOOL_OUTPUTS: Final = ("function_call_output", "custom_tool_call_output")

_SAY: Final = re.compile(r"(?is)\s*say ['\"]?(.+?)['\"]?(?: (two|three|four|five) times)?[.!]?\s*")
_COUNTS: Final = {"two": 2, "three": 3, "four": 4, "five": 5}
_MAX_QUOTED_CHARACTERS: Final = 200
_MAX_EARLIER_MESSAGES: Final = 5


def default_items(request: ParsedRequest, ids: IdGenerator) -> list[Item]:
    """Return the output items. `UnsupportedSchemaError` means that no value could be made for a schema."""
    items = request.items()
    if items and items[-1]["type"] == "compaction_trigger":
        return [_compaction(request, ids)]
    tool = _tool_to_call(request)
    if tool is None:
        body = [message(_message_text(request), ids)]
    elif tool.kind == "web_search":
        # The backend runs this tool itself, so its message follows at once.
        action = {"type": "search", "query": request.prompt()}
        search = {"type": "web_search_call", "id": ids.new("ws"), "status": "completed", "action": action}
        body = [search, message(_message_text(request), ids)]
    elif tool.kind == "custom":
        body = [custom_tool_call(tool.name, request.prompt(), ids, namespace=tool.namespace)]
    else:
        arguments = json.dumps(example_value({"type": "object", **(tool.parameters or {})}), ensure_ascii=False)
        body = [function_call(tool.name, arguments, ids, namespace=tool.namespace)]
    return [*_reasoning(request, ids), *body]


def _tool_to_call(request: ParsedRequest) -> RequestedTool | None:
    choice = request.body.get("tool_choice") or "auto"
    tools = [tool for tool in request.tools() if tool.kind in _CALLABLE]
    items = request.items()
    if choice == "none" or not items or items[-1]["type"] != "message":
        return None
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = {entry.get("name") for entry in choice.get("tools") or ()}
        tools = [tool for tool in tools if tool.name in allowed]
        choice = choice.get("mode", "auto")
    elif isinstance(choice, dict):
        # A hosted tool has no name; its type stands for it.
        name = choice.get("name", choice.get("type"))
        tools = [tool for tool in tools if tool.name == name]
    if choice == "auto" and any(tool.name in _AGENT_TOOLS for tool in request.tools()):
        return None
    return tools[0] if tools else None


def _message_text(request: ParsedRequest) -> str:
    text_options = request.body.get("text")
    text_format = (text_options.get("format") if isinstance(text_options, dict) else None) or {}
    if text_format.get("type") == "json_schema":
        return json.dumps(example_value(text_format.get("schema") or {}), ensure_ascii=False)
    outputs = _tool_outputs(request)
    text = "\n".join(f"{name} returned: {output.strip() or '(nothing)'}" for name, output in outputs)
    text = text or _echo(request)
    return json.dumps({"reply": text}, ensure_ascii=False) if text_format.get("type") == "json_object" else text


def _tool_outputs(request: ParsedRequest) -> list[tuple[str, str]]:
    """Return (tool name, output) for each tool output at the end of the input."""
    items = request.items()
    names = {item.get("call_id"): str(item.get("name")) for item in items if str(item["type"]).endswith("_call")}
    outputs: list[tuple[str, str]] = []
    for item in reversed(items):
        if item["type"] not in _TOOL_OUTPUTS:
            break
        outputs.insert(0, (names.get(item.get("call_id"), "The tool"), text_of(item)))
    return outputs


def _echo(request: ParsedRequest) -> str:
    prompt = request.prompt()
    if say := _SAY.fullmatch(prompt):
        return " ".join([say[1]] * _COUNTS.get(str(say[2]).lower(), 1))
    text = "This is the simulator, not a model. "
    text += f'You wrote: "{_shorten(prompt)}"' if prompt.strip() else "You wrote nothing."
    earlier = _quotable_texts(request)[:-1][-_MAX_EARLIER_MESSAGES:]
    if earlier:
        text += " Before that, you wrote: " + " ".join(f'"{_shorten(written)}"' for written in earlier)
    return text


def _quotable_texts(request: ParsedRequest) -> list[str]:
    """Return the messages of the user, after those that an earlier compaction holds."""
    compacted: list[str] = []
    for item in request.items():
        compacted += (read_encrypted_content(item.get("encrypted_content")) or {}).get("user_texts", [])
    # The Codex CLI sends its own context as user messages, in tags such as <environment_context>.
    written = [text for text in request.user_texts() if not text.startswith("<")]
    return [*compacted, *written]


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_QUOTED_CHARACTERS else text[: _MAX_QUOTED_CHARACTERS - 1] + "…"


def _reasoning(request: ParsedRequest, ids: IdGenerator) -> list[Item]:
    """Return a reasoning item when the request names an effort or a summary, or includes encrypted content."""
    reasoning = request.body.get("reasoning") or {}
    is_encrypted = "reasoning.encrypted_content" in (request.body.get("include") or [])
    if reasoning.get("effort") == "none" or not (reasoning or is_encrypted):
        return []
    item: Item = {"type": "reasoning", "id": ids.new("rs"), "summary": []}
    if reasoning.get("summary"):
        text = "**Reading the request**\n\nThe simulator looks at the last message and at the tools."
        item["summary"] = [{"type": "summary_text", "text": text}]
    if is_encrypted:
        # Bound to the account and the model, as the backend's is: it refuses the item from any other.
        item["encrypted_content"] = make_encrypted_content(
            account=request.account.account_id, model=request.model, item=item["id"]
        )
    return [item]


def _compaction(request: ParsedRequest, ids: IdGenerator) -> Item:
    # Bound to the account but not to the model, as the backend's is.
    texts = [_shorten(text) for text in _quotable_texts(request)]
    blob = make_encrypted_content(account=request.account.account_id, user_texts=texts[-_MAX_EARLIER_MESSAGES:])
    return {"type": "compaction", "id": ids.new("cmp"), "encrypted_content": blob}
