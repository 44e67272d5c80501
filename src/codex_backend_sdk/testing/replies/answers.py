"""Answer a request without a model: the same request gets the same items (their ids aside).

A prompt gets prose; a user message with the caller's own tools gets a call whose arguments fit; tool outputs
get prose that quotes them; a `json_schema` gets JSON that fits it; a `compaction_trigger` gets one compaction item.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ..backend.parsed_request import make_encrypted_content, read_encrypted_content, text_of
from .prose import about_outputs, is_small_talk, remembered, reply
from .schema import instance_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..backend.parsed_request import ParsedRequest, RequestedTool
    from ..issuer.token_mint import IdGenerator

__all__ = ["Item", "answer", "custom_call", "function_call", "message"]

Item = dict[str, Any]

# A program with one of these tools is a coding agent and would run what it is told to run: the simulator never makes
# up a command for it. A script, or a tool_choice that demands a call, still can.
_AGENT_TOOLS = frozenset({"apply_patch", "exec", "exec_command", "local_shell", "shell", "shell_command"})
_CALLABLE = ("function", "custom")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def answer(request: ParsedRequest, ids: IdGenerator) -> list[Item]:
    """Return the output items; `schema.NoInstance` is raised for a schema that no value can be made for."""
    items = request.items()
    if items and items[-1]["type"] == "compaction_trigger":
        return [_compaction(request, ids)]
    tool = _chosen_tool(request)
    if tool is not None:
        body = [_call(tool, request.prompt(), ids)]
    else:
        body = [*_web_search(request, ids), message(_text(request), ids)]
    return [*_reasoning(request, ids), *body]


def message(text: str, ids: IdGenerator, *, phase: str = "final_answer") -> Item:
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
    name: str, arguments: str, ids: IdGenerator, *, call_id: str | None = None, namespace: str | None = None
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


def custom_call(
    name: str, text: str, ids: IdGenerator, *, call_id: str | None = None, namespace: str | None = None
) -> Item:
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


def _chosen_tool(request: ParsedRequest) -> RequestedTool | None:
    choice = request.body.get("tool_choice") or "auto"
    tools = [tool for tool in request.tools() if tool.kind in _CALLABLE]
    items = request.items()
    if choice == "none" or not items or items[-1]["type"] != "message":
        return None
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = {each.get("name") for each in choice.get("tools") or ()}
        tools = [tool for tool in tools if tool.name in allowed]
        choice = choice.get("mode", "auto")
    if isinstance(choice, dict):
        return next((tool for tool in tools if tool.name == choice.get("name")), None)
    if choice != "required" and (is_small_talk(request.prompt()) or _is_agent(request)):
        return None
    return _best(tools, request.prompt())


def _is_agent(request: ParsedRequest) -> bool:
    return any(tool.name in _AGENT_TOOLS for tool in request.tools())


def _best(tools: Sequence[RequestedTool], prompt: str) -> RequestedTool | None:
    """Return the tool that shares most words with the prompt, the first of equals."""
    words = _words(prompt)
    return max(tools, key=lambda tool: len(words & _words(_described(tool))), default=None)


def _described(tool: RequestedTool) -> str:
    properties = (tool.parameters or {}).get("properties")
    named = properties if isinstance(properties, dict) else ()
    return f"{tool.name} {tool.description} {' '.join(named)}"


def _words(text: str) -> set[str]:
    """Return the words of three letters and more, without their plural s."""
    return {word.removesuffix("s") for word in re.findall(r"[a-z]{3,}", text.lower().replace("_", " "))}


def _call(tool: RequestedTool, prompt: str, ids: IdGenerator) -> Item:
    if tool.kind == "custom":
        return custom_call(tool.name, prompt, ids, namespace=tool.namespace)
    schema = {"type": "object", **(tool.parameters or {})}
    arguments = instance_of(schema, prompt)
    return function_call(tool.name, json.dumps(arguments, ensure_ascii=False), ids, namespace=tool.namespace)


# What to say


def _text(request: ParsedRequest) -> str:
    outputs = _last_outputs(request)
    form = _format(request)
    said = "\n".join([request.prompt(), *(output for _, output in outputs)])
    if form.get("type") == "json_schema":
        return json.dumps(instance_of(form.get("schema") or {}, said), ensure_ascii=False)
    text = about_outputs(outputs) if outputs else _reply(request)
    return json.dumps({"answer": text}, ensure_ascii=False) if form.get("type") == "json_object" else text


def _reply(request: ParsedRequest) -> str:
    facts: dict[str, str] = {}
    for item in request.items():
        facts |= (read_encrypted_content(item.get("encrypted_content")) or {}).get("facts", {})
    parts = request.items()[-1].get("content") if request.items() else None
    images = (
        [p for p in parts if isinstance(p, dict) and p.get("type") == "input_image"] if isinstance(parts, list) else []
    )
    return reply(request.prompt(), request.user_texts()[:-1], facts=facts, images=len(images))


def _format(request: ParsedRequest) -> dict[str, Any]:
    text = request.body.get("text")
    return (text.get("format") if isinstance(text, dict) else None) or {}


def _last_outputs(request: ParsedRequest) -> list[tuple[str, str]]:
    """Return the (tool name, output) of the outputs at the end of the input."""
    items = request.items()
    names = {item.get("call_id"): str(item.get("name")) for item in items if str(item["type"]).endswith("_call")}
    found: list[tuple[str, str]] = []
    for item in reversed(items):
        if item["type"] not in _OUTPUTS:
            break
        found.insert(0, (names.get(item.get("call_id"), "The tool"), text_of(item)))
    return found


def _web_search(request: ParsedRequest, ids: IdGenerator) -> list[Item]:
    if not any(tool.kind == "web_search" for tool in request.tools()):
        return []
    choice = request.body.get("tool_choice")
    forced = isinstance(choice, dict) and choice.get("type") == "web_search"
    if not forced and not re.search(r"(?i)\b(search|news|latest|web)\b", request.prompt()):
        return []
    action = {"type": "search", "query": request.prompt()}
    return [{"type": "web_search_call", "id": ids.new("ws"), "status": "completed", "action": action}]


def _reasoning(request: ParsedRequest, ids: IdGenerator) -> list[Item]:
    reasoning = request.body.get("reasoning") or {}
    sealed = "reasoning.encrypted_content" in (request.body.get("include") or [])
    if reasoning.get("effort") == "none" or not (reasoning or sealed):
        return []
    item: Item = {"type": "reasoning", "id": ids.new("rs"), "summary": []}
    if reasoning.get("summary"):
        text = "**Reading the request**\n\nThe simulator looks at the last message and at the tools."
        item["summary"] = [{"type": "summary_text", "text": text}]
    if sealed:
        # Bound to the account and the model, as the real ones are.
        item["encrypted_content"] = make_encrypted_content(
            account=request.account.account_id, model=request.model, item=item["id"]
        )
    return [item]


def _compaction(request: ParsedRequest, ids: IdGenerator) -> Item:
    facts: dict[str, str] = {}
    for item in request.items():
        facts |= (read_encrypted_content(item.get("encrypted_content")) or {}).get("facts", {})
    facts |= remembered(request.user_texts())
    return {
        "type": "compaction",
        "id": ids.new("cmp"),
        "encrypted_content": make_encrypted_content(account=request.account.account_id, facts=facts),
    }
