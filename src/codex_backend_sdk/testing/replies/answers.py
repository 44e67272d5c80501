"""Answer a request without a model: the same request gets the same items (their ids aside).

A prompt gets prose; a user message with the caller's own tools gets a call whose arguments fit; tool outputs
get prose that quotes them; a `json_schema` gets JSON that fits it; a `compaction_trigger` gets one compaction item.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ..backend.asked import open_sealed, seal, text_of
from .prose import about_outputs, is_small_talk, remembered, reply
from .schema import instance_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..backend.asked import Asked, Tool
    from ..issuer.token_mint import Ids

__all__ = ["Item", "answer", "custom_call", "function_call", "message"]

Item = dict[str, Any]

# A program with one of these tools is a coding agent and would run what it is told to run: the simulator never makes
# up a command for it. A script, or a tool_choice that demands a call, still can.
_AGENT_TOOLS = frozenset({"apply_patch", "exec", "exec_command", "local_shell", "shell", "shell_command"})
_CALLABLE = ("function", "custom")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def answer(asked: Asked, ids: Ids) -> list[Item]:
    """Return the output items; `schema.NoInstance` is raised for a schema that no value can be made for."""
    items = asked.items()
    if items and items[-1]["type"] == "compaction_trigger":
        return [_compaction(asked, ids)]
    tool = _chosen_tool(asked)
    if tool is not None:
        body = [_call(tool, asked.prompt(), ids)]
    else:
        body = [*_web_search(asked, ids), message(_text(asked), ids)]
    return [*_reasoning(asked, ids), *body]


def message(text: str, ids: Ids, *, phase: str = "final_answer") -> Item:
    """Return an assistant's message."""
    return {
        "type": "message",
        "id": ids.new("msg"),
        "role": "assistant",
        "status": "completed",
        "phase": phase,
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    }


def function_call(
    name: str, arguments: str, ids: Ids, *, call_id: str | None = None, namespace: str | None = None
) -> Item:
    """Return a call of a function; `arguments` is JSON text."""
    return {
        "type": "function_call",
        "id": ids.new("fc"),
        "call_id": call_id or ids.new("call"),
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "arguments": arguments,
        "status": "completed",
    }


def custom_call(name: str, text: str, ids: Ids, *, call_id: str | None = None, namespace: str | None = None) -> Item:
    """Return a call of a custom tool; `text` is its input."""
    return {
        "type": "custom_tool_call",
        "id": ids.new("ctc"),
        "call_id": call_id or ids.new("call"),
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "input": text,
        "status": "completed",
    }


# Which tool


def _chosen_tool(asked: Asked) -> Tool | None:
    choice = asked.body.get("tool_choice") or "auto"
    tools = [tool for tool in asked.tools() if tool.kind in _CALLABLE]
    items = asked.items()
    if choice == "none" or not items or items[-1]["type"] != "message":
        return None
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = {each.get("name") for each in choice.get("tools") or ()}
        tools = [tool for tool in tools if tool.name in allowed]
        choice = choice.get("mode", "auto")
    if isinstance(choice, dict):
        return next((tool for tool in tools if tool.name == choice.get("name")), None)
    if choice != "required" and (is_small_talk(asked.prompt()) or _is_agent(asked)):
        return None
    return _best(tools, asked.prompt())


def _is_agent(asked: Asked) -> bool:
    return any(tool.name in _AGENT_TOOLS for tool in asked.tools())


def _best(tools: Sequence[Tool], prompt: str) -> Tool | None:
    """Return the tool that shares most words with the prompt, the first of equals."""
    words = _words(prompt)
    return max(tools, key=lambda tool: len(words & _words(_described(tool))), default=None)


def _described(tool: Tool) -> str:
    properties = (tool.parameters or {}).get("properties")
    named = properties if isinstance(properties, dict) else ()
    return f"{tool.name} {tool.description} {' '.join(named)}"


