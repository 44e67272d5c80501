from __future__ import annotations

import functools
from typing import Annotated, Any

import pytest

from codex_backend_sdk import ToolDefinitionError
from codex_backend_sdk.tools import CustomTool, FunctionTool, ToolSet, tool
from codex_backend_sdk.tools.function_tool import Tool
from codex_backend_sdk.tools.schema import ArgumentsError


def weather(city: str, days: Annotated[int, "How many."] = 1) -> str:
    """Return the forecast.

    Args:
        city: The city.
        days: Ignored, because the annotation has a text.
    """
    return f"{city}: {days}"


async def fetch(url: str) -> str:
    """Fetch."""
    return url


class Search:
    """Search the index."""

    def __call__(self, query: str) -> str:
        return query


class AsyncSearch:
    async def __call__(self, query: str) -> str:
        """Search slowly."""
        return query


def run_script(text: str) -> str:
    """Run the script."""
    return text


DEFINITION: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "Return the forecast.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city."},
            "days": {
                "anyOf": [{"type": "integer"}, {"type": "null"}],
                "description": "How many. (default if null: 1)",
            },
        },
        "required": ["city", "days"],
        "additionalProperties": False,
    },
    "strict": True,
}


def test_definition_comes_from_signature_and_docstring() -> None:
    assert FunctionTool.from_function(weather).definition == DEFINITION
    assert FunctionTool.from_function(weather).strict


def test_decorator_takes_the_same_options() -> None:
    made = tool(name="w", description="Text.", timeout=2, max_output_bytes=10, strict=False)(weather)
    assert (made.name, made.description, made.timeout, made.max_output_bytes) == ("w", "Text.", 2, 10)
    assert made.definition["name"] == "w"
    assert made.definition["description"] == "Text."
    assert not made.strict


def test_decorated_function_can_be_called() -> None:
    made = tool(weather)
    assert made("Rome", days=2) == "Rome: 2"
    assert (made.__name__, made.__doc__) == ("weather", weather.__doc__)
    assert repr(made) == "FunctionTool('weather')"


NAMES = [
    (weather, "weather", "Return the forecast."),
    (functools.partial(functools.partial(weather, days=3)), "weather", "Return the forecast."),
    (Search(), "Search", "Search the index."),
    (AsyncSearch(), "AsyncSearch", "Search slowly."),
    (Search().__call__, "__call__", ""),
]


@pytest.mark.parametrize(("function", "name", "text"), NAMES)
def test_name_and_text_are_those_of_the_function(function: Any, name: str, text: str) -> None:
    made = FunctionTool.from_function(function)
    assert (made.name, made.description) == (name, text)


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (weather, False),
        (fetch, True),
        (functools.partial(fetch, url="x"), True),
        (Search(), False),
        (AsyncSearch(), True),
    ],
)
def test_coroutine_functions_are_recognized(function: Any, is_async: bool) -> None:
    assert FunctionTool.from_function(function).is_async is is_async


def documents_other(x: int) -> None:
    """Do it.

    Args:
        x: One.
        y: Not there.
    """


class Kit:
    def search(self, query: str) -> str:
        return query

    @classmethod
    def of(cls, query: str) -> str:
        return query

    @staticmethod
    def plain(query: str) -> str:
        return query


def takes_self(self: str) -> str:
    return self


METHODS = [Kit().search, Kit.of, Kit.plain, functools.partial(Kit.search, Kit())]


@pytest.mark.parametrize("function", METHODS)
def test_bound_methods_are_tools(function: Any) -> None:
    assert [*FunctionTool.from_function(function).definition["parameters"]["properties"]] == ["query"]


def test_parameter_of_a_function_may_be_self() -> None:
    def inner(self: str) -> str:
        return self

    assert [FunctionTool.from_function(each).name for each in (takes_self, inner)] == ["takes_self", "inner"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (Kit.search, r"Kit\.search is a method without an instance\. Pass it bound, as tools=\[instance\.search\]"),
        (functools.partial(Kit.search, query="x"), r"Kit\.search is a method without an instance"),
        (Kit, "Kit is a class"),
        (functools.partial(Kit), "Kit is a class"),
        (str, "str is a class"),
    ],
)
def test_classes_and_unbound_methods_are_refused(function: Any, message: str) -> None:
    definition = {"type": "function", "name": "f"}
    for make in (FunctionTool.from_function, CustomTool, lambda each: FunctionTool.from_definition(definition, each)):
        with pytest.raises(ToolDefinitionError, match=message):
            make(function)  # type: ignore[operator]


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (documents_other, {}, r"docstring of documents_other\(\) describes 'y', which is not one of its parameters"),
    (lambda: None, {}, "'<lambda>' cannot be the name of a tool"),
    (weather, {"name": "a.b"}, "'a.b' cannot be the name"),
    (weather, {"name": "x" * 65}, "cannot be the name"),
    (weather, {"timeout": 0}, "timeout of the tool 'weather' is 0"),
    (weather, {"timeout": -1}, "must be above 0"),
    (weather, {"max_output_bytes": -1}, "max_output_bytes of the tool 'weather' is negative"),
    (5, {}, "5 cannot be called"),
    ("weather", {}, "'weather' cannot be called"),
]


