"""The sync and the async classes have the same public members, with the same parameters."""

from __future__ import annotations

import inspect

import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk.resources import authentication, codex, models, responses, unsupported

PAIRS: list[tuple[type, type]] = [
    (sdk.OpenAI, sdk.AsyncOpenAI),
    (authentication.Authentication, authentication.AsyncAuthentication),
    (codex.Codex, codex.AsyncCodex),
    (codex.ResetCreditsResource, codex.AsyncResetCreditsResource),
    (models.Models, models.AsyncModels),
    (responses.Responses, responses.AsyncResponses),
    (unsupported.Beta, unsupported.AsyncBeta),
]


@pytest.mark.parametrize(("sync", "asynchronous"), PAIRS)
def test_sync_and_async_class_have_the_same_members(sync: type, asynchronous: type) -> None:
    names = {name for name in vars(sync) if name[0] != "_"}
    assert names == {name for name in vars(asynchronous) if name[0] != "_"}
    for name in names:
        member = vars(sync)[name]
        assert type(member) is type(vars(asynchronous)[name])
        if inspect.isfunction(member) and not hasattr(member, "__wrapped__"):  # wrapped ones are official methods
            expected = inspect.signature(member).parameters
            assert inspect.signature(vars(asynchronous)[name]).parameters == expected, name
