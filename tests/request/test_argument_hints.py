"""Test the suggestions for unknown arguments."""

from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk._request.argument_hints import ArgumentHints


def call(*, model: str = "", temperature: float = 1, _private: int = 0) -> None:
    """Stand in for a method of the official client."""


def other(*, module: str = "") -> None:
    """Stand in for a function that the method calls."""


HINTS = ArgumentHints(call, hints={"messages": "Use `input`"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("messages", "'messages'. Use `input`."),
        ("temprature", "'temprature'. Did you mean `temperature`?"),
        ("_privat", "'_privat'"),
        ("zzz", "'zzz'"),
    ],
)
def test_unknown_argument_gets_a_hint(name: str, expected: str) -> None:
    arguments: dict[str, Any] = {name: 1}
    with pytest.raises(TypeError) as caught, HINTS:
        call(**arguments)
    assert str(caught.value) == f"call() got an unexpected keyword argument {expected}"


def test_other_errors_pass_unchanged() -> None:
    arguments: dict[str, Any] = {"modul": 1}
    with pytest.raises(TypeError, match="argument 'modul'"), HINTS:
        other(**arguments)
    for error in (TypeError("call() is not there"), ValueError("call() got an unexpected keyword argument 'messages'")):
        with pytest.raises(type(error)) as caught, HINTS:
            raise error
        assert "Use" not in str(caught.value)
    with HINTS:
        call()
