"""Test that a request equals that of the official client, except for `DIFFERENCES`."""

from __future__ import annotations

import contextlib
import enum
import json
import types
from collections import UserDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any, get_args, get_origin

import httpx2
import openai
import pytest
import typing_extensions
from anyio.from_thread import start_blocking_portal
from openai._models import construct_type
from openai._utils import PropertyInfo
from openai.types.responses import (
    FunctionTool,
    ParsedResponseFunctionToolCall,
    ResponseFunctionToolCall,
    ResponseInputText,
    ResponseOutputItem,
    ResponseReasoningItem,
)
from openai.types.responses.response_compact_params import ResponseCompactParams
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from polyfactory.factories.pydantic_factory import ModelFactory
from pydantic import BaseModel, Field
from support.sync_adapter import SyncAdapter

from codex_backend_sdk._constants import DEFAULT_INSTRUCTIONS, DEFAULT_MODEL
from codex_backend_sdk._streaming.events import build_item
from codex_backend_sdk.testing import Simulator

Write = Callable[..., httpx2.Request]
CLIENTS = {"sync": (openai.OpenAI, httpx2.Client), "async": (openai.AsyncOpenAI, httpx2.AsyncClient)}


class Writers:
    """The official client and ours: each returns the request that a call would send, or raises what the call raises."""

    def __init__(self, kind: str, sim: Simulator, wrap: Callable[[Any], Any]) -> None:
        official, http = CLIENTS[kind]
        given: dict[str, Any] = {"base_url": sim.base_url, "max_retries": 0}
        make_ours = sim.client if kind == "sync" else sim.async_client
        self.official = self._writer(lambda client: official(api_key="sk", http_client=client, **given), http, wrap)
        self.ours = self._writer(lambda client: make_ours(http_client=client, prompt_cache=False, **given), http, wrap)

    @staticmethod
    def _writer(make: Callable[[Any], Any], http: Any, wrap: Callable[[Any], Any]) -> Write:
        sent: list[httpx2.Request] = []

        def refuse(request: httpx2.Request) -> httpx2.Response:
            sent.append(request)
            return httpx2.Response(500)

        client = wrap(make(http(transport=httpx2.MockTransport(refuse))))

        def write(method: str = "create", **params: Any) -> httpx2.Request:
            sent.clear()
            with contextlib.suppress(openai.InternalServerError):
                started = getattr(client.responses, method)(**params)
                started.__enter__()  # the helper sends its request here
            (request,) = sent
            return request

        return write


@pytest.fixture(params=CLIENTS)
def writers(request: pytest.FixtureRequest, sim: Simulator) -> Iterator[Writers]:
    if request.param == "sync":
        yield Writers("sync", sim, lambda client: client)
        return
    with start_blocking_portal() as portal:
        yield Writers("async", sim, lambda client: SyncAdapter(client, portal))


def body(request: httpx2.Request) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(request.content)
    return written


def as_sent_by_us(written: dict[str, Any]) -> dict[str, Any]:
    """Return a body of the official client with the members that every body of ours has, as the backend spells it."""
    tools = written.get("tools")
    if isinstance(tools, list):
        tools = [{"type": "function", **tool["function"]} if "function" in tool else tool for tool in tools]
    return {
        "model": DEFAULT_MODEL,
        "instructions": DEFAULT_INSTRUCTIONS,
        **{name: value for name, value in written.items() if value is not None},
        "input": on_the_wire(written["input"]),
        **({} if tools is None else {"tools": tools}),
        **({"tool_choice": written.get("tool_choice", "auto")} if tools else {}),
        "include": [*(written.get("include") or ()), "reasoning.encrypted_content"],
        "stream": True,
        "store": False,
    }


# --- the corpus ------------------------------------------------------------------------------------------------


class Colour(str, enum.Enum):  # noqa: UP042 - StrEnum is another case
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Place(BaseModel):
    """A place."""

    city: str
    seen: datetime | None = None
    near: list[Place] = []


class Renamed(BaseModel):
    type: str
    content: str = Field(alias="text")


@dataclass
class Part:
    type: str
    text: str


TEXT = {"type": "input_text", "text": "hi"}
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
ELSEWHERE = datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-2)))
IMAGE = {"type": "input_image", "detail": "low", "image_url": "data:image/png;base64,iVBORw0KGgo="}
FILE = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
CALL_OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": [IMAGE, FILE]}


def message(*parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(parts)}


def holding(value: Any) -> dict[str, Any]:
    """Return parameters with a value where the official types allow any."""
    return {"input": [message({"type": "new_type", "nested": {"deep": [value]}})]}


def tool(parameters: Any) -> dict[str, Any]:
    return {"type": "function", "name": "f", "strict": True, "parameters": parameters}


