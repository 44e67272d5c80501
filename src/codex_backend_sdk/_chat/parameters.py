"""Translate the parameters of Chat Completions to those of Responses. Pure.

`PARAMETERS` has a row for each parameter of the official `CompletionCreateParams`. The treatment `SHARED` means that
Responses has a parameter of the same name and meaning, or that its policy for unsupported parameters applies, so
`_request.shaping` decides. All other rows are decided here.

Members that are not in the table come from `extra_body`. The names that other programs use (`ALIASES`) and those of
Responses that Chat Completions lacks (`_RESPONSES_PARAMETERS`) are accepted. The policy applies to all others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

from .._coerce import as_list, as_mapping
from .._exceptions import InvalidChatRequestError
from .chat_completion import ChatSettings
from .chat_messages import TranslatedMessages, translate_messages

__all__ = [
    "ALIASES",
    "EFFORT_ORDER",
    "PARAMETERS",
    "Parameter",
    "Rejection",
    "TranslatedRequest",
    "Treatment",
    "accepted_effort",
    "translate_request",
    "with_official_names",
]


class Treatment(Enum):
    """What happens to a parameter. The value is its description in the documentation."""

    TRANSLATED = "translated"
    SHARED = "as in Responses"
    ACCEPTED = "accepted, without effect"
    REFUSED = 'refused, with `unsupported="drop"`, too'


class Parameter(NamedTuple):
    """A row of the table: the treatment, and a note for the documentation."""

    treatment: Treatment
    note: str = ""


_T, _S, _A, _R = Treatment.TRANSLATED, Treatment.SHARED, Treatment.ACCEPTED, Treatment.REFUSED
_POLICY: Final = Parameter(_S, "unsupported: see `unsupported=`")

# In alphabetical order, as in the documentation, which is compared with this table.
PARAMETERS: Final[dict[str, Parameter]] = {
    "audio": Parameter(_R, "the backend produces no audio"),
    "frequency_penalty": _POLICY,
    "function_call": Parameter(_T, "to `tool_choice`; a call is then returned as `function_call`"),
    "functions": Parameter(_T, "to `tools`, without parallel calls"),
    "logit_bias": Parameter(_S, "`{}` is accepted, else unsupported: see `unsupported=`"),
    "logprobs": Parameter(_R, "`False` is accepted"),
    "max_completion_tokens": _POLICY,
    "max_tokens": _POLICY,
    "messages": Parameter(_T, "to `input`"),
    "metadata": _POLICY,
    "modalities": Parameter(_R, '`["text"]` is accepted'),
    "model": Parameter(_S, '`"auto"` works, too'),
    "moderation": _POLICY,
    "n": Parameter(_R, "`1` is accepted"),
    "parallel_tool_calls": Parameter(_S, "left out without tools"),
    "prediction": Parameter(_A, "a prediction changes only the speed"),
    "presence_penalty": _POLICY,
    "prompt_cache_key": Parameter(_S),
    "prompt_cache_options": _POLICY,
    "prompt_cache_retention": _POLICY,
    "reasoning_effort": Parameter(_T, "to `reasoning.effort`; checked if the model catalog is cached"),
    "response_format": Parameter(_T, "to `text.format`; `strict` is sent as given, `False` if absent"),
    "safety_identifier": _POLICY,
    "seed": _POLICY,
    "service_tier": Parameter(_S),
    "stop": Parameter(_T, "the client cuts the text, see [above](#stop-sequences)"),
    "store": Parameter(_A, "the backend stores no completions"),
    "stream": Parameter(_T, "the request is always a stream; the client collects it"),
    "stream_options": Parameter(_T, "`include_usage`; `include_obfuscation` has no effect"),
    "temperature": _POLICY,
    "tool_choice": Parameter(_T, "all forms; left out without tools"),
    "tools": Parameter(_T, "`strict` is sent as given, `False` if absent; other forms of tools are sent unchanged"),
    "top_logprobs": Parameter(_R, "`0` is accepted"),
    "top_p": _POLICY,
    "user": _POLICY,
    "verbosity": Parameter(_T, "to `text.verbosity`"),
    "web_search_options": Parameter(_T, "to the tool `web_search`"),
}

# Parameter → (the values that are accepted, the remedy for all others, which begins with a verb).
_REFUSED: Final[dict[str, tuple[tuple[Any, ...], str]]] = {
    "audio": ((), "request text: the backend produces no audio"),
    "logprobs": ((False,), "remove it: the backend returns no probabilities"),
    "modalities": (([], ["text"]), 'pass `["text"]`: the backend produces no audio'),
    "n": ((1,), "send the request several times"),
    "top_logprobs": ((0,), "remove it: the backend returns no probabilities"),
}
# Spellings in the body that programs send: the AI SDK adds its provider options as they are.
ALIASES: Final = {
    "parallelToolCalls": "parallel_tool_calls",
    "promptCacheKey": "prompt_cache_key",
    "reasoningEffort": "reasoning_effort",
    "reasoningSummary": "reasoning_summary",
    "serviceTier": "service_tier",
    "textVerbosity": "verbosity",
}
# Parameters of Responses that are sent unchanged, or merged with the translated ones.
_RESPONSES_PARAMETERS: Final = frozenset({"client_metadata", "include", "instructions", "reasoning", "text"})
# Parameters of Responses without which a request has another meaning, so they are refused as in Responses.
_REFUSED_PARAMETERS: Final = frozenset({"background", "conversation", "previous_response_id", "prompt"})
_TRANSLATED_MEMBERS: Final = frozenset({"input", "reasoning_summary"})

_SCHEMA_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_JSON_REQUEST: Final = "Respond with JSON."

Rejection = tuple[str, str | None]
"""The name of a parameter that cannot be sent, and the remedy, or None."""


@dataclass(frozen=True, slots=True)
class TranslatedRequest:
    """A chat request as a request of Responses.

    Attributes:
        parameters: The parameters of Responses, without defaults.
        settings: What the reader of the response needs.
        droppable: The parameters that `unsupported="drop"` drops.
        refused: The parameters that are never dropped.
        repairs: What was changed: the parameter, such as `messages[3]`, and the problem.
    """

    parameters: dict[str, Any]
    settings: ChatSettings
    droppable: tuple[Rejection, ...]
    refused: tuple[Rejection, ...]
    repairs: tuple[tuple[str, str], ...]


def translate_request(
    given: Mapping[str, Any], *, model: str, is_lenient: bool = False, efforts: Sequence[str] = ()
) -> TranslatedRequest:
    """Translate the parameters of a chat request, which are JSON data. Those that are absent are not in `given`.

    `model` is the default. `efforts` are the reasoning efforts that the model accepts, if they are known. With
    `is_lenient`, which `unsupported="drop"` sets, the request is repaired: calls without output, outputs without a
    call, an effort that the model does not accept, and JSON mode without the word.
    Raises InvalidChatRequestError for a request that no model could answer.
    """
    parameters = with_official_names(given)
    parameters.setdefault("model", model)
    requested_model = str(parameters["model"])
    if parameters.get("messages") is None and "input" in parameters:  # some programs send the body of Responses
        messages = TranslatedMessages(items=_input_items(parameters["input"]))
    else:
        messages = translate_messages(parameters.get("messages"), model=requested_model, repair=is_lenient)
    reasoning = _reasoning(parameters)
    returns_reasoning = not reasoning.pop("exclude", False)
    text = _text_options(parameters)
    repairs = [*messages.repairs]
    effort = reasoning.get("effort")
    if efforts and effort not in (None, *efforts):
        reasoning["effort"] = accepted_effort(effort, efforts, model=requested_model, is_lenient=is_lenient)
        repairs.append(("reasoning_effort", f"{effort!r} was replaced by {reasoning['effort']!r}"))
    if as_mapping(text.get("format")).get("type") == "json_object" and not _has_json_word(messages.items):
        repairs.append(_add_json_request(messages.items, is_lenient=is_lenient))
    body = {
        **{name: value for name, value in parameters.items() if _is_passed_on(name)},
        "input": messages.items,
        **_tool_parameters(parameters),
        **{name: value for name, value in (("reasoning", reasoning), ("text", text)) if value},
    }
    return TranslatedRequest(
        parameters=body,
        settings=ChatSettings(
            model=requested_model,
            stop=_stop(parameters.get("stop")),
            includes_usage=bool(as_mapping(parameters.get("stream_options")).get("include_usage")),
            shows_reasoning=returns_reasoning and bool(reasoning.get("summary")),
            returns_details=returns_reasoning,
            uses_functions="functions" in parameters and not as_list(parameters.get("tools")),
            accounts=messages.accounts,
        ),
        droppable=tuple(_unknown(parameters)),
        refused=tuple(
            (name, remedy)
            for name, (accepted, remedy) in _REFUSED.items()
            if name in parameters and parameters[name] not in accepted
        ),
        repairs=tuple(repairs),
    )


def with_official_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with the official names instead of their `ALIASES`. An official name has precedence."""
    parameters = {name: value for name, value in given.items() if name not in ALIASES}
    for alias, name in ALIASES.items():
        if alias in given:
            parameters.setdefault(name, given[alias])
    return parameters