def _words(text: str) -> set[str]:
    """Return the words of three letters and more, without their plural s."""
    return {word.removesuffix("s") for word in re.findall(r"[a-z]{3,}", text.lower().replace("_", " "))}


def _call(tool: Tool, prompt: str, ids: Ids) -> Item:
    if tool.kind == "custom":
        return custom_call(tool.name, prompt, ids, namespace=tool.namespace)
    schema = {"type": "object", **(tool.parameters or {})}
    arguments = instance_of(schema, prompt)
    return function_call(tool.name, json.dumps(arguments, ensure_ascii=False), ids, namespace=tool.namespace)


# What to say


def _text(asked: Asked) -> str:
    outputs = _last_outputs(asked)
    form = _format(asked)
    said = "\n".join([asked.prompt(), *(output for _, output in outputs)])
    if form.get("type") == "json_schema":
        return json.dumps(instance_of(form.get("schema") or {}, said), ensure_ascii=False)
    text = about_outputs(outputs) if outputs else _reply(asked)
    return json.dumps({"answer": text}, ensure_ascii=False) if form.get("type") == "json_object" else text


def _reply(asked: Asked) -> str:
    facts: dict[str, str] = {}
    for item in asked.items():
        facts |= (open_sealed(item.get("encrypted_content")) or {}).get("facts", {})
    parts = asked.items()[-1].get("content") if asked.items() else None
    images = (
        [p for p in parts if isinstance(p, dict) and p.get("type") == "input_image"] if isinstance(parts, list) else []
    )
    return reply(asked.prompt(), asked.user_texts()[:-1], facts=facts, images=len(images))


def _format(asked: Asked) -> dict[str, Any]:
    text = asked.body.get("text")
    return (text.get("format") if isinstance(text, dict) else None) or {}


def _last_outputs(asked: Asked) -> list[tuple[str, str]]:
    """Return the (tool name, output) of the outputs at the end of the input."""
    items = asked.items()
    names = {item.get("call_id"): str(item.get("name")) for item in items if str(item["type"]).endswith("_call")}
    found: list[tuple[str, str]] = []
    for item in reversed(items):
        if item["type"] not in _OUTPUTS:
            break
        found.insert(0, (names.get(item.get("call_id"), "The tool"), text_of(item)))
    return found


def _web_search(asked: Asked, ids: Ids) -> list[Item]:
    if not any(tool.kind == "web_search" for tool in asked.tools()):
        return []
    choice = asked.body.get("tool_choice")
    forced = isinstance(choice, dict) and choice.get("type") == "web_search"
    if not forced and not re.search(r"(?i)\b(search|news|latest|web)\b", asked.prompt()):
        return []
    action = {"type": "search", "query": asked.prompt()}
    return [{"type": "web_search_call", "id": ids.new("ws"), "status": "completed", "action": action}]


def _reasoning(asked: Asked, ids: Ids) -> list[Item]:
    reasoning = asked.body.get("reasoning") or {}
    sealed = "reasoning.encrypted_content" in (asked.body.get("include") or [])
    if reasoning.get("effort") == "none" or not (reasoning or sealed):
        return []
    item: Item = {"type": "reasoning", "id": ids.new("rs"), "summary": []}
    if reasoning.get("summary"):
        text = "**Reading the request**\n\nThe simulator looks at the last message and at the tools."
        item["summary"] = [{"type": "summary_text", "text": text}]
    if sealed:
        # Bound to the account and the model, as the real ones are.
        item["encrypted_content"] = seal(account=asked.account.account_id, model=asked.model, item=item["id"])
    return [item]


def _compaction(asked: Asked, ids: Ids) -> Item:
    facts: dict[str, str] = {}
    for item in asked.items():
        facts |= (open_sealed(item.get("encrypted_content")) or {}).get("facts", {})
    facts |= remembered(asked.user_texts())
    return {
        "type": "compaction",
        "id": ids.new("cmp"),
        "encrypted_content": seal(account=asked.account.account_id, facts=facts),
    }