# Created for each client: a generator can be read once.
SAME: dict[str, Callable[[], dict[str, Any]]] = {
    "plain data": lambda: {"input": [message(TEXT, IMAGE, FILE), CALL_OUTPUT]},
    "every letter": lambda: {"input": [message({"type": "input_text", "text": 'é\u2028\x00\U0001f600\\"/'})]},
    "numbers": lambda: holding([2**70, 0.1, 1e22, 1e-7, -0.0, True, None]),
    "a datetime": lambda: holding(MOMENT),
    "a datetime elsewhere": lambda: holding(ELSEWHERE),
    "a datetime without a zone": lambda: holding(MOMENT.replace(tzinfo=None)),
    "enums": lambda: holding([Colour.RED, Number.ONE]),
    "numbers as names": lambda: holding({1: "a", 2.5: "b", False: "c"}),
    "a tuple of tuples": lambda: {"input": ({"type": "message", "role": "user", "content": (TEXT,)},)},
    "a generator of parts": lambda: {"input": [{**message(), "content": (part for part in (TEXT, IMAGE))}]},
    "a mapping that is not a dict": lambda: {"input": [UserDict(message(TEXT))]},
    "official objects": lambda: {"input": [message(ResponseInputText(type="input_text", text="hi"))]},
    "a model with members unset": lambda: {"input": [message(TEXT)], "text": {"format": Place(city="Paris")}},
    "models in models": lambda: holding(Place(city="a", seen=MOMENT, near=[Place(city="b"), Place(city="c")])),
    "a renamed member, untyped": lambda: holding(Renamed(type="x", text="hi")),
    "members that are not given": lambda: {"input": [message({**TEXT, "a": openai.omit, "b": openai.NOT_GIVEN})]},
    "members that are null": lambda: {"input": [{**message({**TEXT, "a": None}), "id": None}]},
    "parameters that are not given": lambda: {"input": [message(TEXT)], "tools": openai.omit, "user": openai.NOT_GIVEN},
    "a tool of pydantic's": lambda: {"input": [message(TEXT)], "tools": [openai.pydantic_function_tool(Place)]},
    "a tool that is an object": lambda: {
        "input": [message(TEXT)],
        "tools": [FunctionTool(type="function", name="f", parameters={"type": "object"}, strict=None)],
    },
    "tools that are none": lambda: {"input": [message(TEXT)], "tools": "shell"},
    "a tool without a list": lambda: {"input": [message(TEXT)], "tools": tool({})},
    "a generator of tools": lambda: {"input": [message(TEXT)], "tools": (tool({"n": n}) for n in range(2))},
    "a tuple of tools": lambda: {"input": [message(TEXT)], "tools": (tool({"since": MOMENT}), {"type": "web_search"})},
    "many parameters": lambda: {
        "input": [message(TEXT)],
        "model": "gpt-5.5",
        "instructions": "Be brief.",
        "include": ("web_search_call.results",),
        "parallel_tool_calls": False,
        "prompt_cache_key": "a-key",
        "reasoning": {"effort": "low", "summary": None},
        "service_tier": "priority",
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {"default": MOMENT}}},
        "tool_choice": {"type": "function", "name": "f"},
    },
    "extra_body": lambda: {
        "input": [message(TEXT)],
        "tools": [tool({})],
        "text": {"verbosity": "low"},
        "extra_body": {"input": [message(IMAGE)], "text": {"format": {}}, "new": [MOMENT, Place(city="a")]},
    },
    "a renamed member in extra_body": lambda: {
        "input": [message(TEXT)],
        "extra_body": {"new": Renamed(type="x", text="hi")},
    },
}


@pytest.mark.parametrize("name", SAME)
def test_body_equals_the_official(writers: Writers, name: str) -> None:
    assert body(writers.ours(**SAME[name]())) == as_sent_by_us(body(writers.official(**SAME[name]())))


@pytest.mark.parametrize("method", ["parse", "stream"])
def test_method_writes_the_official_body(writers: Writers, method: str) -> None:
    given: dict[str, Any] = {"model": "m", "input": [message(TEXT, ResponseInputText(type="input_text", text="hi"))]}
    given |= {"text_format": Place, "tools": [openai.pydantic_function_tool(Place)], "text": {"verbosity": "low"}}
    ours, official = (body(write(method, **given)) for write in (writers.ours, writers.official))
    assert ours == as_sent_by_us(official)
    assert ours["text"]["format"]["name"] == "Place"


@pytest.mark.parametrize("stream", [True, False])
def test_extra_headers_and_query_are_sent(writers: Writers, stream: bool) -> None:
    given: dict[str, Any] = {"extra_headers": {"x-a": "b"}, "extra_query": {"c": "d", "e": ["f", "g"], "h": None}}
    ours, official = (
        write(input="hi", model="m", stream=stream, **given) for write in (writers.ours, writers.official)
    )
    assert ours.url.params == official.url.params
    assert ours.headers["x-a"] == official.headers["x-a"] == "b"