def _input_items(value: Any) -> list[Any]:
    """Return the input of Responses as a list. `_request.shaping` makes the items valid."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list):
        raise InvalidChatRequestError("`input` must be a string or a list of items.", param="input")
    return [*value]


def _is_passed_on(name: str) -> bool:
    """Return whether a parameter is sent unchanged. Those of tools, reasoning and text are put together elsewhere."""
    if name in PARAMETERS:
        return PARAMETERS[name].treatment is _S and name not in ("logit_bias", "parallel_tool_calls")
    return name in _REFUSED_PARAMETERS or (name in _RESPONSES_PARAMETERS and name not in ("reasoning", "text"))


def _unknown(parameters: Mapping[str, Any]) -> list[Rejection]:
    """Return the parameters that are sent in no form."""
    known = PARAMETERS.keys() | _RESPONSES_PARAMETERS | _REFUSED_PARAMETERS | _TRANSLATED_MEMBERS
    unknown: list[Rejection] = [(name, None) for name in parameters if name not in known]
    if parameters.get("logit_bias"):
        unknown.append(("logit_bias", None))
    options = as_mapping(parameters.get("stream_options"))
    if options.keys() - {"include_usage", "include_obfuscation"}:
        unknown.append(("stream_options", None))
    return unknown


# Tools


def _tool_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters about tools, which are meaningless without tools."""
    tools = _tools(parameters)
    if not tools:
        return {}
    choice = _tool_choice(parameters, tools)
    is_parallel = False if "functions" in parameters else parameters.get("parallel_tool_calls")
    return {
        "tools": tools,
        **({} if choice is None else {"tool_choice": choice}),
        **({} if is_parallel is None else {"parallel_tool_calls": is_parallel}),
    }


