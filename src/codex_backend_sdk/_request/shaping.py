"""Turn official parameters into the request body that the Codex backend accepts.

The parameter policy is the three tables below: what the backend rejects and a call can do without, what it rejects and
a call cannot do without, and the explicit values that request the default behavior. What the backend accepts and rejects
is known from published probes; the members that the Codex CLI sends itself: codex-api/src/common.rs.

Long histories decide the cost: data that is JSON already is inspected and not copied.
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

__all__ = ["RejectedParameter", "ShapedRequest", "compaction", "is_absent", "shape", "shape_item", "to_json_data"]


class RejectedParameter(NamedTuple):
    """A parameter that cannot be sent, and what to do instead (or "")."""

    name: str
    remedy: str


class ShapedRequest(NamedTuple):
    """A body that the backend accepts, and the parameters that it rejects.

    `droppable` parameters may be dropped by the client's policy, `not_droppable` ones never: without them the call would
    mean something else.
    """

    body: dict[str, Any]
    droppable: tuple[RejectedParameter, ...]
    not_droppable: tuple[RejectedParameter, ...]


# Rejected with 400 "Unsupported parameter: NAME". The call makes sense without them.
_DROPPABLE: Final = {
    "background_options": "",
    "context_management": "compact the history yourself with `client.responses.compact(...)`",
    "frequency_penalty": "",
    "max_completion_tokens": "",
    "max_output_tokens": "the length of a response cannot be limited; pass `text={'verbosity': 'low'}` for a short one",
    "max_tokens": "",
    "max_tool_calls": "",
    "metadata": "",
    "moderation": "",
    "presence_penalty": "",
    "prompt_cache_options": "",
    "prompt_cache_retention": "",
    "safety_identifier": "",
    "seed": "",
    "stream_options": "",
    "temperature": "",
    "top_logprobs": "",
    "top_p": "",
    "truncation": "",
    "user": "",
    "verbosity": "pass `text={'verbosity': ...}`",
}

# Rejected, too, but without them the call would mean something else, so they are never dropped.
_NOT_DROPPABLE: Final = {
    "background": "the backend responds in the foreground only; use `stream=True` or an async client",
    "conversation": "the backend stores no conversations; pass the earlier items in `input`",
    "previous_response_id": "the backend stores no responses; pass the earlier items in `input`",
    "prompt": "the backend has no stored prompts; pass `instructions` and `input`",
    "store": "the backend stores no responses; omit `store`",
}

# Explicit values that request the default behavior. They are dropped and never raise.
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

_ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"
_TEXT_PART_TYPES: Final = {"assistant": "output_text"}  # any other role: input_text


def shape(parameters: Mapping[str, Any], *, model: str, instructions: str) -> ShapedRequest:
    """Return the body for `POST /responses`; `model` and `instructions` are the defaults.

    TypeError if there is no input, or one that cannot be sent.
    """
    present = {name: to_json_data(value) for name, value in parameters.items() if not is_absent(value)}
    requested = {name: value for name, value in present.items() if value not in _DEFAULTS.get(name, ())}
    droppable = tuple(RejectedParameter(name, _DROPPABLE[name]) for name in requested if name in _DROPPABLE)
    not_droppable = tuple(RejectedParameter(name, _NOT_DROPPABLE[name]) for name in requested if name in _NOT_DROPPABLE)
    accepted = {
        name: value for name, value in requested.items() if name not in _DROPPABLE and name not in _NOT_DROPPABLE
    }
    body = {"model": model, "instructions": instructions, **accepted}
    if not body["instructions"]:
        del body["instructions"]
    body["input"] = _shape_input(body.get("input"))
    # The backend stores nothing, so reasoning must come back encrypted for the next turn to include it.
    include = body.setdefault("include", [])
    if isinstance(include, list) and _ENCRYPTED_REASONING not in include:  # the backend rejects anything but a list
        body["include"] = [*include, _ENCRYPTED_REASONING]
    body["stream"] = True
    body["store"] = False
    return ShapedRequest(body, droppable, not_droppable)


def compaction(body: dict[str, Any]) -> dict[str, Any]:
    """Turn a shaped body into a request to compact its input. Codex CLI: core/src/compact_remote_v2.rs."""
    return {**body, "input": [*body["input"], {"type": "compaction_trigger"}]}


def is_absent(value: Any) -> bool:
    """Whether a value means that the parameter was not given."""
    return value is None or isinstance(value, (Omit, NotGiven))


# --- JSON data -------------------------------------------------------------------------------------------------------

_JSON_SCALARS: Final = frozenset({str, int, bool, type(None)})  # floats are checked one by one: NaN is not JSON
_NOT_LISTS: Final = (bytes, bytearray, memoryview, IOBase)


def to_json_data(value: Any) -> Any:
    """Return JSON data for official objects, dataclasses, tuples, generators and mappings, at any depth.

    Data that is JSON already, such as most of a long history, is returned as it is. TypeError and ValueError, as the
    official client raises them, for a value that JSON cannot represent.
    """
    return value if _is_json_data(value) else _convert(value)


def _is_json_data(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not list:
        return kind in _JSON_SCALARS or (kind is float and isfinite(value))
    for member in value:  # noqa: SIM110 - this loop is the cost of a long history, and `all` doubles it
        if type(member) not in _JSON_SCALARS and not _is_json_data(member):
            return False
    return True


def _convert(value: Any) -> Any:
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"JSON cannot represent the number {value}.")
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {
            name: to_json_data(member) for name, member in value.items() if not isinstance(member, (Omit, NotGiven))
        }
    if isinstance(value, BaseModel):
        excluded = getattr(value, "__api_exclude__", None)  # openai's parsed responses have members of its own
        dumped = value.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=excluded, warnings=False)
        return to_json_data(dumped)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_json_data({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, Iterable) and not isinstance(value, _NOT_LISTS):
        return [to_json_data(member) for member in value]
    if callable(value):
        raise TypeError(
            f"JSON cannot represent the function {getattr(value, '__name__', value)!r}. A tool is a dict with its JSON "
            "schema: {'type': 'function', 'name': ..., 'parameters': {...}}."
        )
    raise TypeError(
        f"JSON cannot represent a value of type {type(value).__name__}. Pass text; pass an image or a file as a data URL."
    )


# --- Input -----------------------------------------------------------------------------------------------------------


def _shape_input(value: Any) -> list[Any]:
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    elif isinstance(value, dict) and "output" in value and value.get("object") == "response":
        raise TypeError("`input` is a whole response. Pass its items: `input=[*response.output, ...]`.")
    elif isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        problem = "`input` is required" if value is None else f"`input` is {type(value).__name__}"
        raise TypeError(
            f"{problem}. Pass a string, or a list of messages and items such as {{'role': 'user', 'content': '...'}}."
        )
    return [item for item in map(shape_item, value) if item is not None]


def shape_item(item: Any) -> Any:
    """Return the input item as the backend accepts it, or None for one that the backend can only reject."""
    if isinstance(item, str):
        item = {"role": "user", "content": item}
    if not isinstance(item, dict):
        raise TypeError(f"An item of `input` must be a mapping or an official object, not {type(item).__name__}.")
    kind = item.get("type", "message" if "role" in item else None)
    shaper = _ITEM_SHAPERS.get(str(kind))
    return shaper(item) if shaper is not None else item


def _shape_message(item: dict[str, Any]) -> dict[str, Any]:
    role, content = item.get("role"), item.get("content")
    if role == "system":
        role = "developer"  # 400 "System messages are not allowed"; this role means the same
    elif "type" in item and not isinstance(content, str):
        return item
    if isinstance(content, str):
        content = [{"type": _TEXT_PART_TYPES.get(str(role), "input_text"), "text": content}]
    return {"type": "message", **item, "role": role, "content": content}


def _shape_reasoning(item: dict[str, Any]) -> dict[str, Any] | None:
    # The backend stores nothing, so it cannot look a reasoning item up by its id ("Item with id 'rs_...' not found"),
    # and it rejects a `status` on one.
    if item.get("id") and not item.get("encrypted_content"):
        return None
    return {name: value for name, value in item.items() if name != "status"} if "status" in item else item


_ITEM_SHAPERS: Final = {"message": _shape_message, "reasoning": _shape_reasoning}