OUTPUT_ITEMS = [item for item in get_args(get_args(ResponseOutputItem)[0]) if item is not ResponseReasoningItem]


@pytest.mark.parametrize("model", OUTPUT_ITEMS, ids=lambda model: model.__name__)
def test_response_items_are_sent_back(writers: Writers, model: type[BaseModel]) -> None:
    """As built by the official client, as built by ours, and as plain data."""
    factory: Any = ModelFactory.create_factory(model)
    factory.add_provider(object, lambda: "anything")
    for seed in range(3):
        factory.seed_random(seed)
        item = json.loads(factory.build().model_dump_json(exclude_unset=True, by_alias=True))
        official = construct_type(type_=ResponseOutputItem, value=item)
        expected = on_the_wire(body(writers.official(input=[official]))["input"])
        for given in (official, build_item(item), item):
            assert body(writers.ours(input=[given]))["input"] == expected


NEVER_NULL = ("phase", "logprobs", "queries", "sources")


def on_the_wire(written: Any) -> Any:
    """Return data of the official client with wire names (it writes `async_`), without some members that are null."""
    if isinstance(written, list):
        return [on_the_wire(member) for member in written]
    if not isinstance(written, dict):
        return written
    kept = {name: value for name, value in written.items() if not (name in NEVER_NULL and value is None)}
    return {"async" if name == "async_" else name: on_the_wire(value) for name, value in kept.items()}


NO_JSON = [Path("a.png"), b"\x89PNG", bytearray(b"a"), BytesIO(b"a"), MOMENT.date(), timedelta(1), Decimal(1), Place]
NO_JSON += [object(), float("nan"), float("inf")]


