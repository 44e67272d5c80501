"""The code of a function as it is shown to people: the very lines that run, without what is no part of the example."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["body", "heading", "whole"]

_TO_THE_TYPE_CHECKER: Final = re.compile(r"  # type: ignore.*")


def heading(function: Callable[..., Any]) -> str:
    """Return the docstring."""
    return inspect.getdoc(function) or function.__name__


def whole(thing: Callable[..., Any]) -> str:
    """Return a function or class as it stands, without comments to the type checker."""
    return _TO_THE_TYPE_CHECKER.sub("", textwrap.dedent(inspect.getsource(thing))).rstrip()


def body(function: Callable[..., Any]) -> str:
    """Return the statements of a function, without its docstring and a final `return`."""
    source = whole(function)
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef)
    statements = definition.body[1:] if ast.get_docstring(definition) is not None else definition.body
    if isinstance(statements[-1], ast.Return):
        statements = statements[:-1]
    lines = source.splitlines()[statements[0].lineno - 1 : statements[-1].end_lineno]
    return textwrap.dedent("\n".join(lines))