@pytest.mark.parametrize(("function", "options", "message"), REFUSED)
def test_impossible_tool_is_refused_when_registered(function: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolDefinitionError, match=message):
        FunctionTool.from_function(function, **options)


def test_documented_parameter_of_a_partial_may_be_fixed() -> None:
    made = FunctionTool.from_function(functools.partial(weather, city="x"))
    assert [*made.definition["parameters"]["properties"]] == ["days"]


def test_arguments_become_those_of_the_function() -> None:
    assert tool(weather).parse('{"city": "Rome", "days": null}') == ((), {"city": "Rome", "days": 1})


def test_existing_definition_can_be_used() -> None:
    definition = {"type": "function", "name": "remote", "parameters": {"type": "object"}}
    made = FunctionTool.from_definition(definition, lambda **arguments: arguments, timeout=1, max_output_bytes=5)
    assert made.definition == definition
    assert (made.strict, made.timeout, made.max_output_bytes, made.description) == (False, 1, 5, "")
    assert made.parse('{"a": 1}') == ((), {"a": 1})
    assert made.parse("") == ((), {})
    with pytest.raises(ArgumentsError, match="not valid JSON"):
        made.parse("{")
    with pytest.raises(ArgumentsError, match="JSON object"):
        made.parse("[]")


@pytest.mark.parametrize("definition", [{"type": "web_search"}, {"type": "function"}])
def test_other_definition_has_no_function(definition: dict[str, Any]) -> None:
    with pytest.raises(ToolDefinitionError, match="has the type 'function' and a name"):
        FunctionTool.from_definition(definition, print)


def test_custom_tool_takes_text() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
    made = CustomTool(run_script, format=grammar)
    assert made.definition == {
        "type": "custom",
        "name": "run_script",
        "description": "Run the script.",
        "format": grammar,
    }
    assert made.parse("{not json") == (("{not json",), {})
    assert CustomTool(lambda text: text, name="x", description="").definition == {"type": "custom", "name": "x"}


@pytest.mark.parametrize("function", [lambda: None, lambda a, b: None, lambda *, text: None])
def test_custom_tool_needs_one_argument(function: Any) -> None:
    with pytest.raises(ToolDefinitionError, match="must take one argument"):
        CustomTool(function, name="x")


def test_tool_set_keeps_the_order() -> None:
    search = {"type": "web_search"}
    tools = ToolSet([fetch, search, tool(weather), CustomTool(run_script)])
    assert [each.get("name") for each in tools.definitions] == ["fetch", None, "weather", "run_script"]
    assert tools.names == [each.name for each in tools] == ["fetch", "weather", "run_script"]
    assert len(tools) == 3
    assert tools.get("weather") is not None
    assert tools.get("other") is None


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([weather, tool(weather)], "Two tools have the name 'weather'"),
        ([weather, CustomTool(run_script, name="weather")], "Two tools have the name 'weather'"),
        ([{"type": "function", "name": "f"}], "'f' has no Python function"),
        ([{"type": "custom", "name": "c"}], "'c' has no Python function"),
        ([{"type": "function", "function": {"name": "f"}}], "'f' has the form of Chat Completions"),
        ([weather, {"type": "function", "name": "weather"}], "function 'weather' and a definition .* Leave out the"),
        ([{"type": "function", "name": "weather"}, weather], "function 'weather' and a definition .* Leave out the"),
        (weather, "Pass a list"),
        (tool(weather), "Pass a list"),
        ({"type": "web_search"}, "Pass a list"),
        ("weather", "Pass a list"),
    ],
)
def test_tools_that_do_not_fit_together_are_refused(tools: Any, message: str) -> None:
    with pytest.raises(ToolDefinitionError, match=message):
        ToolSet(tools)


def test_base_class_cannot_parse() -> None:
    with pytest.raises(NotImplementedError):
        Tool(weather, {"name": "x"}, timeout=None, max_output_bytes=1).parse("")
