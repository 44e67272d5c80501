"""Test that events of every type, with missing, extra and wrong members, equal those of the official client.

The events are generated from the official classes, so the test covers new classes automatically.
"""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from openai._models import construct_type
from openai.types.responses import ResponseStreamEvent
from polyfactory.factories.pydantic_factory import ModelFactory
from pydantic import BaseModel

from codex_backend_sdk._items import UnknownItem
from codex_backend_sdk._json import decode
from codex_backend_sdk._streaming import events

CLASSES = get_args(get_args(ResponseStreamEvent)[0])
SAMPLES = 2


def sample(model: type[BaseModel], seed: int) -> dict[str, Any]:
    factory: Any = ModelFactory.create_factory(model)
    factory.add_provider(object, lambda: "anything")
    factory.seed_random(seed)
    payload: dict[str, Any] = json.loads(factory.build().model_dump_json(exclude_unset=True, by_alias=True))
    return payload


def variants(payload: dict[str, Any]) -> list[dict[str, Any]]:
    members = [name for name in payload if name != "type"]
    return [
        payload,
        {**payload, "new_member": [1]},
        *({name: value for name, value in payload.items() if name != missing} for missing in members),
        *({**payload, name: wrong} for name in members for wrong in (None, {"wrong": 1}, "wrong")),
    ]


def ours(data: bytes) -> Any:
    batch = events.read_events(b"data: " + data)
    return events.build_event(decode(data)) if batch is None else batch[0]


def difference(ours: Any, official: Any, where: str = "") -> str | None:
    """Return the first difference between two values. A subscriptable item equals one of its official class."""
    if isinstance(ours, UnknownItem):
        return None  # a deliberate difference: the official client parses an item of an unknown type as a message
    if isinstance(official, BaseModel):
        if not isinstance(ours, type(official)) or type(ours).__name__ != type(official).__name__:
            return f"{where}: {type(ours)} is not {type(official)}"
        declared = set(type(official).model_fields)
        if ours.model_fields_set & declared != official.model_fields_set & declared:
            return f"{where}: members set {ours.model_fields_set} are not {official.model_fields_set}"
        return difference(members(ours), members(official), where)
    if isinstance(official, dict) and isinstance(ours, dict):
        if ours.keys() != official.keys():
            return f"{where}: {sorted(ours)} are not {sorted(official)}"
        return next((d for name in official if (d := difference(ours[name], official[name], f"{where}.{name}"))), None)
    if isinstance(official, list) and isinstance(ours, list) and len(ours) == len(official):
        return next(
            (d for i, element in enumerate(official) if (d := difference(ours[i], element, f"{where}[{i}]"))), None
        )
    return None if ours == official and type(ours) is type(official) else f"{where}: {ours!r} is not {official!r}"


def members(model: BaseModel) -> dict[str, Any]:
    return {**model.__dict__, **(model.__pydantic_extra__ or {})}


@pytest.mark.parametrize("model", CLASSES, ids=lambda model: model.__name__)
def test_event_equals_the_official_event(model: type[BaseModel]) -> None:
    for seed in range(SAMPLES):
        for payload in variants(sample(model, seed)):
            data = json.dumps(payload, separators=(",", ":")).encode()
            official = construct_type(type_=ResponseStreamEvent, value=json.loads(data))
            assert difference(ours(data), official) is None, data.decode()[:500]