@pytest.mark.parametrize("value", NO_JSON, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("place", ["a part", "an image", "a tool", "extra_body"])
def test_unencodable_value_is_not_sent(writers: Writers, value: Any, place: str) -> None:
    given: dict[str, Any] = {
        "a part": holding(value),
        "an image": {"input": [message({**IMAGE, "image_url": value})]},
        "a tool": {"input": "hi", "tools": [tool({"default": value})]},
        "extra_body": {"input": "hi", "extra_body": {"new": value}},
    }[place]
    error = ValueError if isinstance(value, float) else TypeError
    for write in (writers.official, writers.ours):
        with pytest.raises(error, match="JSON"):
            write(**given)


# --- the differences -------------------------------------------------------------------------------------------

HI = message(TEXT)
SYSTEM, EASY = {**HI, "role": "system"}, {"role": "user", "content": "hi"}
ABSENT = object()
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
PARSED = ParsedResponseFunctionToolCall.model_validate({**CALL, "parsed_arguments": {"a": 1}})
RESERVED = ResponseFunctionToolCall.model_validate({**CALL, "async": True})
READABLE = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA"}
UNREADABLE, FINISHED = {**READABLE, "encrypted_content": None}, {**READABLE, "status": "completed"}

# Parameters; the member of the body that differs; what the official client writes there, or raises; what ours writes.
DIFFERENCES: dict[str, tuple[Callable[[], dict[str, Any]], str, Any, Any]] = {
    "the backend only streams": (lambda: {"input": [HI]}, "stream", ABSENT, True),
    "the backend stores no response": (lambda: {"input": [HI], "store": openai.omit}, "store", ABSENT, False),
    "reasoning is requested encrypted": (lambda: {"input": [HI]}, "include", ABSENT, ["reasoning.encrypted_content"]),
    "a model is required": (lambda: {"input": [HI]}, "model", ABSENT, DEFAULT_MODEL),
    "instructions have a default": (lambda: {"input": [HI]}, "instructions", ABSENT, DEFAULT_INSTRUCTIONS),
    "empty instructions are not sent": (lambda: {"input": [HI], "instructions": ""}, "instructions", "", ABSENT),
    "null parameters are not sent": (lambda: {"input": [HI], "reasoning": None}, "reasoning", None, ABSENT),
    "null in extra_body is not sent": (lambda: {"input": [HI], "extra_body": {"new": None}}, "new", None, ABSENT),
    "default values are not sent": (lambda: {"input": [HI], "temperature": 1}, "temperature", 1, ABSENT),
    "input is a list": (lambda: {"input": "hi"}, "input", "hi", [HI]),
    "input is a list of items": (lambda: {"input": HI}, "input", HI, [HI]),
    "items are mappings": (lambda: {"input": ["hi"]}, "input", ["hi"], [HI]),
    "messages have a type and parts": (lambda: {"input": [EASY]}, "input", [EASY], [HI]),
    "system messages have another role": (
        lambda: {"input": [SYSTEM]},
        "input",
        [SYSTEM],
        [{**HI, "role": "developer"}],
    ),
    "reasoning without encrypted content is dropped": (
        lambda: {"input": [UNREADABLE, HI]},
        "input",
        [UNREADABLE, HI],
        [HI],
    ),
    "reasoning has no status": (lambda: {"input": [FINISHED]}, "input", [FINISHED], [READABLE]),
    "a generator of items": (lambda: {"input": (item for item in [HI])}, "input", TypeError, [HI]),
    "a set": (lambda: {"input": [HI], "extra_body": {"new": {1}}}, "new", TypeError, [1]),
    "a dataclass": (lambda: {"input": [message(Part("input_text", "hi"))]}, "input", TypeError, [HI]),
    "a mapping that is not a dict, untyped": (
        lambda: {"input": [HI], "extra_body": {"new": types.MappingProxyType({"a": 1})}},
        "new",
        TypeError,
        {"a": 1},
    ),
    "a name that Python reserves": (
        lambda: {"input": [RESERVED]},
        "input",
        [{**CALL, "async_": True}],
        [{**CALL, "async": True}],
    ),
    "what parsing added, wherever it stands": (
        lambda: {"input": [HI], "extra_body": {"new": [PARSED]}},
        "new",
        [{**CALL, "parsed_arguments": {"a": 1}}],
        [CALL],
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_documented_difference(writers: Writers, name: str) -> None:
    given, member, theirs, ours = DIFFERENCES[name]
    if isinstance(theirs, type):
        with pytest.raises(theirs):
            writers.official(**given())
    else:
        assert body(writers.official(**given())).get(member, ABSENT) == theirs
    assert body(writers.ours(**given())).get(member, ABSENT) == ours


# --- why bypassing the official transform is safe ----------------------------------------------------------


def infos(annotation: Any, where: str, seen: set[Any]) -> Iterator[str]:
    """Yield the places where the official types request another name or format on the wire."""
    if isinstance(annotation, PropertyInfo):
        yield f"{where}: {annotation}"
    if typing_extensions.is_typeddict(annotation) and annotation not in seen:
        seen.add(annotation)
        for name, member in typing_extensions.get_type_hints(annotation, include_extras=True).items():
            yield from infos(member, f"{annotation.__name__}.{name}", seen)
    if get_origin(annotation) is not None:
        for argument in get_args(annotation):
            yield from infos(argument, where, seen)


def test_tracer_sees_the_official_parameters(writers: Writers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracers replace the official methods; ours call them."""
    seen: list[dict[str, Any]] = []
    for resource in (openai.resources.responses.Responses, openai.resources.responses.AsyncResponses):
        monkeypatch.setattr(
            resource, "create", lambda self, real=resource.create, **kw: seen.append(kw) or real(self, **kw)
        )
    shown: dict[str, Any] = {"model": "m", "instructions": "Be brief.", "reasoning": {"effort": "low"}}
    shown |= {"text": {"verbosity": "low"}, "tool_choice": "auto", "service_tier": "priority"}
    sent = body(writers.ours(input="hi", include=[], prompt_cache_key="k", store=False, **shown))
    assert seen[0].items() >= shown.items()
    assert sent.items() >= {**shown, "prompt_cache_key": "k"}.items()


@pytest.mark.parametrize("params", [ResponseCreateParamsNonStreaming, ResponseCompactParams])
def test_bypassed_parameters_need_no_transform(params: Any) -> None:
    """The parameters that bypass the transform have the same name and format on the wire."""
    seen: set[Any] = set()
    assert list(infos(params, "", seen)) == []
    assert len(seen) > 100


def test_needed_transform_would_be_noticed() -> None:
    class Params(typing_extensions.TypedDict, total=False):
        nested: list[typing_extensions.Annotated[str, PropertyInfo(alias="other")]]

    (found,) = infos(Params, "", set())
    assert found.startswith("Params.nested: ")


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"input": "half an emoji \ud83d"}, r"`input\[0\].content\[0\].text` contains"),
        ({"input": [{"role": "user", "content": "caf\udce9.txt"}]}, r"`input\[0\].content\[0\].text` contains"),
        ({"input": "hi", "instructions": "\udfff"}, "`instructions` contains"),
        ({"input": "hi", "tools": [{"type": "function", "name": "f", "description": "\ud800"}]}, r"`tools\[0\].desc"),
        ({"input": "hi", "extra_body": {"x": {"\ud800": 1}}}, "A name in `x` contains"),
    ],
)
def test_lone_surrogate_is_rejected_before_sending(
    client: Any, sim: Simulator, arguments: dict[str, Any], place: str
) -> None:
    with pytest.raises(ValueError, match=place):
        client.responses.create(**arguments)
    with pytest.raises(ValueError, match=place):
        client.responses.create(**arguments, stream=True)
    assert sim.requests == []
