"""Python functions as tools: their definitions for the model, and its calls as Python calls. Pure.

A `FunctionTool` is made from a function's signature and docstring, once, when it is registered. Everything that can be
wrong with it is reported then, before any request. A `CustomTool` takes free text instead of JSON. A `ToolSet` holds
the tools of a run, in a stable order, because a change of the order costs the prompt cache.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, ParamSpec, TypeVar, overload

from .._exceptions import ToolDefinitionError
from .docstrings import parse_docstring
from .outputs import DEFAULT_MAX_OUTPUT_BYTES
from .schema import Signature, function_name, parse_object, without_partials

if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = ["CustomTool", "FunctionTool", "Tool", "ToolLike", "ToolSet", "tool"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Call = tuple[tuple[Any, ...], dict[str, Any]]

# Source: https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Tool(Generic[_P, _R]):
    """The base class of `FunctionTool` and `CustomTool`. A tool can be called like its function.

    Attributes:
        name: The name that the model calls.
        description: The description that the model receives.
        definition: The definition for the parameter `tools` of `responses.create()`.
        function: The Python function.
        timeout: The seconds that a call may take, or None.
        max_output_bytes: The length that text of an output may have. Longer text is cut in the middle.
    """

    call_type: Literal["function_call", "custom_tool_call"]

    def __init__(
        self,
        function: Callable[_P, _R],
        definition: dict[str, Any],
        *,
        timeout: float | None,
        max_output_bytes: int,
    ) -> None:
        self.name: str = definition["name"]
        self.description: str = definition.get("description", "")
        self.definition = definition
        self.function = function
        self.timeout = timeout
        self.max_output_bytes = max_output_bytes
        if not _NAME.fullmatch(self.name):
            raise ToolDefinitionError(
                f"{self.name!r} cannot be the name of a tool: it must have 1 to 64 letters, digits, underscores and "
                'dashes. Pass tool(name="...")(function) instead of the function.'
            )
        if timeout is not None and not timeout > 0:
            raise ToolDefinitionError(f"The timeout of the tool {self.name!r} is {timeout}. It must be above 0.")
        if max_output_bytes < 0:
            raise ToolDefinitionError(f"max_output_bytes of the tool {self.name!r} is negative.")
        update_wrapper(self, function, updated=())

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call the function, as without the decorator."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function, which only the async client can run."""
        call = getattr(self.function, "__call__", None)  # noqa: B004 - it is inspected, not called
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)

    def parse(self, arguments: str) -> _Call:
        """Return the positional and keyword arguments of the function from the text of a call.

        Raises ArgumentsError with a text for the model.
        """
        raise NotImplementedError


