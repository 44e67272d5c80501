"""Official parameters → the request body that the Codex backend takes.

The parameter policy is the three tables below. What the backend accepts and refuses is known from probes that others
published; Codex CLI: codex-api/src/common.rs has the members that it sends itself.
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

__all__ = ["Refusal", "Shaped", "compaction", "is_absent", "plain", "shape", "shape_item"]


class Refusal(NamedTuple):
    """A parameter that cannot be sent, and what to do instead."""

    name: str
    remedy: str


class Shaped(NamedTuple):
    """A body as the backend takes it, what had to be left out, and what cannot be left out."""

    body: dict[str, Any]
    droppable: tuple[Refusal, ...]
    meaningful: tuple[Refusal, ...]


# Answered with 400 "Unsupported parameter: NAME". The call makes sense without them.
_REFUSED: Final = {
    "background_options": "",
    "context_management": "compact the history yourself with `client.responses.compact(...)`",
    "frequency_penalty": "",
    "max_completion_tokens": "",
    "max_output_tokens": "an answer's length cannot be limited; pass `text={'verbosity': 'low'}` for a short one",
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

# Refused too, but without them the call would mean something else, so they are never left out.
_MEANINGFUL: Final = {
    "background": "the backend answers in the foreground only; use `stream=True` or an async client",
    "conversation": "the backend keeps no conversations; pass the earlier items in `input`",
    "previous_response_id": "the backend keeps no responses; pass the earlier items in `input`",
    "prompt": "the backend has no stored prompts; pass `instructions` and `input`",
    "store": "the backend keeps no responses; leave `store` out",
}

# Explicit values that ask for what happens anyway. They are left out and never raise.
_NO_EFFECT: Final[dict[str, tuple[Any, ...]]] = {
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
_TEXT_PART: Final = {"assistant": "output_text"}  # every other role: input_text


def shape(given: Mapping[str, Any], *, model: str, instructions: str) -> Shaped:
    """Return the body for `POST /responses`; `model` and `instructions` stand in where none is given.

    TypeError when there is no input, or one that cannot be sent.
    """
    present = {name: plain(value) for name, value in given.items() if not is_absent(value)}
    asked = {name: value for name, value in present.items() if not _has_no_effect(name, value)}
    droppable = tuple(Refusal(name, _REFUSED[name]) for name in asked if name in _REFUSED)
    meaningful = tuple(Refusal(name, _MEANINGFUL[name]) for name in asked if name in _MEANINGFUL)
    accepted = {name: value for name, value in asked.items() if name not in _REFUSED and name not in _MEANINGFUL}
    body = {"model": model, "instructions": instructions, **accepted}
    if not body["instructions"]:
        del body["instructions"]
    body["input"] = _input_items(body.get("input"))
    included = body.setdefault("include", [])
    if isinstance(included, list) and _ENCRYPTED_REASONING not in included:  # the backend refuses what is no list
        body["include"] = [*included, _ENCRYPTED_REASONING]
    body["stream"] = True
    body["store"] = False
    return Shaped(body, droppable, meaningful)


def compaction(body: dict[str, Any]) -> dict[str, Any]:
    """Turn a shaped body into a request to compact its input. Codex CLI: core/src/compact_remote_v2.rs."""
    return {**body, "input": [*body["input"], {"type": "compaction_trigger"}]}


def plain(value: Any) -> Any:
    """Return JSON data for official objects, dataclasses, tuples, generators and mappings, at any depth.

    What is JSON data already, as most of a long history, is looked at but not copied. TypeError and ValueError, as
    the official client raises them, for what JSON cannot hold.
    """
    return value if _is_plain(value) else _plain(value)


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not list:
        return kind in _ATOMS or (kind is float and isfinite(value))
    for member in value:  # noqa: SIM110 - this loop is the cost of a long history, and `all` doubles it
        if type(member) not in _ATOMS and not _is_plain(member):
            return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: plain(member) for name, member in value.items() if not isinstance(member, (Omit, NotGiven))}
    if isinstance(value, BaseModel):
        exclude = getattr(value, "__api_exclude__", None)
        return plain(value.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=exclude, warnings=False))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, Iterable) and not isinstance(value, _NO_LISTS):
        return [plain(member) for member in value]
    kind = type(value).__name__
    raise TypeError(f"JSON cannot hold a value of type {kind}. Pass text; for an image or a file, a data URL.")


def _finite(value: float) -> float:
    if not isfinite(value):
        raise ValueError(f"JSON cannot hold the number {value}.")
    return value


_ATOMS: Final = frozenset({str, int, bool, type(None)})  # floats are looked at one by one: some are no JSON
_NO_LISTS: Final = (bytes, bytearray, memoryview, IOBase)


def is_absent(value: Any) -> bool:
    """Whether a value stands for a parameter that is not given."""
    return value is None or isinstance(value, (Omit, NotGiven))


def _has_no_effect(name: str, value: Any) -> bool:
    return value in _NO_EFFECT.get(name, ())


def _input_items(given: Any) -> list[Any]:
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    elif isinstance(given, dict) and "output" in given and given.get("object") == "response":
        raise TypeError("`input` is a whole response; pass its items: `input=[*response.output, …]`.")
    elif isinstance(given, Mapping):
        given = [given]
    if not isinstance(given, list):
        raise TypeError(
            "`input` is required: a string, or a list of messages and items such as {'role': 'user', 'content': '…'}; "
            f"got {type(given).__name__}."
        )
    return [item for item in map(shape_item, given) if item is not None]


def shape_item(item: Any) -> Any:
    """Return the item as the backend takes it, or None for one that could only be refused."""
    if isinstance(item, str):
        item = {"role": "user", "content": item}
    if not isinstance(item, dict):
        raise TypeError(f"An item of `input` must be a mapping or an official object, not {type(item).__name__}.")
    kind = item.get("type", "message" if "role" in item else None)
    shaper = _ITEM_SHAPERS.get(str(kind))
    return shaper(item) if shaper is not None else item


def _message(item: dict[str, Any]) -> dict[str, Any]:
    role, content = item.get("role"), item.get("content")
    if role == "system":
        role = "developer"  # 400 "System messages are not allowed"; this is the role that means the same
    elif "type" in item and not isinstance(content, str):
        return item
    if isinstance(content, str):
        content = [{"type": _TEXT_PART.get(str(role), "input_text"), "text": content}]
    return {"type": "message", **item, "role": role, "content": content}


def _reasoning(item: dict[str, Any]) -> dict[str, Any] | None:
    # With nothing stored the backend cannot look a reasoning item up by its id ("Item with id 'rs_…' not found"),
    # and it refuses a `status` on one.
    if item.get("id") and not item.get("encrypted_content"):
        return None
    return {name: value for name, value in item.items() if name != "status"} if "status" in item else item


_ITEM_SHAPERS: Final = {"message": _message, "reasoning": _reasoning}
