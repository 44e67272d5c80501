"""Test output items that can also be read like dictionaries."""

from __future__ import annotations

import copy
import pickle

import pytest
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from codex_backend_sdk._items import UnknownItem, make_subscriptable


def function_call() -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(type="function_call", call_id="call_1", name="f", arguments="{}")


def test_item_is_read_like_a_dictionary() -> None:
    item = make_subscriptable(function_call())
    assert item["type"] == "function_call"  # type: ignore[index]
    assert item.get("name") == "f"  # type: ignore[attr-defined]
    assert item.get("id", "none") == "none"  # type: ignore[attr-defined]
    assert item.get("nothing") is None  # type: ignore[attr-defined]
    assert "call_id" in item
    assert "id" not in item
    assert {**item} == {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}  # type: ignore[dict-item]


def test_absent_field_has_its_default() -> None:
    assert make_subscriptable(function_call())["status"] is None  # type: ignore[index]


def test_unknown_field_raises_key_error() -> None:
    with pytest.raises(KeyError, match="colour"):
        make_subscriptable(function_call())["colour"]  # type: ignore[index]


def test_keys_are_the_names_of_the_json() -> None:
    item = make_subscriptable(
        ResponseFunctionToolCall.model_validate({**function_call().to_dict(), "async": True, "new": 1})
    )
    assert (item["async"], item["new"]) == (True, 1)  # type: ignore[index]
    assert {"async", "new"} <= set(item.keys())  # type: ignore[attr-defined]


def test_nested_lists_are_subscriptable() -> None:
    text = ResponseOutputText(type="output_text", text="hi", annotations=[])
    message = ResponseOutputMessage(id="m", role="assistant", status="completed", type="message", content=[text])
    assert make_subscriptable(message)["content"][0]["text"] == "hi"  # type: ignore[index]


def test_nested_models_are_subscriptable() -> None:
    item = UnknownItem.model_construct(type="x", inner=function_call())
    assert make_subscriptable(item)["inner"]["name"] == "f"  # type: ignore[index]


def test_field_may_have_the_name_of_a_method() -> None:
    item = make_subscriptable(UnknownItem.model_construct(type="keypress", keys=["CTRL"]))
    assert item["keys"] == ["CTRL"]  # type: ignore[index]
    assert "keys" in item
    assert item.get("nothing") is None  # type: ignore[attr-defined]


def test_item_equals_its_official_object() -> None:
    item = make_subscriptable(function_call())
    assert isinstance(item, ResponseFunctionToolCall)
    assert item == function_call()
    assert function_call() == item
    assert item != make_subscriptable(UnknownItem(type="function_call"))
    assert item != {"type": "function_call"}
    assert repr(item) == repr(function_call())
    assert item.to_dict() == function_call().to_dict()
    assert make_subscriptable(item) is item
    assert type(item) is type(make_subscriptable(function_call()))


def test_official_class_is_not_patched() -> None:
    make_subscriptable(function_call())
    assert not hasattr(ResponseFunctionToolCall, "__getitem__")


def test_item_can_be_copied_and_pickled() -> None:
    item = make_subscriptable(function_call())
    for duplicate in (copy.deepcopy(item), pickle.loads(pickle.dumps(item)), item.model_copy()):
        assert duplicate == item
        assert duplicate["name"] == "f"