class FunctionTool(Tool[_P, _R]):
    """A function that the model calls with JSON arguments. `FunctionTool.from_function()` and `@tool` make one."""

    call_type = "function_call"
    _parse: Callable[[str], _Call]

    @classmethod
    def from_function(
        cls,
        function: Callable[_P, _R],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES,
        strict: bool | None = None,
    ) -> FunctionTool[_P, _R]:
        """Make a tool from a function, a method, a `functools.partial`, or an object that can be called.

        The schema comes from the signature. The descriptions come from the docstring (Google, NumPy or Sphinx style),
        and those of parameters from `Annotated[..., "text"]` or `Field(description=...)`, if they are there.

        Args:
            function: Sync or async. The async client runs both, the sync client only sync functions.
            name: The name for the model; by default, that of the function.
            description: The description for the model; by default, the docstring without its parameters.
            timeout: The seconds that a call may take. After them, the model receives an output that says so.
            max_output_bytes: The length that text of an output may have. Longer text is cut in the middle.
            strict: Whether the backend guarantees arguments that match the schema. By default, it does if strict mode
                can express the signature.

        Raises ToolDefinitionError if the signature has no schema, or if the docstring describes a parameter that does
        not exist.
        """
        own_name = _name(function)
        documented = parse_docstring(_docstring(function))
        signature = Signature.of(function, descriptions=documented.parameters, strict=strict)
        unknown = [each for each in documented.parameters if each not in _all_parameters(function)]
        if unknown:
            raise ToolDefinitionError(
                f"The docstring of {own_name}() describes {unknown[0]!r}, which is not one of its parameters. Correct "
                "the name, or remove the entry."
            )
        definition = {
            "type": "function",
            "name": name or own_name,
            "description": description if description is not None else documented.text,
            "parameters": signature.schema,
            "strict": signature.is_strict,
        }
        made: FunctionTool[_P, _R] = cls._create(
            function, definition, signature.parse, timeout=timeout, max_output_bytes=max_output_bytes
        )
        return made

    @classmethod
    def from_definition(
        cls,
        definition: Mapping[str, Any],
        function: Callable[..., _R],
        *,
        timeout: float | None = None,
        max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES,
    ) -> FunctionTool[..., _R]:
        """Make a tool from a definition that exists, for example that of an MCP server.

        The function receives the members of the JSON arguments as keyword arguments. They are not validated.
        """
        _name(function)
        if definition.get("type") != "function" or not isinstance(definition.get("name"), str):
            raise ToolDefinitionError("A definition of a function tool has the type 'function' and a name.")
        made: FunctionTool[..., _R] = cls._create(
            function,
            dict(definition),
            lambda text: ((), parse_object(text)),
            timeout=timeout,
            max_output_bytes=max_output_bytes,
        )
        return made

    @classmethod
    def _create(
        cls, function: Callable[..., Any], definition: dict[str, Any], parse: Callable[[str], _Call], **limits: Any
    ) -> Any:
        made = cls(function, definition, **limits)
        made._parse = parse
        return made

    @property
    def strict(self) -> bool:
        """Whether the backend guarantees arguments that match the schema."""
        return bool(self.definition.get("strict"))

    def parse(self, arguments: str) -> _Call:
        """Return the arguments of the function from the JSON text of a call."""
        return self._parse(arguments)


class CustomTool(Tool[_P, _R]):
    """A function with one parameter, which the model calls with free text instead of JSON.

    Args:
        function: Sync or async, with one parameter of the type `str`.
        name: The name for the model; by default, that of the function.
        description: The description for the model; by default, the docstring.
        format: The format of the text, for example `{"type": "grammar", "syntax": "lark", "definition": "..."}`.
        timeout: As for `FunctionTool`.
        max_output_bytes: As for `FunctionTool`.
    """

    call_type = "custom_tool_call"

    def __init__(
        self,
        function: Callable[_P, _R],
        *,
        name: str | None = None,
        description: str | None = None,
        format: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES,
    ) -> None:
        own_name = _name(function)
        try:
            inspect.signature(function).bind("text")
        except TypeError:
            raise ToolDefinitionError(
                f"{own_name}() cannot be a custom tool: it must take one argument, the text of the model."
            ) from None
        definition: dict[str, Any] = {"type": "custom", "name": name or own_name}
        text = inspect.cleandoc(_docstring(function)) if description is None else description
        definition |= {"description": text} if text else {}
        definition |= {} if format is None else {"format": dict(format)}
        super().__init__(function, definition, timeout=timeout, max_output_bytes=max_output_bytes)

    def parse(self, arguments: str) -> _Call:
        """Return the text as the only argument."""
        return (arguments,), {}


ToolLike: TypeAlias = "Tool[..., Any] | Callable[..., Any] | Mapping[str, Any]"


@overload
def tool(function: Callable[_P, _R], /) -> FunctionTool[_P, _R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES,
    strict: bool | None = None,
) -> Callable[[Callable[_P, _R]], FunctionTool[_P, _R]]: ...


