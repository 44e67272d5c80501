"""Convert the parameters of `responses.create()` to the request body that the Codex backend accepts. Pure.

The parameter policy consists of three tables: unsupported parameters that may be dropped, unsupported parameters that
change the meaning of the call, and values that equal the default. The sources are reports of users, for example
https://github.com/openai/codex/issues/26173. The fields that the Codex CLI sends are in codex-api/src/common.rs.

Long histories dominate the cost, so data that is already JSON is not copied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime
from io import IOBase
from math import isfinite
from typing import Any, Final, NamedTuple

from openai import NotGiven, Omit
from pydantic import BaseModel

from .input_items import shape_input
from .strict_schemas import require_closed_schemas

__all__ = [
    "RejectedParameter",
    "ShapedRequest",
    "build_compaction_body",
    "is_absent",
    "shape",
    "to_json_data",
]


class RejectedParameter(NamedTuple):
    """A parameter that cannot be sent, and the remedy, which begins with a verb."""

    name: str
    remedy: str | None


class ShapedRequest(NamedTuple):
    """A body that the backend accepts, and the parameters that it rejects.

    The policy of the client may drop the `droppable` parameters. It never drops the others, because the call would have
    another meaning without them.
    """

    body: dict[str, Any]
    droppable: tuple[RejectedParameter, ...]
    not_droppable: tuple[RejectedParameter, ...]


_CHOOSE_EFFORT: Final = "pass `reasoning={'effort': ...}`"
_CHOOSE_VERBOSITY: Final = "pass `text={'verbosity': 'low'}` for a short response"
_DESCRIBE_STYLE: Final = "describe the style in `instructions`"
_COMPACT: Final = "compact the history with `client.responses.compact(...)`"
_LOG: Final = "write it to a log of your own"

# Parameter → remedy. The backend rejects these with 400 "Unsupported parameter: NAME".
_DROPPABLE: Final[dict[str, str | None]] = {
    "background_options": None,
    "context_management": _COMPACT,
    "frequency_penalty": _DESCRIBE_STYLE,
    "max_completion_tokens": _CHOOSE_VERBOSITY,
    "max_output_tokens": _CHOOSE_VERBOSITY,
    "max_tokens": _CHOOSE_VERBOSITY,
    "max_tool_calls": "pass `max_turns` to `client.codex.conversation().run(...)`",
    "metadata": _LOG,
    "moderation": None,
    "presence_penalty": _DESCRIBE_STYLE,
    "prompt_cache_options": None,
    "prompt_cache_retention": None,
    "safety_identifier": _LOG,
    "seed": None,
    "stream_options": None,
    "temperature": _CHOOSE_EFFORT,
    "top_logprobs": None,
    "top_p": _CHOOSE_EFFORT,
    "truncation": _COMPACT,
    "user": _LOG,
    "verbosity": "pass `text={'verbosity': ...}`",
}

# Parameter → remedy. The backend rejects these, too. They are never dropped: the call would have another meaning.
_NOT_DROPPABLE: Final = {
    "background": "use `stream=True` or an async client: the backend does not support background responses",
    "conversation": "pass the earlier items in `input`: the backend stores no conversations",
    "previous_response_id": "use `client.codex.conversation()`, or pass the earlier items in `input`",
    "prompt": "pass `instructions` and `input`: the backend stores no prompts",
    "store": "keep the response in your program: the backend stores no responses",
}

# Values that equal the default of the openai API reference. They are removed without an error or a warning.
_DEFAULTS: Final[dict[str, tuple[Any, ...]]] = {
    "background": (False,),
    "context_management": ([],),
    "frequency_penalty": (0,),
    "metadata": ({},),
    "presence_penalty": (0,),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "stream_options": ({}, {"include_obfuscation": True}),
    "temperature": (1,),
    "top_logprobs": (0,),
    "top_p": (1,),
    "truncation": ("disabled",),
}

# Members of `prompt_cache_options` → the value that is the default, or None if the member only requests a diagnosis.
_DEFAULT_CACHE_OPTIONS: Final = {"mode": "implicit", "ttl": "30m", "comparison_response_id": None}

_ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"


def shape(parameters: Mapping[str, Any], *, model: str, instructions: str) -> ShapedRequest:
    """Return the body for `POST /responses` and the parameters that it cannot contain.

    `model` and `instructions` are the defaults. Raises TypeError if `input` is missing or cannot be sent, and
    ValueError for NaN, infinity, a tool without a type, and a strict schema with a mapping.
    """
    present = {name: to_json_data(value, name) for name, value in parameters.items() if not is_absent(value)}
    requested = {name: value for name, value in present.items() if not _is_default(name, value)}
    droppable = tuple(RejectedParameter(name, _DROPPABLE[name]) for name in requested if name in _DROPPABLE)
    not_droppable = tuple(RejectedParameter(name, _NOT_DROPPABLE[name]) for name in requested if name in _NOT_DROPPABLE)
    accepted = {
        name: value for name, value in requested.items() if name not in _DROPPABLE and name not in _NOT_DROPPABLE
    }
    body = {"model": model, "instructions": instructions, **accepted}
    if not body["instructions"]:
        del body["instructions"]  # as the Codex CLI does; the backend used to reject empty instructions
    # Parameters such as `previous_response_id` replace the input, so the error names them, not the missing input.
    body["input"] = [] if not_droppable and "input" not in body else shape_input(body.get("input"))
    if isinstance(body.get("tools"), list):
        body["tools"] = [_responses_tool(tool) for tool in body["tools"]]
        _require_tool_types(body["tools"])
    if body.get("tools"):
        # The Codex CLI always sends it, and users report that the backend requires it with tools.
        body["tool_choice"] = _responses_tool(body.get("tool_choice", "auto"))
    # The backend stores nothing, so it must return reasoning encrypted for the next call to include it.
    include = body.setdefault("include", [])
    if isinstance(include, list) and _ENCRYPTED_REASONING not in include:  # the backend rejects anything but a list
        body["include"] = [*include, _ENCRYPTED_REASONING]
    require_closed_schemas(body.get("text"), body.get("tools"))
    body["stream"] = True
    body["store"] = False
    return ShapedRequest(body, droppable, not_droppable)


def _is_default(name: str, value: Any) -> bool:
    """Return whether the call means the same without this parameter."""
    if name == "prompt_cache_options" and isinstance(value, dict):
        return all(
            member in _DEFAULT_CACHE_OPTIONS and _DEFAULT_CACHE_OPTIONS[member] in (None, setting)
            for member, setting in value.items()
        )
    return value in _DEFAULTS.get(name, ())


def _responses_tool(tool: Any) -> Any:
    """Return a function tool or tool choice of Chat Completions in the form of Responses, and any other one unchanged.

    `openai.pydantic_function_tool` and many libraries build the form of Chat Completions.
    """
    if isinstance(tool, dict) and tool.get("type") == "function" and isinstance(tool.get("function"), dict):
        return {"type": "function", **tool["function"]}
    return tool


def _require_tool_types(tools: list[Any]) -> None:
    for index, tool in enumerate(tools):
        if isinstance(tool, dict) and not tool.get("type"):
            raise ValueError(
                f"`tools[{index}]` has no `type`. Pass a function as {{'type': 'function', 'name': ..., 'parameters': "
                "{...}}, and a hosted tool as {'type': 'web_search'}. Nothing was sent."
            )


def build_compaction_body(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of the request that compacts the input. Codex CLI: core/src/compact_remote_v2.rs."""
    return {**body, "input": [*body["input"], {"type": "compaction_trigger"}]}