def _tools(parameters: Mapping[str, Any]) -> list[Any]:
    """Return the tools of Responses. The flat form of Responses is accepted: programs mix both."""
    tools = [_tool(tool) for tool in as_list(parameters.get("tools"))]
    tools += [_tool({"type": "function", "function": function}) for function in as_list(parameters.get("functions"))]
    search = parameters.get("web_search_options")
    if search is not None and not any(as_mapping(tool).get("type") == "web_search" for tool in tools):
        tools.append(_web_search(as_mapping(search)))
    return tools


def _tool(tool: Any) -> Any:
    members = as_mapping(tool)
    kind = members.get("type")
    if kind == "function":
        # Absent means false in Chat Completions and true in Responses, where optional members then become required.
        nested = members.get("function")
        function = {**(nested if isinstance(nested, dict) else members), "type": "function"}
        return {**function, "strict": bool(function.get("strict"))}
    if kind == "custom" and isinstance(members.get("custom"), dict):
        custom = {"type": "custom", **members["custom"]}
        grammar = as_mapping(custom.get("format")).get("grammar")
        if isinstance(grammar, dict):
            custom["format"] = {"type": "grammar", **grammar}
        return custom
    return tool


def _web_search(options: Mapping[str, Any]) -> dict[str, Any]:
    tool: dict[str, Any] = {"type": "web_search"}
    if options.get("search_context_size") is not None:
        tool["search_context_size"] = options["search_context_size"]
    location = as_mapping(options.get("user_location"))
    if location:
        tool["user_location"] = {"type": "approximate", **as_mapping(location.get("approximate"))}
    return tool


def _tool_choice(parameters: Mapping[str, Any], tools: list[Any]) -> Any:
    """Return `tool_choice` in the form of Responses, or None. Raises InvalidChatRequestError for an unknown tool."""
    choice, path = parameters.get("tool_choice"), "tool_choice"
    if choice is None and "function_call" in parameters:
        choice, path = parameters["function_call"], "function_call"
        if isinstance(choice, dict):
            choice = {"type": "function", "function": choice}
    if not isinstance(choice, dict):
        return choice
    if choice.get("type") == "allowed_tools":
        allowed = {**choice, **as_mapping(choice.get("allowed_tools"))}
        listed = [_named_tool(each, tools, path) for each in as_list(allowed.get("tools"))]
        return {"type": "allowed_tools", "mode": allowed.get("mode") or "auto", "tools": listed}
    return _named_tool(choice, tools, path)