def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Decorate a function to make it a tool: `@tool`, or `@tool(timeout=10)` with the options of `from_function()`.

    The decorated function can still be called. A method is passed bound, as `tools=[kit.search]`.
    """
    if function is None:
        return partial(FunctionTool.from_function, **options)
    return FunctionTool.from_function(function, **options)


class ToolSet:
    """The tools of a run, by name, in the order of registration.

    Args:
        tools: Functions, `FunctionTool`s, `CustomTool`s, and definitions of tools that the backend runs itself, such as
            `{"type": "web_search"}`.

    Raises ToolDefinitionError if two tools have one name, or if a definition of a function has no Python function.
    """

    def __init__(self, tools: Iterable[ToolLike] = ()) -> None:
        self._by_name: dict[str, Tool[..., Any]] = {}
        self.definitions: list[dict[str, Any]] = []
        if isinstance(tools, (str, Mapping)) or not isinstance(tools, Iterable):
            raise ToolDefinitionError(
                f"tools must be a list, but it is {tools!r}. Pass a list, such as tools=[function]."
            )
        hosted: list[dict[str, Any]] = []
        for each in tools:
            if isinstance(each, Mapping):
                hosted.append(dict(each))
                self.definitions.append(hosted[-1])
                continue
            made = each if isinstance(each, Tool) else FunctionTool.from_function(each)
            if made.name in self._by_name:
                raise ToolDefinitionError(
                    f'Two tools have the name {made.name!r}. Pass tool(name="...")(function) for one of them.'
                )
            self._by_name[made.name] = made
            self.definitions.append(made.definition)
        for definition in hosted:
            _check_hosted(definition, self._by_name)

    def __iter__(self) -> Iterator[Tool[..., Any]]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Tool[..., Any] | None:
        """Return the tool with this name, or None."""
        return self._by_name.get(name)

    @property
    def names(self) -> list[str]:
        """The names of the tools that are Python functions."""
        return [*self._by_name]


def _check_hosted(definition: Mapping[str, Any], functions: Mapping[str, object]) -> None:
    """Raise ToolDefinitionError for the definition of a tool that the backend does not run itself."""
    if definition.get("type") not in ("function", "custom"):
        return
    inner, name = definition.get("function"), definition.get("name")
    if name is None and isinstance(inner, Mapping):
        raise ToolDefinitionError(
            f"The definition of {inner.get('name')!r} has the form of Chat Completions. Pass the Python function "
            'instead, or FunctionTool.from_definition({"type": "function", **definition["function"]}, function).'
        )
    if name in functions:
        raise ToolDefinitionError(
            f"The tools contain the function {name!r} and a definition of it. Leave out the definition: the function "
            "has its own. To use that one, pass FunctionTool.from_definition(definition, function) only."
        )
    raise ToolDefinitionError(
        f"The tool {name!r} has no Python function. Use FunctionTool.from_definition(definition, function)."
    )


def _name(function: Callable[..., Any]) -> str:
    if not callable(function):
        raise ToolDefinitionError(f"A tool must be a function, but {function!r} cannot be called.")
    _reject_classes(without_partials(function), function)
    return function_name(function)


def _reject_classes(base: Any, function: Callable[..., Any]) -> None:
    if inspect.isclass(base):
        raise ToolDefinitionError(
            f"A tool must be a function, but {base.__name__} is a class. Pass a bound method, such as "
            "`instance.method`, or a function that calls the class."
        )
    place, _, name = getattr(base, "__qualname__", "").rpartition(".")
    is_in_class = inspect.isfunction(base) and place and not place.endswith("<locals>")
    if is_in_class and next(iter(inspect.signature(function).parameters), None) in ("self", "cls"):
        raise ToolDefinitionError(
            f"{place.rpartition('.')[2]}.{name} is a method without an instance. Pass it bound, as "
            f"tools=[instance.{name}] or tool(...)(instance.{name}), and do not decorate it in the class."
        )


def _docstring(function: Callable[..., Any]) -> str:
    base = without_partials(function)
    if inspect.isroutine(base):
        return base.__doc__ or ""
    return type(base).__call__.__doc__ or type(base).__doc__ or ""


def _all_parameters(function: Callable[..., Any]) -> set[str]:
    """Return the names of all parameters, with those that a partial sets."""
    base = without_partials(function)
    return {*inspect.signature(base).parameters, *inspect.signature(function).parameters}