def is_absent(value: Any) -> bool:
    """Return whether the parameter was not given."""
    return value is None or isinstance(value, (Omit, NotGiven))


# --- JSON data -------------------------------------------------------------------------------------------------------

_JSON_SCALARS: Final = frozenset({str, int, bool, type(None)})  # without float: NaN and infinity are not JSON
_UNSUPPORTED_ITERABLES: Final = (bytes, bytearray, memoryview, IOBase)


def to_json_data(value: Any, parameter: str) -> Any:
    """Return JSON data for official objects, dataclasses, tuples, generators and mappings, at any depth.

    Data that is already JSON, such as most of a long history, is returned unchanged. Raises TypeError or ValueError, as
    the official client does, for a value that JSON cannot represent. `parameter` is the parameter that the error names.
    """
    return value if _is_json_data(value) else _convert(value, parameter)


def _is_json_data(value: Any) -> bool:
    value_type = type(value)
    if value_type is dict:
        value = value.values()
    elif value_type is not list:
        return value_type in _JSON_SCALARS or (value_type is float and isfinite(value))
    for member in value:  # noqa: SIM110 - this loop dominates the time for long histories; `all()` takes twice as long
        if type(member) not in _JSON_SCALARS and not _is_json_data(member):
            return False
    return True


def _convert(value: Any, parameter: str) -> Any:
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"JSON cannot represent the number {value} in `{parameter}`. Pass a finite number.")
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {
            name: to_json_data(member, parameter)
            for name, member in value.items()
            if not isinstance(member, (Omit, NotGiven))
        }
    if isinstance(value, BaseModel):
        # openai's parsed responses have fields of their own, which are not part of the API.
        excluded = getattr(value, "__api_exclude__", None)
        dumped = value.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=excluded, warnings=False)
        return to_json_data(dumped, parameter)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        members = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return to_json_data(members, parameter)
    if isinstance(value, Iterable) and not isinstance(value, _UNSUPPORTED_ITERABLES):
        return [to_json_data(member, parameter) for member in value]
    if callable(value):
        raise TypeError(
            f"JSON cannot represent the function {getattr(value, '__name__', value)!r} in `{parameter}`. "
            "Pass a tool as a dict with its JSON schema: {'type': 'function', 'name': ..., 'parameters': {...}}."
        )
    raise TypeError(
        f"JSON cannot represent a value of type {type(value).__name__} in `{parameter}`. "
        "Pass text; pass an image or a file as a data URL."
    )