def _named_tool(choice: Any, tools: list[Any], path: str) -> Any:
    members = as_mapping(choice)
    kind = members.get("type")
    if kind not in ("function", "custom"):
        return choice
    name = as_mapping(members.get(kind)).get("name", members.get("name"))
    names = [str(each.get("name")) for each in map(as_mapping, tools) if each.get("type") == kind]
    if name not in names:
        raise InvalidChatRequestError(
            f"`{path}` names the tool {name!r}, which is not in `tools`. Use one of {', '.join(names) or 'none'}.",
            param=path,
        )
    return {"type": kind, "name": name}


# Text and reasoning


def _text_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    text = {**as_mapping(parameters.get("text"))}
    if parameters.get("verbosity") is not None:
        text["verbosity"] = parameters["verbosity"]
    given = as_mapping(parameters.get("response_format"))
    if given.get("type") == "json_schema":
        nested = given.get("json_schema")
        members = {**(nested if isinstance(nested, dict) else given)}
        name, schema = members.get("name"), members.get("schema")
        if not isinstance(name, str) or not _SCHEMA_NAME.fullmatch(name):
            raise InvalidChatRequestError(
                f"`response_format.json_schema.name` is {name!r}. Use 1 to 64 letters, digits, underscores or hyphens.",
                param="response_format.json_schema.name",
            )
        if not isinstance(schema, dict):
            raise InvalidChatRequestError(
                "`response_format.json_schema.schema` is missing. Add the JSON schema.",
                param="response_format.json_schema.schema",
            )
        text["format"] = {**members, "type": "json_schema", "strict": bool(members.get("strict"))}
    elif given and given.get("type") != "text":  # the default
        text["format"] = given
    return text


def _add_json_request(items: list[dict[str, Any]], *, is_lenient: bool) -> tuple[str, str]:
    """Add a message that asks for JSON, and return the repair."""
    if not is_lenient:
        raise InvalidChatRequestError(
            "`response_format` is json_object, and no message contains the word 'json', which the backend requires. "
            "Ask for JSON in a message, or pass a json_schema.",
            param="messages",
        )
    content = [{"type": "input_text", "text": _JSON_REQUEST}]
    items.append({"type": "message", "role": "developer", "content": content})
    return "response_format", f"the message {_JSON_REQUEST!r} was added"


def _has_json_word(items: list[dict[str, Any]]) -> bool:
    """Return whether a text of the input contains the word. The parameter `instructions` does not count."""
    contents = (as_mapping(item).get("content") for item in items)
    parts = (part for content in contents for part in (as_list(content) or [{"text": content}]))
    return any("json" in str(as_mapping(part).get("text", "")).lower() for part in parts)


def _reasoning(parameters: Mapping[str, Any]) -> dict[str, Any]:
    reasoning = {**as_mapping(parameters.get("reasoning"))}
    for name, member in (("reasoning_effort", "effort"), ("reasoning_summary", "summary")):
        if parameters.get(name) is not None:
            reasoning[member] = parameters[name]
    return reasoning


# From the least to the most.
EFFORT_ORDER: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")


def accepted_effort(
    effort: Any, accepted: Sequence[str], *, model: Any, is_lenient: bool, param: str = "reasoning_effort"
) -> str:
    """Return this effort if the model accepts it. With `is_lenient`, otherwise return the nearest accepted one.

    Of two efforts at the same distance, it returns the higher one. Without `is_lenient`, it raises
    InvalidChatRequestError, for the parameter `param`.
    """
    if effort in accepted:
        return str(effort)
    if not is_lenient:
        raise InvalidChatRequestError(
            f"The model {model} does not accept the reasoning effort {effort!r:.40}. Use one of {', '.join(accepted)}.",
            param=param,
        )
    wanted = _rank(effort)
    return min(accepted, key=lambda each: (abs(_rank(each) - wanted), -_rank(each)))


def _rank(effort: Any) -> int:
    """Return the position of an effort. An unknown one counts as medium."""
    return EFFORT_ORDER.index(effort if effort in EFFORT_ORDER else "medium")


def _stop(stop: Any) -> tuple[str, ...]:
    sequences = [stop] if isinstance(stop, str) else as_list(stop)
    return tuple(each for each in sequences if isinstance(each, str) and each)
