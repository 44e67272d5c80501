from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk._request.argument_hints import ArgumentHints


def call(*, model: str = "", temperature: float = 1, _private: int = 0) -> None:
    """Something to call with arguments it does not have."""


def other(*, module: str = "") -> None:
    """Something else that is called inside."""


NAMED = ArgumentHints(call, known={"messages": "Use `input`"})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("messages", "'messages'. Use `input`."),
        ("temprature", "'temprature'. Did you mean `temperature`?"),
        ("_privat", "'_privat'"),
        ("zzz", "'zzz'"),
    ],
)
def test_an_argument_that_does_not_exist(name: str, said: str) -> None:
    given: dict[str, Any] = {name: 1}
    with pytest.raises(TypeError) as caught, NAMED:
        call(**given)
    assert str(caught.value) == f"call() got an unexpected keyword argument {said}"


def test_other_errors_are_left_alone() -> None:
    given: dict[str, Any] = {"modul": 1}
    with pytest.raises(TypeError, match="argument 'modul'"), NAMED:
        other(**given)
    for error in (TypeError("call() is not there"), ValueError("call() got an unexpected keyword argument 'messages'")):
        with pytest.raises(type(error)) as caught, NAMED:
            raise error
        assert "Use" not in str(caught.value)
    with NAMED:
        call()
